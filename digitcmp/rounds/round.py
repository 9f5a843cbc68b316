"""One round, from its seed to its rows."""

import math
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

from digitcmp.config import Config
from digitcmp.data.pairs import RoundPairs, make_round, stack
from digitcmp.data.sources import load
from digitcmp.errors import DigitcmpError
from digitcmp.model.network import build
from digitcmp.rounds.rows import DistanceRow, EpochRow, RoundRow
from digitcmp.seeding import Stream, generator
from digitcmp.train.evaluate import evaluate_distances
from digitcmp.train.loop import Epoch, Recipe, train
from digitcmp.train.optim import find_algorithm, make_optimizer
from digitcmp.train.program import Program, SingleProgram, cut_pairs
from digitcmp.train.schedule import make_shape


@dataclass(frozen=True)
class Task:
    """A round to be trained: its configuration, its seed, and a number of its own among all that are trained together."""

    config: Config
    seed: int
    place: int


Watch = Callable[[EpochRow], None]  # called after each epoch; raises Pruned to stop the round


@dataclass
class RoundResult:
    """What a round leaves: rows for the records, and the trained state with the normalisation it needs, where it is kept."""

    row: RoundRow
    epochs: list[EpochRow] = field(default_factory=list)
    distances: list[DistanceRow] = field(default_factory=list)
    state: dict[str, Tensor] | None = None
    trace: str = ""


def train_round(config: Config, seed: int, device: torch.device, watch: Watch) -> RoundResult:
    """Train and test the round of this seed; `watch` is told about every epoch.

    A problem that the user can mend is raised (DigitcmpError); a round that breaks for another reason is returned as
    failed, with the trace, so that the other rounds go on.
    """
    load(config.data.source, config.data.root)  # once per process, so it is not part of any round's time
    start = time.perf_counter()
    epochs: list[EpochRow] = []
    error = ""
    try:
        pairs = round_pairs(config, seed)
        program = SingleProgram(build(config.model, generator(seed, Stream.WEIGHTS), device))
        stacked = stack([pairs], device)
        for epoch in train(program, stacked, [seed], recipe(config)):
            epochs.append(epoch_row(seed, epoch))
            watch(epochs[-1])
            error = "" if epoch.healthy[0] else diverged(epochs[-1])
        distances = distance_rows(seed, *evaluate_distances(program, cut_pairs(program, stacked.test))) if config.test else []
    except DigitcmpError:
        raise
    except Exception as broken:  # whatever it is, it is on record, and it is this round's alone
        row = round_row(config, seed, epochs, None, time.perf_counter() - start, f"{type(broken).__name__}: {first_line(broken)}")
        return RoundResult(row, epochs, trace=traceback.format_exc())
    row = round_row(config, seed, epochs, majority(pairs) if config.test else None, time.perf_counter() - start, error)
    if row.status == "failed":
        return RoundResult(row, epochs)
    return RoundResult(row, epochs, distances, kept_state(program, pairs) if config.save_model else None)


def crashed_round(task: Task, reason: str) -> RoundResult:
    """The failed result of a round whose process is gone."""
    return RoundResult(round_row(task.config, task.seed, [], None, 0.0, reason))


def round_pairs(config: Config, seed: int) -> RoundPairs:
    """The pairs of the round of this seed. Raises DataError when the data set has too few images."""
    data = config.data
    source = load(data.source, data.root)
    return make_round(source, seed, data.train_pairs, data.test_pairs, data.val_pairs, data.target, data.normalize_test)


def recipe(config: Config) -> Recipe:
    """How the configuration trains, as plain values and functions. Raises ConfigError for an unknown algorithm or shape."""
    options, shape = asdict(config.optimizer), asdict(config.scheduler)
    algorithm, lr, comparator_lr = options.pop("algorithm"), options.pop("lr"), options.pop("comparator_lr")
    find_algorithm(algorithm)
    return Recipe(
        epochs=config.epochs,
        batch_size=config.batch_size,
        aux_weight=config.aux_weight,
        shuffle=config.data.shuffle,
        optimizer=lambda program: make_optimizer(program, algorithm, lr, comparator_lr, options),
        shape=make_shape(shape.pop("shape"), shape),
        test=config.test,
    )


def epoch_row(seed: int, epoch: Epoch, index: int = 0) -> EpochRow:
    """The row of the round at this place of the stack."""
    return EpochRow(
        seed=seed,
        epoch=epoch.epoch,
        train_loss=epoch.train_loss[index],
        train_accuracy=epoch.train_accuracy[index],
        test_accuracy=None if epoch.test is None else epoch.test.accuracy[index],
        digit_accuracy=None if epoch.test is None or epoch.test.digit_accuracy is None else epoch.test.digit_accuracy[index],
        val_accuracy=None if epoch.val is None else epoch.val.accuracy[index],
        seconds=epoch.seconds,
    )


def distance_rows(seed: int, pairs: list[list[int]], right: list[list[int]], index: int = 0) -> list[DistanceRow]:
    """The rows of the round at this place of the stack; distances that no pair has are left out."""
    counts = enumerate(zip(pairs[index], right[index], strict=True))
    return [DistanceRow(seed, distance, total, hits) for distance, (total, hits) in counts if total]


def round_row(config: Config, seed: int, epochs: list[EpochRow], majority_accuracy: float | None, seconds: float, error: str) -> RoundRow:
    """The row of a round that ended with these epochs."""
    last = epochs[-1] if epochs else None
    score = [row.val_accuracy if row.val_accuracy is not None else row.test_accuracy or 0.0 for row in epochs]
    best = score.index(max(score)) if score else None
    return RoundRow(
        seed=seed,
        status="failed" if error or len(epochs) < config.epochs else "done",
        epochs=len(epochs),
        train_loss=last.train_loss if last else None,
        train_accuracy=last.train_accuracy if last else None,
        test_accuracy=last.test_accuracy if last else None,
        digit_accuracy=last.digit_accuracy if last else None,
        val_accuracy=last.val_accuracy if last else None,
        best_epoch=None if best is None else epochs[best].epoch,
        best_accuracy=None if best is None else score[best],
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


def kept_state(program: Program, pairs: RoundPairs) -> dict[str, Tensor]:
    """The trained state of the one round of a program, with the mean and deviation that its images were normalised with."""
    return {**program.state(0), "input.mean": pairs.mean, "input.std": pairs.std}


def first_line(error: BaseException) -> str:
    """The first line of an error's text, or its absence in words."""
    return (str(error).splitlines() or ["(no text)"])[0]
