"""Runs: a configuration each, trained over one or more rounds, each in its directory; one run or a sweep of them."""

import logging
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from rich.console import Console

from digitcmp.config import Config
from digitcmp.model.network import count_parameters
from digitcmp.rounds.display import Display, counted
from digitcmp.rounds.engines import ENGINES, choose, choose_device
from digitcmp.rounds.identity import configuration, configuration_hash
from digitcmp.rounds.plan import standing
from digitcmp.rounds.provenance import versions
from digitcmp.rounds.records import Records
from digitcmp.rounds.round import RoundResult, Task, recipe, round_pairs
from digitcmp.rounds.rows import accuracy_of

log = logging.getLogger(__name__)


@dataclass
class Run:
    """One configuration and where its records go."""

    config: Config
    directory: Path
    command: str


@dataclass
class Open:
    """A run that is being worked on: its records, and the seeds that it lacked when it was opened."""

    run: Run
    records: Records
    missing: list[int]

    def close(self) -> tuple[Run, Records]:
        """End this process's work on the run."""
        self.records.finish()
        return self.run, self.records


def check_means(config: Config) -> torch.device:
    """The device to train on. Raises ConfigError when there is no such device, optimiser or schedule, DataError for the data."""
    device = choose_device(config.device)
    recipe(config)
    round_pairs(config, config.seed)  # a problem with the data is found here, once, and not in every worker
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


def train_runs(runs: Sequence[Run], console: Console) -> Generator[tuple[Run, Records], None, None]:
    """Train what is missing of several runs, their rounds side by side; yields each run when this process is through with it.

    A round that another process is training is left to it. Raises RunError when a directory cannot be used.
    """
    means = {id(run): choose_device(run.config.device) for run in runs}

    def manner(run: Run) -> tuple[str, torch.device, int | None]:
        return run.config.engine, means[id(run)], run.config.workers

    for (_, device, _), part in groupby(runs, manner):
        yield from train_alike(list(part), device, console)


def train_alike(runs: list[Run], device: torch.device, console: Console) -> Iterator[tuple[Run, Records]]:
    """Train runs that share device, engine and workers."""
    engine, workers = choose(runs[0].config, sum(run.config.rounds for run in runs), device)
    opened = []
    for run in runs:
        records = Records.open(run.directory, about(run, engine, workers, device), run.config.retry_failed)
        opened.append(Open(run, records, records.missing(run.config.seeds, run.config.retry_failed)))
    plan = Plan(opened)
    if plan.rounds:
        epochs = sum(item.run.config.epochs for item, _ in plan.rounds)
        try:
            with Display(plan.title, len(plan.rounds), epochs, console) as display:
                yield from plan.train(engine, device, min(workers, len(plan.rounds)), display)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(plan.interrupt()) from None
        except GeneratorExit:  # who takes the finished runs was interrupted
            plan.interrupt()
            raise
        if plan.left:
            console.print(f"{counted(plan.left, 'round')} left to another process that is training in the same folder", highlight=False)
    yield from [item.close() for item in plan.remaining]


class Plan:
    """The rounds that several runs lack, in the order in which they are trained."""

    def __init__(self, opened: list[Open]) -> None:
        self.opened = opened
        self.rounds = [(item, seed) for item in opened for seed in item.missing]
        self.remaining = list(opened)  # runs that have not been closed
        self.left = 0  # rounds that another process has claimed
        self.title = opened[0].run.config.model.name if len(opened) == 1 else counted(len(opened), "run")

    def train(self, engine: str, device: torch.device, workers: int, display: Display) -> Iterator[tuple[Run, Records]]:
        """Train the rounds; closes and yields each run when its last round is on record."""
        pending = {id(item): len(item.missing) for item in self.opened}
        with closing(ENGINES[engine](self.tasks(), device, workers, display)) as results:
            for task, result in results:
                item, _ = self.rounds[task.place]
                item.records.add(result)
                note(result, item.run.directory)
                display.finish(result.row, item.run.directory.name if len(self.opened) > 1 else "")
                pending[id(item)] -= 1
                if not pending[id(item)]:
                    self.remaining.remove(item)
                    yield item.close()

    def tasks(self) -> Iterator[Task]:
        """The rounds that no other process has claimed; each is claimed when it is taken."""
        for place, (item, seed) in enumerate(self.rounds):
            if item.records.claim(seed, item.run.config.retry_failed):
                yield Task(item.run.config, seed, place)
            else:
                self.left += 1

    def interrupt(self) -> str:
        """End everything at once; returns what is kept, in words."""
        for item in self.remaining:
            item.records.finish(interrupted=True)
        finished = sum(len(item.records.rounds) for item in self.opened)
        first = self.opened[0].run.directory
        return f"{counted(finished, 'finished round')} kept in {first if len(self.opened) == 1 else first.parent}"


def about(run: Run, engine: str, workers: int, device: torch.device) -> dict[str, Any]:
    """What run.json says of a run, its times excepted."""
    values = configuration(run.config)
    return {
        "configuration": values,
        "configuration_hash": configuration_hash(values),
        "parameters": count_parameters(run.config.model),
        "seeds": run.config.seeds,
        "engine": engine,
        "workers": workers,
        "device": device.type,
        **versions(),
        "command": run.command,
    }


def note(result: RoundResult, directory: Path) -> None:
    """Log how a round ended, in the log of its run."""
    row = result.row
    with logging_to(directory):
        if row.status == "done":
            log.info("seed %d: %s accuracy %.4f after %d epochs, %.1f s", row.seed, *accuracy_of(row), row.epochs, row.seconds)
        else:
            log.error("seed %d failed: %s%s", row.seed, row.error, f"\n{result.trace}" if result.trace else "")


@contextmanager
def logging_to(directory: Path) -> Iterator[None]:
    """Send what is logged to the run's digitcmp.log, unless Hydra does so already (it does for one job at a time)."""
    path, root = directory / "digitcmp.log", logging.getLogger()
    if any(isinstance(handler, logging.FileHandler) and Path(handler.baseFilename) == path for handler in root.handlers):
        yield
        return
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("[%(asctime)s][%(name)s][%(levelname)s] - %(message)s"))
    level, log.propagate = log.level, False
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()
        log.setLevel(level)
        log.propagate = True


def objective(records: Records, seeds: Sequence[int]) -> float:
    """What a search maximises: the mean validation accuracy of these rounds (test accuracy where there is none), NaN without rounds."""
    rows = [row for row in records.rounds if row.status == "done" and row.seed in set(seeds)]
    scores = [row.test_accuracy if row.val_accuracy is None else row.val_accuracy for row in rows]
    return fmean(score for score in scores if score is not None) if scores else float("nan")
