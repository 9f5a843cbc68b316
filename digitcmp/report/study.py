"""Everything a report tells, worked out: from folders to frames of statistics."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from digitcmp.auto.sequential import Plan
from digitcmp.errors import RunError
from digitcmp.report import statistics
from digitcmp.report.cautions import DRAWN, cautions, some
from digitcmp.report.comparisons import compare, find_baseline
from digitcmp.report.frames import Sweep, read_sweep
from digitcmp.report.labels import configurations
from digitcmp.report.metrics import METRICS, TEST_ACCURACY, Metric, unknown
from digitcmp.report.verdicts import CAUTION, read_plans, verdicts


@dataclass(frozen=True)
class Study:
    """The results: frames as the functions of `statistics` and `comparisons` return them; a line per warning.

    name: that of the folders. metric: what all of them but distances are about. rounds: every round with its label, the input
    of the statistics. distances is empty and swept None where there are none. chance: the metric of always giving the more frequent
    answer. plans, verdicts: of rounds=auto, of the test accuracy.
    """

    name: str
    metric: Metric
    sweep: Sweep
    configurations: pd.DataFrame
    rounds: pd.DataFrame
    baseline: str
    table: pd.DataFrame
    comparisons: pd.DataFrame
    curves: pd.DataFrame
    spread: pd.DataFrame
    distances: pd.DataFrame
    chance: float
    swept: pd.DataFrame | None
    plans: list[Plan]
    verdicts: pd.DataFrame
    warnings: list[str]


def study(
    folders: Sequence[str | Path], baseline: str | None = None, metric: Metric = TEST_ACCURACY, names: Mapping[str, str] | None = None
) -> Study:
    """Read the folders and work everything out. baseline: by default that of rounds=auto, or the first configuration with the metric.
    names: other names of configurations, by their labels.

    Raises RunError for folders without runs, for an unknown baseline, and for a metric that no round has.
    """
    sweep = read_sweep(folders, ["epoch", metric.column], for_report=True)
    known = configurations(sweep)
    if names:
        known["label"] = renamed([str(label) for label in known["label"]], names)
    rounds = labelled(sweep.rounds, sweep, known)
    curves = statistics.curve_means(labelled(sweep.epochs, sweep, known), metric)
    table = statistics.summarise(rounds, known, metric)
    if metric.unit == "%":
        table["saturated"] = table["label"].map(statistics.saturation(curves)).astype("Int64")
    lacking = table["mean"].isna() & (table["rounds"] > 0)
    if lacking.any() and table["mean"].isna().all():
        there = ", ".join(repr(column) for column in METRICS if rounds[column].notna().any())
        raise RunError(f"metric {metric.column!r}: no round has a {metric.title}; choose one of {there}")
    plans = read_plans(sweep.runs["directory"], set(known["configuration_hash"]), sweep.warnings)
    if baseline is None and plans and plans[0].baseline in set(known.loc[~lacking, "configuration_hash"]):
        baseline = plans[0].baseline
    base = find_baseline(known if baseline else known[~lacking], baseline)
    decided = verdicts(plans if metric == TEST_ACCURACY else [], known, rounds)
    comparisons = compare(rounds, base, metric)
    distances = sweep.distances if metric.on_pairs else sweep.distances[:0]
    warnings = cautions(sweep, rounds, known, table, comparisons)
    if lacking.any():  # no digit head, no validation pairs
        warnings.append(f"no {metric.title} on record: {some(table.loc[lacking, 'label'])}")
    if plans:
        warnings.append(CAUTION)
    if len(table) > DRAWN:
        warnings.append(f"figures show the first {DRAWN} of {len(table)} configurations")
    return Study(
        name=", ".join(Path(folder).resolve().name for folder in folders),
        metric=metric,
        sweep=sweep,
        configurations=known,
        rounds=rounds,
        baseline=base,
        table=table,
        comparisons=comparisons,
        curves=curves,
        spread=statistics.spread(rounds, metric),
        distances=statistics.by_distance(labelled(distances, sweep, known)),
        chance=statistics.chance(rounds, metric),
        swept=statistics.swept(table, known, list(known.columns[3:])),  # behind label, hash and parameters
        plans=plans,
        verdicts=decided,
        warnings=warnings,
    )


def renamed(labels: list[str], names: Mapping[str, str]) -> list[str]:
    """The labels with these other names. Raises RunError for one that is not there, and where two would be the same."""
    for label in names:
        if label not in labels:
            raise unknown("rename", label, "configuration", labels)
    others = [names.get(label, label) for label in labels]
    if twice := [name for name, count in Counter(others).items() if count > 1]:
        raise RunError(f"rename: two configurations would be called {twice[0]!r}; give each a name of its own")
    return others


def labelled(rows: pd.DataFrame, sweep: Sweep, known: pd.DataFrame) -> pd.DataFrame:
    """Rows with a column `label`, categorical in the order of the report."""
    positions = {name: position for position, name in enumerate(known["configuration_hash"])}
    codes = sweep.runs["configuration_hash"].map(positions).to_numpy(dtype="int64")[rows["run_index"].to_numpy(dtype="int64")]
    return rows.assign(label=pd.Categorical.from_codes(codes, categories=pd.Index(known["label"].astype(str)), ordered=True))
