"""A few steps with made-up pairs, before anything is trained: what parts of others remember that they must not is seen then, and not when
an epoch has been trained.

The same short round is trained twice, and with checkpoints once more from the middle on: whatever it is that code remembers, and wherever
(a file, the environment, an attribute of a library's), it shows where the numbers come out otherwise.
"""

import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from digitcmp.config.schema import Config
from digitcmp.config.taken import plugins_of
from digitcmp.data.pairs import Pairs, RoundPairs
from digitcmp.errors import ConfigError, DigitcmpError
from digitcmp.model.network import build
from digitcmp.seeding import MemberSeed, Stream, generator
from digitcmp.train.loop import Training
from digitcmp.train.outside import Outside
from digitcmp.train.program import make_program, snapshot
from digitcmp.train.round import CPU, train_spec
from digitcmp.train.state import State

PAIRS, BATCH = 6, 2  # batch norm takes no fewer
ELSEWHERE = (
    "leave nothing in files, in the environment, or in attributes of what libraries have, and draw from no generator but those given"
)
AGAIN = (
    "when the same round is trained once more, other numbers come of it: something outside of the round decides about them, such as what "
    f"was trained before in the same process; {ELSEWHERE}"
)
FROM_CHECKPOINT = (
    "a round that goes on from a checkpoint comes to other numbers than one that was never stopped: something is remembered that no "
    "checkpoint has; keep it in a buffer (register_buffer) or in self.state[parameter], or train with checkpoint_every=null"
)

PASSED = set[str]()  # kinds of configurations that have come out the same: those that differ in numbers alone need not be trained again


@dataclass(frozen=True)
class Rehearsed:
    """What a short training has come to: the loss of its last epoch and its weights, bit by bit. half: what it can go on from after its
    first epoch, where there are to be checkpoints."""

    outside: Outside
    numbers: list[bytes]
    half: State | None


def rehearse(config: Config) -> None:
    """Raise ConfigError for parts of others that are refused in a first epoch: for what they remember, say. What they raise themselves is
    left to the rounds, which say of what they fail. Nothing is done where no part is of others."""
    told = asdict(config)
    if not (taken := plugins_of(told)):
        return
    few = replace(config, epochs=2, batch_size=BATCH, ensemble=1, test_every=1, seed=0, data=replace(config.data, val_pairs=0))
    kind = repr((sorted(taken.items()), without_numbers(told)))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they come with the rounds
            whole = trained(few)
            if kind in PASSED:
                return
            check_equal(whole, trained(few), AGAIN)
            if whole.half is not None:
                check_equal(whole, trained(few, whole.half), FROM_CHECKPOINT)
        PASSED.add(kind)
    except DigitcmpError:
        raise
    except (Exception, SystemExit):
        return


def without_numbers(value: Any) -> Any:
    """What configurations have in common that differ in numbers alone."""
    if isinstance(value, dict):
        return {name: without_numbers(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [without_numbers(one) for one in value]
    return type(value).__name__ if type(value) in (int, float) else value


def trained(config: Config, start: State | None = None) -> Rehearsed:
    """Train a round of two epochs, or its second one from where it can go on."""
    program = make_program([build(config.model, generator(MemberSeed(0), Stream.WEIGHTS), CPU, config.data.size)])
    training = Training(program, made_up(config.data.size), [0], train_spec(config), start)
    loss, half = [0.0], None
    for epoch in training.epochs():
        loss = epoch.train_loss
        if config.checkpoint_every and epoch.epoch < config.epochs:
            half = epoch.state()
    weights = [tensor for one in program.of_each(snapshot) for _, tensor in sorted(one.items())]
    return Rehearsed(training.outside, [*bits([torch.tensor(loss), *weights])], half)


def bits(tensors: list[torch.Tensor]) -> Iterator[bytes]:
    """The numbers of tensors as they are in memory: one that is not a number is equal to itself there."""
    for tensor in tensors:
        yield tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def check_equal(one: Rehearsed, other: Rehearsed, problem: str) -> None:
    """Raise ConfigError where two trainings did not come to the same."""
    if one.numbers != other.numbers:
        raise ConfigError(f"{' or '.join(one.outside.suspects())}: {problem}")


def made_up(size: int) -> RoundPairs:
    """Pairs of a round, of noise, images of so many pixels in height and width."""
    random = torch.Generator().manual_seed(0)
    images = torch.randn(1, PAIRS, 2, size, size, generator=random)
    digits = torch.randint(0, 10, (1, PAIRS, 2), generator=random)
    pairs = Pairs(images, torch.arange(PAIRS)[None] % 2, digits)
    return RoundPairs(pairs, Pairs(images.clone(), pairs.target, digits), None, torch.zeros(1), torch.ones(1))
