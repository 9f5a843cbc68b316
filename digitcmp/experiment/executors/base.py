"""What every executor offers: the protocol of `concurrent.futures`, with epochs and checkpoints on the way.

`submit` gives a future per round, whose result is the round's result. Nothing happens in threads: epochs, checkpoints and results come in
while somebody is in `wait`, so that callbacks need no locks.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from digitcmp.config.schema import Config
from digitcmp.experiment.provenance import machine
from digitcmp.train.results import Checkpoint, EpochRow, RoundResult

if TYPE_CHECKING:
    import torch

RoundFuture = Future[RoundResult]
OnEpoch = Callable[[RoundFuture, EpochRow], None]
OnCheckpoint = Callable[[Mapping[RoundFuture, Checkpoint]], None]


@dataclass(frozen=True)
class Task:
    """Rounds of one configuration that are trained together. checkpoints: what they go on from, one for each, all after the same epoch;
    none where they begin."""

    config: Config
    seeds: tuple[int, ...]
    checkpoints: tuple[Checkpoint, ...] = ()


class Executor(ABC):
    """How rounds are executed. No executor changes what is computed, beyond floating-point rounding.

    A round that breaks is a failed result; a problem that the user can mend is the future's exception (DigitcmpError).
    """

    name: str
    device: "torch.device"
    workers = 1  # tasks at a time

    def chunk(self, config: Config) -> int:
        """How many rounds of this configuration make one task. Raises ConfigError for a network that cannot be stacked."""
        del config
        return 1

    @property
    def platform(self) -> dict[str, Any]:
        """The platform of what trains (see `digitcmp.experiment.provenance.machine`)."""
        return machine(str(self.device))

    @abstractmethod
    def has_room(self) -> bool:
        """Whether a task can be submitted that would be begun at once."""

    @abstractmethod
    def submit(self, task: Task, on_epoch: OnEpoch, on_checkpoint: OnCheckpoint = lambda _: None) -> list[RoundFuture]:
        """Begin a task; a future for each of its rounds. `on_epoch` is called after every epoch of a round, in order, within `wait`; also
        for those before a checkpoint. `on_checkpoint` is given all that rounds of a task go on from after the same epoch, at once."""

    @abstractmethod
    def wait(self) -> list[RoundFuture]:
        """Go on until something has ended. Returns the futures that have a result; none when a cancelled round has made room."""

    def cancel(self, future: RoundFuture) -> None:
        """Stop a round, after its epoch at the latest: nothing more is heard of it. The other rounds of its task go on."""
        future.cancel()

    def shutdown(self) -> None:
        """End everything at once, and leave no process behind."""
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.shutdown()


def settle(futures: list[RoundFuture], results: Sequence[RoundResult | Exception | None]) -> list[RoundFuture]:
    """Give the futures of a task their results, None for a round that was stopped; or their errors. Returns those that were not
    cancelled."""
    open_ = [(future, result) for future, result in zip(futures, results, strict=True) if not future.cancelled()]
    for future, result in open_:
        if isinstance(result, Exception):
            future.set_exception(result)
        elif result is not None:
            future.set_result(result)
    return [future for future, _ in open_]


def not_cancelled(futures: list[RoundFuture], checkpoints: Mapping[int, Checkpoint]) -> dict[RoundFuture, Checkpoint]:
    """The checkpoints of a task, by index, as those of its futures, but for rounds that were cancelled."""
    return {futures[index]: one for index, one in checkpoints.items() if not futures[index].cancelled()}


def refuse(futures: list[RoundFuture], error: Exception) -> list[RoundFuture]:
    """Give the futures of a task its error. Returns those that were not cancelled."""
    open_ = [future for future in futures if not future.cancelled()]
    for future in open_:
        future.set_exception(error)
    return open_
