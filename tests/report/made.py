"""Made-up runs in the real format on disk."""

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

from digitcmp.train.results import DistanceRow, EpochRow, RoundResult, RoundRow
from tests.experiment import made

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
ABOUT: dict[str, Any] = {
    "parameters": 71393,
    "engine": "processes",
    "device": "cpu",
    "torch": "2.6.0",
    "digitcmp": "0.1.0",
    "python": "3.11.7",
    "git_commit": "abc",
    "git_dirty": False,
    "command": "python -m digitcmp",
    "jobs": [[1, 0]],  # runs side by side are those of one sweep
    "status": "done",
    "started": "2026-01-01T00:00:00+00:00",
}


def configuration(**changes: Any) -> dict[str, Any]:
    """The configuration with dotted keys changed, dots written as two underscores: model__name="net2"."""
    made = deepcopy(CONFIGURATION)
    for key, value in changes.items():
        node, parts = made, key.split("__")
        for part in parts[:-1]:
            node = node[part]
        node[parts[-1]] = value
    return made


def made_round(seed: int, accuracy: float | None, others: float | None = None, right: Sequence[int] = ()) -> RoundResult:
    """A round of three epochs that ends with this test accuracy; None for one that failed. others, right: see `write_run`."""
    if accuracy is None:
        return RoundResult(RoundRow(seed, "failed", 0, None, None, None, None, None, None, None, None, 0.5, "broke"))
    lower = others and accuracy - others
    row = RoundRow(seed, "done", 3, 0.1, 0.99, accuracy, lower, lower, 3, accuracy, MAJORITY, 2.0 + seed, "")
    epochs = [EpochRow(seed, epoch, 1 / epoch, 0.9, accuracy - (3 - epoch) / 10, lower, lower, 0.1) for epoch in (1, 2, 3)]
    return RoundResult(row, epochs, [DistanceRow(seed, distance, 100, number) for distance, number in enumerate(right)])


def untested(made: RoundResult) -> RoundResult:
    """A round as it is with test=false: with a validation accuracy in place of that on test pairs, which it has not seen."""
    row = replace(made.row, test_accuracy=None, digit_accuracy=None, val_accuracy=made.row.test_accuracy)
    epochs = [replace(one, test_accuracy=None, digit_accuracy=None, val_accuracy=one.test_accuracy) for one in made.epochs]
    return replace(made, row=row, epochs=epochs)


def write_run(
    directory: Path,
    accuracies: Mapping[int, float | None],
    config: dict[str, Any] | None = None,
    others: float | None = None,
    right: Sequence[int] = (),
    tested: bool = True,
    **about: Any,
) -> Path:
    """A run of three epochs: test accuracy at the last epoch by seed, None for a failed round; `about` changes run.json.

    others: by how much digit and validation accuracy are below the test accuracy, where there are any. right: of a hundred
    pairs at each distance [10], how many are answered rightly. tested: false for what only has validation accuracies, these.
    """
    results = [made_round(seed, accuracy, others, right) for seed, accuracy in accuracies.items()]
    results = results if tested else [untested(result) for result in results]
    store = made.write_run(directory, results, {"seeds": list(accuracies)}, configuration() if config is None else config)
    (directory / "run.json").write_text(json.dumps({**(store.about or {}), **ABOUT, **about}, indent=2))
    return directory
