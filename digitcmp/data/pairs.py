"""From a data set and a seed to the pairs of a round, from rounds to one stack of tensors, and to what each epoch is trained on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from digitcmp.config.targets import TARGETS
from digitcmp.data.sources import Source, Split
from digitcmp.data.transforms import Augmentation, Column, in_columns, plain
from digitcmp.errors import DataError
from digitcmp.seeding import MemberSeed, Stream, generator, step_keys


@dataclass(frozen=True)
class Pairs:
    """Pairs of digits. For one round: images [N, 2, s, s], target int64 [N], digits int64 [N, 2]; stacked: with [S] in front."""

    images: Tensor
    target: Tensor
    digits: Tensor


@dataclass(frozen=True)
class RoundPairs:
    """The pairs of a round (or of stacked rounds), normalised with the mean and deviation of its training images."""

    train: Pairs
    test: Pairs
    val: Pairs | None
    mean: Tensor
    std: Tensor


def make_round(
    source: Source,
    seed: int,
    train: int,
    test: int,
    val: int,
    target: str,
    normalize_test: bool = True,
    fold: int = 0,
    label_noise: float = 0.0,
    imbalance: float = 1.0,
) -> RoundPairs:
    """Draw the pairs of one round from its seed alone.

    `train` counts the training pairs of which the last `val` are held out for validation; `target`: a name in
    `digitcmp.config.targets`. No image is used twice, unless the source allows it; even then none is shared between
    training, validation and test pairs. `fold`: which `val` of the training pairs, counted from their end. `label_noise`: share of the
    training digits that are called another one. `imbalance`: see `thinned`. Raises DataError when the source has too few images.
    """
    random = generator(seed, Stream.PAIRS)
    # test pairs first: they stay the same however many pairs are trained on or held out
    test_index, _ = draw(source, source.test, test, 0, random, "test")
    pool = source.train if imbalance == 1 else thinned(source.train, imbalance, generator(seed, Stream.IMBALANCE))
    train_index, val_index = draw(source, pool, train, val, random, "train", fold)
    train_pairs = select(pool, train_index, target)
    test_pairs, val_pairs = select(source.test, test_index, target), select(pool, val_index, target)
    if label_noise > 0:
        classes = source.train.labels.unique()  # type: ignore[no-untyped-call]
        digits = misread(train_pairs.digits, label_noise, generator(seed, Stream.LABEL_NOISE), classes)
        train_pairs = Pairs(train_pairs.images, answers(digits, target), digits)
    mean, std = train_pairs.images.mean(), train_pairs.images.std()
    for pairs in (train_pairs, test_pairs, val_pairs) if normalize_test else (train_pairs,):
        pairs.images.sub_(mean).div_(std)  # to mean 0 and deviation 1
    return RoundPairs(train_pairs, test_pairs, val_pairs if val else None, mean, std)


def thinned(split: Split, imbalance: float, random: torch.Generator) -> Split:
    """The images without some: of digit d, the share imbalance^(d / 9) of those of a zero is left (Cui et al. 2019)."""
    order = torch.randperm(len(split.labels), generator=random)
    kept = [
        own[: max(2, round(len(own) * imbalance ** (digit / 9)))] for digit in range(10) if len(own := order[split.labels[order] == digit])
    ]
    index = torch.cat(kept)
    return Split(split.images[index], split.labels[index])


def misread(digits: Tensor, share: float, random: torch.Generator, classes: Tensor) -> Tensor:
    """Digits int64 [...] of which this share are another one of the classes, int64 [at least 2], in their order."""
    wrong = torch.rand(digits.shape, generator=random) < share
    steps = torch.randint(1, len(classes), digits.shape, generator=random)
    return torch.where(wrong, classes[(torch.searchsorted(classes, digits) + steps) % len(classes)], digits)


def draw(
    source: Source, split: Split, pairs: int, held_out: int, random: torch.Generator, name: str, fold: int = 0
) -> tuple[Tensor, Tensor]:
    """Image indices [pairs - held_out, 2] and [held_out, 2]; the two sets of images are disjoint. fold: which are held out, so many parts
    before the last."""
    available = len(split.labels)
    order = torch.randperm(available, generator=random)
    if 2 * pairs <= available:
        chosen = order[: 2 * pairs].view(pairs, 2).roll(fold * held_out, 0)
        return chosen[: pairs - held_out], chosen[pairs - held_out :]
    if not source.repeat:
        raise DataError(
            f"data.{name}_pairs={pairs}: {source.name} has {available:,} {name} images, which make at most {available // 2:,} pairs"
        )
    # too few images: the held-out pairs get images of their own, and each part goes through its images again and again
    start, end = part_of(available, pairs, held_out, fold)
    if available - (end - start) < 2:
        raise DataError(f"data.val_pairs={held_out}: leaves too few of the {available:,} {name} images of {source.name} for training")
    if held_out and end - start < 2:
        parts = f"the {available:,} {name} images of {source.name} are too few for {pairs // held_out} disjoint parts"
        raise DataError(f"data.fold={fold}: {parts} (data.val_pairs={held_out}); hold more pairs out at a time, in fewer folds")
    order, share = order.roll(-start), end - start
    return recycle(order[share:], pairs - held_out, random), recycle(order[:share], held_out, random)


def part_of(available: int, pairs: int, held_out: int, fold: int) -> tuple[int, int]:
    """Where the images of a fold begin and end, of so many: an even share of them, of which no other fold has any. Shares differ by at
    most two images (three of an odd number), and are below two where the images do not suffice for so many folds beside the first one,
    whose share is that of a single part."""
    folds, share = pairs // max(held_out, 1), 2 * -(-available * held_out // (2 * pairs))
    if share * folds <= available:
        return fold * share, (fold + 1) * share

    def end_of(parts: int) -> int:  # shares are rounded up, and so many do not fit
        even = 2 * -(-available * held_out * parts // (2 * pairs))
        return max(share, min(even, available - 2 * (folds - parts))) if parts else 0

    return end_of(fold), end_of(fold + 1)


def recycle(images: Tensor, pairs: int, random: torch.Generator) -> Tensor:
    """Pairs [pairs, 2] from few images: one random pass over all of them after another, two different images in each pair."""
    per_pass = len(images) // 2
    passes = -(-pairs // per_pass) if pairs else 0
    chosen = [images[torch.randperm(len(images), generator=random)][: 2 * per_pass].view(per_pass, 2) for _ in range(passes)]
    return torch.cat([images.new_empty((0, 2)), *chosen])[:pairs]


def select(split: Split, chosen: Tensor, target: str) -> Pairs:
    """The pairs with the given image indices [N, 2]."""
    digits = split.labels[chosen]
    return Pairs(split.images[chosen], answers(digits, target), digits)


def answers(digits: Tensor, target: str) -> Tensor:
    """The target int64 [...] of pairs of digits [..., 2]: see `digitcmp.config.targets`."""
    given: Tensor = TARGETS[target].answer(digits[..., 0], digits[..., 1])
    return given.to(torch.int64)


def stack(rounds: Sequence[RoundPairs], device: torch.device) -> RoundPairs:
    """Rounds as one, with the rounds axis [S] in front of every tensor, on the device."""

    def together(parts: Sequence[Pairs]) -> Pairs:
        return Pairs(*(torch.stack([getattr(part, name) for part in parts]).to(device) for name in ("images", "target", "digits")))

    vals = [pairs.val for pairs in rounds if pairs.val is not None]
    train, test = together([pairs.train for pairs in rounds]), together([pairs.test for pairs in rounds])
    mean, std = torch.stack([pairs.mean for pairs in rounds]), torch.stack([pairs.std for pairs in rounds])
    return RoundPairs(train, test, together(vals) if vals else None, mean, std)


def for_members(pairs: Pairs, columns: Sequence[Column], members: int) -> Pairs:
    """The pairs [S, N] of each round once for every member of its ensemble, [S x members, N]."""
    if members == 1 and columns[0] is plain:
        return pairs
    images = in_columns(pairs.images, columns, members)
    return Pairs(images, pairs.target.repeat_interleave(members, dim=0), pairs.digits.repeat_interleave(members, dim=0))


@dataclass(frozen=True)
class PairSampler:
    """How the training pairs change from epoch to epoch. target: what is asked of a pair, for the answers of new pairs."""

    target: str
    shuffle: bool = False
    repair: bool = False
    swap: bool = False
    augment: Augmentation | None = None

    def sample(self, pairs: Pairs, seeds: Sequence[MemberSeed], epochs: int, done: int = 0) -> Iterator[Pairs]:
        """The training pairs [S, N] of each epoch. Those of each network depend on its own seed alone.

        done: epochs that are left out, since they have been trained on; their orders are drawn all the same, as later ones follow them.
        """
        orders, pairings = ([generator(seed, stream) for seed in seeds] for stream in (Stream.ORDER, Stream.PAIRING))
        keys = torch.stack([step_keys(seed, Stream.AUGMENT, epochs, 1)[:, 0] for seed in seeds], dim=1).to(pairs.images.device)
        for epoch in range(epochs):
            sampled = pairs
            if self.repair:
                sampled = recombined(sampled, pairings, self.target)
            if self.swap:
                sampled = swapped(sampled, pairings, self.target)
            if self.augment is not None and epoch >= done:
                sampled = Pairs(self.augment(sampled.images, keys[epoch]), sampled.target, sampled.digits)
            if self.shuffle:
                sampled = shuffled(sampled, orders)
            if epoch >= done:
                yield sampled


def permutations(count: int, orders: Sequence[torch.Generator], device: torch.device) -> tuple[Tensor, Tensor]:
    """A random order of `count` things for each round, from the round's own generator, as the index of a tensor [S, count]."""
    index = torch.stack([torch.randperm(count, generator=order) for order in orders]).to(device)
    return torch.arange(len(orders), device=device)[:, None], index


def shuffled(pairs: Pairs, orders: Sequence[torch.Generator]) -> Pairs:
    """The pairs [S, N] of each round in a new order."""
    index = permutations(pairs.target.shape[1], orders, pairs.target.device)
    return Pairs(pairs.images[index], pairs.target[index], pairs.digits[index])


def recombined(pairs: Pairs, orders: Sequence[torch.Generator], target: str) -> Pairs:
    """The digits of each round of [S, N] pairs in new pairs: no digit lost or used twice."""
    index = permutations(2 * pairs.target.shape[1], orders, pairs.target.device)
    digits = pairs.digits.flatten(1, 2)[index].view(pairs.digits.shape)
    return Pairs(pairs.images.flatten(1, 2)[index].view(pairs.images.shape), answers(digits, target), digits)


def swapped(pairs: Pairs, orders: Sequence[torch.Generator], target: str) -> Pairs:
    """[S, N] pairs of which a random half has its two digits exchanged, drawn from the round's own generator."""
    count = pairs.target.shape[1]
    swap = torch.stack([torch.rand(count, generator=order) < 0.5 for order in orders]).to(pairs.target.device)
    digits = torch.where(swap[..., None], pairs.digits.flip(2), pairs.digits)
    images = torch.where(swap[..., None, None, None], pairs.images.flip(2), pairs.images)
    return Pairs(images, answers(digits, target), digits)
