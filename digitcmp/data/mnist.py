"""The four MNIST files: verified before use, downloaded when missing.

torchvision reads and downloads them; it checks sums only of what it has just downloaded, so the files on disk are
checked here. Layout: root/MNIST/raw/.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch import Tensor

from digitcmp.errors import DataError

# SHA-256 of the uncompressed files of LeCun, Cortes and Burges
SUMS = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def read(root: str) -> Iterator[tuple[Tensor, Tensor]]:
    """The train split, then the test split: images uint8 [N, 28, 28] and labels int64 [N].

    Raises DataError when a file is missing and cannot be downloaded, when a file is damaged, or when torch and
    torchvision do not fit together.
    """
    folder = Path(root).expanduser() / "MNIST" / "raw"
    missing = [name for name in SUMS if not (folder / name).is_file()]
    reader = reader_class()
    if missing:
        download(reader, root, folder, missing)
    for name, expected in SUMS.items():
        verify(folder / name, expected)
    for train in (True, False):
        dataset = reader(str(Path(root).expanduser()), train=train)
        yield dataset.data, dataset.targets


def reader_class() -> Any:
    """torchvision's MNIST class. Raises DataError when this torchvision was not built for this torch."""
    try:
        from torchvision.datasets import MNIST
    except (ImportError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"torch {torch.__version__} and the installed torchvision do not fit together ({reason}); "
            "install both from the same place: pip install --force-reinstall torch torchvision"
        ) from error
    return MNIST


def download(reader: Any, root: str, folder: Path, missing: list[str]) -> None:
    """Fetch the missing files. Raises DataError that names the folder, the four files and the way out."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "download.lock"):  # several processes may start in an empty folder
            reader(str(Path(root).expanduser()), download=True)
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0].rstrip(":")
        raise DataError(
            f"data=mnist: {len(missing)} of the four files {', '.join(SUMS)} are missing in {folder.resolve()} and could not be "
            f"downloaded ({reason}); put them there, set DIGITCMP_DATA to the folder that holds MNIST/raw, or use data=digits"
        ) from error


def verify(path: Path, expected: str) -> None:
    """Raise DataError unless the file has the SHA-256 sum of the original."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise DataError(
            f"{path.resolve()} is damaged or truncated ({path.stat().st_size} bytes, SHA-256 {found[:12]}…, expected {expected[:12]}…); "
            "delete it to have it downloaded again"
        )
