"""What goes by validation accuracies, and what else moves weights: clipping, L1, mixup, schedules, parts with rates of their own."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from digitcmp.config.schema import Config, ParameterGroup, StoppingConfig
from digitcmp.config.schema.optimizer import Plateau
from digitcmp.data.pairs import Pairs
from digitcmp.model.network import PairNetwork, build
from digitcmp.seeding import MemberSeed, Stream, generator
from digitcmp.train.objective import Mixup, mixed, partners
from digitcmp.train.optimizer import make_optimizer
from digitcmp.train.program import Program, SequentialProgram, StackedProgram, part_of
from digitcmp.train.results import Checkpoint, RoundResult
from digitcmp.train.round import train_rounds
from digitcmp.train.saved import unpack
from digitcmp.train.schedules import exponential, plateau, restarts, step
from digitcmp.train.stopping import Stopping, clip, slowed
from tests.conftest import MODELS, compose_config

CPU = torch.device("cpu")
TINY = ["epochs=6", "batch_size=20", "data.train_pairs=100", "data.val_pairs=40", "data.test_pairs=40", "save_model=true"]


def tiny(*overrides: str, model: str = "net2", **changes: Any) -> Config:
    """A few steps of a small network on the bundled digits, with some keys changed."""
    return replace(compose_config(f"model={model}", "optimizer=adam", "optimizer.lr=0.002", *TINY, *overrides), **changes)


def trained(
    config: Config, seeds: list[int], checkpoints: list[Checkpoint] | None = None
) -> tuple[list[RoundResult], list[dict[int, Checkpoint]]]:
    """The results of these rounds, trained together, and their checkpoints on the way."""
    kept: list[dict[int, Checkpoint]] = []
    results = train_rounds(config, seeds, CPU, lambda *_: True, checkpoints or (), kept.append)
    return [result for result in results if result is not None], kept


def networks(count: int = 3) -> list[PairNetwork]:
    """Small networks of several rounds."""
    model = compose_config("model=lenet").model
    return [build(model, generator(seed, Stream.WEIGHTS), CPU) for seed in range(count)]


PROGRAMS = pytest.mark.parametrize("kind", [SequentialProgram, StackedProgram])


def test_a_round_ends_where_it_waited_in_vain() -> None:
    """With the weights of its best epoch, in the row of its last epoch and in its file; alone as in a stack whose others go on."""
    config = tiny("epochs=8", model="mlp", stopping=StoppingConfig(patience=1))
    alone = [trained(config, [seed])[0][0] for seed in (0, 1, 2)]
    stacked, _ = trained(config, [0, 1, 2])
    lengths = [len(result.epochs) for result in alone]
    assert len(set(lengths)) > 1, "choose other seeds: all rounds end together"
    for one, other in zip(alone, stacked, strict=True):
        vals = [row.val_accuracy for row in one.epochs]
        assert one.row.status == other.row.status == "done"
        assert vals == [row.val_accuracy for row in other.epochs]
        assert one.row.val_accuracy == max(vals)
        assert len(vals) == 8 or len(vals) - 1 - vals.index(max(vals)) == 1
        assert one.row.test_accuracy == other.row.test_accuracy
        assert one.network is not None
        assert other.network is not None
        for name, tensor in unpack(one.network)[0].items():
            torch.testing.assert_close(unpack(other.network)[0][name], tensor, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "changes",
    [
        {"stopping": StoppingConfig(patience=2)},
        {"stopping": StoppingConfig(best=True), "ema": 0.5},
        {"scheduler": Plateau(patience=0, factor=0.1)},
    ],
    ids=["patience", "best of averages", "plateau"],
)
def test_it_goes_on_from_a_checkpoint(changes: dict[str, Any]) -> None:
    """As if nothing had been: the same rows and the same network."""
    config = tiny("loss.mixup=0.3", checkpoint_every=2, **changes)
    whole, kept = trained(config, [0, 1])
    again, _ = trained(config, [0, 1], [kept[0][index] for index in (0, 1)])
    for one, other in zip(whole, again, strict=True):
        assert [replace(row, seconds=0) for row in one.epochs] == [replace(row, seconds=0) for row in other.epochs]
        assert one.network == other.network


@pytest.mark.parametrize(
    "more", [(), ("ensemble=2", "ema=0.5", "optimizer.lr=0.005"), ("test=false",)], ids=["one", "averages of two", "not tested"]
)
def test_rounds_that_had_ended_before_a_checkpoint(more: tuple[str, ...]) -> None:
    """Also where none of those that are begun again goes on: the best weights, and what they were tested with, not a fresh network."""
    config = tiny("epochs=8", *more, model="mlp", stopping=StoppingConfig(patience=1), checkpoint_every=1)
    whole, kept = trained(config, [0, 1, 2])
    first = min(len(result.epochs) for result in whole)
    assert first < len(kept), "choose other seeds: all rounds end together"
    for checkpoints in (kept[first - 1], kept[-1]):
        ended = [seed for seed, result in enumerate(whole) if len(result.epochs) <= checkpoints[0].epoch]
        again, _ = trained(config, ended, [checkpoints[seed] for seed in ended])
        for seed, other in zip(ended, again, strict=True):
            one = whole[seed]
            assert one.network == other.network
            assert replace(one.row, seconds=0) == replace(other.row, seconds=0)
            assert (one.epochs, one.distances, one.confusion) == (other.epochs, other.distances, other.confusion)
            assert bool(other.distances) == bool(other.confusion) == config.test


def test_a_round_has_its_own_tests_on_record() -> None:
    """Not those of epochs in which others of its stack end."""
    config = tiny("epochs=8", "test_every=3", model="mlp", stopping=StoppingConfig(patience=1))
    whole, _ = trained(config, [0, 1, 2])
    ends = {len(result.epochs) for result in whole}
    assert any(end % 3 for end in ends), "choose other seeds: they end where all are tested"
    for result in whole:
        tested = [row.epoch for row in result.epochs if row.test_accuracy is not None]
        assert tested == [row.epoch for row in result.epochs if row.epoch % 3 == 0 or row.epoch == len(result.epochs)]
        assert tested == [row.epoch for row in result.epochs if row.digit_accuracy is not None] or result.epochs[0].digit_accuracy is None


@PROGRAMS
def test_best_weights_are_given_back(kind: type[Program]) -> None:
    """To the rounds that have ended, not to others."""
    program = kind(networks())
    stopping = Stopping(program, StoppingConfig(patience=1), [[], [], []], members=1)
    states = [program.state(index) for index in range(3)]
    assert not stopping.note([0.5, 0.5, 0.5], last=False)
    with torch.no_grad():
        for tensor in program.tensors():
            tensor.add_(1)
    assert stopping.note([0.4, 0.6, 0.7], last=False)
    assert stopping.ended == [True, False, False]
    for index, before in enumerate(states):
        name, tensor = next(iter(program.state(index).items()))
        torch.testing.assert_close(tensor, before[name] + (0 if index == 0 else 1))


@PROGRAMS
def test_long_gradients_are_shortened(kind: type[Program]) -> None:
    """Each network's own, to the given length; short ones stay."""
    program = kind(networks())
    images = torch.randn(3, 4, 2, 14, 14)
    images[0] *= 100
    program(images).comparison.sum().backward()  # type: ignore[no-untyped-call]

    def lengths() -> list[float]:
        found = program.of_each(lambda tensor: tensor.grad)
        return [torch.stack([gradient.norm() for gradient in own.values()]).norm().item() for own in found]

    before = lengths()
    middle = sum(sorted(before)[1:]) / 2
    clip(program, middle)
    assert lengths() == pytest.approx([min(length, middle) for length in before], rel=1e-4)


@PROGRAMS
def test_a_factor_of_the_step_is_a_factor_of_the_rate(kind: type[Program]) -> None:
    """Adam with half the rate, and Adam's step halved."""
    images, ends = torch.randn(3, 4, 2, 14, 14), []
    for lr, factors in ((0.01, [0.5, 0.5, 1.0]), (0.005, [1.0, 1.0, 1.0])):
        program = kind(networks())
        optimizer = make_optimizer(program, "Adam", lr, None, {})
        for _ in range(3):
            optimizer.zero_grad()
            program(images).comparison.sum().backward()  # type: ignore[no-untyped-call]
            before = program.of_each(lambda tensor: tensor.detach().clone() if tensor.requires_grad else None)
            optimizer.step()
            slowed(program, before, factors, members=1)
        ends.append([program.state(index) for index in range(3)])
    for index, same in enumerate([True, True, False]):
        close = [torch.allclose(ends[0][index][name], tensor, atol=1e-5) for name, tensor in ends[1][index].items()]
        assert all(close) is same


def test_schedules() -> None:
    """Known values."""
    assert [step(progress, 2, 0.1) for progress in (0, 0.32, 0.34, 0.7, 1)] == pytest.approx([1, 1, 0.1, 0.01, 0.01])
    assert [exponential(progress, 0.01) for progress in (0, 0.5, 1)] == pytest.approx([1, 0.1, 0.01])
    whole = [restarts(progress, 2, 2.0, 0.1) for progress in (0, 1 / 6, 1 / 3 - 1e-9, 1 / 3, 2 / 3, 1)]
    assert whole == pytest.approx([1, 0.55, 0.1, 1, 0.55, 0.1])
    assert [plateau(accuracies, 1, 0.5) for accuracies in ([], [0.5], [0.5, 0.5], [0.5, 0.5, 0.4], [0.5] * 5)] == [1, 1, 1, 0.5, 0.25]


def test_parts_have_rates_of_their_own() -> None:
    """Every parameter is in one group, with what was asked for its part."""
    program = SequentialProgram(networks(1))
    apart = [{"part": "tower", "lr": 0.5, "weight_decay": None}, {"part": "comparator", "lr": None, "weight_decay": 0.25}]
    optimizer = make_optimizer(program, "SGD", 0.1, None, {"weight_decay": 0.0}, apart)
    found = {id(tensor): group for group in optimizer.param_groups for tensor in group["params"]}
    for name, tensor in program.networks[0].named_parameters():
        expected = {"tower": (0.5, 0.0), "comparator": (0.1, 0.25)}.get(part_of(name), (0.1, 0.0))
        assert (found[id(tensor)]["lr"], found[id(tensor)]["weight_decay"]) == expected
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(found)


def test_every_parameter_belongs_to_a_part() -> None:
    """Of every network."""
    parts = set()
    for name in MODELS:
        with torch.device("meta"):
            network = PairNetwork(
                compose_config(
                    f"model={name}", "aux_weight=1" if name in ("decoder", "decoder_small", "splitnet", "supervised") else "seed=0"
                ).model
            )
        parts |= {part_of(parameter) for parameter, _ in network.named_parameters()}
    assert parts == {"tower", "digit_dense", "digit_head", "aux_heads", "joint_dense", "comparator"}


def test_mixed_pairs() -> None:
    """Shares and partners follow from each network's seed; the images are in between."""
    mixup = Mixup(0.4, [MemberSeed(0), MemberSeed(1)], 50, 8, CPU)
    again = Mixup(0.4, [MemberSeed(1)], 50, 8, CPU)
    assert torch.equal(mixup.shares[:, 1], again.shares[:, 0])
    assert mixup.shares.min() < 0.05
    batch = Pairs(torch.randn(2, 6, 2, 14, 14), torch.randint(2, (2, 6)), torch.randint(10, (2, 6, 2)))
    share, places = mixup.drawn(3)
    other = partners(batch, places)
    assert sorted(other.images[0].sum(dim=(1, 2, 3)).tolist()) == sorted(batch.images[0].sum(dim=(1, 2, 3)).tolist())
    images = mixed(batch.images, other.images, share)
    torch.testing.assert_close(images[1], share[1] * batch.images[1] + (1 - share[1]) * other.images[1])


def test_options_change_what_is_trained() -> None:
    """Each of them does something, and nothing breaks."""
    plain = trained(tiny(epochs=1), [0])[0][0].network
    changes = [
        "loss.l1=0.01",
        "loss.mixup=0.4",
        "optimizer.clip=0.01",
        "data.seed=5",
        "loss.terms=[{loss:contrastive,weight:0.5},{loss:triplet}]",
    ]
    for change in changes:
        assert trained(tiny(change, epochs=1), [0])[0][0].network != plain, change
    aux = [tiny("aux_weight=1", f"loss.combine={combine}", model="splitnet", epochs=1) for combine in ("sum", "mean", "alternate")]
    assert len({trained(config, [0])[0][0].network for config in aux}) == 3
    three = trained(tiny("data.target=three", "model.comparator.outputs=3", "loss.balance=true", epochs=1), [0])[0][0].row
    assert three.status == "done"
    assert three.majority_accuracy is not None
    assert 1 / 3 < three.majority_accuracy < 0.7
    slow = tiny(epochs=1)
    slow.optimizer.groups = [ParameterGroup("tower", lr=1e-9)]
    network = trained(slow, [0])[0][0].network
    assert network is not None
    start = build(slow.model, generator(0, Stream.WEIGHTS), CPU).state_dict()
    for name, tensor in unpack(network)[0].items():
        if not name.startswith("input."):
            assert torch.allclose(tensor, start[name], atol=1e-6) is (".tower." in name), name


def test_pairs_of_a_seed_of_their_own() -> None:
    """data.seed: the rounds differ in their weights alone."""
    results, _ = trained(tiny("data.seed=7", epochs=1), [0, 1])
    own, _ = trained(tiny(epochs=1), [7])
    means = [unpack(result.network)[0]["input.mean"].item() for result in (*results, *own) if result.network is not None]
    assert means[0] == means[1] == means[2]
    assert results[0].row.train_loss != results[1].row.train_loss
