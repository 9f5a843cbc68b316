"""Data sets that are published as files: found, checked and downloaded alike. (MNIST's own files: test_mnist.py.)"""

import gzip
from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision import datasets

from digitcmp.data import published
from digitcmp.data.published import PUBLISHED
from digitcmp.data.sources import load_published, read
from digitcmp.errors import DataError
from tests.data.made import contents, drawn, make, make_published

NAMES = [*PUBLISHED]
NOWHERE = "http://127.0.0.1:9/"  # where nobody listens


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Downloads of all data sets go nowhere."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for name in ("MNIST", "FashionMNIST", "KMNIST"):
        monkeypatch.setattr(getattr(datasets, name), "mirrors", [NOWHERE])
    monkeypatch.setattr(datasets.EMNIST, "url", f"{NOWHERE}gzip.zip")
    away = {part: [(NOWHERE + url.split("/")[-1], sum_) for url, sum_ in files] for part, files in datasets.QMNIST.resources.items()}
    monkeypatch.setattr(datasets.QMNIST, "resources", away)
    split = {part: [NOWHERE + file, file, sum_] for part, (_, file, sum_) in datasets.USPS.split_list.items()}
    monkeypatch.setattr(datasets.USPS, "split_list", split)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("name", NAMES)
def test_missing_files_without_network(name: str, tmp_path: Path) -> None:
    """One line that names the data set, its files and where they belong, and what works offline; nothing is made."""
    kind, root = PUBLISHED[name], tmp_path / "data"
    with pytest.raises(DataError) as caught:
        load_published(name, str(root))
    text = str(caught.value)
    assert text.startswith(f"data={name}: all {len(kind.files)} files ({', '.join(map(kind.stored, kind.files))}) are missing in ")
    assert f"are missing in {root / kind.folder} and could not be downloaded (" in text
    assert text.endswith("or use data=digits")
    assert "\n" not in text
    assert not root.exists()


@pytest.mark.parametrize("name", NAMES)
def test_torchvision_has_the_same_sums(name: str) -> None:
    """Those of packed files are the ones that torchvision downloads by; it knows each class."""
    reader: Any = getattr(datasets, PUBLISHED[name].reader)
    listed = {
        "usps": lambda: {file: sum_ for _, file, sum_ in reader.split_list.values()},
        "qmnist": lambda: {url.split("/")[-1]: sum_ for files in reader.resources.values() for url, sum_ in files},
        "emnist_digits": dict,
    }.get(name, lambda: dict(reader.resources))()
    for file, sum_ in PUBLISHED[name].files.items():
        if len(sum_) == 32:
            assert listed[file + PUBLISHED[name].packed] == sum_


@pytest.mark.parametrize("name", NAMES)
def test_what_was_downloaded_is_kept_where_torchvision_has_it(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of its own at first; once all has come, it is moved, and read as it stands."""
    parts = drawn(16 if name == "usps" else 28)
    make_published(name, tmp_path / "elsewhere", monkeypatch, parts)
    kind = PUBLISHED[name]
    asked: list[bool] = []

    def downloaded(root: str, train: bool, download: bool, **options: str) -> None:
        assert download
        assert options == kind.options
        asked.append(train)
        folder = make_published(name, Path(root), monkeypatch, parts)
        for file in [*folder.iterdir()]:  # torchvision leaves both
            if file.suffix == ".gz":
                file.with_suffix("").write_bytes(gzip.decompress(file.read_bytes()))

    monkeypatch.setattr(published, "downloader", lambda _: downloaded)
    first = load_published(name, str(tmp_path / "data"))
    assert asked == [True, False]
    assert {path.name for path in (tmp_path / "data" / kind.folder).iterdir()} == {*map(kind.stored, kind.files)}
    monkeypatch.setattr(published, "downloader", lambda _: 1 / 0)
    assert torch.equal(load_published(name, str(tmp_path / "data")).test.images, first.test.images)


@pytest.mark.parametrize("place", ["", "raw"])
@pytest.mark.parametrize("name", NAMES)
def test_files_one_level_off_are_found(name: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the folder that was named, or in raw below it, where their sums or names say whose they are."""
    make_published(name, tmp_path, monkeypatch, drawn(16 if name == "usps" else 28), place)
    assert len(load_published(name, str(tmp_path)).train.labels) == 90


@pytest.mark.usefixtures("no_network")
def test_files_of_one_name_are_not_taken_for_each_other(tmp_path: Path) -> None:
    """Unpacked, nothing but their folder tells Fashion-MNIST from MNIST."""
    for file, content in zip(PUBLISHED["fashion_mnist"].files, contents("fashion_mnist", drawn()), strict=True):
        for place in (tmp_path, tmp_path / "FashionMNIST"):
            place.mkdir(exist_ok=True)
            (place / file).write_bytes(content)
    with pytest.raises(DataError, match="all 4 files"):
        load_published("fashion_mnist", str(tmp_path))
    assert len(load_published("fashion_mnist", str(tmp_path / "FashionMNIST")).test.labels) == 60
    with pytest.raises(DataError, match="is damaged or truncated"):
        load_published("mnist", str(tmp_path))


@pytest.mark.parametrize("damage", ["cut", "changed", "empty"])
@pytest.mark.parametrize("name", NAMES)
def test_damaged_files(name: str, damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line that names the file, or both of which it is one where there is no sum."""
    root, _ = make(name, tmp_path, monkeypatch)
    kind = PUBLISHED[name]
    folder, last = tmp_path / kind.folder, [*kind.files][-1]
    path = next(path for path in folder.iterdir() if path.name in (last, last + kind.packed))
    content = bytearray(path.read_bytes())
    if damage == "changed":
        content[3 if name == "emnist_digits" else len(content) // 2] ^= 1
    path.write_bytes({"cut": content[:-1], "changed": content, "empty": b""}[damage])
    with pytest.raises(DataError, match=r"is damaged or truncated \(.*; delete it to have it downloaded again") as caught:
        read(name, root)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unpacked_files_without_a_sum_are_read_too(tmp_path: Path) -> None:
    """As torchvision leaves them beside the packed ones; what is in them is known by its fingerprint."""
    folder, kind = tmp_path / "QMNIST" / "raw", PUBLISHED["qmnist"]
    folder.mkdir(parents=True)
    for file, content in zip(kind.files, contents("qmnist", drawn()), strict=True):
        (folder / file).write_bytes(content)
    found = load_published("qmnist", str(tmp_path))
    assert found.test.labels.tolist() == [number % 10 for number in range(60)]
    path = folder / "qmnist-test-labels-idx2-int"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(DataError, match=r"one of .*qmnist-test-labels-idx2-int is damaged or truncated"):
        load_published("qmnist", str(tmp_path))
