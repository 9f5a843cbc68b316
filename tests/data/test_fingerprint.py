"""Data are a part of what a run is: a data set added as docs/adding.md says, with other content in the same place or elsewhere."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from digitcmp.data import fingerprint, sources
from digitcmp.data.fingerprint import fingerprint_of
from digitcmp.data.sources import SOURCES, Source, Split, load
from digitcmp.errors import ConfigError, DataError
from digitcmp.mistakes.cli import main as mistakes
from digitcmp.verify.cli import main as verify
from tests.conftest import Ended
from tests.data.made import drawn, make_published, save_pictures

TINY = ["epochs=1", "batch_size=20", "data.train_pairs=60", "data.test_pairs=20", "engine=serial"]


def load_mine(root: str | None) -> Source:
    """The function of docs/adding.md: arrays in a file."""
    assert root is not None
    arrays = np.load(root)
    split = Split(torch.from_numpy(arrays["images"]), torch.from_numpy(arrays["labels"]))
    return Source("mine", split, split, repeat=True)


def write(path: Path, seed: int) -> Path:
    """Some images with their classes."""
    random = np.random.default_rng(seed)
    np.savez(path, images=random.random((60, 14, 14), dtype="float32"), labels=random.integers(0, 10, 60))
    return path


@pytest.fixture
def mine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The command line that takes the data set, all but its root."""
    monkeypatch.setitem(sources.SOURCES, "mine", load_mine)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "conf" / "data").mkdir(parents=True)
    (tmp_path / "conf" / "data" / "mine.yaml").write_text("source: mine\nroot: null\n")
    write(tmp_path / "a.npz", 1)
    write(tmp_path / "b.npz", 2)
    return ["--config-dir", "conf", "data=mine", *TINY]


def accuracies(folder: Path) -> dict[str, list[float]]:
    """Training losses of the rounds of every run, by the fingerprint of its data."""
    found: dict[str, list[float]] = {}
    for path in folder.glob("**/run.json"):
        about = json.loads(path.read_text())
        rows = (path.parent / "rounds.csv").read_text().splitlines()[1:]
        found.setdefault(about["configuration"]["data"]["fingerprint"], []).extend(float(row.split(",")[3]) for row in rows)
    return found


def test_other_data_are_never_taken_for_those_of_a_run(run_cli: Callable[..., Ended], mine: list[str], tmp_path: Path) -> None:
    """Another file, or other content of the same one: refused, with both fingerprints; the same content elsewhere goes on."""
    here = [*mine, "hydra.run.dir=here"]
    assert run_cli(*here, "data.root=a.npz").code == 0
    other = run_cli(*here, "data.root=b.npz")
    assert other.code == 1
    assert "here holds a run of another configuration (data.fingerprint " in other.err
    (tmp_path / "a.npz").rename(tmp_path / "c.npz")
    assert "1 round is finished already" in run_cli(*here, "data.root=c.npz").out
    write(tmp_path / "c.npz", 3)
    assert "another configuration (data.fingerprint " in run_cli(*here, "data.root=c.npz").err


def test_a_sweep_over_data_trains_each(run_cli: Callable[..., Ended], mine: list[str], tmp_path: Path) -> None:
    """Four rounds in two folders, and the same command has nothing to train."""
    sweep = ["--multirun", *mine, "data.root=a.npz,b.npz", "rounds=2", "hydra.sweep.dir=sweep", "report=false"]
    assert run_cli(*sweep).code == 0
    found = accuracies(tmp_path / "sweep")
    assert sorted(map(len, found.values())) == [2, 2]
    assert len({value for values in found.values() for value in values}) == 4
    assert "4 rounds are finished already, 0 to train" in run_cli(*sweep).out


def test_a_fingerprint_that_is_given_is_checked(run_cli: Callable[..., Ended], mine: list[str]) -> None:
    """The right one is the same configuration as none, another one is refused, and so is one for data that need none."""
    own = fingerprint_of("mine", "a.npz") if Path("a.npz").exists() else ""
    assert own
    assert run_cli(*mine, "data.root=a.npz", "hydra.run.dir=here").code == 0
    assert "finished already" in run_cli(*mine, "data.root=a.npz", "hydra.run.dir=here", f"data.fingerprint={own}").out
    wrong = run_cli(*mine, "data.root=b.npz", f"data.fingerprint={own}")
    assert (wrong.code, wrong.err.count("\n")) == (1, 1)
    assert wrong.err.startswith(f"digitcmp: data.fingerprint={own}: data=mine at data.root=b.npz has ")
    assert "published sums" in run_cli("data.fingerprint=0123456789ab").err


def test_runs_know_where_their_data_are(run_cli: Callable[..., Ended], mine: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Two data sets in one sweep: each run is trained again, and asked about its mistakes, with its own."""
    sweep = ["--multirun", *mine, "data.root=a.npz,b.npz", "save_model=true", "hydra.sweep.dir=sweep", "report=false"]
    assert run_cli(*sweep).code == 0
    monkeypatch.setattr(sys, "argv", ["verify", "sweep"])
    with pytest.raises(SystemExit) as end:
        verify()
    assert end.value.code == 0
    for folder in Path("sweep").glob("*/run.json"):
        monkeypatch.setattr(sys, "argv", ["mistakes", str(folder.parent)])
        mistakes()
        assert (folder.parent / "mistakes.csv").exists()


@pytest.mark.parametrize(("root", "told"), [("nope.npz", "cannot read nope.npz: No such file"), ("junk.npz", "cannot be read (")])
def test_files_that_a_source_cannot_read(run_cli: Callable[..., Ended], mine: list[str], root: str, told: str) -> None:
    """One line that names the data set, whatever the function of a stranger raises; no advice about other folders."""
    Path("junk.npz").write_bytes(b"PK junk")
    ended = run_cli(*mine, f"data.root={root}")
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert f"data.source=mine, data.root={root}: {told}" in ended.err
    assert "hydra.run.dir" not in ended.err


def test_it_is_worked_out_once(mine: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as the file's size and times stay; what was written meanwhile is not remembered as what was read."""
    del mine
    first = fingerprint_of("mine", str(tmp_path / "a.npz"))
    with monkeypatch.context() as patch:
        patch.setattr(sources, "read", lambda *_: 1 / 0)
        assert fingerprint_of("mine", str(tmp_path / "a.npz")) == first
    (memory,) = (tmp_path / "cache").rglob("*.json")
    for damaged in ("", "[]", '{"state": 1}', "nonsense"):
        memory.write_text(damaged)
        assert fingerprint_of("mine", str(tmp_path / "a.npz")) == first
    write(tmp_path / "a.npz", 7)
    assert fingerprint_of("mine", str(tmp_path / "a.npz")) != first
    monkeypatch.setattr(fingerprint, "memory_of", lambda *_: None)  # no home
    assert fingerprint_of("mine", str(tmp_path / "b.npz")) == fingerprint_of("mine", str(tmp_path / "b.npz"))


def test_a_remembered_one_needs_no_torch(mine: list[str], tmp_path: Path) -> None:
    """So that a finished run, and a typing error, are told of at once."""
    del mine
    known = fingerprint_of("mine", str(tmp_path / "a.npz"))
    code = (
        "import sys; from digitcmp.data.fingerprint import fingerprint_of; print(fingerprint_of('mine', 'a.npz'), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [known, "False"]


def test_rounds_refuse_data_that_change_under_them(mine: list[str], tmp_path: Path) -> None:
    """A worker reads the file later than the command that knows its fingerprint."""
    del mine
    known = fingerprint_of("mine", str(tmp_path / "a.npz"))
    assert load("mine", str(tmp_path / "a.npz"), known).fingerprint == known
    write(tmp_path / "a.npz", 9)
    load.cache_clear()
    with pytest.raises(DataError, match=rf"other data \(fingerprint \w+\) than they were when they were last read \({known}\); the same"):
        load("mine", str(tmp_path / "a.npz"), known)
    with pytest.raises(DataError, match=r"these are other data \(fingerprint \w+\) than those that are asked for \(0{12}\)$"):
        load("mine", str(tmp_path / "a.npz"), "0" * 12)


def change(path: Path) -> None:
    """Another picture of the same size in pixels."""
    Image.fromarray(255 - np.asarray(Image.open(path))).save(path)


def linked(place: str, tmp_path: Path) -> tuple[str, Path]:
    """Pictures of one's own with links in this place: their root, and one of the pictures, where it really is."""
    real, mine = tmp_path / "real", tmp_path / "mine"
    for part in ("train", "test"):
        save_pictures(real / part, *drawn(8)[0])
    picture = real / "train" / "3" / "003.png"
    if place == "the root":
        mine.symlink_to("real")
    elif place == "a part":
        mine.mkdir()
        for part in ("train", "test"):
            (mine / part).symlink_to(real / part)
    else:
        for path in sorted(real.glob("*/*" if place == "classes" else "*/*/*")):
            link = mine / path.relative_to(real)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
    return str(mine), picture


@pytest.mark.parametrize("place", ["the root", "a part", "classes", "pictures"])
def test_what_is_reached_by_links_is_a_part_of_it(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As whoever reads it follows them: a picture that changes, goes, or is another one, and a folder more, are noticed there."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root, picture = linked(place, tmp_path)
    (picture.parent / "loop").symlink_to(tmp_path / "mine")
    (picture.parent / "self").symlink_to("self")
    seen = [fingerprint_of("folder", root)]
    with monkeypatch.context() as patch:
        patch.setattr(sources, "read", lambda *_: 1 / 0)
        assert fingerprint_of("folder", root) == seen[0]
    change(picture)
    seen.append(fingerprint_of("folder", root))
    if place != "pictures":
        picture.unlink()
        seen.append(fingerprint_of("folder", root))
    assert len(set(seen)) == len(seen)
    assert seen[-1] == sources.read("folder", root).fingerprint


def test_published_files_may_be_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of a data set, or each file of it: what changes there is noticed, where no published sums say what it must be."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = make_published("emnist_digits", tmp_path / "real", monkeypatch, drawn())
    for place in ("folder", "files"):
        (tmp_path / place).mkdir()
    (tmp_path / "folder" / "EMNIST").symlink_to(tmp_path / "real" / "EMNIST")
    for path in folder.iterdir():
        (tmp_path / "files" / path.name).symlink_to(path)
    roots = [str(tmp_path / place) for place in ("folder", "files")]
    before = [fingerprint_of("emnist_digits", root) for root in roots]
    make_published("emnist_digits", tmp_path / "real", monkeypatch, drawn()[::-1])
    assert [fingerprint_of("emnist_digits", root) == known for root, known in zip(roots, before, strict=True)] == [False, False]


def test_a_link_that_leads_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To files of the same names, sizes, times, and even the same numbers: their place is another one, so that they are read again."""
    read = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sources, "read", lambda _, root: read.append(root) or Source("mine", *[Split(IMAGES, LABELS)] * 2, repeat=True))
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "one" / "a").write_text("a")
    (tmp_path / "two" / "a").hardlink_to(tmp_path / "one" / "a")
    for name in ("one", "one", "two", "two"):
        (tmp_path / "deep" / "er" / "and").mkdir(parents=True, exist_ok=True)
        (tmp_path / "deep" / "er" / "and" / "deeper").unlink(missing_ok=True)
        (tmp_path / "deep" / "er" / "and" / "deeper").symlink_to(tmp_path / name)
        fingerprint_of("mine", str(tmp_path / "deep"))
    assert len(read) == 2
    (tmp_path / "two" / "a").write_text("b")
    fingerprint_of("mine", str(tmp_path / "deep"))
    assert len(read) == 3


def test_an_empty_folder_may_be_a_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It moves the numbers of those that follow by name, though no file is another one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    images, labels = drawn(8)[0]
    save_pictures(tmp_path / "mine", images[labels < 2], labels[labels < 2])
    for number, name in enumerate(("ant", "cat")):
        (tmp_path / "mine" / str(number)).rename(tmp_path / "mine" / name)
    first = fingerprint_of("folder", str(tmp_path / "mine"))
    (tmp_path / "mine" / "bee").mkdir()
    assert fingerprint_of("folder", str(tmp_path / "mine")) not in (None, first)


def test_folders_far_below_are_not_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where ours have no files, as there may be very many: another data set in the same place, or all that a link leads to."""
    entered = list[str]()
    monkeypatch.setattr(fingerprint, "entries_of", lambda folder, known=fingerprint.entries_of: entered.append(folder) or known(folder))
    (tmp_path / "train" / "3" / "n01" / "n02").mkdir(parents=True)
    (tmp_path / "train" / "3" / "all").symlink_to("/")
    fingerprint.state_of("folder", str(tmp_path))
    assert entered == [str(tmp_path / place) for place in (".", "train", "train/3")]
    assert set(SOURCES) >= fingerprint.SHALLOW


def test_a_wrong_memory_is_forgotten(run_cli: Callable[..., Ended], mine: list[str], tmp_path: Path) -> None:
    """Other content of the same size and times: told once, with what helps, before there is a run; then it is a run like any other."""
    assert run_cli(*mine, "data.root=a.npz", "hydra.run.dir=a").code == 0
    (memory,) = (tmp_path / "cache").rglob("*.json")
    known = json.loads(memory.read_text())
    memory.write_text(json.dumps({**known, "fingerprint": "0" * 12}))
    load.cache_clear()
    again = [*mine, "data.root=a.npz", "hydra.run.dir=b"]
    refused = run_cli(*again)
    assert (refused.code, refused.err.count("\n"), (tmp_path / "b").exists()) == (1, 1, False)
    assert refused.err == (
        f"digitcmp: data.root=a.npz: these are other data (fingerprint {known['fingerprint']}) than they were when they were last read "
        "(000000000000); the same command goes by what is there now\n"
    )
    assert run_cli(*again).code == 0
    assert json.loads(memory.read_text()) == known


IMAGES, LABELS = torch.rand(8, 14, 14, generator=torch.Generator().manual_seed(0)), torch.arange(8)
FAULTS = {
    "images are torch.float64": Split(IMAGES.double(), LABELS),
    r"images are torch.float32 \[8, 28, 14\]": Split(torch.zeros(8, 28, 14), LABELS),
    r"images are torch.float32 \[8, 0, 0\]": Split(torch.zeros(8, 0, 0), LABELS),
    "labels are all 3; images of one class": Split(IMAGES, torch.full((8,), 3)),
    "images have values from 0 to 255": Split(255 * IMAGES.round(), LABELS),
    "must be finite": Split(IMAGES.clone().fill_(torch.nan), LABELS),
    "labels are from 0 to 10": Split(IMAGES, torch.tensor([0, 1, 2, 3, 4, 5, 6, 10])),
    "labels are from -1 to": Split(IMAGES, LABELS - 1),
    "labels are torch.int32": Split(IMAGES, LABELS.int()),
    r"labels are torch.int64 \[7\]; they must be torch.int64 \[8\]": Split(IMAGES, LABELS[:7]),
    "images are 1; a pair needs two": Split(IMAGES[:1], LABELS[:1]),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("part", ["train", "test"])
def test_arrays_that_no_source_may_have(fault: str, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told when the data set is loaded, with the name of the part."""
    good = Split(IMAGES, LABELS)
    made = Source("mine", *((FAULTS[fault], good) if part == "train" else (good, FAULTS[fault])), repeat=True)
    monkeypatch.setitem(sources.SOURCES, "mine", lambda _: made)
    with pytest.raises(DataError, match=rf"^data\.source=mine, data\.root=x: the {part} .*{fault}"):
        sources.read("mine", "x")


def test_parts_of_two_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train and test images are alike."""
    monkeypatch.setitem(sources.SOURCES, "mine", lambda _: Source("mine", Split(IMAGES, LABELS), Split(torch.rand(8, 9, 9), LABELS), True))
    with pytest.raises(DataError, match="train images have a side of 14 pixels, test images of 9"):
        sources.read("mine", "x")


def test_an_unknown_source_has_none() -> None:
    """It is told as what it is."""
    with pytest.raises(ConfigError, match="choose one of"):
        fingerprint_of("letters", None)
