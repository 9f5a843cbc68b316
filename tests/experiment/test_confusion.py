"""confusion.csv: which classes test pairs have, which are answered rightly, and which digits are read as which."""

import csv
import zlib
from pathlib import Path

import pytest
import torch

from digitcmp.experiment import views
from digitcmp.experiment.records import CONFUSION, Record, parse, to_record
from digitcmp.experiment.views import Cell
from digitcmp.train.results import ConfusionRow, DistanceRow, RoundResult
from digitcmp.train.round import round_pairs, train_rounds
from tests.conftest import compose_config
from tests.experiment.made import EPOCH, ROUND, records_of, train_run

SMALL = ["epochs=2", "data.train_pairs=100", "data.test_pairs=60", "batch_size=50", "rounds=2", "engine=serial"]
ROWS = [ConfusionRow(0, 3, 8, 5, 4, 0), ConfusionRow(0, 8, 8, 0, 0, 7)]


def cells_of(folder: Path) -> list[list[str]]:
    """The rows of confusion.csv, without its head."""
    with (folder / "confusion.csv").open(newline="") as file:
        head, *cells = csv.reader(file)
    assert head == ["first", "second", "pairs", "right", "read"]
    return cells


@pytest.mark.parametrize("model", ["wsn", "net1"])
def test_what_is_on_record_is_what_was_found(model: str, tmp_path: Path) -> None:
    """Cells add up to the pairs, the accuracies and the distances of each round; the file has all rounds together."""
    config = compose_config(*SMALL, f"model={model}", f"aux_weight={int(model == 'wsn')}")
    train_run(config, tmp_path / "run")
    records = records_of(tmp_path / "run")
    for record in records:
        rows = record.confusion
        digits = round_pairs(config.data, record.row.seed).test.digits.tolist()
        assert {(row.first, row.second): row.pairs for row in rows if row.pairs} == {
            (first, second): digits.count([first, second]) for first, second in digits
        }
        assert sum(row.right for row in rows) / 60 == pytest.approx(record.row.test_accuracy)
        for one in record.distances:
            near = [row for row in rows if abs(row.first - row.second) == one.distance]
            assert (sum(row.pairs for row in near), sum(row.right for row in near)) == (one.pairs, one.right)
        read = [row.read for row in rows if row.read is not None]
        if model == "net1":  # which has no digit head
            assert not read
            continue
        assert sum(read) == 120
        assert sum(row.read or 0 for row in rows if row.first == row.second) / 120 == pytest.approx(record.row.digit_accuracy)
        for digit in range(10):
            assert sum(row.read or 0 for row in rows if row.first == digit) == sum(pair.count(digit) for pair in digits)
    cells = cells_of(tmp_path / "run")
    assert len(cells) <= 100
    assert sum(int(cell[2]) for cell in cells) == 120
    assert sum(int(cell[3]) for cell in cells) == sum(row.right for record in records for row in record.confusion)
    assert {cell[4] for cell in cells} == {""} if model == "net1" else sum(int(cell[4]) for cell in cells) == 240


def test_stacked_rounds_have_their_own() -> None:
    """Each its pairs, with its seed."""
    config = compose_config(*SMALL, "model=wsn", "aux_weight=1")
    for seed, result in zip((3, 4), train_rounds(config, [3, 4], torch.device("cpu"), lambda *_: True), strict=True):
        assert result is not None
        assert {row.seed for row in result.confusion} == {seed}
        digits = round_pairs(config.data, seed).test.digits.tolist()
        assert all(row.pairs == digits.count([row.first, row.second]) for row in result.confusion)


def test_untested_rounds_have_none(tmp_path: Path) -> None:
    """Their test pairs stay unseen."""
    train_run(compose_config(*SMALL, "rounds=1", "test=false", "data.val_pairs=20"), tmp_path / "run")
    assert records_of(tmp_path / "run")[0].confusion == []
    assert not (tmp_path / "run" / "confusion.csv").exists()


def recorded(rows: list[ConfusionRow]) -> Record:
    """A record with these rows, read from its line."""
    _, line = to_record(RoundResult(ROUND, [EPOCH], [DistanceRow(0, 5, 5, 4)], confusion=rows), "abc", "now", "log")
    ((record,), damaged, _) = parse(line, "log")
    assert not damaged
    return record


def test_a_record_of_an_earlier_version_has_none() -> None:
    """All else of it is read as ever."""
    with_it, without = recorded(ROWS), recorded([])
    assert with_it.confusion == ROWS
    assert without.confusion == []
    for record in (with_it, without):
        assert record.is_whole
        assert record.epochs == [EPOCH]
        assert record.distances == [DistanceRow(0, 5, 5, 4)]
        assert record.column("distances", "pairs") == b"5"


@pytest.mark.parametrize("columns", [b'"first":[1]}', b'"first":[1],"second":[1],"pairs":["1"],"right":[1],"read":[1]}', b'"x":'])
def test_what_another_program_wrote_is_known(columns: bytes) -> None:
    """Its checksum is right, and what it says makes no sense."""
    _, line = to_record(RoundResult(ROUND, [EPOCH], [DistanceRow(0, 5, 5, 4)], confusion=ROWS), "abc", "now", "log")
    rest = line[line.index(b'"configuration"') : line.index(CONFUSION)] + CONFUSION + columns + b"}"
    ((record,), _, _) = parse(b'{"check":"%08x%08x",%s\n' % (zlib.crc32(rest), len(rest), rest), "log")
    assert not record.is_whole
    assert views.confusion([record, recorded(ROWS)]) == views.confusion([recorded(ROWS)]) == [Cell(3, 8, 5, 4, 0), Cell(8, 8, 0, 0, 7)]
