"""All that code of somebody's own can remember in but the objects that are made for a round: globals of modules, closures, attributes of
functions and of classes, defaults; found from the code itself, wherever it leads within modules of somebody's own."""

import random
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from enum import EnumType
from functools import cached_property, partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
from torch import Tensor, nn

from digitcmp.config.own_code import is_own
from digitcmp.train.held import CACHED, attributes, few, results
from digitcmp.train.memory import NUMPYS, is_of_enum

DRAW = (random, np.random, random.random.__self__, NUMPYS)  # type: ignore[attr-defined]  # what draws from a shared state
ABSENT = object()  # in place of what is not there yet
OTHERS = ("torch", "numpy", "triton", "digitcmp")  # whose are no rounds' concern, wherever they are installed
PLAIN = (int, float, str, bytes, Tensor, type(None))
WIDE = 1000  # entries of a list that are looked at for code


PARTS: list[tuple[Any, Callable[[Any], Iterable[Any]]]] = [  # what is in values of these kinds that may be code
    (MethodType, lambda method: (method.__func__, method.__self__)),
    (staticmethod | classmethod, lambda method: (method.__func__,)),
    (property, lambda value: (value.fget, value.fset, value.fdel)),
    (cached_property, lambda value: (value.func,)),
    (CACHED, lambda cached: (cached.__wrapped__, *few(results(cached).values()))),
    (partial, lambda whole: (whole.func, *whole.args, *whole.keywords.values())),
    (Mapping, lambda values: (*values.keys(), *values.values()) if len(values) <= WIDE else ()),
    (list | tuple | set | frozenset, lambda values: values if len(values) <= WIDE else ()),
    (nn.Module, lambda module: (type(module), *vars(module).values())),
]


class Several(dict[str, Any]):
    """Places in one, each with a name of its own."""


class Reach:
    """What code can remember in: values by places, each the name of what holds it (a function, a class) and its own."""

    def __init__(self, modules: Collection[str] = ()) -> None:
        """modules: packages that are of somebody's own, though they are installed."""
        self.installed, self.own, self.named = modules, dict[str, bool](), set[tuple[str, tuple[str, ...]]]()
        self.places: dict[tuple[str, str], Any] = {}
        self.seen: dict[int, Any] = {}
        self.waiting: list[Any] = []
        self.draws = False  # whether code was found that names what draws random numbers from a state of a library's

    def follow(self, *values: Any) -> None:
        """Find what can be remembered in from these on: functions, classes, and whatever has them in it."""
        self.waiting += values
        while self.waiting:
            value = self.waiting.pop()
            if isinstance(value, PLAIN) or id(value) in self.seen:
                continue
            self.seen[id(value)] = value
            self.waiting += self.beyond(value)

    def beyond(self, value: Any) -> Iterable[Any]:
        """What is to be looked at behind a value."""
        if isinstance(value, FunctionType):
            return self.of_function(value)
        if isinstance(value, type):
            return self.of_class(value)
        if isinstance(value, CACHED) and self.is_own(str(value.__module__)):
            self.places[f"{id(value)}", f"{value.__module__}.{value.__qualname__}"] = value
        for kinds, parts in PARTS:
            if isinstance(value, kinds):
                return parts(value)
        return [type(value), *attributes(value).values()] if self.is_own(type(value).__module__) else ()

    def of_function(self, function: FunctionType) -> Iterator[Any]:
        """The same, for a function, whose places are noted where it is of somebody's own."""
        module = str(function.__globals__.get("__name__", ""))
        within = [(f"{name} of {function.__qualname__}", value) for name, value in closure(function)]
        yield from (value for _, value in within)
        yield from vars(function).values()
        if not self.is_own(module):
            return
        code, defaults = function.__code__, function.__defaults__ or ()
        within += [(f"{name} of {function.__qualname__}", value) for name, value in (function.__kwdefaults__ or {}).items()]
        names = code.co_varnames[: code.co_argcount][code.co_argcount - len(defaults) :]
        within += [(f"{name} of {function.__qualname__}", value) for name, value in zip(names, defaults, strict=True)]
        place = f"{module}:{function.__qualname__}:{code.co_firstlineno}:{id(function)}"
        for name, value in within:
            self.places[place, f"{module}.{name}"] = value
            yield value
        own = {name: value for name, value in vars(function).items() if name != "__wrapped__"}
        self.places[place, f"{module}.{function.__qualname__}"] = Several(own)
        names = tuple(dict.fromkeys(name for one in codes(code) for name in one.co_names))
        yield from self.of_module(function.__globals__, module, names)

    def of_module(self, globals_: Mapping[str, Any], module: str, names: tuple[str, ...]) -> Iterator[Any]:
        """The same, for the globals of a module that code names, and for those of modules that it names there, or imports."""
        package = globals_.get("__package__") or ""
        beyond = [sys.modules[whole] for name in names for whole in (name, f"{package}.{name}") if whole in sys.modules]
        for name in names:
            value = self.places[module, f"{module}.{name}"] = globals_.get(name, ABSENT)
            if isinstance(value, ModuleType):
                beyond.append(value)
            elif value is not ABSENT:
                yield value
            self.draws |= name == "random" or any(one is value or one is getattr(value, "__self__", None) for one in DRAW)
        for one in beyond:
            known = sys.modules.get(one.__name__) is one  # others, which are made, are objects
            if known and self.is_own(one.__name__) and (one.__name__, names) not in self.named:
                self.named.add((one.__name__, names))
                yield from self.of_module(vars(one), one.__name__, names)

    def of_class(self, kind: type) -> Iterator[Any]:
        """The same, for a class and those that it is below, as far as they are of somebody's own."""
        for one in kind.__mro__:
            if self.is_own(one.__module__):
                named = {name: value for name, value in vars(one).items() if not is_kept_by_python(one, name)}
                yield from named.values()
                kept = {name: value for name, value in named.items() if not (name.startswith("__") and name.endswith("__"))}
                self.places[f"{one.__module__}:{id(one)}", f"{one.__module__}.{one.__qualname__}"] = Several(kept)

    def is_own(self, module: str) -> bool:
        """Whether a module is of somebody's own: no installed one but those that were named."""
        if module not in self.own:
            top = module.partition(".")[0]
            self.own[module] = is_own(module) or (top in self.installed and top not in (*OTHERS, *sys.stdlib_module_names))
        return self.own[module]


def is_kept_by_python(kind: type, name: str) -> bool:
    """Whether this attribute of a class is what Python itself remembers there: of abstract ones, and the members of an Enum."""
    return name.startswith("_abc_") or (isinstance(kind, EnumType) and is_of_enum(name))


def closure(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """What a function has from around it, by name."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # nothing is in it yet
            continue


def codes(code: CodeType) -> Iterator[CodeType]:
    """The code of a function, and of those that are made in it."""
    yield code
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield from codes(one)
