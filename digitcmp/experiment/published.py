"""Runs as they are published: run.json and the CSV files, `epochs.csv` compressed, without the logs.

There alone are CSV files the records, and there they are read; `read_records` serves both kinds of folder, so that whatever reads
runs (report, verify, `load_rounds`) reads published ones, too.
"""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar, get_args, get_type_hints

from digitcmp.errors import RunError
from digitcmp.experiment.log_reader import read_logs
from digitcmp.experiment.records import Record, Records, parse, to_record
from digitcmp.experiment.views import views
from digitcmp.files import is_special, write_whole
from digitcmp.train.results import DistanceRow, EpochRow, RoundResult, RoundRow

Row = TypeVar("Row", RoundRow, EpochRow, DistanceRow)
COMPRESSED = "epochs.csv"  # has a row an epoch; the others have a few per round
LARGEST = 100_000_000  # bytes of a file as it is read, which a small one may unpack to; a hundred rounds of ten thousand epochs are less


def is_published(about: dict[str, Any]) -> bool:
    """Whether this run.json is that of a published run."""
    return about.get("published") is True


def read_records(directory: Path, about: dict[str, Any]) -> Records:
    """All that is on record in a run's folder, in the order of the seeds. about: its run.json. Raises RunError."""
    configuration = about["configuration_hash"]
    if not is_published(about):
        return read_logs(directory, configuration)
    epochs, distances = (
        by_seed(read_csv(directory / f"{COMPRESSED}.gz", EpochRow)),
        by_seed(read_csv(directory / "distances.csv", DistanceRow)),
    )
    for seed, rows in epochs.items():
        if [row.epoch for row in rows] != list(range(1, len(rows) + 1)):
            raise RunError(f"{directory / COMPRESSED}.gz cannot be read: seed {seed} lacks an epoch, or has one twice")
    records = Records()
    for row in sorted(read_csv(directory / "rounds.csv", RoundRow), key=lambda row: row.seed):
        _, line = to_record(RoundResult(row, epochs.get(row.seed, []), distances.get(row.seed, [])), configuration, "", "rounds.csv")
        found, *_ = parse(line, "rounds.csv")
        if not found or row.seed in records.rounds:
            wrong = "is there twice" if found else "has a number that tables cannot hold"
            raise RunError(f"{directory / 'rounds.csv'} cannot be read: seed {row.seed} {wrong}")
        records.add(found[0])
    return records


def by_seed(rows: Iterable[Row]) -> dict[int, list[Row]]:
    """The rows of each round."""
    found: dict[int, list[Row]] = {}
    for row in rows:
        found.setdefault(row.seed, []).append(row)
    return found


def read_csv(path: Path, kind: type[Row]) -> list[Row]:
    """The rows of a CSV file, which may be compressed. Raises RunError when it cannot be read or has other columns."""
    names, hints = [item.name for item in fields(kind)], get_type_hints(kind)
    lines = csv.reader(io.StringIO(text_of(path), newline=""))
    try:
        if (head := next(lines, [])) != names:
            raise RunError(f"{path} has the columns {', '.join(head)}; this version knows {', '.join(names)}")
        return [kind(*(value(cell, hints[name]) for name, cell in zip(names, line, strict=True))) for line in lines]
    except (ValueError, csv.Error) as error:
        raise RunError(f"{path} cannot be read: line {lines.line_num} is damaged") from error


def text_of(path: Path) -> str:
    """The text of a file. Raises RunError."""
    try:
        if is_special(path):
            raise OSError("it is no file")
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise OSError(f"it is larger than {LARGEST:,} bytes")
        return data.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise RunError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def value(cell: str, hint: Any) -> Any:
    """What a cell of a column of this type holds. Raises ValueError."""
    kinds = get_args(hint) or (hint,)
    if isinstance(kinds[0], str):  # one of some words
        return kinds[kinds.index(cell)]
    return None if cell == "" and NoneType in kinds else kinds[0](cell)


def write_published(directory: Path, about: dict[str, Any], records: Sequence[Record]) -> None:
    """Write the folder of a published run: the same bytes for the same run. about: its run.json. Raises RunError."""
    for name, text in views(records).items():
        if name == COMPRESSED:
            write_whole(directory / f"{name}.gz", gzip.compress(text.encode(), mtime=0))
        else:
            write_whole(directory / name, text)
    # last, as it is what makes the folder one of a run
    write_whole(directory / "run.json", json.dumps({**about, "published": True}, indent=2, ensure_ascii=False) + "\n")
