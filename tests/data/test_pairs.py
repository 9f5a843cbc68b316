"""The pairs of a round."""

from itertools import chain

import pytest
import torch
from torch import Tensor

from digitcmp.data.pairs import Pairs, RoundPairs, make_round, recombined, recycle, stack, swapped
from digitcmp.data.sources import Source, Split, load
from digitcmp.errors import DataError
from digitcmp.seeding import Stream, generator
from digitcmp.train.round import round_pairs
from tests.conftest import MNIST_ROOT, compose_config, needs_mnist


def synthetic(train: int = 2400, test: int = 900, repeat: bool = False) -> Source:
    """A data set whose image number i is filled with i / 5000 (test images go on counting) and shows the digit i % 10."""
    numbers = torch.arange(train + test)
    images = (numbers / 5000)[:, None, None].expand(-1, 14, 14)
    return Source("synthetic", Split(images[:train], numbers[:train] % 10), Split(images[train:], numbers[train:] % 10), repeat)


def drawn(source: Source, seed: int = 0, train: int = 1000, test: int = 300, val: int = 0, target: str = "le") -> RoundPairs:
    """A round of this source."""
    return make_round(source, seed, train, test, val, target)


def numbers(pairs: Pairs, of: RoundPairs) -> Tensor:
    """Which images of the synthetic source the pairs are made of, [N, 2]."""
    return ((pairs.images * of.std + of.mean)[:, :, 0, 0] * 5000).round().long()


def same(one: RoundPairs, two: RoundPairs) -> bool:
    """Whether two rounds have equal training and test pairs."""
    parts = [(one.train, two.train), (one.test, two.test)]
    return all(torch.equal(getattr(a, name), getattr(b, name)) for a, b in parts for name in ("images", "target", "digits"))


@pytest.mark.parametrize("target", ["le", "gt"])
def test_the_target_answers_the_question(target: str) -> None:
    """1 means first <= second (le) or first > second (gt), for equal digits too; digits are those of the images."""
    pairs = drawn(synthetic(), val=100, target=target)
    for part in (pairs.train, pairs.test, pairs.val):
        first, second = part.digits.unbind(dim=1)
        expected = [a <= b if target == "le" else a > b for a, b in zip(first.tolist(), second.tolist(), strict=True)]
        assert part.target.tolist() == expected
        assert (first == second).any()
        assert torch.equal(part.digits, numbers(part, pairs) % 10)


def test_pairs_follow_from_the_seed_alone() -> None:
    """The same seed gives the same pairs after other rounds, global draws and test pairs; another seed gives others."""
    alone = drawn(synthetic(), seed=3)
    drawn(synthetic(), seed=2)
    torch.rand(10)
    assert same(alone, drawn(synthetic(), seed=3))
    assert torch.equal(alone.train.images, drawn(synthetic(), seed=3, test=50).train.images)
    for other in (0, 2, 4):
        assert not torch.equal(alone.train.digits, drawn(synthetic(), seed=other).train.digits)
        assert not torch.equal(alone.test.digits, drawn(synthetic(), seed=other).test.digits)


def test_every_configuration_sees_the_same_pairs() -> None:
    """Networks, losses, optimisers and batches differ; the pairs of a seed do not, so networks can be compared in pairs."""
    one = compose_config("model=net2", "seed=7")
    two = compose_config("model=wsn", "aux_weight=1", "optimizer=sgd", "batch_size=50", "model.dropout=0.2", "data.shuffle=true")
    assert same(round_pairs(one.data, 7), round_pairs(two.data, 7))


@needs_mnist
@pytest.mark.parametrize("val", [0, 200])
def test_mnist_rounds_have_2000_distinct_images_each(val: int) -> None:
    """No image is used twice within the training, validation and test pairs."""
    pairs = drawn(load("mnist", MNIST_ROOT), test=1000, val=val)
    train = torch.cat([part.images.flatten(0, 1) for part in (pairs.train, pairs.val) if part is not None])
    for images in (train, pairs.test.images.flatten(0, 1)):
        assert len(images.flatten(1).unique(dim=0)) == len(images) == 2000


@needs_mnist
def test_mnist_pairs_are_about_55_percent_ones() -> None:
    """P(a <= b) of two uniform digits is 0.55."""
    ones = [drawn(load("mnist", MNIST_ROOT), seed).train.target for seed in range(8)]
    assert torch.cat(ones).float().mean().item() == pytest.approx(0.55, abs=0.025)


@pytest.mark.parametrize("val", [0, 200])
def test_no_image_is_used_twice(val: int) -> None:
    """Training, validation and test images are all distinct, even where the source is used up; none crosses the split."""
    pairs = drawn(synthetic(train=2000, test=600), val=val)
    used = [numbers(part, pairs).flatten().tolist() for part in (pairs.train, pairs.val, pairs.test) if part is not None]
    assert sorted(chain.from_iterable(used)) == list(range(2600))
    assert sorted(used[-1]) == list(range(2000, 2600))


def test_validation_pairs_are_the_last_training_pairs() -> None:
    """With 200 of 1,000 held out, training sees the first 800 of the same 1,000, validation the others."""
    whole, split = drawn(synthetic()), drawn(synthetic(), val=200)
    assert whole.val is None
    assert torch.equal(numbers(whole.train, whole)[:800], numbers(split.train, split))
    assert torch.equal(numbers(whole.train, whole)[800:], numbers(split.val, split))
    assert torch.equal(numbers(whole.test, whole), numbers(split.test, split))
    assert torch.equal(whole.train.target, torch.cat([split.train.target, split.val.target]))


@pytest.mark.parametrize("val", [0, 1, 200, 950])
def test_a_small_source_repeats_images_but_never_across_parts(val: int) -> None:
    """1,000 pairs of 100 images: numbers as asked for, two images in each pair, none shared by training, validation and test."""
    pairs = drawn(synthetic(train=100, test=100, repeat=True), val=val)
    parts = [part for part in (pairs.train, pairs.val, pairs.test) if part is not None]
    assert [len(part.target) for part in parts] == ([1000 - val, val, 300] if val else [1000, 300])
    used = [numbers(part, pairs) for part in parts]
    assert all((part[:, 0] != part[:, 1]).all() for part in used)
    images = [set(part.flatten().tolist()) for part in used]
    assert sum(map(len, images)) == len(set.union(*images))
    assert set(range(100)) <= set.union(*images)


@pytest.mark.parametrize(("images", "pairs"), [(10, 17), (11, 17), (2, 3), (10, 5), (9, 0)])
def test_recycled_images_are_used_evenly(images: int, pairs: int) -> None:
    """Every pass has all images once (all but one of an odd number): no image twice before the others had their turn."""
    numbers = torch.arange(100, 100 + images)
    chosen = recycle(numbers, pairs, torch.Generator().manual_seed(0))
    assert chosen.shape == (pairs, 2)
    for one_pass in chosen.split(images // 2):
        assert len(one_pass.unique()) == one_pass.numel()
    uses = torch.bincount(chosen.flatten() - 100, minlength=images)
    assert len(uses) == images
    assert images % 2 or uses.max() - uses.min() <= 1


def test_passes_over_recycled_images_differ() -> None:
    """Each pass makes new pairs."""
    first, second = recycle(torch.arange(100), 100, torch.Generator().manual_seed(0)).split(50)
    assert not torch.equal(first.sort(dim=0).values, second.sort(dim=0).values)


def test_images_are_normalised_by_the_training_images() -> None:
    """Training images get mean 0 and deviation 1; test and validation images are scaled by the same numbers."""
    source = load("digits", None)
    scaled, raw = (make_round(source, 0, 300, 100, 100, "le", normalize_test=wanted) for wanted in (True, False))
    assert abs(scaled.train.images.mean()) < 1e-5
    assert abs(scaled.train.images.std() - 1) < 1e-5
    for name in ("test", "val"):
        expected = (getattr(raw, name).images - scaled.mean) / scaled.std
        torch.testing.assert_close(getattr(scaled, name).images, expected)
    assert scaled.mean.item() == pytest.approx((raw.train.images * raw.std + raw.mean).double().mean().item(), rel=1e-5)


def test_without_normalisation_test_images_stay_as_they_are() -> None:
    """normalize_test=False leaves every test image as the source has it; training images are normalised all the same."""
    source = load("digits", None)
    pairs = make_round(source, 0, 300, 100, 0, "le", normalize_test=False)
    known = {image.numpy().tobytes() for image in source.test.images}
    assert {image.numpy().tobytes() for image in pairs.test.images.flatten(0, 1)} <= known
    assert abs(pairs.train.images.mean()) < 1e-5


@pytest.mark.parametrize("part", ["train", "test"])
def test_too_many_pairs_are_refused(part: str) -> None:
    """The error quotes the key, its number and the largest possible one."""
    counts = {"train": 10, "test": 10, part: 11}
    with pytest.raises(DataError, match=rf"data\.{part}_pairs=11: synthetic has 20 {part} images.* at most 10 pairs"):
        drawn(synthetic(train=20, test=20), **counts)


def test_too_many_validation_pairs_of_a_small_source_are_refused() -> None:
    """Validation that takes all images of a repeating source leaves none to train on."""
    with pytest.raises(DataError, match=r"data\.val_pairs=99"):
        drawn(synthetic(train=20, test=20, repeat=True), train=100, test=5, val=99)


def test_stacked_rounds_have_their_axis_in_front() -> None:
    """Place s of every stacked tensor is round s."""
    rounds = [drawn(synthetic(), seed, train=30, test=20, val=10) for seed in (4, 9)]
    stacked = stack(rounds, torch.device("cpu"))
    assert stacked.train.images.shape == (2, 20, 2, 14, 14)
    assert stacked.test.digits.shape == (2, 20, 2)
    for index, pairs in enumerate(rounds):
        for part in ("train", "test", "val"):
            for name in ("images", "target", "digits"):
                assert torch.equal(getattr(getattr(stacked, part), name)[index], getattr(getattr(pairs, part), name))
        assert (stacked.mean[index], stacked.std[index]) == (pairs.mean, pairs.std)
    assert stack([drawn(synthetic())], torch.device("cpu")).val is None


def test_test_pairs_do_not_depend_on_the_training_pairs() -> None:
    """A search with validation pairs is tested on the same pairs as the final run with the same seed, small data set or not."""
    source = load("digits", None)
    reference = make_round(source, 0, 1000, 100, 0, "le").test.digits
    for train, val in ((1000, 200), (100, 0), (2500, 300)):
        assert torch.equal(make_round(source, 0, train, 100, val, "le").test.digits, reference)


@pytest.mark.parametrize("target", ["le", "gt"])
def test_recombined_pairs_use_every_digit_once(target: str) -> None:
    """Other pairs of the same digits, answered anew; each round's from its own generator, and the given ones stay as they are."""
    rounds = [drawn(synthetic(), seed, target=target) for seed in (0, 1)]
    before = stack(rounds, torch.device("cpu")).train
    given = Pairs(before.images.clone(), before.target.clone(), before.digits.clone())
    made = recombined(before, [generator(seed, Stream.PAIRING) for seed in (0, 1)], target)
    alone = recombined(stack(rounds[1:], torch.device("cpu")).train, [generator(1, Stream.PAIRING)], target)
    for index, one in enumerate(rounds):
        numbers_before, numbers_after = (numbers(Pairs(part.images[index], part.target, part.digits), one) for part in (given, made))
        assert numbers_after.flatten().sort().values.tolist() == numbers_before.flatten().sort().values.tolist()
        assert (numbers_after != numbers_before).any(dim=1).double().mean() > 0.9
        assert torch.equal(made.digits[index], numbers_after % 10)
    ordered = made.digits[..., 0] <= made.digits[..., 1]
    assert torch.equal(made.target.bool(), ordered if target == "le" else ~ordered)
    assert torch.equal(made.images[1], alone.images[0])
    assert all(torch.equal(getattr(before, name), getattr(given, name)) for name in ("images", "target", "digits"))


@pytest.mark.parametrize("target", ["le", "gt"])
def test_swapped_pairs_are_the_same_pairs_in_either_order(target: str) -> None:
    """About half of them the other way round, with the answer that then is right."""
    one = drawn(synthetic(), target=target)
    before = stack([one], torch.device("cpu")).train
    made = swapped(before, [generator(0, Stream.PAIRING)], target)
    turned = (made.images[0] != before.images[0]).flatten(1).any(dim=1)
    assert 0.4 < turned.double().mean() < 0.6
    for index, images in enumerate(made.images[0]):
        expected, digits = before.images[0, index], before.digits[0, index]
        assert torch.equal(images, expected.flip(0) if turned[index] else expected)
        assert torch.equal(made.digits[0, index], digits.flip(0) if turned[index] else digits)
    ordered = made.digits[..., 0] <= made.digits[..., 1]
    assert torch.equal(made.target.bool(), ordered if target == "le" else ~ordered)
