"""The parts of a pair network: small modules that read their layer's configuration.

Every part is called with `noise`: the int32 keys [number of dropouts] of this step in training, None in evaluation.
"""

import math
from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from digitcmp.config.blocks import Shape, find_block
from digitcmp.config.graph import one_layer, resolved
from digitcmp.config.schema import Comparator, ConvLayer, DenseLayer, DigitHead, ModelConfig
from digitcmp.model.convolutions import Convolution
from digitcmp.model.dense import Dense
from digitcmp.model.layers import Dropout, make_core, make_norm, run, steps_of, surrounding_norm


class Conv(nn.Module):
    """A layer of the tower, by default: convolution -> norm -> max pooling -> ReLU (which commute; after pooling there is less left to
    do). [n, in, h, w] -> [n, channels, h', w']."""

    def __init__(self, inputs: Shape, layer: ConvLayer, model: ModelConfig) -> None:
        super().__init__()
        self.layer = layer = resolved(layer, model)
        part = one_layer("layer", "inputs", inputs, layer)
        self.block, self.outputs = find_block("layer", layer), part.outputs
        self.conv = make_core(self.block, layer, inputs)
        self.norm, self.drop = surrounding_norm(self.block, layer, part), Dropout(layer.drop, layer.drop_channels)
        self.connect(self.norm)

    def connect(self, norm: nn.Module) -> None:
        """Say what is done, with this norm."""
        if isinstance(self.conv, Convolution) and "layer,norm" in ",".join(self.layer.order):
            self.steps = steps_of(self.block, self.layer, partial(self.conv.folded, norm), nn.Identity(), self.drop)
        else:
            self.steps = steps_of(self.block, self.layer, self.conv, norm, self.drop)

    def share_norms(self, other: "Conv") -> None:
        """Use the norm of another one in place of its own."""
        del self.norm
        self.connect(other.norm)

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        return run(self.steps, x, noise)


class Tower(nn.Module):
    """Convolutions, then flat features: images [n, channels, s, s] -> [n, features]."""

    def __init__(self, inputs: Shape, model: ModelConfig) -> None:
        super().__init__()
        shape = inputs
        self.layers, self.shapes = nn.ModuleList(), list[Shape]()
        for layer in model.tower:
            self.layers.append(conv := Conv(shape, layer, model))
            self.shapes.append(shape := conv.outputs)
        self.features = math.prod(shape)

    def forward(self, images: Tensor, noise: Tensor | None = None, seen: list[Tensor] | None = None) -> Tensor:
        """seen: is given what each layer puts out, [n, channels', h, w]."""
        for layer in self.layers:
            images = layer(images, noise)
            if seen is not None:
                seen.append(images)
        return flat(images)


def flat(images: Tensor) -> Tensor:
    """Features [n, h x w x channels] of images [n, channels, h, w].

    Pixels first, channels last: the order in which channels-last tensors lie in memory, so nothing is copied.
    """
    return images.permute(0, 2, 3, 1).flatten(1)


class Logits(nn.Module):
    """Dropout (of a digit head), hidden layers, then a linear layer that gives logits, with dropout, norm and ReLU where a published
    network has them: [n, inputs] -> [n, outputs]."""

    def __init__(self, inputs: int, outputs: int, layer: DigitHead | Comparator, model: ModelConfig) -> None:
        super().__init__()
        self.drop = Dropout(model.dropout if isinstance(layer, DigitHead) and layer.drop else 0.0)
        self.hidden, self.deep = Dense(inputs, layer.hidden, model), bool(layer.hidden)  # most have none: a call less for each batch
        self.linear = nn.Linear(self.hidden.outputs, outputs)
        self.drop_logits = Dropout(model.dropout if layer.drop_logits else 0.0)
        self.norm = make_norm(resolved(DenseLayer(outputs, norm=layer.norm), model), (outputs,))
        self.relu = layer.relu

    def share_norms(self, other: "Logits") -> None:
        """Use the norm of another one in place of its own."""
        del self.norm
        self.__dict__["norm"] = other.norm  # which remains the other's

    def forward(self, x: Tensor, noise: Tensor | None) -> Tensor:
        x = self.drop(x, noise)
        x = self.linear(self.hidden(x, noise) if self.deep else x)
        x = self.norm(self.drop_logits(x, noise))
        return F.relu_(x) if self.relu else x
