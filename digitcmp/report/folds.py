"""Cross-validation: runs that differ in which training pairs they hold out are one configuration, and their rounds are its rounds."""

from dataclasses import replace
from typing import Any

import pandas as pd

from digitcmp.config.identity import configuration_hash
from digitcmp.report.frames import Sweep

FOLD = "data.fold"
TOLD = (
    "each of the {count} folds (data.fold) of a seed counts as a round, numbered seed × {count} + fold; folds have most of their training "
    "pairs in common, so that intervals over them are too narrow"
)


def pooled(sweep: Sweep) -> Sweep:
    """The sweep with all folds of a configuration as one, if any has several; else the sweep itself.

    Every configuration loses its fold. A round's seed becomes seed × folds + fold, in rounds, epochs and distances alike, so that
    whatever is paired by seed is paired by seed and fold. That folds are not independent (Bengio and Grandvalet 2004) is a warning.
    """
    if FOLD not in sweep.runs:
        return sweep
    folds = sweep.runs[FOLD].fillna(0).astype("int64")  # runs of earlier versions had none
    alike = {name: whole(values) for name, values in sweep.configurations.items()}
    hashes = {name: configuration_hash(values) for name, values in alike.items()}
    together = sweep.runs["configuration_hash"].map(hashes).astype(sweep.runs["configuration_hash"].dtype)
    if folds.groupby(together).nunique().max() < 2:
        return sweep
    count = int(folds.max()) + 1
    return replace(
        sweep,
        runs=sweep.runs.drop(columns=FOLD).assign(configuration_hash=together),
        **{name: numbered(getattr(sweep, name), folds, count) for name in ("rounds", "epochs", "distances")},
        keys=[key for key in sweep.keys if key != FOLD],
        warnings=[*sweep.warnings, TOLD.format(count=count)],
        configurations={hashes[name]: values for name, values in alike.items()},
    )


def whole(configuration: dict[str, Any]) -> dict[str, Any]:
    """A configuration without its fold."""
    data = {key: value for key, value in configuration["data"].items() if key != "fold"}
    return {**configuration, "data": data}


def numbered(rows: pd.DataFrame, folds: "pd.Series[int]", count: int) -> pd.DataFrame:
    """Rows of rounds with a seed for each seed and fold. folds: of each run, by its position."""
    return rows.assign(seed=rows["seed"] * count + rows["run_index"].map(folds)) if len(rows) else rows
