"""The statistics of a report: functions from frames to frames, of one metric (a column of the rounds) at a time.

Rounds come as a frame with the columns label (categorical, in the order of the report), seed, status, and those of the metrics
with majority_accuracy. Accuracies are fractions, here and in every result; only tables show per cent.
"""

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from digitcmp.report.metrics import DECIMALS, TEST_ACCURACY, Metric, is_untrained
from digitcmp.report.ranks import LEVEL, interquartile_mean, is_collapsed, median_interval, wilson

CARRIED = "rounds that ended early keep their last values"  # what figures say of `carried_forward`
ENOUGH = 10  # rounds whose spread says what is far below the others
SATURATED = 0.005  # an epoch whose mean is this near to that of the last one
ROUNDING = 1e-12  # of sums of fractions
QUARTILES = {"q1": 0.25, "median": 0.5, "q3": 0.75}


def half_width(sem: Any, count: Any) -> Any:
    """Half of the t interval of means with these standard errors, of so many values each; NaN below 2 and of two that are equal: accuracies
    are multiples of one pair, so that those of two seeds often are, which says nothing of how far others spread. 0 where more are equal.

    scipy.stats.t.interval does the same, but has NaN wherever all values are equal.
    """
    tells = (np.asarray(count) > 2) | (np.asarray(sem) > ROUNDING)
    return np.where(tells, sem, np.nan) * stats.t.ppf((1 + LEVEL) / 2, count - 1)


def moments(values: Any, metric: Metric = TEST_ACCURACY) -> pd.DataFrame:
    """Of grouped values: count, mean, std (of the sample), and the interval of the mean as low and high; a row a group.

    The interval ends where no value of the metric can be beyond, at 100 % for one: it holds the mean no less often for that.
    """
    frame: pd.DataFrame = values.agg(["count", "mean", "std", "sem"])
    half = half_width(frame.pop("sem"), frame["count"])
    low, high = ((frame["mean"] + sign * half).clip(*metric.limits) for sign in (-1, 1))
    return frame.assign(low=low, high=high)


def summarise(rounds: pd.DataFrame, configurations: pd.DataFrame, metric: Metric = TEST_ACCURACY) -> pd.DataFrame:
    """The table: one row a configuration of `configurations` (label, configuration_hash, parameters), in its order.

    Columns: label, configuration_hash, parameters, rounds (done), mean, std, low, high (of the metric, with the mean's interval), the
    columns of `robust`, min, max, failed, the columns of `lost_rounds`, digit_accuracy (mean), total_seconds (of all rounds), seconds
    (mean), normalised_time (in per cent of the first row's). NaN where there are no values, or fewer than 2 for std, low and high.
    """
    done = rounds[rounds["status"] == "done"]
    groups = done.groupby("label", observed=False)
    table = configurations.set_index("label")[["configuration_hash", "parameters"]]
    table["rounds"] = groups.size()
    table[["mean", "std", "low", "high"]] = moments(groups[metric.column], metric)[["mean", "std", "low", "high"]]
    table = table.join(robust(rounds, metric))
    table[["min", "max"]] = groups[metric.column].agg(["min", "max"])
    table["failed"] = (rounds["status"] == "failed").groupby(rounds["label"], observed=False).sum().astype("int64")
    if metric.on_pairs:
        table["mean_with_failed"] = mean_with_failed(table, done)
        table["untrained"] = is_untrained(done, metric).groupby(done["label"], observed=False).sum()
    table = lost_rounds(table)
    table["digit_accuracy"] = groups["digit_accuracy"].mean()
    table["total_seconds"] = rounds.groupby("label", observed=False)["seconds"].sum()
    table["seconds"] = groups["seconds"].mean()
    table["normalised_time"] = 100 * table["seconds"] / table["seconds"].iloc[0]
    return table.reset_index()


def robust(rounds: pd.DataFrame, metric: Metric = TEST_ACCURACY) -> pd.DataFrame:
    """What a few low rounds do not carry away, a row a label: median, median_low, median_high, interquartile_mean, where a failed round
    is below all others; collapsed: how many of those that are done are far below the median, where they are ten or more. NaN where none
    is done."""
    rows = {}
    for label, group in rounds.groupby("label", observed=False):
        values = ranked(group, metric).to_numpy(dtype="float64")
        values = values if np.isfinite(values).any() else values[:0]
        found = median_interval(values).bounded()
        done = values[np.isfinite(values)]
        collapsed = int(is_collapsed(done if metric.higher_is_better else -done).sum()) if len(done) >= ENOUGH else 0
        rows[label] = [*found, interquartile_mean(values), collapsed]
    names = ["median", "median_low", "median_high", "interquartile_mean", "collapsed"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=names).astype({"collapsed": "int64"})


def ranked(rounds: pd.DataFrame, metric: Metric = TEST_ACCURACY) -> "pd.Series[float]":
    """The metric of the rounds that have it, with that of failed ones infinitely bad: what ranks are taken of.

    A label whose rounds are done without having the metric has none for those that failed.
    """
    done = rounds["status"] == "done"
    values = rounds[metric.column].where(done, metric.worst)
    lacking = done.groupby(rounds["label"], observed=False).transform("any")
    lacking &= ~(done & values.notna()).groupby(rounds["label"], observed=False).transform("any")
    return values[~lacking].dropna()


def without_done(rounds: pd.DataFrame) -> list[str]:
    """The labels all of whose rounds failed."""
    done = (rounds["status"] == "done").groupby(rounds["label"], observed=True).any()
    return [str(label) for label in done.index[~done]]


def chance(rounds: pd.DataFrame, metric: Metric = TEST_ACCURACY) -> float:
    """The metric of always giving the more frequent answer, the mean over the rounds that are done; NaN for one that is not on pairs."""
    return float(rounds.loc[rounds["status"] == "done", "majority_accuracy"].mean()) if metric.on_pairs else float("nan")


def mean_with_failed(table: pd.DataFrame, done: pd.DataFrame) -> "pd.Series[float]":
    """The mean in which a failed round counts as always giving the more frequent answer, as often right as in the rounds that are done.

    NaN where none failed, or none was done anywhere.
    """
    majority = done.groupby("label", observed=False)["majority_accuracy"].mean().fillna(done["majority_accuracy"].mean())
    whole = (table["mean"].fillna(0.0) * table["rounds"] + majority * table["failed"]) / (table["rounds"] + table["failed"])
    return whole.where(table["failed"] > 0)


def lost_rounds(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the rounds that failed or are untrained: lost, of all (done or failed), as lost_share, lost_low, lost_high with
    Wilson's interval."""
    lost = table["failed"] + table.get("untrained", 0)
    whole = table["rounds"] + table["failed"]
    shares = [wilson(count, total) for count, total in zip(lost, whole, strict=True)]
    return table.assign(lost=lost, all=whole).assign(
        **{f"lost_{name}": [getattr(one, end) for one in shares] for name, end in ENDS.items()}
    )


ENDS = {"share": "value", "low": "low", "high": "high"}


def saturation(curves: pd.DataFrame) -> "pd.Series[int]":
    """By label, the first epoch whose mean over rounds is within half a point of that of the last one. curves: as `curve_means`."""
    last = curves.groupby("label", observed=True)["mean"].transform("last")
    near = curves[(curves["mean"] - last).abs().round(DECIMALS) <= SATURATED]
    return near.groupby("label", observed=True)["epoch"].first()


def curve_means(epochs: pd.DataFrame, metric: Metric = TEST_ACCURACY) -> pd.DataFrame:
    """Epochs (label, seed, epoch, the metric) -> one row a (label, epoch) at which all its rounds have a value: mean and std (of the
    sample) over rounds, count; carried, how many of these had ended before and have their last value there; and the quartiles q1, median,
    q3."""
    rows = of_all_rounds(carried_forward(epochs, ["label"]), ["label"], metric.column)
    groups = rows.groupby(["label", "epoch"], observed=True)
    means = groups[metric.column].agg(["mean", "std", "count"]).assign(carried=groups["carried"].sum())
    return means.assign(**{name: groups[metric.column].quantile(share) for name, share in QUARTILES.items()}).reset_index()


def carried_forward(epochs: pd.DataFrame, of: list[str]) -> pd.DataFrame:
    """Epochs (seed, epoch, figures) -> the same, and the last row of each round that ended early (stopping.patience) again for the epochs
    that others still had; with a column `carried`, true there.

    of: columns of what is compared, within which a seed is one round.
    """
    rows = epochs.reset_index(drop=True).assign(carried=False)
    last = rows[rows["epoch"] == rows.groupby([*of, "seed"], observed=True)["epoch"].transform("max")]
    longest = last.groupby(of, observed=True)["epoch"].transform("max") if of else last["epoch"].max()
    more = last.loc[last.index.repeat((longest - last["epoch"]).astype("int64"))].assign(carried=True)
    more["epoch"] += more.groupby(level=0).cumcount() + 1
    return pd.concat([rows, more], ignore_index=True) if len(more) else rows


def of_all_rounds(rows: pd.DataFrame, of: list[str], figure: str) -> pd.DataFrame:
    """Those rows of `carried_forward` that have this figure, of epochs at which all rounds that ever have it do, so that means at all
    epochs are over the same rounds.

    With test_every, a round that ends early is tested where the others are not: those epochs would be means over the rounds that ended.
    """
    there = rows.dropna(subset=figure)
    rounds = there.groupby(of, observed=True)["seed"].transform("nunique") if of else there["seed"].nunique()
    return there[there.groupby([*of, "epoch"], observed=True)["seed"].transform("nunique") == rounds]


def spread(rounds: pd.DataFrame, metric: Metric = TEST_ACCURACY) -> pd.DataFrame:
    """The boxes: one row a label that has values, with quartiles q1, median, q3, and whiskers low, high after Tukey: to the last round
    within 1.5 box lengths."""
    rows = []
    done = rounds[rounds["status"] == "done"].dropna(subset=metric.column)
    for label, values in done.groupby("label", observed=True)[metric.column]:
        q1, median, q3 = np.quantile(values, list(QUARTILES.values()))
        inside = values[values.between(q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1))]
        rows.append({"label": label, "q1": q1, "median": median, "q3": q3, "low": min(inside.min(), q1), "high": max(inside.max(), q3)})
    return pd.DataFrame(rows, columns=["label", "q1", "median", "q3", "low", "high"])


def by_distance(distances: pd.DataFrame) -> pd.DataFrame:
    """Distances (label, seed, distance, pairs, right) -> one row a (label, distance): accuracy right / pairs over rounds, as `moments`."""
    some = distances[distances["pairs"] > 0]  # rounds without such a pair don't count there
    accuracy = some["right"] / some["pairs"]
    return moments(accuracy.groupby([some["label"], some["distance"]], observed=True)).reset_index()
