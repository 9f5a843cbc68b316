"""The shape of the learning rate over the steps of a round.

torch's OneCycleLR also cycles the momentum and needs a maximum per group; here every group of parameters keeps its own learning rate as the
maximum, and the shape only multiplies it. A new shape is one function here and one YAML file.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from digitcmp.config.registry import Registry, thing
from digitcmp.errors import ConfigError
from digitcmp.promises import is_looked_at

Shape = Callable[[float], float]
Follower = Callable[[Sequence[float]], float]
TRIED = (0.0, 0.25, 0.5, 0.75, 1.0)  # fractions of the steps that a shape is asked for before it is used


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


def step(progress: float, drops: int, factor: float) -> float:
    """1, and `factor` of what it was after each of `drops` equal parts, of which there is one more."""
    return float(factor ** min(drops, int(progress * (drops + 1))))


def exponential(progress: float, final: float) -> float:
    """From 1 to `final`, by the same factor in every step."""
    return float(final**progress)


def restarts(progress: float, cycles: int, growth: float, final: float) -> float:
    """From 1 to `final` along half a cosine, so many times, each `growth` times as long as the one before (SGDR)."""
    lengths = [growth**cycle for cycle in range(cycles)]
    place = progress * sum(lengths)
    for length in lengths[:-1]:
        if place < length:
            return cosine(place / length, final)
        place -= length
    return cosine(min(1.0, place / lengths[-1]), final)


def plateau(accuracies: Sequence[float], patience: int, factor: float) -> float:
    """What is left of the learning rate after these validation accuracies: `factor` each time that there were more than `patience`
    epochs without a better one."""
    left, best, waited = 1.0, -math.inf, 0
    for accuracy in accuracies:
        best, waited = (accuracy, 0) if accuracy > best else (best, waited + 1)
        if waited > patience:
            left, waited = left * factor, 0
    return left


SHAPES = Registry[Callable[..., float]](
    "schedules",
    {
        "constant": constant,
        "cosine": cosine,
        "onecycle": onecycle,
        "step": step,
        "exponential": exponential,
        "restarts": restarts,
    },
    thing,
)
FOLLOWERS: dict[str, Callable[..., float]] = {"plateau": plateau}  # go by the validation accuracies of a round


def make_shape(name: str, options: dict[str, Any]) -> Shape:
    """The named shape with its options, a function of the fraction of steps done. Raises ConfigError for an unknown name. One of another
    package raises it when it is called, where it is none."""
    if name in FOLLOWERS:
        return constant
    if name not in SHAPES:
        raise ConfigError(f"scheduler.shape={name}: choose one of {', '.join([*SHAPES, *FOLLOWERS])}")
    shape: Shape = partial(SHAPES[name], **options)
    package = SHAPES.package_of(name)
    return shape if package is None else watched(f"scheduler.shape={name} of {package}", shape)


def watched(part: str, shape: Shape) -> Shape:
    """A shape of others that raises ConfigError, with this name, where what it gives is no number from 0 on, or another one when it is
    asked for the same fraction of the steps again (`is_looked_at`), as engines ask in other orders."""
    calls = 0

    def asked(progress: float) -> float:
        nonlocal calls
        value, wanted = shape(progress), "it is to give a number, at least 0, for a fraction of the steps"
        try:
            number = float(value)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{part} gives {value} at {progress}; {wanted}") from error
        if not 0 <= number < math.inf:
            raise ConfigError(f"{part} gives {number} at {progress}; {wanted}")
        if is_looked_at(calls) and (again := float(shape(progress))) != number:
            raise ConfigError(f"{part} gives {number} at {progress}, and then {again}; let it depend on the fraction of the steps alone")
        calls += 1
        return number

    return asked


def check_shape(name: str, shape: Shape) -> None:
    """Raise ConfigError for a shape that fails, or is none (see `watched`), before anything is trained with it."""
    try:
        for progress in TRIED:
            shape(progress)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(f"scheduler.shape={name}: it fails ({type(error).__name__}: {error})") from error


def make_follower(name: str, options: dict[str, Any]) -> Follower | None:
    """The named one, a function of the validation accuracies of a round so far; None for a shape of another kind."""
    return partial(FOLLOWERS[name], **options) if name in FOLLOWERS else None


def schedule(optimizer: Optimizer, shape: Shape, steps: int) -> LambdaLR:
    """A scheduler to be stepped after every optimiser step, `steps` times in all."""
    return LambdaLR(optimizer, lambda step: shape(min(1.0, step / max(1, steps - 1))))
