"""One program for many rounds: the same numbers as one network after the other."""

from functools import cache

import pytest
import torch
from torch import Tensor

from digitcmp.config.schema import Config
from digitcmp.data.pairs import Pairs, RoundPairs, stack
from digitcmp.data.transforms import find_columns
from digitcmp.model.network import build
from digitcmp.seeding import MemberSeed, Stream, generator
from digitcmp.train.evaluate import dropout_keys, evaluate, make_predictor
from digitcmp.train.loop import Epoch, Training
from digitcmp.train.program import Program, SingleProgram, StackedProgram, make_program
from digitcmp.train.round import round_pairs, train_spec
from tests.conftest import MODELS, compose_config, needs_aux

CPU = torch.device("cpu")
SMALL = ("epochs=3", "batch_size=20", "data.train_pairs=50", "data.test_pairs=30", "data.val_pairs=7", "data.shuffle=true")
OPTIMIZERS = {"sgd": ("optimizer=sgd", "optimizer.lr=0.02", "optimizer.momentum=0.5"), "adam": ("optimizer=adam",)}


@cache
def configured(model: str, *overrides: str) -> Config:
    """A small training with an auxiliary loss wherever there is a digit head, batch norm, and dropout where a layer is marked for it."""
    plain = compose_config(f"model={model}", f"aux_weight={int(needs_aux(model))}")
    layers = [*plain.model.digit_dense, *plain.model.joint_dense]
    extra = [f"aux_weight={int(plain.model.digit_head.reads != 'none' or bool(plain.model.aux_heads))}", "model.batchnorm=true"]
    extra += ["model.dropout=0.3"] if any([*(layer.drop for layer in layers), plain.model.digit_head.drop]) else []
    return compose_config(f"model={model}", *extra, *SMALL, *overrides)


def in_double(pairs: RoundPairs) -> RoundPairs:
    """The same pairs with images in double precision."""

    def double(part: Pairs) -> Pairs:
        return Pairs(part.images.double(), part.target, part.digits)

    return RoundPairs(double(pairs.train), double(pairs.test), double(pairs.val) if pairs.val else None, pairs.mean, pairs.std)


def trained(config: Config, seeds: list[int], single: bool = False) -> tuple[Program, list[Epoch], Tensor]:
    """The rounds of these seeds, trained in double precision: the program, its epochs, its logits of the test pairs."""
    member_seeds = [MemberSeed(seed, member) for seed in seeds for member in range(config.ensemble)]
    networks = [build(config.model, generator(seed, Stream.WEIGHTS), CPU).double() for seed in member_seeds]
    pairs = in_double(stack([round_pairs(config.data, seed) for seed in seeds], CPU))
    program = make_program(networks, together=False) if single else StackedProgram(networks)
    epochs = list(Training(program, pairs, seeds, train_spec(config)).epochs())
    predictor = make_predictor(program, config.ensemble, config.tta_shift, find_columns(config.columns))
    predictor.train(False)
    with torch.no_grad():
        return program, epochs, predictor(pairs.test.images).comparison


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("model", MODELS)
def test_stacked_rounds_are_those_of_single_networks(model: str, optimizer: str) -> None:
    """In double precision losses, logits and weights agree to 1e-8 after 3 epochs, with batch norm, dropout and shuffling.

    Biases before a norm are left out of the comparison: their gradient is nothing but rounding, of which Adam makes steps,
    and the norm takes them away again. Adam makes steps of rounding elsewhere, too, where gradients are next to nothing.
    """
    config = configured(model, *OPTIMIZERS[optimizer])
    together, epochs, logits = trained(config, [3, 4, 5])
    for index, seed in enumerate((3, 4, 5)):
        alone, own_epochs, own_logits = trained(config, [seed], single=True)
        torch.testing.assert_close(logits[index], own_logits[0], rtol=0, atol=1e-8)
        state, own_state = together.state(index), alone.state(0)
        assert state.keys() == own_state.keys()
        for name in (name for name in state if name.endswith("weight")):
            torch.testing.assert_close(state[name], own_state[name], rtol=0, atol=1e-8, msg=name)
        for epoch, own in zip(epochs, own_epochs, strict=True):
            assert epoch.train_loss[index] == pytest.approx(own.train_loss[0], abs=1e-8)
            assert (epoch.train_accuracy[index], epoch.healthy[index]) == (own.train_accuracy[0], own.healthy[0])
            for scores, own_scores in ((epoch.test, own.test), (epoch.val, own.val)):
                assert scores.accuracy[index] == own_scores.accuracy[0]
                assert (scores.digit_accuracy is None) == (own_scores.digit_accuracy is None)


def test_stacked_ensembles_are_those_of_networks_that_take_turns() -> None:
    """The members of two rounds, averaged over their weights' past and over shifted views, agree to 1e-9 with those of each round alone."""
    config = configured(
        "decoder_small", "ensemble=2", "columns=[plain,moments]", "tta_shift=1", "ema=0.5", "augment=affine", "label_smoothing=0.1"
    )
    together, epochs, logits = trained(config, [3, 4])
    for index, seed in enumerate((3, 4)):
        alone, own_epochs, own_logits = trained(config, [seed], single=True)
        torch.testing.assert_close(logits[index], own_logits[0], rtol=0, atol=1e-9)
        for member in (0, 1):
            state, own = together.state(2 * index + member), alone.state(member)
            assert all(torch.allclose(state[name], own[name], rtol=0, atol=1e-9) for name in state if name.endswith("weight"))
        for epoch, other in zip(epochs, own_epochs, strict=True):
            assert epoch.train_loss[index] == pytest.approx(other.train_loss[0], abs=1e-9)
            assert (epoch.test.accuracy[index], epoch.val.accuracy[index]) == (other.test.accuracy[0], other.val.accuracy[0])
    assert logits.sub(trained(configured("decoder_small", "tta_shift=1"), [3, 4])[2]).abs().max() > 1e-3


@pytest.mark.parametrize("change", ["data.swap=true", "data.repair=true"])
def test_new_pairs_and_images_are_each_rounds_own(change: str) -> None:
    """Stacked or alone, the same training images, other ones in every epoch."""
    config = configured("wsn", "augment=elastic", change)
    together, epochs, logits = trained(config, [3, 4])
    for index, seed in enumerate((3, 4)):
        alone, own_epochs, own_logits = trained(config, [seed], single=True)
        torch.testing.assert_close(logits[index], own_logits[0], rtol=0, atol=1e-9)
        assert [epoch.train_loss[index] for epoch in epochs] == pytest.approx([epoch.train_loss[0] for epoch in own_epochs], abs=1e-9)
        assert together.state(index).keys() == alone.state(0).keys()
    assert logits.sub(trained(configured("wsn"), [3, 4])[2]).abs().max() > 1e-6


def test_a_round_does_not_depend_on_its_neighbours() -> None:
    """Seed 5 in two different stacks, at two different places."""
    config = configured("net4", "aux_weight=1")
    (one, _, logits), (other, _, other_logits) = trained(config, [3, 4, 5]), trained(config, [5, 9])
    torch.testing.assert_close(logits[2], other_logits[0], rtol=0, atol=1e-9)
    assert one.state(2).keys() == other.state(0).keys()
    assert not torch.allclose(logits[2], other_logits[1])


def test_a_round_that_diverges_leaves_its_neighbours_alone() -> None:
    """One network of the stack starts with weights that are no numbers: the others' numbers are the same as without it."""
    config = configured("net2")
    pairs = in_double(stack([round_pairs(config.data, seed) for seed in (0, 1, 2)], CPU))

    def losses(broken: bool) -> list[Epoch]:
        networks = [build(config.model, generator(seed, Stream.WEIGHTS), CPU).double() for seed in (0, 1, 2)]
        if broken:
            networks[1].comparator.linear.weight.data.fill_(float("nan"))
        return list(Training(StackedProgram(networks), pairs, [0, 1, 2], train_spec(config)).epochs())

    for sound, sick in zip(losses(False), losses(True), strict=True):
        assert (sound.healthy, sick.healthy) == ([True] * 3, [True, False, True])
        assert (sound.train_loss[0], sound.train_loss[2]) == pytest.approx((sick.train_loss[0], sick.train_loss[2]), abs=1e-12)


def test_a_stack_of_one_is_a_plain_network() -> None:
    """There is nothing to stack."""
    config = compose_config()
    networks = [build(config.model, generator(seed, Stream.WEIGHTS), CPU) for seed in (0, 1)]
    assert isinstance(make_program(networks[:1]), SingleProgram)
    assert isinstance(make_program(networks), StackedProgram)
    with pytest.raises(IndexError):
        SingleProgram(networks[0]).state(1)


@pytest.mark.parametrize("more", [(), ("ensemble=2", "tta_shift=0.5")])
def test_dropout_stays_on_in_the_test_where_that_was_published(more: tuple[str, ...]) -> None:
    """Every batch of the test has masks of its own, the same whenever it is tested, stacked or not; the training is what it is without."""
    quirk, plain = (configured("wsn", "test_batch=10", f"model.test_dropout={on}", *more) for on in ("true", "false"))
    (program, epochs, _), (_, one_by_one, _), (_, without, _) = (
        trained(quirk, [0, 5]), trained(quirk, [0, 5], single=True), trained(plain, [0, 5])
    )  # fmt: skip
    for one, other, third in zip(epochs, one_by_one, without, strict=True):
        assert one.test is not None
        assert (one.test, one.val) == (other.test, other.val)
        assert one.train_loss == pytest.approx(third.train_loss, rel=1e-12)
        assert one.test != third.test
    members = [MemberSeed(seed, member) for seed in (0, 5) for member in range(quirk.ensemble)]
    noise = dropout_keys(True, members, program.dropouts, 30, 10)
    assert noise is not None
    assert noise.shape == (3, len(members), program.dropouts)
    assert len(noise.unique()) == noise.numel()
    pairs = in_double(stack([round_pairs(quirk.data, seed) for seed in (0, 5)], CPU))
    predictor = make_predictor(program, quirk.ensemble, quirk.tta_shift, find_columns(quirk.columns))
    assert epochs[-1].test == evaluate(predictor, pairs.test, 10, noise)
    assert dropout_keys(True, members, 0, 30, 10) is None
    assert dropout_keys(False, members, program.dropouts, 30, 10) is None
