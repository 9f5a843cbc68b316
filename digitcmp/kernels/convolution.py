"""Convolution of stacked networks, as a function that autograd and vmap know.

In float32, with products of three tf32 parts where the GPU has them (Ootomo and Yokota 2022), which is as exact as float32 itself: what a
GPU gives differs from what a processor gives by rounding alone. Sizes of tiles are those that an H200 is fastest with.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from digitcmp.kernels.stacks import BLOCK, PROGRAMS, empty, in_front, in_order, power

HALF = 32  # positions of the gradient to the weights, in one step


@cache
def precision(device: torch.device) -> str:
    """How products are made: from Ampere on by three of tf32, elsewhere as they are."""
    if device.type != "cuda" or torch.version.hip or torch.cuda.get_device_capability(device) < (8, 0):
        return "ieee"
    return "tf32x3"


class Convolution(Function):
    """x [n, C, h, w], weight [O, C, kh, kw], bias [O] or None and the padding in both directions -> [n, O, h', w']; of a stack, all three
    with [S] in front. Stride and dilation are 1."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int]) -> Tensor:
        if x.dim() == 4:
            return convolved(x[None], weight[None], None if bias is None else bias[None], padding, alone=True)
        return convolved(x, weight, bias, padding)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor | None, tuple[int, int]], output: Tensor) -> None:
        del output
        x, weight, bias, ctx.padding = inputs
        ctx.bias = bias is not None
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        alone = x.dim() == 4
        if alone:
            x, weight, gradient = x[None], weight[None], gradient[None]
        to_x, to_weight, to_bias = None, None, None
        if ctx.needs_input_grad[0]:
            turned = weight.flip(3, 4).transpose(1, 2)
            back = (weight.shape[3] - 1 - ctx.padding[0], weight.shape[4] - 1 - ctx.padding[1])
            to_x = convolved(gradient, turned, None, back)
        if ctx.needs_input_grad[1]:
            to_weight, to_bias = convolved_weight_gradient(x, gradient, weight.shape, ctx.padding)
        found = [None if one is None else one[0] if alone else one for one in (to_x, to_weight, to_bias)]
        return found[0], found[1], found[2] if ctx.bias else None, None

    @staticmethod
    def vmap(info: Any, in_dims: Sequence[int | None], *given: Any) -> tuple[Tensor, int]:
        return Convolution.apply(*in_front(info, in_dims, given)), 0


def tile(outputs: int) -> int:
    """How many of the outputs one program makes."""
    return min(64, max(16, power(outputs)))


def parts(weight: Tensor, exact: bool) -> tuple[Tensor, Tensor]:
    """A weight [S, O, C, kh, kw] as it is read, [S, O, kh, kw, C], and with exact=False as the sum of two numbers of tf32."""
    if exact:
        own = weight.permute(0, 1, 3, 4, 2).contiguous()
        return own, own
    from digitcmp.kernels.triton_kernels import in_two

    networks, outputs, channels, rows, columns = weight.shape
    nearby, rest = weight.new_empty(2, networks, outputs, rows, columns, channels).unbind()
    size = nearby[0].numel()
    in_two[networks, -(-size // BLOCK)](weight, nearby, rest, size, *weight.stride(), channels, rows, columns, BLOCK)
    return nearby, rest


def convolved(x: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int], alone: bool = False) -> Tensor:
    """[S, n, O, h', w'], or (alone) [n, O, h', w'] of the only network."""
    from digitcmp.kernels.triton_kernels import convolve

    networks, images, channels, height, width = x.shape
    outputs, rows, columns = weight.shape[1], *weight.shape[3:]
    area = height + 2 * padding[0] - rows + 1, width + 2 * padding[1] - columns + 1
    out = empty(networks, images, outputs, *area, like=x)
    if alone:
        out = torch.empty_strided(out.shape[1:], out.stride()[1:], dtype=x.dtype, device=x.device)
    across, exact = tile(outputs), precision(x.device) == "ieee"
    positions = 128 if across < 64 else 64
    grid = (-(-images * area[0] * area[1] // positions), networks, -(-outputs // across))
    window, size = channels * rows * columns, 16 if channels <= 16 else 32
    own, rest = parts(weight, exact)
    convolve[grid](
        x, own, rest, own if bias is None else bias.contiguous(), out, images, *x.stride(), channels, height, width, outputs, rows, columns,
        *padding, *area, bias is not None, not exact, -(-window // size), size, positions, across,
    )  # fmt: skip
    return out


def convolved_weight_gradient(x: Tensor, gradient: Tensor, shape: torch.Size, padding: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """[S, O, C, kh, kw] and [S, O]."""
    from digitcmp.kernels.triton_kernels import convolve_weight_gradient

    networks, images, channels, height, width = x.shape
    outputs, rows, columns = shape[1], *shape[3:]
    area = gradient.shape[3], gradient.shape[4]
    size = min(32, max(16, power(channels * rows * columns)))
    steps = -(-channels * rows * columns // size)
    across, positions = tile(outputs), images * area[0] * area[1]
    tiles = -(-outputs // across) * steps
    chunks = max(1, min(-(-PROGRAMS // (networks * tiles)), positions // HALF))
    chunk = -(-positions // (chunks * HALF)) * HALF
    chunks = -(-positions // chunk)
    found, sums = x.new_empty(chunks, networks, rows, columns, channels, outputs), x.new_empty(chunks, networks, outputs)
    convolve_weight_gradient[tiles, networks, chunks](
        x, in_order(gradient), found, sums, images, chunk, *x.stride(), channels, height, width, outputs, rows, columns,
        *padding, *area, precision(x.device), steps, size, HALF, across, num_warps=1 if across < 64 else 2,
    )  # fmt: skip
    return found.sum(dim=0).permute(0, 4, 3, 1, 2), sums.sum(dim=0)
