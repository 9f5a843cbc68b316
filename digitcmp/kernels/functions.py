"""Convolution, max pooling and batch norm for stacked networks on a GPU, as functions that autograd and vmap know.

Called for one network they do what torch's functions of these names do; under vmap they are called once for the whole stack. In float32,
with products of three tf32 parts where the GPU has them (Ootomo and Yokota 2022), which is as exact as float32 itself: what a GPU gives
differs from what a processor gives by rounding alone.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

BLOCK = 1024  # numbers of a program that goes element by element
POSITIONS, HALF = 128, 64  # of a convolution, in one program; of the gradient to its weights, in one step
PROGRAMS = 2112  # that a GPU is given at least, where sums can be divided


@cache
def precision(device: torch.device) -> str:
    """How products are made: from Ampere on by three of tf32, elsewhere as they are."""
    if device.type != "cuda" or torch.version.hip or torch.cuda.get_device_capability(device) < (8, 0):
        return "ieee"
    return "tf32x3"


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
            turned = weight.flip(3, 4).transpose(1, 2).contiguous()
            back = (weight.shape[3] - 1 - ctx.padding[0], weight.shape[4] - 1 - ctx.padding[1])
            to_x = convolved(gradient, turned, None, back)
        if ctx.needs_input_grad[1]:
            to_weight, to_bias = convolved_weight_gradient(x, gradient, weight.shape, ctx.padding)
        found = [None if one is None else one[0] if alone else one for one in (to_x, to_weight, to_bias)]
        return found[0], found[1], found[2] if ctx.bias else None, None

    @staticmethod
    def vmap(info: Any, in_dims: Sequence[int | None], *given: Any) -> tuple[Tensor, int]:
        return Convolution.apply(*in_front(info, in_dims, given)), 0


def pieces(channels: int, window: int) -> tuple[bool, int, int]:
    """How a window of so many channels and places is gone through: whether pieces are of several places, how many, and of which size."""
    mixed = channels < 16
    size = min(32, max(16, power(channels * window if mixed else channels)))
    return mixed, -(-channels * window // size) if mixed else -(-channels // size) * window, size


def convolved(x: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int], alone: bool = False) -> Tensor:
    """[S, n, O, h', w'], or (alone) [n, O, h', w'] of the only network."""
    from digitcmp.kernels.code import convolve

    networks, images, channels, height, width = x.shape
    outputs, rows, columns = weight.shape[1], *weight.shape[3:]
    area = height + 2 * padding[0] - rows + 1, width + 2 * padding[1] - columns + 1
    out = empty(networks, images, outputs, *area, like=x)
    if alone:
        out = torch.empty_strided(out.shape[1:], out.stride()[1:], dtype=x.dtype, device=x.device)
    across = min(64, max(16, power(outputs)))
    grid = (-(-images * area[0] * area[1] // POSITIONS), networks, -(-outputs // across))
    own = weight.permute(0, 3, 4, 2, 1).contiguous()
    convolve[grid](
        x, own, own if bias is None else bias.contiguous(), out, images, *x.stride(), channels, height, width, outputs, rows, columns,
        *padding, *area, bias is not None, precision(x.device), *pieces(channels, rows * columns), POSITIONS, across,
    )  # fmt: skip
    return out


def convolved_weight_gradient(x: Tensor, gradient: Tensor, shape: torch.Size, padding: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """[S, O, C, kh, kw] and [S, O]."""
    from digitcmp.kernels.code import convolve_weight_gradient

    networks, images, channels, height, width = x.shape
    outputs, rows, columns = shape[1], *shape[3:]
    area = gradient.shape[3], gradient.shape[4]
    mixed, steps, size = pieces(channels, rows * columns)
    across, positions = min(64, max(16, power(outputs))), images * area[0] * area[1]
    tiles = -(-outputs // across) * steps
    parts = max(1, min(-(-PROGRAMS // (networks * tiles)), positions // HALF))
    chunk = -(-positions // (parts * HALF)) * HALF
    parts = -(-positions // chunk)
    found, sums = x.new_empty(parts, networks, rows, columns, channels, outputs), x.new_empty(parts, networks, outputs)
    convolve_weight_gradient[tiles, networks, parts](
        x, in_order(gradient), found, sums, images, chunk, *x.stride(), channels, height, width, outputs, rows, columns,
        *padding, *area, precision(x.device), mixed, steps, size, HALF, across, **({} if mixed else {"num_warps": 2, "num_stages": 4}),
    )  # fmt: skip
    return found.sum(dim=0).permute(0, 4, 3, 1, 2), sums.sum(dim=0)


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
    from digitcmp.kernels import code

    kernel: Any = getattr(code, name)
    kernel[(-(-count // BLOCK),)](*tensors, count, *sides, BLOCK)


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
    from digitcmp.kernels.code import scaled

    networks, channels = c.shape
    size = out.numel() // networks
    scaled[networks, -(-size // BLOCK)](
        x, x if y is None else y, out, a, a if b is None else b, c, size, channels, y is not None, BLOCK
    )  # fmt: skip


def per_channel_sums(x: Tensor, gradient: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    """The sums of the gradient and of gradient x (x - mean), [S, C]; x and gradient [S, n, C, h, w] in order."""
    from digitcmp.kernels.code import norm_sums

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


@cache
def available() -> str:
    """Empty where Triton is installed, otherwise why it cannot be used."""
    try:
        import digitcmp.kernels.code  # noqa: F401
    except ImportError as error:
        return str(error)
    return ""


def usable(x: Tensor) -> bool:
    """Whether the kernels take what this tensor is."""
    return x.device.type in DEVICES and x.dtype == torch.float32 and not available()


def prepare(device: torch.device) -> str:
    """See whether kernels can be compiled and run there. Empty where they can, or where there are none for such a device; otherwise why
    not, in one line, and torch's own operations are used from then on."""
    if device.type not in DEVICES:
        return ""
    reason = available()
    try:
        if not reason:
            MaxPool.apply(torch.zeros(1, 1, 2, 2, device=device), (2, 2))
    except Exception as error:  # of a compiler that is not there, or does not know this GPU
        reason = (str(error).splitlines() or [type(error).__name__])[0]
    if reason:
        DEVICES.discard(device.type)
    return reason


DEVICES = {"cuda"}  # that have kernels
