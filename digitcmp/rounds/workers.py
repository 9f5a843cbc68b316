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
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from digitcmp.rounds.board import Board
from digitcmp.rounds.round import RoundResult, Task, crashed_round, train_round

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


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


class Worker:
    """One process, ready for a task."""

    def __init__(self, context: BaseContext, device: torch.device, board: Board) -> None:
        self.connection, theirs = context.Pipe()
        # not every context's type says that it has processes
        self.process: BaseProcess = context.Process(target=serve, args=(theirs, str(device), board.path, board.rounds), daemon=True)  # type: ignore[attr-defined]
        with env_override(ONE_THREAD):  # read by the libraries when they are loaded, in the server or the worker
            self.process.start()
        theirs.close()  # so that the end of the process is the end of the pipe
        self.task: Task | None = None

    def give(self, task: Task) -> None:
        """Start a task. A worker that has died meanwhile is noticed when its result is taken."""
        self.task = task
        try:
            self.connection.send(task)
        except BrokenPipeError:
            return

    def take(self) -> tuple[Task, RoundResult]:
        """The task and its result; a failed one when the process died. Raises what the round raised (DigitcmpError)."""
        assert self.task is not None
        task, self.task = self.task, None
        try:
            result = self.connection.recv()
        except (EOFError, ConnectionResetError):
            self.process.join()
            reason = f"its worker process ended with exit code {self.process.exitcode}"
            return task, crashed_round(task, f"{reason} (killed, or out of memory)" if self.process.exitcode == -signal.SIGKILL else reason)
        if isinstance(result, BaseException):
            raise result
        return task, result

    def end(self) -> None:
        """Stop the process, whatever it does."""
        self.process.kill()
        self.process.join()
        self.connection.close()


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


def serve(connection: Connection, device: str, board: Path, rounds: int) -> None:
    """What a worker process does: train a round for every task that comes, until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the parent decides
    threading.Thread(target=end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    notes = Board(board, rounds)
    while True:
        try:
            task: Task = connection.recv()
        except EOFError:
            return
        try:
            connection.send(train_round(task.config, task.seed, torch.device(device), notes.watch(task.place)))
        except Exception as error:
            connection.send(error)


def end_with_parent() -> None:
    """End this process as soon as its parent has ended, however that came about: its round could not be recorded any more."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def train_side_by_side(
    tasks: Iterable[Task], device: torch.device, workers: int, board: Board
) -> Generator[tuple[Task, RoundResult], None, None]:
    """Train tasks in this many worker processes; yields each as it finishes. A task is taken when a worker is free."""
    waiting, context = iter(tasks), make_context()
    busy: dict[Connection, Worker] = {}
    free: list[Worker] = []
    held: list[tuple[Task, RoundResult]] = []
    try:
        while True:
            while len(busy) < workers and (task := next(waiting, None)) is not None:
                worker = free.pop() if free else Worker(context, device, board)
                busy[worker.connection] = worker
                worker.give(task)
            # only now, with all workers busy again: whoever takes results may take their time
            yield from held
            held = []
            if not busy:
                return
            ready = [busy.pop(connection) for connection in wait(list(busy)) if isinstance(connection, Connection)]
            free += ready
            finished = [worker.take() for worker in ready]
            free = [worker for worker in free if worker.process.exitcode is None]
            held += finished
    finally:
        for worker in [*busy.values(), *free]:
            worker.end()
