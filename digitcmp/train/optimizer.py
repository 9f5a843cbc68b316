"""What moves the weights of a stack of rounds: an optimiser, a class of torch.optim with a learning rate of its own for the comparator; and
the average of the weights."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.swa_utils import get_ema_multi_avg_fn

from digitcmp.config.registry import ALGORITHMS, Registry, thing
from digitcmp.config.schema import OptimizerConfig
from digitcmp.errors import ConfigError
from digitcmp.train.memory import is_own
from digitcmp.train.program import Program

FUSED = ("SGD", "Adam", "AdamW", "Adagrad")  # all parameters in one kernel: a quarter of the time of a step per parameter
OPTIMIZERS = Registry[type[Optimizer]]("optimizers", {name: getattr(torch.optim, name) for name in ALGORITHMS}, thing)


def find_algorithm(name: str) -> type[Optimizer]:
    """The class with this name, of torch.optim or of another package. Raises ConfigError for one that is unknown or would mix rounds, and
    for what is no such class."""
    if name not in OPTIMIZERS:
        raise ConfigError(f"optimizer.algorithm={name}: choose one of {', '.join(OPTIMIZERS)}")
    found: object = OPTIMIZERS[name]
    if not (isinstance(found, type) and issubclass(found, Optimizer)):
        raise ConfigError(
            f"optimizer.algorithm={name}: {name_of(found)} is no class below torch.optim.Optimizer, as an optimiser has to be"
        )
    return found


def name_of(thing: object) -> str:
    """What a function or a class is called; what another object is of."""
    return str(getattr(thing, "__qualname__", type(thing).__qualname__))


def uncompiled(algorithm: type[Optimizer]) -> type[Optimizer]:
    """The same algorithm without what torch wraps around two methods for torch.compile, which is not used here.

    The wrappers import torch._dynamo when they are first called: 1 to 2.3 s of processor time and 150 MB in every process. A
    step needs no more of its wrapper than gradients switched off. A torch version that wraps otherwise imports it again, at worst.
    The class is of the module that the algorithm is of, by which it is told whose it is; what others have wrapped around their step stays.
    """
    methods = {"add_param_group": unwrapped(algorithm, "add_param_group"), "step": torch.no_grad()(unwrapped(algorithm, "step"))}
    return type(algorithm.__name__, (algorithm,), {**methods, "__module__": algorithm.__module__, "__qualname__": algorithm.__qualname__})


def unwrapped(algorithm: type[Optimizer], name: str) -> Callable[..., Any]:
    """A method of an algorithm, without what is wrapped around it where it is torch's own."""
    method: Callable[..., Any] = getattr(algorithm, name)
    of = next(one for one in algorithm.__mro__ if name in vars(one))
    return method if is_own(of) else inspect.unwrap(method)


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
    return called(found, algorithm, groups, lr=lr, **means, **options)


def called(found: type[Optimizer], name: str, parameters: Sequence[Any], **given: Any) -> Optimizer:
    """An optimiser of this class, which has this name, over parameters, or groups of them. Raises ConfigError where it does not take what
    it is given."""
    takes = inspect.signature(found).parameters
    lost = [one for one in given if one not in takes]
    if lost and not any(one.kind is one.VAR_KEYWORD for one in takes.values()):
        raise ConfigError(
            f"optimizer.algorithm={name}: {found.__name__} takes no {' and no '.join(lost)}; an optimiser is called with the parameters, "
            f"lr, weight_decay and the keys of its own dataclass, by their names ({', '.join(given)})"
        )
    try:
        return uncompiled(found)(parameters, **given)
    except TypeError as error:
        raise ConfigError(f"optimizer.algorithm={name}: {error}") from error


def own_options(optimizer: OptimizerConfig) -> dict[str, Any]:
    """The keys that are the algorithm's own."""
    ours = ("algorithm", "lr", "comparator_lr", "groups", "clip")
    return {name: value for name, value in asdict(optimizer).items() if name not in ours}


def on_device(algorithm: type[Optimizer], name: str, device: torch.device) -> dict[str, Any]:
    """The options with which an algorithm does its steps there: all at once where it can, and recordable where a GPU is to replay them,
    which takes learning rates that are tensors."""
    can = inspect.signature(algorithm).parameters
    if device.type != "cuda":
        return {"fused": True, "recordable": False} if name in FUSED else {"recordable": False}
    fused = {"fused": True} if name in FUSED and name != "Adagrad" else {}
    capturable = {"capturable": True} if "capturable" in can else {}
    return {**fused, **capturable, "recordable": bool(capturable) or name == "SGD"}


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
