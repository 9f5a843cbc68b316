"""Pictures of digits, as anybody draws or photographs them, brought into the form of the data that a network was trained on.

MNIST's form is its authors': the ink in a box of 20 x 20 pixels with its proportions kept, the box in an image of 28 x 28 so that the
centre of mass is in the middle (LeCun, Cortes and Burges, The MNIST database). The bundled digits' form: the ink in a box of 32 x 32,
averaged over 4 x 4 blocks to 8 x 8 (Alpaydin and Kaynak 1998). Both come to the size that the network sees as their data do.
"""

from collections.abc import Callable
from math import ceil, floor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from scipy.special import ndtr
from torch import Tensor

from digitcmp.data import images
from digitcmp.data.pictures import read_picture
from digitcmp.errors import DataError

Grey = NDArray[np.float32]
Part = tuple[slice, slice]  # rows and columns

SOUGHT = 1120  # pixels of a page's longer side, while it is not known where its digit is
LONGEST = 280  # pixels of the longer side of a digit and what is around it
MARGIN = 0.25  # of a digit's longer side: what is around it
SMALLEST = 5  # pixels of the longer side of what may be a digit, in a picture as it is given: what is smaller is noise
STROKE = 3  # a stroke is thinner than the longer side by this factor: what is lit unevenly varies more slowly than that
COARSE = 64  # pixels of a page's longer side, at which the light on it is worked out
FRAME = 0.15  # of half a page: its border, which shows the light
FITS = 8  # times, each without what was darker the time before
PAPER = 0.7  # of the border is paper
LEAST = 0.01  # of the difference between black and white: paper differs by that
UNLIKE = 0.03  # of it: light that differs by more from a cubic surface is of another kind
LEVEL = 0.05  # of it: light that differs by less across the page is level
NOISE = 3.0  # standard deviations from the background that are no ink
FAINTEST = 0.1  # of the difference between black and white: below that there is no ink
DARKEST = 0.95  # of the pixels of ink have at most as much as its darkest; some of the others may be noise
SPECK = 0.02  # of all ink: a part with less is dirt
DOT = 1.5  # pixels, as dark as the darkest ink: a part with less is noise
EDGE = 0.1  # of the darkest ink: what is fainter does not count as a digit's edge


def read_digit(path: Path, form: str, size: int) -> Tensor:
    """What a network gets to see of a picture's file (see `digit_of`). Raises DataError for one that cannot be read, or is blank."""
    ink = ink_in(read_picture(path))
    if ink is None:
        raise DataError(f"{path}: no digit is to be seen in it: it is blank, or all of it is noise")
    return digit_of(ink, form, size)


def digit_of(ink: Grey, form: str, size: int) -> Tensor:
    """What a network gets to see of the ink of a picture: float32 [size, size] in [0, 1], bright ink. form: the data set whose form it gets
    (`FORMS`; any other has MNIST's)."""
    image = FORMS.get(form, as_in_mnist)(ink[box(ink)])
    return images.resized(torch.from_numpy(image)[None], size)[0]


def ink_in(picture: Image.Image) -> Grey | None:
    """The ink of a picture and what is around it, [height, width] from 0 to 1, whatever share of the picture it covers; None for a blank
    one."""
    page = levelled(grey_of(picture))
    part = (slice(0, page.shape[0]), slice(0, page.shape[1]))
    ink = inked(page, SOUGHT)  # about where it is, then where exactly
    for _ in range(2):
        if not ink.any():
            return None
        part = around(ink, part, page)
        ink = inked_in(page, part)
    return ink if longest_part(ink) >= SMALLEST else None


def inked_in(page: Grey, part: Part) -> Grey:
    """The ink in a part of a page, at a size of at most `LONGEST` pixels. What is paper there shows from farther around: a shadow that
    begins in the part would else be cut off."""
    longer = max(place.stop - place.start for place in part)
    wide = tuple(
        slice(max(0, place.start - longer), min(length, place.stop + longer)) for place, length in zip(part, page.shape, strict=True)
    )
    ink = inked(page[wide], round(LONGEST * max(1.0, max(place.stop - place.start for place in wide) / longer)))
    rows, columns = (
        slice(*(round((edge - place.start) * length / (place.stop - place.start)) for edge in (own.start, own.stop)))
        for own, place, length in zip(part, wide, ink.shape, strict=True)
    )
    return ink[rows, columns]


def inked(grey: Grey, longest: int) -> Grey:
    """The ink of a part of a page at a size of at most so many pixels, without specks."""
    small = reduced(grey, longest)
    return cleaned(ink_of(small), dot=DOT * small.size / grey.size)


def around(ink: Grey, part: Part, page: Grey) -> Part:
    """The part of a page that has this ink and a margin, as far as the page goes. part: what the ink was seen in, at any size."""
    factors = [(place.stop - place.start) / length for place, length in zip(part, ink.shape, strict=True)]
    edges = [
        (place.start + factor * span.start, place.start + factor * span.stop)
        for place, factor, span in zip(part, factors, box(ink), strict=True)
    ]
    margin = MARGIN * max(end - start for start, end in edges)
    rows, columns = (
        slice(max(0, floor(start - margin)), min(length, ceil(end + margin)))
        for (start, end), length in zip(edges, page.shape, strict=True)
    )
    return rows, columns


def grey_of(picture: Image.Image) -> Grey:
    """[height, width] in [0, 1]; what is transparent shows white, or black behind ink that is light itself."""
    if picture.mode.startswith(("I", "F")):  # 16 bits and more
        values = np.asarray(picture, dtype=np.float32)
        picture = Image.fromarray((values * (255 / max(float(values.max()), 255.0))).clip(0, 255).astype(np.uint8))
    grey, alpha = (np.asarray(band, dtype=np.float32) / 255 for band in picture.convert("RGBA").convert("LA").split())
    light = float((grey * alpha).sum()) > 0.5 * float(alpha.sum())
    mixed = grey * alpha + (1 - alpha) * (0.0 if light and alpha.min() < 1 else 1.0)
    return mixed.astype(np.float32)


def reduced(grey: Grey, longest: int) -> Grey:
    """The same with at most so many pixels on its longer side."""
    factor = longest / max(grey.shape)
    return grey if factor >= 1 else resized(grey, (max(1, round(grey.shape[1] * factor)), max(1, round(grey.shape[0] * factor))))


def levelled(grey: Grey) -> Grey:
    """A page without the light that changes slowly across it, as beside a window or towards the corners of a photograph: what becomes
    darker towards the border is no ink. The light is a cubic surface through the page's border, but for what is darker there than
    most of it. A page that is level, whose border is not paper, or whose light is of another kind (a shadow), is as it is."""
    if not is_dark_on_light(grey):
        return grey
    small = reduced(grey, COARSE)  # in which there is no noise
    y, x = (np.linspace(-1, 1, length, dtype=np.float32) for length in small.shape)
    rows, columns = np.nonzero(np.maximum(np.abs(y)[:, None], np.abs(x)[None]) > 1 - FRAME)
    seen, few = small[rows, columns], np.stack(cubic(y[rows], x[columns]), axis=1)
    kept = np.ones(len(seen), dtype=bool)
    for _ in range(FITS):
        surface = np.linalg.lstsq(few[kept], seen[kept], rcond=None)[0]
        over = seen - few @ surface
        kept = over > -NOISE * max(1.4826 * float(np.median(np.abs(over[kept]))), LEAST)
        if kept.mean() < PAPER:
            return grey
    if float(np.quantile(np.abs(over[kept]), DARKEST)) > UNLIKE or float(np.ptp(few @ surface)) < LEVEL:
        return grey
    y, x = np.linspace(-1, 1, grey.shape[0], dtype=np.float32)[:, None], np.linspace(-1, 1, grey.shape[1], dtype=np.float32)[None]
    light = sum(np.float32(weight) * term for weight, term in zip(surface, cubic(y, x), strict=True))
    return grey - light + np.float32((few @ surface).max())


def cubic(y: Grey, x: Grey) -> list[Grey]:
    """The terms of a cubic surface at these points. (One of a higher degree would be free within the border that it is told by.)"""
    return [np.ones_like(x), x, y, x * x, x * y, y * y, x**3, x * x * y, x * y * y, y**3]


def is_dark_on_light(grey: Grey) -> bool:
    """Whether ink is darker than what it is on, by a picture's border."""
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    return float(np.median(border)) > (float(grey.min()) + float(grey.max())) / 2


def ink_of(grey: Grey) -> Grey:
    """How much ink there is at each pixel, [height, width] from 0 to 1, zero everywhere in a blank picture.

    The background is what is left when all that is thinner than a stroke may be is filled (a grey-scale closing, Serra 1982), so that
    uneven light does not matter; whether ink is dark or light follows from the picture's border.
    """
    paper = grey if is_dark_on_light(grey) else 1 - grey
    window = max(3, max(paper.shape) // STROKE) | 1
    difference = ndimage.grey_closing(paper, size=(window, window), mode="nearest") - paper
    middle, deviation = noise_of(difference)
    least = middle + NOISE * deviation
    seen = difference[difference - least >= FAINTEST]
    if not seen.size:
        return np.zeros_like(grey)
    return ((difference - least) / (float(np.quantile(seen, DARKEST)) - least)).clip(0, 1)


def noise_of(difference: Grey) -> tuple[float, float]:
    """The middle of what the pixels of paper differ from the background by, and its standard deviation: by what most pixels do, or the
    lowest ones where most are ink; of normal noise, both say the same."""
    middle = float(np.median(difference))
    deviation = 1.4826 * float(np.median(np.abs(difference - middle)))
    lowest, low = (float(one) for one in np.quantile(difference, ndtr([-2.0, -1.0])))
    return min(((middle, deviation), (low + (low - lowest), low - lowest)), key=sum)


def cleaned(ink: Grey, dot: float) -> Grey:
    """Ink without specks: parts that hang together and have next to nothing of all ink, or no more than a dot has; all zero where nothing
    else is there."""
    labels, count = ndimage.label(ink > EDGE, structure=np.ones((3, 3)))
    masses = ndimage.sum_labels(ink, labels, np.arange(1, count + 1))
    large = masses > max(SPECK * float(masses.sum()), dot)
    if not large.any():
        return np.zeros_like(ink)
    return np.where(np.isin(labels, np.flatnonzero(~large) + 1), 0, ink).astype(np.float32)


def longest_part(ink: Grey) -> int:
    """Pixels of the longer side of the largest part that hangs together, 0 without ink."""
    labels, _ = ndimage.label(ink > EDGE, structure=np.ones((3, 3)))
    return max((span.stop - span.start for part in ndimage.find_objects(labels) for span in part), default=0)


def box(ink: Grey) -> Part:
    """The smallest part that has all the ink but faint edges."""
    rows, columns = (np.flatnonzero((ink > EDGE).any(axis=axis)) for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def resized(grey: Grey, size: tuple[int, int]) -> Grey:
    """An image at another size (width, height), each pixel the mean of what it covers where it becomes smaller."""
    method = Image.Resampling.BOX if grey.shape[0] >= size[1] else Image.Resampling.BILINEAR
    return np.array(Image.fromarray(grey).resize(size, method), dtype=np.float32)


def fitted(ink: Grey, side: int) -> Grey:
    """The ink with its longer side at so many pixels and its proportions kept, the strongest at 1."""
    height, width = ink.shape
    longer = max(height, width)
    small = resized(ink, (max(1, round(width * side / longer)), max(1, round(height * side / longer))))
    return (small / np.float32(small.max())).clip(0, 1).astype(np.float32)


def placed(ink: Grey, side: int, center: tuple[float, float]) -> Grey:
    """An empty square image of so many pixels with the ink in it, whose point `center` (row, column) comes to its middle, as far as whole
    pixels and its edges allow."""
    image = np.zeros((side, side), dtype=np.float32)
    top, left = (min(max(round(side / 2 - middle), 0), side - length) for middle, length in zip(center, ink.shape, strict=True))
    image[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return image


def as_in_mnist(ink: Grey) -> Grey:
    """Ink [height, width] -> [28, 28], as MNIST's digits are."""
    small = fitted(ink, 20)
    row, column = ndimage.center_of_mass(small)  # 0 is the middle of the first pixel; MNIST's images have it at 14
    return placed(small, 28, (row, column))


def as_in_digits(ink: Grey) -> Grey:
    """Ink [height, width] -> [8, 8], as scikit-learn's bundled digits are."""
    small = fitted(ink, 32)
    image = placed(small, 32, (small.shape[0] / 2, small.shape[1] / 2))
    return np.asarray(image.reshape(8, 4, 8, 4).mean(axis=(1, 3), dtype=np.float32))


FORMS: dict[str, Callable[[Grey], Grey]] = {"mnist": as_in_mnist, "digits": as_in_digits}
