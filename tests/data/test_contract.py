"""What every data source promises."""

import pytest
import torch
from sklearn.datasets import load_digits as bundled
from torch.nn.functional import interpolate

from digitcmp.contracts.data import PROMISES
from digitcmp.data.sources import SOURCES, Source, Split, load
from digitcmp.errors import ConfigError
from tests.conftest import MNIST_FILE, MNIST_ROOT, compose_config, needs_mnist

EACH = pytest.mark.parametrize(
    "source", [pytest.param(name, marks=needs_mnist if name == "mnist" else ()) for name in SOURCES], indirect=True
)


@pytest.fixture
def source(request: pytest.FixtureRequest) -> Source:
    """A data set, read once per process."""
    return load(request.param, MNIST_ROOT)


def raw_bytes(name: str, start: int, count: int) -> bytes:
    """Some bytes of one of the four MNIST files."""
    with (MNIST_FILE.parent / name).open("rb") as file:
        file.seek(start)
        return file.read(count)


@EACH
def test_images_and_labels(source: Source) -> None:
    """Grey float images of 14 x 14 that use all of [0, 1], and all ten classes in both splits."""
    for split in (source.train, source.test):
        assert split.images.shape == (len(split.labels), 14, 14)
        assert (split.images.dtype, split.labels.dtype) == (torch.float32, torch.int64)
        assert split.images.min() == 0
        assert 0.9 < split.images.max() <= 1
        assert split.labels.unique().tolist() == list(range(10))


@EACH
@pytest.mark.parametrize("promise", PROMISES)
def test_promises(source: Source, promise: str) -> None:
    """Those that anybody's data set keeps (`digitcmp.contracts.data`)."""
    PROMISES[promise](compose_config(f"data={source.name}", f"data.root='{MNIST_ROOT}'"))


def test_an_unknown_source_is_refused() -> None:
    """The error quotes the name and tells the right ones."""
    with pytest.raises(ConfigError, match=r"data\.source=letters: choose one of .*digits.*mnist"):
        load("letters", None)


def test_mnist_needs_a_folder() -> None:
    """The error says how to give one."""
    with pytest.raises(ConfigError, match=r"data\.root=null.*DIGITCMP_DATA"):
        load("mnist", None)


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
@pytest.mark.parametrize(("part", "number"), [("train", 4242), ("train", 59_999), ("t10k", 77)])
def test_mnist_images_are_block_means_of_the_file(part: str, number: int) -> None:
    """Each pixel is the mean of 2 x 2 bytes of the raw file, divided by 255; the label is the raw byte."""
    source = load("mnist", MNIST_ROOT)
    split = source.train if part == "train" else source.test
    raw = raw_bytes(f"{part}-images-idx3-ubyte", 16 + 784 * number, 784)
    means = [[sum(raw[28 * (2 * y + dy) + 2 * x + dx] for dy in (0, 1) for dx in (0, 1)) / 4 / 255 for x in range(14)] for y in range(14)]
    torch.testing.assert_close(split.images[number], torch.tensor(means), rtol=0, atol=1e-6)
    assert split.labels[number].item() == raw_bytes(f"{part}-labels-idx1-ubyte", 8 + number, 1)[0]
