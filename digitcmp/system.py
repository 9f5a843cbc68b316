"""What the system knows: processes that are stopped (Ctrl-Z, kill -STOP), which do nothing and give nothing back; the cores of this one.
From /proc and /sys, where they are; elsewhere little is known."""

import math
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


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
    """The cores that this process may use: those it is bound to, and no more than its control group has time on."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()  # version 2
    except (OSError, ValueError):
        try:
            quota, period = (Path(f"/sys/fs/cgroup/cpu/cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        except OSError:
            return bound
    limited = quota.strip().isdecimal()  # max, -1: not at all
    return max(1, min(bound, math.ceil(int(quota) / int(period)))) if limited else bound
