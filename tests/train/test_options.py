"""Training options: ensembles, the average of weights, label smoothing, tests now and then."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

import digitcmp
from digitcmp.experiment.run import Run
from digitcmp.model.network import Outputs, build
from digitcmp.seeding import Stream, generator
from digitcmp.train.losses import comparison_loss, digit_loss, total_loss
from digitcmp.train.optimizer import WeightAverage
from digitcmp.train.program import SingleProgram
from digitcmp.train.round import round_pairs
from tests.conftest import compose_config, train_round
from tests.experiment.made import epochs_of, state_of, train_run

CPU = torch.device("cpu")
SMALL = ("epochs=4", "batch_size=25", "data.train_pairs=50", "data.test_pairs=40")
DECODER = ("model=decoder_small", "aux_weight=1", "model.dropout=0.2", "data.shuffle=true", "augment=affine")


def trained(folder: Path, *overrides: str) -> Run:
    """A small run."""
    return train_run(compose_config(*SMALL, *overrides), folder)


def test_an_ensemble_of_one_is_the_network_itself() -> None:
    """The first member has the random numbers of the plain round; more members have others, of everything random."""
    plain = train_round(compose_config(*SMALL, *DECODER, "save_model=true"), 3, CPU, lambda *_: True)
    many = train_round(compose_config(*SMALL, *DECODER, "save_model=true", "ensemble=2"), 3, CPU, lambda *_: True)
    assert state_of(plain).keys() == {name.removeprefix("0.") for name in state_of(many) if not name.startswith("1.")}
    for name, tensor in state_of(plain).items():
        other = state_of(many)[name if name.startswith("input") else f"0.{name}"]
        torch.testing.assert_close(tensor, other, rtol=0, atol=1e-5, msg=name)
    weight = "reader.branch.head.linear.weight"
    assert (state_of(many)[f"0.{weight}"] - state_of(many)[f"1.{weight}"]).abs().max() > 1e-3


@pytest.mark.parametrize(
    "extra",
    [
        (),
        ("ensemble=2",),
        ("tta_shift=1",),
        ("columns=[moments]",),
        ("ensemble=2", "columns=[moments,plain]", "tta_shift=0.5", "ema=0.8", "data.target=gt"),
    ],
)
def test_a_saved_round_answers_as_it_was_tested(extra: tuple[str, ...], tmp_path: Path) -> None:
    """`load_model` brings back members, views and averaged weights: the accuracy on record, to the pair."""
    config = compose_config(*SMALL, *DECODER, *extra)
    run = trained(tmp_path, *DECODER, *extra, "save_model=true", "seed=5")
    network = digitcmp.load_model(tmp_path, 5)
    assert len(network.networks) == config.ensemble
    pairs = round_pairs(config.data, 5)
    grey = pairs.test.images * pairs.std + pairs.mean
    right = (network.compare(grey).long() == pairs.test.target).double().mean().item()
    assert right == pytest.approx(run.rows[0].test_accuracy, abs=1e-9)
    digits = (network(grey).digits.argmax(dim=-1) == pairs.test.digits).double().mean().item()
    assert digits == pytest.approx(run.rows[0].digit_accuracy, abs=1e-9)


def test_average_follows_its_formula() -> None:
    """d x average + (1 - d) x weights at every step, batch norm's statistics included; d begins with 2/11 and ends with the decay."""
    network = build(compose_config("model=net4").model, generator(0, Stream.WEIGHTS), CPU)
    program = SingleProgram(network)
    average, expected = WeightAverage(program, 0.32), [tensor.detach().clone() for tensor in program.tensors()]
    assert len(expected) > len(list(network.parameters()))
    decays = [2 / 11, 3 / 12, 4 / 13, *[0.32] * 3]
    for step, decay in enumerate(decays):
        with torch.no_grad():
            for tensor in program.tensors():
                tensor.add_(step + 1)
        average.update()
        expected = [decay * mean + (1 - decay) * tensor.detach() for mean, tensor in zip(expected, program.tensors(), strict=True)]
    weights = [tensor.detach().clone() for tensor in program.tensors()]
    with average.applied(keep=False):
        for tensor, value in zip(program.tensors(), expected, strict=True):
            torch.testing.assert_close(tensor.detach(), value)
    assert all(torch.equal(tensor, value) for tensor, value in zip(program.tensors(), weights, strict=True))
    with average.applied(keep=True):
        pass
    assert not any(torch.equal(tensor, value) for tensor, value in zip(program.tensors(), weights, strict=True))


def test_average_changes_what_is_tested_not_what_is_trained() -> None:
    """The losses of training are those without an average; the tested weights are not."""
    plain, averaged = (
        train_round(compose_config(*SMALL, "model=wsn", "aux_weight=1", "save_model=true", f"ema={decay}"), 0, CPU, lambda *_: True)
        for decay in (0, 0.9)
    )
    assert [row.train_loss for row in averaged.epochs] == [row.train_loss for row in plain.epochs]
    name = "comparator.linear.weight"
    assert (state_of(plain)[name] - state_of(averaged)[name]).abs().max() > 1e-4


@pytest.mark.parametrize("outputs", [1, 2])
def test_label_smoothing_mixes_in_all_answers(outputs: int) -> None:
    """The loss against labels of which a share is spread evenly: (1 - s) x loss + s x mean of the losses of all answers."""
    random = torch.Generator().manual_seed(2)
    logits, target = torch.randn(2, 7, outputs, generator=random), torch.randint(2, (2, 7), generator=random)
    plain = comparison_loss(logits, target)
    either = (comparison_loss(logits, torch.zeros_like(target)) + comparison_loss(logits, torch.ones_like(target))) / 2
    torch.testing.assert_close(comparison_loss(logits, target, 0.3), 0.7 * plain + 0.3 * either)
    digit, digits = torch.randn(2, 7, 2, 10, generator=random), torch.randint(10, (2, 7, 2), generator=random)
    spread = -F.log_softmax(digit, dim=-1).mean(dim=-1).mean(dim=1).sum(dim=1)
    torch.testing.assert_close(digit_loss(digit, digits, 0.3), 0.7 * digit_loss(digit, digits) + 0.3 * spread)
    whole = total_loss(Outputs(logits, digit), target, digits, 2.0, 0.3)
    torch.testing.assert_close(whole, comparison_loss(logits, target, 0.3) + 2 * digit_loss(digit, digits, 0.3))


def test_label_smoothing_reaches_training() -> None:
    """It changes what is learned."""
    plain, smooth = (
        train_round(compose_config(*SMALL, "model=wsn", "aux_weight=1", f"label_smoothing={share}"), 0, CPU, lambda *_: True)
        for share in (0, 0.2)
    )
    assert plain.row.train_loss != smooth.row.train_loss


def test_tests_now_and_then(tmp_path: Path) -> None:
    """Every third epoch and the last one are tested, validation is looked at in each; nothing else changes, and a report has the curves."""
    often = trained(tmp_path / "often", "model=wsn", "aux_weight=1", "data.val_pairs=10", "epochs=7")
    seldom = trained(tmp_path / "seldom", "model=wsn", "aux_weight=1", "data.val_pairs=10", "epochs=7", "test_every=3")
    tested = [row.epoch for row in epochs_of(seldom.directory) if row.test_accuracy is not None]
    assert tested == [3, 6, 7]
    assert all(row.val_accuracy is not None for row in epochs_of(seldom.directory))
    for row, other in zip(epochs_of(often.directory), epochs_of(seldom.directory), strict=True):
        assert (row.train_loss, row.val_accuracy) == (other.train_loss, other.val_accuracy)
        assert other.test_accuracy in (None, row.test_accuracy)
    assert often.rows[0].test_accuracy == seldom.rows[0].test_accuracy
    curve = digitcmp.load_epochs(tmp_path / "seldom").dropna(subset="test_accuracy")
    assert curve["epoch"].tolist() == tested


def test_a_round_that_was_never_tested_has_no_best_epoch() -> None:
    """Nothing is made up for epochs without a test; among those with one, the best is named."""
    config = compose_config(*SMALL, "model=net2", "optimizer=sgd", "optimizer.lr=1e12", "test_every=3")
    row = train_round(config, 0, CPU, lambda *_: True).row
    assert (row.status, row.best_epoch, row.best_accuracy) == ("failed", None, None)
    tested = train_round(compose_config(*SMALL, "model=net2", "test_every=3"), 0, CPU, lambda *_: True)
    assert tested.row.best_epoch in (3, 4)
    assert tested.row.best_accuracy == max(row.test_accuracy for row in tested.epochs if row.test_accuracy is not None)


def test_parameters_are_those_of_all_members(tmp_path: Path) -> None:
    """run.json says how many numbers a round learns."""
    alone, two = (trained(tmp_path / str(members), "model=net2", f"ensemble={members}").store.about for members in (1, 2))
    assert two["parameters"] == 2 * alone["parameters"] == 2 * 66_593


def test_more_epochs_of_an_average_forget_the_start() -> None:
    """With a decay near 1 a short training is not tested with its initial weights."""
    config = compose_config(*SMALL, "model=wsn", "model.batchnorm=true", "aux_weight=1", "epochs=15", "data.train_pairs=400", "ema=0.999")
    result = train_round(config, 0, CPU, lambda *_: True)
    assert result.row.digit_accuracy > 0.5
