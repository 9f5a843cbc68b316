"""Max pooling of stacked networks, as a function that autograd and vmap know."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from digitcmp.kernels.stacks import BLOCK, empty, in_order


class MaxPool(Function):
    """x [..., n, C, h, w] and the window -> [..., n, C, h', w'], windows side by side; of a stack, with [S] in front."""

    @staticmethod
    def forward(x: Tensor, window: tuple[int, int]) -> tuple[Tensor, Tensor]:
        stacked = x if x.dim() == 5 else x[None]
        networks, images, channels, height, width = stacked.shape
        area = height // window[0], width // window[1]
        out = empty(networks, images, channels, *area, like=x)
        if x.dim() == 4:
            out = torch.empty_strided(out.shape[1:], out.stride()[1:], dtype=x.dtype, device=x.device)
        chosen = torch.empty_strided(out.shape, out.stride(), dtype=torch.uint8, device=x.device)
        each("pool", in_order(stacked), out, chosen, count=out.numel(), sides=(channels, height, width, *area, *window))
        return out, chosen

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, tuple[int, int]], output: tuple[Tensor, Tensor]) -> None:
        x, ctx.window = inputs
        ctx.shape = x.shape
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(output[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor, None]:
        (chosen,) = ctx.saved_tensors
        images, channels, height, width = ctx.shape[-4:]
        alone = len(ctx.shape) == 4
        out = empty(1 if alone else ctx.shape[0], images, channels, height, width, like=gradient)
        given = in_order(gradient[None] if alone else gradient)
        each("pool_gradient", given, chosen, out, count=out.numel(), sides=(channels, height, width, *chosen.shape[-2:], *ctx.window))
        return out[0] if alone else out, None

    @staticmethod
    def vmap(info: Any, in_dims: Sequence[int | None], x: Tensor, window: tuple[int, int]) -> tuple[tuple[Tensor, Tensor], tuple[int, int]]:
        del info
        return MaxPool.apply(x.movedim(in_dims[0] or 0, 0), window), (0, 0)


def each(name: str, *tensors: Tensor, count: int, sides: Sequence[int]) -> None:
    """Run a kernel that goes element by element."""
    from digitcmp.kernels import triton_kernels

    kernel: Any = getattr(triton_kernels, name)
    kernel[(-(-count // BLOCK),)](*tensors, count, *sides, BLOCK)
