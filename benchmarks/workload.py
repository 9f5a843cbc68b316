"""Rounds at work, in processes of their own: a sweep's with digitcmp's executors, and the plain loop's.

Every measurement begins in a fresh process, which has imported everything and read nothing: what one leaves behind (a data
set in memory, a GPU that is awake) is of no use to the next.
"""

import io
import multiprocessing
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory

import torch
from rich.console import Console

from benchmarks.reference import train_reference
from digitcmp.config.schema import Config
from digitcmp.data.sources import load
from digitcmp.errors import RunError
from digitcmp.experiment.callbacks import Callback
from digitcmp.experiment.executors.choose import choose_device
from digitcmp.experiment.progress import ProgressDisplay
from digitcmp.experiment.run import Run
from digitcmp.experiment.scheduler import train
from digitcmp.train.results import RoundResult
from digitcmp.train.round import round_pairs


@dataclass(frozen=True)
class Pace:
    """How fast rounds of a network go. round: seconds beside its epochs (pairs, weights, the last test); epoch: seconds of one."""

    network: str
    round: float
    epoch: float
    accuracy: float

    def seconds(self, epochs: int) -> float:
        """Seconds of a round with this many epochs."""
        return self.round + epochs * self.epoch


@dataclass(frozen=True)
class Measured:
    """A sweep. wall: its seconds, reading the data included; start: those that no round took; side: how many rounds go on at once.

    whole: seconds with the start of Python and its imports.
    """

    device: str
    wall: float
    start: float
    side: int
    failed: int
    paces: list[Pace]
    whole: float = 0.0

    def extrapolated(self, rounds: int, epochs: int) -> float:
        """Seconds of a sweep with this many rounds of this many epochs per network."""
        return self.start + rounds * sum(pace.seconds(epochs) for pace in self.paces) / self.side


def fresh(threads: int, processes: int = 1) -> ProcessPoolExecutor:
    """Processes that have only just been started."""
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(processes, mp_context=context, initializer=torch.set_num_threads, initargs=(threads,))


def measure_executor(configs: list[Config], folder: Path | None, loud: bool) -> Measured:
    """Train the rounds of these configurations, which share their executor, as a sweep does, with records in this folder (None: a
    temporary one). loud: say on stderr how it goes. Raises RunError for a folder that is there: its rounds would be trained already.
    """
    if folder and folder.exists():
        raise RunError(f"--folder: {folder} is there already; name a new one")
    began = time.monotonic()
    with TemporaryDirectory() as temporary, fresh(1) as process:
        measured = process.submit(sweep, configs, folder or Path(temporary), loud).result()
    return replace(measured, whole=time.monotonic() - began)


def sweep(configs: list[Config], folder: Path, loud: bool) -> Measured:
    """The same, in this process."""
    console = Console(stderr=True) if loud else Console(file=io.StringIO())
    runs = [Run(config, folder / config.model.name, "python -m benchmarks.hundred") for config in configs]
    kept = Results()
    start = time.perf_counter()
    with ProgressDisplay.of(runs, console) as display:
        train(runs, [display, kept])
    wall = time.perf_counter() - start
    about = runs[0].store.about
    assert about is not None
    rounds = [row for run in runs for row in run.rows]
    return Measured(
        device=str(about["device"]),
        wall=wall,
        start=max(0.0, wall - sum(row.seconds for row in rounds) / about["workers"]),
        side=about["workers"],
        failed=sum(row.status != "done" for row in rounds),
        paces=[pace(run.config.model.name, kept.of[run]) for run in runs],
    )


class Results(Callback):
    """Keeps the results of each run's rounds: a store keeps no epochs in memory."""

    def __init__(self) -> None:
        self.of: defaultdict[Run, list[RoundResult]] = defaultdict(list)

    def on_round_end(self, run: Run, result: RoundResult) -> None:
        self.of[run].append(result)


def pace(network: str, results: Sequence[RoundResult]) -> Pace:
    """How fast the rounds with these results went."""
    epochs = [row.seconds for result in results for row in result.epochs]
    beside = sum(result.row.seconds for result in results) - sum(epochs)
    accuracy = mean(result.row.test_accuracy or 0.0 for result in results)
    return Pace(network, beside / len(results), median(epochs), accuracy)


def measure_reference(configs: list[Config], threads: int, one_batch: bool) -> Measured:
    """Train the rounds of these configurations with the plain loop, one after the other, on their device."""
    began = time.monotonic()
    with fresh(threads) as process:
        measured = process.submit(plain_sweep, configs, one_batch).result()
    return replace(measured, whole=time.monotonic() - began)


def plain_sweep(configs: list[Config], one_batch: bool) -> Measured:
    """The same, in this process."""
    start = time.perf_counter()
    device = choose_device(configs[0].device)
    load(configs[0].data.source, configs[0].data.root)
    plain_round(replace(configs[0], epochs=1), configs[0].seed, one_batch)  # wakes the device up: part of the start
    started = time.perf_counter() - start
    paces = [plain_pace(config, one_batch) for config in configs]
    return Measured(device.type, time.perf_counter() - start, started, 1, 0, paces)


def plain_pace(config: Config, one_batch: bool) -> Pace:
    """How fast the plain loop's rounds of one configuration go."""
    rounds = [plain_round(config, seed, one_batch) for seed in config.seeds]
    epochs = [seconds for one in rounds for seconds in one.epochs]
    return Pace(config.model.name, mean(one.before for one in rounds), median(epochs), mean(one.accuracy for one in rounds))


@dataclass(frozen=True)
class PlainRound:
    """One round of the plain loop: seconds before its first epoch, and of each epoch; its last test accuracy."""

    before: float
    epochs: list[float]
    accuracy: float


def plain_round(config: Config, seed: int, one_batch: bool = False, limit: float = float("inf")) -> PlainRound:
    """Train one round of the plain loop; no epoch is begun after this many seconds."""
    start = time.perf_counter()
    pairs = round_pairs(config.data, seed)
    train, test = (pairs.train.images, pairs.train.target, pairs.train.digits), (pairs.test.images, pairs.test.target)
    device = choose_device(config.device).type
    epochs = train_reference(config.model.name, train, test, config.optimizer.lr, device, one_batch)
    begun = last = time.perf_counter()
    seconds, accuracy = [], 0.0
    for accuracy in islice(epochs, config.epochs):  # noqa: B007 (the last one is wanted)
        now = time.perf_counter()
        seconds.append(now - last)
        last = now
        if now - begun > limit:
            break
    return PlainRound(begun - start, seconds, accuracy)
