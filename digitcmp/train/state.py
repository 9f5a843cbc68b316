"""What a training goes on from: all that its networks and their optimiser have come to, by name, a part for each network.

Orders, augmentation, dropout and the learning rate are no part of it: they follow from seeds and epochs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor
from torch.optim import Optimizer

from digitcmp.train.optimizer import WeightAverage
from digitcmp.train.program import Program, snapshot
from digitcmp.train.stopping import Stopping

Find = Callable[[Tensor], Tensor | None]
History = Sequence[Sequence[float]]
OPTIMIZER = "optimizer."  # how the kinds of what an optimiser remembers begin


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
        memory: Tensor | float | None = optimizer.state.get(tensor, {}).get(name)
        return memory if memory is None or isinstance(memory, Tensor) else as_tensor(memory)

    names = sorted({name for memory in optimizer.state.values() for name in memory})
    return {
        "learned": lambda tensor: tensor,
        "average": averages.get,
        "best": stopping.copies.get,
        **{OPTIMIZER + name: partial(remembered, name) for name in names},
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
    remembered = {name.partition("/")[2] for name in state.networks[0] if name.startswith(OPTIMIZER)}
    for learned in program.learned:
        for name in remembered & set(learned):
            learned[name].grad = torch.zeros_like(learned[name])
    optimizer.step()  # gives it a memory for what has a gradient; the numbers that come of it are all replaced
    complete(state, program, optimizer)
    plain = [(memory, name) for memory in optimizer.state.values() for name, value in memory.items() if not isinstance(value, Tensor)]
    for memory, name in plain:  # numbers of an optimiser of others, to be copied into as tensors are
        memory[name] = as_tensor(memory[name])
    left = [dict(saved) for saved in state.networks]
    for kind, find in kinds(program, optimizer, average, stopping).items():
        for own, saved in zip(program.of_each(find), left, strict=True):
            for name, tensor in own.items():
                value = saved.pop(f"{kind}/{name}", None)
                if value is None or value.shape != tensor.shape or value.dtype != tensor.dtype:
                    raise ValueError(f"the state to go on from is of another network ({kind} of {name})")
                tensor.copy_(value)
    for memory, name in plain:
        number = memory[name].item()
        memory[name] = int(number) if number.is_integer() else number
    if any(left):
        raise ValueError(f"the state to go on from is of another network (it has {next(iter(next(filter(None, left))))})")


def complete(state: State, program: Program, optimizer: Optimizer) -> None:
    """Give an optimiser of others what it remembers only after more steps than one."""
    for learned, saved in zip(program.learned, state.networks, strict=False):  # a stack has one for all of them
        for name, tensor in learned.items():
            for key in [key for key in saved if key.startswith(OPTIMIZER) and key.partition("/")[2] == name]:
                kind, value = key.removeprefix(OPTIMIZER).partition("/")[0], saved[key]
                if kind not in optimizer.state[tensor]:
                    own = value.shape == saved[f"learned/{name}"].shape
                    optimizer.state[tensor][kind] = torch.zeros_like(tensor) if own else torch.zeros_like(value)


def as_tensor(number: float) -> Tensor:
    """A number that an optimiser remembers."""
    return torch.tensor(number, dtype=torch.float64)
