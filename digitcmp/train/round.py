"""Rounds, from their seeds to their rows: a pure function of a configuration, seeds and a device."""

import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict

import torch
from torch import Tensor

from digitcmp.config.comparators import CLASSES
from digitcmp.config.schema import Config, DataConfig
from digitcmp.data.pairs import PairSampler, RoundPairs, make_round, stack
from digitcmp.data.sources import load, load_on
from digitcmp.data.transforms import find_columns, make_augmentation
from digitcmp.errors import DigitcmpError
from digitcmp.model.initial import initialise
from digitcmp.model.network import PairNetwork, build
from digitcmp.seeding import MemberSeed, Stream, generator
from digitcmp.train.evaluate import Scores, by_distance, confusion
from digitcmp.train.loop import Training, TrainSpec
from digitcmp.train.optimizer import find_algorithm, make_optimizer, own_options
from digitcmp.train.program import Program, StackedProgram, make_program, snapshot
from digitcmp.train.progress import OnCheckpoint, OnEpoch, RoundProgress, read
from digitcmp.train.results import Checkpoint, ConfusionRow, DistanceRow, EpochRow, RoundResult, RoundRow
from digitcmp.train.saved import pack
from digitcmp.train.schedules import make_follower, make_shape
from digitcmp.train.state import State

CPU = torch.device("cpu")
Distances = tuple[list[list[int]], list[list[int]]]  # as `by_distance` gives them


def train_rounds(
    config: Config,
    seeds: Sequence[int],
    device: torch.device,
    on_epoch: OnEpoch,
    checkpoints: Sequence[Checkpoint] = (),
    on_checkpoint: OnCheckpoint = lambda _: None,
) -> list[RoundResult | None]:
    """Train and test the rounds of these seeds as one program; a result for each, None for one that `on_epoch` stopped.

    checkpoints: what the rounds go on from, one for each, all after the same epoch; none where they begin. on_checkpoint: is given new
    ones, as often as the configuration says.
    Their seconds are equal shares of the stack's, with those before a checkpoint; the import of libraries and the reading of the data
    set are no part of them.
    A problem that the user can mend is raised (DigitcmpError). A single round that breaks for another reason is returned as failed,
    with the trace, so that other rounds go on; of several, it is not known which one broke, so that the error is raised.
    """
    rounds, begun, training = [RoundProgress(seed) for seed in seeds], time.perf_counter(), None
    try:
        load(config.data.source, config.data.root, config.data.fingerprint, config.data.size)  # once per process
        spec, begun = train_spec(config), time.perf_counter()
        start: State | None = None
        if checkpoints:
            rounds, start = resumed(checkpoints)
        pairs = stack([round_pairs(config.data, seed, device) for seed in seeds], device)
        program = round_program(config, seeds, device)
        training, tested = Training(program, pairs, seeds, spec, start), None
        going_on = [one.tell(index, on_epoch) for index, one in enumerate(rounds)]
        for epoch in training.epochs() if any(going_on) else ():
            tested = epoch.test or tested  # a round that ended was tested when it did
            going_on = [one.note(epoch, index, on_epoch) for index, one in enumerate(rounds)]
            if not any(going_on):
                break
            if config.checkpoint_every and epoch.epoch % config.checkpoint_every == 0 and epoch.epoch < config.epochs:
                on_checkpoint(made_checkpoints(rounds, epoch.state(), time.perf_counter() - begun, config.ensemble))
        if tested is None and any(one.ended for one in rounds):  # before the checkpoint
            tested = training.test()
        training.outside.check()
        return round_results(config, rounds, program, pairs, tested, (time.perf_counter() - begun) / len(rounds))
    except DigitcmpError:
        raise
    except Exception as broken:
        if training is not None:
            training.outside.check()  # the next round would find it, however this one ended
        if len(rounds) > 1:
            raise
        error, (one,) = f"{type(broken).__name__}: {first_line(broken)}", rounds
        row = round_row(config, one.seed, one.epochs, None, one.seconds + time.perf_counter() - begun, error)
        return [RoundResult(row, one.epochs, trace=traceback.format_exc())]


def round_results(
    config: Config, rounds: Sequence[RoundProgress], program: Program, pairs: RoundPairs, tested: Scores | None, seconds: float
) -> list[RoundResult | None]:
    """What the rounds of a stack leave; None for those that were stopped. tested: their last test. seconds: that each of them took here."""
    target, digits = pairs.test.target.cpu(), pairs.test.digits.cpu()
    tested = tested and tested.on_cpu()
    distances = by_distance(tested.right, digits) if tested else None
    results = list[RoundResult | None]()
    for index, one in enumerate(rounds):
        result = round_result(config, one, target[index], index, distances, one.seconds + seconds, confused(one, tested, digits, index))
        if result is not None and result.row.status == "done" and config.save_model:
            result.network = saved_network(program, pairs, index, config.ensemble)
        results.append(result)
    return results


def resumed(checkpoints: Sequence[Checkpoint]) -> tuple[list[RoundProgress], State]:
    """The rounds of a stack as their checkpoints have them. Raises ValueError for those of different epochs, or a damaged one."""
    found = [read(checkpoint.file) for checkpoint in checkpoints]
    (epoch,) = {checkpoint.epoch for checkpoint in checkpoints}
    history = [[row.val_accuracy for row in one.epochs if row.val_accuracy is not None] for _, one, _ in found]
    return [one for _, one, _ in found], State(epoch, [network for _, _, networks in found for network in networks], history)


def made_checkpoints(rounds: Sequence[RoundProgress], state: State, seconds: float, members: int) -> dict[int, Checkpoint]:
    """The checkpoints of a stack's rounds, by their index; none of one that was stopped. seconds: since the stack was begun here.

    A round that has diverged has one, too: the numbers of the others depend in their last digits on what is stacked with them.
    """
    stack, share = [one.seed for one in rounds], seconds / len(rounds)
    return {
        index: one.checkpoint(state.epoch, stack, share, state.networks[index * members : (index + 1) * members])
        for index, one in enumerate(rounds)
        if not one.stopped
    }


def round_program(config: Config, seeds: Sequence[int], device: torch.device) -> Program:
    """The networks of these rounds, with fresh weights: one after another on a CPU, where a round is alone or an ensemble, else stacked."""
    drawn = [generator(MemberSeed(seed, member), Stream.WEIGHTS) for seed in seeds for member in range(config.ensemble)]
    if len(drawn) == 1 or (len(seeds) == 1 and device.type == "cpu"):
        return make_program([build(config.model, random, device, config.data.size) for random in drawn], together=False)
    network = build(config.model, drawn[0], torch.device("cpu"), config.data.size)

    def each() -> Iterator[PairNetwork]:  # to fill one network anew takes a third of the time that another one takes
        yield network
        for random in drawn[1:]:
            initialise(network, random, config.model.init, config.model.zero_bias)
            yield network

    return StackedProgram(each(), device)


def round_result(
    config: Config,
    one: RoundProgress,
    target: Tensor,
    index: int,
    distances: Distances | None,
    seconds: float,
    confused: list[ConfusionRow],
) -> RoundResult | None:
    """What the round at this index of the stack leaves, but for its network; None when it was stopped. target: of its test pairs.
    distances: of all rounds, where they were tested."""
    majority = target.bincount().max().item() / len(target)
    row = round_row(config, one.seed, one.epochs, majority if config.test else None, seconds, one.error, one.ended)
    result = RoundResult(row, one.epochs)
    if row.status == "done" and not one.stopped:
        counts = enumerate(zip(*(per_round[index] for per_round in distances), strict=True)) if distances else ()
        result.distances = [DistanceRow(one.seed, distance, total, hits) for distance, (total, hits) in counts if total]
        result.confusion = confused
    return None if one.stopped else result


def confused(one: RoundProgress, tested: Scores | None, digits: Tensor, index: int) -> list[ConfusionRow]:
    """The classes of the test pairs of the round at this index of the stack, as far as they occur; none where it was not tested.
    digits: of the test pairs of all rounds."""
    if tested is None:
        return []
    asked, right, read = confusion(tested, digits, index)
    rows = [
        ConfusionRow(one.seed, *divmod(cell, CLASSES), asked[cell], right[cell], None if read is None else read[cell])
        for cell in range(CLASSES**2)
    ]
    return [row for row in rows if row.pairs or row.read]


def crashed_round(config: Config, seed: int, reason: str) -> RoundResult:
    """The failed result of a round whose process is gone."""
    return RoundResult(round_row(config, seed, [], None, 0.0, reason))


def round_pairs(data: DataConfig, seed: int, device: torch.device = CPU) -> RoundPairs:
    """The pairs of the round of this seed, their images on this device. Raises DataError when the data set has too few images."""
    wanted = data.source, data.root, data.fingerprint, data.size
    source = load_on(device, *wanted) if device.type == "cuda" else load(*wanted)
    return make_round(
        source,
        seed if data.seed is None else data.seed,
        data.train_pairs,
        data.test_pairs,
        data.val_pairs,
        data.target,
        normalize_test=data.normalize_test,
        fold=data.fold,
        label_noise=data.label_noise,
        imbalance=data.imbalance,
    )


def train_spec(config: Config) -> TrainSpec:
    """How the configuration trains, with the functions that it names. Raises ConfigError for one that is unknown."""
    data, optimizer, shape, augment = config.data, config.optimizer, asdict(config.scheduler), asdict(config.augment)
    options, apart = own_options(optimizer), [asdict(group) for group in optimizer.groups]
    find_algorithm(optimizer.algorithm)
    name = shape.pop("shape")
    return TrainSpec(
        config=config,
        columns=find_columns(config.columns),
        sampler=PairSampler(data.target, data.shuffle, data.repair, data.swap, make_augmentation(augment.pop("kind"), augment)),
        optimizer=lambda program: make_optimizer(program, optimizer.algorithm, optimizer.lr, optimizer.comparator_lr, options, apart),
        shape=make_shape(name, shape),
        follower=make_follower(name, shape),
    )


def round_row(
    config: Config, seed: int, epochs: list[EpochRow], majority_accuracy: float | None, seconds: float, error: str, ended: bool = False
) -> RoundRow:
    """The row of a round that ended with these epochs. ended: by its validation accuracy, perhaps before the last one."""
    figures = ("train_loss", "train_accuracy", "test_accuracy", "digit_accuracy", "val_accuracy")
    last = {name: getattr(epochs[-1], name) if epochs else None for name in figures}
    measured = [(row.test_accuracy if row.val_accuracy is None else row.val_accuracy, row.epoch) for row in epochs]
    scores = [(accuracy, -epoch) for accuracy, epoch in measured if accuracy is not None]
    best, minus_epoch = max(scores, default=(None, None))  # the first of equal ones
    return RoundRow(
        seed=seed,
        status="failed" if error or (len(epochs) < config.epochs and not ended) else "done",
        epochs=len(epochs),
        **last,
        best_epoch=None if minus_epoch is None else -minus_epoch,
        best_accuracy=best,
        majority_accuracy=majority_accuracy,
        seconds=seconds,
        error=error,
    )


def saved_network(program: Program, pairs: RoundPairs, index: int, members: int) -> bytes:
    """The round at this index of a stack as a safetensors file: its trained state, and the normalisation of its images
    (`input.mean`, `input.std`). The names of an ensemble's members begin with their number."""
    states = [program.state(index * members + member) for member in range(members)]
    begin = ["" if members == 1 else f"{member}." for member in range(members)]
    named = {first + name: value for first, state in zip(begin, states, strict=True) for name, value in state.items()}
    tensors = {**named, "input.mean": snapshot(pairs.mean[index]), "input.std": snapshot(pairs.std[index])}
    return pack(tensors)


def first_line(error: BaseException) -> str:
    """The first line of an error's text, or its absence in words."""
    return (str(error).splitlines() or ["(no text)"])[0]
