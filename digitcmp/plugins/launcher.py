"""The Hydra launcher that trains the jobs of a sweep side by side. The default of conf/config.yaml.

It trains whatever is missing of the jobs' rounds with every core, and hands each job to Hydra's own `run_job` as soon as
its rounds are on disk. The job then finds its rounds finished, so that Hydra's files, log, callbacks and return value
are what they are with Hydra's basic launcher. A sweep's jobs are known from the beginning (`launch`); a search asks for
one job after the other, and may end it early (`stream`). Imports neither torch nor a model.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from hydra.core.config_loader import ConfigLoader
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus, configure_log, run_job, setup_globals
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from digitcmp.errors import RunError
from digitcmp.plugins.composing import SeedLoader
from digitcmp.plugins.hydra_job import Return, conclude, is_plain, log_kept
from digitcmp.plugins.jobs import Desk, Job, compose
from digitcmp.train.results import EpochRow

if TYPE_CHECKING:
    from digitcmp.experiment.work import Run

JobWatcher = Callable[[int, EpochRow], bool]
Returns = Generator[tuple[int, JobReturn], None, None]


@dataclass
class LauncherConfig:
    """`hydra/launcher=digitcmp`."""

    _target_: str = "digitcmp.plugins.launcher.DigitcmpLauncher"


class DigitcmpLauncher(Launcher):
    """Trains all jobs together, then lets Hydra run each."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config
        self.loader = SeedLoader(hydra_context.config_loader)
        # the sweeper has the same context, and so composes with this too when it looks whether its jobs can be composed
        hydra_context.config_loader = cast(ConfigLoader, self.loader)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        if not job_overrides:
            raise RunError("the sweep is empty: a range or a choice has no values, so there is nothing to run")
        self.prepare()
        jobs = [self.compose(number, overrides) for number, overrides in enumerate(job_overrides, initial_job_idx)]
        valid = [job for job in jobs if job.config is not None]
        if valid and all(job.config.dry_run for job in valid if job.config):
            return self.show_plan(jobs)
        desk = Desk()
        runs = [run for job in jobs if (run := desk.take(job)) is not None]
        if not runs and any(desk.refusals.values()):
            raise next(refusal for refusal in desk.refusals.values() if refusal)
        show_resumed(runs)
        returns = dict(self.work(desk, alike_together(runs)))
        return [returns[job.number] for job in jobs]

    def stream(self, jobs: Iterable[tuple[int, Sequence[str]]], watcher: JobWatcher | None = None, rounds: int | None = None) -> Returns:
        """Train jobs as they come: (number, overrides) in, (number, return) out, in the order in which jobs end.

        The next job is taken only when there is room for its rounds, after everything that has ended has been yielded.
        watcher: is told about every epoch of a job, in this process; when it returns False, the job ends early: its return
        has the status FAILED and `Pruned` as its error. rounds: how many rounds all jobs will have, if anybody knows.
        A job that cannot be composed, or whose data, device or folder is refused, fails by itself. Closing the generator
        ends everything at once; finished rounds are kept.
        """
        self.prepare()
        desk = Desk()
        runs = (desk.take_alone(self.compose_alone(number, overrides)) for number, overrides in jobs)
        yield from self.work(desk, runs, watcher, rounds)

    def prepare(self) -> None:
        """What Hydra's own launchers do first."""
        setup_globals()
        hydra = self.config.hydra
        configure_log(hydra.hydra_logging, hydra.verbose, execution_whitelist=self.hydra_context.execution_whitelist)

    def compose(self, number: int, overrides: Sequence[str]) -> Job:
        """One job. Raises what Hydra raises when it cannot be composed."""
        return compose(self.loader, self.config, number, overrides)

    def compose_alone(self, number: int, overrides: Sequence[str]) -> Job:
        """One job, with its error where it cannot be composed."""
        try:
            return self.compose(number, overrides)
        except (HydraException, OmegaConfBaseException) as error:
            return Job(number, list(overrides), error=error)

    def work(self, desk: Desk, runs: Iterable["Run | None"], watcher: JobWatcher | None = None, rounds: int | None = None) -> Returns:
        """Train runs, and let Hydra run each job that is through with that, or that has nothing to train."""
        from digitcmp.experiment.run import train_stream
        from digitcmp.terminal import Terminal

        watch = None if watcher is None else lambda run, row: watcher(desk.training[run.directory][0].number, row)
        through = train_stream(runs, Terminal(), watch, rounds)
        try:
            for ended in through:
                yield from self.run_all([*(desk.through(*ended) if ended else ()), *desk.idle()])
            yield from self.run_all(desk.idle())
        except KeyboardInterrupt as interrupt:
            through.close()
            raise KeyboardInterrupt(str(interrupt) or f"finished rounds are kept in {self.config.hydra.sweep.dir}") from None
        finally:
            through.close()

    def run_all(self, jobs: Iterable[Job]) -> Returns:
        """Let Hydra run jobs, one after the other."""
        for job in jobs:
            with log_kept():
                ended = self.run(job)
            yield job.number, ended

    def run(self, job: Job) -> JobReturn:
        """Let Hydra run a job. What has been trained for it is its result; what could not be trained says so itself."""
        if job.composed is None:
            return Return(overrides=job.overrides, status=JobStatus.FAILED, _return_value=job.error)
        if job.value is not None and is_plain(job.composed):
            return conclude(self.hydra_context, self.task_function, job.composed, job.directory, job.value)
        ended = run_job(
            hydra_context=self.hydra_context,
            task_function=self.task_function if job.value is None and not job.ended else lambda _: job.result(),
            config=job.composed,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
        return Return(**vars(ended))

    def show_plan(self, jobs: list[Job]) -> list[JobReturn]:
        """Print how the jobs stand; nothing runs."""
        from digitcmp.experiment.engines import choose, choose_device
        from digitcmp.experiment.plan import print_plan, standing
        from digitcmp.terminal import Terminal

        configs = [(job.config, job.directory) for job in jobs if job.config is not None]
        total = sum(config.rounds for config, _ in configs)
        _, workers = choose(configs[0][0], total, choose_device(configs[0][0].device))
        print_plan([standing(config, directory) for config, directory in configs], workers, Terminal())
        refused: list[JobReturn] = [Return(status=JobStatus.FAILED, _return_value=job.error) for job in jobs if job.error]
        return refused or [JobReturn(status=JobStatus.COMPLETED, _return_value=None)]


def alike_together(runs: list["Run"]) -> list["Run"]:
    """Runs with their replicates, which differ from them in the seed alone, right behind them."""
    from digitcmp.config.identity import configuration

    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(repr(configuration(run.config)), []).append(run)
    return [run for group in groups.values() for run in group]


def show_resumed(runs: list["Run"]) -> None:
    """Say what is on disk already. Raises RunError for a folder that holds another configuration."""
    from digitcmp.experiment.plan import print_resumed, standing
    from digitcmp.terminal import Terminal

    print_resumed([standing(run.config, run.directory) for run in runs], Terminal())


def register() -> None:
    """Make the launcher known to Hydra, with or without an installed entry point."""
    from hydra.core.plugins import Plugins

    ConfigStore.instance().store(group="hydra/launcher", name="digitcmp", node=LauncherConfig, provider="digitcmp", replace=True)
    Plugins.instance().register(DigitcmpLauncher)
