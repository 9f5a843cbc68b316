"""Who is told what happens while runs are trained: the one protocol for displays, logs, pruning, trackers and jobs."""

from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING

from digitcmp.errors import DigitcmpError, RunError
from digitcmp.train.results import EpochRow, RoundResult

if TYPE_CHECKING:
    from digitcmp.experiment.run import Run


class Callback:
    """Override what you want to hear of. Everything is called in the process and thread of the scheduler.

    Order: on_run_begin, then for each round on_round_begin, its epochs in order and on_round_end (or on_round_stop, also for one that
    is not begun), then on_run_end. Rounds of several runs may be under way at once.
    """

    def on_run_begin(self, run: "Run") -> None:
        """A run has rounds to be trained, and they are about to be."""

    def on_round_begin(self, run: "Run", seed: int, epoch: int) -> None:
        """A round is begun, or goes on after this epoch: those up to it are told once more."""

    def on_epoch(self, run: "Run", row: EpochRow) -> None:
        """An epoch of a round is through. Raise `Pruned` to end the run early: its rounds in flight are stopped and not recorded;
        `Broken` where this round fails, which is then recorded."""

    def on_round_end(self, run: "Run", result: RoundResult) -> None:
        """A round has ended, done or failed, and is on record."""

    def on_round_stop(self, run: "Run", seed: int) -> None:
        """A round was stopped, is not begun any more, or is left to another process."""

    def on_run_end(self, run: "Run") -> None:
        """This process is through with a run; its status is `run.status`."""

    def on_end(self) -> None:
        """Nothing more is trained, whatever the reason: an interrupt or an error is told by this alone."""

    def on_message(self, text: str) -> None:
        """Something that whoever looks at the screen should know, in one line."""


class Callbacks(Callback):
    """Several callbacks as one, called in their order; left as a context manager, it tells them of the end. What they raise is not taken
    for an error of a round."""

    def __init__(self, callbacks: Iterable[Callback]) -> None:
        self.callbacks = list(callbacks)

    def __enter__(self) -> "Callbacks":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.on_end()

    def on_run_begin(self, run: "Run") -> None:
        for callback in self.callbacks:
            callback.on_run_begin(run)

    def on_round_begin(self, run: "Run", seed: int, epoch: int) -> None:
        for callback in self.callbacks:
            callback.on_round_begin(run, seed, epoch)

    def on_epoch(self, run: "Run", row: EpochRow) -> None:
        for callback in self.callbacks:
            try:
                callback.on_epoch(run, row)
            except DigitcmpError:
                raise
            except Exception as error:
                raise RunError(f"what watches the epochs of the rounds failed: {type(error).__name__}: {error}") from error

    def on_round_end(self, run: "Run", result: RoundResult) -> None:
        for callback in self.callbacks:
            callback.on_round_end(run, result)

    def on_round_stop(self, run: "Run", seed: int) -> None:
        for callback in self.callbacks:
            callback.on_round_stop(run, seed)

    def on_run_end(self, run: "Run") -> None:
        for callback in self.callbacks:
            callback.on_run_end(run)

    def on_end(self) -> None:
        for callback in self.callbacks:
            callback.on_end()

    def on_message(self, text: str) -> None:
        for callback in self.callbacks:
            callback.on_message(text)
