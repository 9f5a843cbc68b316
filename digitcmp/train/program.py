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

from digitcmp.data.pairs import Pairs
from digitcmp.model.network import Outputs, PairNetwork
from digitcmp.model.posterior import Posterior

COMPARATOR = "comparator."


class Cutter(Protocol):
    """What can turn images into what it reads."""

    def cut(self, images: Tensor) -> Tensor:
        """What the networks read of images [S, N, 2, 14, 14]: [S, N, ...]. As long as images stay the same, so does this."""


class Program(Cutter, Protocol):
    """S networks. The training loop knows nothing else of a network."""

    dropouts: int
    posterior: Posterior | None  # the networks' comparator, where it has no parameters

    def __call__(self, patches: Tensor, noise: Tensor | None) -> Outputs:
        """What `cut` gave for [S, B] pairs, and dropout keys [S, dropouts] -> comparison [S, B, 1 or 2], digits [S, B, 2, 10]."""

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


def cut_pairs(program: Cutter, pairs: Pairs) -> Pairs:
    """The pairs with their images as the program reads them."""
    return Pairs(program.cut(pairs.images), pairs.target, pairs.digits)


class SingleProgram:
    """S = 1: one ordinary network."""

    def __init__(self, network: PairNetwork) -> None:
        self.network = network
        self.dropouts = len(network.dropouts)
        self.posterior = parameterless(network)

    def cut(self, images: Tensor) -> Tensor:
        return self.network.cut(images[0])[None]

    def __call__(self, patches: Tensor, noise: Tensor | None) -> Outputs:
        comparison, digits = self.network.read(patches[0], None if noise is None else noise[0])
        return Outputs(comparison[None], None if digits is None else digits[None])

    def parameters(self) -> tuple[Sequence[Parameter], Sequence[Parameter]]:
        return divided(dict(self.network.named_parameters()))

    def tensors(self) -> Sequence[Tensor]:
        return real([*self.network.parameters(), *self.network.buffers()])

    def train(self, mode: bool) -> None:
        self.network.train(mode)

    def state(self, index: int) -> dict[str, Tensor]:
        if index:
            raise IndexError(f"a single program has one round, not number {index}")
        return {name: kept(tensor) for name, tensor in self.network.state_dict().items()}


class SequentialProgram:
    """Any S: networks that take their turns. On a CPU this is several times faster than stacking them."""

    def __init__(self, programs: Sequence[SingleProgram]) -> None:
        self.programs = programs
        self.dropouts, self.posterior = programs[0].dropouts, programs[0].posterior

    def cut(self, images: Tensor) -> Tensor:
        patches = self.programs[0].network.cut(images.flatten(0, 1))
        return patches.view(*images.shape[:2], *patches.shape[1:])

    def __call__(self, patches: Tensor, noise: Tensor | None) -> Outputs:
        turns = [
            program(patches[index][None], None if noise is None else noise[index][None]) for index, program in enumerate(self.programs)
        ]
        digits = [turn.digits for turn in turns if turn.digits is not None]
        return Outputs(torch.cat([turn.comparison for turn in turns]), torch.cat(digits) if digits else None)

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


class Reader(nn.Module):
    """A network as a module whose forward reads patches: what `functional_call` can call."""

    def __init__(self, network: PairNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, patches: Tensor, noise: Tensor | None) -> tuple[Tensor, ...]:
        comparison, digits = self.network.read(patches, noise)
        return (comparison,) if digits is None else (comparison, digits)  # vmap takes tensors only


class StackedProgram:
    """Any S: parameters and buffers of the rounds stacked along the first axis, one forward for all of them.

    Method: `torch.func` (stack_module_state, functional_call, vmap). Whatever a block computes for one network is
    computed for S of them, so that a new block needs no second version of itself. Batch norm's statistics, dropout
    masks and data are each round's own.
    """

    def __init__(self, networks: Sequence[PairNetwork]) -> None:
        self.dropouts, self.posterior = len(networks[0].dropouts), parameterless(networks[0])
        readers = [Reader(network) for network in networks]
        self.weights, self.buffers = stack_module_state(list[nn.Module](readers))
        self.skeleton = deepcopy(readers[0]).to("meta")  # its own weights are never used

    def cut(self, images: Tensor) -> Tensor:
        patches = self.skeleton.network.cut(images.flatten(0, 1))
        return patches.view(*images.shape[:2], *patches.shape[1:])

    def __call__(self, patches: Tensor, noise: Tensor | None) -> Outputs:
        def one(weights: dict[str, Tensor], buffers: dict[str, Tensor], patches: Tensor, noise: Tensor | None) -> tuple[Tensor, ...]:
            read: tuple[Tensor, ...] = functional_call(self.skeleton, (weights, buffers), (patches, noise))
            return read

        stacked = vmap(one, in_dims=(0, 0, 0, None if noise is None else 0))
        comparison, *digits = stacked(self.weights, self.buffers, patches, noise)
        return Outputs(comparison, digits[0] if digits else None)

    def parameters(self) -> tuple[Sequence[Parameter], Sequence[Parameter]]:
        return divided({name.removeprefix("network."): weight for name, weight in self.weights.items()})

    def tensors(self) -> Sequence[Tensor]:
        return real([*self.weights.values(), *self.buffers.values()])

    def train(self, mode: bool) -> None:
        self.skeleton.train(mode)

    def state(self, index: int) -> dict[str, Tensor]:
        return {name.removeprefix("network."): kept(tensor[index]) for name, tensor in {**self.weights, **self.buffers}.items()}


def divided(named: dict[str, Parameter]) -> tuple[list[Parameter], list[Parameter]]:
    """Parameters of everything before the comparator, and of the comparator."""
    reader = [parameter for name, parameter in named.items() if not name.startswith(COMPARATOR)]
    return reader, [parameter for name, parameter in named.items() if name.startswith(COMPARATOR)]


def parameterless(network: PairNetwork) -> Posterior | None:
    """The network's comparator, where it has no parameters."""
    return network.comparator if isinstance(network.comparator, Posterior) else None


def real(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Those that hold real numbers, not counts."""
    return [tensor for tensor in tensors if tensor.is_floating_point()]


def kept(tensor: Tensor) -> Tensor:
    """A copy that does not follow the network."""
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
