"""Published runs: their CSV files hold what the logs held, to the last digit, and are refused in one line where they do not."""

import gzip
import os
from codecs import BOM_UTF8
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from digitcmp import inert
from digitcmp.errors import RunError
from digitcmp.experiment.about import read_about
from digitcmp.experiment.published import write_published
from digitcmp.experiment.records import Record
from digitcmp.experiment.store import Store, read_run_records
from digitcmp.train.results import DistanceRow, RoundResult
from tests.experiment.made import EPOCH, ROUND, records_of, write_run


def published(source: Path, target: Path) -> Path:
    """The published form of a run's folder."""
    write_published(target, read_about(source), records_of(source))
    return target


def contents(record: Record) -> str:
    """All that a record says, as text, so that nan equals nan."""
    return repr((record.configuration, record.row, record.epochs, record.distances))


number = st.floats(width=32)
results = st.builds(
    lambda seed, loss, accuracy, error, right: RoundResult(
        replace(ROUND, seed=seed, train_loss=loss, test_accuracy=accuracy, status="failed" if error else "done", error=error),
        [replace(EPOCH, seed=seed, epoch=epoch, train_loss=loss, val_accuracy=accuracy) for epoch in (1, 2)],
        [DistanceRow(seed, distance, 10, right) for distance in range(3)],
    ),
    st.integers(0, 9), number, st.none() | number, st.text(max_size=9).map(inert.csv), st.integers(0, 10),
)  # fmt: skip


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(results, min_size=1, max_size=4))
def test_what_was_recorded_is_read(tmp_path_factory: pytest.TempPathFactory, rounds: list[RoundResult]) -> None:
    """Whatever the numbers (inf and nan too), and whatever an error says (commas, quotes), but for what a cell cannot hold."""
    source = tmp_path_factory.mktemp("run")
    write_run(source, rounds)
    before = records_of(source)
    after = records_of(published(source, tmp_path_factory.mktemp("published")))
    assert list(map(contents, after)) == list(map(contents, before))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A published run of three rounds."""
    rounds = [RoundResult(replace(ROUND, seed=seed), [replace(EPOCH, seed=seed)], [DistanceRow(seed, 0, 9, 8)]) for seed in range(3)]
    write_run(tmp_path / "run", rounds)
    return published(tmp_path / "run", tmp_path / "published")


def test_same_bytes_for_the_same_run(folder: Path, tmp_path: Path) -> None:
    """Whenever it is published."""
    again = published(tmp_path / "run", tmp_path / "again")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {path.name: path.read_bytes() for path in again.iterdir()}
    assert sorted(path.name for path in folder.iterdir()) == ["distances.csv", "epochs.csv.gz", "rounds.csv", "run.json"]


def change(name: str, edit: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    """What changes a file of a folder."""
    return lambda folder: (folder / name).write_bytes(edit((folder / name).read_bytes()))


def unpacked(edit: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    """What changes the epochs of a folder."""
    return change("epochs.csv.gz", lambda data: gzip.compress(edit(gzip.decompress(data))))


BOMB = 300 * gzip.compress(bytes(2**20))  # unpacks to 300 MiB: an archive may have many parts
DAMAGED = {
    "epochs.csv.gz cannot be read: No such file": lambda folder: (folder / "epochs.csv.gz").unlink(),
    "epochs.csv.gz cannot be read": change("epochs.csv.gz", lambda data: b"no" + data[2:]),
    "epochs.csv.gz cannot be read: Compressed file ended": change("epochs.csv.gz", lambda data: data[:-20]),
    "epochs.csv.gz cannot be read: seed 1 lacks an epoch": unpacked(lambda text: text.replace(b"\n1,1,", b"\n1,2,")),
    "epochs.csv.gz cannot be read: seed 2 lacks an epoch, or has one twice": unpacked(
        lambda text: text + text[text.index(b"\n2,1,") + 1 :]
    ),
    "distances.csv cannot be read: No such file": lambda folder: (folder / "distances.csv").unlink(),
    "rounds.csv has the columns seed, state,": change("rounds.csv", lambda data: data.replace(b"status", b"state")),
    "rounds.csv cannot be read: line 2 is damaged": change("rounds.csv", lambda data: data[: data.index(b"0.75")]),
    "rounds.csv cannot be read: line 4 is damaged": change("rounds.csv", lambda data: data.replace(b"2,done,1,0.5", b"2,done,one,0.5")),
    "rounds.csv cannot be read: seed 1 is there twice": change("rounds.csv", lambda data: data + data[data.index(b"\n1,done") + 1 :]),
    "rounds.csv cannot be read: seed 2 has a number that tables cannot hold": change(
        "rounds.csv", lambda data: data.replace(b"2,done,1,0.5", b"2,done,-1,0.5")
    ),
    "epochs.csv.gz cannot be read: it is larger than 100,000,000 bytes": lambda folder: (folder / "epochs.csv.gz").write_bytes(BOMB),
    "rounds.csv cannot be read: it is larger than 100,000,000 bytes": lambda folder: os.truncate(folder / "rounds.csv", 2 * 10**8),
    "rounds.csv has the columns ;": change("rounds.csv", lambda data: data[:0]),
    "rounds.csv cannot be read: 'utf-8' codec": change("rounds.csv", lambda data: data + b"\xff"),
}


@pytest.mark.parametrize("told", DAMAGED)
def test_damage_is_told_in_one_line(told: str, folder: Path) -> None:
    """Missing, torn and other files."""
    DAMAGED[told](folder)
    with pytest.raises(RunError) as caught:
        read_run_records(folder)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["run.json", "rounds.csv", "distances.csv"])
def test_a_mark_in_front_of_a_file_changes_nothing(name: str, folder: Path) -> None:
    """As spreadsheets and editors of some systems write it, with line ends of their own."""
    before = list(map(contents, records_of(folder)))
    (folder / name).write_bytes(BOM_UTF8 + (folder / name).read_bytes().replace(b"\n", b"\r\n"))
    assert list(map(contents, records_of(folder))) == before


def test_a_published_run_is_not_gone_on_with(folder: Path) -> None:
    """It would be written over."""
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(RunError, match="holds a published run"):
        Store(folder, {})
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert len(read_run_records(folder).rounds) == 3
