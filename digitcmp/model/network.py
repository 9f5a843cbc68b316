"""The pair network: two digits in, a comparison (and perhaps two digits' classes) out."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from digitcmp.config.schema import ModelConfig
from digitcmp.model.blocks import CLASSES, Dense, Dropout, Logits, Posterior, Tower, initialise


class Outputs(NamedTuple):
    """What a pair network says: comparison logits [..., B, 1 or 2] and digit logits [..., B, 2, 10], or None without digit head."""

    comparison: Tensor
    digits: Tensor | None


class Branch(nn.Module):
    """What reads one digit: tower, dense layers and the digit head, if it has one. [n, 1, 14, 14] -> [n, features], [n, 10].

    With two channels: what reads both digits as one image, [n, 2, 14, 14], for a network that is checked to have no digit layers then.
    """

    def __init__(self, model: ModelConfig, channels: int = 1) -> None:
        super().__init__()
        self.tower = Tower(channels, model)
        self.dense = Dense(self.tower.features, model.digit_dense, model)
        head = model.digit_head
        self.head = Logits(self.dense.outputs, CLASSES, head, model) if head.reads == "digit" else None
        self.outputs = self.dense.outputs

    def forward(self, images: Tensor, noise: Tensor | None) -> tuple[Tensor, Tensor | None]:
        features = self.dense(self.tower(images), noise)
        return features, None if self.head is None else self.head(features, noise)


class SharedDigits(nn.Module):
    """Both digits through one branch (weight sharing): [B, 2, 14, 14] -> [B, 2 x features], [B, 2, 10]."""

    def __init__(self, model: ModelConfig) -> None:
        super().__init__()
        self.branch = Branch(model)
        self.outputs = 2 * self.branch.outputs

    def forward(self, images: Tensor, noise: Tensor | None) -> tuple[Tensor, Tensor | None]:
        pairs = len(images)
        # two digits of a pair are two images of one batch; both views cost nothing
        features, digits = self.branch(images.flatten(0, 1)[:, None], noise)
        return features.reshape(pairs, -1), None if digits is None else digits.reshape(pairs, 2, CLASSES)


class SeparateDigits(nn.Module):
    """A branch of its own for each digit: [B, 2, 14, 14] -> [B, 2 x features], [B, 2, 10]."""

    def __init__(self, model: ModelConfig) -> None:
        super().__init__()
        first, second = Branch(model), Branch(model)
        self.branches = nn.ModuleList([first, second])
        self.outputs = first.outputs + second.outputs

    def forward(self, images: Tensor, noise: Tensor | None) -> tuple[Tensor, Tensor | None]:
        outputs = [branch(images[:, index, None], noise) for index, branch in enumerate(self.branches)]
        digits = [logits for _, logits in outputs if logits is not None]
        return torch.cat([features for features, _ in outputs], dim=1), torch.stack(digits, dim=1) if digits else None


class PairNetwork(nn.Module):
    """The network that a ModelConfig declares. Its weights are undefined until `initialise` or a state dict fills them."""

    def __init__(self, model: ModelConfig) -> None:
        super().__init__()
        self.reader: SharedDigits | SeparateDigits | Branch
        if model.joint:
            self.reader = Branch(model, channels=2)
        else:
            self.reader = SharedDigits(model) if model.weight_sharing else SeparateDigits(model)
        self.dense = Dense(self.reader.outputs, model.joint_dense, model)
        head, comparator = model.digit_head, model.comparator
        self.head = Logits(self.dense.outputs, CLASSES, head, model) if head.reads == "joint" else None
        self.reads, self.detach = comparator.reads, comparator.detach
        self.comparator: Logits | Posterior
        if comparator.reads == "posterior":
            self.comparator = Posterior(comparator.target, comparator.temperature)
        else:
            inputs = self.dense.outputs if comparator.reads == "features" else 2 * CLASSES
            self.comparator = Logits(inputs, comparator.outputs, comparator, model)
        self.dropouts = [module for module in self.modules() if isinstance(module, Dropout) and module.probability > 0]
        for index, dropout in enumerate(self.dropouts):
            dropout.index = index

    def forward(self, images: Tensor, noise: Tensor | None = None) -> Outputs:
        """Images [B, 2, 14, 14], normalised; noise: int32 dropout keys [len(self.dropouts)], None for no dropout."""
        features, digits = self.reader(images, noise)
        features = self.dense(features, noise)
        if self.head is not None:
            digits = self.head(features, noise).unsqueeze(1).expand(-1, 2, -1)
        inputs = features  # [B, F]; or digit logits or probabilities [B, 20], or for a posterior all digit logits [B, 2, 10]
        if digits is not None and self.reads != "features":
            inputs = F.softmax(digits, dim=2) if self.reads == "digit_probabilities" else digits
            inputs = inputs if self.reads == "posterior" else inputs.flatten(1)
        return Outputs(self.comparator(inputs.detach() if self.detach else inputs, noise), digits)


def build(model: ModelConfig, random: torch.Generator, device: torch.device) -> PairNetwork:
    """A network with fresh weights. Nothing is drawn from a global generator."""
    with torch.device("meta"):
        network = PairNetwork(model)
    # what `to_empty` does, which imports sympy for it, 0.7 s of the first round
    empty = {name: torch.empty(tensor.shape, dtype=tensor.dtype, device=device) for name, tensor in network.state_dict().items()}
    network.load_state_dict(empty, assign=True)
    initialise(network, random)
    return network.to(memory_format=torch.channels_last)


def count_parameters(model: ModelConfig) -> int:
    """How many numbers the network learns. Takes no memory."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in PairNetwork(model).parameters())
