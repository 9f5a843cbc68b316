"""rounds.csv, epochs.csv, distances.csv and confusion.csv: what is on record, for people and other programs. What has logs reads nothing of
them back."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from digitcmp import inert
from digitcmp.errors import DAMAGED
from digitcmp.experiment.records import DIGITS, Record, Records
from digitcmp.files import is_special, write_whole
from digitcmp.train.results import DistanceRow, EpochRow, RoundRow

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

FILES = ("epochs.csv", "distances.csv", "rounds.csv")


def write_views(directory: Path, records: Sequence[Record]) -> None:
    """Write the files of a run. records: in the order of the rows. Raises RunError when they cannot be written."""
    if cells := confusion(records):
        write_whole(directory / "confusion.csv", to_csv(Cell, map(astuple, cells)))
    for name, text in views(records).items():
        write_whole(directory / name, text)


@dataclass(frozen=True)
class Cell:
    """A row of confusion.csv: two classes in the test pairs of all rounds, as `ConfusionRow` has them of one."""

    first: int
    second: int
    pairs: int
    right: int
    read: int | None


def confusion(records: Sequence[Record]) -> list[Cell]:
    """What is on record of each two classes, all rounds together; nothing where no round was tested."""
    try:
        return cells(records)
    except DAMAGED:  # another program's lines
        return cells([record for record in records if record.is_whole])


def cells(records: Iterable[Record]) -> list[Cell]:
    """See `confusion`."""
    counts: dict[tuple[int, int], list[int | None]] = {}
    for record in records:
        for row in record.confusion:
            cell = counts.setdefault((row.first, row.second), [0, 0, None])
            new = (row.pairs, row.right, row.read)
            cell[:] = [old if one is None else (old or 0) + one for old, one in zip(cell, new, strict=True)]
    return [Cell(*classes, pairs or 0, right or 0, read) for classes, (pairs, right, read) in sorted(counts.items())]


def views(records: Sequence[Record]) -> dict[str, str]:
    """The texts of the three files by name, in the order in which they are written."""
    parts: dict[Literal["epochs", "distances"], type[EpochRow | DistanceRow]] = {"epochs": EpochRow, "distances": DistanceRow}
    texts = {}
    for part, kind in parts.items():
        try:
            texts[f"{part}.csv"] = rows_of(records, part, kind)
        except DAMAGED:  # another program's lines
            texts[f"{part}.csv"] = rows_of([record for record in records if record.is_whole], part, kind)
    return {**texts, "rounds.csv": rounds_of(records)}


def rounds_of(records: Iterable[Record]) -> str:
    """The text of rounds.csv."""
    return to_csv(RoundRow, (vars(record.row).values() for record in records))


def are_current(directory: Path, records: Records) -> bool:
    """Whether the files of a run are there, and show what is on record: rounds.csv, the last one to be written, says so. By content, as
    times of files say nothing where clocks are set back, or folders copied. Nothing on record needs no files."""
    if not records.rounds:
        return True
    paths = [directory / name for name in FILES]
    if any(is_special(path) or not path.is_file() for path in paths):
        return False
    return paths[-1].read_bytes() == rounds_of(record for _, record in sorted(records.rounds.items())).encode(errors="backslashreplace")


def rows_of(records: Sequence[Record], part: Literal["epochs", "distances"], kind: type[EpochRow | DistanceRow]) -> str:
    """A part of all records as CSV."""
    return to_csv(kind, (row for record in records for row in record.values(part, kind)))


def to_csv(kind: "type[DataclassInstance]", rows: Iterable[Iterable[Any]]) -> str:
    """Rows of a kind as CSV text with a header. Numbers have 8 significant digits: all that single precision knows; None is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([item.name for item in fields(kind)])
    writer.writerows([cell(value) for value in row] for row in rows)
    return text.getvalue()


def cell(value: float | int | str | None) -> str | int | None:
    """One value as the CSV writer takes it."""
    if isinstance(value, str):
        return inert.csv(value)
    return format(value, DIGITS) if isinstance(value, float) else value
