"""The floating-point operations of a training step, counted from the network's layers.

Counted are the convolutions and the dense layers, a multiply-add as two operations: going forward, for the gradient to the
weights, and for the gradient to the inputs where there is one (pixels need none, so the first convolution has none). Norms,
pooling, ReLU, the loss and the optimiser are not counted: they are what a step does beside its matrix products.
"""

from dataclasses import dataclass

from digitcmp.config.graph import ANSWER, DIGITS, IMAGES, graph, left_out
from digitcmp.config.schema import ModelConfig


@dataclass(frozen=True)
class Operations:
    """Floating-point operations of one batch."""

    forward: int
    weights: int
    inputs: int

    @property
    def backward(self) -> int:
        """Those of both gradients."""
        return self.weights + self.inputs

    @property
    def step(self) -> int:
        """Those of a training step."""
        return self.forward + self.backward


def count(model: ModelConfig, pairs: int, aux_weight: float) -> Operations:
    """The operations of a step on this many pairs. Without a step's gradients, `forward` is what an evaluation takes."""
    parts = graph(model)
    without = left_out(parts, gradients=True, losses=(ANSWER, DIGITS) if aux_weight > 0 else (ANSWER,))
    learning = [part for part in parts if part not in without]
    return Operations(
        forward=2 * pairs * sum(part.multiplied for part in parts),
        weights=2 * pairs * sum(part.multiplied for part in learning),
        inputs=2 * pairs * sum(part.multiplied for part in learning if part.reads != (IMAGES,) and not part.detached),
    )
