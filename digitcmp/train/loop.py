"""The one training loop: a generator that yields the figures of each epoch, for S rounds at once."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor
from torch.optim import Optimizer

from digitcmp.config.schema import Config
from digitcmp.data.pairs import Pairs, PairSampler, RoundPairs, for_members
from digitcmp.data.transforms import Column
from digitcmp.seeding import MemberSeed, Stream, step_keys
from digitcmp.train.evaluate import Evaluation, Scores, decide, dropout_keys, make_predictor
from digitcmp.train.graphs import Recorded
from digitcmp.train.memory import NetworkMemory
from digitcmp.train.objective import Objective
from digitcmp.train.optimizer import WeightAverage
from digitcmp.train.outside import Outside
from digitcmp.train.own_optimizer import watched
from digitcmp.train.program import Program, StackedProgram
from digitcmp.train.schedules import Follower, Shape, schedule
from digitcmp.train.state import History, State, capture, put_back
from digitcmp.train.stopping import Stopping, clip, slowed


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
    follower: Follower | None = None  # what the learning rate of a round is multiplied with, by its validation accuracies


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave. Lists have one entry per round; accuracies are fractions.

    train_loss and train_accuracy are means over the epoch's batches (and the members of an ensemble), as they were when
    each batch was trained on; the others are measured after the epoch, with all that is averaged in a test. `test`: of all rounds, where
    one of them is to be tested; `tested`: which are, and have it on record. `healthy`: loss and logits are finite numbers. `ended`: it
    goes on no more, and has its best weights, with which it was tested. `seconds` is the
    epoch's wall time, shared by all rounds of the stack. `state`: makes copies of what the training goes on from; to be called before
    the next epoch, and not after the last one.
    """

    epoch: int
    train_loss: list[float]
    train_accuracy: list[float]
    test: Scores | None
    tested: list[bool]
    val: Scores | None
    healthy: list[bool]
    ended: list[bool]
    seconds: float
    state: Callable[[], State] = field(compare=False, repr=False)


class Training:
    """The training of the rounds with these seeds on their pairs (leading axis S = len(seeds)).

    The program's networks are those of the rounds' members, S x config.ensemble. A round's numbers depend on its own seed only.
    start: what an earlier training of them goes on from. Raises ValueError where that is the state of other networks.
    """

    def __init__(self, program: Program, pairs: RoundPairs, seeds: Sequence[int], spec: TrainSpec, start: State | None = None) -> None:
        self.spec, config = spec, spec.config
        predictor = make_predictor(program, config.ensemble, config.tta_shift, spec.columns)
        self.member_seeds = [MemberSeed(seed, member) for seed in seeds for member in range(config.ensemble)]
        self.trained_on, self.done = for_members(pairs.train, spec.columns, config.ensemble), 0
        self.trainer = Trainer(program, spec, self.member_seeds, pairs.train, start.history if start else [[] for _ in seeds])
        if start is not None:
            self.trainer.restore(start)
            self.done = start.epoch
        self.begun, self.outside = self.done, Outside(config, program.networks, self.trainer.optimizer)
        tested = max(part.target.shape[1] for part in (pairs.test, pairs.val) if part is not None)
        keys = config.model.test_dropout, self.member_seeds, program.dropouts, tested, config.test_batch, pairs.test.images.device
        noise = dropout_keys(*keys)
        self.outside.pause()
        self.test_look = Evaluation(predictor, pairs.test, config.test_batch, noise)
        self.val_look = None if pairs.val is None else Evaluation(predictor, pairs.val, config.test_batch, noise)

    def epochs(self) -> Iterator[Epoch]:
        """Train; yields after every epoch. Ends early when no round is healthy any more. After the last epoch the networks have the weights
        that were tested."""
        config, trainer, begun = self.spec.config, self.trainer, time.perf_counter()
        stopping, val_look = trainer.stopping, self.val_look
        self.outside.go_on()
        for epoch, sampled in enumerate(self.spec.sampler.sample(self.trained_on, self.member_seeds, config.epochs, self.done), self.done):
            if self.spec.follower is not None:
                trainer.factors = [self.spec.follower(accuracies) for accuracies in stopping.history]
            figures = trainer.train_epoch(sampled, epoch)
            last, before = epoch + 1 == config.epochs, [*stopping.ended]
            with trainer.average.applied(keep=last):
                val = None if val_look is None else val_look()
                if val_look is not None and val is not None and stopping.note(val.accuracy, last):
                    val = val_look()  # of the weights that are left
                due = last or (epoch + 1) % config.test_every == 0
                # what a round has on record is not to depend on when others in its stack end
                tested = [config.test and (due or (now and not then)) for now, then in zip(stopping.ended, before, strict=True)]
                test = self.test_look() if any(tested) else None
            stopping.restore()
            if last or epoch == self.begun:
                self.outside.check()
            loss, accuracy = figures.view(2, -1, config.ensemble).mean(dim=2).tolist()
            sound = [one if asked else True for one, asked in zip(test.finite, tested, strict=True)] if test else [True] * len(loss)
            finite = [sound] if val is None else [sound, val.finite]
            healthy = [math.isfinite(value) and all(rest) for value, *rest in zip(loss, *finite, strict=True)]
            ended, state = [*stopping.ended], partial(self.state, epoch + 1)
            self.outside.pause()
            yield Epoch(epoch + 1, loss, accuracy, test, tested, val, healthy, ended, time.perf_counter() - begun, state)
            self.outside.go_on()
            if not any(healthy):
                return
            begun = time.perf_counter()

    def state(self, epoch: int) -> State:
        """What goes on after so many epochs. Raises ConfigError where a part of others remembers what it cannot have."""
        self.outside.check()
        return self.trainer.state(epoch)

    def test(self) -> Scores | None:
        """Test rounds that have ended, with the weights that were best, as when they ended; None where nothing is to be tested."""
        self.trainer.stopping.restore()
        return self.test_look() if self.spec.config.test else None


class Trainer:
    """What trains a program: its optimiser, learning rate, dropout keys and average."""

    def __init__(self, program: Program, spec: TrainSpec, member_seeds: list[MemberSeed], pairs: Pairs, history: History) -> None:
        """member_seeds: those of the program's networks. pairs: the rounds' training pairs. history: their validation accuracies so far."""
        self.program, self.config = program, spec.config
        epochs, steps = spec.config.epochs, -(-pairs.target.shape[1] // spec.config.batch_size)
        self.optimizer = spec.optimizer(program)
        self.scheduler = schedule(self.optimizer, spec.shape, epochs * steps)
        stacked = len(member_seeds) if isinstance(program, StackedProgram) else 1
        self.watched = watched(self.optimizer, spec.config.optimizer.algorithm, stacked)
        self.memory = NetworkMemory(program.networks)
        self.parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        self.average = WeightAverage(program, spec.config.ema)
        self.stopping = Stopping(program, spec.config.stopping, history, spec.config.ensemble)
        keys = [step_keys(seed, Stream.DROPOUT, epochs * steps, program.dropouts) for seed in member_seeds]
        self.noise = torch.stack(keys, dim=1).to(pairs.images.device).view(epochs, steps, len(member_seeds), -1)
        self.steps = steps  # of an epoch
        self.objective = Objective(spec.config, member_seeds, pairs, steps)
        self.factors: list[float] | None = None  # of the learning rates of rounds that go by their validation accuracies
        # a recording follows learning rates that are tensors, and no factors
        recordable = spec.follower is None and all(isinstance(group["lr"], Tensor) for group in self.optimizer.param_groups)
        self.learn = Recorded(self.move, pairs.images.device) if recordable else self.move

    def train_epoch(self, pairs: Pairs, epoch: int) -> Tensor:
        """One pass over the pairs. Returns loss and accuracy of each network, [2, networks], without having waited for the device."""
        self.program.train(True)
        total, size = pairs.target.shape[1], self.config.batch_size
        loss_sums, right = [], []
        for step, start in enumerate(range(0, total, size)):
            batch = slice(start, start + size)
            images, target, digits = pairs.images[:, batch], pairs.target[:, batch], pairs.digits[:, batch]
            losses, hits = self.learn(images, target, digits, self.noise[epoch, step], *self.objective.drawn(epoch, step))
            self.scheduler.step()
            self.average.update()
            loss_sums.append(losses * target.shape[1])
            right.append(hits)
        return torch.stack([torch.stack(values).to(widest(pairs.target.device)).sum(dim=0) for values in (loss_sums, right)]) / total

    def move(self, images: Tensor, target: Tensor, digits: Tensor, noise: Tensor, *drawn: Tensor) -> tuple[Tensor, Tensor]:
        """Move the weights along their gradients. Returns the losses of the batch and how many pairs of it were answered rightly, [S]."""
        losses, outputs = self.objective(self.program, Pairs(images, target, digits), noise, *drawn)
        for parameter in self.parameters:  # optimizer.zero_grad() takes longer to do this than the optimiser takes for its step
            parameter.grad = None
        # a sum, not a mean: no round's gradient depends on how many others are stacked beside it
        losses.sum().backward()  # type: ignore[no-untyped-call]
        if self.config.loss.l1 > 0:
            for parameter in self.parameters:
                if parameter.grad is not None:
                    parameter.grad.add_(parameter.detach().sign(), alpha=self.config.loss.l1)
        if self.config.optimizer.clip is not None:
            clip(self.program, self.config.optimizer.clip)
        slow = self.factors is not None and min(self.factors) < 1
        before = self.program.of_each(lambda tensor: tensor.detach().clone() if tensor.requires_grad else None) if slow else []
        if self.watched is None:
            self.optimizer.step()
        else:
            self.watched.step()
        if slow and self.factors is not None:
            slowed(self.program, before, self.factors, self.config.ensemble)
        return losses.detach(), (decide(outputs.comparison.detach()) == target).sum(dim=1)

    def state(self, epoch: int) -> State:
        """What goes on after so many epochs. Raises ConfigError where a part of others remembers what it cannot have."""
        self.memory.check_kept()
        if self.watched is not None:
            self.watched.check_kept()
        return capture(epoch, self.program, self.optimizer, self.average, self.stopping)

    def restore(self, start: State) -> None:
        """Go on from there. Raises ValueError where that is the state of other networks."""
        put_back(start, self.program, self.optimizer, self.average, self.stopping)
        self.average.steps = start.epoch * self.steps
        self.scheduler.last_epoch = self.average.steps - 1
        self.scheduler.step()
