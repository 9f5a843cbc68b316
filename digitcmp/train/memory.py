"""What parts of others remember outside of what checkpoints have: for comparison with what it was, and with what it would be elsewhere."""

import math
import random
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from enum import Enum
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from digitcmp.errors import ConfigError
from digitcmp.promises import NEAR, unwrapped

EQUAL = {"rtol": 0.0, "atol": 0.0}
OURS, OWN = ("digitcmp.", "torch.", "builtins."), "digitcmp.own."  # how the names of modules begin
CODE = (type, FunctionType, BuiltinFunctionType, MethodType, ModuleType)
NUMPYS = np.random.rand.__self__  # type: ignore[attr-defined]  # what NumPy draws from where no generator is named
STATES: dict[type, Callable[[Any], Any]] = {
    np.ndarray: np.ndarray.tolist,
    np.generic: np.generic.tolist,
    torch.Generator: torch.Generator.get_state,
    random.Random: random.Random.getstate,
    torch.optim.Optimizer: lambda optimizer: [optimizer.state, optimizer.param_groups],  # one within another
    Enum: lambda member: {name: one for name, one in kept(member, vars(member)).items() if name == "_value_" or not is_of_enum(name)},
    np.random.Generator: lambda generator: generator.bit_generator.state,
    # that of NumPy itself is told of by its name
    np.random.RandomState: lambda generator: None if generator is NUMPYS else generator.get_state(legacy=False),
    np.random.BitGenerator: lambda generator: generator.state,
}
MANY = (list, tuple, set, frozenset, deque)


class NetworkMemory:
    """What blocks of others have in attributes, of their own or of their class, which are no part of a network's state: counts, say."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        self.networks, self.begun = networks, attributes(networks)

    def check_kept(self) -> None:
        """Raise ConfigError where something of that is not what it was when the training began: no checkpoint has it."""
        for name, (kind, values) in attributes(self.networks).items():
            _, before = self.begun.get(name, (kind, {}))
            if lost := changed(values, before):
                raise ConfigError(
                    f"checkpoint_every: {kind} remembers {', '.join(lost)}, which a checkpoint does not have; keep it in a buffer "
                    "(register_buffer), or leave checkpoint_every out"
                )


def attributes(networks: Sequence[nn.Module]) -> dict[str, tuple[str, dict[str, Any]]]:
    """The class of each of others' modules, and what is in its attributes, by where it is."""
    found, standard = {}, vars(nn.Module())
    for place, network in enumerate(networks):
        parts = [*network.modules(), *network.parameters(), *network.buffers()]
        for name, module in network.named_modules():
            if is_own(type(module)):
                own = {f"self.{key}": value for key, value in kept(module, vars(module)).items() if key not in standard}
                values = own | of_class(type(module))
                found[f"{place}.{name}"] = f"{type(module).__module__}:{type(module).__name__}", remembered(values, parts)
    return found


def is_own(kind: type) -> bool:
    """Whether a class is of others than torch and digitcmp."""
    whose = f"{kind.__module__}."
    return whose.startswith(OWN) or not whose.startswith(OURS)


def kept(value: object, named: Mapping[str, Any]) -> dict[str, Any]:
    """What an object has in attributes, but for what a property has worked out when it was first asked for, and keeps there."""
    return {name: one for name, one in named.items() if not is_worked_out(type(value), name)}


def is_worked_out(kind: type, name: str) -> bool:
    """Whether objects of a class have this attribute from a property that gives way to what it has worked out (`functools.cached_property`,
    `torch.distributions.utils.lazy_property`)."""
    found = next((vars(one)[name] for one in kind.__mro__ if name in vars(one)), None)
    called = isinstance(found, FunctionType | staticmethod | classmethod | BuiltinFunctionType)
    return hasattr(type(found), "__get__") and not hasattr(type(found), "__set__") and not called


def is_of_enum(name: str) -> bool:
    """Whether an attribute of an Enum, or of a member of one, is what Python itself remembers there: other members, found by now."""
    return name.startswith("_") and name.endswith("_")


def is_of_elements(shape: torch.Size, parameter: torch.Size) -> bool:
    """Whether a tensor of this shape has something of each element of a parameter: its shape, or (behind rounds and axes of its own)
    further axes."""
    return shape == parameter or (len(parameter) > 1 and shape[: len(parameter)] == parameter)


def of_class(kind: type) -> dict[str, Any]:
    """The attributes of a class, and of those below which it is, that are of others. Where two of these have one name, as the class that
    is made of an optimiser's and its own have: all that is there under it."""
    found: dict[str, Any] = {}
    for one in filter(is_own, kind.__mro__):
        for name, value in vars(one).items():
            if not name.startswith("__") and not name.startswith("_abc_"):
                whole = f"{one.__name__}.{name}"
                found[whole] = (found[whole], value) if whole in found else value
    return found


def remembered(values: Mapping[str, Any], known: Collection[Any]) -> dict[str, Any]:
    """Copies of these values, by name, as far as there is anything in them (`plain`). known: what is looked at elsewhere."""
    seen = frozenset(map(id, known))
    copies = {name: plain(value, seen) for name, value in values.items()}
    return {name: copied for name, copied in copies.items() if copied is not None and (not isinstance(copied, dict | list) or copied)}


def changed(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    """The names of those that are not what they were."""
    return [name for name in {**before, **now} if not alike(now.get(name), before.get(name), near=EQUAL)]


def plain(value: Any, seen: frozenset[int] = frozenset()) -> Any:
    """A copy of a value in tensors, numbers, texts, and lists and dictionaries of them, whatever objects they are in; None for code, and
    for what was seen, as in a circle. Of an object without attributes (a count of itertools'), what it says of itself."""
    if value is None or id(value) in seen or isinstance(value, CODE):
        return None
    if isinstance(value, Tensor):
        return unwrapped(value).detach().clone()
    if isinstance(value, int | float | str | bytes):
        return value
    seen |= {id(value)}
    if isinstance(value, Mapping):
        items = ((index if isinstance(name, Tensor) else str(name), plain(one, seen)) for index, (name, one) in enumerate(value.items()))
        return {name: one for name, one in items if one is not None}
    if isinstance(value, MANY):
        return [plain(one, seen) for one in (sorted(value, key=repr) if isinstance(value, set | frozenset) else value)]
    for kind, state_of in STATES.items():
        if isinstance(value, kind):
            return plain(state_of(value), seen)
    if hasattr(value, "__dict__"):
        return plain(kept(value, vars(value)), seen)
    said = repr(value)
    return None if " at 0x" in said else said


def tensors_in(value: Any, seen: set[int]) -> Iterator[Tensor]:
    """All tensors in a value, whatever objects they are in. seen: what was looked at, and is not looked at again."""
    if id(value) in seen or isinstance(value, CODE):
        return
    seen.add(id(value))
    if isinstance(value, Tensor):
        yield value
        return
    inner = vars(value) if hasattr(value, "__dict__") and not isinstance(value, Mapping) else value
    for one in inner.values() if isinstance(inner, Mapping) else inner if isinstance(inner, MANY) else ():
        yield from tensors_in(one, seen)


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
