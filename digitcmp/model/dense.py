"""The layers that read features: [n, features] in and out. Their shapes: `digitcmp.config.blocks`."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from digitcmp.config.blocks import Shape, find_block
from digitcmp.config.graph import chain, resolved
from digitcmp.config.schema import DenseLayer, ModelConfig
from digitcmp.model.layers import Dropout, make_core, run, steps_of, surrounding_norm


class Linear(nn.Linear):
    """A linear layer."""

    def __init__(self, layer: DenseLayer, inputs: Shape) -> None:
        assert layer.units is not None
        super().__init__(inputs[0], layer.units, layer.bias)


class Residual(nn.Module):
    """A linear layer to which its input is added, projected where the sizes differ."""

    def __init__(self, layer: DenseLayer, inputs: Shape) -> None:
        super().__init__()
        units = layer.units or inputs[0]
        self.linear = nn.Linear(inputs[0], units, layer.bias)
        self.projection = nn.Identity() if units == inputs[0] else nn.Linear(inputs[0], units, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear(x) + self.projection(x)
        return out


class Attention(nn.Module):
    """Each digit's features look at those of both digits, and what they find is added to them (Vaswani et al. 2017, one head):
    the features of two digits side by side, [n, 2 x width], in and out."""

    def __init__(self, layer: Any, inputs: Shape) -> None:
        super().__init__()
        del layer
        self.width = inputs[0] // 2
        self.query, self.key, self.value, self.out = (nn.Linear(self.width, self.width) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        digits = x.view(-1, 2, self.width)
        looks = torch.softmax(self.query(digits) @ self.key(digits).transpose(1, 2) / math.sqrt(self.width), dim=-1)  # [n, 2, 2]
        found: Tensor = digits + self.out(looks @ self.value(digits))
        return found.flatten(1)


class Dense(nn.Module):
    """Dense layers, each by default: linear -> norm -> ReLU -> dropout. [n, inputs] -> [n, outputs]."""

    def __init__(self, inputs: int, layers: Sequence[DenseLayer], model: ModelConfig) -> None:
        super().__init__()
        parts = [*chain("layers", "inputs", (inputs,), layers, model)]
        self.layers = [resolved(layer, model) for layer in layers]
        self.blocks = [find_block("layers", layer) for layer in self.layers]
        whole = [*zip(self.blocks, self.layers, parts, strict=True)]
        self.linear = nn.ModuleList(make_core(block, layer, part.inputs) for block, layer, part in whole)
        self.norms = nn.ModuleList(surrounding_norm(block, layer, part) for block, layer, part in whole)
        self.drops = nn.ModuleList(Dropout(layer.drop) for layer in self.layers)
        self.outputs = parts[-1].outputs[0] if parts else inputs
        self.connect(self.norms)

    def connect(self, norms: Iterable[nn.Module]) -> None:
        """Say what is done, with these norms."""
        whole = zip(self.blocks, self.layers, self.linear, norms, self.drops, strict=True)
        self.steps = [step for block, layer, core, norm, drop in whole for step in steps_of(block, layer, core, norm, drop)]

    def share_norms(self, other: "Dense") -> None:
        """Use the norms of another one in place of its own."""
        del self.norms
        self.connect(other.norms)

    def forward(self, x: Tensor, noise: Tensor | None) -> Tensor:
        return run(self.steps, x, noise)
