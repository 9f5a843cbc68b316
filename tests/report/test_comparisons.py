"""Paired comparisons against published and hand-made values."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from digitcmp.errors import RunError
from digitcmp.report.comparisons import compare, find_baseline, holm, paired
from digitcmp.report.metrics import METRICS
from digitcmp.report.ranks import hodges_lehmann, signed_rank_p, wilson
from digitcmp.report.statistics import moments
from tests.report.test_statistics import frame, known

# Darwin's maize (Fisher, The Design of Experiments, 1935, section 17): height of crossed minus self-fertilised plants,
# eighths of an inch. Fisher: t = 2.148, interval of the mean from 0.03 to 41.8 eighths. Wilcoxon: T = 24, p = 0.0413 (exact).
DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]


def test_published_example() -> None:
    """Darwin's fifteen pairs, a thousandth of a point for an eighth of an inch: mean, interval, p and both effect sizes."""
    here = pd.Series(DARWIN) / 1000 + 0.5
    result = paired(here, pd.Series([0.5] * 15))
    # Walsh averages by R's wilcox.test: 22.5 eighths, 1.0 to 41.5 (the pairs give 3.1 inches in the textbooks)
    assert (result["difference"], result["p"]) == (
        pytest.approx(hodges_lehmann(np.array(DARWIN) / 1000).value),
        pytest.approx(0.0413, abs=1e-4),
    )
    assert result["mean"] == pytest.approx(0.0209333, abs=1e-7)
    assert (result["low"], result["high"]) == (pytest.approx(0.0000313, abs=1e-6), pytest.approx(0.0418354, abs=1e-6))
    assert result["p"] == pytest.approx(0.041259765625)
    assert result["d_z"] == pytest.approx(2.148 / math.sqrt(15), abs=1e-4)
    assert result["rank_biserial"] == pytest.approx((96 - 24) / 120)
    assert (result["pairs"], result["won"], result["tied"], result["lost"]) == (15, 13, 0, 2)


def test_interval_agrees_with_scipy_on_a_frame() -> None:
    """`compare` pairs by seed, whatever the order of the rounds."""
    rounds = frame({"a": [0.80, 0.82, 0.85, 0.79], "b": [0.83, 0.86, 0.84, 0.85]}).sample(frac=1, random_state=1)
    row = compare(rounds, "a").iloc[0]
    interval = stats.ttest_rel([0.83, 0.86, 0.84, 0.85], [0.80, 0.82, 0.85, 0.79]).confidence_interval(0.95)
    assert (row["low"], row["high"]) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert (row["label"], row["baseline"], row["won"], row["lost"]) == ("b", "a", 3, 1)


def test_seeds_on_one_side_are_counted_and_left_out() -> None:
    """Baseline seeds 1 2 5, others 0 1 2: pairs at 1 and 2 only."""
    rounds = frame({"a": [None, 0.6, 0.6, 0.5], "b": [0.9, 0.7, 0.8]})[1:]
    rounds = rounds.assign(seed=rounds["seed"].replace(3, 5))
    row = compare(rounds, "a").iloc[0]
    assert (row["pairs"], row["only_here"], row["only_baseline"]) == (2, 1, 1)
    assert (row["mean"], row["difference"]) == (pytest.approx(0.15), pytest.approx(0.15))


def test_a_failed_round_loses() -> None:
    """Whatever the other side is; two that failed tie. Means leave the pair out, ranks have it at the end."""
    rounds = frame({"a": [0.6, 0.6, None, None, 0.6, 0.6, 0.6], "b": [0.7, None, 0.51, None, 0.8, 0.9, 0.65]})
    row, back = compare(rounds, "a").iloc[0], compare(rounds, "b").iloc[0]
    assert (row["won"], row["tied"], row["lost"], row["pairs"], row["done"]) == (5, 1, 1, 7, 4)
    assert (back["won"], back["lost"]) == (1, 5)
    assert row["mean"] == pytest.approx(0.1625)
    assert row["p"] == signed_rank_p(np.array([0.1, -np.inf, np.inf, 0.0, 0.2, 0.3, 0.05]))
    assert row["difference"] == pytest.approx(0.1125)  # the median of 28 Walsh averages, of which 6 are infinite on either side
    assert (row["better"], row["better_low"], row["better_high"]) == wilson(5.5, 7)


def test_a_round_that_failed_loses_in_other_metrics(trained_loss: pd.DataFrame) -> None:
    """A loss that is lower is better, and that of a failed round is higher than any."""
    row = compare(trained_loss, "a", METRICS["train_loss"]).iloc[0]
    assert (row["won"], row["lost"], row["rank_biserial"]) == (0, 4, -1)
    assert row["difference"] == pytest.approx(0.1)


@pytest.fixture
def trained_loss() -> pd.DataFrame:
    """Four seeds: a has the lower loss three times, and b failed once."""
    return frame({"a": [0.8] * 4, "b": [0.8, 0.8, 0.8, None]}, train_loss=[0.1] * 4 + [0.2] * 3 + [0.0])


def test_equal_samples_are_no_evidence() -> None:
    """All differences zero: p is 1, effects are 0, the interval is a point."""
    row = compare(frame({"a": [0.8, 0.9, 0.7], "b": [0.8, 0.9, 0.7]}), "a").iloc[0]
    assert (row["p"], row["p_holm"], row["d_z"], row["rank_biserial"]) == (1, 1, 0, 0)
    assert (row["mean"], row["low"], row["high"], row["tied"]) == (0, 0, 0, 3)


def test_ties_are_seen_through_binary_fractions() -> None:
    """0.9 - 0.8 and 0.8 - 0.7 differ as binary fractions but are ties; zeros are dropped from the ranks but counted as tied."""
    result = paired(pd.Series([0.9, 0.7, 0.5, 0.3]), pd.Series([0.8, 0.8, 0.5, 0.1]))
    # |differences| 0.1 0.1 (0) 0.2: ranks 1.5 1.5 3, so (1.5 + 3 - 1.5) / 6
    assert result["rank_biserial"] == pytest.approx(0.5)
    assert (result["won"], result["tied"], result["lost"]) == (2, 1, 1)


@pytest.mark.parametrize(("values", "bounded"), [([0.05], False), ([0.05, 0.05], False), ([0.0, 0.0], False), ([0.05] * 3, True)])
def test_two_equal_values_have_no_interval(values: list[float], bounded: bool) -> None:
    """Neither their mean's, nor that of their difference from others: two seeds often tie, which says nothing of how far others spread."""
    result = paired(pd.Series(values) + 0.5, pd.Series([0.5] * len(values)))
    assert (result["mean"], math.isfinite(result["low"]), math.isfinite(result["high"])) == (pytest.approx(values[0]), bounded, bounded)
    row = moments(pd.Series(values).groupby([0] * len(values))).iloc[0]
    assert (row["mean"], math.isfinite(row["low"]), math.isfinite(row["high"])) == (pytest.approx(values[0]), bounded, bounded)


def test_equal_differences_have_no_standardised_effect() -> None:
    """Always 0.1 better: no deviation to measure by."""
    result = paired(pd.Series([0.9, 0.8, 0.7]), pd.Series([0.8, 0.7, 0.6]))
    assert math.isnan(result["d_z"])
    assert result["rank_biserial"] == 1


def test_holm_by_hand() -> None:
    """0.01 x 3, 0.03 x 2, and 0.04 x 1 raised to the one before; a missing p neither counts nor changes."""
    assert holm(pd.Series([0.01, 0.04, np.nan, 0.03])).tolist() == pytest.approx([0.03, 0.06, np.nan, 0.06], nan_ok=True)


def test_one_pair_and_none() -> None:
    """One pair has a difference and no test; a configuration without rounds has nothing."""
    rounds = frame({"a": [0.8], "b": [0.9], "c": [0.5]})
    one, none = compare(rounds.assign(seed=[0, 0, 1]), "a").to_dict("records")
    assert (one["pairs"], one["mean"], one["difference"]) == (1, pytest.approx(0.1), pytest.approx(0.1))
    unknown = ("difference_low", "difference_high", "low", "high", "p", "p_holm", "d_z", "rank_biserial")
    assert all(math.isnan(found[name]) for found in (one, none) for name in unknown)
    assert (none["pairs"], none["only_here"], none["only_baseline"]) == (0, 1, 1)
    assert math.isnan(none["better"])
    assert compare(frame({"a": [0.8, 0.9]}), "a").empty


def test_baseline_by_label_or_hash() -> None:
    """Also by the label that it had before it got another name; an unknown one is answered with the nearest and all labels."""
    configurations = known("net1", "net2")
    assert [find_baseline(configurations, name) for name in ("net2", "hash net2")] == ["net2", "net2"]
    renamed = {"wsn": "net2", "net1": "net3"}
    assert [find_baseline(configurations, name, renamed) for name in ("wsn", "net1", "net2")] == ["net2", "net1", "net2"]
    with pytest.raises(
        RunError, match=r"baseline 'nett2': there is no such configuration \(did you mean 'net2'\?\); choose one of 'net1', 'net2'"
    ):
        find_baseline(configurations, "nett2")
