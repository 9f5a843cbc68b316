"""What code of others is to keep while it is called, looked at where that costs next to nothing: what it is given stays what it was,
nothing is random but from a round's seed, and rounds that are stacked have nothing to do with each other. (The contract tests look at more:
docs/adding.md.)"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor
from torch._C._functorch import get_unwrapped, is_functorch_wrapped_tensor  # torch.func.debug_unwrap, which torch 2.6 does not have

from digitcmp.errors import ConfigError

OFTEN = 16  # calls
LOOKED = 2  # rounds of a stack: one of them may have what the whole stack goes by, its largest number say
NEAR = {"rtol": 1e-4, "atol": 1e-6}  # the same operations on tensors of the same shape: a GPU may add up in another order


def unwrapped(tensor: Tensor) -> Tensor:
    """The tensor of all rounds that is within one of vmap's; any other one as it is."""
    while is_functorch_wrapped_tensor(tensor):
        tensor = get_unwrapped(tensor)
    return tensor


def written(tensor: Tensor) -> int:
    """How often something has been written into a tensor, or into the memory that it shares with others."""
    tensor = unwrapped(tensor)  # within vmap, what is written into is inside
    return 0 if tensor.is_inference() else tensor._version  # those of torch.inference_mode() are not counted


def is_looked_at(calls: int) -> bool:
    """Whether to look at what comes after so many calls: at many of the first ones, then now and then, as some code (a warm-up, a clipped
    norm) begins late to be what it must not. Never while a GPU records, which cannot be asked for numbers then."""
    return (calls < 4 or calls % OFTEN == 0) and not is_recording()


def is_recording() -> bool:
    """Whether what is done on a GPU now is not done, but recorded."""
    return torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing()  # type: ignore[no-untyped-call]


def generators(*given: Tensor) -> list[Tensor]:
    """How far torch's own generators are that these tensors would be drawn from."""
    devices = {tensor.device for tensor in given if tensor.device.type == "cuda"}
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state(device) for device in devices if not is_recording())]


@contextmanager
def seeded(part: str, *given: Tensor) -> Iterator[None]:
    """Raise ConfigError, which names this part of somebody's own, where the block draws from torch's own generators, which no seed of a
    round has set. given: tensors on the devices that it may draw on."""
    before = generators(*given)
    yield
    if not all(map(torch.equal, before, generators(*given))):
        raise ConfigError(
            f"{part}: it draws random numbers that are not from a round's seed, so that no round could be trained again as it was; draw "
            "none, or from the keys that it is given"
        )


@contextmanager
def made_alike(part: str) -> Iterator[None]:
    """What somebody's code makes within the block is the same each time: torch's numbers are (those of weights are drawn anew anyway, from
    the round's seed), and its tensors are on the CPU. Raises ConfigError where Python's or NumPy's are drawn, which nothing seeds."""
    before = drawn()
    with torch.device("cpu"), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        yield
    if drawn() != before:
        raise ConfigError(
            f"{part} draws random numbers where it is made, from a generator that nothing seeds; draw weights and buffers in a method "
            "initialise(self, random), from that"
        )


def drawn() -> tuple[object, ...]:
    """What Python's and NumPy's own generators would draw next."""
    name, state, *others = np.random.get_state()  # noqa: NPY002
    return random.getstate(), name, str(list(state)), *others


@contextmanager
def untouched(part: str, *given: Tensor, whole: bool = False) -> Iterator[None]:
    """Raise ConfigError, which names this part of somebody's own, where these tensors are others behind the block, or it draws random
    numbers (`seeded`). Nothing is read for that: torch counts what is written. whole: the tensors' numbers are compared, too, as torch does
    not count what NumPy writes, nor what goes by way of `.data`; that takes a copy of them."""
    before = [(written(tensor), tensor.detach().clone() if whole else None) for tensor in given]
    with seeded(part, *given):
        yield
    for tensor, (writes, was) in zip(given, before, strict=True):
        if written(tensor) != writes or not (was is None or torch.allclose(tensor, was, rtol=0, atol=0, equal_nan=True)):
            raise ConfigError(
                f"{part}: it changes what it is given, in place, which others read, too; make new tensors (x * 2, not x *= 2)"
            )


@torch.no_grad()
def check_apart(part: str, function: Callable[..., Tensor], *given: Tensor) -> None:
    """Raise ConfigError, which names this part of somebody's own, where it gives something else when it is asked again, or gives a round
    something else beside others than beside copies of itself. function: from tensors with an axis [S] of rounds in front, of any S, to
    one."""
    beside, again = (function(*(tensor.detach().clone() for tensor in given)) for _ in range(2))
    if not torch.allclose(beside, again, equal_nan=True, **NEAR):
        raise ConfigError(
            f"{part}: it gives something else when it is asked again for the same; let it depend on what it is given alone, as no round "
            "must go by what was made of another"
        )
    for index in range(LOOKED if len(given[0]) > 1 else 0):
        copies = [tensor.detach().clone() for tensor in given]
        for tensor in copies:
            tensor[:] = tensor[index].clone()
        if not torch.allclose(function(*copies)[index], beside[index], equal_nan=True, **NEAR):
            raise ConfigError(
                f"{part}: what it gives a round depends on the rounds beside it; use no number of one round for another, and none that is "
                "not drawn from its seed (means, sums and largest values over all axes but the first)"
            )
