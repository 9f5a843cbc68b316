"""What moves the weights of a stack of rounds: an optimiser, the shape of its learning rate over the steps, and their average.

The optimiser is a class of torch.optim, with a learning rate of its own for the comparator. torch's OneCycleLR also cycles the
momentum and needs a maximum per group; here every group keeps its own learning rate as the maximum and the shape only
multiplies it. A new shape is one function here and one YAML file.
"""

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import get_ema_multi_avg_fn

from digitcmp.config.registry import Registry, thing
from digitcmp.config.schema import OptimizerConfig
from digitcmp.errors import ConfigError
from digitcmp.promises import NEAR
from digitcmp.train.program import Program

Shape = Callable[[float], float]
Follower = Callable[[Sequence[float]], float]

# Those that work element by element and so treat stacked rounds as independent; LBFGS or Adafactor look at whole tensors.
FUSED = ("SGD", "Adam", "AdamW", "Adagrad")  # all parameters in one kernel: a quarter of the time of a step per parameter
ALGORITHMS = ("SGD", "Adam", "AdamW", "NAdam", "RAdam", "RMSprop", "Adagrad", "Adadelta", "Adamax")
ROUNDS, STEPS, TRIED = 3, 3, ((4, 5), (6,), (2, 3, 3, 3))  # an algorithm of others is tried with: dense weights, biases, a convolution
OPTIMIZERS = Registry[type[Optimizer]]("optimizers", {name: getattr(torch.optim, name) for name in ALGORITHMS}, thing)


def find_algorithm(name: str) -> type[Optimizer]:
    """The class with this name, of torch.optim or of another package. Raises ConfigError for one that is unknown or would mix rounds."""
    if name not in OPTIMIZERS:
        raise ConfigError(f"optimizer.algorithm={name}: choose one of {', '.join(OPTIMIZERS)}")
    return OPTIMIZERS[name]


def uncompiled(algorithm: type[Optimizer]) -> type[Optimizer]:
    """The same algorithm without what torch wraps around two methods for torch.compile, which is not used here.

    The wrappers import torch._dynamo when they are first called: 1 to 2.3 s of processor time and 150 MB in every process. A
    step needs no more of its wrapper than gradients switched off. A torch version that wraps otherwise imports it again, at worst.
    """
    methods = {"add_param_group": inspect.unwrap(algorithm.add_param_group), "step": torch.no_grad()(inspect.unwrap(algorithm.step))}
    return type(algorithm.__name__, (algorithm,), methods)


def make_optimizer(
    program: Program,
    algorithm: str,
    lr: float,
    comparator_lr: float | None,
    options: dict[str, Any],
    apart: Sequence[dict[str, Any]] = (),
) -> Optimizer:
    """An optimiser over the parameters of all rounds. `options` are the algorithm's own; apart: the part, lr and weight_decay of parts
    with their own. Raises ConfigError for unknown options."""
    reader, comparator = program.parameters([group["part"] for group in apart])
    groups: list[dict[str, Any]] = [{"params": list(reader)}, {"params": list(comparator), "lr": comparator_lr or lr}]
    for group in apart:
        own = {name: value for name, value in group.items() if value is not None and name != "part"}
        groups.append({"params": program.part(group["part"]), **own})
    found = find_algorithm(algorithm)
    means = on_device(found, algorithm, program.tensors()[0].device)
    if means.pop("recordable"):
        for group in groups:
            group["lr"] = torch.tensor(group.get("lr", lr), device=program.tensors()[0].device)
    try:
        return uncompiled(found)(groups, lr=lr, **means, **options)  # type: ignore[call-arg]
    except TypeError as error:
        raise ConfigError(f"optimizer.algorithm={algorithm}: {error}") from error


def own_options(optimizer: OptimizerConfig) -> dict[str, Any]:
    """The keys that are the algorithm's own."""
    ours = ("algorithm", "lr", "comparator_lr", "groups", "clip")
    return {name: value for name, value in asdict(optimizer).items() if name not in ours}


def check_stackable(optimizer: OptimizerConfig) -> None:
    """Raise ConfigError where an algorithm of others steps rounds that are stacked otherwise than each by itself: they would learn from
    each other's gradients."""
    name = optimizer.algorithm
    package = OPTIMIZERS.package_of(name)
    if package is None:
        return
    algorithm = uncompiled(find_algorithm(name))
    if not works_by_element(lambda parameters: algorithm(parameters, lr=optimizer.lr, **own_options(optimizer))):  # type: ignore[call-arg]
        raise ConfigError(
            f"engine=stacked: optimizer.algorithm={name} of {package} steps a round otherwise beside others than by itself; let it work "
            "element by element (no norms or means of tensors, nothing random), or use engine=serial or engine=processes"
        )


def works_by_element(make: Callable[[list[Tensor]], Optimizer]) -> bool:
    """Whether the optimiser that this makes of parameters steps each of several rounds as if it were alone."""
    random = torch.Generator().manual_seed(0)

    def drawn() -> list[Tensor]:
        return [torch.randn(ROUNDS, *shape, generator=random) for shape in TRIED]

    def stepped(weights: list[Tensor], steps: list[list[Tensor]]) -> list[Tensor]:
        parameters: list[Tensor] = [torch.nn.Parameter(tensor.clone()) for tensor in weights]
        optimizer = make(parameters)
        for gradients in steps:
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient.clone()
            optimizer.step()
        return [parameter.detach() for parameter in parameters]

    weights, steps = drawn(), [drawn() for _ in range(STEPS)]
    beside = stepped(weights, steps)
    alone = [stepped([one[index] for one in weights], [[one[index] for one in step] for step in steps]) for index in range(ROUNDS)]
    return all(torch.allclose(beside[n], torch.stack([own[n] for own in alone]), equal_nan=True, **NEAR) for n in range(len(TRIED)))


def on_device(algorithm: type[Optimizer], name: str, device: torch.device) -> dict[str, Any]:
    """The options with which an algorithm does its steps there: all at once where it can, and recordable where a GPU is to replay them,
    which takes learning rates that are tensors."""
    can = inspect.signature(algorithm).parameters
    if device.type != "cuda":
        return {"fused": True, "recordable": False} if name in FUSED else {"recordable": False}
    fused = {"fused": True} if name in FUSED and name != "Adagrad" else {}
    capturable = {"capturable": True} if "capturable" in can else {}
    return {**fused, **capturable, "recordable": bool(capturable) or name == "SGD"}


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
    """The named shape with its options, a function of the fraction of steps done. Raises ConfigError for an unknown name."""
    if name in FOLLOWERS:
        return constant
    if name not in SHAPES:
        raise ConfigError(f"scheduler.shape={name}: choose one of {', '.join([*SHAPES, *FOLLOWERS])}")
    return partial(SHAPES[name], **options)


def make_follower(name: str, options: dict[str, Any]) -> Follower | None:
    """The named one, a function of the validation accuracies of a round so far; None for a shape of another kind."""
    return partial(FOLLOWERS[name], **options) if name in FOLLOWERS else None


def schedule(optimizer: Optimizer, shape: Shape, steps: int) -> LambdaLR:
    """A scheduler to be stepped after every optimiser step, `steps` times in all."""
    return LambdaLR(optimizer, lambda step: shape(min(1.0, step / max(1, steps - 1))))


class WeightAverage:
    """After step t, average = d x average + (1 - d) x weights (EMA); the same for batch norm's running statistics.

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
        for tensor, average in zip(self.weights, self.averages, strict=True):
            tensor.copy_(average)
        yield
        if not keep:
            for tensor, own in zip(self.weights, before, strict=True):
                tensor.copy_(own)
