"""What is done to images of digits, all rounds at once: augmentation for training, and the columns of an ensemble.

An augmentation changes every training image anew in every epoch: a function (images [S, N, 2, s, s], keys int32 [S], the
rounds' own) -> images of the same shape, on the images' device. A column brings digits into a standard form: a function
(images [..., s, s]) -> images of the same shape. Method: multi-column networks (Cireşan, Meier and Schmidhuber 2012), whose
columns differ in how digits are normalised before they are trained on, and err on different digits.

Pixels are interpolated with cubic polynomials, which keep strokes sharp where linear ones blur them, and values stay within
those of the digit; the border goes on outside. A new augmentation is one function here, one entry in AUGMENTATIONS, one
schema (digitcmp.config.schema) and one YAML file; a new column one function, one entry in COLUMNS, and its name in the schema.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from digitcmp.config.registry import Registry, thing
from digitcmp.errors import ConfigError
from digitcmp.promises import check_apart, is_looked_at, untouched
from digitcmp.seeding import uniform

Augmentation = Callable[[Tensor, Tensor], Tensor]
Column = Callable[[Tensor], Tensor]

# standard deviation of the ink in both directions, in pixels of images of 14 x 14, about that of an upright MNIST digit
WIDTH, HEIGHT, SIDE = 2.0, 2.75, 14
STRENGTH = 0.7  # 1: all digits get this size; below: what is wide stays a little wider (a one is no thin eight)
WIDTHS, HEIGHTS = (0.6, 1.4), (0.7, 1.35)  # by how much at most
FEW = 8  # pairs of each round that are looked at
SLANT = 1.0  # at most, horizontal pixels per vertical pixel


def shift(images: Tensor, keys: Tensor, pixels: float) -> Tensor:
    """Move each digit by up to `pixels` in both directions, fractions of a pixel included."""
    random = draws(images, keys, 2)
    return resample(images, pixel_grid(images) + pixels * random[:, None, None])


def affine(images: Tensor, keys: Tensor, rotation: float, scale: float, shear: float, pixels: float) -> Tensor:
    """Rotate by up to `rotation` degrees, scale by a factor within 1 ± `scale`, shear by up to `shear` degrees, move by up to
    `pixels`: each drawn uniformly for each digit."""
    return resample(images, affine_points(images, draws(images, keys, 5), rotation, scale, shear, pixels))


def elastic(
    images: Tensor, keys: Tensor, rotation: float, scale: float, shear: float, pixels: float, displacement: float, grid: int
) -> Tensor:
    """An affine map, and on top of it a smooth field that moves each pixel by up to about `displacement` pixels.

    Method: a random displacement field that is smoothed (Simard et al. 2003); here smooth because it is drawn at
    `grid` x `grid` points and interpolated with cubic polynomials between them.
    """
    random = draws(images, keys, 5 + 2 * grid**2)
    points = affine_points(images, random[:, :5], rotation, scale, shear, pixels)
    coarse = random[:, 5:].view(-1, 2, grid, grid)
    field = spread(coarse, images.shape[-2:], by_product=images.device.type == "cuda")
    return resample(images, points + displacement * field.permute(0, 2, 3, 1))


def spread(coarse: Tensor, size: Sequence[int], by_product: bool) -> Tensor:
    """Numbers at the points of a grid [n, c, g, g], interpolated with cubic polynomials between them: [n, c, h, w].

    by_product: as the product with a matrix that it is. torch's own takes two fifths of a training's time on a GPU, where every pixel
    works out its sixteen weights again.
    """
    if not by_product:
        return F.interpolate(coarse, size=tuple(size), mode="bicubic", align_corners=True)
    points = coarse.shape[-2] * coarse.shape[-1]
    one_each = torch.eye(points, dtype=coarse.dtype, device=coarse.device).view(points, 1, *coarse.shape[-2:])
    weights = spread(one_each, size, by_product=False).view(points, -1)
    return (coarse.flatten(2) @ weights).view(*coarse.shape[:2], *size)


AUGMENTATIONS = Registry[Callable[..., Tensor]]("augmentations", {"shift": shift, "affine": affine, "elastic": elastic}, thing)


def make_augmentation(kind: str, options: dict[str, Any]) -> Augmentation | None:
    """The augmentation of this name with its options; None for "none". Raises ConfigError for an unknown name.

    One of another package raises ConfigError when it is called, where it does not give images like those that it is given.
    """
    if kind == "none":
        return None
    if kind not in AUGMENTATIONS:
        raise ConfigError(f"augment.kind={kind}: choose one of none, {', '.join(AUGMENTATIONS)}")
    found = partial(AUGMENTATIONS[kind], **options)
    package = AUGMENTATIONS.package_of(kind)
    return found if package is None else watched(f"augment.kind={kind} of {package}", found)


def watched(part: str, augmentation: Augmentation) -> Augmentation:
    """An augmentation of others that raises ConfigError, with this name, where it gives anything but new images, or each round's depend on
    those of the rounds beside it (`is_looked_at`, with a few pairs)."""
    calls = 0

    def images_of(images: Tensor, keys: Tensor) -> Tensor:
        nonlocal calls
        looked = is_looked_at(calls)
        calls += 1
        with untouched(part, images, keys, whole=looked):
            found = augmentation(images, keys)
        if not isinstance(found, Tensor) or (found.shape, found.dtype, found.device) != (images.shape, images.dtype, images.device):
            made = f"{found.dtype} {[*found.shape]} on {found.device}" if isinstance(found, Tensor) else f"a {type(found).__name__}"
            raise ConfigError(f"{part}: it gives {made}; it is to give images like those that come in, here {[*images.shape]}")
        if looked:
            check_apart(part, augmentation, images[:, :FEW], keys)
        return found

    return images_of


def moved(images: Tensor, x: float, y: float) -> Tensor:
    """Images [..., h, w] read this many pixels further to the right and below: the same shift for all of them."""
    return resample(images, pixel_grid(images) + point(images, x, y))


def draws(images: Tensor, keys: Tensor, count: int) -> Tensor:
    """Numbers in [-1, 1) for every digit, [S x N x 2, count], of the images' type; each round's from its own key."""
    digits = math.prod(images.shape[1:3])
    return (2 * uniform(keys, (digits, count)) - 1).flatten(0, 1).to(images.dtype)


def point(like: Tensor, x: float, y: float) -> Tensor:
    """(x, y), made where `like` is: a GPU has not to wait for numbers from here."""
    return torch.stack([like.new_full((), x), like.new_full((), y)])


def pixel_grid(images: Tensor) -> Tensor:
    """Where each pixel lies, (x, y) in pixels from the centre: [h, w, 2]."""
    height, width = images.shape[-2:]
    y, x = (torch.arange(size, dtype=images.dtype, device=images.device) - (size - 1) / 2 for size in (height, width))
    return torch.stack([x.expand(height, width), y[:, None].expand(height, width)], dim=-1)


def affine_points(images: Tensor, random: Tensor, rotation: float, scale: float, shear: float, pixels: float) -> Tensor:
    """Where each pixel of each digit comes from, [S x N x 2, h, w, 2]. random: [S x N x 2, 5], in [-1, 1)."""
    angle, slant = math.radians(rotation) * random[:, 0], torch.tan(math.radians(shear) * random[:, 1])
    size = 1 + scale * random[:, 2]
    cosine, sine = size * torch.cos(angle), size * torch.sin(angle)
    matrix = torch.stack([torch.stack([cosine, cosine * slant - sine], 1), torch.stack([sine, sine * slant + cosine], 1)], 1)
    turned = pixel_grid(images).flatten(0, 1) @ matrix.transpose(1, 2)
    return (turned + pixels * random[:, None, 3:5]).view(-1, *images.shape[-2:], 2)


def resample(images: Tensor, points: Tensor) -> Tensor:
    """Images read at these points (pixels from the centre), interpolated between the sixteen pixels around each."""
    half = point(points, (images.shape[-1] - 1) / 2, (images.shape[-2] - 1) / 2)
    digits = images.reshape(-1, 1, *images.shape[-2:])
    grid = points.expand(len(digits), -1, -1, -1) / half
    sampled = F.grid_sample(digits, grid, mode="bicubic", padding_mode="border", align_corners=True)
    darkest, brightest = (limit(digits, dim=(2, 3), keepdim=True) for limit in (torch.amin, torch.amax))
    return torch.clamp(sampled, darkest, brightest).view(images.shape)  # cubic polynomials overshoot at edges


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
    scale = images.shape[-1] / SIDE
    width, height = (upright.sqrt() / (WIDTH * scale)) ** STRENGTH, (var_y.sqrt() / (HEIGHT * scale)) ** STRENGTH
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
