"""What layers call: torch's own operations, but on a GPU those of this package, where these can do it."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from digitcmp.config.blocks import pair
from digitcmp.kernels.convolution import Convolution
from digitcmp.kernels.norm import BatchNorm
from digitcmp.kernels.pooling import MaxPool
from digitcmp.kernels.stacks import DEVICES, available, usable

Sides = tuple[int, int]


def conv2d(x: Tensor, weight: Tensor, bias: Tensor | None, stride: Sides, padding: Sides, dilation: Sides, groups: int) -> Tensor:
    """torch.nn.functional.conv2d: x [n, C, h, w] -> [n, O, h', w']."""
    dense = stride == dilation == (1, 1) and groups == 1 and all(of < side for of, side in zip(padding, weight.shape[-2:], strict=True))
    if dense and usable(x):
        return Convolution.apply(x, weight, bias, padding)  # type: ignore[no-any-return]
    return F.conv2d(x, weight, bias, stride, padding, dilation, groups)


def max_pool2d(x: Tensor, kernel_size: int | Sides, stride: int | Sides | None = None) -> Tensor:
    """torch.nn.functional.max_pool2d: x [n, C, h, w] -> [n, C, h', w']."""
    window = pair(kernel_size)
    if (
        stride in (None, kernel_size)
        and usable(x)
        and window[0] <= x.shape[-2]
        and window[1] <= x.shape[-1]
        and window[0] * window[1] < 256
    ):
        return MaxPool.apply(x, window)[0]  # type: ignore[no-any-return]
    return F.max_pool2d(x, kernel_size, stride)


class BatchNorm2d(nn.BatchNorm2d):
    """torch.nn.BatchNorm2d, which vmap can go along on a GPU, too."""

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type == "cpu" and not usable(x):
            return super().forward(x)
        if not usable(x):
            with torch.backends.cudnn.flags(enabled=False):  # vmap has no rule for cuDNN's
                return super().forward(x)
        weight = x.new_ones(x.shape[1]) if self.weight is None else self.weight
        bias = x.new_zeros(x.shape[1]) if self.bias is None else self.bias
        if not self.training and self.running_mean is not None and self.running_var is not None:
            scale = torch.rsqrt(self.running_var + self.eps) * weight
            return x * scale[:, None, None] + (bias - self.running_mean * scale)[:, None, None]
        normal, mean, var, _ = BatchNorm.apply(x, weight, bias, self.eps)
        if self.training and self.running_mean is not None and self.running_var is not None:
            assert self.momentum is not None
            assert self.num_batches_tracked is not None
            self.num_batches_tracked.add_(1)
            for running, own in ((self.running_mean, mean), (self.running_var, var)):
                running.mul_(1 - self.momentum).add_(own * self.momentum)
        return normal  # type: ignore[no-any-return]


class GroupNorm(nn.GroupNorm):
    """torch.nn.GroupNorm, which vmap can go along. stacked: whether it does."""

    stacked = False

    def forward(self, x: Tensor) -> Tensor:
        if not self.stacked:
            return super().forward(x)
        groups = x.reshape(len(x), self.num_groups, -1)
        var, mean = torch.var_mean(groups, dim=2, keepdim=True, correction=0)
        normal = ((groups - mean) * torch.rsqrt(var + self.eps)).view(x.shape)
        if not self.affine:
            return normal
        shape = [-1, *(1 for _ in x.shape[2:])]
        return normal * self.weight.view(shape) + self.bias.view(shape)


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
