"""The statistics of a report: functions from frames to frames, of one metric (a column of the rounds) at a time.

Rounds come as a frame with the columns label (categorical, in the order of the report), seed, status, and those of the metrics
with majority_accuracy. Accuracies are fractions, here and in every result; only tables show per cent.
"""

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from digitcmp.report.metrics import TEST_ACCURACY, Metric

LEVEL = 0.95  # of every interval
UNTRAINED = 0.03  # a round this near to always giving the more frequent answer has learnt nothing
DECIMALS = 7  # records have 8 significant digits: differences are equal when they agree this far


def methods(metric: Metric = TEST_ACCURACY) -> list[str]:
    """How the numbers of a report are worked out, a line each."""
    untrained = f"Untrained rounds have an accuracy within {100 * UNTRAINED:g} points of always giving the more frequent answer."
    lower = "Lower is better: a round is won where it is below the baseline's."
    return [
        f"{metric.definition}; ± is the standard deviation of the sample over rounds.",
        "Intervals of 95 % are Student's t intervals (scipy.stats.t) of a mean over rounds.",
        *([untrained] if metric.on_pairs else []),
        "Time is the median of a round's seconds; normalised time is that in per cent of the first configuration's.",
        "Differences are paired by seed: rounds of the same seed have the same pairs. Seeds on one side only are counted and left out.",
        "p: two-sided Wilcoxon signed-rank test (scipy.stats.wilcoxon; pairs without a difference are dropped, as Wilcoxon did), "
        "corrected for the number of comparisons after Holm (statsmodels multipletests).",
        "d_z: mean of the differences by their standard deviation (Cohen). r: matched-pairs rank-biserial correlation (Kerby 2014), "
        "-1 when every round is worse than the baseline's, 1 when every one is better.",
        *([] if metric.higher_is_better else [lower]),
    ]


def half_width(sem: Any, count: Any) -> Any:
    """Half of the t interval of means with these standard errors, of so many values each; NaN below 2, 0 where all are equal.

    scipy.stats.t.interval does the same, but has NaN where all values are equal.
    """
    return sem * stats.t.ppf((1 + LEVEL) / 2, count - 1)


def moments(values: Any) -> pd.DataFrame:
    """Of grouped values: count, mean, std (of the sample), and the interval of the mean as low and high; a row a group."""
    frame: pd.DataFrame = values.agg(["count", "mean", "std", "sem"])
    half = half_width(frame.pop("sem"), frame["count"])
    return frame.assign(low=frame["mean"] - half, high=frame["mean"] + half)


def summarise(rounds: pd.DataFrame, configurations: pd.DataFrame, metric: Metric = TEST_ACCURACY) -> pd.DataFrame:
    """The table: one row a configuration of `configurations` (label, configuration_hash, parameters), in its order.

    Columns: label, configuration_hash, parameters, rounds (done), failed, mean, std, low, high, median, min, max (of the
    metric), untrained (rounds, for the test accuracy alone), digit_accuracy (mean), seconds (median), normalised_time (in per
    cent of the first row's). NaN where there are no values, or fewer than 2 for std, low and high.
    """
    done = rounds[rounds["status"] == "done"]
    groups = done.groupby("label", observed=False)
    table = configurations.set_index("label")[["configuration_hash", "parameters"]]
    table["rounds"] = groups.size()
    table["failed"] = (rounds["status"] == "failed").groupby(rounds["label"], observed=False).sum()
    table[["mean", "std", "low", "high"]] = moments(groups[metric.column])[["mean", "std", "low", "high"]]
    table[["median", "min", "max"]] = groups[metric.column].agg(["median", "min", "max"])
    if metric.on_pairs:
        near = (done[metric.column] - done["majority_accuracy"]).abs().round(DECIMALS) <= UNTRAINED
        table["untrained"] = near.groupby(done["label"], observed=False).sum()
    table["digit_accuracy"] = groups["digit_accuracy"].mean()
    table["seconds"] = groups["seconds"].median()
    table["normalised_time"] = 100 * table["seconds"] / table["seconds"].iloc[0]
    return table.reset_index()


def curve_means(epochs: pd.DataFrame, metric: Metric = TEST_ACCURACY) -> pd.DataFrame:
    """Epochs (label, epoch, the metric) -> one row a (label, epoch) that has a value: mean and std (of the sample) over rounds, count."""
    groups = epochs.dropna(subset=metric.column).groupby(["label", "epoch"], observed=True)[metric.column]
    return groups.agg(["mean", "std", "count"]).reset_index()


def spread(rounds: pd.DataFrame, metric: Metric = TEST_ACCURACY) -> pd.DataFrame:
    """The boxes: one row a label that has values, with quartiles q1, median, q3, and whiskers low, high after Tukey: to the last round
    within 1.5 box lengths."""
    rows = []
    done = rounds[rounds["status"] == "done"].dropna(subset=metric.column)
    for label, values in done.groupby("label", observed=True)[metric.column]:
        q1, median, q3 = np.quantile(values, [0.25, 0.5, 0.75])
        inside = values[values.between(q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1))]
        rows.append({"label": label, "q1": q1, "median": median, "q3": q3, "low": min(inside.min(), q1), "high": max(inside.max(), q3)})
    return pd.DataFrame(rows, columns=["label", "q1", "median", "q3", "low", "high"])


def by_distance(distances: pd.DataFrame) -> pd.DataFrame:
    """Distances (label, seed, distance, pairs, right) -> one row a (label, distance): accuracy right / pairs over rounds, as `moments`."""
    some = distances[distances["pairs"] > 0]  # rounds without such a pair don't count there
    accuracy = some["right"] / some["pairs"]
    return moments(accuracy.groupby([some["label"], some["distance"]], observed=True)).reset_index()


def swept(table: pd.DataFrame, configurations: pd.DataFrame, keys: list[str]) -> pd.DataFrame | None:
    """The means against the one number in which the configurations differ: key, value, label, mean, low, high, rounds; sorted.

    None unless exactly one of the `keys` (columns of `configurations`) varies and holds numbers only.
    """
    varying = [key for key in keys if configurations[key].nunique(dropna=False) > 1]
    if len(varying) != 1 or configurations[varying[0]].dtype.kind not in "if" or configurations[varying[0]].isna().any():
        return None
    values = configurations.set_index("label")[varying[0]].astype("float64")
    frame = table[["label", "mean", "low", "high", "rounds"]].assign(key=varying[0], value=table["label"].map(values))
    return frame.sort_values("value", ignore_index=True)
