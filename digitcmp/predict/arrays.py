"""Pairs of digits from an .npz file."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from digitcmp.data.sources import SIZE
from digitcmp.errors import DataError
from digitcmp.files import is_special

MOST_BYTES = 1_000_000_000  # of its arrays: as float32, some 600,000 pairs


@dataclass(frozen=True)
class NamedPairs:
    """Grey images [N, 2, 14, 14] in [0, 1], and digits int64 [N, 2] where the file tells them."""

    images: Tensor
    digits: Tensor | None


def read_pairs(path: Path) -> NamedPairs:
    """The pairs of a file with `images` [N, 2, 14, 14] or [N, 2, 28, 28] (which are averaged over 2 x 2 blocks), uint8 or floats from 0 to
    1, ink bright; and perhaps `digits` [N, 2]. They are taken as they are. Raises DataError for any other."""
    arrays = read_arrays(path)
    if "images" not in arrays:
        raise DataError(f"{path}: it has no array named images (its arrays: {', '.join(sorted(arrays)) or 'none'})")
    images, digits = arrays["images"], arrays.get("digits")
    sides = (SIZE, 2 * SIZE)
    if images.ndim != 4 or images.shape[1] != 2 or images.shape[2] != images.shape[3] or images.shape[2] not in sides or not len(images):
        raise DataError(f"{path}: images are {list(images.shape)}; they must be [N, 2, {SIZE}, {SIZE}] or [N, 2, {2 * SIZE}, {2 * SIZE}]")
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise DataError(f"{path}: images are {images.dtype}; they must be uint8, or floats from 0 to 1")
    grey = torch.from_numpy(images.astype(np.float32) / (255 if images.dtype == np.uint8 else 1))
    if not ((grey >= 0) & (grey <= 1)).all():  # not a number is neither
        raise DataError(f"{path}: images have values from {grey.min():g} to {grey.max():g}; floats must be finite, from 0 to 1")
    if grey.shape[-1] > SIZE:
        grey = grey.view(-1, 2, SIZE, 2, SIZE, 2).mean(dim=(3, 5))
    if digits is None:
        return NamedPairs(grey, None)
    if digits.shape != images.shape[:2] or digits.dtype.kind not in "iu" or not ((digits >= 0) & (digits <= 9)).all():
        raise DataError(f"{path}: digits must be whole numbers from 0 to 9, [{len(images)}, 2]")
    return NamedPairs(grey, torch.from_numpy(digits.astype(np.int64)))


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file; none is made by code in it. Raises DataError."""
    try:
        if is_special(path):
            raise OSError("it is no file")
        with zipfile.ZipFile(path) as packed:
            if (size := sum(one.file_size for one in packed.infolist())) > MOST_BYTES:
                raise DataError(f"{path}: its arrays have {size:,} bytes, more than {MOST_BYTES:,}; divide it")
        with np.load(path, allow_pickle=False) as found:
            return {name: found[name] for name in found.files if name in ("images", "digits")} or dict.fromkeys(found.files, np.empty(0))
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"{path}: it cannot be read: {error.strerror or error}") from error
    except Exception as error:  # damaged files make the library raise anything
        raise DataError(f"{path}: it is no .npz file that can be read ({type(error).__name__}: {error})") from error
