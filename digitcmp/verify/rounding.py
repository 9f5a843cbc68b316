"""How far rounding alone carries the loss of the first epoch, where platforms differ: it is measured, not assumed.

Most networks agree to seven digits after an epoch on another platform. Those that are trained at the edge of stability (a high learning
rate, batch norm) multiply rounding errors by a hundred thousand within ten steps, and are as far apart as other seeds would be.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from digitcmp.config.schema import Config
from digitcmp.experiment.executors.choose import choose_device
from digitcmp.train.results import EpochRow
from digitcmp.train.round import train_rounds

LOSS = 1e-4  # losses that are nearer to each other need no explanation
TIMES = 10  # so far beyond the largest difference that was measured, rounding is no explanation
SHARE = 0.05  # of the standard deviation between seeds: no other round would come so near by chance but one in thirty-five
MEASURED = 8  # rounds: rounding carries most of them nowhere, and some a thousand times as far


def tolerances(then: pd.DataFrame, now: pd.DataFrame, configs: dict[int, Config]) -> dict[int, float]:
    """By run_index, how far losses of the first epoch may be apart: LOSS, or farther where they are (`tolerance`).

    then, now: epochs (run_index, seed, epoch, train_loss) on record and trained again. configs: of the runs that are asked for.
    """
    both = then[then["epoch"] == 1].merge(now[now["epoch"] == 1], on=["run_index", "seed"])
    apart = both[~((both["train_loss_x"] - both["train_loss_y"]).abs() <= LOSS)]
    seeds = apart.groupby("run_index")["seed"].apply(list).to_dict()
    return {run: tolerance(config, measured(seeds[run])) if run in seeds else LOSS for run, config in configs.items()}


def measured(seeds: Sequence[int]) -> list[int]:
    """The rounds that tell how far rounding reaches: those that are apart, and the seeds behind them, as far as these are few."""
    return [*seeds, *range(max(seeds) + 1, max(seeds) + 1 + MEASURED)][:MEASURED]


def tolerance(config: Config, seeds: Sequence[int]) -> float:
    """How far losses of the first epoch may be apart on two platforms: TIMES as far as the farthest of these rounds (two at least), trained
    one by one and stacked; SHARE of their standard deviation; LOSS. inf where one diverges."""
    device = choose_device(config.device)
    single = [first_losses(config, [seed], device)[0] for seed in seeds]
    apart = np.abs(np.subtract(single, first_losses(config, seeds, device)))
    return max(LOSS, TIMES * float(apart.max()), SHARE * float(np.std(single, ddof=1))) if np.isfinite(apart).all() else np.inf


def first_losses(config: Config, seeds: Sequence[int], device: torch.device) -> list[float]:
    """The losses of rounds in their first epoch, after which they are stopped."""
    losses = [np.nan] * len(seeds)

    def note(index: int, row: EpochRow) -> bool:
        losses[index] = row.train_loss
        return False

    train_rounds(config, seeds, device, note)
    return losses
