"""Several rounds side by side, in worker processes with one intra-op thread each.

Two threads in one process gain little on networks this small and collapse when the machine is busy; two processes don't.
A process and a pipe each, and nothing shared: when one dies, the others and their rounds are not concerned, and it is
known which round it had. (A pool of joblib or concurrent.futures gives up all its workers when one of them dies, and
does not say whose task it was.)
"""

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pickle import PicklingError

import torch

from digitcmp.errors import ConfigError
from digitcmp.experiment.executors import server
from digitcmp.experiment.executors.base import Executor, OnCheckpoint, OnEpoch, RoundFuture, Task, not_cancelled, refuse, settle
from digitcmp.experiment.executors.worker import Assignment, Beat, Note, Stop
from digitcmp.train.results import Checkpoint, EpochRow, RoundResult
from digitcmp.train.round import crashed_round

LOOK = 1.0  # seconds between looks at who has been silent
Message = Beat | Note | tuple[int, EpochRow] | dict[int, Checkpoint] | list[RoundResult | None] | BaseException


class Worker:
    """One process, ready for a task. Raises RunError when none can be started."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        try:
            self.connection, theirs = Pipe()
        except OSError as error:
            raise server.cannot_start(error.strerror) from error
        with theirs:  # closed here then, so that the end of the process is the end of the pipe
            self.server, self.process = server.servers.fork(theirs, str(device))

    @property
    def idle(self) -> bool:
        """Whether it is there and has nothing to say. Only of one without a task."""
        try:
            while self.connection.poll():
                self.connection.recv()  # a last sign of life
        except (EOFError, OSError):
            return False
        return True

    def send(self, message: Assignment | Stop) -> None:
        """Send something. A worker that has died meanwhile is noticed when it is heard. Raises ConfigError for a task with something of
        somebody's own that cannot be sent: nothing of it is then."""
        try:
            with suppress(BrokenPipeError):
                self.connection.send(message)
        except (PicklingError, AttributeError, TypeError) as error:  # which of them it is depends on what cannot be
            told = f"a part of one's own cannot be sent to worker processes ({error})"
            raise ConfigError(f"engine=processes: {told}; define its class at the top of a module, or use engine=serial") from error

    def hear(self) -> Message | str:
        """What comes next: a sign of life, an epoch, checkpoints, the results, an error, or in words how the process ended."""
        try:
            message: Message = self.connection.recv()
        except (EOFError, OSError):  # also in the middle of a message
            return how_it_ended(self.end())
        return message

    def end(self) -> int | None:
        """Stop the process, whatever it does; its exit code, None where that is not known."""
        self.connection.close()
        return self.server.reap(self.process)


def how_it_ended(code: int | None) -> str:
    """The end of a process in words."""
    if code is None:
        return "its worker process has ended, and so has the server that knew how"
    reason = f"its worker process ended with exit code {code}"
    return f"{reason} (killed, or out of memory)" if code == -signal.SIGKILL else reason


@dataclass
class Busy:
    """A worker with its task."""

    worker: Worker
    number: int
    task: Task
    futures: list[RoundFuture]
    on_epoch: OnEpoch
    on_checkpoint: OnCheckpoint
    silence: float = 0.0  # seconds since it was last heard of


class ProcessExecutor(Executor):
    """At most so many worker processes, started when there is something to do for them. on_message: is told what a worker has to say."""

    name = "processes"

    def __init__(self, device: torch.device, workers: int, on_message: Callable[[str], None] = lambda _: None) -> None:
        self.device, self.workers, self.on_message = device, workers, on_message
        server.servers.get()  # imports meanwhile
        self.busy: dict[Connection, Busy] = {}
        self.free: list[Worker] = []
        self.numbers = count()

    def has_room(self) -> bool:
        return len(self.busy) < self.workers

    def next_device(self) -> torch.device:
        """What one more worker trains on."""
        return self.device

    def submit(self, task: Task, on_epoch: OnEpoch, on_checkpoint: OnCheckpoint = lambda _: None) -> list[RoundFuture]:
        while self.free and not self.free[-1].idle:
            self.free.pop().end()
        chosen = self.free.pop() if self.free else Worker(self.next_device())
        futures, number = [RoundFuture() for _ in task.seeds], next(self.numbers)
        self.busy[chosen.connection] = Busy(chosen, number, task, futures, on_epoch, on_checkpoint)
        chosen.send(Assignment(number, task))
        return futures

    def wait(self) -> list[RoundFuture]:
        ended: list[RoundFuture] = []
        before = len(self.busy)
        while self.busy and len(self.busy) == before:
            start = time.monotonic()
            heard = wait(list(self.busy), LOOK)
            # no more than was waited for: this process may have been stopped itself, with all others
            waited = min(time.monotonic() - start, LOOK)
            for connection, busy in list(self.busy.items()):
                busy.silence = 0.0 if connection in heard else busy.silence + waited
                if connection in heard:
                    ended += self.receive(busy, busy.worker.hear())
                elif busy.silence >= server.SILENCE:
                    busy.worker.end()
                    why = "stopped, or hung: no CPU time for minutes before"  # see `worker.send_beats`
                    silent = f"its worker process gave no sign of life for {server.SILENCE:.0f} s ({why}), and was ended"
                    ended += self.release(busy, silent)
        return ended

    def receive(self, busy: Busy, message: Message | str) -> list[RoundFuture]:
        """Something of a worker's task has come. Returns the futures that have a result now."""
        if isinstance(message, Beat):
            return []
        if isinstance(message, Note):
            self.on_message(message.text)
            return []
        if isinstance(message, tuple):
            index, row = message
            if not busy.futures[index].cancelled():
                busy.on_epoch(busy.futures[index], row)
            return []
        if isinstance(message, dict):
            busy.on_checkpoint(not_cancelled(busy.futures, message))
            return []
        return self.release(busy, message)

    def release(self, busy: Busy, message: list[RoundResult | None] | BaseException | str) -> list[RoundFuture]:
        """A worker's task has ended: it is free, unless it is dead. Returns the futures that have a result now."""
        del self.busy[busy.worker.connection]
        if isinstance(message, str):
            return settle(busy.futures, [crashed_round(busy.task.config, seed, message) for seed in busy.task.seeds])
        self.free.append(busy.worker)
        if isinstance(message, Exception):
            return refuse(busy.futures, message)
        assert isinstance(message, list)
        return settle(busy.futures, message)

    def cancel(self, future: RoundFuture) -> None:
        future.cancel()
        for busy in self.busy.values():
            if future in busy.futures:
                busy.worker.send(Stop(busy.number, busy.futures.index(future)))

    def shutdown(self) -> None:
        for chosen in [*(busy.worker for busy in self.busy.values()), *self.free]:
            chosen.end()
        self.busy, self.free = {}, []
