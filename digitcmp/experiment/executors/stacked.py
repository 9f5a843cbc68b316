"""Rounds of one configuration as one program on the device, as many at a time as its memory takes (or stack_size)."""

from collections.abc import Sequence

import torch

from digitcmp.config.schema import Config
from digitcmp.errors import DigitcmpError
from digitcmp.experiment.executors.base import Task
from digitcmp.experiment.executors.serial import SerialExecutor
from digitcmp.experiment.executors.stacking import free_memory, stack_limit
from digitcmp.train.progress import OnCheckpoint, OnEpoch
from digitcmp.train.results import Checkpoint, EpochRow, RoundResult
from digitcmp.train.round import first_line


class StackedExecutor(SerialExecutor):
    """Trains the rounds of a task as one stack. on_message: is told when a stack has to be divided."""

    name = "stacked"

    def chunk(self, config: Config) -> int:
        return stack_limit(config, free_memory(self.device))

    def train(self, task: Task, on_epoch: OnEpoch, on_checkpoint: OnCheckpoint) -> Sequence[RoundResult | Exception | None]:
        """A stack that breaks goes on as two halves, for which there may be memory enough; a round that breaks alone has failed."""
        try:
            return super().train(task, on_epoch, on_checkpoint)
        except DigitcmpError:
            raise
        except Exception as broken:
            problem = f"{type(broken).__name__}: {first_line(broken)}"
        # only here, where the error and the tensors that it holds on to are gone
        torch.cuda.empty_cache()
        half = len(task.seeds) // 2
        self.on_message(f"a stack of {len(task.seeds)} rounds broke ({problem}); going on with {len(task.seeds) - half} at a time")
        first = self.train(Task(task.config, task.seeds[:half], task.checkpoints[:half]), on_epoch, on_checkpoint)

        def behind(index: int, row: EpochRow) -> bool:
            return on_epoch(half + index, row)

        def kept_behind(checkpoints: dict[int, Checkpoint]) -> None:
            on_checkpoint({half + index: one for index, one in checkpoints.items()})

        second = Task(task.config, task.seeds[half:], task.checkpoints[half:])
        try:
            return [*first, *self.train(second, behind, kept_behind)]
        except DigitcmpError as error:  # the first half is trained all the same
            return [*first, *(error for _ in second.seeds)]
