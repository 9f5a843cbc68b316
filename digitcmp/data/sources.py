"""Where digit images come from. A new data set is one function here and one YAML file in conf/data/.

Every source gives grey images of one square size, split once and for all into train and test images; `read` checks that, and `load`
brings them to the size that networks see.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor

from digitcmp.config.offered import Offer
from digitcmp.config.registry import Registry
from digitcmp.config.schema import SIZE
from digitcmp.data.fingerprint import forget
from digitcmp.data.images import resized
from digitcmp.data.published import PUBLISHED, read_published
from digitcmp.errors import ConfigError, DataError, DigitcmpError

# SHA-256 of the bundled digits, their classes and their split
DIGITS_SUM = "9a9abcb089109bc5316da3af3a846e1a15927c6006eaceb7a2bacd6af2055fe3"


@dataclass(frozen=True)
class Split:
    """Digit images and their classes: images [N, s, s], float32 in [0, 1] or uint8 in 0 … 255, labels int64 [N] in 0 … 9."""

    images: Tensor
    labels: Tensor

    def at(self, size: int) -> "Split":
        """The same with images float32 [N, size, size] in [0, 1]."""
        return Split(resized(self.images, size), self.labels)


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
    """scikit-learn's bundled digits: 1,797 images of 8 x 8 from 43 writers.

    Two thirds are train images, one third test images, stratified by class and the same for everybody. `root` is not used.
    Source of the data: E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI. Raises DataError when the
    installed scikit-learn has or splits them otherwise.
    """
    from sklearn.datasets import load_digits as bundled
    from sklearn.model_selection import train_test_split

    del root
    raw = bundled()
    images = torch.from_numpy(raw.images).to(torch.float32).div(16)
    labels = torch.from_numpy(raw.target).to(torch.int64)
    train, test = train_test_split(range(len(labels)), test_size=1 / 3, stratify=raw.target, random_state=0)
    found = hashlib.sha256(raw.images.astype("uint8").tobytes() + raw.target.astype("uint8").tobytes() + repr([train, test]).encode())
    if found.hexdigest() != DIGITS_SUM:
        raise DataError(
            f"data=digits: scikit-learn {version('scikit-learn')} has other digits, or splits them otherwise, than version 1.9.1"
        )
    return Source("digits", Split(images[train], labels[train]), Split(images[test], labels[test]), repeat=True)


def load_published(name: str, root: str | None) -> Source:
    """A data set of `digitcmp.data.published`."""
    train, test = read_published(name, root)
    return Source(name, Split(*train), Split(*test), repeat=False)


def load_npz(root: str | None) -> Source:
    """Arrays of one's own (see `read_npz`)."""
    from digitcmp.data.own import read_npz  # with a library for pictures, which nobody else waits for

    train, test = read_npz(root)
    return Source("npz", Split(*train), Split(*test), repeat=True)


def load_folder(root: str | None) -> Source:
    """Pictures of one's own (see `read_folder`)."""
    from digitcmp.data.own import read_folder

    train, test = read_folder(root)
    return Source("folder", Split(*train), Split(*test), repeat=True)


OWN: dict[str, Callable[[str | None], Source]] = {
    "digits": load_digits,
    **{name: partial(load_published, name) for name in PUBLISHED},
    "npz": load_npz,
    "folder": load_folder,
}
SOURCES = Registry[Callable[[str | None], Source]]("data", OWN, Offer.load)


GIVEN: dict[tuple[str, str | None, str | None, int], Source] = {}  # by the arguments of `load`: on a machine without their files


@lru_cache(maxsize=4)
def load(source: str, root: str | None, fingerprint: str | None = None, size: int = SIZE) -> Source:
    """The data set with this name, read once per process, its images float32 [N, size, size]. fingerprint: of its arrays as they come,
    where it is known which they are to be.

    Raises ConfigError for an unknown name, DataError for bad files, arrays that no source may have, and those of other data.
    """
    if given := GIVEN.get((source, root, fingerprint, size)):
        return given
    found = read(source, root)
    if fingerprint is not None and fingerprint != found.fingerprint:
        now = f"data.root={root}: these are other data (fingerprint {found.fingerprint}) than"
        if helps := forget(source, root, fingerprint):
            raise DataError(f"{now} they were when they were last read ({fingerprint}); {helps}")
        raise DataError(f"{now} those that are asked for ({fingerprint})")
    return replace(found, train=found.train.at(size), test=found.test.at(size))


@lru_cache(maxsize=1)
def load_on(device: torch.device, source: str, root: str | None, fingerprint: str | None, size: int) -> Source:
    """The same with its images on this device. Labels stay: pairs are drawn on the CPU."""
    found = load(source, root, fingerprint, size)
    train, test = (replace(split, images=split.images.to(device)) for split in (found.train, found.test))
    return replace(found, train=train, test=test)


def read(source: str, root: str | None) -> Source:
    """The data set with this name as it comes, read anew. Raises ConfigError and DataError."""
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
    if fault := form_of(found):
        raise DataError(f"data.source={source}, data.root={root}: {fault}")
    for name, split in (("train", found.train), ("test", found.test)):
        if fault := fault_of(split):
            raise DataError(f"data.source={source}, data.root={root}: the {name} {fault}")
    sides = found.train.images.shape[-1], found.test.images.shape[-1]
    if sides[0] != sides[1]:
        raise DataError(f"data.source={source}, data.root={root}: train images have a side of {sides[0]} pixels, test images of {sides[1]}")
    return found


def form_of(found: Any) -> str:
    """What is wrong with what a source of others gives, in words, before anything is known of its arrays; empty when nothing is."""
    if not isinstance(found, Source):
        return f"it gives a {type(found).__name__}; it is to give a digitcmp.data.sources.Source"
    given: list[tuple[str, Any]] = [("repeat", found.repeat), ("train", found.train), ("test", found.test)]
    if not isinstance(given[0][1], bool):
        return f"its repeat is {given[0][1]!r}; it must be True or False"
    for name, split in given[1:]:
        if not isinstance(split, Split):
            return f"its {name} is a {type(split).__name__}; it must be a digitcmp.data.sources.Split"
        arrays: list[tuple[str, Any]] = [("images", split.images), ("labels", split.labels)]
        for part, array in arrays:
            if not isinstance(array, Tensor):
                return f"the {name} {part} are a {type(array).__name__}; they must be a torch.Tensor, as torch.from_numpy makes one"
            if array.requires_grad or array.layout is not torch.strided or array.device.type != "cpu":
                kind = "want gradients" if array.requires_grad else f"are {array.layout} on {array.device}"
                return f"the {name} {part} {kind}; they must be ordinary tensors on the CPU, as {part}.detach().cpu() is one"
    return ""


def fault_of(split: Split) -> str:
    """What is wrong with a split's arrays, in words; empty when nothing is."""
    images, labels = split.images, split.labels
    square = images.ndim == 3 and 0 < images.shape[1] == images.shape[2]
    if images.dtype not in (torch.float32, torch.uint8) or not square:
        return f"images are {images.dtype} {list(images.shape)}; they must be torch.float32 or torch.uint8, and square, [N, s, s]"
    if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
        return f"labels are {labels.dtype} {list(labels.shape)}; they must be torch.int64 [{len(images)}], one for each image"
    if len(labels) < 2:
        return f"images are {len(labels)}; a pair needs two"
    if images.is_floating_point() and not ((images >= 0) & (images <= 1)).all():  # not a number is neither
        return f"images have values from {images.min():g} to {images.max():g}; they must be finite, from 0 to 1"
    if images.min() == images.max():
        return f"images have the value {images.min():g} everywhere; there is nothing to be seen"
    if not ((labels >= 0) & (labels <= 9)).all():
        return f"labels are from {labels.min()} to {labels.max()}; they must be from 0 to 9"
    if labels.min() == labels.max():
        return f"labels are all {labels.min()}; images of one class alone cannot be compared"
    return ""
