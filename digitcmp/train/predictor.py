"""What predicts when rounds are tested: a network alone, or the mean of several members and of several views of each pair."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from digitcmp.data.augment import moved
from digitcmp.data.columns import Column, in_columns, plain
from digitcmp.model.network import Outputs
from digitcmp.model.posterior import Posterior, mean_comparison, mean_posterior
from digitcmp.train.program import Program


class Predictor(Protocol):
    """What is tested: for S rounds, a Program of one network each or an EnsemblePredictor."""

    def __call__(self, images: Tensor) -> Outputs:
        """Images [S, B, 2, 14, 14] -> comparison [S, B, 1 or 2], digits [S, B, 2, 10] or None."""

    def train(self, mode: bool) -> None:
        """Switch between training and evaluation."""


def make_predictor(program: Program, members: int, tta_shift: float, columns: Sequence[Column]) -> Predictor:
    """The networks themselves, or an EnsemblePredictor where there is something to average, or digits in another form."""
    alone = members == 1 and tta_shift == 0 and columns[0] is plain
    return program if alone else EnsemblePredictor(program, members, tta_shift, columns)


class EnsemblePredictor:
    """Means over the members of each round's ensemble and over shifted views of each pair (test-time augmentation).

    The members of a round see the digits in these columns, which take turns: member 0 in the first, and so on, over and over.
    Digits are averaged as probabilities. A comparator without parameters compares these means; any other gives
    probabilities that are averaged themselves.
    """

    def __init__(self, program: Program, members: int, tta_shift: float, columns: Sequence[Column]) -> None:
        self.program, self.members, self.columns = program, members, columns
        self.shifts = shifts(tta_shift)

    def __call__(self, images: Tensor) -> Outputs:
        inputs = in_columns(images, self.columns, self.members)
        views = [self.program(moved(inputs, *shift) if any(shift) else inputs) for shift in self.shifts]
        comparison = self.gather([view.comparison for view in views])
        digits = [view.digits for view in views if view.digits is not None]
        return combine(comparison, self.gather(digits) if digits else None, self.program.posterior)

    def gather(self, predictions: list[Tensor]) -> Tensor:
        """From a tensor [S x members, ...] per view to one [views x members, S, ...]."""
        return torch.stack(predictions).view(len(predictions), -1, self.members, *predictions[0].shape[1:]).movedim(2, 1).flatten(0, 1)

    def train(self, mode: bool) -> None:
        """Switch between training and evaluation."""
        self.program.train(mode)


def combine(comparison: Tensor, digits: Tensor | None, posterior: Posterior | None) -> Outputs:
    """One prediction from several: logits [V, ..., 1 or 2] and [V, ..., 2, 10] -> [..., 1 or 2] and [..., 2, 10]."""
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
