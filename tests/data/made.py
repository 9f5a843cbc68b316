"""Small files of every data set, in the data set's own format."""

import bz2
import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from digitcmp.data import published

Bytes = NDArray[np.uint8]
Parts = list[tuple[Bytes, NDArray[np.int64]]]  # images and labels, for training and for the test
COUNTS = (90, 60)
PACK = {".gz": lambda content: gzip.compress(content, 1), ".bz2": bz2.compress}
SIDES = {"usps": 16}


def drawn(side: int = 28) -> Parts:
    """Coarse images that use all of 0 … 255, no two alike, and labels of ten classes."""
    random = np.random.default_rng(side)
    parts = []
    for count in COUNTS:
        coarse = random.integers(0, 256, (count, 4, 4), dtype=np.uint8)
        coarse[:, 0, 0], coarse[:, -1, -1] = 0, 255
        parts.append((coarse.repeat(side // 4, axis=1).repeat(side // 4, axis=2), np.arange(count) % 10))
    return parts


def idx(array: NDArray[np.generic], kind: int) -> bytes:
    """An IDX file. kind: 8 for bytes, 12 for whole numbers of four."""
    head = bytes([0, 0, kind, array.ndim]) + np.array(array.shape, dtype=">i4").tobytes()
    return head + array.astype({8: ">u1", 12: ">i4"}[kind]).tobytes()


def contents(name: str, parts: Parts) -> list[bytes]:
    """What is in the files of a published data set, in their order."""
    if name == "usps":
        return [
            b"".join(
                f"{label + 1} {' '.join(f'{at}:{value / 127.5 - 1:.7f}' for at, value in enumerate(image.flatten(), 1))}\n".encode()
                for image, label in zip(images, labels, strict=True)
            )
            for images, labels in parts
        ]
    found = []
    for images, labels in parts:
        found.append(idx(images.swapaxes(1, 2) if name == "emnist_digits" else images, 8))
        found.append(idx(np.stack([labels, labels + 100], axis=1), 12) if name == "qmnist" else idx(labels, 8))
    return found


def with_sums(name: str, files: Mapping[str, bytes], packed: Mapping[str, bytes], patch: pytest.MonkeyPatch) -> None:
    """Let the sums of these files be the published ones, where there are any. files: what is in them; packed: the same, packed."""
    kind = published.PUBLISHED[name]
    sums = {
        file: hashlib.sha256(files[file]).hexdigest() if len(sum_) == 64 else hashlib.md5(packed[file]).hexdigest() if sum_ else ""
        for file, sum_ in kind.files.items()
    }
    patch.setitem(published.PUBLISHED, name, replace(kind, files=sums))


def make_published(name: str, root: Path, patch: pytest.MonkeyPatch, parts: Parts, place: str | None = None) -> Path:
    """The files of a published data set below a root, as torchvision leaves them. place: another folder. Returns their folder."""
    kind = published.PUBLISHED[name]
    files = dict(zip(kind.files, contents(name, parts), strict=True))
    packed = {file: PACK[kind.packed](content) for file, content in files.items()}
    with_sums(name, files, packed, patch)
    folder = root / (kind.folder if place is None else place)
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        checked = len(kind.files[file]) == 32
        (folder / (file + kind.packed if checked else file)).write_bytes(packed[file] if checked else content)
    return folder


def save_pictures(folder: Path, images: Bytes, labels: NDArray[np.int64]) -> None:
    """A folder for each class, with its pictures in their order."""
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = folder / str(label) / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)


def make(name: str, folder: Path, patch: pytest.MonkeyPatch) -> tuple[str | None, Parts]:
    """A small data set: its data.root, and what it must be read as, in any order; nothing for what needs no files (the bundled digits)."""
    parts = drawn(SIDES.get(name, 28))
    if name not in ("npz", "folder", *published.PUBLISHED):
        return None, []
    if name == "npz":
        named = dict(zip(("train_images", "train_labels", "test_images", "test_labels"), [*parts[0], *parts[1]], strict=True))
        np.savez(folder / "own.npz", **named)  # type: ignore[arg-type]
        return str(folder / "own.npz"), parts
    if name == "folder":
        for part, place in zip(parts, ("train", "test"), strict=True):
            save_pictures(folder / place, *part)
    else:
        make_published(name, folder, patch, parts)
    return str(folder), parts
