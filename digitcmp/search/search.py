"""A search from beginning to end: asked of Optuna trial by trial, trained by the launcher, told to Optuna."""

import math
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import optuna
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from digitcmp.config.messages import one_line
from digitcmp.errors import ConfigError, Pruned, SearchError
from digitcmp.plugins.launcher import DigitcmpLauncher
from digitcmp.search.config import Settings
from digitcmp.search.grammar import make_space
from digitcmp.search.samplers import make_pruner, make_sampler
from digitcmp.search.spec import Setting, make_setting
from digitcmp.search.storage import open_place, without_passwords
from digitcmp.search.study import Counts, Ending, Ledger, open_study
from digitcmp.search.trial import Flight
from digitcmp.terminal import Terminal
from digitcmp.train.results import EpochRow, RoundRow, read_rows

Job = tuple[int, Sequence[str]]
POLL = 0.5  # seconds between looks at what other processes are doing
SHARED = 1.0  # seconds to leave a folder to another process that trains in it


def search(settings: Settings, context: HydraContext, config: DictConfig, launcher: Launcher, arguments: list[str]) -> None:
    """Run the search that the settings and the command line's arguments describe, up to its summary and confirmation.

    Raises DigitcmpError for bad input, when all trials have failed, and when too many have. On Ctrl-C, the trials in flight
    are put back into the queue.
    """
    if settings.pruner.name != "none" and not isinstance(launcher, DigitcmpLauncher):
        raise ConfigError(
            f"hydra.sweeper.pruner={settings.pruner.name}: pruning needs hydra/launcher=digitcmp; use it, or hydra.sweeper.pruner=none"
        )
    setting = make_setting(settings, make_space(settings.search.params, arguments), context, config)
    console = Terminal()
    if setting.base.dry_run:
        show_space(setting, console)
        return
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    url = settings.search.storage or f"sqlite:///{setting.folder / 'study.db'}"
    with open_place(url) as place:
        pruner = make_pruner(settings.pruner, setting.course.steps)
        name = settings.search.study_name or setting.folder.absolute().name
        sampler = make_sampler(settings.sampler, settings.search.seed)
        ledger = Ledger(place, open_study(place, name, settings.search, setting.about(), sampler, pruner), settings.search)
        setting.folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(config, setting.folder / "multirun.yaml")
        with ledger.join() as before:
            if before:  # the same seed again would give the points that it gave before
                seed = int(np.random.SeedSequence((settings.search.seed, before)).generate_state(1)[0])
                ledger.study.sampler = make_sampler(settings.sampler, seed)
            Search(setting, ledger, launcher, console).run()
        conclude(setting, ledger, context, config, launcher, console)


def conclude(setting: Setting, ledger: Ledger, context: HydraContext, config: DictConfig, launcher: Launcher, console: Console) -> None:
    """Write best.yaml, confirm, summarise. Raises SearchError when there is no best, or too many trials have failed."""
    from digitcmp.search.best import write_best
    from digitcmp.search.confirm import confirm
    from digitcmp.search.summary import write_summary

    counts = ledger.counts()
    if not counts.complete:
        raise no_best(ledger, counts)
    write_best(setting, ledger, context, config, command())
    finished = counts.counted >= setting.settings.search.n_trials
    confirmed = confirm(setting, ledger, context, config, launcher) if finished and setting.settings.search.confirm else None
    write_summary(setting, ledger, command(), confirmed, console)
    if counts.failed >= ledger.limit and not finished:
        raise SearchError(
            f"{counts.failed} trials have failed, so the search was given up before n_trials={setting.settings.search.n_trials}: "
            f"{last_reason(ledger)}; the same command goes on with hydra.sweeper.max_failed={2 * ledger.limit}"
        )


def no_best(ledger: Ledger, counts: Counts) -> SearchError:
    """The error when no trial is complete."""
    if counts.failed:
        return SearchError(f"all {counts.failed} trials failed, so there is no best one: {last_reason(ledger)}")
    return SearchError("no trial is complete yet, so there is no best one; the same command goes on")


def last_reason(ledger: Ledger) -> str:
    """Why the last failed trial failed."""
    failed = ledger.study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.FAIL,))
    return str(failed[-1].user_attrs.get("reason", "for a reason that is not on record"))


def command() -> str:
    """The command that was given, without passwords."""
    return without_passwords(shlex.join(["python", "-m", "digitcmp", *sys.argv[1:]]))


def show_space(setting: Setting, console: Console) -> None:
    """What would be searched: dry_run=true."""
    from digitcmp.search.space import shown

    for dimension in setting.space.searched:
        assert dimension.distribution is not None
        when = " and ".join(map(str, dimension.when))
        console.print(
            f"{dimension.name}: {shown(dimension.distribution)}" + (f" (when {when})" if when else ""), highlight=False, markup=False
        )
    course, trials = setting.course, setting.settings.search.n_trials
    size = f"{trials} trials of {len(course.seeds)} × {course.epochs} epochs (seeds {course.seeds[0]} to {course.seeds[-1]})"
    console.print(f"{size}; nothing was trained (dry_run=true)", highlight=False)


class Search:
    """The trials that this process runs."""

    def __init__(self, setting: Setting, ledger: Ledger, launcher: Launcher, console: Console) -> None:
        self.setting, self.ledger, self.launcher, self.console = setting, ledger, launcher, console
        self.flights: dict[int, Flight] = {}
        timeout = setting.settings.search.timeout
        self.deadline = math.inf if timeout is None else time.monotonic() + timeout

    def run(self) -> None:
        """Go on until enough trials count, too many have failed or time is up; wait for what other processes have begun."""
        waiting = False
        try:
            while True:
                for number, ended in self.launched():
                    self.settle(number, ended)
                counts = self.ledger.counts()
                left = counts.counted < self.ledger.search.n_trials and counts.failed < self.ledger.limit
                if not left or time.monotonic() >= self.deadline:
                    return
                if counts.others and not waiting:
                    self.console.print(f"waiting for {counts.others} trials of other processes", highlight=False)
                    waiting = True
                time.sleep(POLL)
        except BaseException:
            self.ledger.give_back(*self.ledger.held)
            raise

    def launched(self) -> Iterator[tuple[int, JobReturn]]:
        """Run what can be claimed; each trial's number with its return, as trials end."""
        if isinstance(self.launcher, DigitcmpLauncher):
            rounds = self.ledger.search.n_trials * len(self.setting.course.seeds)
            yield from self.launcher.stream(self.jobs(), self.watch, rounds)
            return
        size = self.setting.base.workers or 1
        while batch := [job for _, job in zip(range(size), self.jobs(), strict=False)]:
            returns = self.launcher.launch([overrides for _, overrides in batch], initial_job_idx=batch[0][0])
            yield from zip([number for number, _ in batch], returns, strict=True)

    def jobs(self) -> Iterator[Job]:
        """The next trials, each asked for when there is room for it."""
        while time.monotonic() < self.deadline and (claimed := self.ledger.claim()):
            trial, told = claimed
            values = self.setting.space.suggest(trial)
            folder = self.setting.trial_folder(trial.number)
            flight = Flight(self.ledger.study, self.ledger.study.pruner, trial, self.setting.course, told)
            flight.recall(self.finished_epochs(folder))
            self.flights[trial.number] = flight
            yield trial.number, [*self.setting.overrides(values), f"hydra.sweep.subdir={folder}"]

    def finished_epochs(self, folder: str) -> list[EpochRow]:
        """The epochs of a trial's rounds that are on record already."""
        directory = self.setting.folder / folder
        done = {row.seed for row in read_rows(RoundRow, directory / "rounds.csv") if row.status == "done"}
        return [row for row in read_rows(EpochRow, directory / "epochs.csv") if row.seed in done]

    def watch(self, number: int, row: EpochRow) -> bool:
        """Follow a trial; False when it should end."""
        return self.flights[number].follow(row)

    def settle(self, number: int, ended: JobReturn) -> None:
        """Tell how a trial ended."""
        flight = self.flights.pop(number)
        folder = self.setting.folder / self.setting.trial_folder(number)
        error = ended._return_value if ended.status == JobStatus.FAILED else None
        if flight.broken:
            self.tell(number, flight, None, flight.broken)
        elif isinstance(error, Pruned):
            self.tell(number, flight, None)
        elif error is not None:
            self.tell(number, flight, None, one_line(error))
        elif sum(row.status == "done" for row in read_rows(RoundRow, folder / "rounds.csv")) < len(self.setting.course.seeds):
            self.ledger.give_back(number)  # another process, taken for dead, still trains rounds of it
            time.sleep(SHARED)
        else:
            self.tell(number, flight, *objective(ended._return_value))

    def tell(self, number: int, flight: Flight, value: float | None, reason: str = "") -> None:
        """Put a trial's ending on record, and on the screen."""
        ending: Ending = "failed" if reason else "pruned" if value is None else "complete"
        if not self.ledger.end(number, ending, value, flight.epochs, reason):
            self.console.print(f"trial {number}: another process has taken it over", highlight=False)
            return
        said = {
            "failed": f"failed: {reason}",
            "pruned": f"pruned after {flight.epochs} epochs",
            "complete": f"validation accuracy {value or 0:.2%}",
        }
        parameters = " ".join(f"{name}={short(one)}" for name, one in flight.trial.params.items())
        self.console.print(f"trial {number}  {said[ending]}  {parameters}", highlight=False, markup=False, soft_wrap=True)


def objective(value: Any) -> tuple[float | None, str]:
    """What a job returned as a number, or why it is none."""
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value), ""
    return None, f"the objective is {value}, not a finite number"


def short(value: Any) -> str:
    """A value with four significant digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
