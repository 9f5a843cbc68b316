"""What else was there when rounds were trained, for whoever has to find out later: host, processors, installed distributions, and
changes of the code that are in no commit. Nothing of it decides what is equal or goes on."""

import hashlib
import platform
import re
from contextlib import suppress
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from digitcmp.errors import RunError
from digitcmp.experiment.provenance import TOP, checkout, git_bytes, processor
from digitcmp.files import write_whole
from digitcmp.system import cpu_count

LARGEST = 1_000_000  # bytes of changes that are kept
DRIVER = Path("/proc/driver/nvidia/version")


@cache
def surroundings(device: str) -> dict[str, Any]:
    """hosts: this one; hardware: the model of its CPU, cores, the names of its GPUs and their driver (device=cuda); packages: version by
    name; changes: the name of the file of changes that are in no commit, or why there is none, where there are some."""
    found: dict[str, Any] = {"hosts": [platform.node()], "hardware": hardware(device), "packages": packages()}
    if changes := uncommitted():
        found["changes"] = [name_of(changes)] if len(changes) <= LARGEST else [f"not kept: {len(changes):,} bytes, more than {LARGEST:,}"]
    return found


def hardware(device: str) -> dict[str, Any]:
    """The processors."""
    found: dict[str, Any] = {"cpu": processor(), "cores": cpu_count()}
    if device == "cuda":
        import torch

        found["gpus"] = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        with suppress(OSError):
            found["driver"] = driver_version(DRIVER.read_text(encoding="utf-8", errors="replace"))
    return found


def driver_version(text: str) -> str:
    """The version in what the NVIDIA driver says of itself; the whole first line where there is none in it."""
    line = text.partition("\n")[0]
    version = re.search(r"\s(\d+\.\d+(?:\.\d+)?)\s", line)
    return version[1] if version else line


def packages() -> dict[str, str]:
    """The installed distributions, by name; of one that is there twice, the one that is imported."""
    found: dict[str, str] = {}
    for one in distributions():
        with suppress(Exception):  # one that is damaged has no name or version
            found.setdefault(one.metadata["Name"], one.version)
    return dict(sorted((name, version) for name, version in found.items() if name))


@cache
def uncommitted() -> bytes:
    """The changes in tracked files of the checkout that holds this package, as `git apply` takes them; empty where there are none."""
    return (git_bytes(TOP, "diff", "--binary", "HEAD") or b"") if checkout().get("git_dirty") and (TOP / ".git").exists() else b""


def name_of(changes: bytes) -> str:
    """The name of their file."""
    return f"changes-{hashlib.sha256(changes).hexdigest()[:8]}.diff"


def write_changes(directory: Path) -> None:
    """Put the changes that are in no commit beside run.json. Raises RunError when they cannot be written."""
    changes = uncommitted()
    if changes and len(changes) <= LARGEST and not (directory / name_of(changes)).exists():
        try:
            write_whole(directory / name_of(changes), changes)
        except RunError as error:
            raise RunError(f"{error}; nothing was trained") from error
