"""What a measurement ran on."""

import os
import platform
from pathlib import Path

import torch


def describe_machine() -> dict[str, str | int]:
    """Processor, cores that may be used, torch."""
    return {"processor": processor(), "cores": len(os.sched_getaffinity(0)), "torch": torch.__version__}


def processor() -> str:
    """The processor's name as Linux has it, else the architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
