"""Several rounds side by side, in worker processes with one intra-op thread each.

Two threads in one process gain little on networks this small and collapse when the machine is busy; two processes don't.
A process and a pipe each, and nothing shared: when one dies, the others and their rounds are not concerned, and it is
known which round it had. (A pool of joblib or concurrent.futures gives up all its workers when one of them dies, and
does not say whose task it was.)
"""

import signal
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess

import torch
from hydra.core.utils import env_override

from digitcmp.experiment.executors import worker
from digitcmp.experiment.executors.base import Executor, OnEpoch, RoundFuture, Task, refuse, settle
from digitcmp.experiment.executors.worker import Assignment, Stop
from digitcmp.train.results import EpochRow, RoundResult
from digitcmp.train.round import crashed_round

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
# Every step frees and asks for the same few megabytes. glibc would give them back to the system and get them anew, page
# by page, which took up to a third of the steps' time; other systems' allocators do not know these names.
KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(1 << 30), "MALLOC_MMAP_THRESHOLD_": str(1 << 28)}
PATIENCE = 5  # seconds for a process whose pipe has ended to end, too
Message = tuple[int, EpochRow] | list[RoundResult | None] | BaseException


class Worker:
    """One process, ready for a task."""

    def __init__(self, context: BaseContext, device: torch.device) -> None:
        self.connection, theirs = context.Pipe()
        # not every context's type says that it has processes
        self.process: BaseProcess = context.Process(target=worker.serve, args=(theirs, str(device)), daemon=True)  # type: ignore[attr-defined]
        with env_override({**ONE_THREAD, **KEEP_MEMORY}):  # read by the libraries when they are loaded, in the server or the worker
            self.process.start()
        theirs.close()  # so that the end of the process is the end of the pipe

    def send(self, message: Assignment | Stop) -> None:
        """Send something. A worker that has died meanwhile is noticed when it is heard."""
        with suppress(BrokenPipeError):
            self.connection.send(message)

    def hear(self) -> Message | str:
        """What comes next: an epoch, the results, an error, or in words how the process ended."""
        try:
            message: Message = self.connection.recv()
        except (EOFError, OSError):  # also in the middle of a message
            self.process.join(PATIENCE)
            self.process.kill()
            self.process.join()
            reason = f"its worker process ended with exit code {self.process.exitcode}"
            return f"{reason} (killed, or out of memory)" if self.process.exitcode == -signal.SIGKILL else reason
        return message

    def end(self) -> None:
        """Stop the process, whatever it does."""
        self.process.kill()
        self.process.join()
        self.connection.close()


@dataclass
class Busy:
    """A worker with its task."""

    worker: Worker
    number: int
    task: Task
    futures: list[RoundFuture]
    on_epoch: OnEpoch


class ProcessExecutor(Executor):
    """At most so many worker processes, started when there is something to do for them."""

    name = "processes"

    def __init__(self, device: torch.device, workers: int) -> None:
        with env_override({**ONE_THREAD, **KEEP_MEMORY}):  # the server's libraries read it when they are loaded
            self.device, self.workers, self.context = device, workers, worker.make_context()
        self.busy: dict[Connection, Busy] = {}
        self.free: list[Worker] = []
        self.numbers = count()

    def has_room(self) -> bool:
        return len(self.busy) < self.workers

    def submit(self, task: Task, on_epoch: OnEpoch) -> list[RoundFuture]:
        while self.free and not self.free[-1].process.is_alive():
            self.free.pop().end()
        chosen = self.free.pop() if self.free else Worker(self.context, self.device)
        futures, number = [RoundFuture() for _ in task.seeds], next(self.numbers)
        self.busy[chosen.connection] = Busy(chosen, number, task, futures, on_epoch)
        chosen.send(Assignment(number, task.config, task.seeds))
        return futures

    def wait(self) -> list[RoundFuture]:
        ended: list[RoundFuture] = []
        before = len(self.busy)
        while self.busy and len(self.busy) == before:
            for connection in wait(list(self.busy)):
                assert isinstance(connection, Connection)
                busy = self.busy[connection]
                message = busy.worker.hear()
                if isinstance(message, tuple):
                    index, row = message
                    if not busy.futures[index].cancelled():
                        busy.on_epoch(busy.futures[index], row)
                else:
                    ended += self.release(busy, message)
        return ended

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
