"""The optimiser of a stack of rounds: any class of torch.optim, with a learning rate of its own for the comparator."""

import inspect
from typing import Any

import torch
from torch.optim import Optimizer

from digitcmp.errors import ConfigError
from digitcmp.train.program import Program

# Those that work element by element and so treat stacked rounds as independent; LBFGS or Adafactor look at whole tensors.
FUSED = ("SGD", "Adam", "AdamW", "Adagrad")  # all parameters in one kernel: a quarter of the time of a step per parameter
ALGORITHMS = ("SGD", "Adam", "AdamW", "NAdam", "RAdam", "RMSprop", "Adagrad", "Adadelta", "Adamax")


def find_algorithm(name: str) -> type[Optimizer]:
    """The class of torch.optim with this name. Raises ConfigError for one that is unknown or would mix rounds."""
    if name not in ALGORITHMS:
        raise ConfigError(f"optimizer.algorithm={name}: choose one of {', '.join(ALGORITHMS)}")
    found: type[Optimizer] = getattr(torch.optim, name)
    return found


def uncompiled(algorithm: type[Optimizer]) -> type[Optimizer]:
    """The same algorithm without what torch wraps around two methods for torch.compile, which is not used here.

    The wrappers import torch._dynamo when they are first called: 1 to 2.3 s of processor time and 150 MB in every process. A
    step needs no more of its wrapper than gradients switched off. A torch version that wraps otherwise imports it again, at worst.
    """
    methods = {"add_param_group": inspect.unwrap(algorithm.add_param_group), "step": torch.no_grad()(inspect.unwrap(algorithm.step))}
    return type(algorithm.__name__, (algorithm,), methods)


def make_optimizer(program: Program, algorithm: str, lr: float, comparator_lr: float | None, options: dict[str, Any]) -> Optimizer:
    """An optimiser over the parameters of all rounds. `options` are the algorithm's own.

    Raises ConfigError for an unknown algorithm or option.
    """
    reader, comparator = program.parameters()
    groups: list[dict[str, Any]] = [{"params": list(reader)}, {"params": list(comparator), "lr": comparator_lr or lr}]
    fused: dict[str, Any] = {"fused": True} if algorithm in FUSED else {}
    try:
        return uncompiled(find_algorithm(algorithm))(groups, lr=lr, **fused, **options)  # type: ignore[call-arg]
    except TypeError as error:
        raise ConfigError(f"optimizer.algorithm={algorithm}: {error}") from error
