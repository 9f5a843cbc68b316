"""The keys of a network's layers: a core of some kind (`digitcmp.config.blocks`), and what surrounds it, in an order."""

from dataclasses import dataclass
from typing import Any

from digitcmp.config.schema.key import key

ACTIVATIONS = ("relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "none")
NORMS = ("batch", "group", "layer", "instance")
POOLINGS = ("max", "avg", "adaptive_max", "adaptive_avg")

NORM = "batch norm sits here when model.batchnorm is on"
OWN_NORM = f"true: {NORM}; {', '.join(NORMS)}: such a norm in any case; none: as false"
DROP = "true: dropout sits here when model.dropout is above 0; a number: the share that is left out here in any case"
KIND = "the block that the layer is made of (docs/adding.md)"
AFFINE = "the norm learns a scale and a shift"
GROUPS = "groups of norm: group"
OPTIONS = "keys of a block from another package"


@dataclass
class ConvLayer:
    """A layer of the tower: a convolution (or another block), followed by its norm (if any), pooling and an activation."""

    channels: int | None = key(None, at_least=1, help="how many it puts out; null: as many as come in, where a block allows that")
    kernel: Any = key(3, at_least=1, takes="pair", help="height and width of its window, in pixels; [H,W]: not square")
    padding: Any = key(0, at_least=0, takes="pair", help="rows and columns of zeros around the image")
    pool: Any = key(1, at_least=1, takes="pair", help="height and width of its pooling, or of what an adaptive one leaves; 1: none")
    norm: bool | str = key(False, choices=(False, True, *NORMS, "none"), help=OWN_NORM)
    kind: str = key("conv", help=KIND)
    stride: Any = key(1, at_least=1, takes="pair", help="pixels from one window to the next")
    dilation: Any = key(1, at_least=1, takes="pair", help="pixels from one weight of a window to the next")
    groups: int = key(1, at_least=1, help="of channels that do not see each other; as many as channels: depthwise")
    bias: bool = key(True, help="a bias is learned")
    pooling: str = key("max", choices=POOLINGS, help="what is kept of each window; adaptive_avg with pool 1: the mean of the image")
    pool_stride: Any = key(None, at_least=1, takes="pair or null", help="pixels from one window of its pooling to the next; null: pool")
    activation: str = key("relu", choices=ACTIVATIONS, help="what follows")
    affine: bool = key(True, help=AFFINE)
    norm_groups: int = key(1, at_least=1, help=GROUPS)
    drop: Any = key(False, takes="share", at_least=0, below=1, help=DROP)
    drop_channels: bool = key(False, help="dropout leaves out whole channels")
    order: tuple[str, ...] = key(
        ("layer", "norm", "pool", "activation", "drop"),
        choices=("layer", "norm", "pool", "activation", "drop"),
        help="what comes after what",
    )
    options: dict[str, Any] = key(factory=dict, help=OPTIONS)


@dataclass
class DenseLayer:
    """A dense layer, followed by its norm (if any), an activation and dropout."""

    units: int | None = key(None, at_least=1, help="how many it puts out; null: as many as come in, where a block allows that")
    relu: bool = key(True, help="false: no activation follows")
    norm: bool | str = key(False, choices=(False, True, *NORMS, "none"), help=OWN_NORM)
    drop: Any = key(False, takes="share", at_least=0, below=1, help=DROP)
    kind: str = key("dense", help=KIND)
    bias: bool = key(True, help="a bias is learned")
    activation: str = key("relu", choices=ACTIVATIONS, help="what follows")
    affine: bool = key(True, help=AFFINE)
    norm_groups: int = key(1, at_least=1, help=GROUPS)
    order: tuple[str, ...] = key(
        ("layer", "norm", "activation", "drop"), choices=("layer", "norm", "activation", "drop"), help="what comes after what"
    )
    options: dict[str, Any] = key(factory=dict, help=OPTIONS)
