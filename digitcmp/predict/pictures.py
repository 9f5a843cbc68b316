"""Pictures of digits, as anybody draws or photographs them, brought into the form of the data that a network was trained on.

MNIST's form is its authors': the ink in a box of 20 x 20 pixels with its proportions kept, the box in an image of 28 x 28 so that the
centre of mass is in the middle (LeCun, Cortes and Burges, The MNIST database). The bundled digits' form: the ink in a box of 32 x 32,
averaged over 4 x 4 blocks to 8 x 8 (Alpaydin and Kaynak 1998). Both come to the size that the network sees as their data do.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from torch import Tensor

from digitcmp.data import images
from digitcmp.data.pictures import read_picture
from digitcmp.errors import DataError

Grey = NDArray[np.float32]

LONGEST = 280  # pixels of a picture's longer side, after it has been made smaller
STROKE = 3  # a stroke is thinner than the longer side by this factor: what is lit unevenly varies more slowly than that
NOISE = 3.0  # standard deviations from the background that are no ink
FAINTEST = 0.1  # of the difference between black and white: below that there is no ink
SPECK = 0.02  # of all ink: a part with less is dirt
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
    image = FORMS.get(form, as_in_mnist)(boxed(ink))
    return images.resized(torch.from_numpy(image)[None], size)[0]


def ink_in(picture: Image.Image) -> Grey | None:
    """The ink of a picture, [height, width] from 0 to 1; None for a blank one."""
    ink = cleaned(ink_of(grey_of(picture)))
    return ink if ink.any() else None


def grey_of(picture: Image.Image) -> Grey:
    """[height, width] in [0, 1]; what is transparent shows white, or black behind ink that is light itself."""
    if picture.mode.startswith(("I", "F")):  # 16 bits and more
        values = np.asarray(picture, dtype=np.float32)
        picture = Image.fromarray((values * (255 / max(float(values.max()), 255.0))).clip(0, 255).astype(np.uint8))
    grey, alpha = (np.asarray(band, dtype=np.float32) / 255 for band in picture.convert("RGBA").convert("LA").split())
    light = float((grey * alpha).sum()) > 0.5 * float(alpha.sum())
    mixed = grey * alpha + (1 - alpha) * (0.0 if light and alpha.min() < 1 else 1.0)
    factor = LONGEST / max(mixed.shape)
    if factor >= 1:
        return mixed.astype(np.float32)
    size = (max(1, round(mixed.shape[1] * factor)), max(1, round(mixed.shape[0] * factor)))
    return resized(mixed.astype(np.float32), size)


def ink_of(grey: Grey) -> Grey:
    """How much ink there is at each pixel, [height, width] from 0 to 1, zero everywhere in a blank picture.

    The background is what is left when all that is thinner than a stroke may be is filled (a grey-scale closing, Serra 1982), so that
    uneven light does not matter; whether ink is dark or light follows from the picture's border.
    """
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    dark = float(np.median(border)) > (float(grey.min()) + float(grey.max())) / 2
    paper = grey if dark else 1 - grey
    window = max(3, max(paper.shape) // STROKE) | 1
    difference = ndimage.grey_closing(paper, size=(window, window), mode="nearest") - paper
    middle = float(np.median(difference))
    deviation = 1.4826 * float(np.median(np.abs(difference - middle)))  # the standard deviation of noise, by what most pixels do
    floor = middle + NOISE * deviation
    peak = float(np.quantile(difference, 0.998))
    if peak - floor < FAINTEST:
        return np.zeros_like(grey)
    return ((difference - floor) / (peak - floor)).clip(0, 1)


def cleaned(ink: Grey) -> Grey:
    """Ink without specks: parts that hang together and have next to nothing of all ink."""
    labels, count = ndimage.label(ink > EDGE, structure=np.ones((3, 3)))
    masses = ndimage.sum_labels(ink, labels, np.arange(1, count + 1))
    small = np.flatnonzero(masses < SPECK * ink.sum()) + 1
    return np.where(np.isin(labels, small), 0, ink).astype(np.float32)


def boxed(ink: Grey) -> Grey:
    """The smallest part that has all the ink but faint edges."""
    rows, columns = (np.flatnonzero((ink > EDGE).any(axis=axis)) for axis in (1, 0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


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
