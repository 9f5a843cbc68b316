"""The pair network: two digits in, a comparison (and perhaps two digits' classes) out."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from digitcmp.config.blocks import Shape
from digitcmp.config.comparators import CLASSES, READINGS
from digitcmp.config.offered import offers
from digitcmp.config.schema import SIZE, DigitHead, ModelConfig
from digitcmp.model.blocks import Conv, Logits, Tower, flat
from digitcmp.model.comparators import READERS, Posterior
from digitcmp.model.dense import Dense
from digitcmp.model.initial import initialise
from digitcmp.model.layers import Dropout


class Outputs(NamedTuple):
    """What a pair network says: comparison logits [..., B, 1 to 3] and digit logits [..., B, 2, 10], or None without digit head.

    In training also the logits of auxiliary heads [..., B, heads, 2, 10], None without any, and the features of each digit
    [..., B, 2, F], None for a joint tower.
    """

    comparison: Tensor
    digits: Tensor | None
    heads: Tensor | None = None
    embeddings: Tensor | None = None


class Seen(NamedTuple):
    """What a reader makes of n images or B pairs: features [n, F] or [B, 2 F]; digit logits [n, 10] or [B, 2, 10], None without a head;
    those of auxiliary heads, [n, heads, 10] or [B, heads, 2, 10], None without any or in evaluation."""

    features: Tensor
    digits: Tensor | None
    heads: Tensor | None


class AuxiliaryHeads(nn.Module):
    """The digit heads at layers of a tower: what these put out, by number -> logits [n, heads, 10]."""

    def __init__(self, shapes: Sequence[Shape], model: ModelConfig) -> None:
        super().__init__()
        self.after = [head.after for head in model.aux_heads]
        heads = (DigitHead("digit", hidden=head.hidden) for head in model.aux_heads)
        self.heads = nn.ModuleList(
            Logits(math.prod(shapes[one]), CLASSES, head, model) for one, head in zip(self.after, heads, strict=True)
        )

    def forward(self, layers: Sequence[Tensor], noise: Tensor | None) -> Tensor:
        return torch.stack([head(flat(layers[after]), noise) for after, head in zip(self.after, self.heads, strict=True)], dim=1)


class Branch(nn.Module):
    """What reads one digit: tower, dense layers and the digit heads, if it has any: images [n, 1, s, s].

    With two channels: what reads both digits as one image, [n, 2, s, s], for a network that is checked to have no digit layers then.
    """

    def __init__(self, model: ModelConfig, size: int, channels: int = 1) -> None:
        super().__init__()
        self.tower = Tower((channels, size, size), model)
        self.dense = Dense(self.tower.features, model.digit_dense, model)
        head = model.digit_head
        self.head = Logits(self.dense.outputs, CLASSES, head, model) if head.reads == "digit" else None
        self.auxiliary = AuxiliaryHeads(self.tower.shapes, model) if model.aux_heads else None
        self.outputs = self.dense.outputs

    def forward(self, images: Tensor, noise: Tensor | None) -> Seen:
        layers: list[Tensor] | None = [] if self.auxiliary is not None and self.training else None
        features = self.dense(self.tower(images, noise, layers), noise)
        heads = None if layers is None or self.auxiliary is None else self.auxiliary(layers, noise)
        return Seen(features, None if self.head is None else self.head(features, noise), heads)


def share_norms(first: Branch, second: Branch) -> None:
    """Let the second branch use the norms of the first one."""
    for one, two in zip([*first.modules()], [*second.modules()], strict=True):
        if isinstance(two, Conv | Dense | Logits):
            two.share_norms(one)  # type: ignore[arg-type]  # it is of the same class


class SharedDigits(nn.Module):
    """Both digits through one branch (weight sharing): [B, 2, s, s] -> [B, 2 x features], [B, 2, 10]."""

    def __init__(self, model: ModelConfig, size: int) -> None:
        super().__init__()
        self.branch = Branch(model, size)
        self.outputs = 2 * self.branch.outputs

    def forward(self, images: Tensor, noise: Tensor | None) -> Seen:
        pairs = len(images)
        # two digits of a pair are two images of one batch; both views cost nothing
        features, digits, heads = self.branch(images.flatten(0, 1)[:, None], noise)
        return Seen(
            features.reshape(pairs, -1),
            None if digits is None else digits.reshape(pairs, 2, CLASSES),
            None if heads is None else heads.reshape(pairs, 2, -1, CLASSES).transpose(1, 2),
        )


class SeparateDigits(nn.Module):
    """A branch of its own for each digit, but for what they share: [B, 2, s, s] -> [B, 2 x features], [B, 2, 10]."""

    def __init__(self, model: ModelConfig, size: int) -> None:
        super().__init__()
        first, second = Branch(model, size), Branch(model, size)
        if model.own_dense:  # of the tower they have one
            del second.tower
            second.__dict__["tower"] = first.tower
        if model.shared_norm:
            share_norms(first, second)
        self.branches = nn.ModuleList([first, second])
        self.outputs = first.outputs + second.outputs

    def forward(self, images: Tensor, noise: Tensor | None) -> Seen:
        seen = [branch(images[:, index, None], noise) for index, branch in enumerate(self.branches)]
        digits = [one.digits for one in seen if one.digits is not None]
        heads = [one.heads for one in seen if one.heads is not None]
        return Seen(
            torch.cat([one.features for one in seen], dim=1),
            torch.stack(digits, dim=1) if digits else None,
            torch.stack(heads, dim=2) if heads else None,
        )


class PairNetwork(nn.Module):
    """The network that a ModelConfig declares, for digits of so many pixels in height and width. Its weights are undefined until
    `initialise` or a state dict fills them."""

    def __init__(self, model: ModelConfig, size: int = SIZE) -> None:
        super().__init__()
        self.reader: SharedDigits | SeparateDigits | Branch
        if model.joint:
            self.reader = Branch(model, size, channels=2)
        else:
            self.reader = SharedDigits(model, size) if model.weight_sharing and not model.own_dense else SeparateDigits(model, size)
        self.dense = Dense(self.reader.outputs, model.joint_dense, model)
        head, comparator = model.digit_head, model.comparator
        self.head = Logits(self.dense.outputs, CLASSES, head, model) if head.reads == "joint" else None
        self.read, self.detach, self.joint = READERS[comparator.reads], comparator.detach, model.joint
        each = self.reader.outputs // (1 if model.joint else 2)
        self.comparator: Logits | Posterior
        if comparator.reads == "posterior":
            self.comparator = Posterior(comparator.target, comparator.temperature)
        else:
            reading = READINGS[comparator.reads]
            self.comparator = Logits(
                reading.numbers(self.dense.outputs if reading.of == "both" else each), comparator.outputs, comparator, model
            )
        self.dropouts = [module for module in self.modules() if isinstance(module, Dropout) and module.probability > 0]
        for index, dropout in enumerate(self.dropouts):
            dropout.index = index

    def forward(self, images: Tensor, noise: Tensor | None = None) -> Outputs:
        """Images [B, 2, s, s], normalised; noise: int32 dropout keys [len(self.dropouts)], None for no dropout."""
        seen: Seen = self.reader(images, noise)
        features, digits = self.dense(seen.features, noise), seen.digits
        if self.head is not None:
            digits = self.head(features, noise).unsqueeze(1).expand(-1, 2, -1)
        inputs = self.read(seen.features, features, digits)
        comparison = self.comparator(inputs.detach() if self.detach else inputs, noise)
        embeddings = seen.features.view(len(images), 2, -1) if self.training and not self.joint else None
        return Outputs(comparison, digits, seen.heads, embeddings)


def build(model: ModelConfig, random: torch.Generator, device: torch.device, size: int = SIZE) -> PairNetwork:
    """A network with fresh weights. Nothing is drawn from a global generator."""
    offers()  # files of others are imported for it: not within, where their tensors would have no numbers
    with torch.device("meta"):
        network = PairNetwork(model, size)
    # what `to_empty` does, which imports sympy for it, 0.7 s of the first round
    empty = {name: torch.empty(tensor.shape, dtype=tensor.dtype, device=device) for name, tensor in network.state_dict().items()}
    network.load_state_dict(empty, assign=True)
    bring_constants(network, device)
    initialise(network, random, model.init, model.zero_bias)
    return network.to(device).to(memory_format=torch.channels_last)  # what `initialise` has put in a tensor's place is on the CPU


def bring_constants(network: nn.Module, device: torch.device) -> None:
    """Bring tensors that layers of others have as attributes, neither weights nor buffers, to where these are."""
    for module in network.modules():
        for name, value in [*vars(module).items()]:
            if isinstance(value, Tensor) and value.device.type != "meta":
                setattr(module, name, value.to(device))


def count_parameters(model: ModelConfig, size: int = SIZE) -> int:
    """How many numbers the network learns. Takes no memory."""
    offers()  # files of others are imported for it: not within, where their tensors would have no numbers
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in PairNetwork(model, size).parameters())
