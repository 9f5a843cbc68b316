"""What is trained on in each epoch."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from digitcmp.data.augment import AUGMENTATIONS, make_augmentation
from digitcmp.data.pairs import Pairs, stack
from digitcmp.model.network import build
from digitcmp.seeding import Stream, generator
from digitcmp.train.program import Program, SingleProgram
from digitcmp.train.round import diet, round_pairs
from digitcmp.train.sampler import Diet, examples
from tests.conftest import compose_config

CPU = torch.device("cpu")
SHIFT = make_augmentation("shift", {"pixels": 1.0})


class Uncut(SingleProgram):
    """A program that reads images as they are."""

    def cut(self, images: Tensor) -> Tensor:
        return images


def prepared() -> tuple[Program, Pairs]:
    """A program and the training pairs of seed 0."""
    config = compose_config("data.train_pairs=40", "batch_size=20")
    return Uncut(build(config.model, generator(0, Stream.WEIGHTS), CPU)), stack([round_pairs(config, 0)], CPU).train


def epochs(changes: Diet, count: int = 3, seed: int = 0) -> list[Pairs]:
    """The training pairs of the first epochs."""
    program, pairs = prepared()
    return list(examples(program, pairs, [seed], changes, count))


def test_nothing_changes_where_nothing_is_to_change() -> None:
    """Every epoch has the pairs that were drawn."""
    _, pairs = prepared()
    assert all(epoch.images is epochs(Diet("le"))[0].images or torch.equal(epoch.images, pairs.images) for epoch in epochs(Diet("le")))


@pytest.mark.parametrize("changes", [Diet("le", repair=True), Diet("le", swap=True), Diet("le", augment=SHIFT), Diet("le", shuffle=True)])
def test_every_epoch_is_another_and_every_run_the_same(changes: Diet) -> None:
    """What changes does so from epoch to epoch, from the seed alone; the digits' labels stay the same ones."""
    first, again, other = epochs(changes), epochs(changes), epochs(changes, seed=1)
    assert all(torch.equal(one.images, two.images) and torch.equal(one.target, two.target) for one, two in zip(first, again, strict=True))
    assert all(not torch.equal(one.images, two.images) for one, two in pairwise(first))
    assert not torch.equal(first[0].images, other[0].images)
    _, pairs = prepared()
    for epoch in first:
        assert torch.equal(epoch.digits.flatten().sort().values, pairs.digits.flatten().sort().values)
        assert torch.equal(epoch.target, (epoch.digits[..., 0] <= epoch.digits[..., 1]).long())


@pytest.mark.parametrize("name", sorted(AUGMENTATIONS))
def test_augmentation_leaves_labels_and_order_alone(name: str) -> None:
    """Only the pixels change, and each image remains near itself."""
    _, pairs = prepared()
    for epoch in epochs(diet(compose_config(f"augment={name}"))):
        assert torch.equal(epoch.target, pairs.target)
        assert torch.equal(epoch.digits, pairs.digits)
        assert not torch.equal(epoch.images, pairs.images)
        near = torch.cosine_similarity(epoch.images.flatten(3), pairs.images.flatten(3), dim=3)
        far = torch.cosine_similarity(epoch.images.flatten(3), pairs.images.roll(1, dims=1).flatten(3), dim=3)
        assert near.mean() > far.mean() + 0.2


def test_the_configuration_says_what_changes() -> None:
    """Every key of the diet comes from its own place."""
    made = diet(compose_config("augment=affine", "data.repair=true", "data.shuffle=true", "data.target=gt"))
    assert (made.target, made.shuffle, made.repair, made.swap, made.changes) == ("gt", True, True, False, True)
    assert made.augment is not None
    plain = diet(compose_config())
    assert (plain.target, plain.shuffle, plain.repair, plain.swap, plain.augment, plain.changes) == ("le", False, False, False, None, False)
