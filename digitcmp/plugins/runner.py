"""The jobs of a sweep while its rounds are trained: the run of each, and Hydra's part as soon as its rounds are on record."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.utils import JobReturn
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from digitcmp.config.schema import Config
from digitcmp.errors import DigitcmpError, RunError
from digitcmp.experiment.callbacks import Callback
from digitcmp.experiment.run import Run
from digitcmp.plugins.hydra_job import is_plain, log_kept, write_early
from digitcmp.plugins.jobs import Homes, Job, check_shared, job_of, make_job
from digitcmp.trackers import load as trackers

if TYPE_CHECKING:
    from digitcmp.plugins.launcher import DigitcmpLauncher

OnJobEnd = Callable[[int, JobReturn], None]


class JobRunner(Callback):
    """Lets Hydra run each job when this process is through with its run. on_job_end: gets its number and its return; homes: where jobs
    of the same configuration meet, None where each has its own folder."""

    def __init__(self, launcher: "DigitcmpLauncher", on_job_end: OnJobEnd, homes: Homes | None = None) -> None:
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
        if not run.complete and (refused := self.refusal(job.config)):
            job.error = refused
            self.waiting.append(job)
            return None
        self.training[job.directory] = run, [job]
        return run

    def join(self, job: Job, run: Run, jobs: list[Job]) -> None:
        """Let a job share the run that is trained in its folder anyway. Raises RunError when that is of another configuration."""
        assert job.config is not None
        check_shared(job, run.config)
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

    def on_run_begin(self, run: Run) -> None:
        _, jobs = self.training[run.directory]
        if (compose := jobs[0].compose) is not None and is_plain(composed := compose()):
            write_early(run.directory, composed)

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

        learned = (config.augment, config.model, config.columns, config.loss, config.aux_weight, config.optimizer, config.scheduler)
        means = (*learned, config.device, config.engine, config.workers, config.ray, config.checkpoint_every)
        checks: list[tuple[object, Callable[[Config], None]]] = [(config.data, check_data)]
        checks.append((("callbacks", config.callbacks), lambda config: trackers.check(config.callbacks)))
        if self.launcher.here:
            checks.insert(0, (means, check_means))
        for parts, check in checks:
            if (key := repr(parts)) not in self.refusals:
                try:
                    check(config)
                    self.refusals[key] = None
                except DigitcmpError as error:
                    self.refusals[key] = error
            if refused := self.refusals[key]:
                return refused
        return None
