"""Accuracy on pairs that are not trained on."""

from typing import NamedTuple

import torch
from torch import Tensor

from digitcmp.data.pairs import Pairs
from digitcmp.model.posterior import CLASSES
from digitcmp.train.jury import Judge
from digitcmp.train.losses import decide

BATCH = 200  # pairs; larger batches gain nothing and take more memory


class Scores(NamedTuple):
    """Per round: the fractions of right comparisons and of right digits (of both places together; None without digit head),
    and whether all comparison logits are finite: a network that diverged in its last step answers, but has no opinion."""

    accuracy: list[float]
    digit_accuracy: list[float] | None
    finite: list[bool]


@torch.no_grad()
def evaluate(judge: Judge, pairs: Pairs) -> Scores:
    """Test the rounds' networks in evaluation mode on their pairs, [S, N, ...], as the judge reads them (`cut_pairs`)."""
    judge.train(False)
    right, digits_right = [], []
    finite = torch.ones(len(pairs.target), dtype=torch.bool, device=pairs.target.device)
    for start in range(0, pairs.target.shape[1], BATCH):
        batch = slice(start, start + BATCH)
        outputs = judge(pairs.images[:, batch], None)
        finite &= outputs.comparison.isfinite().all(dim=2).all(dim=1)
        right.append((decide(outputs.comparison) == pairs.target[:, batch]).sum(dim=1))
        if outputs.digits is not None:
            digits_right.append((outputs.digits.argmax(dim=-1) == pairs.digits[:, batch]).sum(dim=(1, 2)))
    count = pairs.target.shape[1]
    return Scores(fractions(right, count), fractions(digits_right, 2 * count) if digits_right else None, finite.tolist())


@torch.no_grad()
def evaluate_distances(judge: Judge, pairs: Pairs) -> tuple[list[list[int]], list[list[int]]]:
    """How many pairs have each distance |first - second| in 0 … 9, and how many of them are answered rightly: two [S][10].

    The pairs come as the judge reads them (`cut_pairs`).
    """
    judge.train(False)
    batches = range(0, pairs.target.shape[1], BATCH)
    answers = torch.cat([decide(judge(pairs.images[:, start : start + BATCH], None).comparison) for start in batches], dim=1)
    distance = (pairs.digits[..., 0] - pairs.digits[..., 1]).abs()
    member = distance[..., None] == torch.arange(CLASSES, device=distance.device)  # [S, N, 10]
    right = member & (answers == pairs.target)[..., None]
    return member.sum(dim=1).tolist(), right.sum(dim=1).tolist()


def fractions(counts: list[Tensor], total: int) -> list[float]:
    """Counts [S] of several batches as fractions of the total, in double precision."""
    return (torch.stack(counts).sum(dim=0).double() / total).tolist()
