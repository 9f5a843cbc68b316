"""How weights begin: drawn from an explicit generator, in float32 on the CPU, whatever the network's own type and device are."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from digitcmp.errors import ConfigError

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

    A module with weights or buffers of another kind has a method `initialise` of its own, which is given the generator: networks are
    made without memory, so that nothing of what a constructor puts there is left. Raises ConfigError for one that has none.
    """
    for module in network.modules():
        if callable(own := getattr(module, "initialise", None)):
            own(random)
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.GroupNorm | nn.LayerNorm):
            module.reset_parameters()
        elif isinstance(module, nn.Conv2d | nn.Linear):
            check_known(module, {"weight", "bias"})
            module.weight.copy_(INITS[init](torch.empty(module.weight.shape), random))
            if module.bias is not None:
                within = 0.0 if zero_bias else bound(module.weight)
                module.bias.copy_(torch.empty(module.bias.shape).uniform_(-within, within, generator=random))
        else:
            check_known(module, set())


def check_known(module: nn.Module, known: set[str]) -> None:
    """Raise ConfigError for a weight or a buffer of this module that nobody has initialised."""
    for name, _ in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)):
        if name not in known:
            where = f"{type(module).__module__}:{type(module).__name__}"
            torchs_own = where.startswith("torch.")  # which nobody can give a method
            whose = "a class of your own below it, in its place," if torchs_own else "the class"
            if torchs_own and ".parametrize:" in where:
                raise ConfigError(f"{where} has {name}, which nothing sets: torch's parametrisations are not taken; work it out in forward")
            raise ConfigError(f"{where} has {name}, which nothing sets; give {whose} a method initialise(self, random) that does")
