"""The Hydra launcher that trains the jobs of a sweep side by side. The default of conf/config.yaml.

It trains whatever is missing of the jobs' rounds with every core, and hands each job to Hydra's own `run_job` as soon as
its rounds are on record. The job then finds its rounds finished, so that Hydra's files, log, callbacks and return value
are what they are with Hydra's basic launcher. A sweep's jobs are known from the beginning (`launch`); a search is asked for
one job after the other (`stream`). Imports neither torch nor a model.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from hydra.core.config_loader import ConfigLoader
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus, configure_log, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from digitcmp.config.composed import official
from digitcmp.config.rules import auto_together
from digitcmp.errors import ConfigError, RunError
from digitcmp.experiment import planned, preview
from digitcmp.experiment.callbacks import Callback
from digitcmp.experiment.log import RunLog
from digitcmp.experiment.plan import print_resumed, print_unused, show_plan
from digitcmp.experiment.progress import ProgressDisplay
from digitcmp.experiment.run import Run
from digitcmp.experiment.scheduler import train
from digitcmp.notice import notice
from digitcmp.plugins.checking import EMPTY, check_jobs, compose_jobs, print_moved
from digitcmp.plugins.composing import TemplateLoader
from digitcmp.plugins.hydra_job import conclude, is_plain, raise_quietly, resolve_unions
from digitcmp.plugins.jobs import Homes, Job, job_of
from digitcmp.plugins.named import print_borrowed
from digitcmp.plugins.previews import few_of, whole_of
from digitcmp.plugins.runner import JobRunner, OnJobEnd
from digitcmp.search.config import TARGET as SEARCHING
from digitcmp.terminal import Terminal


@dataclass
class LauncherConfig:
    """`hydra/launcher=digitcmp`."""

    _target_: str = "digitcmp.plugins.launcher.DigitcmpLauncher"


class DigitcmpLauncher(Launcher):
    """Trains all jobs together, and lets Hydra run each."""

    here = True  # whether it is this machine that trains
    make_folder: Callable[[], None] | None = None  # makes that of a sweep; a sweeper that leaves this out has done so

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config
        self.told = set[str]()  # roots of data of which it has been said what is left out
        self.loader = TemplateLoader(hydra_context.config_loader)
        # the sweeper has the same context, and so composes with this too when it looks whether its jobs can be composed
        hydra_context.config_loader = cast(ConfigLoader, self.loader)

    @property
    def folder(self) -> Path:
        """The sweep's, absolute: the nodes of a cluster have other working folders."""
        return Path(str(self.config.hydra.sweep.dir)).absolute()

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        if not job_overrides:
            raise RunError(EMPTY)
        self.prepare()
        console, alone = Terminal(), official(self.config.hydra)  # its trials fail by themselves
        jobs = compose_jobs(self.loader, self.config, job_overrides, initial_job_idx)
        if not alone or all(job.error for job in jobs):
            check_jobs(jobs)
        if "torch" not in sys.modules:
            notice.show("loading torch …")
        asked, dry, previewing = jobs, for_all(jobs, "dry_run"), for_all(jobs, "preview")
        if previewing:
            jobs = few_of(jobs)
        # rounds=auto compares all runs with each other: two of the same configuration are refused there
        homes = None if (auto := auto_together([job.config for job in jobs if job.config is not None])) else Homes(self.folder)
        if auto and not dry:
            return self.decide(jobs)
        returns: dict[int, JobReturn] = {}
        runner = JobRunner(self, returns.__setitem__, homes)
        runs = [run for job in jobs if (run := runner.run_of(job)) is not None]
        if not alone or not runs:
            check_jobs(jobs)
        print_borrowed((job.borrowed for job in jobs), console)
        print_unused(runs, console, self.told)
        print_resumed(runs, console)
        print_moved(jobs, console)
        if dry:
            return self.show_plan(runs)
        self.begin(runs, initial_job_idx == 0)
        if previewing and self.config.hydra.sweeper._target_ != SEARCHING:  # a search has left what it is there
            preview.write(whole_of(preview.typed_command(sys.argv[1:]), asked, jobs, self.folder), self.folder)
        planned.write(self.folder, planned.plan_of(runs))
        self.elsewhere(runs)
        with ProgressDisplay.of(runs, console) as display:
            train(runs, [display, RunLog(), runner])
        runner.run_waiting()
        return [returns[job.number] for job in jobs]

    def check(self, job_overrides: Sequence[Sequence[str]]) -> None:
        """Raise what jobs are refused for: of all batches, before the first one is launched."""
        self.prepare()
        check_jobs(jobs := compose_jobs(self.loader, self.config, job_overrides, 0))
        runner = JobRunner(self, lambda *_: None, Homes(self.folder))
        for job in jobs:
            runner.run_of(job)
        check_jobs(jobs)

    def decide(self, jobs: list[Job]) -> list[JobReturn]:
        """Train the jobs of a sweep with rounds=auto. They are compared with each other: one that is refused stops all of them."""
        from digitcmp.auto import plan_file
        from digitcmp.auto.training import train_auto

        if self.config.hydra.sweeper.get("max_batch_size"):
            raise ConfigError("hydra.sweeper.max_batch_size: rounds=auto compares all runs of a sweep with each other; leave it out")
        returns: dict[int, JobReturn] = {}
        runner = JobRunner(self, returns.__setitem__)
        runs = [run for job in jobs if (run := runner.run_of(job)) is not None]
        check_jobs(jobs)
        plan_file.make(runs, self.folder)  # another plan is refused before anything is written
        print_borrowed((job.borrowed for job in jobs), console := Terminal())
        print_unused(runs, console, self.told)
        print_resumed(runs, console)
        self.begin(runs, first=True)
        planned.write(self.folder, planned.plan_of(runs))
        self.elsewhere(runs)
        train_auto(runs, Path(str(self.config.hydra.sweep.dir)), [RunLog()], console, runner.on_run_end)
        runner.run_waiting()
        return [returns[job.number] for job in jobs]

    def begin(self, runs: Sequence[Run], first: bool) -> None:
        """Make the sweep's folder; its file says when the sweep was begun. first: whether these are the runs of its first batch of jobs."""
        if self.make_folder is not None:
            if first:
                self.make_folder()
            for run in runs:
                assert run.store.job is not None
                run.store.ask(job_of(Path(str(self.config.hydra.sweep.dir)), run.store.job[1]))

    def elsewhere(self, runs: Sequence[Run]) -> None:
        """Have rounds of these runs trained by others, as far as a launcher does so. Raises RunError when they have not been."""

    def stream(self, jobs: Iterable[tuple[int, Sequence[str]]], callbacks: Sequence[Callback], on_job_end: OnJobEnd, rounds: int) -> None:
        """Train jobs as they come: (number, overrides), each taken when there is room for its rounds; rounds: how many all will have.

        callbacks: are told about the runs of the jobs, and may end one early: its job's return has the status FAILED and `Pruned`
        as its error. on_job_end: gets each job's number and return, before the next job is taken. A job that cannot be composed,
        or whose data, device or folder is refused, fails by itself.
        """
        self.prepare()
        runner = JobRunner(self, on_job_end)
        train(runner.runs_of(jobs), [RunLog(), *callbacks, runner], rounds)
        runner.run_waiting()

    def prepare(self) -> None:
        """What Hydra's own launchers do first."""
        setup_globals()
        hydra = self.config.hydra
        configure_log(hydra.hydra_logging, hydra.verbose, execution_whitelist=self.hydra_context.execution_whitelist)

    def run(self, job: Job) -> JobReturn:
        """Let Hydra run a job. What has been trained for it is its result; what could not be trained says so itself."""
        if job.compose is None or (job.error is not None and not job.ended):  # it has no folder
            return JobReturn(overrides=job.overrides, status=JobStatus.FAILED, _return_value=job.error)
        try:
            return self.run_composed(job, job.compose())
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) or isinstance(error.__cause__, OSError):  # something is in the way of its files, or of its log
                return JobReturn(overrides=job.overrides, status=JobStatus.FAILED, _return_value=error)
            raise

    def run_composed(self, job: Job, composed: DictConfig) -> JobReturn:
        """As `run`, for a job that was composed. Raises OSError, or a ValueError that comes from one, where its files cannot be written."""
        if job.value is not None and is_plain(composed):
            return conclude(self.hydra_context, self.task_function, composed, job.directory, job.value)
        return run_job(
            hydra_context=self.hydra_context,
            task_function=(lambda _: job.result()) if job.settled else self.task_function,
            config=composed,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )

    def show_plan(self, runs: list[Run], workers: int | None = None) -> list[JobReturn]:
        """Print how the runs stand; nothing is trained. workers: see `plan.show_plan`."""
        show_plan(runs, Path(str(self.config.hydra.sweep.dir)), Terminal(), workers)
        return [JobReturn(status=JobStatus.COMPLETED, _return_value=None)]


def for_all(jobs: Sequence[Job], key: str) -> bool:
    """The value of a key that is for all jobs of a sweep. Raises ConfigError when they have several."""
    values = {bool(getattr(job.whole, key)) for job in jobs if job.whole is not None}
    if len(values) > 1:
        raise ConfigError(f"{key}=true,false: this is for a whole sweep; give it one value")
    return values == {True}


def register() -> None:
    """Make the launcher known to Hydra, with or without an installed entry point."""
    from hydra.core.plugins import Plugins

    raise_quietly()
    resolve_unions()
    ConfigStore.instance().store(group="hydra/launcher", name="digitcmp", node=LauncherConfig, provider="digitcmp", replace=True)
    Plugins.instance().register(DigitcmpLauncher)
