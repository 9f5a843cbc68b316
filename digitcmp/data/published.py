"""Data sets that their authors publish as files: each is a row of `PUBLISHED`, and all are found, checked, read and downloaded alike.

torchvision downloads them, and checks what has come. Files that are there are only read; what is known of them is checked each time.
"""

import bz2
import gzip
import hashlib
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from digitcmp.counting import are, part_of
from digitcmp.errors import ConfigError, DataError, RunError, shortened
from digitcmp.files import write_whole

Arrays = tuple[Tensor, Tensor]  # images uint8 or float32 [N, s, s], labels int64 [N]
UNPACK: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.decompress, ".bz2": bz2.decompress}
TYPES = {8: ">u1", 12: ">i4"}  # of the numbers of an IDX file


def mnist_files(*sums: str) -> dict[str, str]:
    """The four files of MNIST, whose names other data sets have taken over, each with its sum."""
    names = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    return dict(zip(names, sums, strict=True))


def of_idx(contents: list[bytes]) -> list[Arrays]:
    """Images and labels of pairs of IDX files, the format of MNIST. Raises ValueError, KeyError or IndexError for what is none."""
    images, labels = ([idx(content) for content in contents[begin::2]] for begin in (0, 1))
    classes = [one if one.ndim == 1 else one[:, 0] for one in labels]  # QMNIST has more columns, about writers
    return [(torch.from_numpy(one), torch.from_numpy(own.astype(np.int64))) for one, own in zip(images, classes, strict=True)]


def idx(content: bytes) -> np.ndarray:
    """The array of an IDX file. Raises ValueError, KeyError or IndexError for what is none."""
    shape = np.frombuffer(content, ">i4", content[3], 4)
    return np.frombuffer(bytearray(content), TYPES[content[2]], offset=4 + shape.nbytes).reshape(shape)


def transposed(contents: list[bytes]) -> list[Arrays]:
    """As `of_idx`, of images that lie in their files column by column."""
    return [(images.transpose(1, 2).contiguous(), labels) for images, labels in of_idx(contents)]


def of_lines(contents: list[bytes]) -> list[Arrays]:
    """Images of 16 x 16 in LIBSVM's format, a line for each: its class from 1 to 10, and number:value with values from -1 to 1. Raises
    ValueError or IndexError for what is none."""
    found = []
    for content in contents:
        rows = [line.split() for line in content.splitlines()]
        pixels = np.array([[float(one.split(b":")[1]) for one in row[1:]] for row in rows], dtype=np.float32)
        images = torch.from_numpy(((pixels + 1) / 2).reshape(-1, 16, 16))
        found.append((images, torch.tensor([int(row[0]) - 1 for row in rows])))
    return found


@dataclass(frozen=True)
class Published:
    """A data set as it is published. reader: torchvision's class, which downloads it; folder: where that puts it, below the root.

    files: names of the train files and of as many test files, unpacked, each with the SHA-256 sum of what is in it (64 digits), or the
    MD5 sum of the packed file (32), or nothing where none is published. packed: how packed files end. arrays: from what is in the files to
    train and test arrays. options: what torchvision's class is told.
    """

    reader: str
    folder: str
    files: Mapping[str, str]
    arrays: Callable[[list[bytes]], list[Arrays]] = of_idx
    packed: str = ".gz"
    options: Mapping[str, Any] = field(default_factory=dict)

    def stored(self, name: str) -> str:
        """A file's name as it is best kept: packed where that is what has a sum."""
        return name + self.packed if len(self.files[name]) == 32 else name

    def tells(self, name: str, path: Path) -> bool:
        """Whether a file is surely one of this data set: by its sum, a name that no other has, or the name of the folder."""
        checked = len(self.files[name]) == 64 or (self.files[name] and path.suffix == self.packed)
        return bool(checked) or name not in PUBLISHED["mnist"].files or self.reader in path.absolute().parts


PUBLISHED = {
    # LeCun, Cortes and Burges
    "mnist": Published(
        "MNIST",
        "MNIST/raw",
        mnist_files(
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    # Xiao, Rasul and Vollgraf 2017
    "fashion_mnist": Published(
        "FashionMNIST",
        "FashionMNIST/raw",
        mnist_files(
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
    ),
    # Clanuwat et al. 2018
    "kmnist": Published(
        "KMNIST",
        "KMNIST/raw",
        mnist_files(
            "bdb82020997e1d708af4cf47b453dcf7",
            "e144d726b3acfaa3e44228e80efcd344",
            "5c965bf0a639b31b8f53240b1b52f4d7",
            "7320c461ea6c1c855c0b718fb2a4b134",
        ),
    ),
    # Cohen et al. 2017; published in one archive of all its parts
    "emnist_digits": Published(
        "EMNIST",
        "EMNIST/raw",
        {f"emnist-digits-{part}": "" for part in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")}
        | {f"emnist-digits-{part}": "" for part in ("test-images-idx3-ubyte", "test-labels-idx1-ubyte")},
        transposed,
        options={"split": "digits"},
    ),
    # Yadav and Bottou 2019
    "qmnist": Published(
        "QMNIST",
        "QMNIST/raw",
        {
            "qmnist-train-images-idx3-ubyte": "ed72d4157d28c017586c42bc6afe6370",
            "qmnist-train-labels-idx2-int": "0058f8dd561b90ffdd0f734c6a30e5e4",
            "qmnist-test-images-idx3-ubyte": "1394631089c404de565df7b7aeaf9412",
            "qmnist-test-labels-idx2-int": "5b5b05890a5e13444e108efe57b788aa",
        },
    ),
    # Hull 1994
    "usps": Published(
        "USPS", "", {"usps": "ec16c51db3855ca6c91edd34d0e9b197", "usps.t": "8ea070ee2aca1ac39742fdd1ef5ed118"}, of_lines, ".bz2"
    ),
}


def read_published(name: str, root: str | None) -> list[Arrays]:
    """The train and test arrays of a published data set. Its files lie where torchvision puts them below the root, or are found nearby (see
    `find`); missing ones are downloaded.

    Raises ConfigError without a root; DataError when files are missing and cannot be downloaded, when one is damaged, or when torch and
    torchvision do not fit together.
    """
    kind = PUBLISHED[name]
    if root is None:
        raise ConfigError(f"data.root=null: data={name} needs a folder; use data.root=FOLDER or set DIGITCMP_DATA")
    try:
        base = Path(root).expanduser()
        found = find(kind, base)
    except RuntimeError as error:
        raise DataError(f"data.root={root}: there is no such user, whose home it could be") from error
    except OSError as error:
        raise DataError(f"data.root={shortened(root)} cannot be read: {error.strerror}") from error
    if len(found) < len(kind.files):
        download(name, base, found)
        found = find(kind, base)
    contents = [content_of(kind, file, found[file]) for file in kind.files]
    try:
        return kind.arrays(contents)
    except (ValueError, KeyError, IndexError) as error:
        places = ", ".join(str(found[file].resolve()) for file in kind.files)
        raise DataError(f"data={name}: one of {places} is damaged or truncated ({error}); delete it to have it downloaded again") from error


def find(kind: Published, base: Path) -> dict[str, Path]:
    """The files of a data set that are there, by their names: where torchvision puts them, in raw, or in the folder itself; also packed,
    and also with a dot in their names (train-images.idx3-ubyte)."""
    places = (base, base / "raw", base / kind.folder)
    ends = (kind.packed, "") if all(len(sum_) == 64 for sum_ in kind.files.values()) else ("", kind.packed)  # those with sums last
    return {
        name: path
        for name in kind.files
        for path in [place / (spelling + end) for place in places for end in ends for spelling in (name.replace("-idx", ".idx"), name)]
        if path.is_file() and kind.tells(name, path)  # the last one that is there counts
    }


def content_of(kind: Published, name: str, path: Path) -> bytes:
    """What is in a file, unpacked. Raises DataError for one that cannot be read, or is not what the file of this name has always been."""
    try:
        packed = content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path.resolve()} cannot be read: {error.strerror}") from error
    if path.suffix == kind.packed:
        try:
            content = UNPACK[kind.packed](packed)
        except (EOFError, ValueError, OSError, zlib.error):  # which libraries raise for damaged files
            content = b""
    expected = kind.files[name]
    algorithm, of = ("SHA-256", content) if len(expected) == 64 else ("MD5", packed)
    known = algorithm == "SHA-256" or (expected and path.suffix == kind.packed)
    sum_ = hashlib.new(algorithm.replace("-", "").lower(), of, usedforsecurity=False).hexdigest() if known else expected
    if sum_ != expected or not content:
        told = f", {algorithm} {sum_[:12]}…, expected {expected[:12]}…" if known else ""
        raise DataError(
            f"{path.resolve()} is damaged or truncated ({path.stat().st_size} bytes{told}); delete it to have it downloaded again"
        )
    return content


def downloader(kind: Published) -> Any:
    """torchvision's class. Raises DataError when this torchvision was not built for this torch."""
    try:
        return getattr(import_module("torchvision.datasets"), kind.reader)
    except (ImportError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"torch {torch.__version__} and the installed torchvision do not fit together ({reason}); "
            "install both from the same place: pip install --force-reinstall torch torchvision"
        ) from error


def download(name: str, base: Path, found: Mapping[str, Path]) -> None:
    """Fetch the files that were not found. Nothing is made in the data folder unless they have come.

    Raises DataError that names the folder, the files, what was found, and the way out.
    """
    kind = PUBLISHED[name]
    reader, folder, missing = downloader(kind), base / kind.folder, [file for file in kind.files if file not in found]
    try:
        with TemporaryDirectory() as temporary:
            for train in (True, False):
                reader(temporary, train=train, download=True, **kind.options)
            for file in map(kind.stored, missing):
                write_whole(folder / file, (Path(temporary) / kind.folder / file).read_bytes())
    except (OSError, RuntimeError, RunError) as error:
        reason = str(error).splitlines()[0].rstrip(":")
        there = f"; found: {', '.join(map(str, found.values()))}" if found else ""
        these = f"{part_of(len(missing), len(kind.files), 'file')} ({', '.join(map(kind.stored, missing))})"
        raise DataError(
            f"data={name}: {these} {are(len(missing))} missing in {folder.resolve()} and could not be downloaded "
            f"({reason}){there}; put them there, set DIGITCMP_DATA to the folder that holds {kind.folder or 'them'}, or use data=digits"
        ) from error
