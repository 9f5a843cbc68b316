"""What every data source promises."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits as bundled
from torch.nn.functional import interpolate

from digitcmp.contracts.data import PROMISES
from digitcmp.data.fingerprint import PINNED, fingerprint_of
from digitcmp.data.published import PUBLISHED
from digitcmp.data.sources import SOURCES, Source, Split, load, read
from digitcmp.errors import ConfigError, DataError
from tests.conftest import MNIST_FILE, MNIST_ROOT, compose_config, needs_mnist
from tests.data.made import Parts, make

EACH = pytest.mark.parametrize("made_source", SOURCES, indirect=True)


@dataclass(frozen=True)
class Made:
    """A small data set, and what it must be read as. root: its data.root."""

    name: str
    root: str | None
    parts: Parts

    def at(self, size: int) -> Source:
        """As networks see it."""
        load.cache_clear()
        return load(self.name, self.root, None, size)


@pytest.fixture
def made_source(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    """Each data set, as files of its own format that the test has made."""
    return Made(request.param, *make(request.param, tmp_path, monkeypatch))


def raw_bytes(name: str, start: int, count: int) -> bytes:
    """Some bytes of one of the four MNIST files."""
    with (MNIST_FILE.parent / name).open("rb") as file:
        file.seek(start)
        return file.read(count)


@EACH
@pytest.mark.parametrize("size", [14, 28, 9])
def test_images_and_labels(made_source: Made, size: int) -> None:
    """Grey float images of the size that is asked for, which use most of [0, 1], and all ten classes in both splits."""
    source = made_source.at(size)
    for split in (source.train, source.test):
        assert split.images.shape == (len(split.labels), size, size)
        assert (split.images.dtype, split.labels.dtype) == (torch.float32, torch.int64)
        assert 0 <= split.images.min() < 0.1
        assert 0.9 < split.images.max() <= 1
        assert split.labels.unique().tolist() == list(range(10))


@EACH
@pytest.mark.parametrize("promise", PROMISES)
def test_promises(made_source: Made, promise: str) -> None:
    """Those that anybody's data set keeps (`digitcmp.contracts.data`)."""
    where = [] if made_source.root is None else [f"data.root='{made_source.root}'"]
    PROMISES[promise](compose_config(f"data={made_source.name}", *where, "data.train_pairs=40", "data.test_pairs=30", "batch_size=20"))


@EACH
def test_a_source_is_known_whatever_the_size(made_source: Made) -> None:
    """Its fingerprint is that of its files."""
    first, again = (read(made_source.name, made_source.root) for _ in range(2))
    assert first.fingerprint == again.fingerprint
    assert (first.name, again.name) == (made_source.name, made_source.name)
    for size in (14, 28):
        load(made_source.name, made_source.root, first.fingerprint, size)
        with pytest.raises(DataError, match="these are other data"):
            load(made_source.name, made_source.root, "0" * 12, size)


@EACH
def test_what_is_in_the_files_is_what_is_read(made_source: Made) -> None:
    """Each image, upright, with its own label, in its own part."""
    found = read(made_source.name, made_source.root)
    for split, (images, labels) in zip((found.train, found.test), made_source.parts, strict=False):
        grey = (split.images if split.images.is_floating_point() else split.images / 255).numpy()
        ours = sorted(zip(split.labels.tolist(), (grey.round(5).tolist()), strict=True))
        assert ours == sorted(zip(labels.tolist(), (images.astype(np.float32) / 255).round(5).tolist(), strict=True))


def test_an_unknown_source_is_refused() -> None:
    """The error quotes the name and tells the right ones."""
    with pytest.raises(ConfigError, match=r"data\.source=letters: choose one of .*digits.*mnist"):
        load("letters", None)


@pytest.mark.parametrize("name", ["npz", "folder", *PUBLISHED])
def test_a_root_is_needed(name: str) -> None:
    """The error says how to give one."""
    with pytest.raises(ConfigError, match=rf"^data\.root=null: data={name} needs a f[a-z]+; use data\.root=F[A-Z]+"):
        load(name, None)


@pytest.mark.parametrize("name", ["npz", "folder", *PUBLISHED])
def test_the_home_of_nobody(name: str) -> None:
    """One line."""
    with pytest.raises(DataError, match=r"^data\.root=~nobody_of_that_name/x: there is no such user"):
        load(name, "~nobody_of_that_name/x")
    if name not in PINNED:
        with pytest.raises(DataError, match=r"^data\.root=~nobody_of_that_name/x: there is no such user"):
            fingerprint_of(name, "~nobody_of_that_name/x")


def labelled(*splits: Split) -> list[tuple[int, bytes]]:
    """All images with their labels, in an order of their own."""
    return sorted(
        (label, image.numpy().tobytes()) for split in splits for image, label in zip(split.images, split.labels.tolist(), strict=True)
    )


def test_digits_split_the_bundled_images_without_overlap() -> None:
    """Train and test images together are the 1,797 bundled ones, each with its label, each once."""
    source, raw = load("digits", None), bundled()
    resized = interpolate(torch.tensor(raw.images, dtype=torch.float32)[:, None] / 16, (14, 14), mode="bilinear")[:, 0]
    assert (len(source.train.labels), len(source.test.labels)) == (1198, 599)
    assert labelled(source.train, source.test) == labelled(Split(resized, torch.tensor(raw.target)))
    assert source.repeat


def test_digits_have_the_same_classes_in_both_splits() -> None:
    """The split is stratified: no class is rarer in one half."""
    source = load("digits", None)
    train, test = (split.labels.bincount() / len(split.labels) for split in (source.train, source.test))
    torch.testing.assert_close(train, test, rtol=0, atol=0.002)


@needs_mnist
def test_mnist_has_its_published_sizes() -> None:
    """60,000 train and 10,000 test images, none of which needs repeating."""
    source = load("mnist", MNIST_ROOT)
    assert (len(source.train.labels), len(source.test.labels)) == (60_000, 10_000)
    assert not source.repeat


@needs_mnist
def test_mnist_at_its_own_size_is_the_file() -> None:
    """Bytes of the raw file, divided by 255."""
    image = load("mnist", MNIST_ROOT, None, 28).test.images[77]
    assert torch.equal(image, torch.tensor(list(raw_bytes("t10k-images-idx3-ubyte", 16 + 784 * 77, 784))).view(28, 28) / 255)


@needs_mnist
@pytest.mark.parametrize(("part", "number"), [("train", 4242), ("train", 59_999), ("t10k", 77)])
def test_mnist_images_are_block_means_of_the_file(part: str, number: int) -> None:
    """Each pixel is the mean of 2 x 2 bytes of the raw file, divided by 255; the label is the raw byte."""
    source = load("mnist", MNIST_ROOT)
    split = source.train if part == "train" else source.test
    raw = raw_bytes(f"{part}-images-idx3-ubyte", 16 + 784 * number, 784)
    means = [[sum(raw[28 * (2 * y + dy) + 2 * x + dx] for dy in (0, 1) for dx in (0, 1)) / 4 / 255 for x in range(14)] for y in range(14)]
    torch.testing.assert_close(split.images[number], torch.tensor(means), rtol=0, atol=1e-6)
    assert split.labels[number].item() == raw_bytes(f"{part}-labels-idx1-ubyte", 8 + number, 1)[0]
