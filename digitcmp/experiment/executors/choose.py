"""Which executor a configuration gets, and the device that it trains on."""

import warnings
from collections.abc import Callable

import torch
from joblib import cpu_count

from digitcmp.config.schema import Config
from digitcmp.errors import ConfigError
from digitcmp.experiment.executors.base import Executor

CROWD = 8  # workers per core at most


def choose(config: Config, rounds: int | None, device: torch.device) -> tuple[str, int]:
    """The name of the executor for this many rounds (None: nobody knows yet, so many), and its number of workers."""
    workers = config.workers or cpu_count()
    if rounds is not None:
        workers = min(workers, max(1, rounds))
    if config.engine == "auto" and device.type == "cuda":
        return "stacked", 1
    if config.engine == "auto":
        side_by_side = rounds != 1 and workers > 1
        return ("processes", workers) if side_by_side else ("serial", 1)
    return config.engine, workers if config.engine == "processes" else 1


def make_executor(config: Config, rounds: int | None, on_message: Callable[[str], None]) -> Executor:
    """The executor that a configuration asks for. rounds: as in `choose`.

    on_message: is told, in one line, what whoever looks at the screen should know. Raises ConfigError when there is no such device.
    """
    device = choose_device(config.device)
    name, workers = choose(config, rounds, device)
    if name == "processes":
        from digitcmp.experiment.executors.processes import ProcessExecutor

        return ProcessExecutor(device, workers)
    if name == "stacked":
        from digitcmp.experiment.executors.stacked import StackedExecutor

        return StackedExecutor(device, on_message)
    from digitcmp.experiment.executors.serial import SerialExecutor

    return SerialExecutor(device)


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
