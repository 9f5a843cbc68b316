"""What the kernels have in common: how stacks lie in memory, and whether there are kernels for a tensor."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

DEVICES = {"cuda"}  # that have kernels
BLOCK = 1024  # numbers of a program that goes element by element
PROGRAMS = 2112  # that a GPU is given at least, where sums can be divided


def empty(networks: int, images: int, channels: int, height: int, width: int, like: Tensor) -> Tensor:
    """[S, images, channels, height, width], with channels last in memory. No view of anything, so that it may be changed in place."""
    shape, row = (networks, images, channels, height, width), width * channels
    strides = (images * height * row, height * row, 1, row, channels)
    return torch.empty_strided(shape, strides, dtype=like.dtype, device=like.device)


def in_order(x: Tensor) -> Tensor:
    """[S, images, channels, height, width] with channels last in memory: a copy only where it is not."""
    return x.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)


def power(number: int) -> int:
    """The power of two that is no smaller."""
    return 1 << max(0, number - 1).bit_length()


def in_front(info: Any, dims: Sequence[int | None], tensors: Sequence[Any]) -> list[Any]:
    """The tensors with the axis that vmap goes along in front, also those that have none."""
    return [
        tensor
        if not isinstance(tensor, Tensor)
        else tensor.expand(info.batch_size, *tensor.shape)
        if dim is None
        else tensor.movedim(dim, 0)
        for dim, tensor in zip(dims, tensors, strict=True)
    ]


@cache
def available() -> str:
    """Empty where Triton is installed, otherwise why it cannot be used."""
    try:
        import digitcmp.kernels.triton_kernels  # noqa: F401
    except ImportError as error:
        return str(error)
    return ""


def usable(x: Tensor) -> bool:
    """Whether the kernels take what this tensor is."""
    return x.device.type in DEVICES and x.dtype == torch.float32 and not available()
