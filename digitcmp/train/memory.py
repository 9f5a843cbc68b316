"""What parts of others remember, as far as it is numbers: for comparison with what it was, and with what it would be elsewhere."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from digitcmp.errors import ConfigError
from digitcmp.promises import NEAR, unwrapped

EQUAL = {"rtol": 0.0, "atol": 0.0}
OURS, OWN = ("digitcmp.", "torch."), "digitcmp.own."  # how the names of modules begin


class NetworkMemory:
    """What blocks of others have in attributes, which is no part of a network's state: numbers that they count, say."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        self.networks, self.begun = networks, attributes(networks)

    def check_kept(self) -> None:
        """Raise ConfigError where something of that is not what it was when the training began: no checkpoint has it."""
        for name, (kind, values) in attributes(self.networks).items():
            _, before = self.begun.get(name, (kind, {}))
            if lost := [f"self.{key}" for key, value in values.items() if not alike(value, before.get(key), near=EQUAL)]:
                raise ConfigError(
                    f"checkpoint_every: {kind} remembers {', '.join(lost)}, which a checkpoint does not have; keep it in a buffer "
                    "(register_buffer), or leave checkpoint_every out"
                )


def attributes(networks: Sequence[nn.Module]) -> dict[str, tuple[str, dict[str, Any]]]:
    """The class of each of others' modules, and the numbers in its attributes, by where it is."""
    found, standard = {}, vars(nn.Module())
    for place, network in enumerate(networks):
        for name, module in network.named_modules():
            whose, kind = f"{type(module).__module__}.", f"{type(module).__module__}:{type(module).__name__}"
            if whose.startswith(OWN) or not whose.startswith(OURS):
                values = {key: numbers(value) for key, value in vars(module).items() if key not in standard}
                found[f"{place}.{name}"] = kind, {key: value for key, value in values.items() if value is not None}
    return found


def numbers(value: Any) -> Any:
    """A copy of a value as far as it is numbers, or lists and dictionaries of them, or gives random ones; None where it is nothing of the
    kind."""
    if isinstance(value, Tensor):
        return unwrapped(value).detach().clone()
    if isinstance(value, dict):
        return {index if isinstance(name, Tensor) else str(name): numbers(one) for index, (name, one) in enumerate(value.items())}
    if isinstance(value, list | tuple):
        return [numbers(one) for one in value]
    if isinstance(value, torch.Generator):
        return value.get_state()
    return value if isinstance(value, int | float | str) else None


def alike(beside: Any, alone: Any, index: int = 0, near: Mapping[str, float] = NEAR) -> bool:
    """Whether what one of the stacked rounds has, the one at this index, is what it has alone. near: as for
    `torch.allclose`."""
    if isinstance(beside, Tensor) and isinstance(alone, Tensor):
        own = beside[index] if beside.dim() and beside.shape[1:] == alone.shape else beside
        return own.shape == alone.shape and torch.allclose(own.detach().double(), alone.detach().double(), equal_nan=True, **near)
    if isinstance(beside, dict) and isinstance(alone, dict):
        return beside.keys() == alone.keys() and all(alike(value, alone[name], index, near) for name, value in beside.items())
    if isinstance(beside, list) and isinstance(alone, list):
        return len(beside) == len(alone) and all(alike(one, other, index, near) for one, other in zip(beside, alone, strict=True))
    if isinstance(beside, int | float) and isinstance(alone, int | float):
        return math.isclose(beside, alone, rel_tol=near["rtol"]) or (math.isnan(beside) and math.isnan(alone))
    return bool(beside == alone)
