"""Accuracy on pairs that are not trained on."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from digitcmp.data.pairs import Pairs
from digitcmp.model.posterior import CLASSES
from digitcmp.train.losses import decide
from digitcmp.train.predictor import Predictor

BATCH = 200  # pairs; larger batches gain nothing and take more memory


@dataclass(frozen=True)
class Scores:
    """Per round: the fractions of right comparisons and of right digits (of both places together; None without digit head),
    and whether all comparison logits are finite: a network that diverged in its last step answers, but has no opinion.

    right: bool [S, N], which pairs were answered rightly.
    """

    accuracy: list[float]
    digit_accuracy: list[float] | None
    finite: list[bool]
    right: Tensor = field(compare=False, repr=False)


@torch.no_grad()
def evaluate(predictor: Predictor, pairs: Pairs) -> Scores:
    """Test the rounds' networks in evaluation mode on their pairs [S, N]."""
    predictor.train(False)
    right, digits_right = [], []
    finite = torch.ones(len(pairs.target), dtype=torch.bool, device=pairs.target.device)
    for start in range(0, pairs.target.shape[1], BATCH):
        batch = slice(start, start + BATCH)
        outputs = predictor(pairs.images[:, batch])
        finite &= outputs.comparison.isfinite().all(dim=2).all(dim=1)
        right.append(decide(outputs.comparison) == pairs.target[:, batch])
        if outputs.digits is not None:
            digits_right.append((outputs.digits.argmax(dim=-1) == pairs.digits[:, batch]).sum(dim=(1, 2)))
    count = pairs.target.shape[1]
    answers = torch.cat(right, dim=1)
    digits = fractions(digits_right, 2 * count) if digits_right else None
    return Scores(fractions([answers.sum(dim=1)], count), digits, finite.tolist(), answers)


def by_distance(right: Tensor, digits: Tensor) -> tuple[list[list[int]], list[list[int]]]:
    """How many pairs have each distance |first - second| in 0 … 9, and how many of them are answered rightly: two [S][10].

    right: bool [S, N]; digits: int64 [S, N, 2].
    """
    distance = (digits[..., 0] - digits[..., 1]).abs()
    member = distance[..., None] == torch.arange(CLASSES, device=distance.device)  # [S, N, 10]
    return member.sum(dim=1).tolist(), (member & right[..., None]).sum(dim=1).tolist()


def fractions(counts: list[Tensor], total: int) -> list[float]:
    """Counts [S] of several batches as fractions of the total, in double precision."""
    return (torch.stack(counts).sum(dim=0).double() / total).tolist()
