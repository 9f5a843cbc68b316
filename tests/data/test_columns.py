"""Columns: the forms in which the networks of an ensemble see digits."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from digitcmp.config.schema import COLUMNS as NAMES
from digitcmp.data.pairs import Pairs, for_members
from digitcmp.data.sources import load
from digitcmp.data.transforms import COLUMNS, HEIGHT, WIDTH, find_columns, moments, plain
from digitcmp.errors import ConfigError


def spread(images: Tensor) -> Tensor:
    """The middle (x, y), the deviations (x, y) and the covariance of the ink of images [n, 14, 14], in pixels: [n, 5]."""
    position = torch.arange(14, dtype=images.dtype) - 6.5
    weights = images / images.sum(dim=(1, 2), keepdim=True)
    x, y = position.expand(14, 14), position[:, None].expand(14, 14)

    def mean(values: Tensor) -> Tensor:
        return (weights * values).sum(dim=(1, 2))

    right, down = mean(x), mean(y)
    across, along = x - right[:, None, None], y - down[:, None, None]
    return torch.stack([right, down, mean(across**2).sqrt(), mean(along**2).sqrt(), mean(across * along)], dim=1)


def blot(right: float, down: float, wide: float, tall: float, slant: float) -> Tensor:
    """A Gaussian blot [1, 14, 14] in double precision."""
    position = torch.arange(14, dtype=torch.float64) - 6.5
    y = position[:, None] - down
    x = position - right - slant * y
    return torch.exp(-((x / wide) ** 2 + (y / tall) ** 2) / 2)[None]


def test_the_schema_knows_every_column() -> None:
    """Names in configurations are those of functions."""
    assert tuple(COLUMNS) == NAMES
    assert find_columns(["moments", "plain"]) == [moments, plain]
    with pytest.raises(ConfigError, match="columns: italic is none of plain, moments"):
        find_columns(["plain", "italic"])


@pytest.mark.parametrize("slant", [-0.6, 0.0, 0.4])
def test_moments_bring_a_blot_into_form(slant: float) -> None:
    """A blot of known middle, slant and size, off the standard form by little: in the middle, upright, its size nearer to the standard."""
    image = blot(0.8, -0.6, 1.2, 2.4, slant)
    right, down, wide, tall, both = spread(moments(image))[0]
    assert abs(spread(image)[0, 4] - slant * 2.4**2) < 0.3
    assert max(abs(right), abs(down)) < 0.03
    assert abs(both) < 0.15  # of 3.5; the widest blot reaches the border
    # to the standard, but for the power 0.3 of the ratio that is left
    assert wide.item() == pytest.approx(WIDTH * (1.2 / WIDTH) ** 0.3, rel=0.03)
    assert tall.item() == pytest.approx(HEIGHT * (2.4 / HEIGHT) ** 0.3, rel=0.03)


def test_moments_even_out_real_digits() -> None:
    """Whatever the digit: its place, its slant and its size vary less than they did."""
    images = load("digits", None).train.images[:, None].double()
    images = F.pad(F.interpolate(images, size=(10, 10), mode="area"), [2] * 4)[:, 0]  # with a margin, as MNIST has it
    before, after = (spread(form).std(dim=0) for form in (images, moments(images)))
    assert (after < 0.5 * before).all(), (before, after)


@pytest.mark.parametrize("name", NAMES)
def test_contract(name: str) -> None:
    """Shape, type and range stay, a blank image stays blank, no image looks at another; brightness and contrast change nothing else."""
    column, images = COLUMNS[name], load("digits", None).train.images[:24]
    shown = column(images.view(2, 6, 2, 14, 14))
    assert (shown.shape, shown.dtype) == ((2, 6, 2, 14, 14), images.dtype)
    assert shown.min() >= images.min()
    assert shown.max() <= images.max()
    torch.testing.assert_close(shown.view(24, 14, 14)[5:6], column(images[5:6]))
    for grey in (0.0, 0.3):
        assert torch.equal(column(torch.full((2, 2, 14, 14), grey)), torch.full((2, 2, 14, 14), grey))
    torch.testing.assert_close(column(images * 3 - 0.5), column(images) * 3 - 0.5, atol=2e-5, rtol=0)


def test_members_take_turns_at_columns() -> None:
    """Each member of each round gets its own form of its round's own pairs."""
    images = load("digits", None).train.images[:24].view(2, 6, 2, 14, 14)
    digits = torch.arange(24).view(2, 6, 2)
    pairs = Pairs(images, digits[..., 0], digits)
    shown = for_members(pairs, [plain, moments], 4)
    assert torch.equal(shown.images[0::2], images.repeat_interleave(2, dim=0))
    assert torch.equal(shown.images[5], moments(images[1]))
    assert torch.equal(shown.digits[4:], digits[1].expand(4, 6, 2))
    assert torch.equal(shown.target[:4], pairs.target[0].expand(4, 6))
    assert for_members(pairs, [plain], 1) is pairs
    assert torch.equal(for_members(pairs, [moments], 1).images, moments(images))
