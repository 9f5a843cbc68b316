"""What every tracker is: three events, the same whether rounds are being trained or are on disk already.

A round is shown when it is on record, with all its epochs: so a tracker has what epochs.csv has, whatever executes the rounds, and a round
that was stopped, and is trained again after a resume, is there once.
"""

import re
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from digitcmp.config.identity import flat
from digitcmp.errors import DigitcmpError
from digitcmp.experiment.about import read_about
from digitcmp.experiment.callbacks import Callback
from digitcmp.experiment.published import read_records
from digitcmp.experiment.records import Record, rounded
from digitcmp.files import locked
from digitcmp.inert import visible
from digitcmp.train.results import EpochRow, RoundResult, RoundRow

if TYPE_CHECKING:
    from digitcmp.experiment.run import Run

LAST = 1.0  # seconds in which an interrupted process begins to show what it has of one more run
FIGURES = ("train_loss", "train_accuracy", "test_accuracy", "digit_accuracy", "val_accuracy")


@dataclass(frozen=True)
class TrackedRun:
    """A run as trackers see it: its folder, and run.json."""

    directory: Path
    about: dict[str, Any]

    @property
    def name(self) -> str:
        """The name of its folder."""
        return visible(self.directory.name)

    @property
    def configuration(self) -> dict[str, Any]:
        """Its configuration by dotted keys: numbers, truth values and texts; lists as text, null as `null`."""
        values = flat(self.about["configuration"])
        return {key: value if isinstance(value, bool | int | float) else visible(str("null" if value is None else value))
                for key, value in values.items()}  # fmt: skip


class Tracker(Callback):
    """Shows runs, and their rounds, in the notions of another program. Whatever is shown twice is there once, also when several processes
    show it at a time: each event is shown by one of them alone (`alone`). What is not there any more is shown anew, and whoever begins,
    resumes or ends a run shows what is on record and not there, or not whole, as of a process that was killed (`catch_up`).

    tell: gets a line about what was lost there. quick: whether a process that is interrupted has the time to show what it has on record.
    """

    tell: Callable[[str], None] = staticmethod(print)
    quick = True

    def __init__(self) -> None:
        self.begun: dict[Path, Run] = {}  # runs that were caught up with, and have not been ended, by folder

    @abstractmethod
    def show_run(self, run: TrackedRun) -> bool:
        """A run, begun or gone on with: makes it where nobody has. Returns whether nothing of it was there, so that its rounds are to be
        shown, too."""

    @abstractmethod
    def held(self, run: TrackedRun) -> dict[int, str]:
        """The rounds of a run that is shown that are there and whole, by seed: the mark of each, or its status where an earlier version
        has shown it. One question, however many rounds there are."""

    @abstractmethod
    def show_round(self, run: TrackedRun, row: RoundRow, epochs: list[EpochRow], mark: str) -> None:
        """A round that is on record, in place of what was shown of it before, unless that has this mark (`mark_of`) and is whole."""

    @abstractmethod
    def show_end(self, run: TrackedRun, rows: list[RoundRow]) -> None:
        """The rounds that a run has by now: their means (`means`), and its status."""

    @contextmanager
    def alone(self, run: TrackedRun) -> Iterator[TrackedRun]:
        """Show something of a run, while no other process shows anything of it by a tracker of this kind."""
        with locked(run.directory / f".{type(self).__name__.lower()}.lock"):
            yield run

    def catch_up(self, run: TrackedRun, known: Mapping[int, Record]) -> None:
        """Show a run, and those of its rounds that are not there, or not whole. known: what is on record, by seed; epochs are read where
        they are needed."""
        with self.alone(run):
            self.show_run(run)
            held = self.held(run) if known else {}
        lacking = [seed for seed, record in known.items() if held.get(seed) not in (mark_of(record), record.row.status)]
        records = read_records(run.directory, run.about).rounds if lacking else {}
        self.show_rounds(run, [records[seed] for seed in lacking if seed in records])

    def show_rounds(self, run: TrackedRun, records: Iterable[Record]) -> None:
        """Show rounds on record, one by one, so that other processes need not wait for all of them."""
        for record in records:
            with self.alone(run):
                self.show_round(run, record.row, record.epochs, mark_of(record))

    def on_run_begin(self, run: "Run") -> None:
        self.catch_up(tracked(run), run.store.records.rounds)
        self.begun[run.directory] = run

    def on_round_end(self, run: "Run", result: RoundResult) -> None:
        record = run.store.records.rounds[result.row.seed]
        epochs = [EpochRow(**{name: rounded(value) for name, value in vars(epoch).items()}) for epoch in result.epochs]
        shown = tracked(run)
        with self.alone(shown):
            if not (gone := self.show_run(shown)):
                self.show_round(shown, record.row, epochs, mark_of(record))
        if gone:
            self.catch_up(shown, run.store.records.rounds)

    def on_run_end(self, run: "Run") -> None:
        shown = tracked(run)
        self.catch_up(shown, run.store.records.rounds)
        with self.alone(shown):
            self.show_end(shown, list(run.store.rows.values()))
        self.begun.pop(run.directory, None)

    def on_end(self) -> None:
        end = time.monotonic() + LAST
        with suppress(DigitcmpError):  # the first error is the one to be told
            for run in list(self.begun.values()) if self.quick else []:
                if time.monotonic() < end:
                    self.on_run_end(run)


def mark_of(record: Record) -> str:
    """What tells a record from any other of the same seed, in letters and digits: a round that failed may be trained again."""
    return record.row.status + re.sub(r"\W", "", record.finished)


def tracked(run: "Run") -> TrackedRun:
    """A run that is being trained, as trackers see it."""
    return TrackedRun(run.directory, run.store.about or {"configuration": {}})


def show_folder(tracker: Tracker, directory: Path) -> int:
    """Show a run that is on disk, all its rounds, and tell of what is damaged; how many there are. Raises RunError where there is none."""
    run = TrackedRun(directory.absolute(), read_about(directory))
    found = read_records(directory, run.about)
    for text in found.damaged:
        tracker.tell(f"warning: {directory}: {text}")
    records = list(found.rounds.values())
    with tracker.alone(run):
        tracker.show_run(run)
    tracker.show_rounds(run, records)
    with tracker.alone(run):
        tracker.show_end(run, [record.row for record in records])
    return len(records)


def measured(row: EpochRow) -> dict[str, float]:
    """The figures of an epoch that it has, and its seconds."""
    return {
        item.name: value for item in fields(row) if item.name not in ("seed", "epoch") and (value := getattr(row, item.name)) is not None
    }


def means(rows: list[RoundRow]) -> dict[str, float]:
    """The mean of each figure over the rounds that are done, and how many are done and failed."""
    done = [row for row in rows if row.status == "done"]
    found = {"rounds_done": float(len(done)), "rounds_failed": float(len(rows) - len(done))}
    for name in (*FIGURES, "seconds"):
        values = [value for row in done if (value := getattr(row, name)) is not None]
        if values:
            found[f"mean_{name}"] = fmean(values)
    return found
