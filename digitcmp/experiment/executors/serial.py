"""One round after the other, in this process."""

from collections.abc import Sequence

import torch

from digitcmp.errors import DigitcmpError
from digitcmp.experiment.executors.base import Executor, OnEpoch, RoundFuture, Task, refuse, settle
from digitcmp.train.results import EpochRow, RoundResult
from digitcmp.train.round import OnEpoch as OnRoundEpoch
from digitcmp.train.round import train_rounds


class SerialExecutor(Executor):
    """Trains the task that was submitted when it is waited for."""

    name = "serial"

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.submitted: tuple[Task, list[RoundFuture], OnEpoch] | None = None
        torch.set_num_threads(1)  # two threads gain little on networks this small, and collapse when the machine is busy

    def has_room(self) -> bool:
        return self.submitted is None

    def submit(self, task: Task, on_epoch: OnEpoch) -> list[RoundFuture]:
        futures = [RoundFuture() for _ in task.seeds]
        self.submitted = task, futures, on_epoch
        return futures

    def wait(self) -> list[RoundFuture]:
        if self.submitted is None:
            return []
        task, futures, on_epoch = self.submitted

        def heard(index: int, row: EpochRow) -> bool:
            if not futures[index].cancelled():
                on_epoch(futures[index], row)
            return not futures[index].cancelled()

        try:
            results = self.train(task, heard)
        except DigitcmpError as error:
            return refuse(futures, error)
        finally:
            self.submitted = None
        return settle(futures, results)

    def train(self, task: Task, on_epoch: OnRoundEpoch) -> Sequence[RoundResult | Exception | None]:
        """The results of a task's rounds (see `settle`). Raises DigitcmpError when there is none."""
        return train_rounds(task.config, task.seeds, self.device, on_epoch)
