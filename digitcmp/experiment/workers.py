"""Worker processes that train one round at a time.

A process and a pipe each, and nothing shared: when one dies, the others and their rounds are not concerned, and it is
known which round it had. (A pool of joblib or concurrent.futures gives up all its workers when one of them dies, and
does not say whose task it was.)
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess

import torch

from digitcmp.errors import Pruned
from digitcmp.experiment.audience import Audience
from digitcmp.train.results import EpochRow
from digitcmp.train.round import RoundResult, Task, Watch, crashed_round, train_round

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
# Every step frees and asks for the same few megabytes. glibc would give them back to the system and get them anew, page
# by page, which took up to a third of the steps' time; other systems' allocators do not know these names.
KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(1 << 30), "MALLOC_MMAP_THRESHOLD_": str(1 << 28)}


def make_context() -> BaseContext:
    """How worker processes are started: forked from a server process that has imported torch once and done nothing since.

    Workers then start in milliseconds and share the memory of torch's libraries (some 300 MB of CUDA builds) and of what
    this process has imported to read its data. Forking this process itself could hang, since torch has threads in it.
    Where the system has no fork, each worker imports for itself.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, *(name for name in ("torchvision.datasets", "sklearn.datasets") if name in sys.modules)])
    return context


@dataclass(frozen=True)
class Stop:
    """What the parent sends to a worker whose round is to be stopped."""

    place: int


class Worker:
    """One process, ready for a task. listens: whether it is to send every epoch."""

    def __init__(self, context: BaseContext, device: torch.device, listens: bool) -> None:
        self.connection, theirs = context.Pipe()
        # not every context's type says that it has processes
        self.process: BaseProcess = context.Process(target=serve, args=(theirs, str(device), listens), daemon=True)  # type: ignore[attr-defined]
        with env_override({**ONE_THREAD, **KEEP_MEMORY}):  # read by the libraries when they are loaded, in the server or the worker
            self.process.start()
        theirs.close()  # so that the end of the process is the end of the pipe

    def send(self, message: Task | Stop) -> None:
        """Send something. A worker that has died meanwhile is noticed when it is heard."""
        with suppress(BrokenPipeError):
            self.connection.send(message)

    def hear(self, task: Task) -> EpochRow | RoundResult | None:
        """What comes next from the worker with this task: an epoch, or the result, None of a round that was stopped.

        The result is a failed one when the process died. Raises what the round raised (DigitcmpError).
        """
        try:
            message: EpochRow | RoundResult | BaseException | None = self.connection.recv()
        except (EOFError, ConnectionResetError):
            self.process.join()
            reason = f"its worker process ended with exit code {self.process.exitcode}"
            return crashed_round(task, f"{reason} (killed, or out of memory)" if self.process.exitcode == -signal.SIGKILL else reason)
        if isinstance(message, BaseException):
            raise message
        return message

    def end(self) -> None:
        """Stop the process, whatever it does."""
        self.process.kill()
        self.process.join()
        self.connection.close()


class Crew:
    """At most `size` workers, started when there is something to do for them."""

    def __init__(self, size: int, device: torch.device, audience: Audience) -> None:
        self.size, self.device, self.audience, self.context = size, device, audience, make_context()
        self.busy: dict[Connection, tuple[Worker, Task]] = {}
        self.free: list[Worker] = []

    def give(self, task: Task) -> None:
        """Let a worker that is free, or a new one, train a round."""
        worker = self.free.pop() if self.free else Worker(self.context, self.device, self.audience.listens)
        self.busy[worker.connection] = worker, task
        worker.send(task)

    def collect(self) -> list[tuple[Task, RoundResult | None]]:
        """Wait until at least one round has ended; returns those that have. Epochs that are heard meanwhile are passed on."""
        ended: list[tuple[Task, RoundResult | None]] = []
        while not ended:
            for connection in wait(list(self.busy)):
                assert isinstance(connection, Connection)
                worker, task = self.busy[connection]
                heard = worker.hear(task)
                if not isinstance(heard, EpochRow):
                    self.release(worker)
                    ended.append((task, heard))
                elif not self.audience.hear(task, heard):
                    worker.send(Stop(task.place))
        return ended

    def release(self, worker: Worker) -> None:
        """A worker's round has ended: it is free, unless it is dead."""
        del self.busy[worker.connection]
        if worker.process.exitcode is None:
            self.free.append(worker)

    def end(self) -> None:
        """Stop all processes."""
        for worker in [*(worker for worker, _ in self.busy.values()), *self.free]:
            worker.end()


@contextmanager
def env_override(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the time being."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def serve(connection: Connection, device: str, listens: bool) -> None:
    """What a worker process does: train a round for every task that comes, until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the parent decides
    threading.Thread(target=end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    while True:
        try:
            message: Task | Stop = connection.recv()
        except EOFError:
            return
        if isinstance(message, Stop):
            continue  # it came after the last epoch of its round
        watch = report_to(connection, message.place) if listens else ignore
        try:
            connection.send(train_round(message.config, message.seed, torch.device(device), watch))
        except Pruned:
            connection.send(None)
        except Exception as error:
            connection.send(error)


def report_to(connection: Connection, place: int) -> Watch:
    """Send epochs of the task at this place to the parent; raises Pruned when the parent has asked to stop it."""

    def note(row: EpochRow) -> None:
        connection.send(row)
        while connection.poll():
            if connection.recv() == Stop(place):
                raise Pruned(f"seed {row.seed} was stopped after epoch {row.epoch}")

    return note


def ignore(row: EpochRow) -> None:
    """Nobody wants to know."""
    del row


def end_with_parent() -> None:
    """End this process as soon as its parent has ended, however that came about: its round could not be recorded any more."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def train_side_by_side(
    tasks: Iterable[Task | None], device: torch.device, workers: int, audience: Audience
) -> Generator[tuple[Task, RoundResult | None] | None, None, None]:
    """Train tasks in this many worker processes; see `digitcmp.experiment.engines` for what is taken and yielded."""
    crew = Crew(workers, device, audience)
    ended: list[tuple[Task, RoundResult | None]] = []
    try:
        for task in tasks:
            if task is not None:
                crew.give(task)
                if len(crew.busy) < crew.size:
                    continue
            # only now, with all workers busy again or nothing to give: whoever takes results may take their time
            yield from ended
            ended = []
            if task is None:
                yield None
            else:
                ended = crew.collect()
        yield from ended
        while crew.busy:
            yield from crew.collect()
    finally:
        crew.end()
