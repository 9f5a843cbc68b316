"""How the networks of a stack of rounds are run as one: tensors in and out have the rounds axis [S] in front."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import Parameter

from digitcmp.data.pairs import Pairs
from digitcmp.model.network import Outputs, PairNetwork

COMPARATOR = "comparator."


class Program(Protocol):
    """The networks of S rounds. The training loop knows nothing else of a network."""

    dropouts: int

    def cut(self, images: Tensor) -> Tensor:
        """What the networks read of images [S, N, 2, 14, 14]: [S, N, ...]. As long as images stay the same, so does this."""

    def __call__(self, patches: Tensor, noise: Tensor | None) -> Outputs:
        """What `cut` gave for [S, B] pairs, and dropout keys [S, dropouts] -> comparison [S, B, 1 or 2], digits [S, B, 2, 10]."""

    def parameters(self) -> tuple[Sequence[Parameter], Sequence[Parameter]]:
        """Parameters of everything before the comparator, and of the comparator."""

    def train(self, mode: bool) -> None:
        """Switch between training (batch statistics) and evaluation (running statistics)."""

    def state(self, index: int) -> dict[str, Tensor]:
        """The learned state of one round's network."""


def make_program(networks: Sequence[PairNetwork]) -> Program:
    """The program of these rounds' networks, which must be alike but for their weights."""
    return SingleProgram(networks[0]) if len(networks) == 1 else StackedProgram(networks)


def cut_pairs(program: Program, pairs: Pairs) -> Pairs:
    """The pairs with their images as the program reads them."""
    return Pairs(program.cut(pairs.images), pairs.target, pairs.digits)


class SingleProgram:
    """S = 1: one ordinary network."""

    def __init__(self, network: PairNetwork) -> None:
        self.network = network
        self.dropouts = len(network.dropouts)

    def cut(self, images: Tensor) -> Tensor:
        return self.network.cut(images[0])[None]

    def __call__(self, patches: Tensor, noise: Tensor | None) -> Outputs:
        comparison, digits = self.network.read(patches[0], None if noise is None else noise[0])
        return Outputs(comparison[None], None if digits is None else digits[None])

    def parameters(self) -> tuple[Sequence[Parameter], Sequence[Parameter]]:
        return divided(dict(self.network.named_parameters()))

    def train(self, mode: bool) -> None:
        self.network.train(mode)

    def state(self, index: int) -> dict[str, Tensor]:
        if index:
            raise IndexError(f"a single program has one round, not number {index}")
        return {name: kept(tensor) for name, tensor in self.network.state_dict().items()}


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
        self.dropouts = len(networks[0].dropouts)
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

    def train(self, mode: bool) -> None:
        self.skeleton.train(mode)

    def state(self, index: int) -> dict[str, Tensor]:
        return {name.removeprefix("network."): kept(tensor[index]) for name, tensor in {**self.weights, **self.buffers}.items()}


def divided(named: dict[str, Parameter]) -> tuple[list[Parameter], list[Parameter]]:
    """Parameters of everything before the comparator, and of the comparator."""
    reader = [parameter for name, parameter in named.items() if not name.startswith(COMPARATOR)]
    return reader, [parameter for name, parameter in named.items() if name.startswith(COMPARATOR)]


def kept(tensor: Tensor) -> Tensor:
    """A copy that does not follow the network."""
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
