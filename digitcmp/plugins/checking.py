"""Whether all jobs of a sweep can be trained, which is known before the first round of any. Imports neither torch nor a model."""

import gc
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import track

from digitcmp.config.messages import one_line
from digitcmp.config.schema import Config
from digitcmp.counting import counted, some
from digitcmp.errors import ConfigError
from digitcmp.experiment.run import Run
from digitcmp.plugins.composing import SUBDIR, TemplateLoader
from digitcmp.plugins.jobs import Homes, Job, check_shared, make_job
from digitcmp.terminal import Terminal, takes_back, tell

EMPTY = "the sweep is empty: a range or a choice has no values, so there is nothing to run"
SELDOM = 100_000  # new objects between two looks for cycles: what some ten jobs make


def compose_jobs(loader: TemplateLoader, sweep: DictConfig, job_overrides: Sequence[Sequence[str]], first: int) -> list[Job]:
    """The jobs of a sweep's configuration, the first one of which has this number. Raises what `make_job` raises."""
    numbered, console = list(enumerate(job_overrides, first)), Terminal()
    coming = track(numbered, "composing the jobs", console=console, transient=True, disable=not takes_back(console))
    with collected_seldom():
        return [make_job(loader, sweep, number, overrides) for number, overrides in coming]


@contextmanager
def collected_seldom() -> Iterator[None]:
    """Let Python look for cycles in memory less often: nearly all that is composed is kept, so that it looks at ever more in vain."""
    before = gc.get_threshold()
    gc.set_threshold(max(before[0], SELDOM) if before[0] else 0, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def check_jobs(jobs: Sequence[Job]) -> None:
    """Raise what all jobs are refused for, or ConfigError that says which of them are, and why."""
    if not (refused := [job for job in jobs if job.error is not None]):
        return
    reasons, shared = defaultdict[str, list[str]](list), set.intersection(*(set(job.overrides) for job in jobs))
    for job in refused:
        assert job.error is not None
        reasons[one_line(job.error)].append(" ".join(override for override in job.overrides if override not in shared))
    if len(reasons) == 1 and len(refused) == len(jobs):
        assert refused[0].error is not None
        raise refused[0].error
    told = [f"{reason} ({some(names)})" for reason, names in reasons.items()]
    raise ConfigError(f"{len(refused)} of {counted(len(jobs), 'job')} cannot be trained, so that none was: {some(told, '; ')}")


def give_folders(jobs: Sequence[Job], sweep: Path) -> None:
    """Give each job its folder, as `digitcmp.plugins.runner` does, for launchers that train each job by itself. Raises RunError for a
    folder that holds another configuration, or would be shared by two.

    sweep: the sweep's folder. One that is moved is told so by an override of its own.
    """
    homes, having = Homes(sweep), dict[Path, Config]()
    for job in jobs:
        assert job.config is not None
        if (home := homes.find(job.directory, job.config)) != job.directory:
            job.directory, job.moved = home, True
            below = QuotedString(os.path.relpath(home, sweep), Quote.single).with_quotes()
            job.overrides.append(f"{SUBDIR}={below}")
        check_shared(job, having.setdefault(job.directory, job.config))
        Run(job.config, job.directory, "")  # looks whether the folder is one for it


def print_moved(jobs: Sequence[Job], console: Console) -> None:
    """Say how many jobs share a folder."""
    if moved := [job for job in jobs if job.moved]:
        shared = f"{counted(len(moved), 'job')} of the same configuration as another one, or as a run of this folder, with common seeds"
        tell(console, f"{shared}: trained together, in one folder")
