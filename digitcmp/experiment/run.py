"""Runs: a configuration each, trained over one or more rounds, each in its directory; one run or a sweep of them."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import chain, groupby
from statistics import fmean
from typing import Any

import torch
from rich.console import Console

from digitcmp.config.identity import configuration, configuration_hash
from digitcmp.config.messages import failed_rounds
from digitcmp.config.schema import Config
from digitcmp.experiment.engines import check_workers, choose, choose_device
from digitcmp.experiment.plan import standing
from digitcmp.experiment.progress import Display, counted
from digitcmp.experiment.provenance import versions
from digitcmp.experiment.stacking import round_memory
from digitcmp.experiment.store import Records
from digitcmp.experiment.work import Open, Run, Watcher, Work
from digitcmp.model.network import count_parameters
from digitcmp.train.round import round_pairs, train_spec

__all__ = ["Run", "Watcher", "check_means", "objective", "outcome", "train_run", "train_runs", "train_stream"]

Manner = tuple[str, torch.device, int | None]  # engine, device, workers: runs that differ in them are trained one after the other


def check_means(config: Config) -> torch.device:
    """The device to train on. Raises ConfigError when there is no such device, optimiser or schedule, or for too many workers
    or a network that cannot be stacked where it is to be; DataError for the data.
    """
    device = choose_device(config.device)
    check_workers(config.workers)
    train_spec(config)
    round_pairs(config, config.seed)  # a problem with the data is found here, once, and not in every worker
    if choose(config, config.rounds, device)[0] == "stacked":
        round_memory(config)
    return device


def train_run(run: Run, console: Console) -> Records:
    """Train what is missing of a run and return its records.

    Raises what `check_means` raises, if anything is missing, before anything is written, and RunError when the directory
    cannot be written or holds another configuration. On Ctrl-C the finished rounds stay, and the run is marked interrupted.
    """
    if standing(run.config, run.directory).missing:
        check_means(run.config)
    (records,) = [records for _, records in train_runs([run], console)]
    return records


def train_runs(
    runs: Iterable[Run], console: Console, watcher: Watcher | None = None, rounds: int | None = None
) -> Generator[tuple[Run, Records], None, None]:
    """Train what is missing of several runs, their rounds side by side; yields each run when this process is through with it.

    runs: a sequence, or an iterator, of which the next run is taken only when there is room for its rounds, after everything
    that has ended has been yielded; rounds: how many rounds it will have in all, if anybody knows.
    watcher: is told about every epoch, in this process; when it returns False, the run's rounds in flight are stopped and not
    recorded, the others are not begun, and its status is `pruned`.
    A round that another process is training is left to it. Raises RunError when a directory cannot be used.
    """
    stream = train_stream(runs, console, watcher, rounds)
    with closing(stream):
        yield from (ended for ended in stream if ended is not None)


def train_stream(
    runs: Iterable[Run | None], console: Console, watcher: Watcher | None = None, rounds: int | None = None
) -> Generator[tuple[Run, Records] | None, None, None]:
    """As `train_runs`; a None among runs that come one by one is handed on: whoever provides them wants to get a word in."""
    last: Manner | None = None

    def manner(run: Run | None) -> Manner | None:
        nonlocal last
        if run is not None:
            last = run.config.engine, choose_device(run.config.device), run.config.workers
        return last

    if isinstance(runs, Sequence):
        manners = {id(run): manner(run) for run in runs}  # a device that is not there is found before anything is trained
        for _, part in groupby(runs, lambda run: manners[id(run)]):
            yield from train_all([run for run in part if run is not None], console, watcher)
    else:
        for _, part in groupby(runs, manner):
            yield from train_as_they_come(part, console, watcher, rounds)


def train_all(runs: list[Run], console: Console, watcher: Watcher | None) -> Iterator[tuple[Run, Records] | None]:
    """Train runs that share device, engine and workers, and are known: all are opened at once."""
    device = choose_device(runs[0].config.device)
    engine, workers = choose(runs[0].config, sum(run.config.rounds for run in runs), device)
    work = Work(iter(()), lambda run: open_run(run, engine, workers, device), watcher)
    work.begin(runs)
    rounds, epochs = work.size()
    if rounds:
        title = runs[0].config.model.name if len(runs) == 1 else counted(len(runs), "run")
        yield from train_shown(work, engine, device, min(workers, rounds), Display(title, rounds, epochs, console))
    yield from work.rest()


def train_as_they_come(
    runs: Iterator[Run | None], console: Console, watcher: Watcher | None, rounds: int | None
) -> Iterator[tuple[Run, Records] | None]:
    """Train runs that share device, engine and workers, each opened when there is room for its rounds."""
    if (first := next(runs)) is None:  # no run has come so far
        yield from chain([None], (None for _ in runs))
        return
    device = choose_device(first.config.device)
    engine, workers = choose(first.config, rounds, device)
    work = Work(chain([first], runs), lambda run: open_run(run, engine, workers, device), watcher)
    epochs = None if rounds is None else rounds * first.config.epochs
    yield from train_shown(work, engine, device, workers, Display("runs as they are asked for", rounds, epochs, console))
    yield from work.rest()


def open_run(run: Run, engine: str, workers: int, device: torch.device) -> Open:
    """Begin a run, or go on with it. Raises RunError (see `Records.open`)."""
    records = Records.open(run.directory, about(run, engine, workers, device), run.config.retry_failed)
    return Open(run, records, records.missing(run.config.seeds, run.config.retry_failed))


def train_shown(work: Work, engine: str, device: torch.device, workers: int, display: Display) -> Iterator[tuple[Run, Records] | None]:
    """Train the rounds of this work while the display is up; on Ctrl-C all open runs are marked interrupted."""
    try:
        with display:
            yield from work.train(engine, device, workers, display)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(work.interrupt()) from None
    except (GeneratorExit, SystemExit):  # who takes the finished runs was interrupted, or nobody reads what is printed
        work.interrupt()
        raise
    if work.left:
        display.console.print(f"{counted(work.left, 'round')} left to another process that is training in the same folder", highlight=False)


def about(run: Run, engine: str, workers: int, device: torch.device) -> dict[str, Any]:
    """What run.json says of a run, its times excepted."""
    values = configuration(run.config)
    return {
        "configuration": values,
        "configuration_hash": configuration_hash(values),
        "parameters": run.config.ensemble * count_parameters(run.config.model),
        "seeds": run.config.seeds,
        "engine": engine,
        "workers": workers,
        "device": device.type,
        **versions(),
        "command": run.command,
    }


def outcome(records: Records, seeds: Sequence[int]) -> float:
    """What a job returns to Hydra: what a search maximises (see `objective`). Raises RunError when rounds have failed."""
    failed = [row for row in records.failed if row.seed in set(seeds)]
    if failed:
        raise failed_rounds([row.seed for row in failed], len(seeds), failed[0].error, records.directory)
    return objective(records, seeds)


def objective(records: Records, seeds: Sequence[int]) -> float:
    """What a search maximises: the mean validation accuracy of these rounds (test accuracy where there is none), NaN without rounds."""
    rows = [row for row in records.rounds if row.status == "done" and row.seed in set(seeds)]
    scores = [row.test_accuracy if row.val_accuracy is None else row.val_accuracy for row in rows]
    return fmean(score for score in scores if score is not None) if scores else float("nan")
