"""What a node of a Ray cluster does with a task. Imported in Ray's worker processes, which stay for the tasks that follow."""

import os
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
import torch

from digitcmp.config.allowed import ended_by_others
from digitcmp.config.schema import DataConfig
from digitcmp.data.sources import GIVEN, Source, Split
from digitcmp.errors import DigitcmpError, RunError
from digitcmp.experiment.executors.base import Task
from digitcmp.experiment.executors.choose import choose_device
from digitcmp.experiment.executors.stacked import StackedExecutor
from digitcmp.train.results import Checkpoint, EpochRow, RoundResult

CANCELLED = 0.05  # seconds from one look to the next at whether the task is cancelled

BEAT = 5.0  # seconds without anything to say after which a task says that it is alive


@dataclass(frozen=True)
class Beat:
    """A sign of life of a task, however long its epochs are. process: the number of its process, on its node."""

    process: int


Results = list[RoundResult | Exception | None]  # of the rounds of a task, as `digitcmp.experiment.executors.base.settle` takes them
# a sign of life; an epoch of a round, by its index; checkpoints by index; what the user should know; the end
Message = Beat | tuple[int, EpochRow] | dict[int, Checkpoint] | str | Results
Arrays = tuple[str, bool, list[np.ndarray[Any, Any]]]


def packed(source: Source) -> Arrays:
    """A data set as Ray keeps it: all processes of a node read the same memory."""
    splits = (source.train, source.test)
    return source.name, source.repeat, [tensor.numpy() for split in splits for tensor in (split.images, split.labels)]


def unpacked(arrays: Arrays) -> Source:
    """The data set again, in the memory that it came in."""
    name, repeat, columns = arrays
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*not writable")  # nobody writes into a data set
        images, labels, test_images, test_labels = map(torch.from_numpy, columns)
    return Source(name, Split(images, labels), Split(test_images, test_labels), repeat)


def work(task: Task, arrays: Arrays, device: str, period: float) -> Iterator[list[Message]]:
    """Train the rounds of a task; epochs and checkpoints as they come, those within `period` seconds together, and the results at last.

    The rounds are trained in a thread, so that what ends this generator (Ray cancels a task by an interrupt of the main thread) comes
    between two epochs, and not in the middle of an import that the next task of this process could not repeat.
    """
    data: DataConfig = task.config.data
    key = (data.source, data.root, data.fingerprint, data.size)
    if key not in GIVEN:
        GIVEN[key] = unpacked(arrays)
    yield [Beat(os.getpid())]
    messages, stopped = SimpleQueue[Message | BaseException](), threading.Event()
    thread = threading.Thread(target=train, args=(task, device, messages, stopped), daemon=True)
    thread.start()
    try:
        over = False
        while not over:
            batch = gathered(messages, period)
            over = isinstance(batch[-1], list)
            yield batch
    finally:
        stopped.set()
        thread.join()


def train(task: Task, device: str, messages: "SimpleQueue[Message | BaseException]", stopped: threading.Event) -> None:
    """Put the epochs of a task's rounds, their checkpoints, and its results, into a queue; or the error that ends it."""

    def on_epoch(index: int, row: EpochRow) -> bool:
        messages.put((index, row))
        return not stopped.is_set()

    try:
        # a stack of one is a round alone
        messages.put(list(StackedExecutor(choose_device(device), messages.put).train(task, on_epoch, messages.put)))
    except DigitcmpError as error:
        messages.put([error for _ in task.seeds])
    except SystemExit as end:
        messages.put([RunError(ended_by_others(end)) for _ in task.seeds])
    except BaseException as error:
        messages.put(error)


def gathered(messages: "SimpleQueue[Message | BaseException]", period: float) -> list[Message]:
    """What comes next, and what comes within so many seconds; at once when it is the end; a sign of life where nothing comes for long.
    Raises an error that is among it."""
    batch: list[Message] = []
    end, silent = float("inf"), time.monotonic() + BEAT
    while (left := end - time.monotonic()) > 0:
        try:
            message = messages.get(timeout=min(CANCELLED, left))
        except Empty:
            if not batch and time.monotonic() > silent:
                return [Beat(os.getpid())]
            continue
        if isinstance(message, BaseException):
            raise message
        batch.append(message)
        if isinstance(message, list):
            break
        end = min(end, time.monotonic() + period)
    return batch
