"""The one training loop: a generator that yields the figures of each epoch, for S rounds at once."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Optimizer

from digitcmp.data.columns import Column, for_members
from digitcmp.data.pairs import Pairs, RoundPairs
from digitcmp.seeding import Origin, Stream, step_keys
from digitcmp.train.average import Average
from digitcmp.train.evaluate import Scores, evaluate
from digitcmp.train.losses import decide, total_loss
from digitcmp.train.predictor import make_judge
from digitcmp.train.program import Program
from digitcmp.train.sampler import Diet, examples
from digitcmp.train.schedule import Shape, schedule


@dataclass(frozen=True)
class Recipe:
    """How networks are trained: plain values, a function that makes the optimiser of a program, and the learning rate's shape."""

    epochs: int
    batch_size: int
    aux_weight: float
    label_smoothing: float
    ema: float
    members: int  # networks per round (an ensemble)
    columns: Sequence[Column]  # what they are shown, in turn
    tta_shift: float  # pixels
    test_every: int  # epochs
    diet: Diet
    optimizer: Callable[[Program], Optimizer]
    shape: Shape
    test: bool


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave. Lists have one entry per round; accuracies are fractions.

    train_loss and train_accuracy are means over the epoch's batches (and the members of an ensemble), as they were when
    each batch was trained on; the others are measured after the epoch, with all that is averaged in a test. `healthy`:
    loss and logits are finite numbers. `seconds` is the epoch's wall time, shared by all rounds of the stack.
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

    The program's networks are those of the rounds' members, S x recipe.members. A round's numbers depend on its own seed
    only. Ends early when no round is healthy any more. After the last epoch the networks have the weights that were tested.
    """
    judge = make_judge(program, recipe.members, recipe.tta_shift, recipe.columns)
    origins = [Origin(seed, member) for seed in seeds for member in range(recipe.members)]
    shown = for_members(pairs.train, recipe.columns, recipe.members)
    learner = Learner(program, recipe, origins, pairs.train)
    start = time.perf_counter()
    for epoch, ready in enumerate(examples(shown, origins, recipe.diet, recipe.epochs)):
        figures = learner.learn(ready, epoch)
        last = epoch + 1 == recipe.epochs
        with learner.average.used(for_good=last):
            test = evaluate(judge, pairs.test) if recipe.test and (last or (epoch + 1) % recipe.test_every == 0) else None
            val = None if pairs.val is None else evaluate(judge, pairs.val)
        loss, accuracy = figures.view(2, -1, recipe.members).mean(dim=2).tolist()
        finite = [scores.finite for scores in (test, val) if scores is not None]
        healthy = [math.isfinite(value) and all(sound) for value, *sound in zip(loss, *finite, strict=True)]
        yield Epoch(epoch + 1, loss, accuracy, test, val, healthy, time.perf_counter() - start)
        if not any(healthy):
            return
        start = time.perf_counter()


class Learner:
    """What makes a program learn: its optimiser, learning rate, dropout keys and average."""

    def __init__(self, program: Program, recipe: Recipe, origins: list[Origin], pairs: Pairs) -> None:
        """origins: those of the program's networks. pairs: the rounds' training pairs, of which only number and device count."""
        self.program, self.recipe = program, recipe
        steps = -(-pairs.target.shape[1] // recipe.batch_size)
        self.optimizer = recipe.optimizer(program)
        self.scheduler = schedule(self.optimizer, recipe.shape, recipe.epochs * steps)
        self.parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        self.average = Average(program, recipe.ema)
        keys = [step_keys(origin, Stream.DROPOUT, recipe.epochs * steps, program.dropouts) for origin in origins]
        self.noise = torch.stack(keys, dim=1).to(pairs.images.device).view(recipe.epochs, steps, len(origins), -1)

    def learn(self, pairs: Pairs, epoch: int) -> Tensor:
        """One pass over the pairs. Returns loss and accuracy of each network, [2, networks], without having waited for the device."""
        self.program.train(True)
        total, size = pairs.target.shape[1], self.recipe.batch_size
        lost, right = [], []
        for step, start in enumerate(range(0, total, size)):
            batch = slice(start, start + size)
            target = pairs.target[:, batch]
            outputs = self.program(pairs.images[:, batch], self.noise[epoch, step])
            losses = total_loss(outputs, target, pairs.digits[:, batch], self.recipe.aux_weight, self.recipe.label_smoothing)
            for parameter in self.parameters:  # optimizer.zero_grad() takes longer to do this than the optimiser takes for its step
                parameter.grad = None
            # a sum, not a mean: no round's gradient depends on how many others are stacked beside it
            losses.sum().backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            self.scheduler.step()
            self.average.update()
            lost.append(losses.detach() * target.shape[1])
            right.append((decide(outputs.comparison.detach()) == target).sum(dim=1))
        return torch.stack([torch.stack(values).double().sum(dim=0) for values in (lost, right)]) / total
