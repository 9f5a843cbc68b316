"""What a worker process does, and how it is started. Imported in the worker itself, or in the server that it is forked from."""

import multiprocessing
import os
import signal
import sys
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext

import torch

from digitcmp.config.schema import Config
from digitcmp.train.results import EpochRow
from digitcmp.train.round import OnEpoch, train_rounds


@dataclass(frozen=True)
class Assignment:
    """A task for a worker, and its number among all of its executor."""

    number: int
    config: Config
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Stop:
    """The round at this index of the task with this number is to be stopped."""

    number: int
    index: int


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
    from multiprocessing import forkserver, resource_tracker  # not everywhere

    # the server inherits this: Ctrl-C, which reaches the whole process group, is the parent's alone, also while the server imports
    resource_tracker.ensure_running()  # which lets signals through again when it has started
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context


def serve(connection: Connection, device: str) -> None:
    """Train the rounds of every task that comes, until the pipe ends; epochs and results go back through it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the parent decides
    threading.Thread(target=end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    while True:
        try:
            task: Assignment | Stop = connection.recv()
        except EOFError:
            return
        if isinstance(task, Stop):
            continue  # it came after the last epoch of its round
        try:
            connection.send(train_rounds(task.config, task.seeds, torch.device(device), reporter(connection, task)))
        except Exception as error:
            connection.send(error)


def reporter(connection: Connection, task: Assignment) -> OnEpoch:
    """What sends the epochs of a task to the parent, and stops the rounds that the parent has cancelled."""
    stopped: set[int] = set()

    def on_epoch(index: int, row: EpochRow) -> bool:
        connection.send((index, row))
        while connection.poll():
            message = connection.recv()
            if isinstance(message, Stop) and message.number == task.number:
                stopped.add(message.index)
        return index not in stopped

    return on_epoch


def end_with_parent() -> None:
    """End this process as soon as its parent has ended, however that came about: its round could not be recorded any more."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
