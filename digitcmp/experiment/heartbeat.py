"""What a process says of the rounds that it has in flight, while it has them: a small file a run, beside the process's log.

    records/<name of its log>.heartbeat.json    which process, on which host; its rounds in flight with their epochs; its pace

A file is there from when its process begins the run until it is through with it. One that its process has left behind (kill -9, out of
power) says which rounds died with it; the next process that works on the run removes it. On the same host a process is dead when the
system has none of its number and start. Elsewhere it is dead when nobody has touched its file for its lease, by the clock of the file
system alone: clocks of two machines are never compared.
"""

import json
import os
import platform
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from digitcmp.errors import DAMAGED
from digitcmp.experiment.callbacks import Callback
from digitcmp.experiment.slow import Slow
from digitcmp.files import hold
from digitcmp.system import host_id, is_stopped, start_time
from digitcmp.train.results import EpochRow, RoundResult

if TYPE_CHECKING:
    from digitcmp.experiment.run import Run

SUFFIX = ".heartbeat.json"
INTERVAL = 1.0  # seconds from one writing of what has changed to the next
LEASE = 60.0  # seconds without a touch after which a process of another host is dead
TOUCHES = 4  # per lease
WINDOW = 600.0  # seconds over which the pace is taken
LARGEST = 10_000_000  # bytes of a file that can be one of these
MOST = 2**64  # of a seed, and of all that is counted


@dataclass(frozen=True)
class Beat:
    """What a process has said last of one run. id: its own; node: the host's name; rounds: the epoch that each of its rounds in flight is
    through with, by seed; slow: since when those of them that take much too long have come to no epoch (`digitcmp.experiment.slow`);
    epochs, seconds: how many epochs it has trained in how long, of all its runs, over the last ten minutes."""

    id: str
    host: str
    node: str
    process: int
    start_time: str
    lease: float
    epochs: int
    seconds: float
    rounds: dict[int, int] = field(default_factory=dict)
    slow: dict[int, str] = field(default_factory=dict)

    @property
    def is_here(self) -> bool:
        """Whether this host knows its process."""
        return self.host == host_id() and bool(self.start_time)

    @property
    def is_stopped(self) -> bool:
        """Whether its process is one of this host, and stopped."""
        return self.is_here and start_time(self.process) == self.start_time and is_stopped(self.process)


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


def write(path: Path, content: dict[str, Any]) -> None:
    """Write a file in place of the one before it, at once for every reader. Raises OSError."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    path.parent.mkdir(exist_ok=True)
    try:
        with temporary.open("xb") as file:
            if not hold(file):
                return write(path, content)
            file.write(json.dumps(content).encode())
            file.flush()
            temporary.replace(path)
    finally:
        remove(temporary)


def remove(path: Path) -> None:
    """Remove a file, where that can be done."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


def read_beats(directory: Path) -> dict[Path, Beat]:
    """What processes have said of the run in this folder, the dead among them; files that are none of these are nobody's."""
    found = {}
    try:
        paths = [path for path in (directory / "records").iterdir() if path.name.endswith(SUFFIX)]
    except OSError:
        return {}
    for path in paths:
        with suppress(OSError, *DAMAGED):
            if path.is_file() and path.stat().st_size <= LARGEST:
                found[path] = to_beat(json.loads(path.read_text(encoding="utf-8")))
    return found


def to_beat(told: dict[str, Any]) -> Beat:
    """What a file says. Raises ValueError or TypeError where it is none of these."""
    rounds = {int(seed): int(epoch) for seed, epoch in told["rounds"].items()}
    beat = Beat(**{**told, "rounds": rounds, "slow": {int(seed): str(since) for seed, since in told["slow"].items()}})
    kinds = {str: ("id", "host", "node", "start_time"), int: ("process", "epochs"), float: ("lease", "seconds")}
    if not all(0 <= number <= MOST for number in (*rounds, *rounds.values(), beat.epochs)):
        raise ValueError(told)
    if not all(isinstance(asdict(beat)[name], (kind, int) if kind is float else kind) for kind, names in kinds.items() for name in names):
        raise ValueError(told)
    return beat


def is_dead(path: Path, beat: Beat) -> bool:
    """Whether the process that wrote this file is gone."""
    if beat.is_here:
        return start_time(beat.process) != beat.start_time
    return age(path) > beat.lease


def age(path: Path) -> float:
    """Seconds since a file was touched, by the clock of its file system: that of a file made now; 0 where none can be made there."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with path.open("rb") as file, temporary.open("xb") as now:
            return os.fstat(now.fileno()).st_mtime - os.fstat(file.fileno()).st_mtime
    except OSError:
        return 0.0
    finally:
        remove(temporary)


def remove_dead(directory: Path) -> None:
    """Remove what dead processes have left of a run."""
    for path, beat in read_beats(directory).items():
        if is_dead(path, beat):
            remove(path)
