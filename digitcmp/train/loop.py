"""The one training loop: a generator that yields the figures of each epoch, for S rounds at once."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from digitcmp.data.pairs import Pairs, RoundPairs
from digitcmp.seeding import Stream, generator, step_keys
from digitcmp.train.evaluate import Scores, evaluate
from digitcmp.train.losses import decide, total_loss
from digitcmp.train.program import Program, cut_pairs
from digitcmp.train.schedule import Shape, schedule


@dataclass(frozen=True)
class Recipe:
    """How networks are trained: plain values, a function that makes the optimiser of a program, and the learning rate's shape."""

    epochs: int
    batch_size: int
    aux_weight: float
    shuffle: bool
    optimizer: Callable[[Program], Optimizer]
    shape: Shape
    test: bool


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave. Lists have one entry per round; accuracies are fractions.

    train_loss and train_accuracy are means over the epoch's batches, as they were when each batch was trained on;
    the others are measured after the epoch. `healthy`: loss and logits are finite numbers. `seconds` is the epoch's
    wall time, shared by all rounds of the stack.
    """

    epoch: int
    train_loss: list[float]
    train_accuracy: list[float]
    test: Scores | None
    val: Scores | None
    healthy: list[bool]
    seconds: float


def train(program: Program, pairs: RoundPairs, seeds: list[int], recipe: Recipe) -> Iterator[Epoch]:
    """Train the rounds with these seeds on their pairs (leading axis S = len(seeds)); yields after every epoch.

    A round's numbers depend on its own seed only. Ends early when no round is healthy any more.
    """
    known = cut_pairs(program, pairs.train)
    tests = cut_pairs(program, pairs.test) if recipe.test else None
    vals = None if pairs.val is None else cut_pairs(program, pairs.val)
    steps = -(-pairs.train.target.shape[1] // recipe.batch_size)
    optimizer = recipe.optimizer(program)
    scheduler = schedule(optimizer, recipe.shape, recipe.epochs * steps)
    orders = [generator(seed, Stream.ORDER) for seed in seeds]
    device = pairs.train.images.device
    keys = [step_keys(seed, Stream.DROPOUT, recipe.epochs * steps, program.dropouts) for seed in seeds]
    noise = torch.stack(keys, dim=1).to(device).view(recipe.epochs, steps, len(seeds), -1)
    for epoch in range(recipe.epochs):
        start = time.perf_counter()
        examples = shuffled(known, orders) if recipe.shuffle else known
        figures = train_epoch(program, examples, noise[epoch], recipe, optimizer, scheduler)
        test, val = (None if part is None else evaluate(program, part) for part in (tests, vals))
        loss, accuracy = figures.tolist()
        finite = [scores.finite for scores in (test, val) if scores is not None]
        healthy = [math.isfinite(value) and all(sound) for value, *sound in zip(loss, *finite, strict=True)]
        yield Epoch(epoch + 1, loss, accuracy, test, val, healthy, time.perf_counter() - start)
        if not any(healthy):
            return


def train_epoch(program: Program, examples: Pairs, noise: Tensor, recipe: Recipe, optimizer: Optimizer, scheduler: LRScheduler) -> Tensor:
    """One pass over the examples [S, N, ...]. Returns loss and accuracy, [2, S], without having waited for the device."""
    program.train(True)
    total, size = examples.target.shape[1], recipe.batch_size
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    lost, right = [], []
    for step, start in enumerate(range(0, total, size)):
        batch = slice(start, start + size)
        target = examples.target[:, batch]
        outputs = program(examples.images[:, batch], noise[step])
        losses = total_loss(outputs, target, examples.digits[:, batch], recipe.aux_weight)
        for parameter in parameters:  # optimizer.zero_grad() takes longer to do this than the optimiser takes for its step
            parameter.grad = None
        # a sum, not a mean: no round's gradient depends on how many others are stacked beside it
        losses.sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        scheduler.step()
        lost.append(losses.detach() * target.shape[1])
        right.append((decide(outputs.comparison.detach()) == target).sum(dim=1))
    return torch.stack([torch.stack(values).double().sum(dim=0) for values in (lost, right)]) / total


def shuffled(examples: Pairs, orders: list[torch.Generator]) -> Pairs:
    """The examples of each round in a new order, drawn from the round's own generator."""
    count = examples.target.shape[1]
    index = torch.stack([torch.randperm(count, generator=order) for order in orders]).to(examples.target.device)
    rows = torch.arange(len(orders), device=index.device)[:, None]
    return Pairs(examples.images[rows, index], examples.target[rows, index], examples.digits[rows, index])
