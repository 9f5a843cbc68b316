"""Everything a report tells, worked out: from folders to frames of statistics."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from digitcmp.report import statistics
from digitcmp.report.cautions import cautions
from digitcmp.report.comparisons import compare, find_baseline
from digitcmp.report.frames import Sweep, read_sweep
from digitcmp.report.labels import configurations


@dataclass(frozen=True)
class Study:
    """The results: frames as the functions of `statistics` and `comparisons` return them; a line per warning.

    name: that of the folders. rounds: every round with its label, the input of the statistics. distances is empty and
    swept None where there are none.
    """

    name: str
    sweep: Sweep
    configurations: pd.DataFrame
    rounds: pd.DataFrame
    baseline: str
    table: pd.DataFrame
    comparisons: pd.DataFrame
    curves: pd.DataFrame
    spread: pd.DataFrame
    distances: pd.DataFrame
    swept: pd.DataFrame | None
    warnings: list[str]


def study(folders: Sequence[str | Path], baseline: str | None = None) -> Study:
    """Read the folders and work everything out. Raises RunError for folders without runs and for an unknown baseline."""
    sweep = read_sweep(folders, "report")
    known = configurations(sweep)
    base = find_baseline(known, baseline)
    rounds = labelled(sweep.rounds, sweep, known)
    table, comparisons = statistics.summarise(rounds, known), compare(rounds, base)
    return Study(
        name=", ".join(Path(folder).resolve().name for folder in folders),
        sweep=sweep,
        configurations=known,
        rounds=rounds,
        baseline=base,
        table=table,
        comparisons=comparisons,
        curves=statistics.curve_means(labelled(having(sweep.epochs, "epoch", "test_accuracy"), sweep, known)),
        spread=statistics.spread(rounds),
        distances=statistics.by_distance(labelled(having(sweep.distances, "distance", "pairs", "right"), sweep, known)),
        swept=statistics.swept(table, known, sweep.keys),
        warnings=cautions(sweep, rounds, known, table, comparisons),
    )


def labelled(rows: pd.DataFrame, sweep: Sweep, known: pd.DataFrame) -> pd.DataFrame:
    """Rows with a column `label`, categorical in the order of the report."""
    places = {name: place for place, name in enumerate(known["configuration_hash"])}
    codes = sweep.runs["configuration_hash"].map(places).to_numpy(dtype="int64")[rows["run_index"].to_numpy(dtype="int64")]
    return rows.assign(label=pd.Categorical.from_codes(codes, categories=pd.Index(known["label"].astype(str)), ordered=True))


def having(rows: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The rows; where nothing was read, no rows but the columns."""
    return rows if len(rows) else rows.reindex(columns=["run_index", "seed", *columns])
