"""What made a result: versions, checkout, and the machine as far as it may change the last digits."""

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from digitcmp import __version__
from digitcmp.experiment import instructions

TOP = Path(__file__).resolve().parents[2]  # of a checkout
BUILT = Path(__file__).resolve().parents[1] / "built.json"  # in a wheel: what it was built from
SLURM = {"job": "_JOB_ID", "array": "_ARRAY_JOB_ID", "task": "_ARRAY_TASK_ID", "node": "D_NODENAME", "restarts": "_RESTART_COUNT"}


@cache
def versions() -> dict[str, Any]:
    """Versions of what computes, and the commit where the package runs from a checkout; as they were when first asked for.

    A checkout may change while a sweep is running; the code that runs does not.
    """
    import torch

    return {"torch": torch.__version__, "digitcmp": __version__, "python": platform.python_version(), **checkout()}


@cache
def machine(device: str) -> dict[str, Any]:
    """What decides about the last digits of a result beside the code and the executor: rounds are repeated bitwise where all of it is
    equal. device: of torch, or its type.

    torch_build: its CUDA (or cpu), and the libraries that it computes with. cpu_capability: the instructions that torch chose, as
    `instructions.used` says it. threads: of a round.
    """
    import torch

    build = hashlib.sha256(torch.__config__.show().encode()).hexdigest()[:12]
    return {
        "torch_build": f"{torch.version.cuda or 'cpu'} {build}",
        "system": f"{platform.system()} {platform.machine()}",
        "cpu_capability": instructions.used(torch.backends.cpu.get_cpu_capability()),
        "threads": 1,  # as executors set it: more gain nothing on networks of this size
        "device_name": torch.cuda.get_device_name(device) if device.startswith("cuda") else processor(),
    }


def merged(platforms: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The platforms of several machines or devices as one: where they differ, all values."""
    values = {name: list(dict.fromkeys(one[name] for one in platforms)) for name in platforms[0]}
    return {name: found[0] if len(found) == 1 else " and ".join(sorted(map(str, found))) for name, found in values.items()}


def allocation() -> dict[str, Any] | None:
    """The Slurm task that this process is, as far as Slurm tells: its job, place in an array, node, and how often it was begun before.
    None outside Slurm. Says where rounds were trained, and nothing about their numbers."""
    told = {name: os.environ.get(f"SLURM{variable}") for name, variable in SLURM.items()}
    return {name: value for name, value in told.items() if value is not None} if told["job"] else None


def processor() -> str:
    """The model of the CPU."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def checkout() -> dict[str, Any]:
    """`git_commit` and `git_dirty` (changes in tracked files) of the checkout that holds this package, or of the one that its wheel was
    built from; empty where there is none."""
    if not (TOP / ".git").exists():
        with suppress(OSError, ValueError, KeyError):
            built = json.loads(BUILT.read_text(encoding="utf-8"))
            return {name: built[name] for name in ("git_commit", "git_dirty")}
        return {}
    commit, changes = git(TOP, "rev-parse", "HEAD"), git(TOP, "status", "--porcelain", "--untracked-files=no")
    return {} if commit is None or changes is None else {"git_commit": commit, "git_dirty": bool(changes)}


def commits_between(before: str, after: str, most: int = 5) -> list[str]:
    """The titles of the commits after one of this package's checkout, up to another one, the newest first; none where git knows neither."""
    listed = git(TOP, "log", "--oneline", f"{before}..{after}", "--")
    titles = (listed or "").splitlines()
    return titles[:most] + ([f"and {len(titles) - most} more commits"] if len(titles) > most else [])


def git(top: Path, *arguments: str) -> str | None:
    """What git prints, None where it is missing or refuses."""
    told = git_bytes(top, *arguments)
    return None if told is None else told.decode(errors="replace").strip()


def git_bytes(top: Path, *arguments: str) -> bytes | None:
    """As `git`, to the last byte."""
    try:
        return subprocess.run(["git", "-C", str(top), *arguments], capture_output=True, check=True, timeout=10).stdout
    except (OSError, subprocess.SubprocessError):
        return None


def now(precision: str = "seconds", after: str = "") -> str:
    """The time in UTC, ISO 8601. after: when something else was that went before, as on record; a clock that was set back since is not
    believed, and the time is one later than that by a microsecond."""
    time = datetime.now(UTC)
    with suppress(ValueError, OverflowError):  # whatever somebody has written there
        time = max(time, datetime.fromisoformat(after).astimezone(UTC) + timedelta(microseconds=1))
    return time.isoformat(timespec=precision)
