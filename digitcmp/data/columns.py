"""The columns of an ensemble: each network sees the digits brought into a standard form of its own.

Method: multi-column networks (Cireşan, Meier and Schmidhuber 2012), whose columns differ in how digits are normalised before
they are trained on, and err on different digits. A column is a function (images [..., 14, 14]) -> images of the same shape. A
new one is one function here, one entry in COLUMNS, and its name in `digitcmp.config.schema.COLUMNS`.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from digitcmp.data.augment import pixel_grid, resample
from digitcmp.data.pairs import Pairs
from digitcmp.errors import ConfigError

Column = Callable[[Tensor], Tensor]

# standard deviation of the ink in both directions, in pixels, about that of an upright MNIST digit
WIDTH, HEIGHT = 2.0, 2.75
STRENGTH = 0.7  # 1: all digits get this size; below: what is wide stays a little wider (a one is no thin eight)
WIDTHS, HEIGHTS = (0.6, 1.4), (0.7, 1.35)  # by how much at most
SLANT = 1.0  # at most, horizontal pixels per vertical pixel


def plain(images: Tensor) -> Tensor:
    """The digits as they are."""
    return images


def moments(images: Tensor) -> Tensor:
    """Each digit in the middle, upright, and nearly of the same width and height, by the moments of its ink.

    Method: moment normalisation (Casey 1970), the size with an exponent (STRENGTH) and limits. The darkest value of an image counts
    as no ink; an image without any stays as it is.
    """
    ink = (images - images.amin(dim=(-2, -1), keepdim=True)).flatten(0, -3)
    total = ink.sum(dim=(1, 2))
    weights = ink / torch.where(total > 0, total, 1)[:, None, None]

    def mean(values: Tensor) -> Tensor:
        return (weights * values).sum(dim=(1, 2))

    x, y = pixel_grid(images).unbind(dim=-1)
    center_x, center_y = (mean(axis.expand_as(ink))[:, None, None] for axis in (x, y))
    dx, dy = x - center_x, y - center_y
    var_x, var_y, covariance = mean(dx**2), mean(dy**2), mean(dx * dy)
    slant = (covariance / torch.where(var_y > 0, var_y, 1)).clamp(-SLANT, SLANT)
    upright = (var_x - 2 * slant * covariance + slant**2 * var_y).clamp(min=0)  # what is left of var_x without the slant
    width, height = (upright.sqrt() / WIDTH) ** STRENGTH, (var_y.sqrt() / HEIGHT) ** STRENGTH
    width, height = width.clamp(*WIDTHS)[:, None, None], height.clamp(*HEIGHTS)[:, None, None]
    source_x = center_x + width * x + slant[:, None, None] * height * y
    source_y = (center_y + height * y).expand_as(source_x)
    return resample(images, torch.stack([source_x, source_y], dim=-1))


COLUMNS: dict[str, Column] = {"plain": plain, "moments": moments}


def find_columns(names: Sequence[str]) -> list[Column]:
    """The columns with these names. Raises ConfigError for an unknown one."""
    for name in names:
        if name not in COLUMNS:
            raise ConfigError(f"columns: {name} is none of {', '.join(COLUMNS)}")
    return [COLUMNS[name] for name in names]


def in_columns(images: Tensor, columns: Sequence[Column], members: int) -> Tensor:
    """The images of each round once for every member of its ensemble, [S, ...] -> [S x members, ...], in columns that take turns."""
    forms = [column(images) for column in columns[:members]]
    return torch.stack([forms[member % len(forms)] for member in range(members)], dim=1).flatten(0, 1)


def for_members(pairs: Pairs, columns: Sequence[Column], members: int) -> Pairs:
    """The pairs [S, N] of each round once for every member of its ensemble, [S x members, N]."""
    if members == 1 and columns[0] is plain:
        return pairs
    images = in_columns(pairs.images, columns, members)
    return Pairs(images, pairs.target.repeat_interleave(members, dim=0), pairs.digits.repeat_interleave(members, dim=0))
