"""Which processes work on a study, and which of them are still alive.

Each process that takes part publishes a beat: its host (with its boot and process namespace), its process number, and a count
that a thread of it raises every quarter of its lease. On the same host a process is dead when the system has no such process
any more, and never before. Elsewhere it is dead when its count has stood still for its lease, measured by the monitor's own
clock: clocks of two machines are never compared.
"""

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any
from uuid import uuid4

from digitcmp.system import host_id, is_stopped, start_time

BEATS = 4  # per lease


@dataclass(frozen=True)
class Beat:
    """A sign of life. start_time: when the system says that the process began, so that a reused number is not taken for it."""

    host: str
    process: int
    start_time: str
    lease: float  # seconds
    count: int = 0


class Heartbeat:
    """This process as one that works on a study; `publish` puts its id and its beat where others see them. Beats while it is entered."""

    def __init__(self, lease: float, publish: Callable[[str, dict[str, Any]], None]) -> None:
        self.id = uuid4().hex[:12]
        self.first = Beat(host_id(), os.getpid(), start_time(os.getpid()), lease)
        self.publish = publish
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.repeat, name="digitcmp-heartbeat", daemon=True)

    def send(self, count: int = 0) -> None:
        """Publish one beat."""
        self.publish(self.id, {**asdict(self.first), "count": count})

    def __enter__(self) -> "Heartbeat":
        self.thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop.set()
        self.thread.join()

    def repeat(self) -> None:
        """Beat again and again. A storage that cannot be reached at the moment is tried again at the next beat."""
        count = 0
        while not self.stop.wait(self.first.lease / BEATS):
            count += 1
            with suppress(Exception):  # whatever it raises, the trial in this process is alive; the main thread meets the problem itself
                self.send(count)


class HeartbeatMonitor:
    """Judges the beats of other processes, and remembers since when each count has stood still."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock, self.host = clock, host_id()
        self.seen: dict[str, tuple[int, float]] = {}

    def on_this_host(self, beat: Beat) -> bool:
        """Whether the system knows the process."""
        return beat.host == self.host and bool(beat.start_time)

    def is_dead(self, process_id: str, published: dict[str, Any] | None) -> bool:
        """Whether the process with this heartbeat's id is known to be gone. published: its last beat, None where it left none."""
        if published is None:
            return True
        beat = Beat(**published)
        if self.on_this_host(beat):
            return start_time(beat.process) != beat.start_time
        count, since = self.seen.get(process_id, (-1, 0.0))
        if count != beat.count:
            self.seen[process_id] = (beat.count, self.clock())
            return False
        return self.clock() - since > beat.lease

    def stopped(self, published: dict[str, Any]) -> int | None:
        """The number of the process that has published this beat, where it is one of this host, and stopped."""
        beat = Beat(**published)
        known = self.on_this_host(beat) and start_time(beat.process) == beat.start_time
        return beat.process if known and is_stopped(beat.process) else None
