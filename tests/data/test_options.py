"""What the training pairs can be made of: folds, digits that are called another one, rare digits, three answers."""

import math

import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from digitcmp.config.targets import TARGETS
from digitcmp.data.pairs import RoundPairs, answers, draw, make_round, misread, part_of
from digitcmp.data.sources import Source, Split
from digitcmp.errors import DataError
from digitcmp.seeding import Stream, generator

COUNT = 400


def source(repeat: bool = False, images: int = COUNT) -> Source:
    """Images that all differ, by their first pixel."""
    labels = torch.arange(images) % 10
    pixels = torch.zeros(images, 14, 14)
    pixels[:, 0, 0] = torch.arange(images) / images
    return Source("made", Split(pixels, labels), Split(pixels, labels), repeat)


def made(repeat: bool = False, images: int = COUNT, **options: float) -> RoundPairs:
    """A round's pairs, in which every image can be told."""
    return make_round(source(repeat, images), 3, 100, 20, 20, "le", normalize_test=False, **options)  # type: ignore[arg-type]


def images_of(pairs: Tensor, one: RoundPairs, normalized: bool = False) -> set[int]:
    """Which images of the source these are. normalized: as training images are."""
    pixel = pairs[:, :, 0, 0] * one.std + one.mean if normalized else pairs[:, :, 0, 0]
    return {*(pixel * COUNT).round().int().flatten().tolist()}


def test_folds_take_turns() -> None:
    """Each pair is held out once; none is trained on that is held out; fold 0 is what there is without folds."""
    rounds = [made(fold=fold) for fold in range(5)]
    held = [images_of(one.val.images, one) for one in rounds if one.val is not None]
    assert [len(images) for images in held] == [40] * 5
    assert len(set.union(*held)) == 200
    for one, images in zip(rounds, held, strict=True):
        assert not images & images_of(one.train.images, one, normalized=True)
        assert torch.equal(one.test.images, rounds[0].test.images)
    assert rounds[0].val is not None
    plain = made().val
    assert plain is not None
    assert torch.equal(rounds[0].val.images, plain.images)


def test_folds_of_few_images_are_apart_too() -> None:
    """Where images are used again and again."""
    for fold in range(4):
        one = made(repeat=True, images=90, fold=fold)
        assert one.val is not None
        assert not images_of(one.val.images, one) & images_of(one.train.images, one, normalized=True)


@settings(max_examples=150, deadline=None)
@given(st.integers(4, 1500), st.integers(2, 60), st.integers(1, 20), st.integers(0, 19))
@example(1198, 10, 100, 0)  # the bundled digits: ten even shares of 120 images do not fit
@example(11, 4, 2, 0)
@example(9, 4, 2, 0)
def test_folds_share_no_image(images: int, folds: int, held_out: int, more: int) -> None:
    """Whatever the sizes, where images are used again and again: all folds are apart and of about one size, or the last are refused.
    more: pairs that are no whole fold."""
    few, pairs = source(repeat=True, images=images), folds * held_out + more % held_out
    share = 2 * math.ceil(images * held_out / (2 * pairs))
    assume(2 * pairs > images >= share + 2)
    parts, held = [part_of(images, pairs, held_out, fold) for fold in range(folds)], list[set[int]]()
    sizes = [end - start for start, end in parts]
    if min(sizes) < 2:
        assert images < 2 * folds + 3
        with pytest.raises(DataError, match=rf"data\.fold=\d+: the {images} train images of made are too few for {folds} disjoint parts"):
            draw(few, few.train, pairs, held_out, generator(3, Stream.PAIRS), "train", next(at for at in range(folds) if sizes[at] < 2))
    else:
        assert min(sizes) >= share - 2 - images % 2
    for fold in (fold for fold in range(folds) if sizes[fold] >= 2):
        trained, out = draw(few, few.train, pairs, held_out, generator(3, Stream.PAIRS), "train", fold)
        assert (trained.shape, out.shape) == ((pairs - held_out, 2), (held_out, 2))
        held.append({*out.flatten().tolist()})
        assert not held[-1] & {*trained.flatten().tolist()}
    assert sum(map(len, held)) == len(set.union(*held))
    assert sizes[0] == share
    if share * folds <= images:
        assert parts == [(fold * share, (fold + 1) * share) for fold in range(folds)]


def test_noisy_labels() -> None:
    """About their share of the training digits is wrong, none of the others; the answers follow from them; the images stay."""
    plain, noisy = made(), made(label_noise=0.3)
    assert (plain.train.digits != noisy.train.digits).float().mean().item() == pytest.approx(0.3, abs=0.07)
    assert torch.equal(noisy.train.target, answers(noisy.train.digits, "le"))
    assert torch.equal(plain.train.images, noisy.train.images)
    assert torch.equal(plain.test.digits, noisy.test.digits)
    assert plain.val is not None
    assert noisy.val is not None
    assert torch.equal(plain.val.digits, noisy.val.digits)


def test_noisy_labels_are_classes_that_there_are() -> None:
    """Every other one as often; what is drawn for all ten is what it always was."""
    classes, digits = torch.tensor([1, 4, 7]), torch.tensor([1, 4, 7] * 2000)
    noisy = misread(digits, 0.5, torch.Generator().manual_seed(0), classes)
    assert set(noisy.tolist()) == {1, 4, 7}
    others = torch.bincount(noisy[(digits == 4) & (noisy != digits)], minlength=10)
    assert others[1] + others[7] == pytest.approx(1000, abs=100)
    assert others[1] == pytest.approx(500, abs=80)
    random = torch.Generator().manual_seed(1)
    wrong, steps = torch.rand(100, generator=random) < 0.5, torch.randint(1, 10, (100,), generator=random)
    ten = torch.arange(100) % 10
    assert torch.equal(misread(ten, 0.5, torch.Generator().manual_seed(1), torch.arange(10)), torch.where(wrong, (ten + steps) % 10, ten))


def test_rare_digits() -> None:
    """Fewer from digit to digit in training; as many as ever in the test."""
    one = make_round(source(images=4_000), 0, 500, 500, 0, "le", imbalance=0.1)
    counts = torch.bincount(one.train.digits.flatten(), minlength=10).tolist()
    assert counts[9] / counts[0] == pytest.approx(0.1, abs=0.06)
    assert counts[0] > counts[3] > counts[6] > counts[9]
    tested = torch.bincount(one.test.digits.flatten(), minlength=10)
    assert tested.min() > 0.6 * tested.max()


def test_three_answers() -> None:
    """Less, the same, more."""
    digits = torch.tensor([[1, 2], [2, 2], [3, 2]])
    assert answers(digits, "three").tolist() == [0, 1, 2]
    assert answers(digits, "le").tolist() == [1, 1, 0]
    assert answers(digits, "gt").tolist() == [0, 0, 1]
    assert answers(digits, "same").tolist() == [0, 1, 0]


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_asked_is_told_of_numbers_and_tensors_alike(target: str) -> None:
    """Of all pairs; what people ask networks about follows from the answers."""
    asked = TARGETS[target]
    first, second = torch.meshgrid(torch.arange(10), torch.arange(10), indexing="ij")
    given = answers(torch.stack([first, second], dim=-1), target)
    assert {*given.flatten().tolist()} == {*range(asked.outputs)}
    for one, other, answer in zip(first.flatten().tolist(), second.flatten().tolist(), given.flatten().tolist(), strict=True):
        assert asked.answer(one, other) == answer
        signs = {"≤": one <= other, ">": one > other, "=": one == other, "≠": one != other, "<": one < other}
        assert signs[asked.signs[answer]]
        assert (answer == 1) == signs[asked.relation]
        told = {asked.number(sign) for sign in asked.asked if signs[sign]}
        assert told == ({answer} if target == "three" else {int(signs[asked.asked[0]])})
