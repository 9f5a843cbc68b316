"""Engines: how the rounds of a run are executed. None changes what is computed."""

import signal
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from joblib import Parallel, cpu_count, delayed

from digitcmp.config import Config
from digitcmp.errors import ConfigError
from digitcmp.rounds.board import Board
from digitcmp.rounds.display import Display
from digitcmp.rounds.round import RoundResult, train_round

Engine = Callable[[Config, list[int], torch.device, int, Display], Iterator[RoundResult]]


def serial(config: Config, seeds: list[int], device: torch.device, workers: int, display: Display) -> Iterator[RoundResult]:
    """One round after the other, in this process."""
    del workers
    torch.set_num_threads(1)
    for place, seed in enumerate(seeds):
        yield train_round(config, seed, device, display.watch(place))


def processes(config: Config, seeds: list[int], device: torch.device, workers: int, display: Display) -> Iterator[RoundResult]:
    """Several rounds side by side, in worker processes with one intra-op thread each; results come as rounds finish.

    Two threads in one process gain little on networks this small and collapse when the machine is busy; two processes don't.
    """
    parallel = Parallel(n_jobs=workers, return_as="generator_unordered", batch_size=1, pre_dispatch="n_jobs")
    jobs = (delayed(work)(config, seed, str(device), display.board.path, len(seeds), place) for place, seed in enumerate(seeds))
    yield from parallel(jobs)


def work(config: Config, seed: int, device: str, board: Path, rounds: int, place: int) -> RoundResult:
    """One round in a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the parent decides
    torch.set_num_threads(1)
    return train_round(config, seed, torch.device(device), Board(board, rounds).watch(place))


ENGINES: dict[str, Engine] = {"serial": serial, "processes": processes}


def choose(config: Config, rounds: int, device: torch.device) -> tuple[str, int]:
    """The name of the engine for this many rounds, and its number of workers."""
    workers = min(config.workers or cpu_count(), rounds)
    if config.engine == "auto":
        side_by_side = rounds > 1 and workers > 1 and device.type == "cpu"
        return ("processes", workers) if side_by_side else ("serial", 1)
    return config.engine, workers if config.engine == "processes" else 1


def choose_device(name: str) -> torch.device:
    """The device to train on. Raises ConfigError for cuda without a usable GPU."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        usable = name != "cpu" and torch.cuda.is_available()
    if name == "cuda" and not usable:
        reason = f" ({str(caught[0].message).splitlines()[0]})" if caught else ""
        raise ConfigError(f"device=cuda: torch {torch.__version__} finds no usable GPU here{reason}; use device=cpu or device=auto")
    return torch.device("cuda" if usable else "cpu")
