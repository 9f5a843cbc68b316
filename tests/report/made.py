"""Made-up runs in the real format on disk."""

import json
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np

from digitcmp.config.identity import configuration_hash
from digitcmp.train.results import EpochRow, RoundRow, to_csv

CONFIGURATION: dict[str, Any] = {
    "epochs": 3,
    "batch_size": 100,
    "aux_weight": 0.0,
    "model": {
        "name": "net1",
        "joint": False,
        "weight_sharing": True,
        "batchnorm": False,
        "dropout": 0.0,
        "tower": [
            {"channels": 16, "kernel": 3, "padding": 0, "pool": 1, "norm": True},
            {"channels": 32, "kernel": 3, "pool": 2, "norm": True},
        ],
        "digit_head": {"reads": "none", "relu": False},
        "comparator": {"reads": "features", "outputs": 1, "relu": False},
    },
    "optimizer": {"algorithm": "SGD", "lr": 0.4, "comparator_lr": None},
    "scheduler": {"shape": "constant"},
    "data": {"source": "mnist", "train_pairs": 1000, "test_pairs": 1000, "target": "le"},
}
MAJORITY = 0.55


def configuration(**changes: Any) -> dict[str, Any]:
    """The configuration with dotted keys changed, dots written as two underscores: model__name="net2"."""
    made = deepcopy(CONFIGURATION)
    for key, value in changes.items():
        node, parts = made, key.split("__")
        for part in parts[:-1]:
            node = node[part]
        node[parts[-1]] = value
    return made


def write_run(
    directory: Path, accuracies: dict[int, float | None], config: dict[str, Any] | None = None, others: float | None = None, **about: Any
) -> Path:
    """A run of three epochs: test accuracy at the last epoch by seed, None for a failed round; `about` changes run.json.

    others: by how much digit and validation accuracy are below the test accuracy, where there are any.
    """
    values = configuration() if config is None else config
    directory.mkdir(parents=True, exist_ok=True)
    record = {"configuration": values, "configuration_hash": configuration_hash(values), "parameters": 71393, "seeds": list(accuracies)}
    record |= {
        "engine": "processes",
        "device": "cpu",
        "torch": "2.6.0",
        "digitcmp": "0.1.0",
        "python": "3.11.7",
        "git_commit": "abc",
        "git_dirty": False,
    }
    record |= {"command": "python -m digitcmp", "status": "done", "started": "2026-01-01T00:00:00+00:00"}
    (directory / "run.json").write_text(json.dumps(record | about, indent=2))
    rounds = [
        RoundRow(seed, "failed", 0, None, None, None, None, None, None, None, None, 0.5, "broke")
        if value is None
        else RoundRow(seed, "done", 3, 0.1, 0.99, value, *2 * [others and value - others], 3, value, MAJORITY, 2.0 + seed, "")
        for seed, value in accuracies.items()
    ]
    (directory / "rounds.csv").write_text(to_csv(RoundRow, rounds))
    epochs = [
        EpochRow(seed, epoch, 1 / epoch, 0.9, value - (3 - epoch) / 10, *2 * [others and value - others], 0.1)
        for seed, value in accuracies.items()
        if value is not None
        for epoch in (1, 2, 3)
    ]
    (directory / "epochs.csv").write_text(to_csv(EpochRow, epochs))
    return directory


def write_distances(directory: Path, seeds: Sequence[int], right: Sequence[int]) -> None:
    """distances.csv with 100 pairs at every distance, of which `right` [10] are answered rightly."""
    lines = [f"{seed},{distance},100,{number}\n" for seed in seeds for distance, number in enumerate(right)]
    (directory / "distances.csv").write_text("seed,distance,pairs,right\n" + "".join(lines))


def write_lifelike(
    directory: Path, seeds: Sequence[int], config: dict[str, Any], best: float, noise: float, random: np.random.Generator
) -> Path:
    """A run as training leaves it: rising curves that level off near `best` ± `noise`, better for distant digits."""
    count, epochs = len(seeds), int(config["epochs"])
    final = np.clip(best + noise * random.standard_normal(count), 0.5, 0.999)
    rising = 1 - np.exp(-np.arange(1, epochs + 1) / (epochs / 6))
    curves = (0.55 + (final[:, None] - 0.55) * rising + 0.006 * random.standard_normal((count, epochs))).clip(0, 1).round(3)
    write_run(directory, dict(zip(seeds, curves[:, -1].tolist(), strict=True)), config)
    lines = [
        f"{seed},{epoch},{1 / epoch:.8g},0.9,{curve[epoch - 1]:.3f},0.9,,0.08"
        for seed, curve in zip(seeds, curves, strict=True)
        for epoch in range(1, epochs + 1)
    ]
    (directory / "epochs.csv").write_text(
        "seed,epoch,train_loss,train_accuracy,test_accuracy,digit_accuracy,val_accuracy,seconds\n" + "\n".join(lines) + "\n"
    )
    text = (directory / "rounds.csv").read_text().replace(",done,3,", f",done,{epochs},")
    (directory / "rounds.csv").write_text(text)
    pairs = np.array([100, 180, 160, 140, 120, 100, 80, 60, 40, 20])
    rates = np.clip(final[:, None] + np.linspace(-0.12, 0.08, 10), 0, 1)
    right = random.binomial(pairs, rates)
    rows = [f"{seed},{distance},{pairs[distance]},{right[row, distance]}" for row, seed in enumerate(seeds) for distance in range(10)]
    (directory / "distances.csv").write_text("seed,distance,pairs,right\n" + "\n".join(rows) + "\n")
    return directory
