"""What a training goes on from: after any epoch, with any optimiser and option, it gives the numbers of one without an end in between."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from digitcmp.config.schema import Config
from digitcmp.data.pairs import RoundPairs, stack
from digitcmp.model.network import build
from digitcmp.seeding import MemberSeed, Stream, generator
from digitcmp.train import round as rounds
from digitcmp.train.loop import Epoch, Training, TrainSpec
from digitcmp.train.optimizer import ALGORITHMS, make_optimizer
from digitcmp.train.program import Program, make_program
from digitcmp.train.progress import RoundProgress, read
from digitcmp.train.results import Checkpoint, RoundResult
from digitcmp.train.round import round_pairs, train_rounds, train_spec
from digitcmp.train.state import State
from tests.conftest import compose_config
from tests.experiment.made import state_of

CPU = torch.device("cpu")
TINY = ("epochs=4", "batch_size=20", "data.train_pairs=60", "data.test_pairs=40", "save_model=true", "checkpoint_every=1")
OPTIONS = {
    "plain": (),
    "batch norm, dropout, average": ("model=net4", "aux_weight=1", "model.dropout=0.3", "ema=0.9", "optimizer=adamw"),
    "ensemble, columns, augmentation": ("model=wsn", "aux_weight=1", "ensemble=2", "columns=[plain,moments]", "augment=elastic"),
    "new pairs, order, one cycle": ("data.repair=true", "data.shuffle=true", "scheduler=onecycle", "data.val_pairs=10"),
    "swapped pairs, tests now and then": ("optimizer=sgd", "optimizer.momentum=0.9", "data.swap=true", "scheduler=cosine", "test_every=2"),
    "average of an ensemble, no test": ("ensemble=2", "ema=0.5", "test=false", "data.val_pairs=10", "optimizer=sgd", "augment=shift"),
}


def kept(config: Config, seeds: Sequence[int], start: Sequence[Checkpoint] = ()) -> tuple[list[RoundResult], dict[int, list[Checkpoint]]]:
    """The results of rounds, and their checkpoints by epoch."""
    checkpoints: dict[int, list[Checkpoint]] = {}

    def keep(ones: dict[int, Checkpoint]) -> None:
        checkpoints[ones[0].epoch] = [ones[index] for index in range(len(seeds))]

    results = train_rounds(config, seeds, CPU, lambda *_: True, start, keep)
    return [one for one in results if one is not None], checkpoints


def assert_equal(ones: Sequence[RoundResult], others: Sequence[RoundResult]) -> None:
    """To the last bit, but for the seconds."""
    for one, other in zip(ones, others, strict=True):
        assert replace(one.row, seconds=0) == replace(other.row, seconds=0)
        assert [replace(row, seconds=0) for row in one.epochs] == [replace(row, seconds=0) for row in other.epochs]
        assert one.distances == other.distances
        states = state_of(one), state_of(other)
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())


@pytest.mark.parametrize("seeds", [(3,), (3, 5)], ids=["alone", "stacked"])
@pytest.mark.parametrize("overrides", OPTIONS.values(), ids=OPTIONS)
def test_rounds_go_on_after_any_epoch(overrides: tuple[str, ...], seeds: tuple[int, ...]) -> None:
    """Whatever is random, averaged or scheduled in them."""
    config = compose_config(*overrides, *TINY)
    whole, checkpoints = kept(config, seeds)
    assert list(checkpoints) == [1, 2, 3]
    for epoch, start in checkpoints.items():
        again, later = kept(config, seeds, start)
        assert_equal(again, whole)
        assert list(later) == list(range(epoch + 1, 4))


def fresh(config: Config, seeds: Sequence[int]) -> tuple[Program, RoundPairs]:
    """The untrained program and the pairs of some rounds."""
    networks = [build(config.model, generator(MemberSeed(seed), Stream.WEIGHTS), CPU) for seed in seeds]
    return make_program(networks), stack([round_pairs(config.data, seed) for seed in seeds], CPU)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_optimiser_goes_on(algorithm: str) -> None:
    """All that it remembers is kept, for each network of a stack, and given back to it."""
    config = compose_config(*TINY, "epochs=3", "data.test_pairs=10")
    spec: TrainSpec = replace(train_spec(config), optimizer=lambda program: make_optimizer(program, algorithm, 0.01, 0.02, {}))

    def trained(start: State | None) -> tuple[list[Epoch], list[State], Program]:
        program, pairs = fresh(config, [0, 1])
        states: list[State] = []
        epochs = []
        for epoch in Training(program, pairs, [0, 1], spec, start).epochs():
            epochs.append(replace(epoch, seconds=0))
            states.append(epoch.state())
        return epochs, states, program

    whole, states, program = trained(None)
    again, _, other = trained(states[0])
    assert again == whole[1:]
    for index in (0, 1):
        ones, others = program.state(index), other.state(index)
        assert all(torch.equal(tensor, others[name]) for name, tensor in ones.items())


class Counting(torch.optim.SGD):
    """SGD that remembers numbers, and more of them after some steps than after one."""

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Smaller and smaller ones, then along an average."""
        for parameter in self.param_groups[0]["params"]:
            memory = self.state[parameter]
            memory["count"], memory["share"] = memory.get("count", 0) + 1, memory.get("share", 1.0) * 0.9
            parameter.grad *= memory["share"] / memory["count"]
            if memory["count"] > 2:
                memory["before"] = 0.5 * memory.get("before", 0) + parameter.grad
                memory["longest"] = torch.tensor(memory["count"])
                parameter.grad = memory["before"] / memory["longest"]
        super().step(closure)


class Mixed(torch.optim.SGD):
    """SGD whose steps go by numbers of each of Python's types, of which some begin late."""

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Each type is asked for: one that comes back as another would be noticed."""
        for parameter in self.param_groups[0]["params"]:
            memory = self.state[parameter]
            memory["drawn"] = (memory.get("drawn", 2**62 + 1) * 6364136223846793005 + 1442695040888963407) % 2**63
            memory["whole"] = memory.get("whole", 1.0) * 2.0
            memory["turn"] = not memory.get("turn", False)
            if memory["whole"] > 4:
                memory["late"] = memory.get("late", 0.0) + 1.0
                memory["small"] = torch.full_like(parameter, memory["late"], dtype=torch.bfloat16)
            kinds = {"drawn": int, "whole": float, "turn": bool, "late": float, "small": torch.Tensor}
            assert all(type(value) is kinds[name] for name, value in memory.items())
            parameter.grad *= (memory["drawn"] % 1000 + 1) / 1000 / (1 + memory["turn"] + memory.get("small", 0))
        super().step(closure)


class Grown(torch.optim.SGD):
    """SGD along the mean of the last gradients, as many as there are."""

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """They lie along a last axis."""
        for parameter in self.param_groups[0]["params"]:
            memory, last = self.state[parameter], parameter.grad[..., None]
            memory["last"] = torch.cat([memory["last"], last], dim=-1)[..., -3:] if "last" in memory else last.clone()
            parameter.grad = memory["last"].sum(dim=-1)
        super().step(closure)


class Fading(torch.optim.SGD):
    """SGD with momentum in its first steps, which is forgotten then."""

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Two steps with it."""
        for parameter in self.param_groups[0]["params"]:
            memory = self.state[parameter]
            memory["count"] = memory.get("count", 0) + 1
            if memory["count"] < 3:
                memory["before"] = memory.get("before", 0) + parameter.grad
            parameter.grad = parameter.grad + memory.pop("before") if memory["count"] == 3 else parameter.grad
        super().step(closure)


@pytest.mark.parametrize("kind", [Counting, Mixed, Grown, Fading])
@pytest.mark.parametrize("seeds", [(3,), (3, 5)], ids=["alone", "stacked"])
def test_an_optimiser_of_others_goes_on(kind: type[torch.optim.SGD], seeds: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """With numbers that are no tensors, and what it remembers only later, or in another shape, or no longer, from whichever epoch."""
    monkeypatch.setattr(rounds, "make_optimizer", lambda program, *_: kind([p for part in program.parameters() for p in part], lr=0.1))
    config = compose_config(*TINY, "batch_size=60")
    whole, checkpoints = kept(config, seeds)
    for start in checkpoints.values():
        assert_equal(kept(config, seeds, start)[0], whole)


def test_stacks_and_rounds_alone_go_on_from_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has grown is each round's own."""
    monkeypatch.setattr(rounds, "make_optimizer", lambda program, *_: Grown([p for part in program.parameters() for p in part], lr=0.1))
    config = compose_config(*TINY, "batch_size=60")
    stacked = kept(config, (3, 5))[1][2]
    alone = [kept(config, (seed,))[1][2][0] for seed in (3, 5)]
    for one, other in zip(stacked, alone, strict=True):
        ones, others = read(one.file)[2][0], read(other.file)[2][0]
        assert ones.keys() == others.keys()
        assert all(value.shape == others[name].shape for name, value in ones.items())
    together = kept(config, (3, 5), [replace(one, stack=(3, 5)) for one in alone])[0]
    for one, other in zip(together, kept(config, (3, 5))[0], strict=True):
        assert one.row.train_loss == pytest.approx(other.row.train_loss, rel=1e-4)


@pytest.mark.parametrize("change", ["another network", "less", "more", "an optimiser's"])
def test_the_state_of_another_network_is_refused(change: str) -> None:
    """And none of it is left aside."""
    config = compose_config(*TINY)
    program, pairs = fresh(config, [0])
    state = next(iter(Training(program, pairs, [0], train_spec(config)).epochs())).state()
    (own,) = state.networks
    if change == "less":
        del own["learned/comparator.linear.weight"]
    elif change == "an optimiser's":
        del own["optimizer.exp_avg/comparator.linear.weight"]
    elif change == "more":
        own["average/comparator.linear.weight"] = own["learned/comparator.linear.weight"]
    else:
        own["learned/comparator.linear.weight"] = torch.zeros(2, 3)
    program, pairs = fresh(config, [0])
    with pytest.raises(ValueError, match="the state to go on from is of another network"):
        next(iter(Training(program, pairs, [0], train_spec(config), state).epochs()))


def test_a_round_that_diverged_stays_in_its_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts no more, and is not told to go on, but the last digits of the others depend on what is stacked with them."""
    drawn = round_pairs

    def unreadable(data: object, seed: int, *device: object) -> RoundPairs:
        pairs = drawn(data, seed, *device)  # type: ignore[arg-type]
        if seed == 5:
            pairs.train.images[0] = float("nan")
        return pairs

    monkeypatch.setattr(rounds, "round_pairs", unreadable)
    config = compose_config(*TINY)
    whole, checkpoints = kept(config, (3, 5, 7))
    assert [one.row.status for one in whole] == ["done", "failed", "done"]
    assert [one.row.epochs for one in whole] == [4, 1, 4]
    again, _ = kept(config, (3, 5, 7), checkpoints[2])
    assert [one.row.status for one in again] == ["done", "failed", "done"]
    assert (again[1].row.error, again[1].row.epochs) == (whole[1].row.error, 1)
    assert_equal([again[0], again[2]], [whole[0], whole[2]])


def test_seconds_before_a_checkpoint_count() -> None:
    """Those of a round are the sum of both parts; those of its epochs stay as they were."""
    config = compose_config(*TINY)
    _, checkpoints = kept(config, (3,))
    _, one, networks = read(checkpoints[2][0].file)
    assert sum(row.seconds for row in one.epochs) < one.seconds
    one.seconds = 1000.0
    later = one.checkpoint(2, [3], 10.0, networks)
    (again,), checkpoints = kept(config, (3,), [later])
    assert 1010 < again.row.seconds < 2000
    assert again.epochs[:2] == one.epochs
    assert 1010 < read(checkpoints[3][0].file)[1].seconds < again.row.seconds


def test_epochs_before_a_checkpoint_are_told_and_may_stop_the_round() -> None:
    """Who listens in another process hears all of them, as if nothing had been, and may stop a round at one of them."""
    config = compose_config(*TINY)
    _, checkpoints = kept(config, (3, 5))
    heard: list[tuple[int, int]] = []

    def listen(index: int, row: object) -> bool:
        heard.append((index, row.epoch))  # type: ignore[attr-defined]
        return (index, row.epoch) != (0, 2)  # type: ignore[attr-defined]

    first, second = train_rounds(config, (3, 5), CPU, listen, checkpoints[3])
    assert first is None
    assert second is not None
    assert heard == [(0, 1), (0, 2), (1, 1), (1, 2), (1, 3), (1, 4)]
    assert [one.goes_on for one in (RoundProgress(0), RoundProgress(0, error="?"), RoundProgress(0, stopped=True))] == [True, False, False]
