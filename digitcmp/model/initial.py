"""How weights begin: drawn from an explicit generator, in float32 on the CPU, whatever the network's own type and device are."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

Draw = Callable[[Tensor, torch.Generator], Tensor]  # fills a weight [outputs, inputs, ...]


def bound(weight: Tensor) -> float:
    """1 / sqrt(fan-in)."""
    return float(weight[0].numel() ** -0.5)


def torchs(weight: Tensor, random: torch.Generator) -> Tensor:
    """PyTorch's own default: uniform within ±1 / sqrt(fan-in)."""
    return weight.uniform_(-bound(weight), bound(weight), generator=random)


def kaiming(weight: Tensor, random: torch.Generator) -> Tensor:
    """Normal, with variance 2 / fan-in (He et al. 2015)."""
    return nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=random)


def xavier(weight: Tensor, random: torch.Generator) -> Tensor:
    """Uniform, with variance 2 / (fan-in + fan-out) (Glorot and Bengio 2010)."""
    return nn.init.xavier_uniform_(weight, generator=random)


def orthogonal(weight: Tensor, random: torch.Generator) -> Tensor:
    """Orthogonal rows or columns (Saxe et al. 2014)."""
    return nn.init.orthogonal_(weight, generator=random)


INITS: dict[str, Draw] = {"torch": torchs, "kaiming": kaiming, "xavier": xavier, "orthogonal": orthogonal}


@torch.no_grad()
def initialise(network: nn.Module, random: torch.Generator, init: str = "torch", zero_bias: bool = False) -> None:
    """Draw all weights. Biases are uniform within ±1 / sqrt(fan-in), as PyTorch has them, or zero; norms begin with ones and zeros.

    A module with weights of another kind has a method `initialise` of its own, which is given the generator.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.weight.copy_(INITS[init](torch.empty(module.weight.shape), random))
            if module.bias is not None:
                within = 0.0 if zero_bias else bound(module.weight)
                module.bias.copy_(torch.empty(module.bias.shape).uniform_(-within, within, generator=random))
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.GroupNorm):
            module.reset_parameters()
        elif callable(own := getattr(module, "initialise", None)):
            own(random)
