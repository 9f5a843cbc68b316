"""What the system knows: this host, processes that are gone or stopped (Ctrl-Z, kill -STOP), which do nothing and give nothing back; the
cores of this one.
From /proc and /sys, where they are; elsewhere little is known."""

import math
import os
import platform
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path


def host_id() -> str:
    """This host since its last start, as seen from this process namespace; the host's name alone where Linux's files are missing."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{platform.node()} {boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return platform.node()


def start_time(process: int) -> str:
    """When the process with this number began, in the system's ticks; empty when there is none (or it is a zombie), or nobody knows."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in ("Z", "X") else fields[19]


def is_stopped(process: int) -> bool:
    """Whether there is a process with this number, and it is stopped."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] in ("T", "t")
    except OSError:
        return False


def holders(locks: Iterable[Path]) -> set[int]:
    """The processes of this host that hold these locks, as far as the system tells."""
    files = set()
    for lock in locks:
        with suppress(OSError):
            found = lock.stat()
            files.add(f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}")
    try:
        # 1: FLOCK ADVISORY WRITE 1234 fd:00:5678 0 EOF; an arrow behind the number for one that waits
        rows = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    except OSError:
        return set()
    return {int(row[4]) for row in rows if len(row) > 5 and row[5] in files and row[1] != "->"}


def advice(stopped: Iterable[int]) -> str:
    """What to do about stopped processes, behind a sentence that ends with them; nothing without any."""
    numbers = " ".join(map(str, sorted(stopped)))
    return f"; stopped: process {numbers} (kill -CONT {numbers}: goes on; kill -9 {numbers}: leaves it to others)" if numbers else ""


def cpu_count() -> int:
    """The cores that this process may use: those it is bound to, no more than its control groups have time on, and no more than Slurm has
    granted."""
    counted = getattr(os, "process_cpu_count", None)  # Python 3.13
    bound = counted() if counted else len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min([bound or 1, *granted(), *map(math.ceil, quotas())]))


def granted() -> list[int]:
    """The cores of a Slurm task, where this is one: those that were asked for, or else those of its job on this node."""
    told = [os.environ.get(f"SLURM_CPUS_{name}", "") for name in ("PER_TASK", "ON_NODE")]
    return [int(text) for text in told if text.isdecimal()][:1]


def quotas(groups: Path = Path("/sys/fs/cgroup")) -> Iterator[float]:
    """The cores' worth of time that each control group of this process has, those that it lies in included; both versions of them."""
    try:
        # 0::/job_1/step_0 (version 2), 3:cpu,cpuacct:/job_1
        rows = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    except OSError:
        rows = []
    own = {names: path for _, names, path in rows if "cpu" in names.split(",") or not names}
    for names, path in {"": "/", "cpu": "/", **own}.items():
        top = groups / names
        for folder in (top / path.strip("/"), *(top / path.strip("/")).parents):
            if folder.is_relative_to(top) and (quota := quota_of(folder, names)) is not None:
                yield quota


def quota_of(group: Path, names: str) -> float | None:
    """The cores' worth of time of one control group, None without a limit. names: its controllers, none in version 2."""
    try:
        if not names:
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota, period = ((group / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
    except (OSError, ValueError):
        return None
    return int(quota) / int(period) if quota.isdecimal() else None  # max, -1: no limit
