"""Batch norm of stacked networks, as a function that autograd and vmap know."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from digitcmp.kernels.stacks import BLOCK, PROGRAMS, in_front, in_order, power


class BatchNorm(Function):
    """x [n, C, ...] with the statistics of the batch -> the normalised x, and the mean and the variance [C] of each channel (with n - 1);
    weight and bias [C]. Of a stack, all with [S] in front."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        stacked = x if weight.dim() == 2 else x[None]
        images = in_order(stacked)
        var, mean = torch.var_mean(images, dim=(1, 3, 4), correction=0)
        scale = torch.rsqrt(var + eps)
        own = scale * weight
        out = torch.empty_strided(images.shape, images.stride(), dtype=x.dtype, device=x.device)
        per_channel(images, None, out, own, None, bias - mean * own)
        count = out.numel() // mean.numel()
        found = (out, mean, var * (count / max(1, count - 1)), scale)
        return found if weight.dim() == 2 else tuple(one[0] for one in found)  # type: ignore[return-value]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor, float], output: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
        x, weight, _, _ = inputs
        _, mean, var, scale = output
        ctx.mark_non_differentiable(mean, var, scale)
        ctx.save_for_backward(x, weight, mean, scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor, None]:
        x, weight, mean, scale = ctx.saved_tensors
        alone = weight.dim() == 1
        if alone:
            x, weight, mean, scale, gradient = (one[None] for one in (x, weight, mean, scale, gradient))
        images, given = in_order(x), in_order(gradient)
        count = images.numel() // mean.numel()
        plain, product = per_channel_sums(images, given, mean)
        to_weight, own = product * scale, weight * scale
        slope = -own * scale * to_weight / count
        out = torch.empty_strided(images.shape, images.stride(), dtype=x.dtype, device=x.device)
        per_channel(given, images, out, own, slope, -own * plain / count - slope * mean)
        return (out[0], to_weight[0], plain[0], None) if alone else (out, to_weight, plain, None)

    @staticmethod
    def vmap(info: Any, in_dims: Sequence[int | None], *given: Any) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        return BatchNorm.apply(*in_front(info, in_dims, given)), (0, 0, 0, 0)


def per_channel(x: Tensor, y: Tensor | None, out: Tensor, a: Tensor, b: Tensor | None, c: Tensor) -> None:
    """out = a x + b y + c; x, y and out [S, n, C, h, w] in order, a, b and c [S, C]."""
    from digitcmp.kernels.triton_kernels import scaled

    networks, channels = c.shape
    size = out.numel() // networks
    scaled[networks, -(-size // BLOCK)](
        x, x if y is None else y, out, a, a if b is None else b, c, size, channels, y is not None, BLOCK
    )  # fmt: skip


def per_channel_sums(x: Tensor, gradient: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    """The sums of the gradient and of gradient x (x - mean), [S, C]; x and gradient [S, n, C, h, w] in order."""
    from digitcmp.kernels.triton_kernels import norm_sums

    networks, channels = mean.shape
    rows, across = x.numel() // mean.numel(), min(64, power(channels))
    step = BLOCK // across
    parts = max(1, min(-(-PROGRAMS // networks), rows // step))
    chunk = -(-rows // (parts * step)) * step
    parts = -(-rows // chunk)
    found = x.new_empty(2, parts, networks, channels)
    norm_sums[networks, parts, -(-channels // across)](x, gradient, mean, found, rows, chunk, channels, across, step)
    plain, product = found.sum(dim=1).unbind()
    return plain, product
