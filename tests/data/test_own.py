"""Images of one's own: what is taken from arrays and folders, how one set is divided, and what is refused."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from digitcmp.data import own
from digitcmp.data.own import divided
from digitcmp.data.sources import Source, read
from digitcmp.errors import DataError
from tests.conftest import Ended
from tests.data.made import drawn, save_pictures

IMAGES, LABELS = drawn(8)[0]
COLOUR = np.stack([IMAGES, IMAGES[::-1], 255 - IMAGES], axis=3)


def npz(tmp_path: Path, **arrays: Any) -> Source:
    """What is read of a file of these arrays."""
    np.savez(tmp_path / "a.npz", allow_pickle=True, **arrays)
    return read("npz", str(tmp_path / "a.npz"))


KINDS = {
    "bytes": (IMAGES, IMAGES / 255),
    "floats": (IMAGES / 255, IMAGES / 255),
    "halves": ((IMAGES / 255).astype(np.float16), IMAGES / 255),
    "colour": (COLOUR, COLOUR @ (0.299, 0.587, 0.114) / 255),
    "colour as floats": (COLOUR / 255, COLOUR @ (0.299, 0.587, 0.114) / 255),
    "column by column": (np.asfortranarray(IMAGES), IMAGES / 255),
    "another machine's": ((IMAGES / 255).astype(">f4"), IMAGES / 255),
}


@pytest.mark.parametrize("kind", KINDS)
def test_arrays_of_every_kind(kind: str, tmp_path: Path) -> None:
    """Bytes and floats, grey and colour: the same grey images; labels of any whole kind."""
    given_, expected = KINDS[kind]
    found = npz(tmp_path, train_images=given_, train_labels=LABELS.astype(">u2"), test_images=given_[:9], test_labels=LABELS[:9], other=1)
    grey = found.train.at(8).images
    torch.testing.assert_close(grey, torch.tensor(expected, dtype=torch.float32), rtol=0, atol=1e-3 if kind == "halves" else 1e-6)
    assert torch.equal(found.test.at(8).images, grey[:9])
    assert found.train.labels.tolist() == LABELS.tolist()
    assert found.repeat


@given(st.lists(st.integers(0, 9), min_size=0, max_size=80))
@settings(max_examples=40, deadline=None)
def test_one_set_is_divided(labels: list[int]) -> None:
    """Every image is in one of both parts, in its order; every third of each class is in the test."""
    numbers, classes = torch.arange(len(labels)), torch.tensor(labels, dtype=torch.int64)
    (train, train_labels), (test, test_labels) = divided(numbers, classes)
    assert sorted([*train.tolist(), *test.tolist()]) == numbers.tolist()
    assert [sorted(part.tolist()) for part in (train, test)] == [train.tolist(), test.tolist()]
    assert torch.equal(classes[train], train_labels)
    assert torch.equal(classes[test], test_labels)
    for own_class in range(10):
        assert int((test_labels == own_class).sum()) == labels.count(own_class) // 3


def test_one_set_of_arrays_and_of_pictures_are_the_same(tmp_path: Path) -> None:
    """And both are what the parts are, when the whole set is divided beforehand."""
    save_pictures(tmp_path / "pictures", IMAGES, LABELS)
    order = np.argsort(LABELS, kind="stable")  # class folder by class folder
    arrays, pictures = npz(tmp_path, images=IMAGES[order], labels=LABELS[order]), read("folder", str(tmp_path / "pictures"))
    for one, other in ((arrays.train, pictures.train), (arrays.test, pictures.test)):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)
    assert (len(arrays.train.labels), len(arrays.test.labels)) == (60, 30)


def test_class_folders_with_names(tmp_path: Path) -> None:
    """Their classes are numbered in the order of names; what is hidden or no picture is left out; colours become grey."""
    for place in ("train", "test"):
        for name, tone in {"cat": 40, "ant": 200}.items():
            (tmp_path / place / name).mkdir(parents=True)
            for number in range(2):
                Image.new("RGB", (5, 5), (tone, tone, tone + number)).save(tmp_path / place / name / f"{number}.JPG", quality=95)
            (tmp_path / place / name / ".hidden.png").write_bytes(b"")
            (tmp_path / place / name / "about.txt").write_bytes(b"")
    found = read("folder", str(tmp_path))
    assert found.train.labels.tolist() == [0, 0, 1, 1]
    assert [round(float(image.float().mean()), -1) for image in found.test.images] == [200, 200, 40, 40]


SET = {"images": IMAGES, "labels": LABELS}
BAD_ARRAYS: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "its arrays are none; there must be images and labels, or train_images"),
    "no labels": ({"images": IMAGES}, "its arrays are images; there must be images and labels"),
    "half of four": ({"train_images": IMAGES, "train_labels": LABELS}, "its arrays are train_images, train_labels; there must be"),
    "both": ({**SET, "test_images": IMAGES}, "its arrays are images, labels, test_images; there must be"),
    "objects": ({"images": IMAGES, "labels": np.array([{}] * 90)}, "labels holds Python objects, which are not read, as they may run code"),
    "whole numbers": ({**SET, "images": IMAGES.astype(np.int64)}, "images are int64; they must be uint8, or floats from 0 to 1"),
    "bright floats": ({**SET, "images": IMAGES.astype(np.float32)}, "images have values from 0 to 255; floats must be finite"),
    "no numbers": ({**SET, "images": IMAGES * np.nan}, "floats must be finite, from 0 to 1"),
    "not square": ({**SET, "images": IMAGES[:, :7]}, "images are [90, 7, 8]; they must be square"),
    "flat": ({**SET, "images": IMAGES.reshape(90, 64)}, "images are [90, 64]; they must be square"),
    "four colours": ({**SET, "images": np.concatenate([COLOUR, COLOUR[..., :1]], axis=3)}, "images are [90, 8, 8, 4]; they must be"),
    "no images": ({"images": IMAGES[:0], "labels": LABELS[:0]}, "the train images are 0; a pair needs two"),
    "blank": ({**SET, "images": IMAGES * 0 + 7}, "the train images have the value 7 everywhere; there is nothing to be seen"),
    "one class": ({**SET, "labels": LABELS * 0 + 4}, "the train labels are all 4; images of one class alone"),
    "eleven classes": ({**SET, "labels": np.arange(90) % 11}, "the train labels are from 0 to 10; they must be from 0 to 9"),
    "below zero": ({**SET, "labels": LABELS - 1}, "the train labels are from -1 to 8; they must be from 0 to 9"),
    "huge labels": ({**SET, "labels": LABELS.astype(np.uint64) + 2**63}, "labels are up to 9223372036854775817; they must be from 0 to 9"),
    "floating labels": ({**SET, "labels": LABELS / 1.0}, "labels are float64 [90]; they must be whole numbers [N]"),
    "too few labels": ({**SET, "labels": LABELS[:-1]}, "labels are torch.int64 [89]; they must be torch.int64 [90]"),
    "one-hot": ({**SET, "labels": np.eye(10, dtype=np.int64)[LABELS]}, "labels are int64 [90, 10]; they must be whole numbers [N]"),
    "sizes": (
        {"train_images": IMAGES, "train_labels": LABELS, "test_images": IMAGES[:, :7, :7], "test_labels": LABELS},
        "train images have a side of 8 pixels, test images of 7",
    ),
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_bad_arrays(name: str, tmp_path: Path) -> None:
    """One line each."""
    arrays, told = BAD_ARRAYS[name]
    with pytest.raises(DataError) as caught:
        npz(tmp_path, **arrays)
    assert told in str(caught.value)
    assert "a.npz" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bad_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no such file, is damaged, or is far too large."""
    (tmp_path / "text.npz").write_text("text")
    np.save(tmp_path / "array.npy", IMAGES)
    np.savez(tmp_path / "cut.npz", **SET)
    with zipfile.ZipFile(tmp_path / "no_arrays.npz", "w") as packed:
        packed.writestr("images.npy", "text")
    with zipfile.ZipFile(tmp_path / "twice.npz", "w") as packed:
        packed.write(tmp_path / "array.npy", "images.npy")
        with pytest.warns(UserWarning, match="Duplicate name"):
            packed.write(tmp_path / "array.npy", "images.npy")
    content = (tmp_path / "cut.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(content[: len(content) // 2])
    for file, told in {
        "nowhere.npz": "it cannot be read: No such file or directory",
        "text.npz": "it is no .npz file that can be read",
        "array.npy": "it is no .npz file that can be read",
        "cut.npz": "it is no .npz file that can be read",
        "no_arrays.npz": "images is no array",
        "twice.npz": "it has two arrays images, of which only one would be read",
        ".": "it cannot be read: Is a directory",
    }.items():
        with pytest.raises(DataError, match=told):
            read("npz", str(tmp_path / file))
    np.savez(tmp_path / "large.npz", **SET)
    monkeypatch.setattr(own, "MOST_BYTES", 1000)
    with pytest.raises(DataError, match=r"its arrays have [\d,]+ bytes, more than 1,000; divide it"):
        read("npz", str(tmp_path / "large.npz"))


def test_bad_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line each, which names the folder or the picture."""

    def told(name: str) -> str:
        with pytest.raises(DataError) as caught:
            read("folder", str(tmp_path / name))
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def pictures(name: str, *sizes: tuple[int, int], mode: str = "L") -> None:
        for number, size in enumerate(sizes):
            (tmp_path / name / str(number)).mkdir(parents=True, exist_ok=True)
            Image.new(mode, size).save(tmp_path / name / str(number) / "a.png")

    assert "there is no such folder" in told("nowhere")
    (tmp_path / "empty").mkdir()
    assert "it has 0 class folders; there must be from 2 to 10" in told("empty")
    (tmp_path / "bare" / "3").mkdir(parents=True)
    assert "its class folders have no pictures (PNG, JPEG or BMP files)" in told("bare")
    pictures("many", *[(8, 8)] * 11)
    assert "it has 11 class folders; there must be from 2 to 10" in told("many")
    pictures("wide", (8, 9), (8, 9))
    assert "wide/0/a.png: it has 8 x 9 pixels; pictures must be square" in told("wide")
    pictures("sizes", (8, 8), (9, 9))
    assert "sizes/1/a.png: it has 9 x 9 pixels; pictures must be of one size, and " in told("sizes")
    pictures("deep", (8, 8), (8, 8), mode="I;16")
    assert "deep/0/a.png: it has more than 8 bits for a pixel; save it with 8" in told("deep")
    pictures("half/train", (8, 8), (8, 8))
    assert "half/test: there is no such folder, as " in told("half")
    pictures("half/test", (8, 8), (8, 8), (8, 8))
    assert "half/train has no class folder 2" in told("half")
    pictures("broken", (8, 8), (8, 8))
    (tmp_path / "broken" / "1" / "a.png").write_bytes(b"nothing")
    assert "broken/1/a.png: it is no picture that can be read; give a PNG, JPEG or BMP file" in told("broken")
    monkeypatch.setattr(own, "MOST_BYTES", 100)
    pictures("large", (8, 8), (8, 8))
    assert "large: its 2 pictures have 128 bytes, more than 100; make them smaller" in told("large")


def test_own_images_train_from_the_command_line(run_cli: Callable[..., Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A round with images of one's own, whose fingerprint is a part of the run; other images there are another run."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    np.savez(tmp_path / "own.npz", **SET)
    command = ["data=npz", "data.root=own.npz", "model=net1", "epochs=1", "data.train_pairs=40", "data.test_pairs=20", "hydra.run.dir=run"]
    command += ["batch_size=20", "engine=serial"]
    assert run_cli(*command).code == 0
    assert "1 round is finished already" in run_cli(*command).out
    np.savez(tmp_path / "own.npz", images=255 - IMAGES, labels=LABELS)
    assert "another configuration (data.fingerprint " in run_cli(*command).err
    missing = run_cli("data=npz")
    assert (missing.code, missing.err) == (1, "digitcmp: data.root=null: data=npz needs a file; use data.root=FILE\n")
