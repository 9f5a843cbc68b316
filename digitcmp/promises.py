"""What code of others is to keep while it is called, looked at where that costs next to nothing: what it is given stays what it was, and
rounds that are stacked have nothing to do with each other. (The contract tests look at more: docs/adding.md.)"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch._C._functorch import get_unwrapped, is_functorch_wrapped_tensor  # torch.func.debug_unwrap, which torch 2.6 does not have

from digitcmp.errors import ConfigError

LOOKED = 2  # rounds of a stack: one of them may have what the whole stack goes by, its largest number say
NEAR = {"rtol": 1e-4, "atol": 1e-6}  # the same operations on tensors of the same shape: a GPU may add up in another order


def written(tensor: Tensor) -> int:
    """How often something has been written into a tensor, or into the memory that it shares with others."""
    while is_functorch_wrapped_tensor(tensor):  # within vmap, what is written into is inside
        tensor = get_unwrapped(tensor)
    return 0 if tensor.is_inference() else tensor._version  # those of torch.inference_mode() are not counted


@contextmanager
def untouched(part: str, *given: Tensor, whole: bool = False) -> Iterator[None]:
    """Raise ConfigError, which names this part of somebody's own, where these tensors are others behind the block. Nothing is read for
    that: torch counts what is written. whole: their numbers are compared, too, as torch does not count what NumPy writes, nor what goes by
    way of `.data`; that takes a copy of them."""
    before = [(written(tensor), tensor.detach().clone() if whole else None) for tensor in given]
    yield
    for tensor, (writes, was) in zip(given, before, strict=True):
        if written(tensor) != writes or not (was is None or torch.allclose(tensor, was, rtol=0, atol=0, equal_nan=True)):
            raise ConfigError(
                f"{part}: it changes what it is given, in place, which others read, too; make new tensors (x * 2, not x *= 2)"
            )


@torch.no_grad()
def check_apart(part: str, function: Callable[..., Tensor], *given: Tensor) -> None:
    """Raise ConfigError, which names this part of somebody's own, where it gives a round something else beside others than beside copies of
    itself. function: from tensors with an axis [S] of rounds in front, of any S, to one."""
    if len(given[0]) < 2:
        return
    beside = function(*(tensor.detach().clone() for tensor in given))
    for index in range(LOOKED):
        copies = [tensor.detach().clone() for tensor in given]
        for tensor in copies:
            tensor[:] = tensor[index].clone()
        if not torch.allclose(function(*copies)[index], beside[index], equal_nan=True, **NEAR):
            raise ConfigError(
                f"{part}: what it gives a round depends on the rounds beside it; use no number of one round for another, and none that is "
                "not drawn from its seed (means, sums and largest values over all axes but the first)"
            )
