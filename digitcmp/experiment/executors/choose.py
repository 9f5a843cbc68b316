"""Which executor a configuration gets, the device that it trains on, and whether all that it needs is there."""

import os
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from digitcmp.config.schema import Config
from digitcmp.errors import ConfigError
from digitcmp.experiment.executors.base import Executor
from digitcmp.experiment.executors.processes import ProcessExecutor
from digitcmp.experiment.executors.serial import SerialExecutor
from digitcmp.experiment.executors.stacked import StackedExecutor
from digitcmp.experiment.executors.stacking import round_memory
from digitcmp.system import cpu_count
from digitcmp.train.round import round_pairs, train_spec

if TYPE_CHECKING:
    from digitcmp.experiment.executors.ray import RayExecutor

CROWD = 8  # workers per core at most: each has a core to itself while it trains


def choose(config: Config, rounds: int | None, device: torch.device) -> tuple[str, int]:
    """The name of the executor for this many rounds (None: nobody knows yet, so many), and its number of workers."""
    workers = make_ray(config).workers if config.engine == "ray" else config.workers or cpu_count()
    if rounds is not None:
        workers = min(workers, max(1, rounds))
    if config.engine == "auto" and device.type == "cuda":
        return "stacked", 1
    if config.engine == "auto":
        side_by_side = rounds != 1 and workers > 1 and hasattr(os, "fork")
        return ("processes", workers) if side_by_side else ("serial", 1)
    return config.engine, workers if config.engine in ("processes", "ray") else 1


def places(config: Config) -> str:
    """Where the rounds of a configuration go, in words; empty where that is this machine."""
    return make_ray(config).places() if config.engine == "ray" else ""


def make_executor(config: Config, rounds: int | None, on_message: Callable[[str], None]) -> Executor:
    """The executor that a configuration asks for. rounds: as in `choose`.

    on_message: is told, in one line, what whoever looks at the screen should know. Raises ConfigError when there is no such device.
    """
    if config.engine == "ray":
        return make_ray(config, on_message)
    device = choose_device(config.device)
    name, workers = choose(config, rounds, device)
    if name == "processes":
        return ProcessExecutor(device, workers)
    return StackedExecutor(device, on_message) if name == "stacked" else SerialExecutor(device)


def make_ray(config: Config, on_message: Callable[[str], None] = lambda _: None) -> "RayExecutor":
    """The executor of a Ray cluster. Raises ConfigError where there is no Ray, no such cluster, or none that fits."""
    try:
        from digitcmp.experiment.executors.ray import RayExecutor
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise ConfigError("engine=ray: Ray is not installed here; install it: pip install 'digitcmp[ray]'") from error
    return RayExecutor(config, on_message)


def choose_device(name: str) -> torch.device:
    """The device to train on. Raises ConfigError for cuda without a usable GPU."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        usable = name != "cpu" and torch.cuda.is_available()
    if name == "cuda" and not usable:
        reason = f" ({str(caught[0].message).splitlines()[0]})" if caught else ""
        raise ConfigError(f"device=cuda: torch {torch.__version__} finds no usable GPU here{reason}; use device=cpu or device=auto")
    return torch.device("cuda" if usable else "cpu")


def preflight(config: Config) -> None:
    """What is checked before anything is trained or written. Raises what `check_means` and `check_data` raise."""
    check_means(config)
    check_data(config)


def check_means(config: Config) -> None:
    """Raise ConfigError when there is no such device, optimiser or schedule, for too many workers, or for a network that cannot be
    stacked where it is to be."""
    device, cores = choose_device(config.device), cpu_count()
    if config.engine == "processes" and not hasattr(os, "fork"):
        raise ConfigError("engine=processes: this system cannot fork processes; use engine=serial")
    if config.workers is not None and config.workers > CROWD * cores and config.engine != "ray":
        limit = f"use at most {CROWD * cores}, or leave it null for one per core"
        raise ConfigError(f"workers={config.workers}: there are {cores} cores; {limit}")
    train_spec(config)
    if choose(config, len(config.seeds), device)[0] == "stacked" or (config.engine == "ray" and (config.ray.gpus or config.stack_size)):
        round_memory(config)


def check_data(config: Config) -> None:
    """Raise DataError for data that is missing, damaged or too small: found here, once, and not in every worker."""
    round_pairs(config.data, config.seed)
