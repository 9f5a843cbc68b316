"""Images of one's own: arrays in an .npz file, and pictures in class folders. Format and checks: docs/data.md."""

import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from digitcmp.data.classes import CLASSES, PARTS, TEST, class_numbers, is_divided, pictures_of
from digitcmp.data.images import grey_of
from digitcmp.data.pictures import KINDS, read_picture
from digitcmp.data.published import Arrays
from digitcmp.errors import ConfigError, DataError, shortened
from digitcmp.files import is_special

MOST_BYTES = 4_000_000_000  # of all arrays of a file, and of all pictures of a folder
ONE, TWO = ("images", "labels"), ("train_images", "train_labels", "test_images", "test_labels")


def read_npz(root: str | None) -> list[Arrays]:
    """The train and test arrays of an .npz file: train_images, train_labels, test_images and test_labels, or images and labels, which are
    divided (see `divided`). Raises ConfigError without a file, DataError for what is none or holds others."""
    path = given("npz", "a file", "FILE", root)
    found = read_arrays(path, (*ONE, *TWO), MOST_BYTES)
    names = ONE if set(ONE) <= set(found) else TWO
    if set(names) - set(found) or (names == ONE and set(TWO) & set(found)):
        raise DataError(
            f"{path}: its arrays are {', '.join(sorted(found)) or 'none'}; there must be {' and '.join(ONE)}, or {', '.join(TWO)}"
        )
    pairs = [
        (numbers(path, image, found[image]), whole(path, label, found[label])) for image, label in zip(names[::2], names[1::2], strict=True)
    ]
    return divided(*pairs[0]) if names == ONE else pairs


def read_arrays(path: Path, wanted: Sequence[str], most: int) -> dict[str, np.ndarray]:
    """The arrays of a file, those that are not wanted without what is in them. None is made by code in the file. Raises DataError."""
    try:
        if is_special(path):
            raise OSError("it is no file")
        with zipfile.ZipFile(path) as packed:
            if (size := sum(one.file_size for one in packed.infolist())) > most:
                raise DataError(f"{path}: its arrays have {size:,} bytes, more than {most:,}; divide it")
            if twice := [name.removesuffix(".npy") for name, count in Counter(packed.namelist()).items() if count > 1]:
                raise DataError(f"{path}: it has two arrays {twice[0]}, of which only one would be read")
        with np.load(path, allow_pickle=False) as found:
            return {name: read_array(path, name, found) if name in wanted else np.empty(0) for name in found.files}
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"{path}: it cannot be read: {error.strerror or error}") from error
    except Exception as error:  # damaged files make the library raise anything
        raise DataError(f"{path}: it is no .npz file that can be read ({type(error).__name__}: {error})") from error


def read_array(path: Path, name: str, found: np.lib.npyio.NpzFile) -> np.ndarray:
    """One array. Raises DataError for one that only code in the file could make."""
    try:
        array: np.ndarray = found[name]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise DataError(
            f"{path}: {name} holds Python objects, which are not read, as they may run code; save an array of numbers"
        ) from error
    if not isinstance(array, np.ndarray):
        raise DataError(f"{path}: {name} is no array")
    return array


def numbers(path: Path, name: str, images: np.ndarray) -> Tensor:
    """Images [N, s, s] or [N, s, s, 3] of an array, in grey. Raises DataError for anything else; values are checked with all data sets'."""
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] != 3) or not 0 < images.shape[1] == images.shape[2]:
        raise DataError(f"{path}: {name} are {list(images.shape)}; they must be square, [N, s, s] in grey or [N, s, s, 3] in colour")
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise DataError(f"{path}: {name} are {images.dtype}; they must be uint8, or floats from 0 to 1")
    if images.dtype.kind == "f" and not ((images >= 0) & (images <= 1)).all():  # not a number is neither
        raise DataError(f"{path}: {name} have values from {images.min():g} to {images.max():g}; floats must be finite, from 0 to 1")
    found = torch.from_numpy(images if images.dtype == np.uint8 else images.astype(np.float32))
    return grey_of(found) if images.ndim == 4 else found


def whole(path: Path, name: str, labels: np.ndarray) -> Tensor:
    """Labels int64 [N] of an array of whole numbers. Raises DataError for anything else."""
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DataError(f"{path}: {name} are {labels.dtype} {list(labels.shape)}; they must be whole numbers [N], one for each image")
    if labels.size and labels.max() > np.iinfo(np.int64).max:
        raise DataError(f"{path}: {name} are up to {labels.max()}; they must be from 0 to {CLASSES - 1}")
    return torch.from_numpy(labels.astype(np.int64))


def divided(images: Tensor, labels: Tensor) -> list[Arrays]:
    """Train and test arrays of one set: of each class, in the order of the set, every third image is for the test."""
    if images.shape[:1] != labels.shape:
        return [(images, labels)] * 2  # which is told, as for all data sets
    place = torch.zeros_like(labels)
    for own in range(CLASSES):
        place[labels == own] = torch.arange(int((labels == own).sum()))
    tested = place % TEST == TEST - 1
    return [(images[~tested], labels[~tested]), (images[tested], labels[tested])]


def read_folder(root: str | None) -> list[Arrays]:
    """The train and test arrays of a folder with train/ and test/, each with a folder of pictures for every class, or with these class
    folders itself, which are divided (see `divided`). Raises ConfigError without a folder, DataError."""
    base = given("folder", "a folder", "FOLDER", root)
    if not base.is_dir():
        raise DataError(f"data.root={shortened(base)}: there is no such folder")
    parts = [base / part for part in PARTS]
    if not is_divided(base):
        return divided(*read_classes(base, class_numbers(base)))
    for part in parts:
        if not part.is_dir():
            raise DataError(f"{part}: there is no such folder, as {base} has {'train' if part.name == 'test' else 'test'}")
    numbered = class_numbers(parts[0])
    if other := sorted(set(class_numbers(parts[1])) - set(numbered)):
        raise DataError(f"{parts[1]}: {parts[0]} has no class folder {other[0]}")
    return [read_classes(part, numbered) for part in parts]


def read_classes(folder: Path, numbered: dict[str, int]) -> Arrays:
    """The pictures of a folder's class folders, in grey, class after class in the order of names. Raises DataError for none, for one that
    cannot be read, and for one of another size than the first."""
    paths = [(path, number) for name, number in numbered.items() for path in pictures_of(folder / name)]
    if not paths:
        raise DataError(f"{folder}: its class folders have no pictures ({KINDS} files)")
    images: list[np.ndarray] = []
    for path, _ in paths:
        picture = read_picture(path)
        if picture.mode.startswith(("I", "F")):
            raise DataError(f"{path}: it has more than 8 bits for a pixel; save it with 8")
        images.append(grey := np.asarray(picture.convert("L")))
        if (size := len(paths) * images[0].nbytes) > MOST_BYTES:
            raise DataError(f"{folder}: its {len(paths):,} pictures have {size:,} bytes, more than {MOST_BYTES:,}; make them smaller")
        if grey.shape[0] != grey.shape[1] or grey.shape != images[0].shape:
            wanted = (
                "square"
                if grey.shape[0] != grey.shape[1]
                else f"of one size, and {paths[0][0]} has {' x '.join(map(str, images[0].shape))}"
            )
            raise DataError(f"{path}: it has {grey.shape[1]} x {grey.shape[0]} pixels; pictures must be {wanted}")
    return torch.from_numpy(np.stack(images)), torch.tensor([number for _, number in paths])


def given(source: str, what: str, name: str, root: str | None) -> Path:
    """The root of a data set. Raises ConfigError where there is none, and DataError for the home of nobody."""
    if root is None:
        raise ConfigError(f"data.root=null: data={source} needs {what}; use data.root={name}")
    try:
        return Path(root).expanduser()
    except RuntimeError as error:
        raise DataError(f"data.root={root}: there is no such user, whose home it could be") from error
