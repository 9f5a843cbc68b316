"""Sizes that nobody can mean: what a configuration asks for, estimated when it is composed, against what there is. Needs no torch.

The estimates count what grows: pairs, weights with their gradients and moments, activations of a step, rows and random keys of epochs.
They are low by a few hundred megabytes for libraries, and right within a factor of two or three for what would fill a machine.
"""

import math
import os
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, RangeSweep

from digitcmp.config.graph import graph
from digitcmp.config.network import drops
from digitcmp.config.schema import SIZE, Config, ModelConfig
from digitcmp.errors import ConfigError

MOST_JOBS = 100_000  # of a sweep; each costs some milliseconds and kilobytes before the first is begun
TEST_BATCH = 200  # pairs that are tested at a time
EPOCH = 1000  # bytes of an epoch's row, as an object and as text
LAYER = 20_000  # bytes of a layer beside its weights
UNITS = ["bytes", "kB", "MB", "GB", "TB", "PB"]
CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # of a container


def check_memory(config: Config) -> None:
    """Raise ConfigError for a round that this machine's memory cannot hold, and for more of them side by side than it can hold."""
    parts, limit = round_memory(config), memory()
    if (needed := sum(parts.values())) > limit:
        raise ConfigError(
            f"{max(parts, key=parts.__getitem__)}: a round takes about {in_words(needed)} of memory; there are {in_words(limit)}"
        )
    if (together := side_by_side(config)) * needed > limit:
        raise ConfigError(
            f"{together} rounds side by side take about {in_words(together * needed)} of memory; there are {in_words(limit)}; use "
            + (f"stack_size={limit // needed}" if config.stack_size else f"workers={limit // needed}")
        )


def round_memory(config: Config) -> dict[str, int]:
    """Bytes that a round takes while it trains, by the key that they grow with."""
    data, model, members = config.data, config.model, config.ensemble
    steps, batch = -(-data.train_pairs // config.batch_size), max(config.batch_size, TEST_BATCH)
    pair = 2 * data.size**2 * 4 + 3 * 8  # bytes: two images, the target and the digits
    copies = 12 if config.augment.kind != "none" else 2  # of the training pairs, as in digitcmp.experiment.executors.stacking
    parts = graph(model, data.size)
    network = (
        4 * parameters(model, data.size) * 5 + 4 * 3 * batch * sum(part.numbers for part in parts) + LAYER * len(parts)
    )  # weights, gradient, moments, average
    return {
        f"data.train_pairs={data.train_pairs}": pair * data.train_pairs * (2 + copies * (members if members > 1 else 1)),
        f"data.test_pairs={data.test_pairs}": pair * data.test_pairs * 3,
        f"ensemble={members}": network * (members - 1),
        f"model={model.name} with batch_size={config.batch_size}": network,
        f"epochs={config.epochs}": config.epochs * (EPOCH + 12 * members * (1 + (steps if drops(model) else 0))),
    }


def side_by_side(config: Config) -> int:
    """How many rounds of this run are trained at a time."""
    if config.engine == "stacked" or config.stack_size:
        return min(len(config.seeds), config.stack_size or 1)  # left alone, it takes what there is
    return 1 if config.engine in ("serial", "ray") else min(len(config.seeds), config.workers or os.cpu_count() or 1)


def parameters(model: ModelConfig, size: int = SIZE) -> int:
    """How many numbers the network learns; the same as `digitcmp.model.network.count_parameters`, without torch."""
    return sum(part.parameters for part in graph(model, size))


@cache
def memory() -> int:
    """Bytes of memory that there are for this process: those of the machine, or of its container."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")] if hasattr(os, "sysconf") else [1 << 50]
    for path in map(Path, CGROUPS):
        with suppress(OSError, ValueError):  # there is none, or it has no limit ("max")
            limits.append(int(path.read_text()))
    return min(limits)


def in_words(size: int) -> str:
    """Bytes as people say them: 1.6 TB."""
    power = min(max(len(str(size)) - 1, 0) // 3, len(UNITS) - 1)
    shown = size / 1000**power if size < 10**300 else math.inf
    return f"{shown:,.3g} {UNITS[power]}" if shown < 1000 else f"{shown:,.0f} {UNITS[power]}"


def check_jobs(arguments: Sequence[str]) -> None:
    """Raise ConfigError when these arguments make more jobs than a sweep can have. They are counted without being listed."""
    counts = {str(override.input_line): count(override) for override in OverridesParser.create().parse_overrides(list(arguments))}
    if (jobs := math.prod(counts.values())) > MOST_JOBS:
        raise ConfigError(
            f"{max(counts, key=counts.__getitem__)}: this makes {jobs:,} jobs, and a sweep has at most {MOST_JOBS:,}; "
            "rounds=N trains N seeds in one job"
        )


def count(override: Override) -> int:
    """How many values a sweep has; 1 for what is none, or is counted later."""
    value: Any = override.value()
    if isinstance(value, ChoiceSweep):
        return max(1, len(value.list))
    if isinstance(value, RangeSweep) and value.step:
        return max(1, math.ceil((Fraction(value.stop or 0) - Fraction(value.start or 0)) / Fraction(value.step)))
    return 1
