"""Which executor a configuration gets, the device that it trains on, and whether all that it needs is there."""

import os
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from digitcmp.config.schema import Config
from digitcmp.counting import are, counted
from digitcmp.errors import ConfigError
from digitcmp.experiment.executors.base import Executor
from digitcmp.experiment.executors.devices import DevicesExecutor
from digitcmp.experiment.executors.processes import ProcessExecutor
from digitcmp.experiment.executors.serial import SerialExecutor
from digitcmp.experiment.executors.stacked import StackedExecutor
from digitcmp.experiment.executors.stacking import round_memory
from digitcmp.system import cpu_count
from digitcmp.train.own_optimizer import check_kept
from digitcmp.train.rehearsal import rehearse
from digitcmp.train.round import round_pairs, train_spec
from digitcmp.train.schedules import check_shape

if TYPE_CHECKING:
    from digitcmp.experiment.executors.ray import RayExecutor

CROWD = 8  # workers per core at most: each has a core to itself while it trains


def choose(config: Config, rounds: int | None) -> tuple[str, int]:
    """The name of the executor for this many rounds (None: nobody knows yet, so many), and its number of workers. Raises ConfigError when
    there is no such device, or no such cluster."""
    devices, engine = choose_devices(config.device), config.engine
    if engine == "auto" and devices[0].type == "cuda":
        engine = "stacked"
    if engine == "ray":
        workers = make_ray(config).workers
    elif engine == "stacked":
        workers = len(devices)
    else:
        workers = config.workers or cpu_count()
    if rounds is not None:
        workers = min(workers, max(1, rounds))
    if engine == "auto":
        engine = "processes" if rounds != 1 and workers > 1 and hasattr(os, "fork") else "serial"
    return engine, 1 if engine == "serial" else workers


def places(config: Config) -> str:
    """Where the rounds of a configuration go, in words; empty where that is one device of this machine, or its cores."""
    if config.engine == "ray":
        return make_ray(config).places()
    name, workers = choose(config, None)
    devices = ", ".join(map(str, choose_devices(config.device)))
    return f"engine=stacked: {workers} devices, with a process and stacks each: {devices}" if name == "stacked" and workers > 1 else ""


def make_executor(config: Config, rounds: int | None, on_message: Callable[[str], None]) -> Executor:
    """The executor that a configuration asks for. rounds: as in `choose`.

    on_message: is told, in one line, what whoever looks at the screen should know. Raises ConfigError when there is no such device.
    """
    if config.engine == "ray":
        return make_ray(config, on_message, rounds)
    devices, (name, workers) = choose_devices(config.device), choose(config, rounds)
    if name == "processes":
        return ProcessExecutor(devices[0], workers)
    if name == "stacked" and workers > 1:
        return DevicesExecutor(devices[:workers], rounds, on_message)
    return StackedExecutor(devices[0], on_message) if name == "stacked" else SerialExecutor(devices[0], on_message)


def make_ray(config: Config, on_message: Callable[[str], None] = lambda _: None, rounds: int | None = None) -> "RayExecutor":
    """The executor of a Ray cluster. Raises ConfigError where there is no Ray, no such cluster, or none that fits."""
    try:
        from digitcmp.experiment.executors.ray import RayExecutor
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise ConfigError("engine=ray: Ray is not installed here; install it: pip install 'digitcmp[ray]'") from error
    return RayExecutor(config, on_message, rounds)


def choose_device(name: str) -> torch.device:
    """The device to train on, the first of several. Raises ConfigError where there is none of this name."""
    if name == "mps" and not torch.backends.mps.is_available():
        raise ConfigError(f"device=mps: torch {torch.__version__} finds no GPU of Apple's here; use device=cpu or device=auto")
    if name in ("cpu", "mps"):
        return torch.device(name)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        usable = torch.cuda.is_available()
    if name != "auto" and not usable:
        reason = f" ({str(caught[0].message).splitlines()[0]})" if caught else ""
        raise ConfigError(f"device={name}: torch {torch.__version__} finds no usable GPU here{reason}; use device=cpu or device=auto")
    device = torch.device("cpu" if not usable else "cuda" if name == "auto" else name)
    if ":" in str(device) and device.index >= (count := torch.cuda.device_count()):
        raise ConfigError(
            f"device={name}: there {are(count)} {counted(count, 'visible GPU')} (CUDA_VISIBLE_DEVICES), the first one is cuda:0"
        )
    return device


def choose_devices(name: str) -> list[torch.device]:
    """The devices that stacks are trained on: all visible GPUs, unless one is named. Raises ConfigError as `choose_device` does."""
    device = choose_device(name)
    count = torch.cuda.device_count() if str(device) == "cuda" else 1
    return [torch.device("cuda", index) for index in range(count)] if count > 1 else [device]


def preflight(config: Config) -> None:
    """What is checked before anything is trained or written. Raises what `check_means` and `check_data` raise."""
    check_means(config)
    check_data(config)


def check_means(config: Config) -> None:
    """Raise ConfigError when there is no such device, optimiser or schedule, for too many workers, for parts of others that remember what
    they must not, or for a network that cannot be stacked where it is to be."""
    cores = cpu_count()
    if config.engine == "processes" and not hasattr(os, "fork"):
        raise ConfigError("engine=processes: this system cannot fork processes; use engine=serial")
    if config.workers is not None and config.workers > CROWD * cores and config.engine != "ray":
        limit = f"use at most {CROWD * cores}, or leave it null for one per core"
        raise ConfigError(f"workers={config.workers}: there {are(cores)} {counted(cores, 'core')}; {limit}")
    check_shape(config.scheduler.shape, train_spec(config).shape)
    rehearse(config)
    if config.checkpoint_every:
        check_kept(config.optimizer)
    if choose(config, len(config.seeds))[0] == "stacked" or (config.engine == "ray" and (config.ray.gpus or config.stack_size)):
        round_memory(config)


def check_data(config: Config) -> None:
    """Raise DataError for data that is missing, damaged or too small: found here, once, and not in every worker."""
    round_pairs(config.data, config.seed)
