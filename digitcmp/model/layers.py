"""What surrounds the core of a layer: norm, pooling, activation and dropout, in the layer's order.

Every layer is called with `noise`: the int32 keys [number of dropouts] of this step in training, None in evaluation.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from digitcmp.config.blocks import BLOCKS, OWN, Block, Shape, pair
from digitcmp.config.graph import Part
from digitcmp.config.registry import load
from digitcmp.errors import ConfigError, DigitcmpError
from digitcmp.kernels.operations import BatchNorm2d, GroupNorm, max_pool2d
from digitcmp.model.weights import check_weights
from digitcmp.promises import made_alike, untouched
from digitcmp.seeding import uniform

Step = tuple[Callable[..., Tensor], bool]  # what is done, and whether it takes noise
# Classes of ours. With an activation behind them they give a new tensor, which no backward pass of theirs needs, and they leave what comes
# in as it is. Nobody knows that of a block of others, which may well give what came in, or a view of it.
OURS = frozenset(block.module for block in OWN.values())

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "gelu": F.gelu,
    "silu": F.silu,
    "tanh": torch.tanh,
}
POOLINGS: dict[str, Callable[..., Tensor]] = {
    "max": max_pool2d,
    "avg": F.avg_pool2d,
    "adaptive_max": F.adaptive_max_pool2d,
    "adaptive_avg": F.adaptive_avg_pool2d,
}


class Dropout(nn.Module):
    """Dropout (Srivastava et al. 2014) whose masks come from explicit keys instead of a global generator.

    `index` says which of the step's keys is this layer's; the network numbers those of its dropouts that do something. channels: whole
    channels are left out (Tompson et al. 2015).
    """

    def __init__(self, probability: float, channels: bool = False) -> None:
        super().__init__()
        self.probability, self.channels = probability, channels
        self.index = 0

    def forward(self, x: Tensor, noise: Tensor | None) -> Tensor:
        if noise is None or self.probability == 0:
            return x
        shape = (*x.shape[:2], *(1 for _ in x.shape[2:])) if self.channels else tuple(x.shape)
        keep = uniform(noise[self.index], shape) >= self.probability
        return x * keep / (1 - self.probability)


def batch_norm(layer: Any, features: int, images: bool, running: bool = True) -> nn.Module:
    """Over the batch (Ioffe and Szegedy 2015). running: its test goes by running statistics."""
    return (BatchNorm2d if images else nn.BatchNorm1d)(features, affine=layer.affine, track_running_stats=running)


def group_norm(layer: Any, features: int, images: bool) -> nn.Module:
    """Over groups of channels of each image (Wu and He 2018)."""
    del images
    return GroupNorm(layer.norm_groups, features, affine=layer.affine)


def layer_norm(layer: Any, features: int, images: bool) -> nn.Module:
    """Over all channels and pixels of each image, with a scale and a shift of each channel (Ba et al. 2016)."""
    del images
    return GroupNorm(1, features, affine=layer.affine)


def instance_norm(layer: Any, features: int, images: bool) -> nn.Module:
    """Over the pixels of each channel of each image (Ulyanov et al. 2016)."""
    del images
    return GroupNorm(features, features, affine=layer.affine)


NORMS: dict[str, Callable[[Any, int, bool], nn.Module]] = {
    "none": lambda *_: nn.Identity(),
    "batch": batch_norm,
    "batch_statistics": partial(batch_norm, running=False),
    "group": group_norm,
    "layer": layer_norm,
    "instance": instance_norm,
}


def make_norm(layer: Any, shape: Shape) -> nn.Module:
    """The norm of a resolved layer over images or features of this shape."""
    return NORMS[layer.norm](layer, shape[0], len(shape) == 3)


def surrounding_norm(block: Block, layer: Any, part: Part) -> nn.Module:
    """The norm of a resolved layer whose core has none of its own: over what comes in or out, as its order says."""
    if "norm" not in block.steps:
        return nn.Identity()
    before = "norm" in layer.order and layer.order.index("norm") < layer.order.index("layer")
    return make_norm(layer, part.inputs if before else part.outputs)


def make_core(block: Block, layer: Any, inputs: Shape) -> nn.Module:
    """The core of a layer, for what comes in. Raises ConfigError for a class of others that cannot be made, or is no module.

    Those of others are made with numbers in their tensors, since they may work with them.
    """
    with torch.device("cpu"):
        kind = load(block.module)
    try:
        if block.module in OURS:
            core: nn.Module = kind(layer, inputs)
        else:
            with made_alike(named(layer)):
                core = kind(layer, inputs)
    except DigitcmpError:
        raise
    except Exception as error:
        if block.module in OURS:
            raise
        raise ConfigError(f"{named(layer)}: it cannot be made ({type(error).__name__}: {error})") from error
    if not isinstance(core, nn.Module):
        raise ConfigError(f"{named(layer)}: it makes no torch.nn.Module but a {type(core).__name__}")
    if block.module not in OURS:
        check_weights(named(layer), core)
    return core


def named(layer: Any) -> str:
    """The block of a layer, and whose it is."""
    package = BLOCKS.package_of(layer.kind)
    return f"kind={layer.kind}" + (f" of {package}" if package else "")


def watched(part: str, core: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """What a core of others makes of x. Raises ConfigError where it changes that in place: it may be the stored images themselves, or what
    another layer has still to read."""
    with untouched(part, x):
        return core(x)


def activation(layer: Any, new: bool) -> Callable[[Tensor], Tensor] | None:
    """What the layer's key names. new: what comes to it is a tensor that nobody else reads, neither another layer nor a backward pass."""
    name = layer.activation if getattr(layer, "relu", True) else "none"
    if name == "relu" and new:
        return F.relu_  # in place: as fast as a ReLU can be
    return ACTIVATIONS.get(name)


def pooling(layer: Any) -> Callable[[Tensor], Tensor] | None:
    """What the layer's keys name; none where it would change nothing."""
    pool = POOLINGS[layer.pooling]
    if layer.pooling == "adaptive_avg" and pair(layer.pool) == (1, 1):
        return partial(torch.mean, dim=(2, 3), keepdim=True)  # the same, which vmap does without a loop
    if layer.pooling.startswith("adaptive"):
        return partial(pool, output_size=layer.pool)
    if layer.pool == 1 and layer.pool_stride is None:
        return None
    return partial(pool, kernel_size=layer.pool, stride=layer.pool_stride)


def steps_of(block: Block, layer: Any, core: Callable[..., Tensor], norm: nn.Module, drop: nn.Module) -> list[Step]:
    """What a layer does, in its order.

    Functions, modules and bound methods, no closures: those would still belong to the network after it has been copied.
    """
    order, ours = [name for name in layer.order if name == "layer" or name in block.steps], block.module in OURS
    steps: list[Step] = []
    new = False
    for name in order:
        found: Callable[..., Tensor] | None = None
        if name == "layer":
            found = core if ours else partial(watched, named(layer), core)
            new = ours
        elif name == "norm" and not isinstance(norm, nn.Identity):
            found = norm
        elif name == "pool":
            found = pooling(layer)
        elif name == "activation":
            found = activation(layer, new)
        elif name == "drop" and layer.drop > 0:
            found = drop
        if found is not None:
            steps.append((found, name == "drop"))
            new |= name in ("norm", "pool")  # not "drop", which gives what came in where nothing is left out
    return steps


def run(steps: list[Step], x: Tensor, noise: Tensor | None) -> Tensor:
    """Step after step."""
    for step, noisy in steps:
        x = step(x, noise) if noisy else step(x)
    return x
