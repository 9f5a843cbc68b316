"""A training step and a test of one network at work, timed part by part. The real loop runs; only its clock is new."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from digitcmp.config.schema import Config
from digitcmp.data.pairs import stack
from digitcmp.model.network import Outputs, PairNetwork, build
from digitcmp.seeding import MemberSeed, Stream, generator
from digitcmp.train import objective
from digitcmp.train.evaluate import evaluate
from digitcmp.train.loop import Trainer
from digitcmp.train.losses import total_loss
from digitcmp.train.program import SingleProgram
from digitcmp.train.round import round_pairs, train_spec

PARTS = ("forward", "loss", "backward", "optimiser", "bookkeeping")
CPU = torch.device("cpu")


@dataclass
class Clock:
    """Seconds spent in each part. Whatever happens between two calls of `enter` belongs to the part that was entered."""

    spent: dict[str, float] = field(default_factory=dict)
    part: str = "bookkeeping"
    since: float = 0.0

    def begin(self) -> None:
        """Forget everything, and start in the bookkeeping."""
        self.spent, self.part, self.since = dict.fromkeys(PARTS, 0.0), "bookkeeping", time.perf_counter()

    def enter(self, part: str) -> None:
        """From now on it is this part."""
        now = time.perf_counter()
        self.spent[self.part] += now - self.since
        self.part, self.since = part, now


class TimedProgram(SingleProgram):
    """A network that tells the clock when it is used."""

    def __init__(self, network: PairNetwork, clock: Clock) -> None:
        super().__init__(network)
        self.clock = clock

    def __call__(self, images: Tensor, noise: Tensor | None = None) -> Outputs:
        self.clock.enter("forward")
        outputs = super().__call__(images, noise)
        self.clock.enter("loss" if noise is not None else "bookkeeping")
        return outputs


@dataclass(frozen=True)
class Operator:
    """An operator of torch: calls and milliseconds of its own (what it calls is not in them), per step or test; its share of all."""

    name: str
    calls: float
    ms: float
    share: float


class Work:
    """One round of a configuration on the CPU, of which an epoch of training or a test is done at a time."""

    def __init__(self, config: Config) -> None:
        self.pairs = stack([round_pairs(config.data, config.seed)], CPU)
        self.clock = Clock()
        self.program = TimedProgram(build(config.model, generator(config.seed, Stream.WEIGHTS), CPU), self.clock)
        self.steps, self.tested = -(-config.data.train_pairs // config.batch_size), config.data.test_pairs
        self.trainer = Trainer(self.program, train_spec(config), [MemberSeed(config.seed)], self.pairs.train, [[]])
        self.trainer.optimizer.register_step_pre_hook(lambda *_: self.clock.enter("optimiser"))
        self.trainer.optimizer.register_step_post_hook(lambda *_: self.clock.enter("bookkeeping"))

    def train(self) -> dict[str, float]:
        """Seconds of each part of a step, mean over the steps of one epoch."""
        self.clock.begin()
        with patch.object(objective, "total_loss", self.timed_loss):
            self.trainer.train_epoch(self.pairs.train, epoch=0)
        self.clock.enter("bookkeeping")
        return {part: seconds / self.steps for part, seconds in self.clock.spent.items()}

    def timed_loss(self, *given: Any) -> Tensor:
        """The loss; what follows it in the loop is the backward pass."""
        losses = total_loss(*given)
        self.clock.enter("backward")
        return losses

    def test(self) -> dict[str, float]:
        """Seconds of each part of a test of all test pairs."""
        self.clock.begin()
        evaluate(self.program, self.pairs.test)
        self.clock.enter("bookkeeping")
        return {part: self.clock.spent[part] for part in ("forward", "bookkeeping")}


def expensive(config: Config, repeat: int) -> dict[str, list[Operator]]:
    """The operators of torch on which a step and a test spend most, over this many epochs and tests."""
    work = Work(config)
    work.train()  # the first time is slower
    return {"step": operators(work.train, repeat, work.steps), "test": operators(work.test, repeat, 1)}


def operators(work: Callable[[], object], repeat: int, each: int, most: int = 10) -> list[Operator]:
    """Those on which work spends most. each: how many steps or tests one call of `work` does."""
    with profile(activities=[ProfilerActivity.CPU]) as watched:
        for _ in range(repeat):
            work()
    events = sorted(watched.key_averages(), key=lambda event: -event.self_cpu_time_total)
    whole, times = sum(event.self_cpu_time_total for event in events), repeat * each
    return [
        Operator(event.key, event.count / times, event.self_cpu_time_total / 1000 / times, event.self_cpu_time_total / whole)
        for event in events[:most]
    ]
