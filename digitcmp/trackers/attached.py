"""The callbacks that the configurations of runs ask for, told of these runs alone. One that breaks is left out from then on: rounds are
trained all the same."""

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from digitcmp.errors import DigitcmpError, Pruned
from digitcmp.experiment.callbacks import Callback
from digitcmp.inert import line, visible
from digitcmp.passwords import without_passwords
from digitcmp.trackers.load import make, wanted
from digitcmp.trackers.missed import later
from digitcmp.trackers.tracker import Tracker
from digitcmp.train.results import EpochRow, RoundResult

if TYPE_CHECKING:
    from digitcmp.experiment.run import Run


class Attached(Callback):
    """Makes what a run asks for when the run begins, once for all runs that ask for the same. tell: gets a line for each that breaks."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.tell = tell
        self.made: dict[str, dict[str, Callback]] = {}  # by what was asked for
        self.runs: dict[str, Run] = {}  # the one that has asked for it last

    def __enter__(self) -> "Attached":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for run in self.runs.values():
            self.call(run, lambda callback: callback.on_end())

    def of(self, run: "Run") -> dict[str, Callback]:
        """The callbacks of a run, by their names. Raises ConfigError where they cannot be made."""
        asked = repr(run.config.callbacks)
        self.runs[asked] = run
        if asked not in self.made:
            self.made[asked] = make(run.config.callbacks)
            for callback in self.made[asked].values():
                if isinstance(callback, Tracker):
                    callback.tell = self.tell
        return self.made[asked]

    def call(self, run: "Run", event: Callable[[Callback], None]) -> None:
        """Tell a run's callbacks of something. Raises Pruned, by which one ends a run, and the problems that a user can mend."""
        callbacks = self.of(run)
        for name, callback in list(callbacks.items()):
            try:
                event(callback)
            except (Pruned, DigitcmpError):
                raise
            except Exception as error:  # whatever a library raises for a server that is down
                del callbacks[name]
                what = line(without_passwords(f"{type(error).__name__}: {error}"))
                mended = f"; {visible(later(name, wanted(run.config.callbacks)[name], run))}" if hasattr(callback, "show_round") else ""
                self.tell(f"callbacks.{name} is told nothing more, as it failed ({what}); training goes on{mended}")

    def on_run_begin(self, run: "Run") -> None:
        self.call(run, lambda callback: callback.on_run_begin(run))

    def on_round_begin(self, run: "Run", seed: int, epoch: int) -> None:
        self.call(run, lambda callback: callback.on_round_begin(run, seed, epoch))

    def on_epoch(self, run: "Run", row: EpochRow) -> None:
        self.call(run, lambda callback: callback.on_epoch(run, row))

    def on_round_end(self, run: "Run", result: RoundResult) -> None:
        self.call(run, lambda callback: callback.on_round_end(run, result))

    def on_round_stop(self, run: "Run", seed: int) -> None:
        self.call(run, lambda callback: callback.on_round_stop(run, seed))

    def on_run_end(self, run: "Run") -> None:
        self.call(run, lambda callback: callback.on_run_end(run))
