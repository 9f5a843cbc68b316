"""The kinds of layers, without torch: which keys each reads, what it makes of a shape, and which module it is built from.

A kind is one entry here and one small class. Other packages offer blocks of their own (entry points `digitcmp.blocks`, docs/adding.md).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from digitcmp.config.made import object_of
from digitcmp.config.offered import Offer
from digitcmp.config.registry import Registry
from digitcmp.config.schema import ConvLayer, DenseLayer
from digitcmp.errors import ConfigError

Shape = tuple[int, ...]  # channels, height and width of an image; or a number of features
Layer = ConvLayer | DenseLayer

LAYERS: dict[str, type[Layer]] = {"images": ConvLayer, "features": DenseLayer}  # what reads them
STEPS = {  # what surrounds a layer: its keys
    "norm": ("norm", "affine", "norm_groups"),
    "pool": ("pool", "pooling", "pool_stride"),
    "activation": ("activation", "relu"),
    "drop": ("drop", "drop_channels"),
}


@dataclass(frozen=True)
class Core:
    """What the core of a layer makes of a shape. parameters: those it learns; multiplied: multiplications for one image or row."""

    outputs: Shape
    parameters: int = 0
    multiplied: int = 0


@dataclass(frozen=True)
class Block:
    """A kind of layer. module: `package.module:Class`, imported when networks are built (or the class itself), and called with the layer
    and the shape that comes in. of: what it reads, "images" or "features". keys: those of the layer that the core reads. steps: what
    may surround it. pair: it takes its features for those of two digits, one beside the other, and gives such features.

    core: from a layer and a shape to what comes out, for a layer whose norm is the name of one or "none"; raises ValueError with what
    does not fit. options: a dataclass, with the keys that are given as `options`. help: what it is, for `--help-keys`.
    """

    module: Any
    of: str
    core: Callable[[Any, Shape], Core]
    keys: tuple[str, ...] = ()
    steps: tuple[str, ...] = tuple(STEPS)
    options: type | None = None
    pair: bool = False
    help: str = ""

    @property
    def read(self) -> list[str]:
        """The keys that mean something in a layer of this kind, in the order of the layer's own."""
        around = [key for step in self.steps for key in STEPS[step]]
        known = {"kind", "order", *self.keys, *around, *(["options"] if self.options else [])}
        return [item.name for item in fields(LAYERS[self.of]) if item.name in known]


def pair(value: Any) -> tuple[int, int]:
    """Height and width of what is given as one number or two."""
    return (value[0], value[1]) if isinstance(value, list | tuple) else (value, value)


def windows(inputs: Shape, kernel: Any, stride: Any, padding: Any = 0, dilation: Any = 1) -> tuple[int, int]:
    """How many windows there are, in height and width. Raises ValueError where there are none."""
    sides = zip(inputs[1:], *map(pair, (kernel, stride, padding, dilation)), strict=True)
    height, width = ((side + 2 * around - apart * (window - 1) - 1) // step + 1 for side, window, step, around, apart in sides)
    if height < 1 or width < 1:
        raise ValueError("nothing is left of the image after this layer; use a smaller kernel or pool")
    return height, width


def norm_parameters(layer: Layer, outputs: int) -> int:
    """Those of a norm over so many channels or units: a weight and a bias for each."""
    return 2 * outputs if layer.norm != "none" and layer.affine else 0


def wanted(layer: Layer, name: str) -> int:
    """A number that this kind of layer cannot do without."""
    found: int | None = getattr(layer, name)
    if found is None:
        raise ValueError(f"{name} has no value; give it one, as in {name}: 16")
    return found


def convolution(layer: ConvLayer, inputs: Shape) -> Core:
    """A convolution."""
    channels = wanted(layer, "channels")
    if inputs[0] % layer.groups or channels % layer.groups:
        raise ValueError(f"groups={layer.groups} must divide the {inputs[0]} channels that come in and the {channels} that go out")
    height, width = windows(inputs, layer.kernel, layer.stride, layer.padding, layer.dilation)
    weights = channels * inputs[0] // layer.groups * math.prod(pair(layer.kernel))
    return Core((channels, height, width), weights + channels * layer.bias, weights * height * width)


def same(layer: ConvLayer, channels: int, kernel: Any = None, stride: Any = 1) -> ConvLayer:
    """A convolution that keeps height and width but for its stride. Raises ValueError for a kernel that has no middle."""
    kernel = layer.kernel if kernel is None else kernel
    if not all(side % 2 for side in pair(kernel)):
        raise ValueError(f"kernel={kernel} has no middle; use odd numbers, as in kernel: 3")
    return ConvLayer(channels, kernel, [side // 2 for side in pair(kernel)], stride=stride, bias=layer.bias)


def residual(layer: ConvLayer, inputs: Shape) -> Core:
    """Two convolutions with their norms, and a projection of what comes in where the shapes differ (He et al. 2016)."""
    channels = layer.channels or inputs[0]
    first = convolution(same(layer, channels, stride=layer.stride), inputs)
    second = convolution(same(layer, channels), first.outputs)
    parts, norms = [first, second], 2
    if first.outputs != inputs:
        parts, norms = [*parts, convolution(same(layer, channels, 1, layer.stride), inputs)], 3
    return joined(second.outputs, parts, norms * norm_parameters(layer, channels))


def inception(layer: ConvLayer, inputs: Shape) -> Core:
    """Four branches side by side, a quarter of the channels each (Szegedy et al. 2015)."""
    channels = wanted(layer, "channels")
    if channels % 4:
        raise ValueError(f"channels={channels} must be a multiple of 4, a quarter for each branch")
    parts = [convolution(same(layer, channels // 4, kernel), inputs) for kernel in INCEPTION]
    return joined((channels, *inputs[1:]), parts)


INCEPTION = (1, 3, 5, 1)  # kernels of the branches; the last one reads the maxima of 3 x 3 pixels


def joined(outputs: Shape, parts: list[Core], more: int = 0) -> Core:
    """A core made of others. more: its other parameters."""
    return Core(outputs, sum(part.parameters for part in parts) + more, sum(part.multiplied for part in parts))


def unchanged(layer: Layer, inputs: Shape) -> Core:
    """Nothing but what surrounds it."""
    del layer
    return Core(inputs)


def dense(layer: DenseLayer, inputs: Shape) -> Core:
    """A linear layer."""
    units = wanted(layer, "units")
    return Core((units,), units * (inputs[0] + layer.bias), units * inputs[0])


def residual_dense(layer: DenseLayer, inputs: Shape) -> Core:
    """A linear layer to which its input is added, projected where the sizes differ."""
    units = layer.units or inputs[0]
    weights = units * inputs[0] * (1 if units == inputs[0] else 2)
    return Core((units,), weights + units * layer.bias, weights)


def attention(layer: DenseLayer, inputs: Shape) -> Core:
    """Each digit's features look at those of both: queries, keys, values and an output, each a linear layer. Raises ValueError for an
    odd number of features, which are not those of two digits."""
    del layer
    if inputs[0] % 2:
        raise ValueError("attention needs the features of two digits, an even number")
    width = inputs[0] // 2
    return Core(inputs, 4 * width * (width + 1), 8 * width**2 + 8 * width)


def block_of(offer: Offer) -> Block:
    """What a package offers as a block. Raises ConfigError for anything else."""
    found = offer.load()
    if not isinstance(found, Block):
        raise ConfigError(f"{offer} is no digitcmp.config.blocks.Block but a {type(found).__name__}")
    return found


OWN: dict[str, Block] = {
    "conv": Block(
        "digitcmp.model.convolutions:Convolution",
        "images",
        convolution,
        ("channels", "kernel", "padding", "stride", "dilation", "groups", "bias"),
        help="a convolution",
    ),
    "residual": Block(
        "digitcmp.model.convolutions:Residual",
        "images",
        residual,
        ("channels", "kernel", "stride", "bias", "norm", "affine", "norm_groups"),
        ("pool", "activation", "drop"),
        help="two convolutions with their norms, to which what comes in is added, projected where shapes differ",
    ),
    "inception": Block(
        "digitcmp.model.convolutions:Inception",
        "images",
        inception,
        ("channels", "bias"),
        help="windows of 1, 3 and 5 pixels and maxima side by side, a quarter of the channels each",
    ),
    "identity": Block(
        "digitcmp.model.convolutions:Identity", "images", unchanged, steps=("norm", "pool", "drop"), help="nothing but what surrounds it"
    ),
    "dense": Block("digitcmp.model.dense:Linear", "features", dense, ("units", "bias"), help="a linear layer"),
    "residual_dense": Block(
        "digitcmp.model.dense:Residual",
        "features",
        residual_dense,
        ("units", "bias"),
        help="a linear layer to which what comes in is added",
    ),
    "attention": Block(
        "digitcmp.model.dense:Attention",
        "features",
        attention,
        pair=True,
        help="the features of each digit look at those of both; the first of joint_dense",
    ),
}
BLOCKS = Registry[Block]("blocks", OWN, block_of)


def find_block(name: str, layer: Layer) -> Block:
    """The block of a layer, which has this key. Raises ConfigError for one that there is not, or that reads something else."""
    of = "images" if isinstance(layer, ConvLayer) else "features"
    if layer.kind == "flatten":  # what other libraries have a layer for
        raise ConfigError(f"{name}.kind=flatten: leave it out; images are flattened behind the tower by themselves")
    key, own = f"{name}.kind={layer.kind}", [kind for kind, block in BLOCKS.own.items() if block.of == of]
    BLOCKS.check(key, layer.kind, f"block that reads {of}", own)
    if (block := BLOCKS[layer.kind]).of != of:
        raise ConfigError(f"{key}: this block of {BLOCKS.package_of(layer.kind)} reads {block.of}, and not {of}")
    return block


def options_of(layer: Layer, path: str = "") -> Any:
    """What a layer's block has for options: an object of its dataclass, or none. Raises ConfigError, with the layer's path, for those that
    it does not have."""
    block = BLOCKS.get(layer.kind)
    if block is None or block.options is None or not isinstance(layer.options, dict):
        return layer.options
    name = f"kind={layer.kind}: options={layer.options}"
    try:
        return object_of(f"{path}: {name}" if path else name, OmegaConf.merge(OmegaConf.structured(block.options), layer.options))
    except OmegaConfBaseException as error:
        known = ", ".join(item.name for item in fields(block.options))
        told = f"{name}: {str(error).splitlines()[0].rstrip('?')}; it has {known}"
        raise ConfigError(f"{path}: {told}" if path else told) from error
