"""Images at the size that networks see."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import interpolate

from digitcmp.data import images as module
from digitcmp.data.images import resized


@given(st.integers(4, 40), st.integers(1, 40), st.booleans())
@settings(max_examples=60, deadline=None)
def test_any_size(side: int, size: int, floats: bool) -> None:
    """Values stay in their range, even images stay as they are, and means stay about the same."""
    random = torch.Generator().manual_seed(side * size)
    images = torch.randint(0, 256, (3, side, side), dtype=torch.uint8, generator=random)
    images[1], images[2] = 255, 51
    found = resized(images / 255 if floats else images, size)
    assert (found.shape, found.dtype) == ((3, size, size), torch.float32)
    assert found.min() >= 0
    assert found.max() <= 1
    torch.testing.assert_close(found[1:], torch.tensor([1, 0.2])[:, None, None].expand(2, size, size))
    torch.testing.assert_close(found, resized(images if floats else images / 255, size), rtol=0, atol=1e-6)


def test_whole_factors_are_means_of_blocks() -> None:
    """Exactly, of bytes; the size that they have is what they are."""
    images = torch.randint(0, 256, (5, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    assert torch.equal(resized(images, 28), images / 255)
    assert torch.equal(resized(images / 255, 28), images / 255)
    for size in (14, 7, 4):
        side = 28 // size
        means = images.view(5, size, side, size, side).double().mean(dim=(2, 4)) / 255
        torch.testing.assert_close(resized(images, size).double(), means, rtol=0, atol=1e-7)


def test_larger_images_are_interpolated() -> None:
    """Linearly, as the bundled digits always were."""
    images = torch.rand(5, 8, 8, generator=torch.Generator().manual_seed(1))
    assert torch.equal(resized(images, 14), interpolate(images[:, None], size=(14, 14), mode="bilinear", align_corners=False)[:, 0])


def test_many_images_are_made_smaller_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which changes nothing."""
    images = torch.randint(0, 256, (50, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    whole = [resized(images, size) for size in (6, 5)]
    monkeypatch.setattr(module, "CHUNK", 7)
    assert all(torch.equal(resized(images, size), one) for size, one in zip((6, 5), whole, strict=True))
