"""Shapes of the learning rate over the steps of a round, for every parameter group alike, on torch's own LambdaLR.

torch's OneCycleLR also cycles the momentum and needs a maximum per group; here every group keeps its own learning rate
as the maximum and the shape only multiplies it. A new shape is one function here and one YAML file.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from digitcmp.errors import ConfigError

Shape = Callable[[float], float]


def constant(progress: float) -> float:
    """1 throughout."""
    del progress
    return 1.0


def cosine(progress: float, final: float) -> float:
    """From 1 to `final` along half a cosine. progress: fraction of the steps done, in [0, 1]."""
    return final + (1 - final) * (1 + math.cos(math.pi * progress)) / 2


def onecycle(progress: float, start: float, warmup: float, final: float) -> float:
    """From `start` to 1 until `warmup`, then from 1 to `final`, both along half a cosine (Smith and Topin 2018)."""
    if progress < warmup:
        return cosine(1 - progress / warmup, start)
    return cosine((progress - warmup) / (1 - warmup), final)


SHAPES: dict[str, Callable[..., float]] = {"constant": constant, "cosine": cosine, "onecycle": onecycle}


def make_shape(name: str, options: dict[str, Any]) -> Shape:
    """The named shape with its options, a function of the fraction of steps done. Raises ConfigError for an unknown name."""
    if name not in SHAPES:
        raise ConfigError(f"scheduler.shape={name}: choose one of {', '.join(SHAPES)}")
    return partial(SHAPES[name], **options)


def schedule(optimizer: Optimizer, shape: Shape, steps: int) -> LambdaLR:
    """A scheduler to be stepped after every optimiser step, `steps` times in all."""
    return LambdaLR(optimizer, lambda step: shape(min(1.0, step / max(1, steps - 1))))
