"""The Hydra launcher that trains the jobs of a sweep side by side. The default of conf/config.yaml.

It trains whatever is missing of the jobs' rounds with every core, and hands each job to Hydra's own `run_job` as soon as
its rounds are on record. The job then finds its rounds finished, so that Hydra's files, log, callbacks and return value
are what they are with Hydra's basic launcher. A sweep's jobs are known from the beginning (`launch`); a search is asked for
one job after the other (`stream`). Imports neither torch nor a model.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from hydra.core.config_loader import ConfigLoader
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus, configure_log, run_job, setup_globals
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from rich.progress import track

from digitcmp.config.identity import configuration, differences
from digitcmp.config.rules import auto_together
from digitcmp.config.schema import Config
from digitcmp.entry import notice
from digitcmp.errors import ConfigError, DigitcmpError, RunError
from digitcmp.experiment.callbacks import Callback
from digitcmp.experiment.log import RunLog
from digitcmp.experiment.plan import print_plan, print_resumed
from digitcmp.experiment.progress import ProgressDisplay, counted
from digitcmp.experiment.run import Run
from digitcmp.experiment.scheduler import train
from digitcmp.plugins.composing import TemplateLoader
from digitcmp.plugins.hydra_job import conclude, is_plain, log_kept, raise_quietly
from digitcmp.plugins.jobs import Homes, Job, job_of, make_job
from digitcmp.terminal import Terminal

OnJobEnd = Callable[[int, JobReturn], None]


@dataclass
class LauncherConfig:
    """`hydra/launcher=digitcmp`."""

    _target_: str = "digitcmp.plugins.launcher.DigitcmpLauncher"


class DigitcmpLauncher(Launcher):
    """Trains all jobs together, and lets Hydra run each."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config
        self.loader = TemplateLoader(hydra_context.config_loader)
        # the sweeper has the same context, and so composes with this too when it looks whether its jobs can be composed
        hydra_context.config_loader = cast(ConfigLoader, self.loader)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        if not job_overrides:
            raise RunError("the sweep is empty: a range or a choice has no values, so there is nothing to run")
        self.prepare()
        console = Terminal()
        numbered = list(enumerate(job_overrides, initial_job_idx))
        coming = track(numbered, "composing the jobs", console=console, transient=True, disable=not console.is_terminal)
        jobs = [make_job(self.loader, self.config, number, overrides) for number, overrides in coming]
        if "torch" not in sys.modules:
            notice.show("loading torch …")
        valid = [job.config for job in jobs if job.config is not None]
        if len(dry := {config.dry_run for config in valid}) > 1:
            raise ConfigError("dry_run=true,false: this is for a whole sweep; give it one value")
        # rounds=auto compares all runs with each other: two of the same configuration are refused there
        homes = None if (auto := auto_together(valid)) else Homes(Path(str(self.config.hydra.sweep.dir)).absolute())
        if auto and dry == {False}:
            return self.decide(jobs)
        returns: dict[int, JobReturn] = {}
        runner = JobRunner(self, returns.__setitem__, homes)
        runs = [run for job in jobs if (run := runner.run_of(job)) is not None]
        if not runs and any(runner.refusals.values()):
            raise next(refusal for refusal in runner.refusals.values() if refusal)
        print_resumed(runs, console)
        if moved := [job for job in jobs if job.moved]:
            shared = f"{counted(len(moved), 'job')} of the same configuration as another one, or as a run of this folder, with common seeds"
            console.print(f"{shared}: trained together, in one folder", highlight=False, soft_wrap=True)
        if dry == {True}:
            return self.show_plan(runs, runner)
        with ProgressDisplay.of(runs, console) as display:
            train(runs, [display, RunLog(), runner])
        runner.run_waiting()
        return [returns[job.number] for job in jobs]

    def decide(self, jobs: list[Job]) -> list[JobReturn]:
        """Train the jobs of a sweep with rounds=auto. They are compared with each other: one that is refused stops all of them."""
        from digitcmp.auto.training import train_auto

        if self.config.hydra.sweeper.get("max_batch_size"):
            raise ConfigError("hydra.sweeper.max_batch_size: rounds=auto compares all runs of a sweep with each other; leave it out")
        returns: dict[int, JobReturn] = {}
        runner = JobRunner(self, returns.__setitem__)
        runs = [run for job in jobs if (run := runner.run_of(job)) is not None]
        for refused in (*(job.error for job in jobs), *runner.refusals.values()):
            if refused is not None:
                raise refused
        print_resumed(runs, console := Terminal())
        train_auto(runs, Path(str(self.config.hydra.sweep.dir)), [RunLog()], console, runner.on_run_end)
        runner.run_waiting()
        return [returns[job.number] for job in jobs]

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
        if job.compose is None:
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

    def show_plan(self, runs: list[Run], runner: "JobRunner") -> list[JobReturn]:
        """Print how the runs stand; nothing is trained. What would be refused is refused."""
        from digitcmp.experiment.executors.choose import choose, choose_device

        if runs:
            _, workers = choose(runs[0].config, sum(len(run.seeds) for run in runs), choose_device(runs[0].config.device))
            if auto_together([run.config for run in runs]):
                from digitcmp.auto.expected import print_expected

                print_expected(runs, Path(str(self.config.hydra.sweep.dir)), workers, Terminal())
            else:
                print_plan(runs, workers, Terminal())
        errors = [job.error if job.config is None else runner.refusal(job.config) for job in runner.waiting]
        refused = [JobReturn(status=JobStatus.FAILED, _return_value=error) for error in errors if error]
        return refused or [JobReturn(status=JobStatus.COMPLETED, _return_value=None)]


class JobRunner(Callback):
    """Lets Hydra run each job when this process is through with its run. on_job_end: gets its number and its return; homes: where jobs
    of the same configuration meet, None where each has its own folder."""

    def __init__(self, launcher: DigitcmpLauncher, on_job_end: OnJobEnd, homes: Homes | None = None) -> None:
        self.launcher, self.on_job_end, self.homes = launcher, on_job_end, homes
        self.training: dict[Path, tuple[Run, list[Job]]] = {}  # runs that are trained, and the jobs that they are trained for, by folder
        self.waiting: list[Job] = []  # jobs that are run when nothing is trained any more
        self.refusals: dict[str, DigitcmpError | None] = {}

    def run_of(self, job: Job) -> Run | None:
        """The run of a job; None when it is refused, or shares the folder of one that is trained anyway. Raises RunError when its
        folder holds another configuration, or is to hold one."""
        if job.config is None:
            self.waiting.append(job)
            return None
        if self.homes is not None and (home := self.homes.find(job.directory, job.config)) != job.directory:
            job.directory, job.moved = home, True
        if job.directory in self.training:
            self.join(job, *self.training[job.directory])
            return None
        run = Run(job.config, job.directory, job.command, job_of(Path(str(self.launcher.config.hydra.sweep.dir)), job.number))
        if not run.complete and self.refusal(job.config):
            self.waiting.append(job)  # the job itself will say so
            return None
        self.training[job.directory] = run, [job]
        return run

    def join(self, job: Job, run: Run, jobs: list[Job]) -> None:
        """Let a job share the run that is trained in its folder anyway. Raises RunError when that is of another configuration."""
        assert job.config is not None
        if told := differences(configuration(run.config), configuration(job.config)):
            raise RunError(
                f"{job.directory}: two jobs of this sweep would share this folder, though they differ ({told}); give each its own, "
                "as hydra.sweep.subdir does by default"
            )
        if not run.begun:
            run.join(job.config.seeds)
        # one with other seeds than those that are being trained trains what it lacks when they are through
        (jobs if set(job.config.seeds) <= set(run.seeds) else self.waiting).append(job)

    def runs_of(self, jobs: Iterable[tuple[int, Sequence[str]]]) -> Iterator[Run]:
        """The runs of jobs that come one by one; a job that has none is run before the next one is taken."""
        for number, overrides in jobs:
            job = Job(number, list(overrides))
            try:
                job = make_job(self.launcher.loader, self.launcher.config, number, overrides)
                run = self.run_of(job)
            except RunError:
                run = None
                self.waiting.append(job)  # the job itself will say so
            except (HydraException, OmegaConfBaseException) as error:
                run, job.error = None, error
                self.waiting.append(job)
            if run is not None:
                yield run
            else:
                self.run_waiting()

    def on_run_end(self, run: Run) -> None:
        _, jobs = self.training.pop(run.directory)
        for job in jobs:
            job.settle(run)
            if job.settled:
                self.run_job(job)
            else:
                self.waiting.append(job)

    def run_waiting(self) -> None:
        """Run the jobs that had to wait."""
        while self.waiting:
            self.run_job(self.waiting.pop(0))

    def run_job(self, job: Job) -> None:
        """Let Hydra run a job."""
        with log_kept():
            ended = self.launcher.run(job)
        ended.cfg = ended.hydra_cfg = None  # callbacks have had them; a long sweep need not keep them all
        self.on_job_end(job.number, ended)

    def refusal(self, config: Config) -> DigitcmpError | None:
        """Why there is no way to train this configuration here, if there is none; the same is looked for once."""
        from digitcmp.experiment.executors.choose import check_data, check_means

        means = (config.augment, config.model, config.optimizer, config.scheduler, config.device, config.engine, config.workers)
        for parts, check in ((means, check_means), (config.data, check_data)):
            if (key := repr(parts)) not in self.refusals:
                try:
                    check(config)
                    self.refusals[key] = None
                except DigitcmpError as error:
                    self.refusals[key] = error
            if refused := self.refusals[key]:
                return refused
        return None


def register() -> None:
    """Make the launcher known to Hydra, with or without an installed entry point."""
    from hydra.core.plugins import Plugins

    raise_quietly()
    ConfigStore.instance().store(group="hydra/launcher", name="digitcmp", node=LauncherConfig, provider="digitcmp", replace=True)
    Plugins.instance().register(DigitcmpLauncher)
