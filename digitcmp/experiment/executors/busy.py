"""A task that Ray has, and what is left of it when its process or node is gone."""

from dataclasses import dataclass, field

from ray.exceptions import OutOfMemoryError, RayError, TaskCancelledError

from digitcmp.experiment.executors.base import OnCheckpoint, OnEpoch, RoundFuture, Task
from digitcmp.experiment.executors.joining import told


@dataclass
class Busy:
    """A task that Ray has. heard: the last epoch of each of its rounds that was told; kept: their last checkpoints, by index; node:
    the number in Ray of the one that has begun it, None until then."""

    task: Task
    futures: list[RoundFuture]
    on_epoch: OnEpoch
    on_checkpoint: OnCheckpoint
    heard: list[int] = field(default_factory=list)
    tries: int = 1
    node: str | None = None

    def __post_init__(self) -> None:
        self.heard = self.heard or [0] * len(self.futures)
        self.kept = dict(enumerate(self.task.checkpoints))

    def again(self, tries: int) -> "Busy":
        """The same, but for rounds that were stopped, from the last checkpoint that all others have, as its try of this number."""
        left = [index for index, future in enumerate(self.futures) if not future.cancelled()]
        kept = tuple(self.kept[index] for index in left if index in self.kept)
        common = len(kept) == len(left) and len({one.epoch for one in kept}) == 1
        task = Task(self.task.config, tuple(self.task.seeds[index] for index in left), kept if common else ())
        futures, heard = [self.futures[index] for index in left], [self.heard[index] for index in left]
        return Busy(task, futures, self.on_epoch, self.on_checkpoint, heard, tries)


def reason(error: RayError) -> str:
    """Why a task is gone, in words."""
    if isinstance(error, OutOfMemoryError):
        return "its process took too much memory, and was ended by Ray"
    if isinstance(error, TaskCancelledError):
        return "its task was cancelled from outside"
    return f"its process or node is gone ({told(error)})"
