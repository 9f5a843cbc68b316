"""The exponential moving average (EMA) of weights."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from digitcmp.train.program import Program


class WeightAverage:
    """After step t, average = d x average + (1 - d) x weights; the same for batch norm's running statistics.

    d is the decay, but at first no more than (1 + t) / (10 + t): otherwise a short training would be tested with what is left of
    the initial weights. Method: Polyak and Juditsky 1992, in the exponential form. decay 0: no average, the weights themselves are used.
    """

    def __init__(self, program: Program, decay: float) -> None:
        self.weights: Sequence[Tensor] = [tensor.detach() for tensor in program.tensors()] if decay > 0 else []
        self.averages = [tensor.clone() for tensor in self.weights]
        self.decay, self.steps = decay, 0

    def update(self) -> None:
        """A step was taken."""
        self.steps += 1
        if self.averages:
            decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
            get_ema_multi_avg_fn(decay)(self.averages, self.weights, None)  # type: ignore[no-untyped-call]

    @contextmanager
    def applied(self, keep: bool) -> Iterator[None]:
        """Within the block (and after it, with keep) the networks have the averages instead of their weights."""
        before = [tensor.clone() for tensor in self.weights]
        copy_values(self.averages, self.weights)
        yield
        if not keep:
            copy_values(before, self.weights)


@torch.no_grad()
def copy_values(source: Sequence[Tensor], target: Sequence[Tensor]) -> None:
    """Copy the values of tensors into others of the same shapes."""
    for value, tensor in zip(source, target, strict=True):
        tensor.copy_(value)
