"""Optimisers of others while they step: what couples stacked rounds, is random, or cannot go on from a checkpoint is refused by name."""

import enum
import functools
import itertools
import random
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from digitcmp.errors import ConfigError
from digitcmp.train.memory import NetworkMemory, is_own
from digitcmp.train.optimizer import ALGORITHMS, called, uncompiled
from digitcmp.train.own_optimizer import Watched

SHAPES = (4, 5), (6,), (2, 3, 3, 3)
LATE = 10  # steps before some begin to do what they must not


@dataclass
class At:
    """Where a step is: the optimiser, a gradient, and what is remembered of its parameter."""

    own: "Own"
    gradient: Tensor
    memory: dict[str, Any]


Change = Callable[[At], object]


class Own(torch.optim.SGD):
    """SGD along gradients that are changed before."""

    def __init__(self, parameters: list[Tensor], change: Change) -> None:
        super().__init__(parameters, lr=0.1)
        self.change = change

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step."""
        for parameter in self.param_groups[0]["params"]:
            memory = self.state[parameter]
            memory["count"] = memory.get("count", 0) + 1
            self.change(At(self, parameter.grad, memory))
        super().step(closure)


def stepped(make: Callable[[list[Tensor]], Optimizer], steps: int = 3, rounds: int = 3) -> Watched:
    """An optimiser of stacked rounds, watched, after some steps along gradients as they come. Raises ConfigError where it is refused."""
    drawn = torch.Generator().manual_seed(0)
    parameters: list[Tensor] = [torch.nn.Parameter(torch.randn(rounds, *shape, generator=drawn)) for shape in SHAPES]
    own = Watched(make(parameters), "optimizer.algorithm=own of plugins.py", rounds)
    for _ in range(steps):
        for parameter in parameters:
            parameter.grad = torch.randn(parameter.shape, generator=drawn)
        own.step()
    return own


def norm_before(at: At, norm: Any) -> None:
    """Divide by the norm of the step before."""
    at.gradient /= at.memory.get("norm", 1)
    at.memory["norm"] = norm


def of_all(at: At) -> None:
    """Divide by the norm of all gradients of the step before, which is an attribute."""
    at.gradient /= vars(at.own).get("norm", 1)
    every = at.own.param_groups[0]["params"]
    if at.memory is at.own.state[every[-1]]:
        vars(at.own)["norm"] = float(torch.cat([one.grad.flatten() for one in every]).norm())


COUPLED: dict[str, Change] = {
    "norm of a tensor": lambda at: at.gradient.div_(at.gradient.norm()),
    "norms of columns": lambda at: at.gradient.div_(at.gradient.norm(dim=0, keepdim=True)),
    "largest": lambda at: at.gradient.div_(at.gradient.abs().max()),
    "biases only": lambda at: at.gradient.div_(at.gradient.norm() if at.gradient.dim() == 2 else 1),
    "after a warm-up": lambda at: at.gradient.div_(at.gradient.norm() if at.memory["count"] > LATE else 1),
    "now and then": lambda at: at.gradient.div_(at.gradient.norm().clamp(min=7.7) if at.memory["count"] > LATE else 1),
    "a number in its memory": lambda at: norm_before(at, at.gradient.norm().item()),
    "a tensor in its memory": lambda at: norm_before(at, at.gradient.norm()),
    "a tensor of elements in its memory": lambda at: norm_before(at, at.gradient.norm().expand_as(at.gradient)),
    "norm of all, in an attribute": of_all,
    "its own generator": lambda at: at.gradient.mul_(
        torch.rand(at.gradient.shape, generator=vars(at.own).setdefault("random", torch.Generator()))
    ),
}


@pytest.mark.parametrize("name", COUPLED)
def test_what_couples_rounds_is_refused(name: str) -> None:
    """Whatever of another round, or of another element, a step depends on, and whenever it begins to; a round alone may have it all."""
    with pytest.raises(ConfigError, match=r"engine=stacked: optimizer\.algorithm=own of plugins\.py steps a round otherwise beside others"):
        stepped(lambda parameters: Own(parameters, COUPLED[name]), steps=40)
    stepped(lambda parameters: Own(parameters, COUPLED[name]), rounds=1)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_torchs_own_work_by_element(name: str) -> None:
    """All that are offered; LBFGS and Adafactor, which are not, do not."""
    stepped(lambda parameters: uncompiled(getattr(torch.optim, name))(parameters, lr=0.1)).check_kept()


def test_what_works_by_element_is_taken() -> None:
    """Whatever is remembered of each, and whatever hooks and schedules are around a step."""

    def momentum(at: At) -> None:
        if at.memory["count"] > LATE:
            at.memory["before"] = at.memory.get("before", torch.zeros_like(at.gradient)) * 0.9 + at.gradient
            at.gradient.copy_(at.memory["before"] / (at.gradient.abs() + 1))

    def within(at: At) -> None:
        number = next(index for index, one in enumerate(at.own.param_groups[0]["params"]) if one.grad is at.gradient)
        if number == 0:
            inner_of(at).step()
        memory = kept(at, "before", dict)
        memory[number] = at.gradient + memory.get(number, 0)
        at.gradient.copy_(memory[number])

    stepped(lambda parameters: Own(parameters, within), steps=20)

    def grown(at: At) -> None:
        last = at.gradient[..., None]
        at.memory["last"] = torch.cat([at.memory["last"], last], dim=-1)[..., -4:] if "last" in at.memory else last.clone()
        at.gradient.copy_(at.memory["last"].mean(dim=-1))

    stepped(lambda parameters: Own(parameters, grown), steps=20).check_kept()

    def scheduled(parameters: list[Tensor]) -> Optimizer:
        optimizer = Own(parameters, momentum)
        optimizer.register_step_pre_hook(lambda *_: None)
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 0.5)  # which wraps the step
        return optimizer

    stepped(scheduled, steps=40).check_kept()
    with pytest.raises(ConfigError, match="steps a round otherwise"):
        stepped(lambda parameters: torch.optim.Adafactor(parameters, lr=0.1))


@pytest.mark.parametrize("rounds", [1, 3])
def test_what_is_random_is_refused(rounds: int) -> None:
    """With torch's own generator, which no seed has set: no round would come out again."""
    with pytest.raises(ConfigError, match=r"own of plugins\.py: it draws random numbers that are not from a round's seed"):
        stepped(lambda parameters: Own(parameters, lambda at: at.gradient.mul_(torch.rand_like(at.gradient))), rounds=rounds)


def test_further_axes_are_behind_those_of_a_parameter() -> None:
    """In front of them, they would be where the rounds are: the line says so."""

    def grown(at: At) -> None:
        last = at.gradient[None]
        at.memory["last"] = torch.cat([at.memory["last"], last])[-4:] if "last" in at.memory else last.clone()
        at.gradient.copy_(at.memory["last"].mean(dim=0))

    with pytest.raises(
        ConfigError, match=r"further axes of what it remembers .* behind those of the parameter, as in gradient\[\.\.\., None\]"
    ):
        stepped(lambda parameters: Own(parameters, grown))
    stepped(lambda parameters: Own(parameters, grown), rounds=1).check_kept()


def called_closure(at: At, closure: Any) -> None:
    """As SAM does."""
    del at
    closure()


def asserted_closure(at: At, closure: Any) -> None:
    """Without a word."""
    del at
    assert closure is not None


def asked_closure(at: At, closure: Any) -> None:
    """In words."""
    del at
    if closure is None:
        raise RuntimeError("this takes a closure")


@pytest.mark.parametrize("asks", [called_closure, asserted_closure, asked_closure])
def test_what_asks_for_a_closure_is_refused(asks: Callable[[At, Any], None]) -> None:
    """However it fails without one; another error stays what it is."""
    with pytest.raises(ConfigError, match=r"own of plugins\.py: its step asks for a closure, which it is not given \(.*Error: .*\); let"):
        stepped(lambda parameters: Own(parameters, lambda at: asks(at, None)), rounds=1)
    with pytest.raises(ZeroDivisionError):
        stepped(lambda parameters: Own(parameters, lambda _: 1 / 0), rounds=1)


def test_torchs_own_that_asks_for_a_closure_is_refused() -> None:
    """Where somebody offers it."""
    with pytest.raises(ConfigError, match=r"its step asks for a closure"):
        stepped(lambda parameters: torch.optim.LBFGS(parameters), rounds=1)


class Narrow(torch.optim.SGD):
    """Takes nothing but a learning rate."""

    def __init__(self, parameters: list[Tensor], lr: float) -> None:
        super().__init__(parameters, lr=lr)


def test_what_an_optimiser_does_not_take_is_told() -> None:
    """And what it is given."""
    weight = torch.nn.Parameter(torch.ones(1))
    told = r"optimizer\.algorithm=narrow: Narrow takes no weight_decay and no k; an optimiser is called with .* \(lr, weight_decay, k\)"
    with pytest.raises(ConfigError, match=told):
        called(Narrow, "narrow", [weight], lr=0.1, weight_decay=0.0, k=3)
    assert isinstance(called(Narrow, "narrow", [weight], lr=0.1), Narrow)


def test_what_cannot_be_copied_is_refused() -> None:
    """As it cannot be seen whether rounds are apart."""

    def opened(at: At) -> None:
        vars(at.own).setdefault("numbers", (number for number in range(3)))

    with pytest.raises(ConfigError, match=r"of plugins\.py cannot step a round by itself \(TypeError: cannot pickle 'generator' object"):
        stepped(lambda parameters: Own(parameters, opened))


class Helper:
    """Something that counts."""

    count = 0

    def add(self) -> None:
        """One more."""
        self.count += 1


def kept(at: At, name: str, made: Callable[[], Any]) -> Any:
    """An attribute that is made when it is first asked for."""
    return vars(at.own).setdefault(name, made())


REMEMBERED: dict[str, tuple[Change, str]] = {
    "a count of its own": (lambda at: vars(at.own).update(count=vars(at.own).get("count", 0) + 1), "self.count"),
    "a value of its groups": (lambda at: at.own.param_groups[0].update(k=at.memory["count"]), r"param_groups\[0\]\['k'\]"),
    "an entry of its state": (lambda at: at.own.state.update({"all": {"k": at.memory["count"]}}), r"self.state\['all'\]"),
    "a number there": (lambda at: at.own.state.update(all=at.memory["count"]), r"self.state\['all'\]"),
    "a list": (lambda at: kept(at, "losses", list).append(1.0), "self.losses"),
    "a deque": (lambda at: kept(at, "losses", lambda: deque(maxlen=3)).append(at.memory["count"]), "self.losses"),
    "an array": (lambda at: vars(at.own).update(array=np.full(3, at.memory["count"])), "self.array"),
    "a count of a library's": (lambda at: next(kept(at, "counter", itertools.count)), "self.counter"),
    "a helper": (lambda at: kept(at, "helper", Helper).add(), "self.helper"),
    "what is no number": (lambda at: at.memory.update(mode="fast"), r"mode \(str\)"),
    "a number of many digits": (lambda at: at.memory.update(seed=2**63), r"seed \(int of more than 64 bits\)"),
    "a number of a library's": (lambda at: at.memory.update(share=np.float64(0.5)), r"share \(float64\)"),
    "a name with a slash": (lambda at: at.memory.update({"a/b": 1}), r"a/b \(int\)"),
    "a name that is none": (lambda at: at.memory.update({1: 1}), r"1 \(int\)"),  # type: ignore[dict-item]
    "a sparse tensor": (lambda at: at.memory.update(some=torch.eye(2).to_sparse()), r"some \(Tensor\)"),
    "a generator": (lambda at: kept(at, "random", torch.Generator).seed(), "self.random"),
    "Python's generator": (lambda at: kept(at, "random", random.Random).random(), "self.random"),
    "NumPy's generator": (lambda at: kept(at, "random", np.random.default_rng).random(), "self.random"),
    "an optimiser within": (lambda at: inner_of(at).step(), "self.inner"),
    "a count of its class": (lambda at: setattr(type(at.own), "counted", at.memory["count"]), "Own.counted"),
}


def inner_of(at: At) -> Optimizer:
    """Adam, of the same parameters."""
    found: Optimizer = kept(at, "inner", lambda: torch.optim.Adam(at.own.param_groups[0]["params"]))
    return found


@pytest.mark.parametrize("name", REMEMBERED)
def test_what_a_checkpoint_would_not_have_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds that go on from it would come to other numbers."""
    change, told = REMEMBERED[name]
    monkeypatch.setattr(Own, "counted", 0, raising=False)
    own = stepped(lambda parameters: Own(parameters, change), rounds=1)
    with pytest.raises(ConfigError, match=rf"own of plugins\.py remembers {told}, which a checkpoint does"):
        own.check_kept()


class Ahead(torch.optim.Optimizer):
    """Lookahead, around another optimiser that shares some of what it has."""

    def __init__(self, parameters: list[Tensor], shares: str) -> None:
        super().__init__(parameters, {"lr": 0.1, "betas": (0.9, 0.99)})
        self.base = torch.optim.AdamW(parameters, lr=0.1)
        if "state" in shares:
            self.state = self.base.state
        elif "memories" in shares:
            for parameter in parameters:
                self.base.state[parameter] = self.state[parameter] = {}
        if "groups" in shares:
            self.base.param_groups = self.param_groups = [self.base.param_groups[0]]

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One, and every second time half of the way back."""
        self.base.step(closure)
        for parameter in self.param_groups[0]["params"]:
            memory = self.state[parameter]
            memory["count"] = memory.get("count", 0) + 1
            slow = memory.setdefault("slow", parameter.clone())
            if memory["count"] % 2 == 0:
                parameter.copy_(slow.lerp_(parameter, 0.5))


@pytest.mark.parametrize("shares", ["state and groups", "state"])
def test_what_an_optimiser_within_shares_is_kept(shares: str) -> None:
    """Its state is the outer one's, which checkpoints have; a change of what else it has is told."""
    own = stepped(lambda parameters: Ahead(parameters, shares), steps=20, rounds=1)
    own.check_kept()
    stepped(lambda parameters: Ahead(parameters, shares), steps=20)
    if "groups" not in shares:
        own.optimizer.base.param_groups[0]["betas"] = 0.5, 0.5  # type: ignore[attr-defined]
        with pytest.raises(ConfigError, match=r"remembers self\.base, which a checkpoint does not have"):
            own.check_kept()


@pytest.mark.parametrize("shares", ["", "groups", "memories", "memories and groups"])
def test_what_an_optimiser_within_has_for_itself_is_told(shares: str) -> None:
    """No checkpoint has its state; what was remembered of a parameter is put into that of the outer one alone."""
    own = stepped(lambda parameters: Ahead(parameters, shares), rounds=1)
    with pytest.raises(ConfigError, match=r"remembers self\.base, which a checkpoint does not have"):
        own.check_kept()


class Mode(enum.Flag):
    """How to step."""

    FAST, SMALL, EVEN = 1, 2, 4


def test_flags_that_are_put_together_are_no_memory() -> None:
    """Python keeps what it has found of them with a member, and in its class."""

    def changed(at: At) -> None:
        assert ~at.own.param_groups[0]["mode"] | kept(at, "mode", lambda: Mode.EVEN)

    def make(parameters: list[Tensor]) -> Optimizer:
        own = Own(parameters, changed)
        vars(own)["mode"] = own.param_groups[0]["mode"] = Mode.EVEN
        return own

    stepped(make, rounds=1).check_kept()


class Counted(Own):
    """Its class counts its steps."""

    counted = 0

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One more."""
        super().step(closure)
        type(self).counted += 1


class Named(Own):
    """The same, by its name."""

    counted = 0

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One more."""
        super().step(closure)
        Named.counted += 1


@pytest.mark.parametrize("algorithm", [Counted, Named])
def test_what_the_class_remembers_is_seen_in_the_class_that_is_trained_with(algorithm: type[Own], monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is made of the other one, and is as much of others as that."""
    monkeypatch.setattr(algorithm, "counted", 0)
    assert is_own(uncompiled(algorithm))
    own = stepped(lambda parameters: uncompiled(algorithm)(parameters, print), rounds=1)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=rf"own of plugins\.py remembers {algorithm.__name__}\.counted, which a checkpoint does not have"):
        own.check_kept()


def twice(step: Callable[..., None]) -> Callable[..., None]:
    """A step that is taken twice."""

    @functools.wraps(step)
    def both(own: Own) -> None:
        step(own)
        step(own)

    return both


class Wrapped(Own):
    """What is around its step belongs to it."""

    @twice
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One of two."""
        super().step(closure)


def test_what_others_wrap_around_a_step_stays() -> None:
    """Torch's own wrappers are left out, theirs are not."""
    weight = torch.nn.Parameter(torch.ones(1))
    weight.grad = torch.ones(1)
    uncompiled(Wrapped)([weight], print).step()  # type: ignore[arg-type]
    torch.testing.assert_close(weight.detach(), torch.tensor([0.8]))
    assert type(uncompiled(torch.optim.SGD)([weight], lr=1)).__module__ == "torch.optim.sgd"  # type: ignore[call-arg]


class Block(nn.Module):
    """Does something when it is called."""

    calls = 0

    def __init__(self, does: Callable[["Block"], object]) -> None:
        super().__init__()
        self.does, self.linear = does, nn.Linear(1, 1)
        self.register_buffer("count", torch.zeros(()))
        self.helper, self.last, self.counter = Helper(), deque([1], maxlen=2), itertools.count()


BLOCKS: dict[str, tuple[Callable[[Block], object], str]] = {
    "attribute": (lambda block: vars(block).update(seen=1), "self.seen"),
    "helper": (lambda block: block.helper.add(), "self.helper"),
    "deque": (lambda block: block.last.append(2), "self.last"),
    "library": (lambda block: next(block.counter), "self.counter"),
    "class": (lambda block: setattr(type(block), "calls", 3), "Block.calls"),
    "gone": (lambda block: block.last.clear(), "self.last"),
    "buffer": (lambda block: block.count.add_(1), ""),
    "weights": (lambda block: block.linear.weight.data.add_(1), ""),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_what_blocks_remember(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All but buffers and weights is told."""
    does, told = BLOCKS[name]
    monkeypatch.setattr(Block, "calls", 0)
    block = Block(does)
    memory = NetworkMemory([nn.Sequential(block)])
    memory.check_kept()
    block.does(block)
    with pytest.raises(ConfigError, match=f"Block remembers {told}, which a checkpoint does not have") if told else nullcontext():
        memory.check_kept()
