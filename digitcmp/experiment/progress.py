"""What the user sees while rounds are trained: a live bar in a terminal, plain lines elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isnan
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from digitcmp.experiment.callbacks import Callback
from digitcmp.experiment.run import Run
from digitcmp.inert import line
from digitcmp.train.results import EpochRow, RoundResult, accuracy_of


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


class ProgressDisplay(Callback):
    """Follows rounds, from the first one that is begun until it is left as a context manager.

    In a terminal: one bar over all epochs of all rounds. Elsewhere: a line per epoch of a single round, a line per finished
    round of several. rounds, epochs: how many are expected in all, None where nobody knows. several: whether there are several runs.
    """

    def __init__(self, title: str, rounds: int | None, epochs: int | None, several: bool, console: Console) -> None:
        self.title, self.rounds, self.epochs, self.several, self.console = line(title), rounds, epochs, several, console
        self.finished = 0
        self.live, self.begun = console.is_terminal, False
        self.last: dict[tuple[Run, int], EpochRow] = {}  # of the rounds in flight
        self.ended = Sums()  # of the last epochs of the rounds that are through
        unit = "epochs" if rounds in (None, 1) else f"epochs of {rounds} rounds"
        self.bar = Progress(
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn(unit + " · {task.fields[figures]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("·"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=console,
            transient=True,
        )
        self.task = self.bar.add_task(self.title, total=epochs, figures="starting")

    @classmethod
    def of(cls, runs: Sequence[Run], console: Console) -> "ProgressDisplay":
        """The display of runs that are known in advance."""
        missing = [run for run in runs if run.missing]
        title = missing[0].config.model.name if len(runs) == 1 and missing else counted(len(missing), "run")
        epochs = sum(len(run.missing) * run.config.epochs for run in missing)
        return cls(title, sum(len(run.missing) for run in missing), epochs, len(runs) > 1, console)

    def __enter__(self) -> "ProgressDisplay":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.bar.stop()

    def on_run_begin(self, run: Run) -> None:
        if self.begun or not run.missing:
            return
        self.begun = True
        if self.live:
            self.bar.start()
            return
        sizes = [counted(number, noun) for number, noun in ((self.rounds, "round"), (self.epochs, "epoch")) if number is not None]
        self.console.print(f"{self.title}: {', '.join(sizes)} in all" if sizes else self.title, highlight=False)

    def on_epoch(self, run: Run, row: EpochRow) -> None:
        """Between two tests (test_every) the last one still counts."""
        before = self.last.get((run, row.seed))
        keeps = before is not None and row.test_accuracy is None
        self.last[run, row.seed] = replace(row, test_accuracy=before.test_accuracy) if keeps and before else row
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
            self.bar.update(self.task, completed=sums.epochs, total=self.epochs, figures=figures)

    def leave(self, run: Run, seed: int) -> int:
        """A round is through; returns how many epochs it is known to have had."""
        if (row := self.last.pop((run, seed), None)) is None:
            return 0
        self.ended.add(row)
        return row.epoch

    def print_epoch(self, row: EpochRow) -> None:
        """A line for one epoch."""
        name, accuracy = accuracy_of(row)
        text = f"epoch {row.epoch:>3}/{self.epochs}  loss {row.train_loss:.4f}"
        text += "" if isnan(accuracy) else f"  {name} {accuracy:7.2%}"
        self.console.print(text + ("" if row.digit_accuracy is None else f"  digits {row.digit_accuracy:7.2%}"), highlight=False)

    def on_round_end(self, run: Run, result: RoundResult) -> None:
        self.finished += 1
        row, name = result.row, run.name if self.several else ""
        self.leave(run, row.seed)
        if row.status == "failed":
            self.say(f"{name} seed {row.seed} failed: {row.error}".strip(), "red")
        elif self.rounds != 1 and not self.live:
            number = f"{self.finished}" if self.rounds is None else f"{self.finished}/{self.rounds}"
            measured, accuracy = accuracy_of(row)
            self.say(f"round {number}  seed {row.seed}  {measured} {accuracy:7.2%}  {row.seconds:.1f} s  {name}".rstrip())

    def on_round_stop(self, run: Run, seed: int) -> None:
        done = self.leave(run, seed)
        if self.epochs is not None:
            self.epochs -= run.config.epochs - done

    def on_message(self, text: str) -> None:
        self.say(text, "yellow")

    def say(self, text: str, style: str | None = None) -> None:
        """A line, above the bar where there is one."""
        self.console.print(Text(line(text), style or ""), soft_wrap=True)
