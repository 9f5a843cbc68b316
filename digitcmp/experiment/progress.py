"""What the user sees while rounds are trained: a live bar in a terminal, plain lines elsewhere."""

from dataclasses import dataclass, replace
from math import isnan
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from digitcmp.train.results import EpochRow, RoundRow, accuracy_of


def counted(number: int, noun: str) -> str:
    """1 epoch, 2 epochs."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@dataclass
class Sums:
    """Over the last epochs of some rounds. tested: those of which an accuracy is known."""

    rounds: int = 0
    epochs: int = 0
    tested: int = 0
    loss: float = 0.0
    accuracy: float = 0.0

    def add(self, row: EpochRow) -> None:
        """One round more."""
        self.rounds, self.epochs = self.rounds + 1, self.epochs + row.epoch
        self.loss += row.train_loss
        if not isnan(accuracy := accuracy_of(row)[1]):
            self.tested, self.accuracy = self.tested + 1, self.accuracy + accuracy


class Display:
    """Follows rounds until it is left, as a context manager.

    In a terminal: one bar over all epochs of all rounds. Elsewhere: a line per epoch of a single round, a line per finished
    round of several. rounds, epochs: how many are expected in all, None where nobody knows.
    """

    def __init__(self, title: str, rounds: int | None, epochs: int | None, console: Console) -> None:
        self.title, self.rounds, self.epochs, self.console = title, rounds, epochs, console
        self.finished = 0
        self.live = console.is_terminal
        self.last: dict[int, EpochRow] = {}  # of the rounds in flight, by place
        self.ended = Sums()  # of the last epochs of the rounds that are through
        unit = "epochs" if rounds in (None, 1) else f"epochs of {rounds} rounds"
        self.progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn(unit + " · {task.fields[figures]}"),
            TimeElapsedColumn(),
            TextColumn("·"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=console,
            transient=True,
        )
        self.task = self.progress.add_task(title, total=epochs, figures="starting")

    def __enter__(self) -> "Display":
        if self.live:
            self.progress.start()
            return self
        sizes = [counted(number, noun) for number, noun in ((self.rounds, "round"), (self.epochs, "epoch")) if number is not None]
        self.console.print(f"{self.title}: {', '.join(sizes)} in all" if sizes else self.title, highlight=False)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.live:
            self.progress.stop()

    def note(self, place: int, row: EpochRow) -> None:
        """An epoch of the round at this place is through. Between two tests (test_every) the last one still counts."""
        before = self.last.get(place)
        keeps = before is not None and row.test_accuracy is None
        self.last[place] = replace(row, test_accuracy=before.test_accuracy) if keeps and before else row
        if self.live:
            self.show()
        elif self.rounds == 1:
            self.print_epoch(row)

    def show(self) -> None:
        """Bring the bar up to date: epochs of all rounds, means of their last loss and accuracy."""
        sums = replace(self.ended)
        for row in self.last.values():
            sums.add(row)
        if sums.rounds:
            mean = "" if self.rounds == 1 else "mean "
            figures = f"{mean}loss {sums.loss / sums.rounds:.3f}"
            figures += f" · {mean}accuracy {sums.accuracy / sums.tested:.1%}" if sums.tested else ""
            self.progress.update(self.task, completed=sums.epochs, total=self.epochs, figures=figures)

    def leave(self, place: int) -> int:
        """The round at this place is through; returns how many epochs it is known to have had."""
        if (row := self.last.pop(place, None)) is None:
            return 0
        self.ended.add(row)
        return row.epoch

    def print_epoch(self, row: EpochRow) -> None:
        """A line for one epoch."""
        name, accuracy = accuracy_of(row)
        line = f"epoch {row.epoch:>3}/{self.epochs}  loss {row.train_loss:.4f}"
        line += "" if isnan(accuracy) else f"  {name} {accuracy:7.2%}"
        self.console.print(line + ("" if row.digit_accuracy is None else f"  digits {row.digit_accuracy:7.2%}"), highlight=False)

    def finish(self, place: int, row: RoundRow, run: str) -> None:
        """Say that the round at this place (of the run with this name, if there are several) has ended."""
        self.finished += 1
        self.leave(place)
        if row.status == "failed":
            self.console.print(
                f"{run} seed {row.seed} failed: {row.error}".strip(), style="red", markup=False, highlight=False, soft_wrap=True
            )
        elif self.rounds != 1 and not self.live:
            number = f"{self.finished}" if self.rounds is None else f"{self.finished}/{self.rounds}"
            name, accuracy = accuracy_of(row)
            line = f"round {number}  seed {row.seed}  {name} {accuracy:7.2%}  {row.seconds:.1f} s  {run}"
            self.console.print(line.rstrip(), markup=False, highlight=False, soft_wrap=True)

    def drop(self, place: int, epochs: int) -> None:
        """The round at this place, which was to have this many epochs, was stopped or is not begun any more."""
        done = self.leave(place)
        if self.epochs is not None:
            self.epochs -= epochs - done
