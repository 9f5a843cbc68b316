"""Who answers when rounds are tested: a network alone, or the mean of several members and of several views of each pair."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from digitcmp.data.augment import moved
from digitcmp.data.columns import Column, in_columns, plain
from digitcmp.model.network import Outputs
from digitcmp.model.posterior import Posterior, mean_comparison, mean_posterior
from digitcmp.train.program import Program


class Judge(Protocol):
    """What is tested: for S rounds, a Program of one network each or a Jury."""

    def __call__(self, images: Tensor) -> Outputs:
        """Images [S, B, 2, 14, 14] -> comparison [S, B, 1 or 2], digits [S, B, 2, 10] or None."""

    def train(self, mode: bool) -> None:
        """Switch between training and evaluation."""


def make_judge(program: Program, members: int, tta_shift: float, columns: Sequence[Column] = (plain,)) -> Judge:
    """The networks themselves, or a jury where there is something to average, or to be shown in another form."""
    alone = members == 1 and tta_shift == 0 and columns[0] is plain
    return program if alone else Jury(program, members, tta_shift, columns)


class Jury:
    """Means over the members of each round's ensemble and over shifted views of each pair (test-time augmentation).

    The members of a round see the digits in these columns, which take turns: member 0 in the first, and so on, over and over.
    Digits are averaged as probabilities. A comparator without parameters compares these means; any other gives
    probabilities that are averaged themselves.
    """

    def __init__(self, program: Program, members: int, tta_shift: float, columns: Sequence[Column] = (plain,)) -> None:
        self.program, self.members, self.columns = program, members, columns
        self.shifts = shifts(tta_shift)

    def __call__(self, images: Tensor) -> Outputs:
        inputs = in_columns(images, self.columns, self.members)
        votes = [self.program(moved(inputs, *shift) if any(shift) else inputs) for shift in self.shifts]
        comparison = self.gather([vote.comparison for vote in votes])
        digits = [vote.digits for vote in votes if vote.digits is not None]
        return combine(comparison, self.gather(digits) if digits else None, self.program.posterior)

    def gather(self, votes: list[Tensor]) -> Tensor:
        """From a tensor [S x members, ...] per view to one [views x members, S, ...]."""
        return torch.stack(votes).view(len(votes), -1, self.members, *votes[0].shape[1:]).movedim(2, 1).flatten(0, 1)

    def train(self, mode: bool) -> None:
        """Switch between training and evaluation."""
        self.program.train(mode)


def combine(comparison: Tensor, digits: Tensor | None, posterior: Posterior | None) -> Outputs:
    """One answer from several: logits [V, ..., 1 or 2] and [V, ..., 2, 10] -> [..., 1 or 2] and [..., 2, 10]."""
    if digits is None:
        return Outputs(mean_comparison(comparison), None)
    mean = mean_posterior(digits)
    return Outputs(mean_comparison(comparison) if posterior is None else posterior(mean), mean)


def shifts(tta_shift: float) -> list[tuple[float, float]]:
    """How far the views of a pair are moved, (x, y) in pixels: not at all, and to all eight sides."""
    if tta_shift == 0:
        return [(0.0, 0.0)]
    steps = (0.0, -tta_shift, tta_shift)
    return [(x, y) for x in steps for y in steps]
