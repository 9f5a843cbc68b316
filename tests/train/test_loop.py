"""The training loop and its evaluation."""

import math
from copy import deepcopy
from dataclasses import replace
from functools import cache
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from digitcmp.config.schema import Config
from digitcmp.data.pairs import Pairs, RoundPairs, shuffled, stack
from digitcmp.model.network import Outputs, PairNetwork, build
from digitcmp.seeding import Stream, generator
from digitcmp.train.evaluate import evaluate
from digitcmp.train.loop import Epoch, Training
from digitcmp.train.losses import total_loss
from digitcmp.train.program import SingleProgram
from digitcmp.train.round import RoundResult, round_pairs, train_spec
from tests.conftest import compose_config, train_round
from tests.experiment.made import state_of

CPU = torch.device("cpu")
SMALL = ("epochs=2", "batch_size=20", "data.train_pairs=50", "data.test_pairs=30")
MODELS = [("model=net1",), ("model=wsn", "aux_weight=0.5"), ("model=auxmodel1", "aux_weight=1")]


class Spy(SingleProgram):
    """A program that remembers what it was trained on."""

    def __init__(self, network: PairNetwork) -> None:
        super().__init__(network)
        self.images: list[Tensor] = []
        self.noise: list[Tensor] = []

    def __call__(self, images: Tensor, noise: Tensor | None = None) -> Outputs:
        if noise is not None:
            assert self.network.training
            self.images.append(images)
            self.noise.append(noise)
        return super().__call__(images, noise)


@cache
def small(*overrides: str) -> Config:
    """A configuration that trains in no time: batches of 20, 20 and 10 pairs."""
    return compose_config(*SMALL, *overrides)


def fresh(config: Config) -> tuple[Spy, RoundPairs]:
    """The untrained program and the pairs of round 0."""
    return Spy(build(config.model, generator(0, Stream.WEIGHTS), CPU)), stack([round_pairs(config.data, 0)], CPU)


def trained(config: Config) -> tuple[Spy, RoundPairs, list[Epoch]]:
    """The program after the training of round 0, its pairs, and the figures of every epoch."""
    program, pairs = fresh(config)
    return program, pairs, list(Training(program, pairs, [0], train_spec(config)).epochs())


def run_round(config: Config) -> RoundResult:
    """Round 0 as an engine runs it."""
    return train_round(config, 0, CPU, lambda *_: True)


def numbered(rounds: int, count: int) -> Pairs:
    """Pairs whose images, targets and digits all tell their number."""
    numbers = torch.arange(count).expand(rounds, count)
    images = numbers[..., None, None, None].expand(rounds, count, 2, 14, 14).float()
    return Pairs(images, numbers % 2, torch.stack([numbers % 10, numbers // 10], dim=-1))


def test_one_record_per_epoch() -> None:
    """Epochs are numbered from 1; accuracies are fractions, without validation and digits where there are none."""
    program, _, epochs = trained(small("model=net2"))
    assert [epoch.epoch for epoch in epochs] == [1, 2]
    assert program.dropouts == 0
    for epoch in epochs:
        assert epoch.val is None
        assert epoch.test.digit_accuracy is None
        assert 0 <= epoch.train_accuracy[0] <= 1
        assert 0 <= epoch.test.accuracy[0] <= 1
        assert epoch.seconds > 0


def test_validation_and_digits_are_reported_where_they_are() -> None:
    """Validation pairs and a digit head give a figure each, measured on the right pairs."""
    program, pairs, epochs = trained(small("model=wsn", "aux_weight=1", "data.val_pairs=10"))
    assert epochs[-1].val == evaluate(program, pairs.val)
    assert epochs[-1].test == evaluate(program, pairs.test)
    assert 0 <= epochs[-1].test.digit_accuracy[0] <= 1
    assert sum(len(images[0]) for images in program.images) == 2 * 40


def test_a_round_is_reproducible_bit_by_bit() -> None:
    """Its seed decides all of it, whatever the global generator's state is; another seed gives another round."""
    config = small("model=net4", "aux_weight=1", "model.dropout=0.4", "data.shuffle=true", "data.val_pairs=10", "save_model=true")
    first = run_round(config)
    torch.manual_seed(2)
    second = run_round(config)
    other = train_round(config, 1, CPU, lambda *_: True)
    assert first.row.status == "done"
    assert [replace(row, seconds=0) for row in first.epochs] == [replace(row, seconds=0) for row in second.epochs]
    assert all(torch.equal(state_of(first)[name], state_of(second)[name]) for name in state_of(first))
    assert not torch.equal(state_of(first)["comparator.linear.weight"], state_of(other)["comparator.linear.weight"])


def test_shuffling_keeps_pairs_together() -> None:
    """Every round gets an order of its own, with targets and digits beside their images, and no pair lost."""
    shuffling = [generator(seed, Stream.ORDER) for seed in (0, 1)]
    plain, first, second = numbered(2, 97), shuffled(numbered(2, 97), shuffling), shuffled(numbered(2, 97), shuffling)
    orders = [epoch.images[index, :, 1, 5, 5].long() for epoch in (plain, first, second) for index in (0, 1)]
    for order, later in pairwise(orders[1:]):
        assert not torch.equal(order, later)
        assert later.sort().values.tolist() == list(range(97))
    for epoch in (first, second):
        number = epoch.images[:, :, 0, 0, 0].long()
        assert torch.equal(epoch.target, number % 2)
        assert torch.equal(epoch.digits, torch.stack([number % 10, number // 10], dim=-1))
    alone = shuffled(numbered(1, 97), [generator(1, Stream.ORDER)])
    assert torch.equal(alone.images[0], first.images[1])


def test_training_shuffles_when_told_to() -> None:
    """Unshuffled batches come in the order drawn in each epoch, shuffled ones in a new order, the same in every run."""
    plain, again, mixed, repeated = (trained(small("model=net2", f"data.shuffle={on}")) for on in (False, False, True, True))
    for program, pairs, _ in (plain, again):
        for epoch in (program.images[:3], program.images[3:]):
            assert torch.equal(torch.cat(epoch, dim=1), pairs.train.images)
    seen = [torch.cat(part, dim=1) for part in (mixed[0].images[:3], mixed[0].images[3:], repeated[0].images[:3])]
    assert torch.equal(seen[0], seen[2])
    assert not torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], mixed[1].train.images)
    assert mixed[2][0].train_loss == repeated[2][0].train_loss != plain[2][0].train_loss


def test_an_incomplete_last_batch_is_trained_on() -> None:
    """50 pairs in batches of 20 are three steps an epoch, the last one of 10 pairs."""
    program, _, _ = trained(small("model=net2"))
    assert [images.shape[1] for images in program.images] == [20, 20, 10] * 2


def test_every_step_drops_other_units() -> None:
    """No two steps of a round, nor two dropouts of a step, share a key."""
    program, _, _ = trained(small("model=net2", "model.dropout=0.5"))
    keys = torch.stack(program.noise)
    assert keys.shape == (6, 1, 3)
    assert len(keys.unique()) == keys.numel()


@pytest.mark.parametrize("overrides", MODELS)
def test_training_figures_are_means_over_the_pairs(overrides: tuple[str, ...]) -> None:
    """With steps too small to change anything, they equal loss and accuracy of all training pairs in one go."""
    config = small(*overrides, "optimizer=sgd", "optimizer.lr=1e-30")
    program, pairs, epochs = trained(config)
    outputs = program(pairs.train.images, None)
    loss = total_loss(outputs, pairs.train.target, pairs.train.digits, config.aux_weight)
    assert epochs[0].train_loss == pytest.approx(loss.tolist(), abs=1e-6)
    assert epochs[0].train_accuracy == evaluate(program, pairs.train).accuracy


@pytest.mark.parametrize("overrides", MODELS)
def test_the_loop_does_what_a_plain_loop_does(overrides: tuple[str, ...]) -> None:
    """One epoch equals PyTorch's own losses and SGD, written down as in a tutorial."""
    config = small(*overrides, "optimizer=sgd", "optimizer.lr=0.1", "epochs=1")
    program, pairs = fresh(config)
    plain = deepcopy(program.network)
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.1)
    images, target, digits = pairs.train.images[0], pairs.train.target[0], pairs.train.digits[0]
    for rows in torch.arange(50).split(20):
        comparison, classes, *_ = plain(images[rows])
        single = comparison.shape[1] == 1
        loss = nn.BCEWithLogitsLoss()(comparison[:, 0], target[rows].float()) if single else F.cross_entropy(comparison, target[rows])
        for index in (0, 1) if config.aux_weight else ():
            loss = loss + config.aux_weight * F.cross_entropy(classes[:, index], digits[rows, index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    before, after = program.state(0), trained(config)[0].state(0)
    torch.testing.assert_close(after, dict(plain.state_dict()), rtol=0, atol=1e-6)
    assert (after["comparator.linear.weight"] - before["comparator.linear.weight"]).abs().max() > 1e-4


def test_two_learning_rates_reach_their_parameters() -> None:
    """With a tiny optimizer.lr only the comparator moves."""
    config = small("model=wsn", "optimizer=sgd", "optimizer.lr=1e-30", "optimizer.comparator_lr=0.1")
    before, after = fresh(config)[0].state(0), trained(config)[0].state(0)
    moved = {name for name in after if not torch.equal(after[name], before[name])}
    assert moved == {"comparator.linear.weight", "comparator.linear.bias"}


def test_the_schedule_reaches_the_optimiser() -> None:
    """A cosine down to nothing is half spent after half of the steps: it ends elsewhere than a constant rate."""
    options = "model=net2", "optimizer=sgd", "optimizer.lr=0.5"
    constant, cosine = (trained(small(*options, f"scheduler={name}"))[0].state(0) for name in ("constant", "cosine"))
    assert (constant["comparator.linear.weight"] - cosine["comparator.linear.weight"]).abs().max() > 1e-5


def test_evaluation_leaves_no_trace() -> None:
    """Parameters and the running statistics of batch norm stay as they are, and training resumes in training mode."""
    program, pairs, _ = trained(small("model=net4", "aux_weight=1", "model.dropout=0.3"))
    before = deepcopy(program.network.state_dict())
    assert before["reader.branch.tower.layers.0.norm.num_batches_tracked"] == 6
    evaluate(program, pairs.test)
    assert all(torch.equal(tensor, before[name]) for name, tensor in program.network.state_dict().items())


@pytest.mark.parametrize("batch", [1, 7, 30, 1000])
def test_accuracies_do_not_depend_on_the_evaluation_batch(batch: int) -> None:
    """They are the fractions of right answers and right digits, counted by hand in one go."""
    program, pairs, _ = trained(small("model=net4", "aux_weight=1"))
    program.train(False)
    outputs = program.network(pairs.test.images[0])
    right = sum(
        int(logit > 0) == target for logit, target in zip(outputs.comparison[:, 0].tolist(), pairs.test.target[0].tolist(), strict=True)
    )
    digits = (outputs.digits.argmax(dim=2) == pairs.test.digits[0]).sum().item()
    program.train(True)
    scores = evaluate(program, pairs.test, batch)
    assert (scores.accuracy, scores.digit_accuracy, scores.finite) == ([right / 30], [digits / 60], [True])
    assert scores.right.sum().item() == right


def test_batch_statistics_are_those_of_test_batch_pairs() -> None:
    """As published: every batch of the test is normalised by itself, in training as when the accuracy is worked out by hand."""
    config = small("model=net4", "aux_weight=1", "model.batch_statistics=true", "test_batch=10")
    program, pairs, epochs = trained(config)
    program.train(True)  # batch norm without running statistics: the mode makes no difference
    logits = torch.cat([program.network(batch).comparison[:, 0] for batch in pairs.test.images[0].split(10)])
    right = ((logits > 0).long() == pairs.test.target[0]).double().mean().item()
    assert epochs[-1].test is not None
    assert epochs[-1].test.accuracy == [right]
    whole = program.network(pairs.test.images[0]).comparison[:, 0]
    assert not torch.allclose(logits, whole, atol=1e-3)


def test_a_loss_that_is_no_number_ends_the_round() -> None:
    """The loop stops after the epoch in which it happened, and the round is on record as failed, with the epoch."""
    config = small("model=net2", "optimizer=sgd", "optimizer.lr=1e12")
    _, _, epochs = trained(config)
    assert len(epochs) == 1
    assert not torch.tensor(epochs[0].train_loss).isfinite().any()
    result = run_round(config)
    assert (result.row.status, result.row.epochs, len(result.epochs)) == ("failed", 1, 1)
    assert "in epoch 1" in result.row.error
    assert "optimizer.lr" in result.row.error


@pytest.mark.parametrize("target", ["le", "gt"])
def test_a_constant_answer_reaches_the_majority_accuracy(target: str) -> None:
    """A network that always says yes (or no) is right as often as the answer occurs; the better one is the majority's accuracy."""
    config = small("model=net2", f"data.target={target}")
    program, pairs = fresh(config)
    accuracy = []
    for bias in (1.0, -1.0):
        nn.init.zeros_(program.network.comparator.linear.weight)
        nn.init.constant_(program.network.comparator.linear.bias, bias)
        accuracy += evaluate(program, pairs.test).accuracy
    ones = pairs.test.target.sum().item() / 30
    assert accuracy == pytest.approx([ones, 1 - ones])
    assert run_round(config).row.majority_accuracy == pytest.approx(max(accuracy))


def test_a_kept_state_does_not_follow_the_network() -> None:
    """What `state` returns is a copy: training on does not change it."""
    program = SingleProgram(build(compose_config().model, generator(0, Stream.WEIGHTS), torch.device("cpu")))
    state = program.state(0)
    kept = {name: tensor.clone() for name, tensor in state.items()}
    with torch.no_grad():
        for parameter in program.network.parameters():
            parameter.add_(1)
    assert all(torch.equal(state[name], tensor) for name, tensor in kept.items())


def test_a_network_that_diverges_in_its_last_step_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last loss is finite, the weights after the last step are not: the round must not pass for a done one."""
    config = compose_config("epochs=1", "data.train_pairs=100", "data.test_pairs=50")  # one step: its loss is still finite
    monkeypatch.setattr(torch.optim.Adam, "step", lambda self: [p.data.fill_(float("nan")) for g in self.param_groups for p in g["params"]])
    row = train_round(config, 0, torch.device("cpu"), lambda *_: True).row
    assert row.train_loss is not None
    assert math.isfinite(row.train_loss)
    assert (row.status, row.error) == ("failed", "the network's outputs became infinite or nan in epoch 1; a smaller optimizer.lr may help")
