"""The loss of a step: what its networks make of a batch, with what is drawn for it from the seeds of these networks."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from digitcmp.config.schema import Config
from digitcmp.data.pairs import Pairs
from digitcmp.model.network import Outputs
from digitcmp.seeding import MemberSeed, Stream, sequence, step_keys
from digitcmp.train.losses import balanced, extras_of, total_loss
from digitcmp.train.program import Program


class Objective:
    """What is minimised, one number for each of S networks."""

    def __init__(self, config: Config, seeds: Sequence[MemberSeed], pairs: Pairs, steps: int) -> None:
        """seeds: those of the networks. pairs: the training pairs of their rounds. steps: of an epoch."""
        self.config, self.extras = config, extras_of(config)
        shape, device = (config.epochs, steps, len(seeds)), pairs.images.device
        self.turns = self.classes = self.mixup = None
        if self.extras.combine == "alternate":
            turns = torch.stack([step_keys(seed, Stream.LOSS, config.epochs * steps, 1)[:, 0] < 0 for seed in seeds], dim=1)
            self.turns = turns.to(device).view(shape)
        if config.loss.balance:
            self.classes = balanced(pairs.target, config.model.comparator.outputs).repeat_interleave(config.ensemble, dim=0)
        if config.loss.mixup > 0:
            self.mixup = Mixup(config.loss.mixup, seeds, config.epochs * steps, config.batch_size, device)
        self.steps = steps

    def drawn(self, epoch: int, step: int) -> list[Tensor]:
        """What is drawn for a step, as `__call__` takes it: whose turn it is, and what pairs are mixed with, as far as that is wanted."""
        turns = [] if self.turns is None else [self.turns[epoch, step]]
        return turns if self.mixup is None else [*turns, *self.mixup.drawn(epoch * self.steps + step)]

    def __call__(self, program: Program, batch: Pairs, noise: Tensor, *drawn: Tensor) -> tuple[Tensor, Outputs]:
        """The losses [S] of a batch [S, B], and the outputs that they are of."""
        left = [*drawn]
        turn = None if self.turns is None else left.pop(0)
        if self.mixup is None:
            outputs = program(batch.images, noise)
            return self.loss(outputs, batch, turn), outputs
        share, places = left
        other = partners(batch, places)
        outputs = program(mixed(batch.images, other.images, share), noise)
        return share * self.loss(outputs, batch, turn) + (1 - share) * self.loss(outputs, other, turn), outputs

    def loss(self, outputs: Outputs, batch: Pairs, turn: Tensor | None) -> Tensor:
        """The losses [S] of these outputs for these pairs."""
        config = self.config
        return total_loss(outputs, batch.target, batch.digits, config.aux_weight, config.label_smoothing, self.extras, turn, self.classes)


class Mixup:
    """Each pair of a batch is mixed with another one of it, in a share drawn anew for every step (Zhang et al. 2018)."""

    def __init__(self, alpha: float, seeds: Sequence[MemberSeed], steps: int, batch: int, device: torch.device) -> None:
        """alpha: both parameters of the beta distribution of the shares. steps: in all."""
        drawn = [np.random.default_rng(sequence(seed, Stream.MIXUP)) for seed in seeds]
        shares = [random.beta(alpha, alpha, steps) for random in drawn]
        places = [random.integers(1, max(batch, 2), steps) for random in drawn]
        self.shares = torch.from_numpy(np.stack(shares, axis=1)).float().to(device)  # [steps, S]
        self.places = torch.from_numpy(np.stack(places, axis=1)).to(device)

    def drawn(self, step: int) -> tuple[Tensor, Tensor]:
        """The share of a batch's own pairs [S], and how many places further on in it lies what each of them is mixed with [S]."""
        return self.shares[step], self.places[step]


def partners(batch: Pairs, places: Tensor) -> Pairs:
    """For each pair of the batch, the one that lies so many places [S] further on."""
    networks, count = batch.target.shape
    device = batch.target.device
    index = (torch.arange(count, device=device) + places[:, None]) % count
    rows = torch.arange(networks, device=device)[:, None]
    return Pairs(batch.images[rows, index], batch.target[rows, index], batch.digits[rows, index])


def mixed(images: Tensor, others: Tensor, share: Tensor) -> Tensor:
    """Images [S, B, 2, h, w] and others of their shape, in this share [S]."""
    return torch.lerp(others, images, share.view(-1, *(1 for _ in images.shape[1:])))
