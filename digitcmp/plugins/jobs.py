"""The jobs of a sweep: how each is composed, and which of them have something to train. Imports neither torch nor a model."""

import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict
from omegaconf.errors import OmegaConfBaseException

from digitcmp.config.composed import typed
from digitcmp.config.schema import Config
from digitcmp.errors import DigitcmpError, Pruned, RunError
from digitcmp.plugins.composing import SeedLoader

if TYPE_CHECKING:
    from digitcmp.experiment.store import Records
    from digitcmp.experiment.work import Run


@dataclass
class Job:
    """One job of a sweep: what Hydra composed, where it goes, and what it trains.

    composed is None for a job that cannot be composed; config is None for that and for one that is refused.
    """

    number: int
    overrides: list[str]
    composed: DictConfig | None = None
    directory: Path = Path()
    config: Config | None = None
    error: Exception | None = None
    value: float | None = None  # what it has come to, when all its rounds are through
    ended: bool = False  # it has come to its error

    def result(self) -> float:
        """What the job returns. Raises what it has come to instead."""
        if self.error is not None:
            raise self.error
        assert self.value is not None
        return self.value

    @property
    def task_overrides(self) -> list[str]:
        """Its overrides but for those that concern Hydra."""
        return [] if self.composed is None else list(self.composed.hydra.overrides.task)


def compose(loader: SeedLoader, sweep: DictConfig, number: int, overrides: Sequence[str]) -> Job:
    """The job that these overrides make of the sweep's configuration. Raises what Hydra raises when they cannot be composed."""
    composed, template = loader.compose(sweep, overrides)
    with open_dict(composed):
        composed.hydra.job.id, composed.hydra.job.num = str(number), number
    with hydra_config(composed):
        directory = (Path(str(composed.hydra.sweep.dir)) / str(composed.hydra.sweep.subdir)).absolute()
        job = Job(number, list(overrides), composed, directory)
        try:
            job.config = typed(composed) if template is None else template.typed(composed.seed)
        except (DigitcmpError, OmegaConfBaseException) as refused:
            job.error = refused
    return job


@contextmanager
def hydra_config(composed: DictConfig) -> Iterator[None]:
    """What `${hydra:...}` refers to meanwhile. Lighter than `HydraConfig.set_config`, which copies."""
    instance = HydraConfig.instance()
    before, instance.cfg = instance.cfg, cast(HydraConf, composed)
    try:
        yield
    finally:
        instance.cfg = before


@dataclass
class Desk:
    """Where jobs are on their way: those whose rounds are trained, by folder, and those that Hydra has only to run."""

    training: dict[Path, list[Job]] = field(default_factory=dict)
    others: list[Job] = field(default_factory=list)
    refusals: dict[str, DigitcmpError | None] = field(default_factory=dict)

    def take(self, job: Job) -> "Run | None":
        """What is to be trained for a job; None when it is refused, or shares the folder of one whose rounds are being trained."""
        from digitcmp.experiment.work import Run

        if job.directory in self.training:
            self.training[job.directory].append(job)
        elif job.config is None or self.refusal(job.config):
            self.others.append(job)
        else:
            self.training[job.directory] = [job]
            return Run(job.config, job.directory, command_of(job.task_overrides))
        return None

    def take_alone(self, job: Job) -> "Run | None":
        """As `take`; a job whose folder holds another configuration is refused, too."""
        from digitcmp.experiment.plan import standing

        try:
            if job.config is not None:
                standing(job.config, job.directory)
        except RunError:
            self.others.append(job)  # the job itself will say so
            return None
        return self.take(job)

    def through(self, run: "Run", records: "Records") -> list[Job]:
        """The jobs for which a run was trained; it has ended."""
        from digitcmp.experiment.run import outcome

        jobs, seeds = self.training.pop(run.directory), run.config.seeds
        for job in jobs:
            if records.about["status"] == "pruned":
                job.error = Pruned(f"{run.directory.name} was ended early, with {len(records.rounds)} of {len(seeds)} rounds")
                job.ended = True
            elif not records.missing(seeds, False):  # otherwise another process has the rest, and the job itself looks again
                try:
                    job.value = outcome(records, seeds)
                except DigitcmpError as error:
                    job.error, job.ended = error, True
        return jobs

    def idle(self) -> Iterator[Job]:
        """The jobs that only have to be run, as long as there are any."""
        while self.others:
            yield self.others.pop(0)

    def refusal(self, config: Config) -> DigitcmpError | None:
        """Why there is no way to train this configuration here, if there is none; data that is missing is looked for once."""
        from digitcmp.experiment.run import check_means

        means = repr(
            (config.data, config.augment, config.model, config.optimizer, config.scheduler, config.device, config.engine, config.workers)
        )
        if means not in self.refusals:
            try:
                check_means(config)
                self.refusals[means] = None
            except DigitcmpError as error:
                self.refusals[means] = error
        return self.refusals[means]


def command_of(overrides: list[str]) -> str:
    """The command that runs the same job again, with the seeds and choices it had, and the folder of its YAML files."""
    return shlex.join(["python", "-m", "digitcmp", *own_folder(sys.argv[1:]), *overrides])


def own_folder(arguments: list[str]) -> list[str]:
    """--config-dir and its like, where they were given."""
    flags = ("--config-dir", "-cd", "--config-name", "-cn", "--config-path", "-cp")
    places = [place for place, argument in enumerate(arguments) if argument.split("=")[0] in flags]
    return [part for place in places for part in arguments[place : place + (1 if "=" in arguments[place] else 2)]]
