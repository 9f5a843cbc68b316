"""Order and rank statistics against textbooks, scipy, brute force, and simulated coverage."""

from itertools import product

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from benchmarks.coverage import measure
from digitcmp.report.ranks import (
    Values,
    below_zero_p,
    hodges_lehmann,
    interquartile_mean,
    is_collapsed,
    median_interval,
    probability_better,
    signed_rank_p,
    wilson,
)

# Hollander and Wolfe's Example 3.1: depression scale of nine patients, before and after a tranquilliser
BEFORE = np.array([1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30])
AFTER = np.array([0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29])
coarse = st.lists(st.integers(-4, 4), min_size=1, max_size=8).map(lambda found: np.array(found, dtype="float64") / 10)


def counted_p(differences: Values) -> float:
    """The p of `signed_rank_p` by counting all signs: ranks with zeros, zeros dropped."""
    ranks = stats.rankdata(np.abs(differences).round(9))[np.abs(differences) > 1e-9]
    above = ranks[differences[np.abs(differences) > 1e-9] > 0].sum()
    least = min(above, ranks.sum() - above)
    sums = np.array([np.dot(signs, ranks) for signs in product((0, 1), repeat=len(ranks))])
    return min(1.0, 2 * float((sums <= least).mean()))


def test_textbook() -> None:
    """Estimate 0.46, p 0.0391, and R's wilcox.test(…, conf.int = TRUE): 0.010 to 0.786."""
    assert hodges_lehmann(BEFORE - AFTER) == pytest.approx((0.46, 0.010, 0.786))
    assert signed_rank_p(BEFORE - AFTER) == pytest.approx(0.0390625)


@pytest.mark.parametrize("count", [1, 5, 13, 40, 120])
def test_p_without_ties_is_that_of_scipy(count: int) -> None:
    """Its exact distribution, at any number of pairs."""
    differences = np.random.default_rng(count).normal(0.2, 1, count)
    assert signed_rank_p(differences) == pytest.approx(stats.wilcoxon(differences, method="exact").pvalue)


@pytest.mark.parametrize("count", [1, 5, 13, 40, 120])
def test_one_side_without_ties_is_that_of_scipy(count: int) -> None:
    """On the side of what is below zero, and on the other one."""
    differences = np.random.default_rng(count).normal(-0.2, 1, count)
    for values in (differences, -differences):
        assert below_zero_p(values) == pytest.approx(stats.wilcoxon(values, alternative="less", method="exact").pvalue)


def test_many_pairs_are_approximated() -> None:
    """One pair more than have the exact distribution: the same p in three digits, with ties and without."""
    for differences in (np.random.default_rng(1).normal(0.06, 1, 301), np.random.default_rng(1).normal(0.6, 10, 301).round()):
        exact = stats.wilcoxon(differences, method="approx", correction=True, zero_method="pratt").pvalue
        assert signed_rank_p(differences) == pytest.approx(exact, rel=2e-3)
        assert signed_rank_p(differences) == pytest.approx(signed_rank_p(differences[:300]), rel=0.25)


@pytest.mark.parametrize(
    "differences", [[-3, -3, 1, -2, 1, 0, 0, -4], [0, -1, -1, -1, 1, -2], [1, 2, 0, 2, -1, 3, 3], [0, 0, -1], [-2, -2, -2, -2, -2]]
)
def test_one_side_with_ties_and_zeros_is_that_of_scipy(differences: list[int]) -> None:
    """Over all signs, zeros ranked and then dropped."""
    values = np.array(differences) / 10
    method = stats.PermutationMethod(n_resamples=np.inf)  # all that there are
    known = stats.wilcoxon(values, alternative="less", zero_method="pratt", method=method)
    assert below_zero_p(values) == pytest.approx(known.pvalue)
    assert below_zero_p(np.zeros(5)) == 1


@given(coarse)
def test_two_sides_are_twice_the_smaller_one(differences: Values) -> None:
    """At most 1."""
    assert signed_rank_p(differences) == min(1.0, 2 * min(below_zero_p(differences), below_zero_p(-differences)))


@given(coarse)
def test_p_is_that_of_all_signs(differences: Values) -> None:
    """With ties and zeros too; and of the other side it is the same."""
    assert signed_rank_p(differences) == pytest.approx(counted_p(differences))
    assert signed_rank_p(-differences) == pytest.approx(signed_rank_p(differences))


@given(coarse, st.sampled_from([0.5, 0.8, 0.95]))
@example(np.array([0.2, 0.3, 0.3, 0.3, 0.3, 0.4]), 0.5)  # accepted at the median alone, and sums of binary fractions differ there
@settings(max_examples=50, deadline=None)
def test_interval_holds_the_shifts_that_are_not_rejected(differences: Values, level: float) -> None:
    """Looked for among all Walsh averages and what lies between them."""
    shifts = np.arange(-0.85, 0.86, 0.025)
    kept = [shift for shift in shifts if counted_p(differences - shift) > 1 - level]
    _, low, high = hodges_lehmann(differences, level)
    if kept[0] < -0.8:
        assert (low, high) == (-np.inf, np.inf)
    else:  # between two Walsh averages: it begins at the lower one
        assert low - 1e-9 <= kept[0] < low + 0.05
        assert high - 0.05 < kept[-1] <= high + 1e-9


@given(coarse, st.floats(-5, 5), st.floats(0.1, 9))
def test_estimates_move_with_the_values(differences: Values, shift: float, scale: float) -> None:
    """A shift and a scale of all differences are one of the estimate and its ends; so is the sign."""
    for estimate in (hodges_lehmann, median_interval):
        found = estimate(differences)
        assert estimate(differences * scale + shift) == pytest.approx([end * scale + shift for end in found])
        assert estimate(-differences) == pytest.approx((-found.value, -found.high, -found.low))


def test_infinite_differences() -> None:
    """Those of failed rounds: the estimate hardly moves, an interval reaches to infinity where they could be any quantile, and two
    that failed on either side cancel."""
    differences = np.concatenate([np.arange(1.0, 20), [-np.inf]])
    assert hodges_lehmann(differences) == hodges_lehmann(np.concatenate([np.arange(1.0, 20), [-1000]]))
    assert hodges_lehmann(np.array([1.0, 2, 3, -np.inf, -np.inf, -np.inf])).low == -np.inf
    assert hodges_lehmann(np.full(6, -np.inf)) == (-np.inf, -np.inf, -np.inf)
    assert hodges_lehmann(np.array([-np.inf, np.inf])).value == 0
    assert signed_rank_p(np.array([-np.inf, np.inf])) == 1


def test_few_values_bound_nothing() -> None:
    """Two signs of five values, at 1 in 16, are not 5 %; of six, at 1 in 32, they are."""
    for estimate in (hodges_lehmann, median_interval):
        assert estimate(np.arange(5.0)) == (2, -np.inf, np.inf)
        assert estimate(np.arange(6.0)) == (2.5, 0, 5)
        assert np.isnan(estimate(np.array([])).value)


@given(st.integers(6, 200), st.sampled_from([0.9, 0.95, 0.99]))
def test_ranks_of_the_median(count: int, level: float) -> None:
    """As near as a binomial distribution allows: at least the level, and below it one rank further in."""
    _, low, high = median_interval(np.arange(count, dtype="float64"), level)
    if np.isinf(low):
        assert 2 * 0.5**count > 1 - level
        return
    assert low == count - 1 - high
    assert 2 * stats.binom.cdf(low, count, 0.5) <= 1 - level < 2 * stats.binom.cdf(low + 1, count, 0.5)


def test_shares_by_hand() -> None:
    """Wilson's interval of 27 of 30 as Brown, Cai and DasGupta's formula has it, and scipy; better: won and half of tied."""
    for count, total in ((27, 30), (0, 10), (10, 10), (1, 1)):
        known = stats.binomtest(count, total).proportion_ci(method="wilson")
        assert wilson(count, total) == pytest.approx((count / total, known.low, known.high))
    assert wilson(0, 0)[1:] == (0, 1)
    assert probability_better(np.array([0.1, 0, -0.2, 0.3])) == wilson(2.5, 4)


def test_quarters() -> None:
    """Two of eight values are left out on either side; one that lost by more than any other does not count, three of eight do."""
    assert interquartile_mean(np.array([-np.inf, 1, 2, 3, 4, 5, 6, 100])) == 3.5
    assert interquartile_mean(np.array([-np.inf, -np.inf, -np.inf, 3, 4, 5, 6, 100])) == -np.inf
    assert np.isnan(interquartile_mean(np.array([])))


def test_collapsed() -> None:
    """Far below, not above; none where most are equal; one that failed is below anything."""
    assert is_collapsed(np.array([90.0, 91, 92, 90, 91, 56, 120])).tolist() == [False] * 5 + [True, False]
    assert not is_collapsed(np.array([90.0, 90, 90, 56])).any()
    assert is_collapsed(np.array([90.0, 91, 92, -np.inf])).tolist() == [False] * 3 + [True]
    assert not is_collapsed(np.array([])).any()


@pytest.mark.parametrize(("rounds", "mean"), [(10, 0.39), (30, 0.60), (100, 0.89)])
def test_coverage_where_rounds_collapse(rounds: int, mean: float) -> None:
    """The interval of the mean misses it far more often than 1 time in 20; those of medians, differences and shares do not (in 1,000
    repetitions; `python -m benchmarks.coverage` has more)."""
    found = measure(rounds, 1000, seed=1)
    assert found["mean"] == pytest.approx(mean, abs=0.04)
    assert 0.945 <= found["median"] <= 0.995
    assert 0.945 <= found["difference"] <= 0.985
    assert 0.94 <= found["share"] <= 0.98
    assert found["found"] <= 0.06


@pytest.mark.parametrize("count", [30, 100, 300])
def test_coverage_of_shares(count: int) -> None:
    """Wilson's interval of a share of 3 to 20 %: 94 to 97 %, worked out from the binomial distribution."""
    intervals = [wilson(k, count) for k in range(count + 1)]
    shares = np.linspace(0.03, 0.2, 200)
    inside = np.array([[low <= share <= high for _, low, high in intervals] for share in shares])
    coverage = (inside * stats.binom.pmf(np.arange(count + 1), count, shares[:, None])).sum(axis=1)
    assert 0.94 <= coverage.mean() <= 0.97
