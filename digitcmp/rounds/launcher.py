"""The Hydra launcher that trains the jobs of a sweep side by side. The default of conf/config.yaml.

It composes all jobs first, trains whatever is missing of all of them with every core, and hands each job to Hydra's own
`run_job` as soon as its rounds are on disk. The job then finds its rounds finished, so that Hydra's files, log,
callbacks and return value are what they are with Hydra's basic launcher. Imports neither torch nor a model.
"""

import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, configure_log, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict
from omegaconf.errors import OmegaConfBaseException

from digitcmp.composed import typed
from digitcmp.config import Config
from digitcmp.errors import DigitcmpError, RunError


@dataclass
class LauncherConfig:
    """`hydra/launcher=digitcmp`."""

    _target_: str = "digitcmp.rounds.launcher.DigitcmpLauncher"


@dataclass
class Job:
    """One job of a sweep: what Hydra composed, and what it trains, unless it is refused or a copy of an earlier job."""

    composed: DictConfig
    directory: Path
    config: Config | None
    error: Exception | None = None


class DigitcmpLauncher(Launcher):
    """Trains all jobs together, then lets Hydra run each."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        if not job_overrides:
            raise RunError("the sweep is empty: a range or a choice has no values, so there is nothing to run")
        setup_globals()
        configure_log(
            self.config.hydra.hydra_logging, self.config.hydra.verbose, execution_whitelist=self.hydra_context.execution_whitelist
        )
        jobs = self.compose(job_overrides, initial_job_idx)
        valid = [job for job in jobs if job.config is not None]
        if valid and all(job.config.dry_run for job in valid if job.config):
            return self.show_plan(jobs)
        returns: dict[int, JobReturn] = {}
        self.train(valid, lambda job: returns.update({id(job): self.run(job)}))
        # what has nothing to train runs too: it fails with its own error, or finds what it is a copy of
        return [returns[id(job)] if id(job) in returns else self.run(job) for job in jobs]

    def compose(self, job_overrides: Sequence[Sequence[str]], first: int) -> list[Job]:
        """All jobs, each with its directory."""
        jobs: list[Job] = []
        for number, overrides in enumerate(job_overrides, first):
            composed = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
            with open_dict(composed):
                composed.hydra.job.id, composed.hydra.job.num = str(number), number
            HydraConfig.instance().set_config(composed)
            directory = (Path(str(composed.hydra.sweep.dir)) / str(composed.hydra.sweep.subdir)).absolute()
            try:
                config = typed(composed)
            except (DigitcmpError, OmegaConfBaseException) as error:
                jobs.append(Job(composed, directory, None, error))
                continue
            copy = any(job.directory == directory for job in jobs)
            jobs.append(Job(composed, directory, None if copy else config))
        HydraConfig.instance().set_config(self.config)
        return jobs

    def train(self, jobs: list[Job], finished: Callable[[Job], None]) -> None:
        """Train what the jobs lack; `finished` is called with each job whose rounds are through."""
        from rich.console import Console

        from digitcmp.rounds.plan import print_resumed, standing
        from digitcmp.rounds.run import Run, check_means, train_runs

        runs, by_directory = [], {job.directory: job for job in jobs}
        refused: dict[str, DigitcmpError] = {}  # so that missing data is looked for once, and not for every seed
        for job in jobs:
            assert job.config is not None
            means = repr((job.config.data, job.config.optimizer, job.config.scheduler, job.config.device))
            try:
                if means not in refused:
                    check_means(job.config)
            except DigitcmpError as error:
                refused[means] = error
            if means in refused:
                continue  # the job itself will say so
            runs.append(Run(job.config, job.directory, command_of(list(job.composed.hydra.overrides.task))))
        if refused and not runs:
            raise next(iter(refused.values()))
        console = Console()
        print_resumed([standing(run.config, run.directory) for run in runs], console)
        through = train_runs(runs, console)
        try:
            for run, _ in through:
                finished(by_directory[run.directory])
        except KeyboardInterrupt as interrupt:
            through.close()
            raise KeyboardInterrupt(str(interrupt) or f"finished rounds are kept in {self.config.hydra.sweep.dir}") from None

    def run(self, job: Job) -> JobReturn:
        """Let Hydra run a job."""
        return run_job(
            hydra_context=self.hydra_context,
            task_function=self.task_function,
            config=job.composed,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )

    def show_plan(self, jobs: list[Job]) -> list[JobReturn]:
        """Print how the jobs stand; nothing runs."""
        from rich.console import Console

        from digitcmp.rounds.engines import choose, choose_device
        from digitcmp.rounds.plan import print_plan, standing

        configs = [(job.config, job.directory) for job in jobs if job.config is not None]
        total = sum(config.rounds for config, _ in configs)
        _, workers = choose(configs[0][0], total, choose_device(configs[0][0].device))
        print_plan([standing(config, directory) for config, directory in configs], workers, Console())
        refused = [JobReturn(status=JobStatus.FAILED, _return_value=job.error) for job in jobs if job.error]
        return refused or [JobReturn(status=JobStatus.COMPLETED, _return_value=None)]


def command_of(overrides: list[str]) -> str:
    """The command that runs the same job again, with the seeds and choices it had, and the folder of its YAML files."""
    return shlex.join(["python", "-m", "digitcmp", *own_folder(sys.argv[1:]), *overrides])


def own_folder(arguments: list[str]) -> list[str]:
    """--config-dir and its like, where they were given."""
    flags = ("--config-dir", "-cd", "--config-name", "-cn", "--config-path", "-cp")
    places = [place for place, argument in enumerate(arguments) if argument.split("=")[0] in flags]
    return [part for place in places for part in arguments[place : place + (1 if "=" in arguments[place] else 2)]]


def register() -> None:
    """Make the launcher known to Hydra, with or without an installed entry point."""
    from hydra.core.plugins import Plugins

    ConfigStore.instance().store(group="hydra/launcher", name="digitcmp", node=LauncherConfig, provider="digitcmp", replace=True)
    Plugins.instance().register(DigitcmpLauncher)
