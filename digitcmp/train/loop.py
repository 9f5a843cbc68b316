"""The one training loop and its loss: a generator that yields the figures of each epoch, for S rounds at once."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import Optimizer

from digitcmp.config.schema import Config
from digitcmp.data.pairs import Pairs, PairSampler, RoundPairs, for_members
from digitcmp.data.transforms import Column
from digitcmp.model.blocks import CLASSES
from digitcmp.model.network import Outputs
from digitcmp.seeding import MemberSeed, Stream, step_keys
from digitcmp.train.evaluate import Scores, decide, evaluate, make_predictor
from digitcmp.train.optimizer import Shape, WeightAverage, schedule
from digitcmp.train.program import Program
from digitcmp.train.state import State, capture, put_back


def widest(device: torch.device) -> torch.dtype:
    """The floating-point numbers that a device adds up with the least rounding: Apple's GPUs have no others than float32."""
    return torch.float32 if device.type == "mps" else torch.float64


@dataclass(frozen=True)
class TrainSpec:
    """The specification of a training: a configuration, and the functions that it names."""

    config: Config
    columns: Sequence[Column]  # the members' forms of the digits, in turn
    sampler: PairSampler
    optimizer: Callable[[Program], Optimizer]
    shape: Shape  # of the learning rate


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave. Lists have one entry per round; accuracies are fractions.

    train_loss and train_accuracy are means over the epoch's batches (and the members of an ensemble), as they were when
    each batch was trained on; the others are measured after the epoch, with all that is averaged in a test. `healthy`:
    loss and logits are finite numbers. `seconds` is the epoch's wall time, shared by all rounds of the stack. `state`: makes copies
    of what the training goes on from; to be called before the next epoch, and not after the last one.
    """

    epoch: int
    train_loss: list[float]
    train_accuracy: list[float]
    test: Scores | None
    val: Scores | None
    healthy: list[bool]
    seconds: float
    state: Callable[[], State] = field(compare=False, repr=False)


def train(program: Program, pairs: RoundPairs, seeds: list[int], spec: TrainSpec, start: State | None = None) -> Iterator[Epoch]:
    """Train the rounds with these seeds on their pairs (leading axis S = len(seeds)); yields after every epoch.

    The program's networks are those of the rounds' members, S x config.ensemble. A round's numbers depend on its own seed
    only. Ends early when no round is healthy any more. After the last epoch the networks have the weights that were tested.
    start: what an earlier training of them goes on from. Raises ValueError where that is the state of other networks.
    """
    config = spec.config
    predictor = make_predictor(program, config.ensemble, config.tta_shift, spec.columns)
    member_seeds = [MemberSeed(seed, member) for seed in seeds for member in range(config.ensemble)]
    trained_on = for_members(pairs.train, spec.columns, config.ensemble)
    trainer = Trainer(program, spec, member_seeds, pairs.train)
    done = 0
    if start is not None:
        trainer.restore(start)
        done = start.epoch
    begun = time.perf_counter()
    for epoch, sampled in enumerate(spec.sampler.sample(trained_on, member_seeds, config.epochs, done), done):
        figures = trainer.train_epoch(sampled, epoch)
        last = epoch + 1 == config.epochs
        with trainer.average.applied(keep=last):
            test = (
                evaluate(predictor, pairs.test, config.test_batch)
                if config.test and (last or (epoch + 1) % config.test_every == 0)
                else None
            )
            val = None if pairs.val is None else evaluate(predictor, pairs.val, config.test_batch)
        loss, accuracy = figures.view(2, -1, config.ensemble).mean(dim=2).tolist()
        finite = [scores.finite for scores in (test, val) if scores is not None]
        healthy = [math.isfinite(value) and all(sound) for value, *sound in zip(loss, *finite, strict=True)]
        yield Epoch(epoch + 1, loss, accuracy, test, val, healthy, time.perf_counter() - begun, partial(trainer.state, epoch + 1))
        if not any(healthy):
            return
        begun = time.perf_counter()


class Trainer:
    """What trains a program: its optimiser, learning rate, dropout keys and average."""

    def __init__(self, program: Program, spec: TrainSpec, member_seeds: list[MemberSeed], pairs: Pairs) -> None:
        """member_seeds: those of the program's networks. pairs: the rounds' training pairs, of which only number and device count."""
        self.program, self.config = program, spec.config
        epochs, steps = spec.config.epochs, -(-pairs.target.shape[1] // spec.config.batch_size)
        self.optimizer = spec.optimizer(program)
        self.scheduler = schedule(self.optimizer, spec.shape, epochs * steps)
        self.parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        self.average = WeightAverage(program, spec.config.ema)
        keys = [step_keys(seed, Stream.DROPOUT, epochs * steps, program.dropouts) for seed in member_seeds]
        self.noise = torch.stack(keys, dim=1).to(pairs.images.device).view(epochs, steps, len(member_seeds), -1)
        self.steps = steps  # of an epoch

    def train_epoch(self, pairs: Pairs, epoch: int) -> Tensor:
        """One pass over the pairs. Returns loss and accuracy of each network, [2, networks], without having waited for the device."""
        self.program.train(True)
        total, size = pairs.target.shape[1], self.config.batch_size
        loss_sums, right = [], []
        for step, start in enumerate(range(0, total, size)):
            batch = slice(start, start + size)
            target = pairs.target[:, batch]
            outputs = self.program(pairs.images[:, batch], self.noise[epoch, step])
            losses = total_loss(outputs, target, pairs.digits[:, batch], self.config.aux_weight, self.config.label_smoothing)
            for parameter in self.parameters:  # optimizer.zero_grad() takes longer to do this than the optimiser takes for its step
                parameter.grad = None
            # a sum, not a mean: no round's gradient depends on how many others are stacked beside it
            losses.sum().backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            self.scheduler.step()
            self.average.update()
            loss_sums.append(losses.detach() * target.shape[1])
            right.append((decide(outputs.comparison.detach()) == target).sum(dim=1))
        return torch.stack([torch.stack(values).to(widest(target.device)).sum(dim=0) for values in (loss_sums, right)]) / total

    def state(self, epoch: int) -> State:
        """What goes on after so many epochs."""
        return capture(epoch, self.program, self.optimizer, self.average)

    def restore(self, start: State) -> None:
        """Go on from there. Raises ValueError where that is the state of other networks."""
        put_back(start, self.program, self.optimizer, self.average)
        self.average.steps = start.epoch * self.steps
        self.scheduler.last_epoch = self.average.steps - 1
        self.scheduler.step()


def comparison_loss(logits: Tensor, target: Tensor, smoothing: float = 0.0) -> Tensor:
    """Mean loss of the comparison, [S]. logits [S, B, 1]: binary cross-entropy; [S, B, 2]: cross-entropy. target int64 [S, B].

    smoothing: this share of every label is spread evenly over all answers (label smoothing, Szegedy et al. 2016).
    """
    if logits.shape[-1] == 1:
        soft = target.to(logits.dtype) * (1 - smoothing) + smoothing / 2
        losses = F.binary_cross_entropy_with_logits(logits[..., 0], soft, reduction="none")
    else:
        losses = F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none", label_smoothing=smoothing).view(target.shape)
    return losses.mean(dim=1)


def digit_loss(logits: Tensor, digits: Tensor, smoothing: float = 0.0) -> Tensor:
    """The auxiliary loss, [S]: cross-entropy of the first digits plus that of the second. logits [S, B, 2, 10], digits int64 [S, B, 2]."""
    losses = F.cross_entropy(logits.reshape(-1, CLASSES), digits.flatten(), reduction="none", label_smoothing=smoothing)
    return losses.view(digits.shape).mean(dim=1).sum(dim=1)


def total_loss(outputs: Outputs, target: Tensor, digits: Tensor, aux_weight: float, smoothing: float = 0.0) -> Tensor:
    """Comparison loss + aux_weight x (digit loss 1 + digit loss 2), [S]."""
    loss = comparison_loss(outputs.comparison, target, smoothing)
    if aux_weight > 0 and outputs.digits is not None:
        loss = loss + aux_weight * digit_loss(outputs.digits, digits, smoothing)
    return loss
