"""What code of others is to keep while it is called, looked at where that costs next to nothing: what it is given stays what it
was. (The contract tests look at more: docs/adding.md.)"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor
from torch._C._functorch import get_unwrapped, is_functorch_wrapped_tensor  # torch.func.debug_unwrap, which torch 2.6 does not have

from digitcmp.errors import ConfigError


def written(tensor: Tensor) -> int:
    """How often something has been written into a tensor, or into the memory that it shares with others."""
    while is_functorch_wrapped_tensor(tensor):  # within vmap, what is written into is inside
        tensor = get_unwrapped(tensor)
    return 0 if tensor.is_inference() else tensor._version  # those of torch.inference_mode() are not counted


@contextmanager
def untouched(part: str, *given: Tensor) -> Iterator[None]:
    """Raise ConfigError, which names this part of somebody's own, where these tensors are others behind the block. Nothing is read for
    that: torch counts what is written. (It does not see what NumPy writes, nor what goes by way of `.data`.)"""
    before = [written(tensor) for tensor in given]
    yield
    if [written(tensor) for tensor in given] != before:
        raise ConfigError(f"{part}: it changes what it is given, in place, which others read, too; make a new tensor (x * 2, not x *= 2)")
