"""What a worker process does. Imported in the server that it is forked from (`digitcmp.experiment.executors.server`)."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import torch

from digitcmp.config.allowed import ended_by_others
from digitcmp.errors import ConfigError, RunError
from digitcmp.experiment.executors.base import Task
from digitcmp.experiment.executors.server import cannot_start, wait_for_end
from digitcmp.experiment.executors.stacked import StackedExecutor
from digitcmp.train.progress import OnEpoch
from digitcmp.train.results import EpochRow

Send = Callable[[Any], None]
IDLE = 48  # beats in a row without work after which a worker is not alive any more, whatever thread of it still is
WORK = 0.001  # seconds of CPU time in a beat that are work


@dataclass(frozen=True)
class Assignment:
    """A task for a worker, and its number among all of its executor."""

    number: int
    task: Task


@dataclass(frozen=True)
class Stop:
    """The round at this index of the task with this number is to be stopped."""

    number: int
    index: int


@dataclass(frozen=True)
class Beat:
    """A sign of life of a worker that has a task, however long its epochs are."""


@dataclass(frozen=True)
class Note:
    """Something that whoever looks at the screen should know."""

    text: str


def serve(connection: Connection, device: str, beat: float) -> None:
    """Train the rounds of every task that comes, until the pipe ends; epochs, checkpoints and results go back through it.

    beat: seconds between two signs of life. A pipe that has been closed ends this process, whatever it is doing: nobody waits for what it
    would say, of a trace least of all.
    """
    lock, working = threading.Lock(), threading.Event()

    def send(message: Any) -> None:
        with lock, ends_when_closed():
            connection.send(message)

    def note(text: str) -> None:
        send(Note(text))

    try:
        threading.Thread(target=end_with_parent, args=(connection,), daemon=True).start()
        threading.Thread(target=send_beats, args=(send, working, beat), daemon=True).start()
    except RuntimeError as error:  # no more are allowed here (ulimit -u), which is no fault of a round
        send(cannot_start(str(error)))
        return
    trainer = StackedExecutor(torch.device(device), note)  # a stack of one is a round alone
    while True:
        try:
            with ends_when_closed():
                assigned: Assignment | Stop = connection.recv()
        except Exception as error:  # of somebody's own class, which is made anew here
            told = f"a part of one's own cannot be made anew in a worker process ({type(error).__name__}: {error})"
            send(ConfigError(f"engine=processes: {told}; use engine=serial"))
            continue
        if isinstance(assigned, Stop):
            continue  # it came after the last epoch of its round
        task, on_epoch = assigned.task, reporter(send, connection, assigned.number)
        working.set()
        try:
            send(list(trainer.train(task, on_epoch, send)))
        except SystemExit as end:
            send(RunError(ended_by_others(end)))
        except Exception as error:
            send(error)
        finally:
            working.clear()


def reporter(send: Send, connection: Connection, number: int) -> OnEpoch:
    """What sends the epochs of the task of this number to the parent, and stops the rounds that the parent has cancelled."""
    stopped: set[int] = set()

    def on_epoch(index: int, row: EpochRow) -> bool:
        send((index, row))
        while connection.poll():
            with ends_when_closed():
                message = connection.recv()
            if isinstance(message, Stop) and message.number == number:
                stopped.add(message.index)
        return index not in stopped

    return on_epoch


def send_beats(send: Send, working: threading.Event, beat: float) -> None:
    """Say again and again that this process is alive, while it has something to do: nobody listens otherwise.

    One that has something to do and takes no CPU time hangs, in a call that has let go of Python's lock: it is kept silent about, so that
    it is ended as one that is stopped.
    """
    idle, before = 0, 0.0
    while working.wait():
        time.sleep(beat)
        used = time.process_time() - time.thread_time()  # by all threads but this one
        idle = idle + 1 if used - before < WORK else 0
        before = used
        if working.is_set() and idle < IDLE:
            send(Beat())


@contextmanager
def ends_when_closed() -> Iterator[None]:
    """Where the other end of a pipe is closed meanwhile, so that this process is not wanted any more, it ends. (It may be told of by an
    error of the system, too: where something that was sent there has not been read.)"""
    try:
        yield
    except (EOFError, ConnectionError):
        os._exit(0)


def end_with_parent(connection: Connection) -> None:
    """End this process as soon as its parent has ended, however that came about: its round could not be recorded any more."""
    wait_for_end(connection)
    os._exit(1)
