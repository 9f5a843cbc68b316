"""MNIST on disk: what is missing, damaged or in the way is told in one line."""

import gzip
import sys
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import pytest
import torch
from torchvision import datasets

from digitcmp.data.published import PUBLISHED
from digitcmp.data.sources import Source, load_published
from digitcmp.errors import DataError
from tests.conftest import MNIST_FILE, MNIST_ROOT, needs_mnist

SUMS = PUBLISHED["mnist"].files


def load_mnist(root: str) -> Source:
    """MNIST, read anew."""
    return load_published("mnist", root)


class Mismatched(ModuleType):
    """A torchvision that was not built for this torch: it breaks as soon as something is taken from it."""

    def __getattr__(self, name: str) -> NoReturn:
        raise RuntimeError("operator torchvision::nms does not exist")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The empty folder where the files of data.root=tmp_path belong."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    return raw


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Downloads go to a port where nobody listens."""
    monkeypatch.setattr(datasets.MNIST, "mirrors", ["http://127.0.0.1:9/"])
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def link_all(folder: Path) -> None:
    """Put links to the real files into a folder."""
    for name in SUMS:
        (folder / name).symlink_to(MNIST_FILE.parent / name)


def listing(root: Path) -> list[tuple[str, int]]:
    """Everything below a folder, with the times of change."""
    return sorted((str(path), path.lstat().st_mtime_ns) for path in [root, *root.rglob("*")])


@pytest.mark.usefixtures("no_network")
def test_missing_files_without_network(tmp_path: Path) -> None:
    """The error names the folder, the four files and the data set that works offline, in one line."""
    with pytest.raises(DataError) as caught:
        load_mnist(str(tmp_path))
    text = str(caught.value)
    assert str(tmp_path / "MNIST" / "raw") in text
    assert "data=mnist: all 4 files (train-images-idx3-ubyte, " in text
    assert all(name in text for name in SUMS)
    assert "data=digits" in text
    assert "\n" not in text


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("name", SUMS)
def test_one_missing_file_is_enough(name: str, tmp_path: Path, folder: Path) -> None:
    """Three files are as good as none: the fourth is asked for, and the error counts it."""
    for other in {*SUMS} - {name}:
        (folder / other).write_bytes(b"present")
    with pytest.raises(DataError, match=rf"data=mnist: 1 of 4 files \({name}\) is missing in .* could not be downloaded"):
        load_mnist(str(tmp_path))


def test_files_that_are_not_mnist(tmp_path: Path, folder: Path) -> None:
    """Four files with other contents: the error names the first that is wrong and calls it damaged."""
    for name in SUMS:
        (folder / name).write_bytes(b"something else")
    with pytest.raises(DataError, match=rf"{folder}/train-images-idx3-ubyte is damaged or truncated \(14 bytes"):
        load_mnist(str(tmp_path))


@needs_mnist
@pytest.mark.parametrize("damage", ["truncated", "corrupted"])
@pytest.mark.parametrize("name", ["train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"])
def test_one_damaged_file(name: str, damage: str, tmp_path: Path, folder: Path) -> None:
    """A file that lost its end, or in which one bit is wrong, is named; the good ones are not."""
    link_all(folder)
    (folder / name).unlink()
    content = bytearray((MNIST_FILE.parent / name).read_bytes())
    if damage == "truncated":
        del content[-1:]
    else:
        content[5000] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"/{name} is damaged") as caught:
        load_mnist(str(tmp_path))
    assert not any(other in str(caught.value) for other in {*SUMS} - {name})


def test_torchvision_that_does_not_fit_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names both packages, torch's version and the reason, before anything is downloaded."""
    monkeypatch.setitem(sys.modules, "torchvision.datasets", Mismatched("torchvision.datasets"))
    with pytest.raises(DataError) as caught:
        load_mnist(str(tmp_path))
    assert f"torch {torch.__version__} and the installed torchvision do not fit" in str(caught.value)
    assert "operator torchvision::nms does not exist" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@needs_mnist
@pytest.mark.usefixtures("no_network")
def test_present_files_are_only_read(tmp_path: Path, folder: Path) -> None:
    """A folder with the four files works without network and is left exactly as it was."""
    link_all(folder)
    before = listing(tmp_path)
    assert len(load_mnist(str(tmp_path)).test.labels) == 10_000
    assert listing(tmp_path) == before


SPELLINGS = {
    "in MNIST/raw": ("MNIST/raw", "", False),
    "in the folder itself": ("", "", False),
    "in raw": ("raw", "", False),
    "with dots": ("", ".idx", False),
    "packed": ("MNIST/raw", "", True),
    "packed, with dots, in the folder itself": ("", ".idx", True),
}


@needs_mnist
@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_files_one_level_off_are_found(spelling: str, tmp_path: Path) -> None:
    """In the folder that was named, below it, packed, with the dots that some sites have: read where they are, nothing is made."""
    place, dots, packed = SPELLINGS[spelling]
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    for name in SUMS:
        path = tmp_path / place / name.replace("-idx", dots or "-idx")
        if packed:
            Path(f"{path}.gz").write_bytes(gzip.compress((MNIST_FILE.parent / name).read_bytes(), 1))
        else:
            path.symlink_to(MNIST_FILE.parent / name)
    before = listing(tmp_path)
    source, usual = load_mnist(str(tmp_path)), load_mnist(MNIST_ROOT)
    assert torch.equal(source.test.images, usual.test.images)
    assert torch.equal(source.train.labels, usual.train.labels)
    assert listing(tmp_path) == before


@needs_mnist
def test_what_is_read_is_what_torchvision_reads() -> None:
    """Images and classes, in their order."""
    theirs = datasets.MNIST(MNIST_ROOT, train=False)
    ours = load_mnist(MNIST_ROOT).test
    assert torch.equal(ours.labels, theirs.targets)
    assert torch.equal(ours.images, theirs.data)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("there", [True, False])
def test_a_failed_download_leaves_nothing(tmp_path: Path, there: bool) -> None:
    """No folder, no lock, no half of a file; what was found is named."""
    root = tmp_path / "data"
    if there:
        root.mkdir()
        (root / "t10k-labels.idx1-ubyte").write_bytes(b"")
    before = listing(tmp_path)
    with pytest.raises(DataError, match="could not be downloaded") as caught:
        load_mnist(str(root))
    assert ("found: " in str(caught.value)) == there
    assert listing(tmp_path) == before


def test_what_cannot_be_read_is_named(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that nobody may read, a user that is not there, a name that is too long: the data are named, not the folder of the run."""
    for name in SUMS:
        (folder / name).write_bytes(b"")

    def refused(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refused)
    for root, message in {
        str(tmp_path): "/train-images-idx3-ubyte cannot be read: Permission denied",
        "~nobody_of_that_name/x": "data.root=~nobody_of_that_name/x: there is no such user",
        "y" * 5000: "cannot be read: File name too long",
    }.items():
        with pytest.raises(DataError) as caught:
            load_mnist(root)
        assert message in str(caught.value)
        assert len(str(caught.value)) < 300
