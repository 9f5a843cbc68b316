"""What this package offers to digitcmp: names, keys and shapes. Imported for every configuration that uses it, so it imports no torch."""

from dataclasses import dataclass

from digitcmp.config.blocks import Block, Core, Shape, convolution, joined, same
from digitcmp.config.registry import Component
from digitcmp.config.schema import AugmentConfig, ConvLayer, key


@dataclass
class ResidualOptions:
    """The keys of the block: a layer's `options`."""

    scale: float = key(1.0, above=0, help="of what the two convolutions add")


def residual(layer: ConvLayer, inputs: Shape) -> Core:
    """What the block makes of a shape (channels, height, width), and how many parameters that takes."""
    channels = layer.channels or inputs[0]
    first = convolution(same(layer, channels), inputs)
    parts = [first, convolution(same(layer, channels), first.outputs)]
    if channels != inputs[0]:
        parts.append(convolution(same(layer, channels, kernel=1), inputs))
    return joined(first.outputs, parts)


GELU_RESIDUAL = Block(
    "digitcmp_example.parts:Residual",
    of="images",
    core=residual,
    keys=("channels", "kernel", "bias"),
    options=ResidualOptions,
    help="two convolutions with a GELU between them, added to what comes in",
)


@dataclass
class Blot(AugmentConfig):
    """The keys of the augmentation. `kind` is the name that it is offered under."""

    kind: str = key("blot", help="how training images are changed")
    size: float = key(4.0, at_least=0, at_most=14, help="pixels, height and width of the blot")


BLOT = Component("digitcmp_example.parts:blot", Blot)
