"""Pairs of digits from an .npz file."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from digitcmp.data.images import resized
from digitcmp.data.own import read_arrays
from digitcmp.errors import DataError

MOST_BYTES = 1_000_000_000  # of its arrays: as float32, some 600,000 pairs


@dataclass(frozen=True)
class NamedPairs:
    """Grey images [N, 2, size, size] in [0, 1], and digits int64 [N, 2] where the file tells them."""

    images: Tensor
    digits: Tensor | None


def read_pairs(path: Path, size: int) -> NamedPairs:
    """The pairs of a file with `images` [N, 2, s, s], uint8 or floats from 0 to 1, ink bright; and perhaps `digits` [N, 2]. They are taken
    as they are, at the size that the network sees. Raises DataError for any other."""
    arrays = read_arrays(path, ("images", "digits"), MOST_BYTES)
    if "images" not in arrays:
        raise DataError(f"{path}: it has no array named images (its arrays: {', '.join(sorted(arrays)) or 'none'})")
    images, digits = arrays["images"], arrays.get("digits")
    if not images.size:
        raise DataError(f"{path}: it has no pair (images are {list(images.shape)})")
    if images.ndim != 4 or images.shape[1] != 2 or images.shape[2] != images.shape[3]:
        raise DataError(f"{path}: images are {list(images.shape)}; they must be square, [N, 2, s, s]")
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise DataError(f"{path}: images are {images.dtype}; they must be uint8, or floats from 0 to 1")
    grey = torch.from_numpy(images.astype(np.float32) / (255 if images.dtype == np.uint8 else 1))
    if not ((grey >= 0) & (grey <= 1)).all():  # not a number is neither
        raise DataError(f"{path}: images have values from {grey.min():g} to {grey.max():g}; floats must be finite, from 0 to 1")
    grey = resized(grey.flatten(0, 1), size).view(-1, 2, size, size)
    if digits is None:
        return NamedPairs(grey, None)
    if digits.shape != images.shape[:2] or digits.dtype.kind not in "iu" or not ((digits >= 0) & (digits <= 9)).all():
        raise DataError(f"{path}: digits must be whole numbers from 0 to 9, [{len(images)}, 2]")
    return NamedPairs(grey, torch.from_numpy(digits.astype(np.int64)))
