"""What every augmentation promises: functions of a configuration, which raise AssertionError where it is not kept."""

from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any

import torch
from torch import Tensor

from digitcmp.config.schema import SIZE, Config
from digitcmp.data.transforms import Augmentation, make_augmentation


def some_images(rounds: int = 2, pairs: int = 6) -> Tensor:
    """Images with values of all sizes."""
    return torch.randn(rounds, pairs, 2, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def keys(*values: int) -> Tensor:
    """A key per round."""
    return torch.tensor(values, dtype=torch.int32)


def made(config: Config, **changes: Any) -> Augmentation:
    """The augmentation of a configuration with some of its strengths changed."""
    options = {**asdict(config.augment), **changes}
    found = make_augmentation(options.pop("kind"), options)
    assert found is not None
    return found


def strengths(config: Config) -> list[str]:
    """Its keys that may be zero and are no whole numbers: how strong it is."""
    given = [item for item in fields(config.augment) if isinstance(getattr(config.augment, item.name), float)]
    return [
        item.name for item in given if item.metadata.get("limits", {}).get("at_least", 0) <= 0 and "above" not in item.metadata["limits"]
    ]


def same_key_same_images(config: Config) -> None:
    """Another key gives other images, and every digit of a round gets its own."""
    augment, images = made(config), some_images()
    once, again, other = augment(images, keys(3, 4)), augment(images, keys(3, 4)), augment(images, keys(3, 5))
    assert torch.equal(once, again), "the same keys give other images; draw everything from them (`digitcmp.data.transforms.draws`)"
    assert torch.equal(once[0], other[0]), "a round's images depend on the key of another one; each key is for its own round alone"
    assert not torch.allclose(once[1], other[1]), "another key gives the same images; draw from the keys"
    alike = augment(images[:1, :1, :1].expand(1, 6, 2, SIZE, SIZE), keys(3))
    flat = alike.flatten(0, 2)
    alone = [index for index in range(1, 12) if torch.allclose(flat[0], flat[index])]
    assert not alone, f"{len(alone) + 1} of 12 equal digits are changed alike; draw so much for each of the S x N x 2 digits"


def a_round_does_not_depend_on_the_stack(config: Config) -> None:
    """The images of a key are the same beside other rounds and alone; the input stays as it is."""
    augment, images = made(config), some_images(3)
    before = images.clone()
    together, alone = augment(images, keys(1, 2, 3)), augment(images[1:2], keys(2))
    assert torch.equal(images, before), "it changes what it is given; return new images, without operations in place"
    words = "a round's images are others beside other rounds; use nothing of one round for another (no means over all images)"
    torch.testing.assert_close(together[1], alone[0], rtol=0, atol=1e-6, msg=words)


def nothing_at_strength_zero(config: Config) -> None:
    """With all its strengths at zero, images come back as they were, but for rounding."""
    images = some_images()
    nothing = made(config, **dict.fromkeys(strengths(config), 0.0))
    zero = ", ".join(f"{name}=0" for name in strengths(config)) or "no key that may be zero"
    words = f"images are changed with {zero}; make that leave them as they are, or declare `above=0` for a key that cannot be zero"
    torch.testing.assert_close(nothing(images, keys(0, 1)), images, rtol=0, atol=1e-5, msg=words)


def values_stay_in_range(config: Config) -> None:
    """No pixel is brighter or darker than the brightest and darkest of its digit, and the type stays."""
    images = some_images()
    for given in (images, images.double()):
        changed = made(config)(given, keys(0, 1))
        was, now = ((tuple(one.shape), str(one.dtype)) for one in (given, changed))
        assert now == was, f"{was} became {now}; keep shape and type"
        over = (changed.amax(dim=(3, 4)) - given.amax(dim=(3, 4))).max().item()
        under = (given.amin(dim=(3, 4)) - changed.amin(dim=(3, 4))).max().item()
        assert max(over, under) <= 1e-5, (
            f"pixels leave the range of their digit by {max(over, under):.3g}; images are normalised, not in [0, 1]: use each digit's own "
            "darkest and brightest pixel (images.amin(dim=(-2, -1), keepdim=True))"
        )


PROMISES: dict[str, Callable[[Config], None]] = {
    promise.__name__: promise
    for promise in (same_key_same_images, a_round_does_not_depend_on_the_stack, nothing_at_strength_zero, values_stay_in_range)
}
