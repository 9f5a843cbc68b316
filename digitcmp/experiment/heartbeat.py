"""What a process says of the rounds that it has in flight, while it has them: a small file a run, beside the process's log.

    records/<name of its log>.heartbeat.json    which process, on which host; its rounds in flight with their epochs; its pace

A file is there from when its process begins the run until it is through with it. One that its process has left behind (kill -9, out of
power) says which rounds died with it; the next process that works on the run removes it. On the same host a process is dead when the
system has none of its number and start. Elsewhere it is dead when nobody has touched its file for its lease, by the clock of the file
system alone: clocks of two machines are never compared.
"""

import os
import platform
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from digitcmp.experiment.beats import remove, remove_dead, write
from digitcmp.experiment.callbacks import Callback
from digitcmp.experiment.slow import Slow
from digitcmp.system import host_id, start_time
from digitcmp.train.results import EpochRow, RoundResult

if TYPE_CHECKING:
    from digitcmp.experiment.run import Run

INTERVAL = 1.0  # seconds from one writing of what has changed to the next
LEASE = 60.0  # seconds without a touch after which a process of another host is dead
TOUCHES = 4  # per lease
WINDOW = 600.0  # seconds over which the pace is taken


class Heartbeat(Callback):
    """This process as one that trains; beats while it is entered. tell: is told in a line, in a thread, of rounds that take too long."""

    def __init__(self, tell: Callable[[str], None] = lambda _: None) -> None:
        self.tell, self.slow = tell, Slow()
        self.process = {"id": secrets.token_hex(6), "host": host_id(), "node": platform.node(), "process": os.getpid()}
        self.process |= {"start_time": start_time(os.getpid()), "lease": LEASE}
        self.runs: dict[Path, dict[int, int]] = {}  # the rounds in flight of each run, by its file
        self.changed = set[Path]()
        self.seen = deque([(time.monotonic(), 0)])  # how many epochs were trained until when
        self.known: dict[tuple[Path, int], int] = {}  # epochs that were trained before
        self.epochs = 0
        self.lock, self.stop = threading.Lock(), threading.Event()
        self.thread = threading.Thread(target=self.repeat, name="digitcmp-heartbeat", daemon=True)

    def __enter__(self) -> "Heartbeat":
        with suppress(RuntimeError):  # no more threads are allowed here (ulimit -u): what is written at the beginning has to do
            self.thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop.set()
        if self.thread.is_alive():
            self.thread.join()
        for path in self.runs:
            remove(path)

    def on_run_begin(self, run: "Run") -> None:
        remove_dead(run.directory)
        with self.lock:
            self.runs[path_of(run)] = {}
        self.write([path_of(run)])

    def on_round_begin(self, run: "Run", seed: int, epoch: int) -> None:
        self.known[path_of(run), seed] = epoch
        self.change(run, seed, epoch)

    def on_epoch(self, run: "Run", row: EpochRow) -> None:
        if row.epoch > self.known.get((path_of(run), row.seed), 0):
            self.epochs += 1
            self.change(run, row.seed, row.epoch)

    def on_round_end(self, run: "Run", result: RoundResult) -> None:
        self.change(run, result.row.seed, None)

    def on_round_stop(self, run: "Run", seed: int) -> None:
        self.change(run, seed, None)

    def on_run_end(self, run: "Run") -> None:
        with self.lock:
            path = path_of(run)
            self.changed.discard(path)
            if self.runs.pop(path, None) is not None:
                remove(path)

    def change(self, run: "Run", seed: int, epoch: int | None) -> None:
        """A round in flight has come to this epoch; None: it is none any more."""
        path = path_of(run)
        with self.lock:
            if (rounds := self.runs.get(path)) is None:
                return
            rounds[seed] = epoch or 0
            self.slow.come(path, seed, rounds[seed], time.monotonic())
            if epoch is None:
                self.slow.end(path, seed)
                del rounds[seed]
                self.known.pop((path, seed), None)
            self.changed.add(path)

    def repeat(self) -> None:
        """Write what has changed, and touch the rest now and then, until it is stopped."""
        touched = time.monotonic()
        while not self.stop.wait(INTERVAL):
            with self.lock:
                changed, self.changed = self.changed, set()
                slow = self.slow.look(time.monotonic())
            self.write(sorted({*changed, *(path for path, _, _ in slow)}))
            for path, seed, why in slow:
                self.tell(f"{path.parent.parent.name} seed {seed}: {why}; it goes on, and Ctrl-C keeps the rounds that are finished")
            if time.monotonic() - touched > LEASE / TOUCHES:
                touched = time.monotonic()
                self.each([path for path in list(self.runs) if path not in changed], self.touch)

    def touch(self, path: Path) -> None:
        """Say that this process lives; its file is written anew within a second where another one has removed it, which takes a process
        for dead when the file system's clock is put forward by more than a lease."""
        try:
            os.utime(path)
        except FileNotFoundError:
            self.changed.add(path)

    def write(self, paths: list[Path]) -> None:
        """Write the files of these runs."""
        now = time.monotonic()
        self.seen.append((now, self.epochs))
        while now - self.seen[0][0] > WINDOW:
            self.seen.popleft()
        since, before = self.seen[0]
        about = {**self.process, "epochs": self.epochs - before, "seconds": now - since}
        self.each(paths, lambda path: write(path, {**about, "rounds": self.runs[path], "slow": self.slow.times(path, now)}))

    def each(self, paths: list[Path], act: Callable[[Path], object]) -> None:
        """Do something with the files of those runs that are still under way. A disk that is full, or a folder that is gone, is met by the
        training itself."""
        for path in paths:
            with self.lock, suppress(OSError):
                if path in self.runs:
                    act(path)


def path_of(run: "Run") -> Path:
    """The file of this process for a run."""
    return run.store.heartbeat
