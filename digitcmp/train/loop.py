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
from digitcmp.seeding import Stream, step_keys
from digitcmp.train.evaluate import Scores, evaluate
from digitcmp.train.examples import Diet, examples
from digitcmp.train.losses import decide, total_loss
from digitcmp.train.program import Program, cut_pairs
from digitcmp.train.schedule import Shape, schedule


@dataclass(frozen=True)
class Recipe:
    """How networks are trained: plain values, a function that makes the optimiser of a program, and the learning rate's shape."""

    epochs: int
    batch_size: int
    aux_weight: float
    diet: Diet
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
    tests = cut_pairs(program, pairs.test) if recipe.test else None
    vals = None if pairs.val is None else cut_pairs(program, pairs.val)
    steps = -(-pairs.train.target.shape[1] // recipe.batch_size)
    optimizer = recipe.optimizer(program)
    scheduler = schedule(optimizer, recipe.shape, recipe.epochs * steps)
    device = pairs.train.images.device
    keys = [step_keys(seed, Stream.DROPOUT, recipe.epochs * steps, program.dropouts) for seed in seeds]
    noise = torch.stack(keys, dim=1).to(device).view(recipe.epochs, steps, len(seeds), -1)
    start = time.perf_counter()
    for epoch, ready in enumerate(examples(program, pairs.train, seeds, recipe.diet, recipe.epochs)):
        figures = train_epoch(program, ready, noise[epoch], recipe, optimizer, scheduler)
        test, val = (None if part is None else evaluate(program, part) for part in (tests, vals))
        loss, accuracy = figures.tolist()
        finite = [scores.finite for scores in (test, val) if scores is not None]
        healthy = [math.isfinite(value) and all(sound) for value, *sound in zip(loss, *finite, strict=True)]
        yield Epoch(epoch + 1, loss, accuracy, test, val, healthy, time.perf_counter() - start)
        if not any(healthy):
            return
        start = time.perf_counter()


def train_epoch(program: Program, pairs: Pairs, noise: Tensor, recipe: Recipe, optimizer: Optimizer, scheduler: LRScheduler) -> Tensor:
    """One pass over the pairs [S, N, ...]. Returns loss and accuracy, [2, S], without having waited for the device."""
    program.train(True)
    total, size = pairs.target.shape[1], recipe.batch_size
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    lost, right = [], []
    for step, start in enumerate(range(0, total, size)):
        batch = slice(start, start + size)
        target = pairs.target[:, batch]
        outputs = program(pairs.images[:, batch], noise[step])
        losses = total_loss(outputs, target, pairs.digits[:, batch], recipe.aux_weight)
        for parameter in parameters:  # optimizer.zero_grad() takes longer to do this than the optimiser takes for its step
            parameter.grad = None
        # a sum, not a mean: no round's gradient depends on how many others are stacked beside it
        losses.sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        scheduler.step()
        lost.append(losses.detach() * target.shape[1])
        right.append((decide(outputs.comparison.detach()) == target).sum(dim=1))
    return torch.stack([torch.stack(values).double().sum(dim=0) for values in (lost, right)]) / total
