"""What every tracker is: three events, the same whether rounds are being trained or are on disk already.

A round is shown when it is on record, with all its epochs: so a tracker has what epochs.csv has, whatever executes the rounds, and a round
that was stopped, and is trained again after a resume, is there once.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from digitcmp.config.identity import flat
from digitcmp.experiment.about import read_about
from digitcmp.experiment.callbacks import Callback
from digitcmp.experiment.published import read_records
from digitcmp.experiment.records import rounded
from digitcmp.files import locked
from digitcmp.inert import visible
from digitcmp.train.results import EpochRow, RoundResult, RoundRow

if TYPE_CHECKING:
    from digitcmp.experiment.run import Run

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
    show it at a time: each event is shown by one of them alone (`alone`). What is not there any more is shown anew.

    tell: gets a line about what was lost there.
    """

    tell: Callable[[str], None] = staticmethod(print)

    @abstractmethod
    def show_run(self, run: TrackedRun) -> bool:
        """A run: its configuration, and what makes it. Returns whether nothing of it was there, so that its rounds are to be shown, too."""

    @abstractmethod
    def show_round(self, run: TrackedRun, row: RoundRow, epochs: list[EpochRow]) -> None:
        """A round that is on record, in place of what was shown of it before."""

    @abstractmethod
    def show_end(self, run: TrackedRun, rows: list[RoundRow]) -> None:
        """The rounds that a run has by now: their means (`means`), and its status."""

    @contextmanager
    def alone(self, run: TrackedRun) -> Iterator[TrackedRun]:
        """Show something of a run, while no other process shows anything of it by a tracker of this kind."""
        with locked(run.directory / f".{type(self).__name__.lower()}.lock"):
            yield run

    def catch_up(self, run: TrackedRun) -> None:
        """Show a run, and its rounds on record where nothing of it was there: it was begun without this tracker, or is gone there."""
        if self.show_run(run):
            for record in read_records(run.directory, run.about).rounds.values():
                self.show_round(run, record.row, record.epochs)

    def on_run_begin(self, run: "Run") -> None:
        with self.alone(tracked(run)) as shown:
            self.catch_up(shown)

    def on_round_end(self, run: "Run", result: RoundResult) -> None:
        row = RoundRow(**{name: rounded(value) for name, value in vars(result.row).items()})
        epochs = [EpochRow(**{name: rounded(value) for name, value in vars(epoch).items()}) for epoch in result.epochs]
        with self.alone(tracked(run)) as shown:
            self.catch_up(shown)
            self.show_round(shown, row, epochs)

    def on_run_end(self, run: "Run") -> None:
        with self.alone(tracked(run)) as shown:
            self.catch_up(shown)
            self.show_end(shown, list(run.store.rows.values()))


def tracked(run: "Run") -> TrackedRun:
    """A run that is being trained, as trackers see it."""
    return TrackedRun(run.directory, run.store.about or {"configuration": {}})


def show_folder(tracker: Tracker, directory: Path) -> int:
    """Show a run that is on disk; how many rounds it has. Raises RunError where there is none."""
    run = TrackedRun(directory.absolute(), read_about(directory))
    records = list(read_records(directory, run.about).rounds.values())
    with tracker.alone(run):
        tracker.show_run(run)
    for record in records:
        with tracker.alone(run):
            tracker.show_round(run, record.row, record.epochs)
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
