"""The floating-point operations of a training step, counted from the network's layers.

Counted are the convolutions and the dense layers, a multiply-add as two operations: going forward, for the gradient to the
weights, and for the gradient to the inputs where there is one (pixels need none, so the first convolution has none). Norms,
pooling, ReLU, the loss and the optimiser are not counted: they are what a step does beside its matrix products.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace

from digitcmp.config.rules import output_size
from digitcmp.config.schema import DenseLayer, ModelConfig
from digitcmp.model.blocks import CLASSES


@dataclass(frozen=True)
class Layer:
    """One layer's use for one batch: its multiply-adds going forward, and which gradients are wanted of it."""

    name: str
    multiply_adds: int
    weights: bool = True
    inputs: bool = True


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
    layers = list(all_layers(model, pairs, aux_weight))
    return Operations(
        forward=2 * sum(layer.multiply_adds for layer in layers),
        weights=2 * sum(layer.multiply_adds for layer in layers if layer.weights),
        inputs=2 * sum(layer.multiply_adds for layer in layers if layer.inputs),
    )


def all_layers(model: ModelConfig, pairs: int, aux_weight: float) -> Iterator[Layer]:
    """The layers in the order in which they are used; those of two branches twice."""
    comparator = model.comparator
    reads_digits = comparator.reads != "features"
    head_learns = aux_weight > 0 or (reads_digits and not comparator.detach)
    branches = 1 if model.joint or model.weight_sharing else 2
    images = pairs if model.joint else 2 * pairs // branches
    for _ in range(branches):
        width = yield from tower(model, images)
        width = yield from dense("digit_dense", width, model.digit_dense, images)
        if model.digit_head.reads == "digit":
            yield Layer("digit_head", images * width * CLASSES, head_learns, head_learns)
    width = yield from dense("joint_dense", width if model.joint else 2 * width, model.joint_dense, pairs)
    if model.digit_head.reads == "joint":
        yield Layer("digit_head", pairs * width * CLASSES, head_learns, head_learns)
    if comparator.reads == "posterior":  # a sum over digits, which is no layer
        return
    inputs = 2 * CLASSES if reads_digits else width
    yield Layer("comparator", pairs * inputs * comparator.outputs, inputs=not comparator.detach)


def tower(model: ModelConfig, images: int) -> Generator[Layer, None, int]:
    """The convolutions over this many images. Returns how many features they leave of each."""
    channels = 2 if model.joint else 1
    for number, layer in enumerate(model.tower):
        pixels = output_size([*model.tower[:number], replace(layer, pool=1)]) ** 2
        yield Layer(f"tower[{number}]", images * pixels * channels * layer.channels * layer.kernel**2, inputs=number > 0)
        channels = layer.channels
    return channels * output_size(model.tower) ** 2


def dense(name: str, width: int, layers: list[DenseLayer], rows: int) -> Generator[Layer, None, int]:
    """Dense layers behind this many features. Returns how many features they leave."""
    for number, layer in enumerate(layers):
        yield Layer(f"{name}[{number}]", rows * width * layer.units)
        width = layer.units
    return width
