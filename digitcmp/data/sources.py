"""Where digit images come from. A new data set is one function here and one YAML file in conf/data/.

Every source gives grey images of 14 x 14 pixels in [0, 1], split once and for all into train and test images; `load` checks that.
"""

import gzip
import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from digitcmp.config.offered import Offer
from digitcmp.config.registry import Registry
from digitcmp.errors import ConfigError, DataError, DigitcmpError, RunError, shortened
from digitcmp.files import write_whole

SIZE = 14

# SHA-256 of the uncompressed MNIST files of LeCun, Cortes and Burges
MNIST_SUMS = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
# of the bundled digits, their classes and their split
DIGITS_SUM = "9a9abcb089109bc5316da3af3a846e1a15927c6006eaceb7a2bacd6af2055fe3"


@dataclass(frozen=True)
class Split:
    """Digit images and their classes: images float32 [N, 14, 14] in [0, 1], labels int64 [N] in 0 … 9."""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Source:
    """A data set. `repeat` says whether an image may occur in several pairs of a round (small data sets need it)."""

    name: str
    train: Split
    test: Split
    repeat: bool

    @cached_property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits of the SHA-256 sum of all that a round gets to see."""
        found = hashlib.sha256(f"{self.repeat} {len(self.train.labels)}".encode())
        for split in (self.train, self.test):
            found.update(split.images.contiguous().numpy().tobytes())
            found.update(split.labels.contiguous().numpy().tobytes())
        return found.hexdigest()[:12]


def load_digits(root: str | None) -> Source:
    """scikit-learn's bundled digits: 1,797 images of 8 x 8 from 43 writers, resized (bilinear) to 14 x 14.

    Two thirds are train images, one third test images, stratified by class and the same for everybody. `root` is not used.
    Source of the data: E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI. Raises DataError when the
    installed scikit-learn has or splits them otherwise.
    """
    from sklearn.datasets import load_digits as bundled
    from sklearn.model_selection import train_test_split

    del root
    raw = bundled()
    grey = torch.from_numpy(raw.images).to(torch.float32).div(16)
    images = from_bundled(grey)
    labels = torch.from_numpy(raw.target).to(torch.int64)
    train, test = train_test_split(range(len(labels)), test_size=1 / 3, stratify=raw.target, random_state=0)
    found = hashlib.sha256(raw.images.astype("uint8").tobytes() + raw.target.astype("uint8").tobytes() + repr([train, test]).encode())
    if found.hexdigest() != DIGITS_SUM:
        raise DataError(
            f"data=digits: scikit-learn {version('scikit-learn')} has other digits, or splits them otherwise, than version 1.9.1"
        )
    return Source("digits", Split(images[train], labels[train]), Split(images[test], labels[test]), repeat=True)


def from_bundled(grey: Tensor) -> Tensor:
    """Images [N, 8, 8] as the bundled digits have them -> [N, 14, 14]."""
    return interpolate(grey[:, None], size=(SIZE, SIZE), mode="bilinear", align_corners=False)[:, 0]


def load_mnist(root: str | None) -> Source:
    """MNIST, each image averaged over 2 x 2 blocks to 14 x 14. Its four files lie in root/MNIST/raw, or are found nearby (see
    `find_mnist`); missing ones are downloaded.

    Raises DataError when files are missing and cannot be downloaded, when one is damaged, or when torch and torchvision, which
    downloads them, do not fit together.
    """
    if root is None:
        raise ConfigError("data.root=null: data=mnist needs a folder; use data.root=FOLDER or set DIGITCMP_DATA")
    try:
        base = Path(root).expanduser()
        found = find_mnist(base)
    except RuntimeError as error:
        raise DataError(f"data.root={root}: there is no such user, whose home it could be") from error
    except OSError as error:
        raise DataError(f"data.root={shortened(root)} cannot be read: {error.strerror}") from error
    if len(found) < len(MNIST_SUMS):
        download(base, found)
        found = find_mnist(base)
    splits = []
    for part in ("train", "t10k"):
        images, labels = (read_mnist(found[name], name) for name in MNIST_SUMS if name.startswith(part))
        blocks = images[16:].view(-1, SIZE, 2, SIZE, 2)  # behind the header of the file
        # sums of four bytes fit into int16; summing integers first keeps the memory small and the result exact
        sums = blocks.to(torch.int16).sum(dim=(2, 4), dtype=torch.int16)
        splits.append(Split(sums.to(torch.float32).div_(4 * 255), labels[8:].to(torch.int64)))
    return Source("mnist", splits[0], splits[1], repeat=False)


def find_mnist(base: Path) -> dict[str, Path]:
    """The files of MNIST that are there, by their names: in MNIST/raw, in raw, or in the folder itself; also packed (.gz), and also with
    a dot in their names (train-images.idx3-ubyte)."""
    places = (base / "MNIST" / "raw", base / "raw", base)
    return {
        name: path
        for name in MNIST_SUMS
        for path in [
            place / (spelling + end)
            for place in reversed(places)
            for end in (".gz", "")
            for spelling in (name.replace("-idx", ".idx"), name)
        ]
        if path.is_file()  # the last one that is there counts
    }


def read_mnist(path: Path, name: str) -> Tensor:
    """The bytes of a file. Raises DataError for one that cannot be read, or is not what the file of this name has always been."""
    try:
        packed = path.read_bytes()
        content = gzip.decompress(packed) if path.suffix == ".gz" else packed
    except (EOFError, zlib.error, gzip.BadGzipFile):
        content = b""
    except OSError as error:
        raise DataError(f"{path.resolve()} cannot be read: {error.strerror}") from error
    if (sum_ := hashlib.sha256(content).hexdigest()) != MNIST_SUMS[name]:
        size = path.stat().st_size
        raise DataError(
            f"{path.resolve()} is damaged or truncated ({size} bytes, SHA-256 {sum_[:12]}…, expected {MNIST_SUMS[name][:12]}…)"
            "; delete it to have it downloaded again"
        )
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)


def mnist_reader() -> Any:
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


def download(base: Path, found: dict[str, Path]) -> None:
    """Fetch the files that were not found. Nothing is made in the data folder unless they have come.

    Raises DataError that names the folder, the four files, what was found, and the way out.
    """
    reader, folder = mnist_reader(), base / "MNIST" / "raw"
    try:
        with TemporaryDirectory() as temporary:
            reader(temporary, download=True)
            for name in {*MNIST_SUMS} - {*found}:
                write_whole(folder / name, (Path(temporary) / "MNIST" / "raw" / name).read_bytes())
    except (OSError, RuntimeError, RunError) as error:
        reason = str(error).splitlines()[0].rstrip(":")
        there = f"; found: {', '.join(str(path) for path in found.values())}" if found else ""
        raise DataError(
            f"data=mnist: {len(MNIST_SUMS) - len(found)} of the four files {', '.join(MNIST_SUMS)} are missing in {folder.resolve()} and "
            f"could not be downloaded ({reason}){there}; put them there, set DIGITCMP_DATA to the folder that holds MNIST/raw, or use "
            "data=digits"
        ) from error


SOURCES = Registry[Callable[[str | None], Source]]("data", {"digits": load_digits, "mnist": load_mnist}, Offer.load)


GIVEN: dict[tuple[str, str | None, str | None], Source] = {}  # by the arguments of `load`: on a machine without their files


@lru_cache(maxsize=4)
def load(source: str, root: str | None, fingerprint: str | None = None) -> Source:
    """The data set with this name, read once per process. fingerprint: of its arrays, where it is known which they are to be.

    Raises ConfigError for an unknown name, DataError for bad files, arrays that no source may have, and those of other data.
    """
    if given := GIVEN.get((source, root, fingerprint)):
        return given
    found = read(source, root)
    if fingerprint not in (None, found.fingerprint):
        raise DataError(f"data.root={root}: these are other data (fingerprint {found.fingerprint}) than those of the run ({fingerprint})")
    return found


def read(source: str, root: str | None) -> Source:
    """As `load`, anew. Raises ConfigError and DataError."""
    if source not in SOURCES:
        raise ConfigError(f"data.source={source}: choose one of {', '.join(SOURCES)} (docs/adding.md says how to add others)")
    try:
        found = SOURCES[source](root)
    except DigitcmpError:
        raise
    except OSError as error:
        raise DataError(
            f"data.source={source}, data.root={root}: cannot read {error.filename or 'it'}: {error.strerror or error}"
        ) from error
    except Exception as error:  # of whatever it reads with: damaged files make libraries raise anything
        raise DataError(f"data.source={source}, data.root={root}: cannot be read ({type(error).__name__}: {error})") from error
    for name, split in (("train", found.train), ("test", found.test)):
        if fault := fault_of(split):
            raise DataError(f"data.source={source}, data.root={root}: the {name} {fault}")
    return found


def fault_of(split: Split) -> str:
    """What is wrong with a split's arrays, in words; empty when nothing is."""
    images, labels = split.images, split.labels
    if images.dtype != torch.float32 or images.ndim != 3 or images.shape[1:] != (SIZE, SIZE):
        return f"images are {images.dtype} {list(images.shape)}; they must be torch.float32 [N, {SIZE}, {SIZE}]"
    if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
        return f"labels are {labels.dtype} {list(labels.shape)}; they must be torch.int64 [{len(images)}], one for each image"
    if len(labels) < 2:
        return f"images are {len(labels)}; a pair needs two"
    if not ((images >= 0) & (images <= 1)).all():  # not a number is neither
        return f"images have values from {images.min():g} to {images.max():g}; they must be finite, from 0 to 1"
    if not ((labels >= 0) & (labels <= 9)).all():
        return f"labels are from {labels.min()} to {labels.max()}; they must be from 0 to 9"
    return ""
