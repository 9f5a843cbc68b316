"""The graph of a network, worked out of its configuration without torch: its parts, what each reads, shapes, and numbers of parameters.

The one place where shapes are inferred: networks are built, counted, and refused by what stands here.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from numbers import Integral
from typing import Any

from digitcmp.config.blocks import STEPS, Block, Core, Layer, Shape, find_block, norm_parameters, options_of, pair, windows
from digitcmp.config.comparators import CLASSES, READINGS
from digitcmp.config.schema import SIZE, AuxHead, Comparator, ConvLayer, DenseLayer, DigitHead, ModelConfig
from digitcmp.counting import counted
from digitcmp.errors import ConfigError, DigitcmpError

IMAGES, ANSWER, DIGITS = "images", "the answer", "the digit loss"  # where everything comes from, and what trains and tests a network


@dataclass(frozen=True)
class Part:
    """A configured part of a network. name: its key; reads: the names of the parts that it reads.

    parameters: how many numbers all its copies learn (separate branches have two). multiplied: multiplications for a pair. numbers: how
    many numbers it puts out for a pair, before any pooling. norm: how many of its
    parameters are those of its norm. detached: it reads a copy, which sends no gradient back.
    """

    name: str
    reads: tuple[str, ...]
    inputs: Shape
    outputs: Shape
    parameters: int = 0
    multiplied: int = 0
    numbers: int = 0
    norm: int = 0
    detached: bool = False


def graph(model: ModelConfig, size: int = SIZE) -> list[Part]:
    """The parts of a network in the order in which they are used, and at the end what is made of them. Raises ConfigError for a layer
    that does not fit, or has keys that nothing would read. size: pixels, height and width of a digit."""
    return [*parts(model, size)]


def parts(model: ModelConfig, size: int) -> Iterator[Part]:
    """See `graph`."""
    of_each = [*branch(model, size)]
    yield from of_each
    read = [part for part in of_each if not part.name.startswith(("model.digit_head", "model.aux_heads"))]
    channels, images = (2, 1) if model.joint else (1, 2)
    each = (read[-1].name, math.prod(read[-1].outputs)) if read else (IMAGES, channels * size**2)
    last, width = each[0], each[1] * images
    for part in chain("model.joint_dense", last, (width,), model.joint_dense, model):
        yield part
        last, width = part.name, part.outputs[0]
    head, comparator = model.digit_head, model.comparator
    if head.reads == "joint":
        yield from logits("model.digit_head", last, width, CLASSES, head, model)
    reading = READINGS[comparator.reads]
    last, width = {"both": (last, width), "each": each, "digits": ("model.digit_head", CLASSES)}[reading.of]
    yield from answer(last, reading.numbers(width), comparator.detach or not reading.gradient, model)
    heads = ["model.digit_head"] if head.reads != "none" else []
    heads += [f"model.aux_heads[{number}]" for number in range(len(model.aux_heads))]
    if heads:
        yield Part(DIGITS, tuple(heads), (CLASSES,), ())


def branch(model: ModelConfig, size: int) -> Iterator[Part]:
    """What looks at one digit, or at the joint image of both."""
    channels, images = (2, 1) if model.joint else (1, 2)  # of what a tower looks at, and how many of them a pair has
    copies = 1 if model.joint or model.weight_sharing else 2
    own = 2 if model.own_dense else copies
    tower = [*chain("model.tower", IMAGES, (channels, size, size), model.tower, model)]
    for part in tower:
        yield repeated(part, copies, images, model.shared_norm)
    for number, aux in enumerate(model.aux_heads):
        for part in aux_head(f"model.aux_heads[{number}]", aux, tower, model):
            yield repeated(part, own, images, model.shared_norm)
    last, width = (tower[-1].name, math.prod(tower[-1].outputs)) if tower else (IMAGES, channels * size**2)
    for part in chain("model.digit_dense", last, (width,), model.digit_dense, model):
        yield repeated(part, own, images, model.shared_norm)
        last, width = part.name, part.outputs[0]
    if model.digit_head.reads == "digit":
        for part in logits("model.digit_head", last, width, CLASSES, model.digit_head, model):
            yield repeated(part, own, images, model.shared_norm)


def answer(last: str, width: int, detached: bool, model: ModelConfig) -> Iterator[Part]:
    """The comparator, which reads so many numbers, and what it gives."""
    comparator = model.comparator
    found = [Part("model.comparator", (last,), (width,), (1,))]  # a sum over digits, which is no layer
    if comparator.reads != "posterior":
        found = [*logits("model.comparator", last, width, comparator.outputs, comparator, model)]
    yield replace(found[0], detached=detached)
    yield from found[1:]
    yield Part(ANSWER, ("model.comparator",), (comparator.outputs,), ())


def repeated(part: Part, copies: int, times: int, shared_norm: bool) -> Part:
    """A part of what looks at one digit: so many copies of its parameters (one norm, where it is shared), used so many times for a pair."""
    parameters = part.parameters * copies - (part.norm * (copies - 1) if shared_norm else 0)
    return replace(part, parameters=parameters, multiplied=part.multiplied * times, numbers=part.numbers * times)


def chain(name: str, reads: str, inputs: Shape, layers: Sequence[Layer], model: ModelConfig) -> Iterator[Part]:
    """Layers one after the other."""
    for number, layer in enumerate(layers):
        part = one_layer(f"{name}[{number}]", reads, inputs, resolved(layer, model))
        yield part
        reads, inputs = part.name, part.outputs


def aux_head(name: str, head: AuxHead, tower: Sequence[Part], model: ModelConfig) -> Iterator[Part]:
    """A digit head at a layer of the tower. Raises ConfigError where there is no such layer."""
    if head.after >= len(tower):
        raise ConfigError(f"{name}.after={head.after}: model.tower has {counted(len(tower), 'layer')}, counted from 0")
    read = tower[head.after]
    yield from logits(name, read.name, math.prod(read.outputs), CLASSES, DigitHead("digit", hidden=head.hidden), model)


def logits(name: str, reads: str, inputs: int, outputs: int, layer: DigitHead | Comparator, model: ModelConfig) -> Iterator[Part]:
    """A head, or a comparator that has a layer, behind hidden layers of its own."""
    for part in chain(f"{name}.hidden", reads, (inputs,), layer.hidden, model):
        yield part
        reads, (inputs,) = part.name, part.outputs
    last = DenseLayer(outputs, norm=layer.norm)
    yield one_layer(name, reads, (inputs,), resolved(last, model))


def resolved(layer: Any, model: ModelConfig) -> Any:
    """The layer with the name of its norm ("none" without one) and the share of its dropout, whatever the network has switched on, and
    with the options of its block in their own dataclass. Raises ConfigError for options that it does not have."""
    norm = layer.norm if isinstance(layer.norm, str) else "batch" if layer.norm and model.batchnorm else "none"
    norm = "batch_statistics" if norm == "batch" and model.batch_statistics else norm
    drop = layer.drop if not isinstance(layer.drop, bool) else model.dropout if layer.drop else 0.0
    return replace(layer, norm=norm, drop=float(drop), options=options_of(layer))


def one_layer(name: str, reads: str, inputs: Shape, layer: Any) -> Part:
    """A layer, resolved, with what surrounds it in its order. Raises ConfigError where that does not fit."""
    block = find_block(name, layer)
    check_keys(name, layer, block)
    shape, parameters, multiplied, numbers, norm = inputs, 0, 0, 0, 0
    try:
        for step in layer.order:
            if step == "layer":
                core = core_of(block, layer, shape)
                shape, parameters, multiplied = core.outputs, core.parameters, core.multiplied
                numbers = math.prod(shape)
            elif step == "norm" and step in block.steps:
                check_norm(layer, shape)
                norm = norm_parameters(layer, shape[0])
            elif step == "pool" and step in block.steps:
                shape = pooled(layer, shape)
    except ValueError as error:
        raise ConfigError(f"{name}: {error} ({told(inputs)} come to it)") from error
    return Part(name, (reads,), inputs, shape, parameters + norm, multiplied, numbers, norm)


def core_of(block: Block, layer: Any, inputs: Shape) -> Core:
    """What the core of a block makes of a shape. Raises ValueError where it does not fit, or a block of others does not say."""
    try:
        core = block.core(layer, inputs)
    except (ValueError, DigitcmpError):
        raise
    except Exception as error:
        raise ValueError(f"kind={layer.kind}: its core function fails ({type(error).__name__}: {error})") from error
    if not isinstance(core, Core):
        raise ValueError(f"kind={layer.kind}: its core function gives a {type(core).__name__}; it is to give a digitcmp.config.blocks.Core")
    shape = core.outputs
    sides: Sequence[Any] = shape if isinstance(shape, tuple | list) else ()
    if len(sides) != len(inputs) or not all(isinstance(side, Integral) and int(side) > 0 for side in sides):
        wanted = "(channels, height, width)" if len(inputs) == 3 else "(features,)"
        raise ValueError(f"kind={layer.kind}: its core function gives outputs={shape!r}; they are to be {wanted}, whole numbers above 0")
    return core


def check_keys(name: str, layer: Any, block: Block) -> None:
    """Raise ConfigError for a key that has been given and that nothing reads in a layer of this kind, and for an order that is none."""
    steps = {key: step for step, keys in STEPS.items() for key in keys}
    defaults = type(layer)()
    for item in fields(layer):
        value, default = getattr(layer, item.name), getattr(defaults, item.name)
        given = value not in ("none", 0.0) if item.name in ("norm", "drop") else value != default
        if given and item.name not in block.read:
            raise ConfigError(f"{name}.{item.name}={value}: kind={layer.kind} has no such key; it has {', '.join(sorted(block.read))}")
        step = steps.get(item.name, "layer")
        if given and value not in (False, "none") and step in block.steps and step not in layer.order:
            raise ConfigError(f"{name}.{item.name}={value}: {name}.order has no {step}")
    if layer.order.count("layer") != 1 or len(set(layer.order)) < len(layer.order):
        raise ConfigError(f"{name}.order=[{','.join(layer.order)}]: name layer once, and whatever else is in the order at most once")
    if not getattr(layer, "relu", True) and layer.activation != defaults.activation:
        raise ConfigError(f"{name}.activation={layer.activation}: {name}.relu=false says that there is none; leave one of them out")


def check_norm(layer: Any, shape: Shape) -> None:
    """Raise ValueError for a norm that these channels or units cannot have."""
    if layer.norm == "instance" and len(shape) == 1:
        raise ValueError("norm: instance is for images; use layer, group or batch")
    if layer.norm == "instance" and math.prod(shape[1:]) == 1:
        raise ValueError("norm: instance would leave nothing of a single pixel; use layer, group or batch")
    if layer.norm == "group" and (shape[0] % layer.norm_groups or (len(shape) == 1 and shape[0] == layer.norm_groups)):
        raise ValueError(f"norm_groups={layer.norm_groups} must divide the {shape[0]} channels or units into groups of several")


def pooled(layer: ConvLayer, shape: Shape) -> Shape:
    """The shape after the layer's pooling. Raises ValueError where nothing is left."""
    if layer.pooling.startswith("adaptive"):
        left = pair(layer.pool)
        if left[0] > shape[1] or left[1] > shape[2]:
            raise ValueError(f"pool={layer.pool} is more than the {shape[1]} x {shape[2]} pixels that there are")
        return (shape[0], *left)
    stride = layer.pool if layer.pool_stride is None else layer.pool_stride
    return (shape[0], *windows(shape, layer.pool, stride))


def left_out(found: Sequence[Part], gradients: bool = False, losses: Sequence[str] = (ANSWER, DIGITS)) -> list[Part]:
    """The parts from which no way leads to what trains and tests a network, in their order; with gradients, those that no gradient of
    these losses reaches."""
    wanted = {*losses}
    for part in reversed(found):  # each stands behind what it reads
        if part.name in wanted and not (gradients and part.detached):
            wanted.update(part.reads)
    return [part for part in found if part.name not in wanted]


def told(shape: Shape) -> str:
    """A shape in words: '16 channels of 12 x 12', '100 features'."""
    return f"{shape[0]} channels of {shape[1]} x {shape[2]}" if len(shape) == 3 else f"{shape[0]:,} features"
