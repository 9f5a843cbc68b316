"""Data are a part of what a run is: a data set added as docs/adding.md says, with other content in the same place or elsewhere."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from digitcmp.data import fingerprint, sources
from digitcmp.data.fingerprint import fingerprint_of
from digitcmp.data.sources import Source, Split, load
from digitcmp.errors import ConfigError, DataError
from digitcmp.mistakes.cli import main as mistakes
from digitcmp.verify.cli import main as verify
from tests.conftest import Ended

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
    with pytest.raises(DataError, match=r"these are other data \(fingerprint \w+\) than those of the run"):
        load("mine", str(tmp_path / "a.npz"), "0" * 12)


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
