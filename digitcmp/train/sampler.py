"""What is trained on in each epoch: the training pairs, perhaps in new pairs, augmented and in a new order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from digitcmp.data.augment import Augmentation
from digitcmp.data.pairs import Pairs, recombined, swapped
from digitcmp.seeding import MemberSeed, Stream, generator, step_keys


@dataclass(frozen=True)
class PairSampler:
    """How the training pairs change from epoch to epoch. target: what is asked of a pair, for the answers of new pairs."""

    target: str
    shuffle: bool = False
    repair: bool = False
    swap: bool = False
    augment: Augmentation | None = None

    def sample(self, pairs: Pairs, seeds: Sequence[MemberSeed], epochs: int) -> Iterator[Pairs]:
        """The training pairs [S, N] of each epoch. Those of each network depend on its own seed alone."""
        orders, pairings = ([generator(seed, stream) for seed in seeds] for stream in (Stream.ORDER, Stream.PAIRING))
        keys = torch.stack([step_keys(seed, Stream.AUGMENT, epochs, 1)[:, 0] for seed in seeds], dim=1).to(pairs.images.device)
        for epoch in range(epochs):
            sampled = pairs
            if self.repair:
                sampled = recombined(sampled, pairings, self.target)
            if self.swap:
                sampled = swapped(sampled, pairings, self.target)
            if self.augment is not None:
                sampled = Pairs(self.augment(sampled.images, keys[epoch]), sampled.target, sampled.digits)
            yield shuffled(sampled, orders) if self.shuffle else sampled


def shuffled(pairs: Pairs, orders: Sequence[torch.Generator]) -> Pairs:
    """The pairs of each round in a new order, drawn from the round's own generator."""
    count = pairs.target.shape[1]
    index = torch.stack([torch.randperm(count, generator=order) for order in orders]).to(pairs.target.device)
    rows = torch.arange(len(orders), device=index.device)[:, None]
    return Pairs(pairs.images[rows, index], pairs.target[rows, index], pairs.digits[rows, index])
