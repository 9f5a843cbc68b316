"""A round on its way: its epochs so far, and the checkpoint that it can go on from in another process."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, field

from safetensors import SafetensorError
from torch import Tensor

from digitcmp.errors import DAMAGED
from digitcmp.train.loop import Epoch
from digitcmp.train.results import Checkpoint, EpochRow
from digitcmp.train.saved import pack, unpack

OnEpoch = Callable[[int, EpochRow], bool]  # is told the round's index and its epoch; False stops the round
OnCheckpoint = Callable[[dict[int, Checkpoint]], None]  # is given the checkpoints of the rounds of a stack, by their index


@dataclass
class RoundProgress:
    """A round on its way: its epochs so far, and whether it diverged, was stopped or has ended before its last epoch: its network goes on
    in its stack, but nothing of it counts any more. seconds: those that it had taken when it was begun here."""

    seed: int
    epochs: list[EpochRow] = field(default_factory=list)
    error: str = ""
    stopped: bool = False
    ended: bool = False
    seconds: float = 0.0

    @property
    def goes_on(self) -> bool:
        """Whether it counts."""
        return not (self.error or self.stopped or self.ended)

    def note(self, epoch: Epoch, index: int, on_epoch: OnEpoch) -> bool:
        """An epoch of this round, at this index of its stack, is through. Returns whether the round goes on."""
        if not self.goes_on:
            return False
        test = epoch.test if epoch.tested[index] else None
        row = EpochRow(
            seed=self.seed,
            epoch=epoch.epoch,
            train_loss=epoch.train_loss[index],
            train_accuracy=epoch.train_accuracy[index],
            test_accuracy=None if test is None else test.accuracy[index],
            digit_accuracy=None if test is None or test.digit_accuracy is None else test.digit_accuracy[index],
            val_accuracy=None if epoch.val is None else epoch.val.accuracy[index],
            seconds=epoch.seconds / len(epoch.healthy),  # an equal share of the stack's
        )
        self.epochs.append(row)
        if not epoch.healthy[index]:
            what = "the network's outputs became infinite or nan" if math.isfinite(row.train_loss) else f"the loss became {row.train_loss}"
            self.error = f"{what} in epoch {row.epoch}; a smaller optimizer.lr may help"
        self.stopped, self.ended = not on_epoch(index, row), epoch.ended[index]
        return self.goes_on

    def tell(self, index: int, on_epoch: OnEpoch) -> bool:
        """Tell the epochs that it had before it was begun here: whoever listens hears all epochs. Returns whether the round goes on."""
        self.stopped = not all(on_epoch(index, row) for row in self.epochs)
        return self.goes_on

    def checkpoint(self, epoch: int, stack: Sequence[int], seconds: float, networks: Sequence[dict[str, Tensor]]) -> Checkpoint:
        """What it goes on from after so many epochs of its stack, which has these seeds. seconds: since it was begun here."""
        rows = [astuple(row) for row in self.epochs]
        about = {"seed": self.seed, "epoch": epoch, "stack": list(stack), "rows": rows, "error": self.error, "ended": self.ended}
        # clones, since members of an ensemble may have common ones, which a file must not
        tensors = {f"{member}/{name}": tensor.clone() for member, state in enumerate(networks) for name, tensor in state.items()}
        file = pack(tensors, json.dumps({**about, "seconds": self.seconds + seconds}))
        return Checkpoint(self.seed, epoch, tuple(stack), file)


def read(file: bytes) -> tuple[Checkpoint, RoundProgress, list[dict[str, Tensor]]]:
    """What a file holds: the checkpoint itself, its round, and the states of its networks. Raises ValueError for a damaged one."""
    try:
        tensors, text = unpack(file)
        about = json.loads(text)
        checkpoint = Checkpoint(about["seed"], about["epoch"], tuple(about["stack"]), file)
        rows = [EpochRow(*values) for values in about["rows"]]
        networks: list[dict[str, Tensor]] = []
        for name, tensor in tensors.items():
            member, _, own = name.partition("/")
            if not 0 <= int(member) < len(tensors):
                raise ValueError(name)
            networks += [{} for _ in range(int(member) + 1 - len(networks))]
            networks[int(member)][own] = tensor
        return checkpoint, RoundProgress(checkpoint.seed, rows, about["error"], ended=about["ended"], seconds=about["seconds"]), networks
    except (SafetensorError, *DAMAGED) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
