"""Pictures that are left out: which files and folders are not read, and which classes have none; said once, and in reports."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digitcmp.data.classes import SUFFIXES, left_out
from digitcmp.data.pictures import FORMATS
from digitcmp.data.sources import read
from digitcmp.report.frames import read_sweep
from tests.conftest import Ended
from tests.data.made import drawn, save_pictures

IMAGES, LABELS = drawn(8)[0]
RUN = ["data=folder", "data.root=mine", "model=net1", "epochs=1", "data.train_pairs=40", "data.test_pairs=20", "batch_size=20"]
RUN += ["engine=serial", "report=false"]


def touch(*paths: Path) -> None:
    """Empty files, in folders that are made for them."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def without(root: Path, *classes: str) -> Path:
    """A folder of pictures whose classes all have a folder, these without a picture. Returns the root."""
    save_pictures(root, IMAGES, LABELS)
    for name in classes:
        for path in (root / name).iterdir():
            path.unlink()
    return root


def test_nothing_is_said_of_what_is_read(tmp_path: Path) -> None:
    """Nor of hidden files, of what systems leave in folders, of a text beside the classes, and of links to pictures."""
    mine = without(tmp_path / "mine")
    (mine / "4").rename(tmp_path / "four")
    (mine / "4").symlink_to(tmp_path / "four")
    touch(mine / ".git" / "3.png", mine / "3" / ".DS_Store", mine / "3" / "Thumbs.db", mine / "5" / "desktop.ini", mine / "README.md")
    assert left_out(str(mine)) == []
    save_pictures(tmp_path / "parts" / "train", IMAGES, LABELS)
    save_pictures(tmp_path / "parts" / "test", IMAGES, LABELS)
    assert left_out(str(tmp_path / "parts")) == []


def test_files_and_folders_that_are_not_read(tmp_path: Path) -> None:
    """By their kinds, the most frequent one first; pictures and folders beside the classes, or beside the parts, too."""
    mine = without(tmp_path / "mine")
    touch(*[mine / "3" / f"{number}.GIF" for number in range(3)], mine / "4" / "a.gif", mine / "4" / "a.txt", mine / "5" / "bare")
    touch(mine / "6" / "more" / "a.png", mine / "a.png")
    assert left_out(str(mine)) == ["7 files not read (.gif: 4, .png: 1, .txt: 1, no ending: 1)", "1 folder not read (6/more)"]
    for part in ("train", "test"):
        save_pictures(tmp_path / "parts" / part, IMAGES, LABELS)
    touch(tmp_path / "parts" / "val" / "3" / "a.png", tmp_path / "parts" / "train" / "b.png", tmp_path / "parts" / "labels.csv")
    assert left_out(str(tmp_path / "parts")) == ["1 file not read (.png: 1)", "1 folder not read (parts/val)"]


def test_classes_without_a_picture(tmp_path: Path) -> None:
    """In all, or in one part, also where every third picture of a class is for the test."""
    assert left_out(str(without(tmp_path / "one", "9"))) == ["no picture of class 9"]
    assert left_out(str(without(tmp_path / "two", "9", "0"))) == ["no picture of classes 0, 9"]
    few = without(tmp_path / "few", "7")
    save_pictures(few, IMAGES[:2], LABELS[:2] * 0 + 7)
    assert left_out(str(few)) == ["no test picture of class 7"]
    assert 7 not in read("folder", str(few)).test.labels
    parts = without(tmp_path / "parts" / "train", "1"), without(tmp_path / "parts" / "test", "2")
    assert left_out(str(tmp_path / "parts")) == ["no training picture of class 1", "no test picture of class 2"]
    (parts[1] / "2").rmdir()
    assert left_out(str(tmp_path / "parts")) == ["no training picture of class 1", "no test picture of class 2"]


def test_what_cannot_be_read_is_told_elsewhere(tmp_path: Path) -> None:
    """Nothing is said here of a folder that is none, or has no classes."""
    touch(tmp_path / "file")
    (tmp_path / "half" / "train").mkdir(parents=True)
    assert [left_out(str(tmp_path / name)) for name in ("gone", "file", "half")] == [[], [], []]
    assert left_out("~nobody-of-this-name/mine") == []


def test_every_kind_is_read(tmp_path: Path) -> None:
    """Those that are kept without a loss give the same images; and there is a suffix of each format."""
    for number, suffix in enumerate(sorted(SUFFIXES)):
        for label, image in enumerate(IMAGES[:2]):
            path = tmp_path / "mine" / str(label) / f"{number}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
    assert {Image.registered_extensions()[suffix] for suffix in SUFFIXES} == set(FORMATS)
    found = read("folder", str(tmp_path / "mine"))
    assert len(found.train.labels) + len(found.test.labels) == 2 * len(SUFFIXES)
    (first,) = [path for path in sorted(tmp_path.rglob("*.bmp")) if path.parent.name == "0"]
    assert np.array_equal(np.asarray(Image.open(first)), IMAGES[0])
    assert np.array_equal(found.train.images[0].numpy(), IMAGES[0])


TOLD = "1 file not read (.gif: 1), no picture of class 9"


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pictures of nine classes of ten, and one that is not read."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    touch(without(tmp_path / "mine", "9") / "3" / "a.gif")
    return tmp_path / "mine"


LAUNCHED = {
    "run": ["hydra.run.dir=out", "rounds=2"],
    "dry run": ["hydra.run.dir=out", "dry_run=true"],
    "sweep": ["--multirun", "seed=0,1", "optimizer.lr=0.001,0.01", "hydra.sweep.dir=out"],
    "sweep in batches": ["--multirun", "seed=0,1,2", "hydra.sweeper.max_batch_size=1", "hydra.sweep.dir=out"],
    "dry sweep": ["--multirun", "seed=0,1", "hydra.sweep.dir=out", "dry_run=true"],
    "another launcher": ["--multirun", "seed=0,1", "hydra.sweep.dir=out", "hydra/launcher=basic"],
    "search": ["--multirun", "hydra/sweeper=digitcmp_optuna", "hydra.sweeper.n_trials=2", "hydra.sweeper.confirm=1", "hydra.sweep.dir=out"],
}
LAUNCHED["search"] += ["data.val_pairs=20", "optimizer.lr=interval(0.001,0.1)"]


@pytest.mark.parametrize("way", LAUNCHED)
def test_it_is_said_once(way: str, run_cli: Callable[..., Ended], mine: Path) -> None:
    """At the beginning of a command, however many rounds, runs and trials there are."""
    ended = run_cli(*RUN, *LAUNCHED[way])
    assert ended.code == 0, ended.err
    assert ended.out.count(f"data.root=mine: {TOLD}\n") == 1
    assert ended.out.count("not read") == 1
    (mine / "3" / "a.gif").unlink()
    save_pictures(mine, IMAGES[LABELS == 9], LABELS[LABELS == 9])
    assert "not read" not in run_cli(*RUN, "hydra.run.dir=whole").out


def test_reports_say_it(run_cli: Callable[..., Ended], mine: Path, tmp_path: Path) -> None:
    """Of the runs of which it is so: it changes what their accuracy means."""
    for launcher in ("digitcmp", "basic"):
        sweep = ["--multirun", *RUN, f"model={'net1' if launcher == 'basic' else 'net2'}", "seed=0,1"]
        assert run_cli(*sweep, f"hydra/launcher={launcher}", f"hydra.sweep.dir=out/{launcher}").code == 0
    assert [json.loads(path.read_text())["left_out"] for path in (tmp_path / "out").rglob("run.json")] == 4 * [TOLD.split(", ")]
    assert f"data=folder: {TOLD}: all runs" in read_sweep([tmp_path / "out"], for_report=True).warnings
    (mine / "3" / "a.gif").unlink()
    save_pictures(mine, IMAGES[LABELS == 9], LABELS[LABELS == 9])
    assert run_cli(*RUN, "hydra.run.dir=out/whole").code == 0
    (line,) = [line for line in read_sweep([tmp_path / "out"], for_report=True).warnings if line.startswith("data=folder: ")]
    assert line.startswith(f"data=folder: {TOLD}: ")
    assert "all runs" not in line
    assert "whole" not in line
    assert not any(line.startswith("data=folder: ") for line in read_sweep([tmp_path / "out"]).warnings)


def test_it_needs_no_torch() -> None:
    """It is said before anything is loaded."""
    code = "import sys; from digitcmp.data.classes import left_out; left_out('.'); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
