"""What a round leaves, as typed rows: one for the round, one per epoch, one per distance and two classes of its test pairs. Imports no
torch."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class EpochRow:
    """One epoch of one round. Accuracies are fractions; None where there is no digit head, no validation pairs, or no test."""

    seed: int
    epoch: int
    train_loss: float
    train_accuracy: float
    test_accuracy: float | None
    digit_accuracy: float | None
    val_accuracy: float | None
    seconds: float


def has_waited(accuracies: Sequence[float], patience: int | None) -> bool:
    """Whether a round with these validation accuracies has waited long enough for a better one (stopping.patience)."""
    return patience is not None and bool(accuracies) and len(accuracies) - 1 - accuracies.index(max(accuracies)) >= patience


@dataclass(frozen=True)
class RoundRow:
    """One round: its figures at the last epoch, and how it ended.

    status: done or failed. best_epoch: the epoch with the highest validation accuracy, or the highest test accuracy
    where there are no validation pairs (a description, never a choice of what is reported). majority_accuracy: what
    always giving the more frequent answer would reach on the test pairs. A failed round has figures up to its last epoch.
    """

    seed: int
    status: Literal["done", "failed"]
    epochs: int
    train_loss: float | None
    train_accuracy: float | None
    test_accuracy: float | None
    digit_accuracy: float | None
    val_accuracy: float | None
    best_epoch: int | None
    best_accuracy: float | None
    majority_accuracy: float | None
    seconds: float
    error: str


@dataclass(frozen=True)
class DistanceRow:
    """One distance |first - second| in one round: how many test pairs have it, and how many were answered rightly after the last epoch."""

    seed: int
    distance: int
    pairs: int
    right: int


@dataclass(frozen=True)
class ConfusionRow:
    """Two classes in one round: how many test pairs have them as first and second, how many of these were answered rightly after the last
    epoch, and how many digits of the first class were read as the second (None without digit head)."""

    seed: int
    first: int
    second: int
    pairs: int
    right: int
    read: int | None


@dataclass
class RoundResult:
    """A round that has ended. network: the trained network as a safetensors file, where it is kept; trace: of a round that broke."""

    row: RoundRow
    epochs: list[EpochRow] = field(default_factory=list)
    distances: list[DistanceRow] = field(default_factory=list)
    network: bytes | None = None
    trace: str = ""
    confusion: list[ConfusionRow] = field(default_factory=list)


@dataclass(frozen=True)
class Checkpoint:
    """A round in flight after so many epochs of its stack. stack: the seeds that are trained together, its own among them; file: a
    safetensors file with all that the round goes on from (`digitcmp.train.progress`)."""

    seed: int
    epoch: int
    stack: tuple[int, ...]
    file: bytes = field(repr=False)


def accuracy_of(row: EpochRow | RoundRow) -> tuple[str, float]:
    """What there is to show: "test" and the test accuracy or, where the test pairs stay unseen, "val" and the validation accuracy."""
    name, accuracy = ("val", row.val_accuracy) if row.test_accuracy is None else ("test", row.test_accuracy)
    return name, float("nan") if accuracy is None else accuracy
