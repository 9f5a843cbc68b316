"""Who works on a study, and who of them is still alive.

Each process that takes part signs its place (host, boot, process namespace), its process, and a beat that a thread of it
raises every quarter of its lease. At the same place a process is dead when the system has no such process any more, and
never before. Elsewhere it is dead when its beat has stood still for its lease, measured by the observer's own clock: clocks
of two machines are never compared.
"""

import os
import platform
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import uuid4

BEATS = 4  # per lease


@dataclass(frozen=True)
class Signature:
    """What a process says of itself. began: when the system says that it began, so that a reused number is not taken for it."""

    place: str
    process: int
    began: str
    lease: float
    beat: int = 0


def place() -> str:
    """This host since its last start, as seen from this process namespace; the host's name alone where Linux's files are missing."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{platform.node()} {boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return platform.node()


def began(process: int) -> str:
    """When the process with this number began, in the system's ticks; empty when there is none (or it is a zombie), or nobody knows."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in ("Z", "X") else fields[19]


class Worker:
    """This process as one that works on a study; `sign` puts its signature where others see it. Goes on signing while it is entered."""

    def __init__(self, lease: float, sign: Callable[[str, dict[str, Any]], None]) -> None:
        self.id = uuid4().hex[:12]
        self.signature = Signature(place(), os.getpid(), began(os.getpid()), lease)
        self.sign = sign
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.go_on, name="digitcmp-lease", daemon=True)

    def show(self, beat: int = 0) -> None:
        """Sign."""
        self.sign(self.id, {**asdict(self.signature), "beat": beat})

    def __enter__(self) -> "Worker":
        self.thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop.set()
        self.thread.join()

    def go_on(self) -> None:
        """Sign again and again. A storage that cannot be reached at the moment is tried again at the next beat."""
        beat = 0
        while not self.stop.wait(self.signature.lease / BEATS):
            beat += 1
            try:
                self.show(beat)
            except Exception:  # whatever the storage raises, the trial in this process is alive; the main thread meets the problem itself
                continue


class Observer:
    """Judges signatures, and remembers since when each beat has stood still."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock, self.place = clock, place()
        self.seen: dict[str, tuple[int, float]] = {}

    def dead(self, worker: str, signed: dict[str, Any] | None) -> bool:
        """Whether this worker is known to be gone. signed: its signature, None where it left none."""
        if signed is None:
            return True
        signature = Signature(**signed)
        if signature.place == self.place and signature.began:
            return began(signature.process) != signature.began
        beat, since = self.seen.get(worker, (-1, 0.0))
        if beat != signature.beat:
            self.seen[worker] = (signature.beat, self.clock())
            return False
        return self.clock() - since > signature.lease
