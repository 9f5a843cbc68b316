"""How the networks of a stack of rounds are run as one: tensors in and out have the rounds axis [S] in front."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import Parameter

from digitcmp.model.network import Outputs, PairNetwork


class Program(Protocol):
    """The networks of S rounds. The training loop knows nothing else of a network."""

    dropouts: int

    def __call__(self, images: Tensor, noise: Tensor | None) -> Outputs:
        """Images [S, B, 2, 14, 14] and dropout keys [S, dropouts] -> comparison [S, B, 1 or 2], digits [S, B, 2, 10]."""

    def parameters(self) -> tuple[Sequence[Parameter], Sequence[Parameter]]:
        """Parameters of everything before the comparator, and of the comparator."""

    def train(self, mode: bool) -> None:
        """Switch between training (batch statistics) and evaluation (running statistics)."""

    def state(self, index: int) -> dict[str, Tensor]:
        """The learned state of one round's network."""


class SingleProgram:
    """S = 1: one ordinary network. Source of the layout: rounds are an axis, and one round is a stack of one."""

    def __init__(self, network: PairNetwork) -> None:
        self.network = network
        self.dropouts = len(network.dropouts)

    def __call__(self, images: Tensor, noise: Tensor | None) -> Outputs:
        comparison, digits = self.network(images[0], None if noise is None else noise[0])
        return Outputs(comparison[None], None if digits is None else digits[None])

    def parameters(self) -> tuple[Sequence[Parameter], Sequence[Parameter]]:
        comparator = list(self.network.comparator.parameters())
        known = {id(parameter) for parameter in comparator}
        return [parameter for parameter in self.network.parameters() if id(parameter) not in known], comparator

    def train(self, mode: bool) -> None:
        self.network.train(mode)

    def state(self, index: int) -> dict[str, Tensor]:
        if index:
            raise IndexError(f"a single program has one round, not number {index}")
        return {
            name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in self.network.state_dict().items()
        }
