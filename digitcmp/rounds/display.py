"""What the user sees while rounds are trained: a live bar in a terminal, plain lines elsewhere."""

import threading
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from digitcmp.rounds.board import Board
from digitcmp.rounds.rows import EpochRow, RoundRow, accuracy_of

REFRESH = 0.2  # seconds


def counted(number: int, noun: str) -> str:
    """1 epoch, 2 epochs."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


class Display:
    """Follows the rounds of a run until it is left, as a context manager.

    In a terminal: one bar over all epochs of all rounds. Elsewhere: a line per epoch of a single round, a line per finished
    round of several.
    """

    def __init__(self, title: str, rounds: int, epochs: int, console: Console) -> None:
        self.title, self.rounds, self.epochs, self.console = title, rounds, epochs, console
        self.board = Board.create(rounds)
        self.finished = 0
        self.live = console.is_terminal
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.follow, daemon=True)
        unit = "epochs" if rounds == 1 else f"epochs of {rounds} rounds"
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
            self.thread.start()
        else:
            self.console.print(f"{self.title}: {counted(self.rounds, 'round')}, {counted(self.epochs, 'epoch')} in all", highlight=False)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.live:
            self.stop.set()
            self.thread.join()
            self.progress.stop()
        self.board.close()

    def follow(self) -> None:
        """Bring the bar up to date until the display is left."""
        while not self.stop.wait(REFRESH):
            done, loss, accuracy = self.board.standing()
            if done:
                mean = "" if self.rounds == 1 else "mean "
                self.progress.update(self.task, completed=done, figures=f"{mean}loss {loss:.3f} · {mean}accuracy {accuracy:.1%}")

    def watch(self, place: int) -> Callable[[EpochRow], None]:
        """A function to be told about every epoch of the round at this place, in this process."""
        on_board = self.board.watch(place)

        def note(row: EpochRow) -> None:
            on_board(row)
            if not self.live and self.rounds == 1:
                self.print_epoch(row)

        return note

    def print_epoch(self, row: EpochRow) -> None:
        """A line for one epoch."""
        name, accuracy = accuracy_of(row)
        line = f"epoch {row.epoch:>3}/{self.epochs}  loss {row.train_loss:.4f}  {name} {accuracy:7.2%}"
        self.console.print(line + ("" if row.digit_accuracy is None else f"  digits {row.digit_accuracy:7.2%}"), highlight=False)

    def finish(self, row: RoundRow, run: str) -> None:
        """Say that a round (of the run with this name, if there are several) has ended."""
        self.finished += 1
        if row.status == "failed":
            self.console.print(
                f"{run} seed {row.seed} failed: {row.error}".strip(), style="red", markup=False, highlight=False, soft_wrap=True
            )
        elif self.rounds > 1 and not self.live:
            name, accuracy = accuracy_of(row)
            line = f"round {self.finished}/{self.rounds}  seed {row.seed}  {name} {accuracy:7.2%}  {row.seconds:.1f} s  {run}"
            self.console.print(line.rstrip(), markup=False, highlight=False, soft_wrap=True)
