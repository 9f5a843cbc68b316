"""A task that Ray has, and what is left of it when its process or node is gone."""

from dataclasses import dataclass, field

import ray
from ray.exceptions import OutOfMemoryError, RayError, TaskCancelledError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from digitcmp.experiment.executors.base import OnCheckpoint, OnEpoch, RoundFuture, Task
from digitcmp.experiment.executors.joining import told
from digitcmp.experiment.executors.server import SILENCE


@dataclass
class Busy:
    """A task that Ray has. heard: the last epoch of each of its rounds that was told; kept: their last checkpoints, by index; node:
    the number in Ray of the one that has begun it, process: that of its process there, None until they are known; silence: seconds since
    it was last heard of, as far as they were waited for; why: it was ended from here, in words."""

    task: Task
    futures: list[RoundFuture]
    on_epoch: OnEpoch
    on_checkpoint: OnCheckpoint
    heard: list[int] = field(default_factory=list)
    tries: int = 1
    node: str | None = None
    process: int | None = None
    silence: float = 0.0
    why: str = ""

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

    def silent(self, waited: float) -> bool:
        """Whether nothing was heard of it for too long, with these seconds more; it counts anew then."""
        self.silence += waited if self.process is not None else 0.0
        if self.silence < SILENCE:
            return False
        self.silence, self.why = 0.0, f"its process gave no sign of life for {SILENCE:.0f} s (stopped, or hung), and was ended"
        return True


def end_process(node: str, process: int) -> None:
    """Let a node end a process of its own, also one that is stopped, which Ray itself could only ask to end."""

    def kill(number: int) -> None:
        import os
        import signal

        os.kill(number, signal.SIGKILL)

    place = NodeAffinitySchedulingStrategy(node, soft=False)
    ray.remote(kill).options(num_cpus=0, max_retries=0, scheduling_strategy=place).remote(process)


def reason(error: RayError) -> str:
    """Why a task is gone, in words."""
    if isinstance(error, OutOfMemoryError):
        return "its process took too much memory, and was ended by Ray"
    if isinstance(error, TaskCancelledError):
        return "its task was cancelled from outside"
    return f"its process or node is gone ({told(error)})"
