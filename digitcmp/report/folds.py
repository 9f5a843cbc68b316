"""Cross-validation: runs that differ in which training pairs they hold out are one configuration, and their rounds are its rounds."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pandas as pd

from digitcmp.config.identity import configuration_hash
from digitcmp.counting import counted, some
from digitcmp.report.frames import Sweep

FOLD = "data.fold"
MOST = 1_000_000  # folds that anybody can have meant
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
    count = most_folds(alike.values(), int(folds.max()) + 1)
    return replace(
        sweep,
        runs=sweep.runs.drop(columns=FOLD).assign(configuration_hash=together),
        **{name: numbered(getattr(sweep, name), folds, count) for name in ("rounds", "epochs", "distances")},
        keys=[key for key in sweep.keys if key != FOLD],
        warnings=[*sweep.warnings, TOLD.format(count=count)],
        configurations={hashes[name]: values for name, values in alike.items()},
    )


def most_folds(configurations: Iterable[dict[str, Any]], least: int = 1) -> int:
    """The most folds that any of these has, and at least so many."""
    return max([least, *map(folds_of, configurations)])


def folds_of(configuration: dict[str, Any]) -> int:
    """Into how many folds a configuration divides its training pairs; 1 where it holds none out."""
    data = configuration.get("data")  # a run.json that somebody has edited may lack it
    names = ("folds", "train_pairs", "val_pairs")  # versions differ in which there are
    told, pairs, held_out = (value if isinstance(data, dict) and isinstance(value := data.get(name), int) else 0 for name in names)
    return min(told or (pairs // held_out if pairs and held_out else 1), MOST)


def missing_folds(sweep: Sweep, rounds: pd.DataFrame) -> list[str]:
    """Which folds have no round at all, and which seeds lack folds that others have: a line for each kind, of a sweep that `pooled` has
    changed; none of another. rounds: with their labels."""
    if FOLD in sweep.runs:
        return []
    count, lines = most_folds(sweep.configurations.values()), dict[str, list[str]]()
    for label, group in rounds.groupby("label", observed=True, sort=False):
        folds = folds_of(sweep.configurations[sweep.runs["configuration_hash"][group["run_index"].iloc[0]]])
        there = set(group["seed"] % count)
        if gone := [str(fold) for fold in range(folds) if fold not in there]:
            what = f"no whole cross-validation, as no round has data.fold={some(gone, ',')} (of {folds} folds)"
            lines.setdefault(what, []).append(str(label))
        found = (group["seed"] % count).groupby(group["seed"] // count).nunique()
        if short := int((found < len(there)).sum()):
            lines.setdefault("seeds without all folds that others have", []).append(f"{label} ({counted(short, 'seed')})")
    return [f"{what}: {some(labels)}" for what, labels in lines.items()]


def whole(configuration: dict[str, Any]) -> dict[str, Any]:
    """A configuration without its fold."""
    data = {key: value for key, value in configuration["data"].items() if key != "fold"}
    return {**configuration, "data": data}


def numbered(rows: pd.DataFrame, folds: "pd.Series[int]", count: int) -> pd.DataFrame:
    """Rows of rounds with a seed for each seed and fold. folds: of each run, by its position."""
    return rows.assign(seed=rows["seed"] * count + rows["run_index"].map(folds)) if len(rows) else rows
