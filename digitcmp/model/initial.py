"""How weights begin: drawn from an explicit generator, in float32 on the CPU, whatever the network's own type and device are."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from digitcmp.errors import ConfigError
from digitcmp.promises import written

NORMS = (  # which begin with ones and zeros
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d),
    *(nn.GroupNorm, nn.LayerNorm, nn.RMSNorm),
)
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

    A module with weights or buffers of another kind, or one around it, has a method `initialise` of its own, which is given the generator
    when what is within has been drawn: networks are made without memory, so that nothing of what a constructor puts there is left. Raises
    ConfigError for a weight or a buffer that nothing has set.
    """
    waiting = list[Unset]()
    for module in inner_first(network, set()):
        if callable(own := getattr(module, "initialise", None)):
            waiting += unknown(module, set())
            own(random)
        elif isinstance(module, NORMS):
            waiting += unknown(module, {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"})
            module.reset_parameters()
        elif isinstance(module, nn.Conv2d | nn.Linear):
            waiting += unknown(module, {"weight", "bias"})
            module.weight.copy_(INITS[init](torch.empty(module.weight.shape), random))
            if module.bias is not None:
                within = 0.0 if zero_bias else bound(module.weight)
                module.bias.copy_(torch.empty(module.bias.shape).uniform_(-within, within, generator=random))
        else:
            waiting += unknown(module, set())
    for one in waiting:
        one.check()


def inner_first(module: nn.Module, seen: set[nn.Module]) -> Iterator[nn.Module]:
    """A module behind all that it has, each once."""
    if module not in seen:
        seen.add(module)
        for child in module.children():
            yield from inner_first(child, seen)
        yield module


@dataclass(frozen=True)
class Unset:
    """A weight or a buffer of a module that its `initialise` is to set, or that of one around it. writes: how often it has been written
    to."""

    module: nn.Module
    name: str
    tensor: Tensor
    writes: int

    def check(self) -> None:
        """Raise ConfigError where nothing has set it, in whatever way, or something has put another kind of tensor in its place."""
        now = getattr(self.module, self.name, None)
        if not isinstance(now, Tensor) or (now.shape, now.dtype) != (self.tensor.shape, self.tensor.dtype):
            raise ConfigError(
                f"{class_name(self.module)}: its initialise makes {self.name} another tensor than its constructor; set its numbers"
            )
        if now is self.tensor and not now.is_floating_point():
            unset = written(now) == self.writes and bool(now.numel()) and bool((now == number_for(now)).all())
        else:
            unset = bool(now.isnan().any())
        if not unset:
            return
        torchs_own = class_name(self.module).startswith("torch.")  # which nobody can give a method
        whose = "a class of your own below it, in its place, or around it," if torchs_own else "the class"
        raise ConfigError(f"{nothing_sets(self.module, self.name)}; give {whose} a method initialise(self, random) that does")


def class_name(module: nn.Module) -> str:
    """Its class, and the module that has it."""
    return f"{type(module).__module__}:{type(module).__name__}"


def nothing_sets(module: nn.Module, name: str) -> str:
    """What is wrong with a weight or a buffer of a module."""
    return f"{class_name(module)} has {name}, which nothing sets"


def number_for(tensor: Tensor) -> float:
    """What stands where nothing is set: no number, or one that nobody needs; of flags, one of two."""
    if tensor.is_floating_point() or tensor.is_complex():
        return math.nan
    return 1 if tensor.dtype == torch.bool else 117


def unknown(module: nn.Module, known: set[str]) -> Iterator[Unset]:
    """The weights and buffers of this module that are set by nothing here: no numbers, until something sets them (by way of `.data`, say,
    which torch does not count). Raises ConfigError for those that a weight of torch's is worked out from."""
    for name, tensor in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)):
        if name in known:
            continue
        if ".parametrize:" in class_name(module):
            raise ConfigError(f"{nothing_sets(module, name)}: torch's parametrisations are not taken; work it out in forward")
        tensor.fill_(number_for(tensor))
        yield Unset(module, name, tensor, written(tensor))
