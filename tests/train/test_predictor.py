"""The comparison of posteriors, and the mean over members and views."""

import operator
from functools import cache

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from digitcmp.config.schema import Config
from digitcmp.data.pairs import RoundPairs, stack
from digitcmp.data.transforms import moments, moved, plain
from digitcmp.model.comparators import Posterior
from digitcmp.model.network import PairNetwork, build
from digitcmp.seeding import MemberSeed, Stream, generator
from digitcmp.train.evaluate import EnsemblePredictor, evaluate, make_predictor, mean_comparison, mean_posterior, shifts
from digitcmp.train.program import SequentialProgram, SingleProgram, StackedProgram, make_program
from digitcmp.train.round import round_pairs
from tests.conftest import compose_config

CPU = torch.device("cpu")


def some_logits(*shape: int) -> Tensor:
    """Logits in double precision, the same in every call."""
    return 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


@pytest.mark.parametrize("target", ["le", "gt", "same"])
def test_posterior_adds_up_the_pairs_of_digits(target: str) -> None:
    """P(first <= second), or of what else is asked, term by term."""
    true = {"le": operator.le, "gt": operator.gt, "same": operator.eq}[target]
    logits = some_logits(6, 2, 10)
    p = logits.softmax(dim=-1)
    expected = [sum(pair[0, i] * pair[1, j] for i in range(10) for j in range(10) if true(i, j)) for pair in p]
    found = Posterior(target)(logits)
    assert found.shape == (6, 1)
    torch.testing.assert_close(found.sigmoid()[:, 0], torch.stack(expected), rtol=0, atol=1e-12)


def test_temperature_is_a_power_of_the_posterior() -> None:
    """At one half the probabilities count squared, which lets the digit that was read outweigh many that were not."""
    logits = torch.full((1, 2, 10), 0.0)
    logits[0, 0, 9], logits[0, 1, 8] = 1.6, 5.0  # 9, with a third of the probability, against a sure 8
    squared = Posterior("le")(2 * logits)
    torch.testing.assert_close(Posterior("le", temperature=0.5)(logits), squared)
    assert Posterior("le")(logits) > 0 > squared


def test_posterior_of_even_digits() -> None:
    """With nothing known 55 of 100 pairs are ordered; logits may be shifted by any constant."""
    found = Posterior("le")(torch.full((1, 2, 10), 7.0))
    assert found.sigmoid().item() == pytest.approx(0.55, abs=1e-6)


def test_posterior_of_a_sure_network() -> None:
    """Finite, with a finite gradient, and of the right sign, where probabilities have long been rounded to 0 and 1."""
    logits = torch.zeros(3, 2, 10)
    for index, (first, second) in enumerate([(2, 7), (7, 2), (4, 4)]):
        logits[index, 0, first] = logits[index, 1, second] = 500.0
    logits.requires_grad_()
    found = Posterior("le")(logits)
    assert (found[:, 0] > 100).tolist() == [True, False, True]
    assert found[1] < -100
    found.sum().backward()
    assert found.isfinite().all()
    assert logits.grad.isfinite().all()
    assert logits.grad.abs().max() > 0


@pytest.mark.parametrize("outputs", [1, 2])
def test_means_are_those_of_probabilities(outputs: int) -> None:
    """Of comparisons with one or two logits, and of digits; finite where a probability is rounded to 1."""
    predictions = some_logits(5, 4, outputs)
    mean = mean_comparison(predictions)
    if outputs == 1:
        torch.testing.assert_close(mean.sigmoid(), predictions.sigmoid().mean(dim=0))
    else:
        torch.testing.assert_close(mean.softmax(dim=-1), predictions.softmax(dim=-1).mean(dim=0))
    digits = some_logits(5, 4, 2, 10)
    torch.testing.assert_close(mean_posterior(digits).exp(), digits.softmax(dim=-1).mean(dim=0))
    assert mean_comparison(torch.full((3, 1, outputs), 400.0)).isfinite().all()


@cache
def configured(model: str) -> Config:
    """Two rounds of a few pairs."""
    aux = "aux_weight=1" if model != "net1" else "aux_weight=0"
    return compose_config(f"model={model}", aux, "data.train_pairs=20", "data.test_pairs=30", "batch_size=20")


def networks(model: str, seeds: list[int], members: int) -> list[PairNetwork]:
    """Fresh networks, the members of a round side by side."""
    member_seeds = [MemberSeed(seed, member) for seed in seeds for member in range(members)]
    return [build(configured(model).model, generator(seed, Stream.WEIGHTS), CPU) for seed in member_seeds]


def some_pairs(model: str, seeds: list[int]) -> RoundPairs:
    """The pairs of these rounds, stacked."""
    return stack([round_pairs(configured(model).data, seed) for seed in seeds], CPU)


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize(
    ("model", "shift"), [("decoder", 0.0), ("decoder", 1.0), ("net1", 0.0), ("net1", 1.0), ("auxmodel", 0.5), ("splitnet", 0.0)]
)
@torch.no_grad()
def test_an_ensemble_predictor_averages_members_and_views(model: str, shift: float, together: bool) -> None:
    """Each round has the mean of its own members and views: of digits, compared where the comparator has no parameters, else of answers."""
    seeds, members = [3, 4], networks(model, [3, 4], members=3)
    pairs = some_pairs(model, seeds).test
    predictor = EnsemblePredictor(make_program(members, together), 3, shift, [plain])
    predictor.train(False)
    found = predictor(pairs.images)
    for index, images in enumerate(pairs.images):
        views = [moved(images, x, y) for x, y in shifts(shift)]
        own = [network.eval()(view) for network in members[3 * index : 3 * index + 3] for view in views]
        if own[0].digits is None:
            assert found.digits is None
        else:
            digits = torch.stack([outputs.digits.softmax(dim=-1) for outputs in own]).mean(dim=0)
            torch.testing.assert_close(found.digits[index].softmax(dim=-1), digits, rtol=0, atol=1e-5)
        if model == "decoder":
            expected = Posterior("le")(digits.log()).sigmoid()
        else:
            probability = torch.sigmoid if own[0].comparison.shape[-1] == 1 else lambda logits: F.softmax(logits, dim=-1)
            expected = torch.stack([probability(outputs.comparison) for outputs in own]).mean(dim=0)
        answer = found.comparison[index]
        answer = answer.sigmoid() if answer.shape[-1] == 1 else answer.softmax(dim=-1)
        torch.testing.assert_close(answer, expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_test_time_augmentation_averages_nine_views() -> None:
    """The digit as it is and moved to all eight sides; without a shift it is the network itself."""
    (network,) = networks("decoder", [3], members=1)
    program, pairs = SingleProgram(network), some_pairs("decoder", [3]).test
    assert make_predictor(program, 1, 0.0, [plain]) is program
    predictor = make_predictor(program, 1, 1.0, [plain])
    predictor.train(False)
    views = [moved(pairs.images[0], x, y) for x in (-1, 0, 1) for y in (-1, 0, 1)]
    expected = torch.stack([network.eval()(view).digits.softmax(dim=-1) for view in views]).mean(dim=0)
    found = predictor(pairs.images).digits[0].softmax(dim=-1)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert len(set(shifts(0.5))) == 9
    assert shifts(0.0) == [(0.0, 0.0)]


@pytest.mark.parametrize("together", [False, True])
@torch.no_grad()
def test_every_member_sees_its_own_column(together: bool) -> None:
    """Two members, two columns, nine views: the mean of each member over the views of its own form of the digits."""
    seeds, members = [3, 4], networks("decoder", [3, 4], members=2)
    pairs = some_pairs("decoder", seeds).test
    predictor = make_predictor(make_program(members, together), 2, 0.5, [plain, moments])
    predictor.train(False)
    found = predictor(pairs.images).digits.softmax(dim=-1)
    for index, images in enumerate(pairs.images):
        forms = [(members[2 * index].eval(), images), (members[2 * index + 1].eval(), moments(images))]
        predictions = [network(moved(form, x, y)).digits.softmax(dim=-1) for network, form in forms for x, y in shifts(0.5)]
        torch.testing.assert_close(found[index], torch.stack(predictions).mean(dim=0), rtol=0, atol=1e-5)
    alone = make_predictor(SingleProgram(members[0]), 1, 0.0, [moments])
    seen = alone(pairs.images[:1]).digits[0]
    torch.testing.assert_close(seen.softmax(dim=-1), members[0](moments(pairs.images[0])).digits.softmax(dim=-1), rtol=0, atol=1e-5)


def test_moved_by_whole_pixels() -> None:
    """Every pixel is that of its neighbour to the right and below; the border goes on."""
    image = torch.rand(1, 1, 2, 14, 14, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(moved(image, 1, 0)[..., :-1], image[..., 1:], rtol=0, atol=1e-5)
    torch.testing.assert_close(moved(image, 0, -2)[..., 2:, :], image[..., :-2, :], rtol=0, atol=1e-5)
    torch.testing.assert_close(moved(image, 1, 0)[..., -1], image[..., -1], rtol=0, atol=1e-5)


def test_programs_agree_on_an_ensemble() -> None:
    """One after another or stacked: the same outputs, parameters and states, in the same order."""
    members = networks("decoder", [3], members=2)
    stacked, turns = StackedProgram(members), SequentialProgram(members)
    images = some_pairs("decoder", [3]).test.images.repeat_interleave(2, dim=0)
    for program in (stacked, turns):
        program.train(False)
    for one, other in zip(stacked(images), turns(images), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
    assert sum(weight.numel() for weight in stacked.tensors()) == sum(weight.numel() for weight in turns.tensors())
    for index in (0, 1):
        one, other = stacked.state(index), turns.state(index)
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert turns.dropouts == stacked.dropouts


def test_an_ensemble_predictor_is_evaluated_as_a_network_is() -> None:
    """Scores per round, not per member."""
    seeds = [3, 4]
    predictor = EnsemblePredictor(make_program(networks("decoder", seeds, members=2)), 2, 0.5, [plain])
    scores = evaluate(predictor, some_pairs("decoder", seeds).test)
    assert [len(part) for part in (scores.accuracy, scores.digit_accuracy, scores.finite, scores.right)] == [2, 2, 2, 2]
