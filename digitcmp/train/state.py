"""What a training goes on from: all that its networks and their optimiser have come to, by name, a part for each network.

Orders, augmentation, dropout and the learning rate are no part of it: they follow from seeds and epochs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from digitcmp.train.memory import is_of_elements, is_own
from digitcmp.train.optimizer import WeightAverage
from digitcmp.train.program import Program, StackedProgram, snapshot
from digitcmp.train.stopping import Stopping

Find = Callable[[Tensor], Tensor | None]
History = Sequence[Sequence[float]]
OPTIMIZER, NUMBER = "optimizer.", "number."  # how the kinds of what an optimiser remembers begin: tensors, and numbers of Python's
REMEMBERED = (OPTIMIZER, NUMBER)


@dataclass(frozen=True)
class State:
    """What a training goes on from after so many epochs. networks: for each, copies on the CPU, named KIND/NAME. history: the validation
    accuracies of each round."""

    epoch: int
    networks: Sequence[dict[str, Tensor]] = field(repr=False)
    history: History = ()


def kinds(program: Program, optimizer: Optimizer, average: WeightAverage, stopping: Stopping) -> dict[str, Find]:
    """What there is for what networks learn: itself, its average, and all that the optimiser remembers of it."""
    averages = dict(zip(program.tensors(), average.averages, strict=True)) if average.averages else {}

    def remembered(name: str, tensor: Tensor) -> Tensor | None:
        memory = optimizer.state.get(tensor, {}).get(name)
        return memory if isinstance(memory, Tensor) else None

    def number(name: str, tensor: Tensor) -> Tensor | None:
        memory = optimizer.state.get(tensor, {}).get(name)
        return as_tensor(memory) if is_number(memory) else None

    names = sorted({name for memory in optimizer.state.values() for name in memory})
    return {
        "learned": lambda tensor: tensor,
        "average": averages.get,
        "best": stopping.copies.get,
        **{OPTIMIZER + name: partial(remembered, name) for name in names},
        **{NUMBER + name: partial(number, name) for name in names},
    }


def capture(epoch: int, program: Program, optimizer: Optimizer, average: WeightAverage, stopping: Stopping) -> State:
    """The state after so many epochs."""

    def copied(find: Find, tensor: Tensor) -> Tensor | None:
        return None if (found := find(tensor)) is None else snapshot(found)

    copies = {kind: program.of_each(partial(copied, find)) for kind, find in kinds(program, optimizer, average, stopping).items()}
    networks = range(len(copies["learned"]))
    return State(
        epoch,
        [{f"{kind}/{name}": tensor for kind, of in copies.items() for name, tensor in of[one].items()} for one in networks],
        stopping.history,
    )


@torch.no_grad()
def put_back(state: State, program: Program, optimizer: Optimizer, average: WeightAverage, stopping: Stopping) -> None:
    """Give a program that has not been trained the numbers of a state. Raises ValueError where that is the state of other networks."""
    remembered = {name.partition("/")[2] for name in state.networks[0] if name.startswith(REMEMBERED)}
    for learned in program.learned:
        for name in remembered & set(learned):
            learned[name].grad = torch.zeros_like(learned[name])
    optimizer.step()  # gives it a memory for what has a gradient; the numbers that come of it are all replaced
    left = [dict(saved) for saved in state.networks]
    recall(left, program, optimizer)
    for kind, find in kinds(program, optimizer, average, stopping).items():
        if kind.startswith(REMEMBERED):
            continue
        for own, saved in zip(program.of_each(find), left, strict=True):
            for name, tensor in own.items():
                value = saved.pop(f"{kind}/{name}", None)
                if value is None or value.shape != tensor.shape or value.dtype != tensor.dtype:
                    raise of_another(f"{kind} of {name}")
                tensor.copy_(value)
    if any(left):
        raise of_another(f"it has {next(iter(next(filter(None, left))))}")


def recall(left: Sequence[dict[str, Tensor]], program: Program, optimizer: Optimizer) -> None:
    """Give an optimiser that has taken a step what it remembered, which is taken from `left`. One of others may have remembered more, or
    less, and in other shapes. Raises ValueError where one of torch's has not."""
    together = len(left) // len(program.learned)  # a stack has one for all of them
    for index, learned in enumerate(program.learned):
        saved = left[index * together : (index + 1) * together]
        for name, tensor in learned.items():
            before, after = optimizer.state.pop(tensor, {}), dict[str, Any]()
            for key in [key for key in saved[0] if key.startswith(REMEMBERED) and key.partition("/")[2] == name]:
                values = [one.pop(key) for one in saved if key in one]
                if len(values) < together:
                    raise of_another(f"{key} is not of all networks of a stack")
                kind = key.partition("/")[0].partition(".")[2]
                after[kind] = values[0].item() if key.startswith(NUMBER) else joined(values, before.get(kind), tensor, program)
            if not is_own(type(optimizer)) and (lost := different(before, after)):
                raise of_another(f"{OPTIMIZER}{lost} of {name}")
            if after:
                optimizer.state[tensor] = after


def joined(ones: Sequence[Tensor], before: object, learned: Tensor, program: Program) -> Tensor:
    """What an optimiser remembers of something learned, from what is saved of each network: of a stack, side by side where it is of their
    elements. before: what it remembers after one step."""
    known = before if isinstance(before, Tensor) else None
    device = known.device if known is not None else learned.device if ones[0].dim() else torch.device("cpu")
    value = ones[0]
    if isinstance(program, StackedProgram) and (known is None or known.dim() > value.dim()):
        value = torch.stack([*ones]) if is_of_elements(torch.Size((len(ones), *value.shape)), learned.shape) else value
    # some steps (fused ones) take it for granted that all of them lie in memory as the parameter does
    like = next((one for one in (known, learned) if one is not None and one.shape == value.shape), value)
    return torch.empty_like(like, dtype=value.dtype, device=device).copy_(value)


def different(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """What is not there after it was put back, or is of another shape; empty for nothing."""
    for name, value in before.items():
        other = after.get(name)
        if isinstance(value, Tensor) and isinstance(other, Tensor):
            if (value.shape, value.dtype) != (other.shape, other.dtype):
                return name
        elif type(other) is not type(value):
            return name
    return ""


def of_another(what: str) -> ValueError:
    """What is raised for the state of other networks."""
    return ValueError(f"the state to go on from is of another network ({what})")


def as_tensor(number: float) -> Tensor:
    """A number that an optimiser remembers, exactly, with a type for each of Python's (`is_number`)."""
    kind = {bool: torch.bool, int: torch.int64, float: torch.float64}[type(number)]
    return torch.tensor(number, dtype=kind)


def is_number(value: object) -> bool:
    """Whether this is a number that a checkpoint can have: True or False, a whole one of up to 64 bits, or a float."""
    return type(value) in (bool, float) or (type(value) is int and -(2**63) <= value < 2**63)
