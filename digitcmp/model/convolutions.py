"""The cores of layers that read images: [n, channels, h, w] in and out. Their shapes: `digitcmp.config.blocks`."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from digitcmp.config.blocks import INCEPTION, Shape, pair, same
from digitcmp.config.schema import ConvLayer
from digitcmp.kernels.operations import conv2d
from digitcmp.model.layers import ACTIVATIONS, make_norm


class Convolution(nn.Conv2d):
    """A convolution."""

    def __init__(self, layer: ConvLayer, inputs: Shape) -> None:
        kernel, stride, padding, dilation = map(pair, (layer.kernel, layer.stride, layer.padding, layer.dilation))
        assert layer.channels is not None
        super().__init__(inputs[0], layer.channels, kernel, stride, padding, dilation, layer.groups, layer.bias)
        self.how = stride, padding, dilation, layer.groups

    def forward(self, x: Tensor) -> Tensor:
        return conv2d(x, self.weight, self.bias, *self.how)

    def folded(self, norm: nn.Module, x: Tensor) -> Tensor:
        """The convolution and its norm. In evaluation a batch norm is a fixed scale and shift of each channel, which the convolution does
        on the way."""
        if norm.training or not isinstance(norm, nn.BatchNorm2d) or norm.running_mean is None or norm.running_var is None:
            return norm(self(x))  # type: ignore[no-any-return]
        scale = torch.rsqrt(norm.running_var + norm.eps) * (1 if norm.weight is None else norm.weight)
        shift = -norm.running_mean * scale if norm.bias is None else norm.bias - norm.running_mean * scale
        bias = shift if self.bias is None else self.bias * scale + shift
        return conv2d(x, self.weight * scale[:, None, None, None], bias, *self.how)


class Residual(nn.Module):
    """Two convolutions with their norms, an activation between them, and what came in added to it, projected where the shapes differ."""

    def __init__(self, layer: ConvLayer, inputs: Shape) -> None:
        super().__init__()
        channels = layer.channels or inputs[0]
        self.first = Convolution(same(layer, channels, stride=layer.stride), inputs)
        self.second = Convolution(same(layer, channels), (channels, *inputs[1:]))
        self.norm, self.last_norm = make_norm(layer, (channels, 1, 1)), make_norm(layer, (channels, 1, 1))
        self.projection: nn.Module = nn.Identity()
        self.projected_norm: nn.Module = nn.Identity()
        if channels != inputs[0] or pair(layer.stride) != (1, 1):
            self.projection = Convolution(same(layer, channels, 1, layer.stride), inputs)
            self.projected_norm = make_norm(layer, (channels, 1, 1))
        self.activation = ACTIVATIONS.get(layer.activation)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.norm(self.first(x))
        inner = self.last_norm(self.second(inner if self.activation is None else self.activation(inner)))
        out: Tensor = inner + self.projected_norm(self.projection(x))
        return out


class Inception(nn.Module):
    """Branches with windows of 1, 3 and 5 pixels and one that reads maxima, side by side: a quarter of the channels each."""

    def __init__(self, layer: ConvLayer, inputs: Shape) -> None:
        super().__init__()
        assert layer.channels is not None
        quarter = layer.channels // len(INCEPTION)
        self.branches = nn.ModuleList(Convolution(same(layer, quarter, kernel), inputs) for kernel in INCEPTION)

    def forward(self, x: Tensor) -> Tensor:
        *inputs, last = [x] * len(self.branches)
        inputs = [*inputs, F.max_pool2d(last, 3, stride=1, padding=1)]
        return torch.cat([branch(one) for branch, one in zip(self.branches, inputs, strict=True)], dim=1)


class Identity(nn.Module):
    """Nothing."""

    def __init__(self, layer: Any, inputs: Shape) -> None:
        super().__init__()
        del layer, inputs

    def forward(self, x: Tensor) -> Tensor:
        return x
