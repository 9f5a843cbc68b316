"""What the user sees while rounds are trained: a live bar in a terminal, plain lines elsewhere."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import isfinite, isnan
from types import TracebackType

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TimeRemainingColumn
from rich.progress import Task as RichTask
from rich.table import Table
from rich.text import Text

from digitcmp.counting import counted
from digitcmp.experiment.callbacks import Callback
from digitcmp.experiment.notebook import NotebookBar
from digitcmp.experiment.run import Run, objective
from digitcmp.inert import line
from digitcmp.session import in_notebook
from digitcmp.terminal import takes_back
from digitcmp.train.results import EpochRow, RoundResult, accuracy_of


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


class Line(Progress):
    """A bar that is one line, however narrow the terminal: what matters most is kept, the bar takes what is left.

    Fields of its task: count (34 of 400 rounds) and figures. What runs stands before it: "search: 7 of 60 trials".
    """

    LEAST, MOST = 8, 40  # columns of the bar
    SPARE = 2  # columns at the end for the ^C of a terminal: with it in a next row, the line could not be taken back

    def make_tasks_table(self, tasks: Iterable[RichTask]) -> Table:
        table = Table.grid(padding=(0, 1, 0, 0))
        for task in tasks:
            title, count, figures = Text(f"{task.description}:", "bold"), Text(task.fields["count"]), Text(task.fields["figures"])
            left = Text.assemble(TimeRemainingColumn().render(task), " left") if task.total else Text("")
            kept, room = [], self.console.width - self.SPARE
            for text in (count, left, figures, title):  # in the order of what they are worth
                if text and text.cell_len + 1 <= room:
                    kept.append(text)
                    room -= text.cell_len + 1
            bar: list[RenderableType] = [BarColumn(min(room - 1, self.MOST)).render(task)] if room > self.LEAST else []
            cells: list[RenderableType] = [
                *(text for text in (title, count) if text in kept),
                *bar,
                *(text for text in (figures, left) if text in kept),
            ]
            table.add_row(*cells)
        return table


class ProgressDisplay(Callback):
    """Follows rounds, from the first one that is begun until it is left as a context manager.

    In a notebook, and in a terminal that can take lines back: one line with the count (of epochs, until a first round is through), a bar
    over all epochs (a search: trials, those in flight as far as they are), what the rounds have come to, and the time left. Elsewhere: a
    line per epoch of a single round, a line per finished round of several.

    rounds, epochs: how many are expected in all, None where nobody knows. several: whether there are several runs. trials: of a
    search, in place of rounds and epochs: how many there are to be; finished: how many of them there are already, best: their best,
    which is the least where less is better.
    """

    def __init__(
        self,
        title: str,
        rounds: int | None,
        epochs: int | None,
        several: bool,
        console: Console,
        trials: int | None = None,
        finished: int = 0,
        best: float | None = None,
        less: bool = False,
    ) -> None:
        self.title, self.rounds, self.epochs, self.several, self.console = line(title), rounds, epochs, several, console
        self.trials, self.finished, self.best, self.better = trials, finished, best, min if less else max
        self.live, self.begun = takes_back(console) or in_notebook(), False
        self.last: dict[tuple[Run, int], EpochRow] = {}  # of the rounds in flight
        self.through: Counter[Run] = Counter()  # epochs of the trials in flight
        self.ended = Sums()  # of the last epochs of the rounds that are through
        self.bar: Line | NotebookBar = NotebookBar() if in_notebook() else Line(console=console, transient=True, speed_estimate_period=600)
        self.task = self.bar.add_task(self.title, total=trials or epochs, completed=finished, count="", figures="starting")

    @classmethod
    def of(cls, runs: Sequence[Run], console: Console) -> "ProgressDisplay":
        """The display of runs that are known in advance."""
        missing = [run for run in runs if run.missing]
        title = missing[0].config.model.name if len(runs) == 1 and missing else counted(len(missing), "run")
        epochs = sum(len(run.missing) * run.config.epochs for run in missing)
        return cls(title, sum(len(run.missing) for run in missing), epochs, len(runs) > 1, console)

    @classmethod
    def of_search(
        cls, title: str, trials: int, finished: int, best: float | None, console: Console, less: bool = False
    ) -> "ProgressDisplay":
        """The display of a search, of which so many trials are finished. best: their best validation accuracy, if there is any; less:
        whether less is better."""
        return cls(title, None, None, True, console, trials, finished, best, less)

    def __enter__(self) -> "ProgressDisplay":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.live:  # elsewhere, it would leave an empty line
            self.bar.stop()

    def on_run_begin(self, run: Run) -> None:
        if self.begun or not run.missing:
            return
        self.begun = True
        if self.live:
            self.show()
            self.bar.start()
            return
        sizes = [counted(number, noun) for number, noun in ((self.rounds, "round"), (self.epochs, "epoch")) if number is not None]
        sizes += [counted(self.trials, "trial")] if self.trials else []
        self.console.print(f"{self.title}: {', '.join(sizes)} in all" if sizes else self.title, highlight=False)

    def on_run_end(self, run: Run) -> None:
        if self.trials:
            self.finished += 1
            self.through.pop(run, None)
            if not run.pruned and not run.failed:
                value = objective(run.rows)
                if isfinite(value):
                    self.best = value if self.best is None else self.better(self.best, value)
            self.show()

    def on_epoch(self, run: Run, row: EpochRow) -> None:
        """Between two tests (test_every) the last one still counts."""
        self.through[run] += 1
        before = self.last.get((run, row.seed))
        keeps = before is not None and row.test_accuracy is None
        self.last[run, row.seed] = replace(row, test_accuracy=before.test_accuracy) if keeps and before else row
        if self.live:
            self.show()
        elif self.rounds == 1:
            self.print_epoch(row)

    def show(self) -> None:
        """Bring the line up to date."""
        if self.trials:
            trials = counted(self.trials, "trial")
            figures = "no trial complete yet" if self.best is None else f"best so far {self.best:.2%}"
            partly = sum(min(1.0, epochs / (run.config.epochs * len(run.seeds))) for run, epochs in self.through.items())
            self.bar.update(self.task, completed=self.finished + partly, count=f"{self.finished} of {trials}", figures=figures)
            return
        sums = replace(self.ended)
        for row in self.last.values():
            sums.add(row)
        in_epochs = self.epochs is not None and (self.rounds == 1 or (sums.epochs and not self.finished))
        through, whole, noun = (sums.epochs, self.epochs or 0, "epoch") if in_epochs else (self.finished, self.rounds or 0, "round")
        count = f"{through} of {counted(whole, noun)}"
        figures = "starting"
        if sums.rounds:
            # means over the rounds that have begun
            figures = f"loss {sums.loss / sums.rounds:.3f}" + (f" · accuracy {sums.accuracy / sums.tested:.1%}" if sums.tested else "")
        self.bar.update(self.task, completed=sums.epochs, total=self.epochs, count=count, figures=figures)

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
        self.finished += self.trials is None
        row, name = result.row, run.name if self.several else ""
        self.leave(run, row.seed)
        if self.live:
            self.show()
        if row.status == "failed":
            self.say(f"{name} seed {row.seed} failed: {row.error}".strip(), "red")
        elif self.rounds != 1 and not self.live:
            number = "" if self.rounds is None else f"round {self.finished}/{self.rounds}  "
            measured, accuracy = accuracy_of(row)
            self.say(f"{number}seed {row.seed}  {measured} {accuracy:7.2%}  {row.seconds:.1f} s  {name}".rstrip())

    def on_round_stop(self, run: Run, seed: int) -> None:
        done = self.leave(run, seed)
        if self.epochs is not None:
            self.epochs -= run.config.epochs - done

    def on_message(self, text: str) -> None:
        self.say(text, "yellow")

    def say(self, text: str, style: str | None = None) -> None:
        """A line, above the bar where there is one."""
        self.console.print(Text(line(text), style or ""), soft_wrap=True)
