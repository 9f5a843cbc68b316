"""Augmentation: the contract that every one keeps, and what single ones do to known images."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from digitcmp.contracts.augmentation import PROMISES, keys
from digitcmp.data.transforms import AUGMENTATIONS, make_augmentation, spread
from digitcmp.errors import ConfigError
from tests.conftest import compose_config

AFFINE = {"rotation": 15.0, "scale": 0.1, "shear": 10.0, "pixels": 1.5}
STRONG: dict[str, dict[str, Any]] = {
    "shift": {"pixels": 2.0},
    "affine": AFFINE,
    "elastic": {**AFFINE, "displacement": 1.0, "grid": 4},
}
NAMES = sorted(AUGMENTATIONS)


def test_every_augmentation_is_tested() -> None:
    """A new one needs an entry here."""
    assert set(STRONG) == set(AUGMENTATIONS)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("promise", PROMISES)
def test_promises(name: str, promise: str) -> None:
    """Those that anybody's augmentation keeps (`digitcmp.contracts.augmentation`)."""
    config = compose_config(f"augment={name}", *(f"augment.{key}={value}" for key, value in STRONG[name].items()))
    PROMISES[promise](config)


def centre_of_mass(images: Tensor) -> Tensor:
    """(x, y) of each digit, in pixels."""
    position = torch.arange(14.0)
    total = images.sum(dim=(3, 4))
    return torch.stack([(images.sum(dim=3) * position).sum(dim=3) / total, (images.sum(dim=4) * position).sum(dim=3) / total], dim=-1)


def test_shifts_are_uniform_up_to_the_limit() -> None:
    """The centre of a spot moves by up to 2 pixels in both directions, on average not at all."""
    images = torch.zeros(1, 500, 2, 14, 14)
    images[..., 6:8, 6:8] = 1
    moved = (centre_of_mass(make_augmentation("shift", {"pixels": 2.0})(images, keys(7))) - 6.5).flatten(0, 2)
    assert moved.abs().max() <= 2.001
    assert (moved.amax(dim=0) > 1.9).all()
    assert (moved.amin(dim=0) < -1.9).all()
    assert moved.mean(dim=0).abs().max() < 3 * 2 / math.sqrt(3) / math.sqrt(1000)


def test_rotation_turns_and_scale_stretches() -> None:
    """A bar's angle varies up to the limit and its length does not, and the other way round."""
    images = torch.zeros(1, 200, 2, 14, 14)
    images[..., 6:8, 3:11] = 1
    still = {"rotation": 0.0, "scale": 0.0, "shear": 0.0, "pixels": 0.0}
    for change, angle, size in (({"rotation": 30.0}, 30.0, 0.0), ({"scale": 0.3}, 0.0, 0.3)):
        made = make_augmentation("affine", {**still, **change})(images, keys(1)).flatten(0, 2)
        grid = torch.arange(14.0) - 6.5
        total = made.sum(dim=(1, 2))
        xx, yy = (made * grid**2).sum(dim=(1, 2)) / total, (made * grid[:, None] ** 2).sum(dim=(1, 2)) / total
        xy = (made * grid * grid[:, None]).sum(dim=(1, 2)) / total
        angles = torch.rad2deg(torch.atan2(2 * xy, xx - yy) / 2)
        lengths = torch.sqrt(xx + yy) / torch.sqrt(xx + yy).median()
        assert angles.abs().max() == pytest.approx(angle, abs=3)
        assert (lengths.max() - lengths.min()) / 2 == pytest.approx(size, abs=0.12)


@pytest.mark.parametrize("size", [(14, 14), (9, 20), (2, 3)])
@pytest.mark.parametrize("grid", [2, 4, 7])
def test_a_field_by_a_product_is_the_same_field(grid: int, size: tuple[int, int]) -> None:
    """As a GPU makes it."""
    coarse = torch.randn(5, 2, grid, grid)
    right = torch.nn.functional.interpolate(coarse, size=size, mode="bicubic", align_corners=True)
    torch.testing.assert_close(spread(coarse, size, by_product=True), right, rtol=1e-5, atol=1e-5)
    assert torch.equal(spread(coarse, size, by_product=False), right)


def test_no_augmentation_and_an_unknown_one() -> None:
    """None is no function at all."""
    assert make_augmentation("none", {}) is None
    with pytest.raises(ConfigError, match=r"^augment\.kind=blur: choose one of none, shift, affine, elastic$"):
        make_augmentation("blur", {})
