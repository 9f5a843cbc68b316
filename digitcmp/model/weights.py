"""Where a block of somebody's own has its weights: each in one place that torch knows of, as networks are copied, stacked and loaded by
these places."""

from collections.abc import Collection, Iterator, Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from digitcmp.config.allowed import OWN
from digitcmp.errors import ConfigError

STANDARD = frozenset(vars(nn.Module()))  # attributes of every module


def check_weights(part: str, core: nn.Module) -> None:
    """Raise ConfigError, which names this part, for a weight or a buffer that is in two places (tied weights) or in another attribute
    beside, of which a copy of the network would have two; and for weights where torch does not look, which nothing would train."""
    places: dict[int, str] = {}
    for name, module in core.named_modules():
        for key, tensor in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)):
            place = whole(name, key)
            if (other := places.setdefault(id(tensor), place)) != place:
                raise ConfigError(
                    f"{part}: {other} and {place} are one tensor, which would become two; call one module twice, or give the weight to a "
                    f"function (torch.nn.functional.linear(x, self.{other}))"
                )
    known = {id(module) for module in core.modules()}
    for name, module in core.named_modules():
        whose = type(module).__module__
        if whose.partition(".")[0] not in ("torch", "digitcmp") or whose.startswith(OWN):
            for key in vars(module).keys() - STANDARD:
                check_attribute(part, whole(name, key), vars(module)[key], places, known)


def check_attribute(part: str, name: str, value: Any, places: Mapping[int, str], known: Collection[int]) -> None:
    """The same, of what is in an attribute. places: of the weights and buffers, by their ids; known: the ids of the modules."""
    for one in parts_in(value, {*known}):
        if id(one) in places:
            raise ConfigError(
                f"{part}: self.{name} keeps {places[id(one)]}, which is another tensor as soon as the network is copied, stacked or "
                f"loaded; take it from where it is (self.{places[id(one)]})"
            )
        if isinstance(one, nn.Parameter) or (isinstance(one, nn.Module) and [*one.parameters(), *one.buffers()]):
            raise ConfigError(
                f"{part}: self.{name} has weights that torch does not find there, so that nothing would train them; use nn.ModuleList, "
                "nn.ModuleDict or nn.ParameterList"
            )


def whole(name: str, key: str) -> str:
    """A dotted name of what a module has."""
    return f"{name}.{key}" if name else key


def parts_in(value: Any, seen: set[int]) -> Iterator[Tensor | nn.Module]:
    """The tensors and modules in a value. seen: what is not looked at (again)."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, Tensor | nn.Module):
        yield value
        return
    inner: Collection[Any] = ()
    if isinstance(value, Mapping):
        inner = [*value.values()]
    elif isinstance(value, partial):
        inner = [value.func, *value.args, *value.keywords.values()]
    elif isinstance(value, list | tuple | set | frozenset):
        inner = value
    for one in inner:
        yield from parts_in(one, seen)
