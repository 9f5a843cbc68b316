"""The trials of a search that this process runs: asked of the study one by one, trained by the launcher, reported to the study."""

import math
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from optuna.trial import TrialState
from rich.console import Console

from digitcmp.config.messages import one_line
from digitcmp.counting import counted
from digitcmp.errors import Broken, Pruned
from digitcmp.experiment.callbacks import Callback
from digitcmp.experiment.progress import ProgressDisplay
from digitcmp.experiment.records import Record
from digitcmp.experiment.run import Run
from digitcmp.experiment.store import read_run_records
from digitcmp.plugins.launcher import DigitcmpLauncher
from digitcmp.plugins.private import error_of
from digitcmp.search.again import AGAIN
from digitcmp.search.space import in_words
from digitcmp.search.spec import SearchSpec
from digitcmp.search.study import VALUES, Ending, SharedStudy
from digitcmp.search.trial import LENGTH, RunningTrial
from digitcmp.system import advice
from digitcmp.terminal import say, tell
from digitcmp.train.results import EpochRow

POLL = 0.5  # seconds between looks at what other processes are doing
HANDOVER = 1.0  # seconds to leave a folder to another process that trains in it


class Search(Callback):
    """The trials that this process runs. As a callback, it reports their epochs to Optuna and ends those that a pruner gives up."""

    def __init__(self, spec: SearchSpec, shared: SharedStudy, launcher: Launcher, console: Console) -> None:
        self.spec, self.shared, self.launcher, self.console = spec, shared, launcher, console
        self.running: dict[str, RunningTrial] = {}  # by the name of their folders
        timeout = spec.settings.timeout
        self.deadline = math.inf if timeout is None else time.monotonic() + timeout

    def run(self) -> None:
        """Go on until enough trials count, too many have failed or time is up; wait for what other processes have begun."""
        waiting: set[int] | None = None  # the stopped ones among the processes that are waited for
        try:
            while True:
                self.launch()
                counts = self.shared.counts()
                if self.shared.is_over(counts) or time.monotonic() >= self.deadline:
                    return
                stopped = self.shared.stopped() if counts.others else set()
                if counts.others and waiting != stopped:
                    tell(self.console, f"waiting for {counts.others} {self.spec.noun}s of other processes{advice(stopped)}")
                    waiting = stopped
                time.sleep(POLL)
        except BaseException:
            self.shared.release(*self.shared.held)
            raise

    def launch(self) -> None:
        """Run what can be claimed."""
        if isinstance(self.launcher, DigitcmpLauncher):
            rounds = self.shared.settings.n_trials * len(self.spec.trial.seeds)
            complete = self.shared.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            less, values = self.spec.less_is_better, [trial.value for trial in complete if trial.value is not None]
            best = (min if less else max)(values, default=None)
            trials, counted = self.shared.settings.n_trials, self.shared.counts().counted
            with ProgressDisplay.of_search(self.spec.title, trials, counted, best, self.console, less) as display:
                self.launcher.stream(self.jobs(), [display, self], self.on_job_end, rounds)
            return
        while batch := [job for _, job in zip(range(self.spec.settings.n_jobs), self.jobs(), strict=False)]:
            returns = self.launcher.launch([overrides for _, overrides in batch], initial_job_idx=batch[0][0])
            for (number, _), ended in zip(batch, returns, strict=True):
                self.on_job_end(number, ended)

    def jobs(self) -> Iterator[tuple[int, list[str]]]:
        """The next trials, each asked for when there is room for it."""
        while time.monotonic() < self.deadline and (claimed := self.shared.claim()):
            trial, stored = claimed
            values = self.spec.space.suggest(trial)
            number = self.spec.number_of(trial)
            running = RunningTrial(self.shared.study, trial, self.spec.trial, stored)
            running.restore(row for record in self.finished(number) for row in record.epochs)
            self.running[self.directory(number).name] = running
            # whichever process has it, also one that was not told to
            retried = ["retry_failed=true"] if AGAIN in trial.user_attrs else []
            yield number, [*self.spec.overrides(values), *retried, f"hydra.sweep.subdir={self.spec.trial_folder(number)}"]

    def directory(self, number: int) -> Path:
        """The folder of a trial."""
        return self.spec.folder / self.spec.trial_folder(number)

    def finished(self, number: int) -> list[Record]:
        """The rounds of a trial, of those that it is to have, that are on record and done."""
        records, seeds = read_run_records(self.directory(number)).rounds, self.spec.trial.seeds
        return [records[seed] for seed in seeds if seed in records and records[seed].row.status == "done"]

    def on_epoch(self, run: Run, row: EpochRow) -> None:
        if not self.running[run.name].on_epoch(row, run.config.stopping.patience, run.config.epochs):
            ended = Broken if self.running[run.name].failure else Pruned
            raise ended(f"{run.name} is given up in epoch {row.epoch} of seed {row.seed}")

    def on_job_end(self, number: int, ended: JobReturn) -> None:
        """Tell Optuna how a trial ended."""
        running, error = self.running.pop(self.directory(number).name), error_of(ended)
        if ended.cfg is not None:  # known also where no epoch was told: by other launchers, and where all rounds are on record
            running.length = int(ended.cfg.epochs)
        if running.failure:
            self.tell(number, running, None, running.failure)
        elif isinstance(error, Pruned):
            self.tell(number, running, None)
        elif error is not None:
            self.tell(number, running, None, one_line(error))
        elif len(self.finished(number)) < len(self.spec.trial.seeds):
            self.shared.release(running.trial.number)  # another process, taken for dead, still trains rounds of it
            time.sleep(HANDOVER)
        elif isinstance(value := ended.return_value, int | float) and math.isfinite(value):
            self.tell(number, running, float(value))
        else:
            self.tell(number, running, None, f"the objective is {value}, not a finite number")

    def tell(self, number: int, running: RunningTrial, value: float | None, reason: str = "") -> None:
        """Put a trial's ending on record, and on the screen."""
        ending: Ending = "failed" if reason else "pruned" if value is None else "complete"
        on_record = sum(record.row.epochs for record in self.finished(number))  # all of a complete trial, whoever has trained them
        epochs = on_record if ending == "complete" else running.epochs
        notes = self.notes(number, running)
        reached = notes["mean"] if ending == "pruned" and self.spec.trial.by_round else value  # its last report is of one round
        if not self.shared.end(running.trial.number, ending, reached, epochs, reason, notes):
            self.console.print(f"{self.spec.noun} {number}: another process has taken it over")
            return
        words = f"pruned after {counted(running.epochs, 'epoch')}" if value is None else f"validation accuracy {value:.2%}"
        words = f"failed: {reason}" if reason else words
        say(self.console, f"{self.spec.noun} {number}  {words}  {in_words(running.trial.params)}")

    def notes(self, number: int, running: RunningTrial) -> dict[str, Any]:
        """What dashboards show of a trial: its folder; validation accuracies of its finished rounds by seed, their mean and std; how many
        epochs each round has."""
        rows = [record.row for record in self.finished(number)]
        on_record = {row.seed: row.val_accuracy for row in rows if row.val_accuracy is not None}
        values = dict(sorted({**on_record, **running.values}.items()))
        shown = {str(seed): accuracy for seed, accuracy in values.items()}  # JSON has no other keys
        mean, spread = (fmean(values.values()) if values else None), (stdev(values.values()) if len(values) > 1 else None)
        return {
            "folder": str(self.directory(number)),
            "mean": mean,
            "std": spread,
            VALUES: shown or None,
            LENGTH: running.length,
        }
