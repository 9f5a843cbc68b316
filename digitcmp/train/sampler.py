"""What is trained on in each epoch: the training pairs, perhaps in new pairs, augmented and in a new order."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from digitcmp.data.augment import Augmentation
from digitcmp.data.pairs import Pairs, recombined, swapped
from digitcmp.seeding import Origin, Stream, generator, step_keys


@dataclass(frozen=True)
class Diet:
    """How the training pairs change from epoch to epoch. target: what is asked of a pair, for the answers of new pairs."""

    target: str
    shuffle: bool = False
    repair: bool = False
    swap: bool = False
    augment: Augmentation | None = None


def examples(pairs: Pairs, origins: list[Origin], diet: Diet, epochs: int) -> Iterator[Pairs]:
    """The training pairs [S, N, ...] of each epoch. Those of each network depend on its own origin alone."""
    orders, pairings = ([generator(origin, stream) for origin in origins] for stream in (Stream.ORDER, Stream.PAIRING))
    keys = torch.stack([step_keys(origin, Stream.AUGMENT, epochs, 1)[:, 0] for origin in origins], dim=1).to(pairs.images.device)
    for epoch in range(epochs):
        new = changed(pairs, pairings, keys[epoch], diet)
        yield shuffled(new, orders) if diet.shuffle else new


def changed(pairs: Pairs, pairings: list[torch.Generator], keys: Tensor, diet: Diet) -> Pairs:
    """The training pairs of one epoch, in new pairs or orders and augmented. keys: int32 [S]."""
    if diet.repair:
        pairs = recombined(pairs, pairings, diet.target)
    if diet.swap:
        pairs = swapped(pairs, pairings, diet.target)
    return pairs if diet.augment is None else Pairs(diet.augment(pairs.images, keys), pairs.target, pairs.digits)


def shuffled(pairs: Pairs, orders: list[torch.Generator]) -> Pairs:
    """The pairs of each round in a new order, drawn from the round's own generator."""
    count = pairs.target.shape[1]
    index = torch.stack([torch.randperm(count, generator=order) for order in orders]).to(pairs.target.device)
    rows = torch.arange(len(orders), device=index.device)[:, None]
    return Pairs(pairs.images[rows, index], pairs.target[rows, index], pairs.digits[rows, index])
