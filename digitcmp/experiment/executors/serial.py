"""One round after the other, in this process."""

from collections.abc import Callable, Sequence

import torch

from digitcmp.errors import DigitcmpError
from digitcmp.experiment.executors.base import Executor, OnCheckpoint, OnEpoch, RoundFuture, Task, not_cancelled, refuse, settle
from digitcmp.kernels.operations import prepare
from digitcmp.train.progress import OnCheckpoint as OnRoundCheckpoint
from digitcmp.train.progress import OnEpoch as OnRoundEpoch
from digitcmp.train.results import Checkpoint, EpochRow, RoundResult
from digitcmp.train.round import train_rounds


class SerialExecutor(Executor):
    """Trains the task that was submitted when it is waited for."""

    name = "serial"

    def __init__(self, device: torch.device, on_message: Callable[[str], None] = lambda _: None) -> None:
        """on_message: is told, in one line, what whoever looks at the screen should know."""
        self.device, self.on_message, self.prepared = device, on_message, False
        if device.type == "cuda" and device.index is not None:
            torch.cuda.set_device(device)  # or the first GPU would give memory to this process, too
        self.rough = torch.backends.cudnn.allow_tf32
        torch.backends.cudnn.allow_tf32 = False  # a GPU's rounding is to be that of float32, like a processor's
        self.submitted: tuple[Task, list[RoundFuture], OnEpoch, OnCheckpoint] | None = None
        self.threads = torch.get_num_threads()
        torch.set_num_threads(1)  # two threads gain little on networks this small, and collapse when the machine is busy

    def has_room(self) -> bool:
        return self.submitted is None

    def submit(self, task: Task, on_epoch: OnEpoch, on_checkpoint: OnCheckpoint = lambda _: None) -> list[RoundFuture]:
        futures = [RoundFuture() for _ in task.seeds]
        self.submitted = task, futures, on_epoch, on_checkpoint
        return futures

    def wait(self) -> list[RoundFuture]:
        if self.submitted is None:
            return []
        task, futures, on_epoch, on_checkpoint = self.submitted

        def heard(index: int, row: EpochRow) -> bool:
            if not futures[index].cancelled():
                on_epoch(futures[index], row)
            return not futures[index].cancelled()

        def kept(checkpoints: dict[int, Checkpoint]) -> None:
            on_checkpoint(not_cancelled(futures, checkpoints))

        try:
            results = self.train(task, heard, kept)
        except DigitcmpError as error:
            return refuse(futures, error)
        finally:
            self.submitted = None
        return settle(futures, results)

    def train(self, task: Task, on_epoch: OnRoundEpoch, on_checkpoint: OnRoundCheckpoint) -> Sequence[RoundResult | Exception | None]:
        """The results of a task's rounds (see `settle`). Raises DigitcmpError when there is none."""
        if not self.prepared:
            self.prepared = True
            if problem := prepare(self.device):
                self.on_message(
                    f"device={self.device}: torch's own convolutions are used, which take longer, as Triton cannot be ({problem})"
                )
        return train_rounds(task.config, task.seeds, self.device, on_epoch, task.checkpoints, on_checkpoint)

    def shutdown(self) -> None:
        torch.set_num_threads(self.threads)
        torch.backends.cudnn.allow_tf32 = self.rough
