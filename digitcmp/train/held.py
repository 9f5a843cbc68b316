"""What a value of somebody's own code holds, in a form that can be compared with what it holds later. Never more than a sample of what is
large: this is looked at while rounds are trained."""

import gc
import io
import sys
import threading
import warnings
import weakref
from array import array
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from contextvars import ContextVar
from enum import Enum
from functools import lru_cache, partial
from types import BuiltinFunctionType, FunctionType, GeneratorType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from digitcmp.promises import unwrapped, written
from digitcmp.train.memory import STATES, is_worked_out, kept

LARGE = 2**20  # bytes of an array
SAMPLE = 1024  # numbers of one
MANY = 1000  # entries of a list, values in all
DEEP = 30
KEYS = (int, float, str, bytes)
CODE = (type, FunctionType, BuiltinFunctionType, ModuleType)
# Whose objects are what is in their attributes. Others (loggers, kernels that are compiled when they are first called) have there what
# decides about no number, and are as they say of themselves.
OPEN = ("collections", "types", "argparse", "queue")
CACHED = type(lru_cache(lambda: None))
Held = Any  # of tuples, texts and bytes


class Entries(dict[Any, Held]):
    """What a cache holds, which is what it was as long as each entry is: others may come, go, and be made anew."""

    __hash__ = None

    def __eq__(self, other: object) -> bool:
        """Whether no entry of both has changed."""
        if not isinstance(other, Entries):
            return False
        common = ((self[key], other[key]) for key in self if key in other)
        return all(now == before for (now_is, now), (before_is, before) in common if now_is == before_is)

    def __ne__(self, other: object) -> bool:
        """Whether one has."""
        return not self == other


def grown(before: Held, now: Held) -> Held:
    """What was held before, with what caches in it have got since."""
    if isinstance(before, Entries) and isinstance(now, Entries):
        return Entries({**before, **now})
    if isinstance(before, tuple) and isinstance(now, tuple) and len(before) == len(now):
        return tuple(map(grown, before, now))
    if type(before) is dict and type(now) is dict:
        return {name: grown(held, now.get(name)) for name, held in before.items()}
    return before


class Look:
    """One look at values, each of which is looked at once."""

    def __init__(self, is_own: Callable[[str], bool]) -> None:
        """is_own: whether a module is of somebody's own."""
        self.is_own = is_own
        self.known: dict[int, tuple[Any, Held]] = {}  # by its id, which is nobody else's as long as it is here

    def at(self, value: Any, depth: int = 0) -> Held:
        """What a value holds; of code, which it is."""
        if value is None or type(value) in (bool, int, float, str, bytes):
            return type(value).__name__, repr(value)
        if id(value) not in self.known:
            self.known[id(value)] = value, "a circle"
            full = depth > DEEP or len(self.known) > 100 * MANY
            self.known[id(value)] = value, (type(value).__name__, "…" if full else self.within(value, depth + 1))
        return self.known[id(value)][1]

    def within(self, value: Any, depth: int) -> Held:
        """The same, of what is no simple value."""
        if isinstance(value, ModuleType) and self.is_made(value):
            return self.at({name: one for name, one in vars(value).items() if not name.startswith("__")}, depth)
        for kinds, simple in SIMPLE:
            if isinstance(value, kinds):
                return simple(value)
        found = next((read for kinds, read in WITH_OTHERS if isinstance(value, kinds)), Look.of_object)
        return found(self, value, depth)

    def of_many(self, values: Collection[Any], depth: int) -> Held:
        """How many they are, and what some of them hold."""
        return len(values), tuple(self.at(one, depth) for one in few(values))

    def of_mapping(self, values: Mapping[Any, Any], depth: int) -> Held:
        """The same, with keys, of which those that are objects are which they are, and what somebody's own hold."""
        named = ((key if isinstance(key, KEYS) else self.of_member(key, depth), self.at(values[key], depth)) for key in few(values))
        return len(values), tuple(named)

    def of_set(self, values: Collection[Any], depth: int) -> Held:
        """How many they are, which, and what those that are somebody's own hold."""
        return len(values), hash(frozenset(values)), {id(one): self.of_member(one, depth) for one in few(values)}

    def of_member(self, value: Any, depth: int) -> Held:
        """Which one a member of a set or a key is, and what somebody's own holds, but for parts of networks, which are seen to there."""
        looked = self.is_own(type(value).__module__) and not isinstance(value, nn.Module)
        return id(value), self.at(value, depth) if looked else None

    def of_weak(self, there: Any, depth: int) -> Held:
        """Which one a weak reference leads to, and what that holds, with the same exception."""
        return id(there()), None if isinstance(there(), nn.Module) else self.at(there(), depth)

    def is_made(self, module: ModuleType) -> bool:
        """Whether a module is an object like others: of a class of somebody's own, or of no file."""
        kind = type(module)
        made = module.__spec__ is None and sys.modules.get(module.__name__) is not module
        return made if kind is ModuleType else self.is_own(kind.__module__)

    def of_cached(self, function: Any, depth: int) -> Held:
        """Which function it is that is cached, and what it has given by now, where it is somebody's own or given to a cache by somebody."""
        inner = function.__wrapped__
        if isinstance(inner, FunctionType) and not self.is_own(inner.__module__):
            return id(function)
        found = results(function)
        return id(function), Entries({key: (id(found[key]), self.at(found[key], depth)) for key in few(found)})

    def of_object(self, value: Any, depth: int) -> Held:
        """What is in the attributes of somebody's own object; of another one, what is behind an iterator, or what it says of itself."""
        whose = type(value).__module__
        if isinstance(value, nn.Module) or whose.partition(".")[0] in OPEN or self.is_own(whose):
            named = attributes(value)
            return self.at(kept(value, named), depth), self.of_worked_out(value, named, depth)
        for kind, state_of in STATES.items():
            if isinstance(value, kind):
                return self.at(state_of(value), depth)
        for read in (of_iterator, of_saved):
            if (state := read(value)) is not None:
                return self.at(state, depth)
        said = repr(value)
        return None if " at 0x" in said or any(is_worked_out(type(value), name) for name in attributes(value)) else said

    def of_worked_out(self, value: Any, named: Mapping[str, Any], depth: int) -> Held:
        """What properties have worked out that are in its attributes: a cache."""
        names = [name for name in named if is_worked_out(type(value), name)]
        return Entries({name: (id(named[name]), self.at(named[name], depth)) for name in names})


SIMPLE: list[tuple[Any, Callable[[Any], Held]]] = [  # what values of these kinds hold
    (CODE, id),
    (Tensor, lambda tensor: of_tensor(tensor)),
    (np.ndarray, lambda values: of_array(values)),
    (bytearray | memoryview | array, bytes),
]
WITH_OTHERS: list[tuple[Any, Callable[[Look, Any, int], Held]]] = [  # those of these kinds, which have others in them
    (Enum, lambda look, member, depth: look.at(STATES[Enum](member), depth)),
    (Mapping, Look.of_mapping),
    (list | tuple | deque, Look.of_many),
    (set | frozenset | weakref.WeakSet, Look.of_set),
    (threading.local, lambda look, values, depth: look.at(attributes(values), depth)),  # of this thread
    (ContextVar, lambda look, variable, depth: look.at(value_of(variable), depth)),
    (weakref.ref, Look.of_weak),
    (io.StringIO | io.BytesIO, lambda look, file, depth: None if file.closed else look.at((file.tell(), file.getvalue()), depth)),
    (CACHED, Look.of_cached),
    (MethodType, lambda look, method, depth: (id(method.__func__), look.at(method.__self__, depth))),
    (partial, lambda look, whole, depth: look.at((whole.func, whole.args, whole.keywords), depth)),
    (GeneratorType, lambda look, run, depth: run.gi_frame and (run.gi_frame.f_lasti, look.at(run.gi_frame.f_locals, depth))),
]


def attributes(value: Any) -> dict[str, Any]:
    """Those of an object, in its dictionary or its slots."""
    slots = [name for one in type(value).__mro__ for name in several(vars(one).get("__slots__", ()))]
    there = {name: getattr(value, name) for name in slots if name not in ("__dict__", "__weakref__") and hasattr(value, name)}
    return {**there, **getattr(value, "__dict__", {})}


def results(cached: Any) -> dict[Any, Any]:
    """What a function of functools.cache or lru_cache has given and keeps, by what it was given."""
    held = gc.get_referents(cached)
    place = next(index for index, one in enumerate(held) if one is cached.__wrapped__) - 1  # of the cache, in front of the function
    kept = held[place]
    if not isinstance(kept, dict) or cached.cache_parameters()["maxsize"] is None:
        return dict(kept) if isinstance(kept, dict) else {}
    ordered = held[place - 3 * len(kept) : place]  # key, result and kind of each
    return dict(zip(ordered[0::3], ordered[1::3], strict=True))


def of_iterator(value: Any) -> Any:
    """What is behind an iterator, where it can say so."""
    if not hasattr(value, "__next__"):
        return None
    with warnings.catch_warnings(), suppress(Exception):
        warnings.simplefilter("ignore")  # of itertools, which are not to be copied in later versions of Python
        return value.__reduce__()[1:]
    return None


def of_saved(value: Any) -> Any:
    """What an object would have saved of it, as schedulers of torch's and many a meter have."""
    with suppress(Exception):
        return value.state_dict()
    return None


def value_of(variable: ContextVar[Any]) -> Any:
    """What a variable has here, or by default; None where it has nothing."""
    with suppress(LookupError):
        return variable.get()
    return None


def several(names: Any) -> tuple[str, ...]:
    """Slots, which may be a single name."""
    return (names,) if isinstance(names, str) else tuple(names)


def few(values: Collection[Any]) -> Iterator[Any]:
    """Not too many of them, from all over, the last one among them."""
    step, last = -(-len(values) // MANY), len(values) - 1
    return (one for index, one in enumerate(values) if (last - index) % step == 0)


def of_tensor(tensor: Tensor) -> Held:
    """The numbers of a tensor; of a large one, a sample, where they lie, and how often something was written there."""
    writes = written(tensor)  # of a detached one, torch may not count them
    tensor = unwrapped(tensor).detach()
    about = tensor.shape, tensor.dtype, str(tensor.device)
    if tensor.layout != torch.strided or tensor.device.type == "meta":
        return about, writes
    if tensor.numel() * tensor.element_size() <= LARGE:
        return about, tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    sample = tensor.view(-1)[:: -(-tensor.numel() // SAMPLE)] if tensor.is_contiguous() else tensor.flatten(1)[:, 0][:SAMPLE]
    return about, writes, tensor.data_ptr(), sample.cpu().contiguous().view(torch.uint8).numpy().tobytes()


def of_array(values: np.ndarray[Any, Any]) -> Held:
    """The numbers of an array; of a large one, a sample, and where it lies."""
    about = values.shape, str(values.dtype)
    if values.dtype.hasobject:
        return about, repr(values)
    if values.nbytes <= LARGE:
        return about, values.tobytes()
    return about, values.ctypes.data, values.flat[:: -(-values.size // SAMPLE)].tobytes()
