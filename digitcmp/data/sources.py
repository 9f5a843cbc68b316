"""Where digit images come from. A new data set is one function here and one YAML file in conf/data/.

Every source gives grey images of 14 x 14 pixels in [0, 1], split once and for all into train and test images.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from digitcmp.data import mnist
from digitcmp.errors import ConfigError

SIZE = 14


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


def load_digits(root: str | None) -> Source:
    """scikit-learn's bundled digits: 1,797 images of 8 x 8 from 43 writers, resized (bilinear) to 14 x 14.

    Two thirds are train images, one third test images, stratified by class and the same for everybody. `root` is not used.
    Source of the data: E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI.
    """
    from sklearn.datasets import load_digits as bundled
    from sklearn.model_selection import train_test_split

    del root
    raw = bundled()
    grey = torch.from_numpy(raw.images).to(torch.float32).div(16)
    images = interpolate(grey[:, None], size=(SIZE, SIZE), mode="bilinear", align_corners=False)[:, 0]
    labels = torch.from_numpy(raw.target).to(torch.int64)
    train, test = train_test_split(range(len(labels)), test_size=1 / 3, stratify=raw.target, random_state=0)
    return Source("digits", Split(images[train], labels[train]), Split(images[test], labels[test]), repeat=True)


def load_mnist(root: str | None) -> Source:
    """MNIST below `root` (see `digitcmp.data.mnist`), each image averaged over 2 x 2 blocks to 14 x 14.

    Raises DataError when files are missing and cannot be downloaded, or damaged.
    """
    if root is None:
        raise ConfigError("data.root=null: data=mnist needs a folder; use data.root=FOLDER or set DIGITCMP_DATA")
    splits = []
    for images, labels in mnist.read(root):
        blocks = images.view(len(images), SIZE, 2, SIZE, 2)
        # sums of four bytes fit into int16; summing integers first keeps the memory small and the result exact
        sums = blocks.to(torch.int16).sum(dim=(2, 4), dtype=torch.int16)
        splits.append(Split(sums.to(torch.float32).div_(4 * 255), labels))
    return Source("mnist", splits[0], splits[1], repeat=False)


SOURCES: dict[str, Callable[[str | None], Source]] = {"digits": load_digits, "mnist": load_mnist}


@lru_cache(maxsize=4)
def load(source: str, root: str | None) -> Source:
    """The data set with this name, read once per process. Raises ConfigError for an unknown name, DataError for bad files."""
    if source not in SOURCES:
        raise ConfigError(f"data.source={source}: choose one of {', '.join(SOURCES)} (digitcmp/data/sources.py)")
    return SOURCES[source](root)
