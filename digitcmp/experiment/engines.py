"""Engines: how rounds are executed. None changes what is computed.

An engine takes tasks one by one, when it has room for them, and yields each with its result, in whatever order they end
(None instead of a result: the round was stopped, see `Audience`). A None among the tasks says that there is none at the
moment: the engine first yields everything that has ended, then a None of its own, and goes on taking tasks. So whoever
decides what comes next can wait for it to be needed, and knows all that is known.
"""

import warnings
from collections.abc import Callable, Generator, Iterable
from dataclasses import replace
from itertools import groupby, islice

import torch
from joblib import cpu_count

from digitcmp.config.schema import Config
from digitcmp.errors import ConfigError, DigitcmpError, Pruned
from digitcmp.experiment.audience import Audience
from digitcmp.experiment.stacking import stack_limit
from digitcmp.experiment.workers import train_side_by_side
from digitcmp.train.round import Round, RoundResult, Task, first_line, train_round, train_stack

CROWD = 8  # workers per core at most

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


def stacked(tasks: Iterable[Task | None], device: torch.device, workers: int, audience: Audience) -> Results:
    """Rounds of one configuration as one program on the device, as many at a time as its memory takes (or stack_size)."""
    del workers
    torch.set_num_threads(1)
    for alike, group in groupby(tasks, lambda task: None if task is None else replace(task.config, seed=0, rounds=1)):
        if alike is None:
            yield from (None for _ in group)
            continue
        limit = stack_limit(alike, device)
        while stack := [task for task in islice(group, limit) if task is not None]:
            yield from attempt_stack(stack, device, audience)


def attempt_stack(tasks: list[Task], device: torch.device, audience: Audience) -> Results:
    """The results of rounds of one configuration. A stack that breaks goes on as two halves, for which there may be memory
    enough; a round that breaks alone has failed."""
    if len(tasks) == 1:
        yield tasks[0], attempt(tasks[0], device, audience)
        return
    try:
        results = train_stack(tasks[0].config, [Round(task.seed, audience.watch(task)) for task in tasks], device)
    except DigitcmpError:
        raise
    except Exception as broken:
        problem = f"{type(broken).__name__}: {first_line(broken)}"
    else:
        yield from zip(tasks, results, strict=True)
        return
    # only here, where the error and the tensors that it holds on to are gone
    torch.cuda.empty_cache()
    half = len(tasks) // 2
    audience.say(f"a stack of {len(tasks)} rounds broke ({problem}); going on with {len(tasks) - half} at a time")
    for part in (tasks[:half], tasks[half:]):
        yield from attempt_stack(part, device, audience)


ENGINES: dict[str, Engine] = {"serial": serial, "processes": processes, "stacked": stacked}


def choose(config: Config, rounds: int | None, device: torch.device) -> tuple[str, int]:
    """The name of the engine for this many rounds (None: nobody knows yet, so many), and its number of workers."""
    workers = config.workers or cpu_count()
    if rounds is not None:
        workers = min(workers, max(1, rounds))
    if config.engine == "auto" and device.type == "cuda":
        return "stacked", 1
    if config.engine == "auto":
        side_by_side = rounds != 1 and workers > 1
        return ("processes", workers) if side_by_side else ("serial", 1)
    return config.engine, workers if config.engine == "processes" else 1


def check_workers(workers: int | None) -> None:
    """Raise ConfigError for more worker processes than can be of use: each has a core to itself while it trains."""
    cores = cpu_count()
    if workers is not None and workers > CROWD * cores:
        raise ConfigError(f"workers={workers}: there are {cores} cores; use at most {CROWD * cores}, or leave it null for one per core")


def choose_device(name: str) -> torch.device:
    """The device to train on. Raises ConfigError for cuda without a usable GPU."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        usable = name != "cpu" and torch.cuda.is_available()
    if name == "cuda" and not usable:
        reason = f" ({str(caught[0].message).splitlines()[0]})" if caught else ""
        raise ConfigError(f"device=cuda: torch {torch.__version__} finds no usable GPU here{reason}; use device=cpu or device=auto")
    return torch.device("cuda" if usable else "cpu")
