"""Engines: how rounds are executed. None changes what is computed.

An engine takes tasks one by one, when it has room for them, and yields each with its result, in whatever order they end
(None instead of a result: the round was stopped, see `Audience`). A None among the tasks says that there is none at the
moment: the engine first yields everything that has ended, then a None of its own, and goes on taking tasks. So whoever
decides what comes next can wait for it to be needed, and knows all that is known.
"""

import warnings
from collections.abc import Callable, Generator, Iterable

import torch
from joblib import cpu_count

from digitcmp.config import Config
from digitcmp.errors import ConfigError, Pruned
from digitcmp.rounds.audience import Audience
from digitcmp.rounds.round import RoundResult, Task, train_round
from digitcmp.rounds.workers import train_side_by_side

Results = Generator[tuple[Task, RoundResult | None] | None, None, None]
Engine = Callable[[Iterable[Task | None], torch.device, int, Audience], Results]


def serial(tasks: Iterable[Task | None], device: torch.device, workers: int, audience: Audience) -> Results:
    """One round after the other, in this process."""
    del workers
    torch.set_num_threads(1)
    for task in tasks:
        yield None if task is None else (task, attempt(task, device, audience))


def attempt(task: Task, device: torch.device, audience: Audience) -> RoundResult | None:
    """The result of a round, None when it was stopped."""
    try:
        return train_round(task.config, task.seed, device, audience.watch(task))
    except Pruned:
        return None


def processes(tasks: Iterable[Task | None], device: torch.device, workers: int, audience: Audience) -> Results:
    """Several rounds side by side, in worker processes with one intra-op thread each; results come as rounds finish.

    Two threads in one process gain little on networks this small and collapse when the machine is busy; two processes don't.
    """
    return train_side_by_side(tasks, device, workers, audience)


ENGINES: dict[str, Engine] = {"serial": serial, "processes": processes}


def choose(config: Config, rounds: int | None, device: torch.device) -> tuple[str, int]:
    """The name of the engine for this many rounds (None: nobody knows yet, so many), and its number of workers."""
    workers = config.workers or cpu_count()
    if rounds is not None:
        workers = min(workers, max(1, rounds))
    if config.engine == "auto":
        side_by_side = rounds != 1 and workers > 1 and device.type == "cpu"
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
