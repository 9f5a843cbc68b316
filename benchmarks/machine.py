"""What a measurement ran on."""

import os
import platform
from pathlib import Path

import torch


def describe_machine() -> dict[str, str | int | float]:
    """Processor, cores that may be used, GPU where there is one, torch, and how many processes want a core at the moment."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    load = round(os.getloadavg()[0], 2)
    return {"processor": processor(), "cores": cores(), "gpu": gpu, "torch": torch.__version__, "load": load}


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


def in_words(machine: dict[str, str | int | float]) -> str:
    """The machine as it stands above a table."""
    gpu = "" if machine["gpu"] == "none" else f", {machine['gpu']}"
    return f"{machine['processor']}, {machine['cores']} cores{gpu}, torch {machine['torch']}, load {machine['load']} at the start"


def processor() -> str:
    """The processor's name as Linux has it, else the architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
