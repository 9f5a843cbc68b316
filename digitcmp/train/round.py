"""Rounds, from their seeds to their rows: a pure function of a configuration, seeds and a device."""

import math
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

import torch
from safetensors.torch import save

from digitcmp.config.schema import Config, DataConfig
from digitcmp.data.augment import make_augmentation
from digitcmp.data.columns import find_columns
from digitcmp.data.pairs import RoundPairs, make_round, stack
from digitcmp.data.sources import load
from digitcmp.errors import DigitcmpError
from digitcmp.model.network import build
from digitcmp.seeding import MemberSeed, Stream, generator
from digitcmp.train.evaluate import Scores, by_distance
from digitcmp.train.loop import Epoch, TrainSpec, train
from digitcmp.train.optimizer import find_algorithm, make_optimizer
from digitcmp.train.program import Program, make_program
from digitcmp.train.results import DistanceRow, EpochRow, RoundResult, RoundRow
from digitcmp.train.sampler import PairSampler
from digitcmp.train.schedule import make_shape

OnEpoch = Callable[[int, EpochRow], bool]  # is told the round's index and its epoch; False stops the round


@dataclass
class RoundProgress:
    """A round on its way: its epochs so far, and whether it has come to an early end."""

    seed: int
    epochs: list[EpochRow] = field(default_factory=list)
    error: str = ""
    stopped: bool = False

    @property
    def over(self) -> bool:
        """Whether the round diverged or was stopped: its network goes on in its stack, but nothing of it counts any more."""
        return bool(self.error) or self.stopped


def train_round(config: Config, seed: int, device: torch.device, on_epoch: OnEpoch) -> RoundResult | None:
    """Train and test the round of this seed; None when `on_epoch` stopped it.

    A problem that the user can mend is raised (DigitcmpError); a round that breaks for another reason is returned as
    failed, with the trace, so that the other rounds go on.
    """
    start, told = time.perf_counter(), list[EpochRow]()

    def note(index: int, row: EpochRow) -> bool:
        told.append(row)
        return on_epoch(index, row)

    try:
        (result,) = train_rounds(config, [seed], device, note)
    except DigitcmpError:
        raise
    except Exception as broken:  # whatever it is, it is on record, and it is this round's alone
        error = f"{type(broken).__name__}: {first_line(broken)}"
        return RoundResult(round_row(config, seed, told, None, time.perf_counter() - start, error), told, trace=traceback.format_exc())
    return result


def train_rounds(config: Config, seeds: Sequence[int], device: torch.device, on_epoch: OnEpoch) -> list[RoundResult | None]:
    """Train and test the rounds of these seeds as one program; a result for each, None for one that `on_epoch` stopped.

    Their seconds are equal shares of the stack's; the import of libraries and the reading of the data set are no part of them.
    Raises whatever breaks.
    """
    load(config.data.source, config.data.root)  # once per process
    spec = train_spec(config)
    start, rounds = time.perf_counter(), [RoundProgress(seed) for seed in seeds]
    drawn = [round_pairs(config.data, seed) for seed in seeds]
    member_seeds = [MemberSeed(seed, member) for seed in seeds for member in range(config.ensemble)]
    networks = [build(config.model, generator(member_seed, Stream.WEIGHTS), device) for member_seed in member_seeds]
    program = make_program(networks, together=len(rounds) > 1 or device.type != "cpu")
    pairs = stack(drawn, device)
    tested: Scores | None = None
    for epoch in train(program, pairs, list(seeds), spec):
        tested = epoch.test
        for index, one in enumerate(rounds):
            if not one.over:
                note_epoch(one, epoch, index, on_epoch)
        if all(one.over for one in rounds):
            break
    measured = None if tested is None else by_distance(tested.right, pairs.test.digits)
    seconds = (time.perf_counter() - start) / len(rounds)
    results: list[RoundResult | None] = []
    for index, (one, own) in enumerate(zip(rounds, drawn, strict=True)):
        row = round_row(config, one.seed, one.epochs, majority(own) if config.test else None, seconds, one.error)
        result = RoundResult(row, one.epochs)
        if row.status == "done":
            result.distances = distance_rows(one.seed, *measured, index) if measured else []
            result.network = saved_network(program, own, index, config.ensemble) if config.save_model else None
        results.append(None if one.stopped else result)
    return results


def note_epoch(one: RoundProgress, epoch: Epoch, index: int, on_epoch: OnEpoch) -> None:
    """An epoch of the round at this index of the stack is through."""
    row = epoch_row(one.seed, epoch, index)
    one.epochs.append(row)
    one.error = "" if epoch.healthy[index] else diverged(row)
    one.stopped = not on_epoch(index, row)


def crashed_round(config: Config, seed: int, reason: str) -> RoundResult:
    """The failed result of a round whose process is gone."""
    return RoundResult(round_row(config, seed, [], None, 0.0, reason))


def round_pairs(data: DataConfig, seed: int) -> RoundPairs:
    """The pairs of the round of this seed. Raises DataError when the data set has too few images."""
    source = load(data.source, data.root)
    return make_round(source, seed, data.train_pairs, data.test_pairs, data.val_pairs, data.target, data.normalize_test)


def train_spec(config: Config) -> TrainSpec:
    """How the configuration trains, as plain values and functions. Raises ConfigError for an unknown algorithm or shape."""
    options, shape = asdict(config.optimizer), asdict(config.scheduler)
    algorithm, lr, comparator_lr = options.pop("algorithm"), options.pop("lr"), options.pop("comparator_lr")
    find_algorithm(algorithm)
    return TrainSpec(
        epochs=config.epochs,
        batch_size=config.batch_size,
        aux_weight=config.aux_weight,
        label_smoothing=config.label_smoothing,
        ema=config.ema,
        members=config.ensemble,
        columns=find_columns(config.columns),
        tta_shift=config.tta_shift,
        test_every=config.test_every,
        sampler=pair_sampler(config),
        optimizer=lambda program: make_optimizer(program, algorithm, lr, comparator_lr, options),
        shape=make_shape(shape.pop("shape"), shape),
        test=config.test,
    )


def pair_sampler(config: Config) -> PairSampler:
    """How the training pairs change from epoch to epoch. Raises ConfigError for an unknown augmentation."""
    data, options = config.data, asdict(config.augment)
    augment = make_augmentation(options.pop("kind"), options)
    return PairSampler(data.target, data.shuffle, data.repair, data.swap, augment)


def epoch_row(seed: int, epoch: Epoch, index: int) -> EpochRow:
    """The row of the round at this index of the stack; its seconds are an equal share of the stack's."""
    return EpochRow(
        seed=seed,
        epoch=epoch.epoch,
        train_loss=epoch.train_loss[index],
        train_accuracy=epoch.train_accuracy[index],
        test_accuracy=None if epoch.test is None else epoch.test.accuracy[index],
        digit_accuracy=None if epoch.test is None or epoch.test.digit_accuracy is None else epoch.test.digit_accuracy[index],
        val_accuracy=None if epoch.val is None else epoch.val.accuracy[index],
        seconds=epoch.seconds / len(epoch.healthy),
    )


def distance_rows(seed: int, pairs: list[list[int]], right: list[list[int]], index: int) -> list[DistanceRow]:
    """The rows of the round at this index of the stack; distances that no pair has are left out."""
    counts = enumerate(zip(pairs[index], right[index], strict=True))
    return [DistanceRow(seed, distance, total, hits) for distance, (total, hits) in counts if total]


def round_row(config: Config, seed: int, epochs: list[EpochRow], majority_accuracy: float | None, seconds: float, error: str) -> RoundRow:
    """The row of a round that ended with these epochs."""
    last = epochs[-1] if epochs else None
    measured = [(row.test_accuracy if row.val_accuracy is None else row.val_accuracy, row.epoch) for row in epochs]
    scores = [(accuracy, -epoch) for accuracy, epoch in measured if accuracy is not None]
    best, minus_epoch = max(scores, default=(None, None))  # the first of equal ones
    return RoundRow(
        seed=seed,
        status="failed" if error or len(epochs) < config.epochs else "done",
        epochs=len(epochs),
        train_loss=last.train_loss if last else None,
        train_accuracy=last.train_accuracy if last else None,
        test_accuracy=last.test_accuracy if last else None,
        digit_accuracy=last.digit_accuracy if last else None,
        val_accuracy=last.val_accuracy if last else None,
        best_epoch=None if minus_epoch is None else -minus_epoch,
        best_accuracy=best,
        majority_accuracy=majority_accuracy,
        seconds=seconds,
        error=error,
    )


def diverged(last: EpochRow) -> str:
    """The error text of a round that became unhealthy in this epoch."""
    what = f"the loss became {last.train_loss}" if not math.isfinite(last.train_loss) else "the network's outputs became infinite or nan"
    return f"{what} in epoch {last.epoch}; a smaller optimizer.lr may help"


def majority(pairs: RoundPairs) -> float:
    """The accuracy of always giving the more frequent answer of the test pairs."""
    ones = pairs.test.target.double().mean().item()
    return max(ones, 1 - ones)


def saved_network(program: Program, pairs: RoundPairs, index: int, members: int) -> bytes:
    """The round at this index of the stack as a safetensors file: its trained state, and the normalisation of its images
    (`input.mean`, `input.std`). The names of an ensemble's members begin with their number."""
    states = [program.state(index * members + member) for member in range(members)]
    begin = ["" if members == 1 else f"{member}." for member in range(members)]
    named = {first + name: value for first, state in zip(begin, states, strict=True) for name, value in state.items()}
    return save({**named, "input.mean": pairs.mean, "input.std": pairs.std})


def first_line(error: BaseException) -> str:
    """The first line of an error's text, or its absence in words."""
    return (str(error).splitlines() or ["(no text)"])[0]
