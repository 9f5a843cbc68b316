"""Everything a report tells, worked out: from folders to frames of statistics."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from digitcmp.auto.sequential import Plan
from digitcmp.config.identity import TESTED, TRAINED, pairs_of
from digitcmp.counting import some
from digitcmp.errors import RunError
from digitcmp.report import statistics
from digitcmp.report.cautions import CHOSEN, DRAWN, cautions, data_keys, with_best_weights
from digitcmp.report.comparisons import compare, find_baseline
from digitcmp.report.factorial import Effects, find_design, find_effects
from digitcmp.report.folds import missing_folds, pooled
from digitcmp.report.frames import Sweep, read_sweep
from digitcmp.report.labels import configurations
from digitcmp.report.metrics import METRICS, TEST_ACCURACY, Metric
from digitcmp.report.origins import check_data, name_of
from digitcmp.report.renaming import Names, names_among, renamed
from digitcmp.report.shares import about_shares, effects_without_tests, sharing, without_tests
from digitcmp.report.snapshot import Snapshot
from digitcmp.report.swept import find_swept, line_differences
from digitcmp.report.texts import TEXT
from digitcmp.report.verdicts import CAUTION, read_plans, verdicts


@dataclass(frozen=True)
class Study:
    """The results: frames as the functions of `statistics` and `comparisons` return them; a line per warning.

    name: that of the folders (`origins.name_of`). metric: what all of them but distances are about. rounds: every round with its label,
    the input of the statistics. distances and line_differences are empty, swept and effects None where there are none. chance: the
    metric of always giving the more frequent answer. plans, verdicts: of rounds=auto, of the test accuracy.
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
    line_differences: pd.DataFrame
    effects: Effects | None
    plans: list[Plan]
    verdicts: pd.DataFrame
    warnings: list[str]


def study(
    folders: Sequence[str | Path],
    baseline: str | None = None,
    metric: Metric = TEST_ACCURACY,
    names: Names = (),
    different_data: bool = False,
    snapshot: Snapshot | None = None,
) -> Study:
    """Read the folders and work everything out. baseline: by default that of rounds=auto, or the first one with the metric that a command
    has asked for. names: other names of configurations, by their labels or as LABEL=NAME.

    different_data: compare what has other data. Without it, runs that were not begun together need the same training and test pairs; a
    sweep may vary both, but those of its configurations that have other test pairs than the baseline are not compared with it.

    snapshot: where all that is read is kept, for whoever publishes it. Raises RunError for folders without runs, for other data, for a
    baseline that is unknown or lacks the metric, and for a metric that no round has.
    """
    sweep, known, called = read(folders, metric, names, different_data, snapshot)
    rounds = labelled(sweep.rounds, sweep, known)
    curves = statistics.curve_means(labelled(sweep.epochs, sweep, known), metric)
    shared = sharing(rounds, metric)
    table = without_tests(whole_table(folders, known, rounds, curves, metric, snapshot), shared)
    lacking = without(metric, table, rounds)
    plans = read_plans(sweep.runs["directory"], set(known["configuration_hash"]), sweep.warnings)
    base = choose_baseline(plans, sweep, known, lacking) if baseline is None else find_baseline(known, baseline, called)
    decided = verdicts(plans if metric == TEST_ACCURACY else [], known, rounds)
    apart = [] if different_data else on_other_pairs(known, base, metric)
    unmeasured = list(table.loc[lacking, "label"])  # no digit head, no validation pairs
    check_measured(base, [str(label) for label in table.loc[~lacking, "label"]], metric)
    left_out = {*apart, *unmeasured}  # whose failed rounds would else be pairs
    comparisons = without_tests(compare(rounds[~rounds["label"].isin(left_out)], base, metric, left_out), shared)
    distances = labelled(sweep.distances if metric.on_pairs else sweep.distances[:0], sweep, known)
    swept = find_swept(table, known, list(known.columns[3:]))  # behind label, hash and parameters
    beside = pd.DataFrame() if swept is None or apart else line_differences(rounds, swept, base, metric)
    warnings = cautions(sweep, rounds, known, table, comparisons) + about_shares(shared)
    warnings += without_comparison(base, metric, apart, unmeasured) + about_choice(metric, known)
    warnings += further_cautions(plans, len(table)) + missing_folds(sweep, rounds) + without_effects(rounds, known)
    return Study(
        name=", ".join(name_of(Path(folder)) for folder in folders),
        metric=metric,
        sweep=sweep,
        configurations=known,
        rounds=rounds,
        baseline=base,
        table=table,
        comparisons=comparisons,
        curves=curves,
        spread=statistics.spread(rounds, metric),
        distances=statistics.by_distance(distances),
        chance=statistics.chance(rounds, metric),
        swept=swept,
        line_differences=without_tests(beside, shared) if len(beside) else beside,
        effects=None if apart else effects_without_tests(find_effects(rounds, known, metric, distances), shared),
        plans=plans,
        verdicts=decided,
        warnings=warnings,
    )


def read(
    folders: Sequence[str | Path], metric: Metric, names: Names, different_data: bool, snapshot: Snapshot | None
) -> tuple[Sweep, pd.DataFrame, dict[str, str]]:
    """What is on disk, the configurations with the labels that they are to have, and these by those that they had. Raises RunError as
    `study`."""
    sweep = pooled(read_sweep(folders, ["epoch", metric.column], for_report=True, snapshot=snapshot))
    if not different_data:
        check_data(sweep.runs["sweep"], data_keys(sweep.runs, list(dict.fromkeys([*TESTED, *TRAINED]))))
    known = configurations(sweep)
    labels = [str(label) for label in known["label"]]
    if called := names_among(names, labels):
        known["label"] = renamed(labels, called)
    return sweep, known, called


def whole_table(
    folders: Sequence[str | Path],
    known: pd.DataFrame,
    rounds: pd.DataFrame,
    curves: pd.DataFrame,
    metric: Metric,
    snapshot: Snapshot | None,
) -> pd.DataFrame:
    """`statistics.summarise`, and what curves and losses add to it where they say something."""
    table = statistics.summarise(rounds, known, metric)
    if metric.unit == "%":
        table["saturated"] = table["label"].map(statistics.saturation(curves)).astype("Int64")
    # where nothing is averaged, the losses say more
    return table.join(first_and_last(folders, known, snapshot), on="label") if (table["all"] == 1).all() else table


def without_effects(rounds: pd.DataFrame, known: pd.DataFrame) -> list[str]:
    """The warning of a design that has configurations without a finished round."""
    failed = statistics.without_done(rounds)
    return [f"no effects of what was switched, as every round failed: {some(failed)}"] if failed and find_design(known) else []


def without_comparison(baseline: str, metric: Metric, apart: Sequence[str], unmeasured: Sequence[str]) -> list[str]:
    """The warnings of labels that the comparisons are without: those that are measured on other pairs, those that are not measured."""
    measured_on = pairs_of(metric.column)[1]
    told_of = {f"not compared with {baseline}, as they have other {measured_on}": apart, f"no {metric.title} on record": unmeasured}
    return [f"{what}: {some(labels)}" for what, labels in told_of.items() if labels]


def about_choice(metric: Metric, known: pd.DataFrame) -> list[str]:
    """The warning of accuracies on the validation pairs that the weights were chosen by."""
    chosen = with_best_weights(known) if metric.column == "val_accuracy" else []
    return [f"{CHOSEN}: {some(chosen)}"] if chosen else []


def further_cautions(plans: Sequence[Plan], configured: int) -> list[str]:
    """The warnings of verdicts, and of more configurations than figures show."""
    drawn = [f"figures but that of distances show the first {DRAWN} of {configured} configurations"] if configured > DRAWN else []
    return [CAUTION] * bool(plans) + drawn


def first_and_last(folders: Sequence[str | Path], known: pd.DataFrame, snapshot: Snapshot | None) -> pd.DataFrame:
    """The training loss of a configuration's only round in its first and in its last epoch: first_loss, last_loss, a row a label."""
    sweep = pooled(read_sweep(folders, ["epoch", "train_loss"], for_report=True, snapshot=snapshot))
    losses = labelled(sweep.epochs, sweep, known).sort_values("epoch").groupby("label", observed=False)["train_loss"]
    return pd.DataFrame({"first_loss": losses.first(), "last_loss": losses.last()})


def without(metric: Metric, table: pd.DataFrame, rounds: pd.DataFrame) -> "pd.Series[bool]":
    """Which rows of the table have rounds that lack the metric. Raises RunError when all have."""
    lacking = table["mean"].isna() & (table["rounds"] > 0)
    if lacking.any() and table["mean"].isna().all():
        there = ", ".join(repr(column) for column in METRICS if rounds[column].notna().any())
        raise RunError(f"metric {metric.column!r}: no round has a {metric.title}; choose one of {there}")
    return lacking


def choose_baseline(plans: Sequence[Plan], sweep: Sweep, known: pd.DataFrame, lacking: "pd.Series[bool]") -> str:
    """The label of the baseline of rounds=auto; else of the first configuration that a command has asked for, wherever it is in the order
    of the report. lacking: which of the known have no round with the metric."""
    there = set(known.loc[~lacking, "configuration_hash"])
    asked = [*(plan.baseline for plan in plans[:1]), *sweep.runs["configuration_hash"]]
    return find_baseline(known, next(name for name in asked if name in there))


def check_measured(baseline: str, measured: Sequence[str], metric: Metric) -> None:
    """Raise RunError for a baseline without the metric. measured: the labels of those that have it."""
    if baseline not in measured:
        there = ", ".join(map(repr, measured))
        raise RunError(f"baseline {baseline!r}: it has no {metric.title} on record, with which to compare others; choose one of {there}")


def on_other_pairs(known: pd.DataFrame, baseline: str, metric: Metric) -> list[str]:
    """The labels of the configurations whose rounds are measured on others than the baseline's of the same seed."""
    there = data_keys(known, pairs_of(metric.column)[0])
    if there.empty:
        return []
    tested = there.astype(TEXT).fillna("").agg("|".join, axis=1)
    (own,) = tested[known["label"] == baseline]
    return [str(label) for label, one in zip(known["label"], tested, strict=True) if one != own]


def labelled(rows: pd.DataFrame, sweep: Sweep, known: pd.DataFrame) -> pd.DataFrame:
    """Rows with a column `label`, categorical in the order of the report."""
    positions = {name: position for position, name in enumerate(known["configuration_hash"])}
    codes = sweep.runs["configuration_hash"].map(positions).to_numpy(dtype="int64")[rows["run_index"].to_numpy(dtype="int64")]
    return rows.assign(label=pd.Categorical.from_codes(codes, categories=pd.Index(known["label"].astype(str)), ordered=True))
