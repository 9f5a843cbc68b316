"""The statistics of a report: functions from frames to frames.

Rounds come as a frame with the columns label (categorical, in the order of the report), seed, status, test_accuracy,
digit_accuracy, majority_accuracy, seconds. Accuracies are fractions, here and in every result; only tables show per cent.
"""

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

LEVEL = 0.95  # of every interval
UNTRAINED = 0.03  # a round this near to always giving the more frequent answer has learnt nothing
DECIMALS = 7  # records have 8 significant digits: differences are equal when they agree this far

METHODS = [
    "Accuracy is that of the last epoch on the test pairs; ± is the standard deviation of the sample over rounds.",
    "Intervals of 95 % are Student's t intervals (scipy.stats.t) of a mean over rounds.",
    f"Untrained rounds have an accuracy within {100 * UNTRAINED:g} points of always giving the more frequent answer.",
    "Time is the median of a round's seconds; normalised time is that in per cent of the first configuration's.",
    "Differences are paired by seed: rounds of the same seed have the same pairs. Seeds on one side only are counted and left out.",
    "p: two-sided Wilcoxon signed-rank test (scipy.stats.wilcoxon; pairs without a difference are dropped, as Wilcoxon did), "
    "corrected for the number of comparisons after Holm (statsmodels multipletests).",
    "d_z: mean of the differences by their standard deviation (Cohen). r: matched-pairs rank-biserial correlation (Kerby 2014), "
    "-1 when every round is worse than the baseline's, 1 when every one is better.",
]


def half_width(std: "pd.Series[float]", count: "pd.Series[int]") -> "pd.Series[float]":
    """Half of the 95 % t interval of a mean: t(0.975, n - 1) std / sqrt(n); NaN below 2 values. Shapes: [K], [K] -> [K]."""
    quantile = stats.t.ppf((1 + LEVEL) / 2, (count - 1).where(count > 1).astype("float64"))
    return std * quantile / np.sqrt(count.astype("float64"))


def moments(values: Any) -> pd.DataFrame:
    """Of grouped values: count, mean, std (of the sample), and the interval of the mean as low and high; a row a group."""
    frame: pd.DataFrame = values.agg(["count", "mean", "std"])
    half = half_width(frame["std"], frame["count"])
    return frame.assign(low=frame["mean"] - half, high=frame["mean"] + half)


def summarise(rounds: pd.DataFrame, configurations: pd.DataFrame) -> pd.DataFrame:
    """The table: one row a configuration of `configurations` (label, configuration_hash, parameters), in its order.

    Columns: label, configuration_hash, parameters, rounds (done), failed, mean, std, low, high, median, min, max (of the
    test accuracy), untrained (rounds), digit_accuracy (mean), seconds (median), normalised_time (in per cent of the first
    row's). NaN where there are no values, or fewer than 2 for std, low and high.
    """
    done = rounds[rounds["status"] == "done"]
    groups = done.groupby("label", observed=False)
    table = configurations.set_index("label")[["configuration_hash", "parameters"]]
    accuracy = moments(groups["test_accuracy"]).rename(columns={"count": "rounds"})
    near = (done["test_accuracy"] - done["majority_accuracy"]).abs().round(DECIMALS) <= UNTRAINED
    table["rounds"] = accuracy["rounds"]
    table["failed"] = (rounds["status"] == "failed").groupby(rounds["label"], observed=False).sum()
    table[["mean", "std", "low", "high"]] = accuracy[["mean", "std", "low", "high"]]
    table[["median", "min", "max"]] = groups["test_accuracy"].agg(["median", "min", "max"])
    table["untrained"] = near.groupby(done["label"], observed=False).sum()
    table["digit_accuracy"] = groups["digit_accuracy"].mean()
    table["seconds"] = groups["seconds"].median()
    table["normalised_time"] = 100 * table["seconds"] / table["seconds"].iloc[0]
    return table.reset_index()


def curve_means(epochs: pd.DataFrame) -> pd.DataFrame:
    """Epochs (label, epoch, test_accuracy) -> one row a (label, epoch): mean and std (of the sample) over rounds, count.

    Epochs without a test (test_every) are left out.
    """
    groups = epochs.dropna(subset="test_accuracy").groupby(["label", "epoch"], observed=True)["test_accuracy"]
    return groups.agg(["mean", "std", "count"]).reset_index()


def spread(rounds: pd.DataFrame) -> pd.DataFrame:
    """The boxes: one row a label with quartiles q1, median, q3, and whiskers low, high after Tukey.

    Whiskers reach from the box to the last round within 1.5 times its length. Labels without a round done are left out.
    """
    rows = []
    for label, values in rounds[rounds["status"] == "done"].groupby("label", observed=True)["test_accuracy"]:
        q1, median, q3 = np.quantile(values, [0.25, 0.5, 0.75])
        inside = values[values.between(q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1))]
        rows.append({"label": label, "q1": q1, "median": median, "q3": q3, "low": min(inside.min(), q1), "high": max(inside.max(), q3)})
    return pd.DataFrame(rows, columns=["label", "q1", "median", "q3", "low", "high"])


def by_distance(distances: pd.DataFrame) -> pd.DataFrame:
    """Distances (label, seed, distance, pairs, right) -> one row a (label, distance): accuracy over rounds, as `moments`.

    A round's accuracy at a distance is right / pairs; rounds without such a pair don't count there.
    """
    some = distances[distances["pairs"] > 0]
    accuracy = some["right"] / some["pairs"]
    return moments(accuracy.groupby([some["label"], some["distance"]], observed=True)).reset_index()


def swept(table: pd.DataFrame, configurations: pd.DataFrame, keys: list[str]) -> pd.DataFrame | None:
    """Accuracy against the one number in which the configurations differ: key, value, label, mean, low, high, rounds; sorted.

    None unless exactly one of the `keys` (columns of `configurations`) varies and holds numbers only.
    """
    varying = [key for key in keys if configurations[key].nunique(dropna=False) > 1]
    if len(varying) != 1 or configurations[varying[0]].dtype.kind not in "if" or configurations[varying[0]].isna().any():
        return None
    values = configurations.set_index("label")[varying[0]].astype("float64")
    frame = table[["label", "mean", "low", "high", "rounds"]].assign(key=varying[0], value=table["label"].map(values))
    return frame.sort_values("value", ignore_index=True)
