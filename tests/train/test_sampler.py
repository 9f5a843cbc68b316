"""What is trained on in each epoch."""

from itertools import pairwise

import pytest
import torch

from digitcmp.data.pairs import Pairs, PairSampler, stack
from digitcmp.data.transforms import AUGMENTATIONS, make_augmentation
from digitcmp.seeding import MemberSeed
from digitcmp.train.round import round_pairs, train_spec
from tests.conftest import compose_config

CPU = torch.device("cpu")
SHIFT = make_augmentation("shift", {"pixels": 1.0})


def drawn() -> Pairs:
    """The training pairs of seed 0."""
    return stack([round_pairs(compose_config("data.train_pairs=40", "batch_size=20").data, 0)], CPU).train


def epochs(changes: PairSampler, count: int = 3, seed: int = 0) -> list[Pairs]:
    """The training pairs of the first epochs."""
    return list(changes.sample(drawn(), [MemberSeed(seed)], count))


def test_nothing_changes_where_nothing_is_to_change() -> None:
    """Every epoch has the pairs that were drawn."""
    assert all(torch.equal(epoch.images, drawn().images) for epoch in epochs(PairSampler("le")))


@pytest.mark.parametrize(
    "changes",
    [PairSampler("le", repair=True), PairSampler("le", swap=True), PairSampler("le", augment=SHIFT), PairSampler("le", shuffle=True)],
)
def test_every_epoch_is_another_and_every_run_the_same(changes: PairSampler) -> None:
    """What changes does so from epoch to epoch, from the seed alone; the digits' labels stay the same ones."""
    first, again, other = epochs(changes), epochs(changes), epochs(changes, seed=1)
    assert all(torch.equal(one.images, two.images) and torch.equal(one.target, two.target) for one, two in zip(first, again, strict=True))
    assert all(not torch.equal(one.images, two.images) for one, two in pairwise(first))
    assert not torch.equal(first[0].images, other[0].images)
    pairs = drawn()
    for epoch in first:
        assert torch.equal(epoch.digits.flatten().sort().values, pairs.digits.flatten().sort().values)
        assert torch.equal(epoch.target, (epoch.digits[..., 0] <= epoch.digits[..., 1]).long())


@pytest.mark.parametrize("name", sorted(AUGMENTATIONS))
def test_augmentation_leaves_labels_and_order_alone(name: str) -> None:
    """Only the pixels change, and each image remains near itself."""
    pairs = drawn()
    for epoch in epochs(train_spec(compose_config(f"augment={name}")).sampler):
        assert torch.equal(epoch.target, pairs.target)
        assert torch.equal(epoch.digits, pairs.digits)
        assert not torch.equal(epoch.images, pairs.images)
        near = torch.cosine_similarity(epoch.images.flatten(3), pairs.images.flatten(3), dim=3)
        far = torch.cosine_similarity(epoch.images.flatten(3), pairs.images.roll(1, dims=1).flatten(3), dim=3)
        assert near.mean() > far.mean() + 0.2


def test_the_configuration_says_what_changes() -> None:
    """Every key of the sampler comes from its own place."""
    made = train_spec(compose_config("augment=affine", "data.repair=true", "data.shuffle=true", "data.target=gt")).sampler
    assert (made.target, made.shuffle, made.repair, made.swap) == ("gt", True, True, False)
    assert made.augment is not None
    plain = train_spec(compose_config()).sampler
    assert (plain.target, plain.shuffle, plain.repair, plain.swap, plain.augment) == ("le", False, False, False, None)
