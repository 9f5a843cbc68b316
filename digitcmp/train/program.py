"""How several networks are run as one: tensors in and out have an axis [S] of networks in front, those of S rounds, or of
the members of their ensembles, the members of a round side by side."""

from collections.abc import Sequence
from copy import deepcopy
from itertools import chain
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import Parameter

from digitcmp.model.network import Outputs, PairNetwork
from digitcmp.model.posterior import Posterior

COMPARATOR = "comparator."


class Program(Protocol):
    """S networks. The training loop knows nothing else of a network."""

    dropouts: int
    posterior: Posterior | None  # the networks' comparator, where it has no parameters

    def __call__(self, images: Tensor, noise: Tensor | None = None) -> Outputs:
        """Images [S, B, 2, 14, 14], dropout keys [S, dropouts] -> comparison [S, B, 1 or 2], digits [S, B, 2, 10] or None."""

    def parameters(self) -> tuple[Sequence[Parameter], Sequence[Parameter]]:
        """Parameters of everything before the comparator, and of the comparator."""

    def tensors(self) -> Sequence[Tensor]:
        """All that is learned as real numbers: parameters, and the running statistics of batch norm."""

    def train(self, mode: bool) -> None:
        """Switch between training (batch statistics) and evaluation (running statistics)."""

    def state(self, index: int) -> dict[str, Tensor]:
        """The learned state of one network."""


def make_program(networks: Sequence[PairNetwork], together: bool = True) -> Program:
    """The program of these networks, which must be alike but for their weights: stacked, or (together=False) one after another."""
    if len(networks) == 1:
        return SingleProgram(networks[0])
    return StackedProgram(networks) if together else SequentialProgram([SingleProgram(network) for network in networks])


class SingleProgram:
    """S = 1: one ordinary network."""

    def __init__(self, network: PairNetwork) -> None:
        self.network = network
        self.dropouts = len(network.dropouts)
        self.posterior = posterior_of(network)

    def __call__(self, images: Tensor, noise: Tensor | None = None) -> Outputs:
        comparison, digits = self.network(images[0], None if noise is None else noise[0])
        return Outputs(comparison[None], None if digits is None else digits[None])

    def parameters(self) -> tuple[Sequence[Parameter], Sequence[Parameter]]:
        return split_parameters(dict(self.network.named_parameters()))

    def tensors(self) -> Sequence[Tensor]:
        return floating([*self.network.parameters(), *self.network.buffers()])

    def train(self, mode: bool) -> None:
        self.network.train(mode)

    def state(self, index: int) -> dict[str, Tensor]:
        if index:
            raise IndexError(f"a single program has one round, not number {index}")
        return {name: snapshot(tensor) for name, tensor in self.network.state_dict().items()}


class SequentialProgram:
    """Any S: networks that take their turns. On a CPU this is several times faster than stacking them."""

    def __init__(self, programs: Sequence[SingleProgram]) -> None:
        self.programs = programs
        self.dropouts, self.posterior = programs[0].dropouts, programs[0].posterior

    def __call__(self, images: Tensor, noise: Tensor | None = None) -> Outputs:
        outputs = [
            program(images[index, None], None if noise is None else noise[index, None]) for index, program in enumerate(self.programs)
        ]
        digits = [each.digits for each in outputs if each.digits is not None]
        return Outputs(torch.cat([each.comparison for each in outputs]), torch.cat(digits) if digits else None)

    def parameters(self) -> tuple[Sequence[Parameter], Sequence[Parameter]]:
        readers, comparators = zip(*(program.parameters() for program in self.programs), strict=True)
        return list(chain(*readers)), list(chain(*comparators))

    def tensors(self) -> Sequence[Tensor]:
        return list(chain(*(program.tensors() for program in self.programs)))

    def train(self, mode: bool) -> None:
        for program in self.programs:
            program.train(mode)

    def state(self, index: int) -> dict[str, Tensor]:
        return self.programs[index].state(0)


class StackedProgram:
    """Any S: parameters and buffers of the rounds stacked along the first axis, one forward for all of them.

    Method: `torch.func` (stack_module_state, functional_call, vmap). Whatever a block computes for one network is
    computed for S of them, so that a new block needs no second version of itself. Batch norm's statistics, dropout
    masks and data are each round's own.
    """

    def __init__(self, networks: Sequence[PairNetwork]) -> None:
        self.dropouts, self.posterior = len(networks[0].dropouts), posterior_of(networks[0])
        self.weights, self.buffers = stack_module_state(list[nn.Module](networks))
        self.skeleton = deepcopy(networks[0]).to("meta")  # its own weights are never used

    def __call__(self, images: Tensor, noise: Tensor | None = None) -> Outputs:
        def one(weights: dict[str, Tensor], buffers: dict[str, Tensor], images: Tensor, noise: Tensor | None) -> list[Tensor]:
            outputs = functional_call(self.skeleton, (weights, buffers), (images, noise))
            return [output for output in outputs if output is not None]  # vmap returns tensors only

        stacked = vmap(one, in_dims=(0, 0, 0, None if noise is None else 0))
        comparison, *digits = stacked(self.weights, self.buffers, images, noise)
        return Outputs(comparison, digits[0] if digits else None)

    def parameters(self) -> tuple[Sequence[Parameter], Sequence[Parameter]]:
        return split_parameters(self.weights)

    def tensors(self) -> Sequence[Tensor]:
        return floating([*self.weights.values(), *self.buffers.values()])

    def train(self, mode: bool) -> None:
        self.skeleton.train(mode)

    def state(self, index: int) -> dict[str, Tensor]:
        return {name: snapshot(tensor[index]) for name, tensor in {**self.weights, **self.buffers}.items()}


def split_parameters(named: dict[str, Parameter]) -> tuple[list[Parameter], list[Parameter]]:
    """Parameters of everything before the comparator, and of the comparator."""
    reader = [parameter for name, parameter in named.items() if not name.startswith(COMPARATOR)]
    return reader, [parameter for name, parameter in named.items() if name.startswith(COMPARATOR)]


def posterior_of(network: PairNetwork) -> Posterior | None:
    """The network's comparator, where it has no parameters."""
    return network.comparator if isinstance(network.comparator, Posterior) else None


def floating(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Those that hold real numbers, not counts or flags."""
    return [tensor for tensor in tensors if tensor.is_floating_point()]


def snapshot(tensor: Tensor) -> Tensor:
    """A copy that does not follow the network."""
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
