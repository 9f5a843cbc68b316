"""The parts of a pair network: small modules that read their layer's configuration.

Every part is called with `noise`: the int32 keys [number of dropouts] of this step in training, None in evaluation.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from digitcmp.config.rules import output_size
from digitcmp.config.schema import Comparator, ConvLayer, DenseLayer, DigitHead, ModelConfig
from digitcmp.seeding import uniform

CLASSES = 10


class Dropout(nn.Module):
    """Dropout (Srivastava et al. 2014) whose masks come from explicit keys instead of a global generator.

    `index` says which of the step's keys is this layer's; the network numbers those of its dropouts that do something.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.index = 0

    def forward(self, x: Tensor, noise: Tensor | None) -> Tensor:
        if noise is None or self.probability == 0:
            return x
        keep = uniform(noise[self.index], tuple(x.shape)) >= self.probability
        return x * keep / (1 - self.probability)


def make_norm(kind: type[nn.BatchNorm1d] | type[nn.BatchNorm2d], features: int, wanted: bool, model: ModelConfig) -> nn.Module:
    """Batch norm where the layer is marked for it and the network has it switched on."""
    if not (wanted and model.batchnorm):
        return nn.Identity()
    return kind(features, track_running_stats=not model.batch_statistics)


class Conv(nn.Module):
    """Convolution -> norm -> max pooling -> ReLU: [n, in, h, w] -> [n, channels, h', w']."""

    def __init__(self, inputs: int, layer: ConvLayer, model: ModelConfig) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, layer.channels, layer.kernel, padding=layer.padding)
        self.norm = make_norm(nn.BatchNorm2d, layer.channels, layer.norm, model)
        self.pool = layer.pool

    def forward(self, x: Tensor) -> Tensor:
        weight, bias, norm = self.conv.weight, self.conv.bias, self.norm
        if not norm.training and isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None:
            # in evaluation such a norm is a fixed scale and shift of each channel, which the convolution does on the way
            scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
            shift = norm.bias - norm.running_mean * scale
            weight, bias, norm = weight * scale[:, None, None, None], shift if bias is None else bias * scale + shift, nn.Identity()
        x = norm(F.conv2d(x, weight, bias, padding=self.conv.padding))
        # pooling and ReLU commute; after pooling there is less left to do, and no layer needs its output again: in place
        return F.relu_(F.max_pool2d(x, self.pool) if self.pool > 1 else x)


class Tower(nn.Module):
    """Convolutions, then flat features: images [n, channels, 14, 14] -> [n, features]."""

    def __init__(self, inputs: int, model: ModelConfig) -> None:
        super().__init__()
        channels = [inputs, *(layer.channels for layer in model.tower)]
        self.layers = nn.Sequential(*(Conv(before, layer, model) for before, layer in zip(channels, model.tower, strict=False)))
        self.features = channels[-1] * output_size(model.tower) ** 2

    def forward(self, images: Tensor) -> Tensor:
        # pixels first, channels last: the order in which channels-last tensors lie in memory, so nothing is copied
        features: Tensor = self.layers(images).permute(0, 2, 3, 1).flatten(1)
        return features


class Dense(nn.Module):
    """Dense layers, each: linear -> norm -> ReLU -> dropout. [n, inputs] -> [n, outputs]."""

    def __init__(self, inputs: int, layers: Sequence[DenseLayer], model: ModelConfig) -> None:
        super().__init__()
        units = [inputs, *(layer.units for layer in layers)]
        self.linear = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(units))
        self.norms = nn.ModuleList(make_norm(nn.BatchNorm1d, layer.units, layer.norm, model) for layer in layers)
        self.drops = nn.ModuleList(Dropout(model.dropout if layer.drop else 0.0) for layer in layers)
        self.relus = [layer.relu for layer in layers]
        self.outputs = units[-1]

    def forward(self, x: Tensor, noise: Tensor | None) -> Tensor:
        for linear, norm, drop, relu in zip(self.linear, self.norms, self.drops, self.relus, strict=True):
            x = norm(linear(x))
            x = drop(F.relu_(x) if relu else x, noise)
        return x


class Logits(nn.Module):
    """Dropout (of a digit head), then a linear layer that gives logits, with norm and ReLU where a published network has them:
    [n, inputs] -> [n, outputs]."""

    def __init__(self, inputs: int, outputs: int, layer: DigitHead | Comparator, model: ModelConfig) -> None:
        super().__init__()
        self.drop = Dropout(model.dropout if isinstance(layer, DigitHead) and layer.drop else 0.0)
        self.linear = nn.Linear(inputs, outputs)
        self.norm = make_norm(nn.BatchNorm1d, outputs, layer.norm, model)
        self.relu = layer.relu

    def forward(self, x: Tensor, noise: Tensor | None) -> Tensor:
        x = self.norm(self.linear(self.drop(x, noise)))
        return F.relu_(x) if self.relu else x


class Posterior(nn.Module):
    """The comparator without parameters: from the digits' logits [..., 2, 10] to one logit [..., 1].

    With the posteriors p and q of the two digits, taken as independent, P(first <= second) is the sum of p(i) q(j) over
    i <= j. The logit is the logarithm of P / (1 - P), worked out from logarithms, so that it stays finite and has a
    gradient however sure the network is. `target` "gt" asks whether first > second, the opposite sign.

    temperature: the logits are divided by it. Label smoothing and averages over views spread every posterior over digits that
    nobody saw, and the sum over them can outweigh the digit that was read; a temperature below 1 takes that back (temperature
    scaling, Guo et al. 2017).
    """

    def __init__(self, target: str, temperature: float = 1.0) -> None:
        super().__init__()
        self.sign = 1.0 if target == "le" else -1.0
        self.temperature = temperature

    def forward(self, digits: Tensor, noise: Tensor | None = None) -> Tensor:
        """digits: logits or log probabilities, [..., 2, 10]; noise is not used."""
        del noise
        logs = F.log_softmax(digits / self.temperature, dim=-1)
        joint = logs[..., 0, :, None] + logs[..., 1, None, :]  # [..., first, second]
        digit = torch.arange(CLASSES, device=digits.device)
        ordered = digit[:, None] <= digit
        holds, fails = (joint.masked_fill(other, -torch.inf).flatten(-2).logsumexp(dim=-1) for other in (~ordered, ordered))
        return self.sign * (holds - fails)[..., None]


@torch.no_grad()
def initialise(network: nn.Module, random: torch.Generator) -> None:
    """Draw all weights and biases uniformly from ±1 / sqrt(fan-in), PyTorch's own default, but from an explicit generator."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            bound = module.weight[0].numel() ** -0.5
            for parameter in (module.weight, module.bias):
                if parameter is not None:
                    # drawn in float32 on the CPU, whatever the network's own type and device are
                    parameter.copy_(torch.empty(parameter.shape).uniform_(-bound, bound, generator=random))
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.reset_parameters()  # ones and zeros, nothing random
