"""Statistics against values worked out independently."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from digitcmp.report.metrics import METRICS
from digitcmp.report.ranks import wilson
from digitcmp.report.statistics import by_distance, curve_means, moments, saturation, spread, summarise


def frame(accuracies: dict[str, list[float | None]], **columns: object) -> pd.DataFrame:
    """Rounds of made-up accuracies by label, seeds counting from 0; None for a failed round."""
    rows = [
        {"label": label, "seed": seed, "status": "failed" if value is None else "done", "test_accuracy": value}
        for label, values in accuracies.items()
        for seed, value in enumerate(values)
    ]
    made = pd.DataFrame(rows).astype({"test_accuracy": float})
    made["label"] = pd.Categorical(made["label"], categories=list(accuracies), ordered=True)
    return made.assign(**{"digit_accuracy": np.nan, "majority_accuracy": 0.55, "seconds": 2.0, **columns})


def known(*labels: str) -> pd.DataFrame:
    """The configurations of these labels."""
    return pd.DataFrame({"label": labels, "configuration_hash": [f"hash {label}" for label in labels], "parameters": 100})


def test_table_by_hand() -> None:
    """Every column of one configuration, worked out by hand; Student's t with one degree of freedom is Cauchy: tan(0.475 pi)."""
    rounds = frame(
        {"a": [0.6, 0.8, None], "b": [0.57, 0.9, 0.9]}, seconds=[1.0, 3.0, 9.0, 4.0, 4.0, 1.0], digit_accuracy=[0.5, 0.7, np.nan] * 2
    )
    first, second = summarise(rounds, known("a", "b")).to_dict("records")
    half = math.tan(0.475 * math.pi) * 0.001
    close = summarise(frame({"a": [0.699, 0.701]}), known("a")).iloc[0]
    assert (close["low"], close["high"]) == (pytest.approx(0.7 - half), pytest.approx(0.7 + half))
    # a hundred times as wide, it would end below zero and above one
    expected = {"rounds": 2, "failed": 1, "mean": 0.7, "std": 0.1 * 2**0.5, "low": 0.0, "high": 1.0}
    expected |= {"min": 0.6, "max": 0.8, "untrained": 0, "digit_accuracy": 0.6, "seconds": 2.0, "normalised_time": 100.0, "parameters": 100}
    expected |= {"total_seconds": 13.0, "lost": 1, "all": 3, "lost_share": 1 / 3, "mean_with_failed": (0.6 + 0.8 + 0.55) / 3}
    expected |= {"median": 0.6, "interquartile_mean": -np.inf, "collapsed": 0}  # of -inf, 0.6 and 0.8
    assert {name: first[name] for name in expected} == pytest.approx(expected)
    assert math.isnan(first["median_low"])
    assert (first["lost_low"], first["lost_high"]) == wilson(1, 3)[1:]
    assert (second["untrained"], second["lost"], second["median"], second["normalised_time"]) == (1, 1, 0.9, 150.0)
    assert math.isnan(second["mean_with_failed"])


def test_untrained_means_at_most_three_points_above_the_majority() -> None:
    """0.58 is 3 points above 0.55 though binary fractions say otherwise; 0.581 is more; the rarer answer is nothing learnt."""
    table = summarise(frame({"a": [0.58, 0.52, 0.581, 0.42, 0.9]}), known("a"))
    assert table["untrained"].item() == 3


def test_failed_rounds_do_not_vanish() -> None:
    """Three of thirty: 86.74 % over the others is 83.57 % when they count as the majority rate of 55 %; they are below the median."""
    values = [0.8674 + step / 1000 for step in range(-13, 14)]
    row = summarise(frame({"a": [*values, None, None, None]}), known("a")).iloc[0]
    assert (row["mean"], row["mean_with_failed"]) == (pytest.approx(0.8674), pytest.approx(0.83566))
    assert row["median"] == pytest.approx((values[11] + values[12]) / 2)
    assert (row["median_low"], row["median_high"]) == (pytest.approx(values[6]), pytest.approx(values[17]))  # ranks 10 and 21 of 30
    assert row["interquartile_mean"] == pytest.approx(np.mean(values[4:20]))
    assert (row["lost"], row["all"]) == (3, 30)


def test_collapsed_rounds_are_counted() -> None:
    """Rounds that are done and far below the others, or, of a loss, above."""
    near, losses = [0.9, 0.91, 0.92, 0.93, 0.94, 0.9, 0.91, 0.92, 0.93], [0.1, 0.11, 0.12, 0.13, 0.14, 0.1, 0.11, 0.12, 0.13]
    rounds = frame({"a": [*near, 0.56, None]}, train_loss=[*losses, 3.0, np.nan])
    assert [summarise(rounds, known("a"), METRICS[name])["collapsed"].item() for name in ("test_accuracy", "train_loss")] == [1, 1]
    few = frame({"a": [0.886, 0.885, 0.876, 0.889, 0.887]})  # whose spread is itself a matter of chance
    assert summarise(few, known("a"))["collapsed"].item() == 0


def test_saturation() -> None:
    """The first epoch within half a point of the last one's mean, from below or above."""
    values = {"a": [0.5, 0.895, 0.92, 0.9], "b": [0.5, 0.6, 0.894, 0.9]}
    curves = pd.DataFrame(
        [{"label": label, "epoch": epoch, "mean": mean} for label, means in values.items() for epoch, mean in enumerate(means, 1)]
    )
    assert saturation(curves).to_dict() == {"a": 2, "b": 4}


def test_interval_agrees_with_scipy() -> None:
    """The interval of the mean is that of scipy's one-sample t test."""
    values = [0.83, 0.84, 0.79, 0.851, 0.86]
    table = summarise(frame({"a": values}), known("a"))
    interval = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (table["low"].item(), table["high"].item()) == (pytest.approx(interval.low), pytest.approx(interval.high))


def test_interval_covers_the_mean_as_often_as_it_says() -> None:
    """Of 2000 intervals over 8 normal draws each, 93 to 97 % hold the true mean."""
    random = np.random.default_rng(20260101)
    draws = pd.Series(random.normal(0.85, 0.02, 16000))
    intervals = moments(draws.groupby(np.repeat(np.arange(2000), 8)))
    covered = ((intervals["low"] <= 0.85) & (intervals["high"] >= 0.85)).mean()
    assert 0.93 <= covered <= 0.97


def test_one_round_and_none() -> None:
    """One round has a mean and no deviation; a configuration whose rounds all failed has nothing, and stays in the table."""
    one, none = summarise(frame({"a": [0.8], "b": [None]}), known("a", "b")).to_dict("records")
    assert (one["rounds"], one["mean"]) == (1, 0.8)
    assert all(math.isnan(one[name]) for name in ("std", "low", "high"))
    assert (none["rounds"], none["failed"], none["untrained"]) == (0, 1, 0)
    assert all(math.isnan(none[name]) for name in ("mean", "median", "seconds"))


def test_curves_and_distances() -> None:
    """Mean, deviation, count and quartiles per epoch; accuracy by distance is a mean over rounds, not over pairs."""
    epochs = pd.DataFrame({"label": ["a"] * 4, "seed": [0, 0, 1, 1], "epoch": [1, 2, 1, 2], "test_accuracy": [0.5, 0.6, 0.7, 0.8]})
    assert curve_means(epochs).to_numpy().tolist() == [
        ["a", 1, pytest.approx(0.6), pytest.approx(0.02**0.5), 2, 0, *map(pytest.approx, [0.55, 0.6, 0.65])],
        ["a", 2, 0.7, pytest.approx(0.02**0.5), 2, 0, *map(pytest.approx, [0.65, 0.7, 0.75])],
    ]
    distances = pd.DataFrame(
        {"label": ["a"] * 4, "seed": [0, 1, 0, 1], "distance": [0, 0, 9, 9], "pairs": [10, 90, 5, 0], "right": [10, 45, 4, 0]}
    )
    near, far = by_distance(distances).to_dict("records")
    assert (near["mean"], near["count"], far["mean"], far["count"]) == (0.75, 2, 0.8, 1)


def test_a_round_that_ended_early_stays_in_the_means() -> None:
    """With its last value, up to where the longest round of its configuration ends: the means of all epochs are over the same rounds."""
    values = {("a", 0): [0.5, 0.6], ("a", 1): [0.5, 0.6, 0.7, 0.8], ("b", 0): [0.9]}
    epochs = pd.DataFrame(
        [(label, seed, epoch, value) for (label, seed), own in values.items() for epoch, value in enumerate(own, 1)],
        columns=["label", "seed", "epoch", "test_accuracy"],
    )
    curves = curve_means(epochs)
    assert curves[["label", "epoch", "count", "carried"]].to_numpy().tolist() == [
        ["a", 1, 2, 0],
        ["a", 2, 2, 0],
        ["a", 3, 2, 1],
        ["a", 4, 2, 1],
        ["b", 1, 1, 0],
    ]
    assert list(curves["mean"]) == pytest.approx([0.5, 0.6, 0.65, 0.7, 0.9])
    assert saturation(curves).to_dict() == {"a": 4, "b": 1}
    assert curve_means(epochs[:0]).empty


def test_epochs_at_which_some_rounds_were_not_tested_have_no_mean() -> None:
    """Looked at every fifth epoch, and where a round ends: in between, those that ended are not all."""
    tested = {0: {5: 0.60, 10: 0.70, 15: 0.85, 20: 0.90}, 1: {5: 0.85, 7: 0.905}}
    rows = [("a", seed, epoch, own.get(epoch, np.nan)) for seed, own in tested.items() for epoch in range(1, max(own) + 1)]
    curves = curve_means(pd.DataFrame(rows, columns=["label", "seed", "epoch", "test_accuracy"]))
    assert curves[["epoch", "count", "carried"]].to_numpy().tolist() == [[5, 2, 0], [10, 2, 1], [15, 2, 1], [20, 2, 1]]
    assert list(curves["mean"]) == pytest.approx([0.725, 0.8025, 0.8775, 0.9025])
    assert saturation(curves).to_dict() == {"a": 20}


def test_boxes_are_tukeys() -> None:
    """Quartiles by linear interpolation; whiskers stop at the last point within 1.5 box lengths, and never inside the box."""
    box = spread(frame({"a": [0.1, 0.5, 0.6, 0.7, 0.8]})).iloc[0]
    assert box[["q1", "median", "q3", "low", "high"]].tolist() == [0.5, 0.6, 0.7, 0.5, 0.8]
    outlying = spread(frame({"a": [0.0, 0.88, 0.89, 0.9]})).iloc[0]
    assert outlying["low"] <= outlying["q1"]
