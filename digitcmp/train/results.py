"""The typed rows of epochs.csv, rounds.csv and distances.csv, and how they are written and read."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TypeVar

from digitcmp.errors import RunError


@dataclass(frozen=True)
class EpochRow:
    """One epoch of one round. Accuracies are fractions; empty where there is no digit head, no validation pairs, or no test."""

    seed: int
    epoch: int
    train_loss: float
    train_accuracy: float
    test_accuracy: float | None
    digit_accuracy: float | None
    val_accuracy: float | None
    seconds: float


@dataclass(frozen=True)
class RoundRow:
    """One round: its figures at the last epoch, and how it ended.

    status: done or failed. best_epoch: the epoch with the highest validation accuracy, or the highest test accuracy
    where there are no validation pairs (a description, never a choice of what is reported). majority_accuracy: what
    always giving the more frequent answer would reach on the test pairs. A failed round has figures up to its last epoch.
    """

    seed: int
    status: str
    epochs: int
    train_loss: float | None
    train_accuracy: float | None
    test_accuracy: float | None
    digit_accuracy: float | None
    val_accuracy: float | None
    best_epoch: int | None
    best_accuracy: float | None
    majority_accuracy: float | None
    seconds: float
    error: str


@dataclass(frozen=True)
class DistanceRow:
    """One distance |first - second| in one round: how many test pairs have it, and how many were answered rightly after the last epoch."""

    seed: int
    distance: int
    pairs: int
    right: int


def accuracy_of(row: EpochRow | RoundRow) -> tuple[str, float]:
    """What there is to show: "test" and the test accuracy or, where the test pairs stay unseen, "val" and the validation accuracy."""
    name, accuracy = ("val", row.val_accuracy) if row.test_accuracy is None else ("test", row.test_accuracy)
    return name, float("nan") if accuracy is None else accuracy


Row = TypeVar("Row", EpochRow, RoundRow, DistanceRow)


def to_csv(kind: type[Row], rows: Iterable[Row]) -> str:
    """Rows as CSV text with a header. Numbers have 8 significant digits: all that single precision knows."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(kind)])
    writer.writerows([[cell(value) for value in astuple(row)] for row in rows])
    return text.getvalue()


def from_csv(kind: type[Row], text: str) -> list[Row]:
    """The rows of a text that `to_csv` made. Raises ValueError when it is something else."""
    reader = csv.DictReader(io.StringIO(text), strict=True)
    if reader.fieldnames != [field.name for field in fields(kind)]:
        raise ValueError(f"the columns are {reader.fieldnames}")
    make: Callable[..., Row] = kind
    return [make(**{field.name: value(str(field.type), cells[field.name]) for field in fields(kind)}) for cells in reader]


def value(kind: str, text: str | None) -> float | int | str | None:
    """One value from its text; empty is None where the column allows it. Raises ValueError for text of another kind."""
    if text is None:
        raise ValueError("a row ends too early")
    if text == "" and kind.endswith("None"):
        return None
    return text if kind.startswith("str") else int(text) if kind.startswith("int") else float(text)


def cell(value: float | int | str | None) -> str:
    """One value as text; None is empty."""
    if value is None:
        return ""
    return f"{value:.8g}" if isinstance(value, float) else str(value)


def read_rows(kind: type[Row], path: Path) -> list[Row]:
    """The rows of a file, none when there is no file yet. Raises RunError when it is damaged."""
    try:
        return from_csv(kind, path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (ValueError, OSError) as error:
        raise RunError(f"{path} cannot be read ({error}); delete its folder to train the rounds again") from error
