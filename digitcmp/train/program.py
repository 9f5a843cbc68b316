"""How several networks are run as one: tensors in and out have an axis [S] of networks in front, those of S rounds, or of
the members of their ensembles, the members of a round side by side."""

import re
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from copy import deepcopy

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from digitcmp.kernels.operations import GroupNorm
from digitcmp.model.comparators import Posterior
from digitcmp.model.network import Outputs, PairNetwork
from digitcmp.train.memory import is_of_elements

COMPARATOR = "comparator"
PARTS = {  # how the names of what a part of the network has learned begin, in a branch or outside
    "tower": r"reader\.(branch(es\.\d+)?\.)?tower\.",
    "digit_dense": r"reader\.(branch(es\.\d+)?\.)?dense\.",
    "digit_head": r"(reader\.branch(es\.\d+)?\.)?head\.",
    "aux_heads": r"reader\.branch(es\.\d+)?\.auxiliary\.",
    "joint_dense": r"dense\.",
    COMPARATOR: r"comparator\.",
}


class Program(ABC):
    """S networks. The training loop knows nothing else of a network.

    dropouts: how many each has. posterior: their comparator, where it has no parameters.
    """

    def __init__(self, networks: Sequence[PairNetwork], learned: Sequence[dict[str, Tensor]]) -> None:
        """networks: what is called. learned: parameters and buffers by name, of each network or of the stack."""
        comparator = networks[0].comparator
        self.dropouts, self.posterior = len(networks[0].dropouts), comparator if isinstance(comparator, Posterior) else None
        self.networks, self.learned = networks, learned

    @abstractmethod
    def __call__(self, images: Tensor, noise: Tensor | None = None) -> Outputs:
        """Images [S, B, 2, s, s], dropout keys [S, dropouts] -> comparison [S, B, 1 to 3], digits [S, B, 2, 10] or None."""

    @abstractmethod
    def of_each(self, find: Callable[[Tensor], Tensor | None]) -> list[dict[str, Tensor]]:
        """For each network, by name: what `find` gives for what it has learned, where it gives something. Of a tensor that is of its
        elements (`is_of_elements`), the part of that network; others are everybody's."""

    def state(self, index: int) -> dict[str, Tensor]:
        """The learned state of one network: copies on the CPU, which do not follow it."""
        return {name: snapshot(tensor) for name, tensor in self.of_each(lambda learned: learned)[index].items()}

    def parameters(self, without: Collection[str] = ()) -> tuple[list[Tensor], list[Tensor]]:
        """Parameters of everything before the comparator, and of the comparator; without those of some parts."""
        named = [(part_of(name), tensor) for learned in self.learned for name, tensor in learned.items() if tensor.requires_grad]
        reader = [parameter for part, parameter in named if part != COMPARATOR and part not in without]
        return reader, [parameter for part, parameter in named if part == COMPARATOR and part not in without]

    def part(self, wanted: str) -> list[Tensor]:
        """Parameters of one part."""
        own = [tensor for learned in self.learned for name, tensor in learned.items() if part_of(name) == wanted]
        return [tensor for tensor in own if tensor.requires_grad]

    def tensors(self) -> list[Tensor]:
        """All that is learned as real numbers, not counts or flags: parameters, and the running statistics of batch norm."""
        return [tensor for learned in self.learned for tensor in learned.values() if tensor.is_floating_point()]

    def train(self, mode: bool) -> None:
        """Switch between training (batch statistics) and evaluation (running statistics)."""
        for network in self.networks:
            network.train(mode)


def part_of(name: str) -> str:
    """The part of the network that has learned what has this name."""
    return next(part for part, begin in PARTS.items() if re.match(begin, name))


def make_program(networks: Sequence[PairNetwork], together: bool = True) -> Program:
    """The program of these networks, which must be alike but for their weights: stacked, or (together=False) one after another."""
    if len(networks) == 1:
        return SingleProgram(networks[0])
    return StackedProgram(networks) if together else SequentialProgram(networks)


class SequentialProgram(Program):
    """Any S: networks that take their turns. On a CPU this is several times faster than stacking them."""

    def __init__(self, networks: Sequence[PairNetwork]) -> None:
        super().__init__(networks, [dict([*each.named_parameters(), *each.named_buffers()]) for each in networks])

    def __call__(self, images: Tensor, noise: Tensor | None = None) -> Outputs:
        outputs = [network(images[index], None if noise is None else noise[index]) for index, network in enumerate(self.networks)]
        return Outputs(*(None if None in same else torch.stack(same) for same in zip(*outputs, strict=True)))  # type: ignore[arg-type]

    def of_each(self, find: Callable[[Tensor], Tensor | None]) -> list[dict[str, Tensor]]:
        return [{name: found for name, tensor in own.items() if (found := find(tensor)) is not None} for own in self.learned]


class SingleProgram(SequentialProgram):
    """S = 1: one ordinary network, whose outputs are not copied into a stack."""

    def __init__(self, network: PairNetwork) -> None:
        super().__init__([network])
        self.network = network

    def __call__(self, images: Tensor, noise: Tensor | None = None) -> Outputs:
        outputs = self.network(images[0], None if noise is None else noise[0])
        return Outputs(*(None if one is None else one[None] for one in outputs))  # type: ignore[arg-type]


class StackedProgram(Program):
    """Any S: parameters and buffers of the rounds stacked along the first axis, one forward for all of them.

    Method: `torch.func` (functional_call, vmap). Whatever a block computes for one network is
    computed for S of them, so that a new block needs no second version of itself. Batch norm's statistics, dropout
    masks and data are each round's own.
    """

    def __init__(self, networks: Iterable[PairNetwork], device: torch.device | None = None) -> None:
        """networks: may be one and the same object, with other weights each time that it comes. device: where the stack is to be, None:
        where they are."""
        learned, skeleton, self.size = defaultdict[str, list[Tensor]](list), None, 0
        for network in networks:
            skeleton = skeleton or deepcopy(network).to("meta")  # its own weights are never used
            for name, tensor in (*network.named_parameters(), *network.named_buffers()):
                learned[name].append(tensor.detach().clone())
            self.size += 1
        assert skeleton is not None
        for module in skeleton.modules():
            if isinstance(module, GroupNorm):
                module.stacked = True
        moved = {name for name, parameter in skeleton.named_parameters() if parameter.requires_grad}
        stacked = {name: torch.stack(tensors).to(device).requires_grad_(name in moved) for name, tensors in learned.items()}
        self.skeleton = skeleton
        super().__init__([skeleton], [stacked])

    def __call__(self, images: Tensor, noise: Tensor | None = None) -> Outputs:
        there = list[bool]()

        def one(learned: dict[str, Tensor], images: Tensor, noise: Tensor | None) -> list[Tensor]:
            outputs = functional_call(self.skeleton, learned, (images, noise))
            there[:] = [output is not None for output in outputs]
            return [output for output in outputs if output is not None]  # vmap returns tensors only

        stacked = iter(vmap(one, in_dims=(0, 0, None if noise is None else 0))(self.learned[0], images, noise))
        return Outputs(*(next(stacked) if found else None for found in there))  # type: ignore[arg-type]

    def of_each(self, find: Callable[[Tensor], Tensor | None]) -> list[dict[str, Tensor]]:
        (learned,) = self.learned
        found = {name: one for name, tensor in learned.items() if (one := find(tensor)) is not None}
        return [
            {name: one[index] if is_of_elements(one.shape, learned[name].shape) else one for name, one in found.items()}
            for index in range(self.size)
        ]


def snapshot(tensor: Tensor) -> Tensor:
    """A copy on the CPU that does not follow the network."""
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
