"""How long rounds take: as those that are on record, or as a short one that is trained for that alone and leaves nothing behind."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from rich.console import Console
from rich.progress import track

from digitcmp.config.schema import Config
from digitcmp.counting import counted
from digitcmp.errors import RunError
from digitcmp.experiment.run import Run
from digitcmp.train.results import EpochRow, RoundRow

SHORT = 2  # epochs of a short round: the first one and one that is like those to come
MOST_SECONDS = 30.0  # nothing more is measured after so long


@dataclass(frozen=True)
class Pace:
    """Seconds that a round takes: beside its epochs, and for each of them."""

    beside: float
    epoch: float

    def seconds(self, epochs: int) -> float:
        """Of a round with so many epochs."""
        return self.beside + epochs * self.epoch


def pace_of(rows: Iterable[RoundRow]) -> Pace | None:
    """The pace of rounds of one configuration, by the finished ones (median); None where there are none."""
    done = [row.seconds / row.epochs for row in rows if row.status == "done"]
    return Pace(0.0, median(done)) if done else None


class ShortRoundError(RunError):
    """A short round fails, as the rounds themselves then will: how it does."""


def measure(config: Config, rounds: int) -> Pace:
    """Train one short round of this configuration, or one short stack where its rounds are stacked. Raises ShortRoundError where that
    fails, and DigitcmpError as training does.

    rounds: how many it is to be measured for, since a GPU is shared by those of a stack.
    """
    import torch

    from digitcmp.experiment.executors.choose import choose, choose_device
    from digitcmp.experiment.executors.stacking import free_memory, stack_limit
    from digitcmp.train.round import train_rounds

    device, (name, workers) = choose_device(config.device), choose(config, rounds)
    stack = min(rounds, stack_limit(config, free_memory(device), rounds, workers)) if name == "stacked" else 1
    seeds = range(config.seed, config.seed + stack)
    epochs: list[EpochRow] = []
    begun = time.monotonic()

    def heard(index: int, row: EpochRow) -> bool:
        if not index:
            epochs.append(row)
        return time.monotonic() - begun < MOST_SECONDS

    short, threads = replace(config, epochs=min(SHORT, config.epochs), save_model=False), torch.get_num_threads()
    torch.set_num_threads(1)  # as the executors train
    try:
        result = train_rounds(short, list(seeds), device, heard)[0]
    finally:
        torch.set_num_threads(threads)
    if result and result.row.status == "failed":
        raise ShortRoundError(result.row.error)
    whole = result.row.seconds if result else epochs[0].seconds
    return Pace(max(0.0, whole - sum(row.seconds for row in epochs)), epochs[-1].seconds)


def effort(config: Config) -> Any:
    """Equal for configurations whose epochs are as much work."""
    whether = (config.aux_weight > 0, config.ema > 0, config.test)
    sizes = (config.batch_size, config.ensemble, config.columns, config.tta_shift, config.test_every)
    data = replace(config.data, root=None)
    return repr((config.model, type(config.optimizer).__name__, config.augment, data, *sizes, *whether))


class Paces:
    """The pace of runs, some of which have no finished round.

    measured: how many short rounds were trained to know it; why: how one of them failed; None in place of a pace where nothing is known.
    """

    def __init__(self, runs: Sequence[Run], console: Console) -> None:
        self.measured, self.why = 0, ""
        known = {effort(run.config): pace for run in runs if (pace := pace_of(run.store.rows.values()))}
        unknown = [run for run in runs if run.missing and effort(run.config) not in known]
        begun = time.monotonic()
        for run in track(unknown, "training short rounds", console=console, transient=True, disable=not console.is_terminal):
            if effort(run.config) in known or time.monotonic() - begun > MOST_SECONDS:
                continue
            try:
                known[effort(run.config)] = measure(run.config, len(run.missing))
                self.measured += 1
            except ShortRoundError as error:  # another one that is as much work may not fail
                self.why = self.why or str(error)
        self.known = known
        self.usual = (
            Pace(*(median(values) for values in zip(*((one.beside, one.epoch) for one in known.values()), strict=True))) if known else None
        )

    def of(self, run: Run) -> Pace | None:
        """The pace of a run: its own, or that of others that are as much work, or the median of all."""
        return pace_of(run.store.rows.values()) or self.known.get(effort(run.config), self.usual)

    def seconds(self, run: Run) -> float:
        """Of a round of this run, NaN where nothing is known."""
        pace = self.of(run)
        return pace.seconds(run.config.epochs) if pace else float("nan")

    def by_what(self) -> str:
        """What the times are known from: a machine that has other work is slower."""
        return counted(self.measured, "short round") if self.measured else "those on record"
