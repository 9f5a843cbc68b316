"""Summaries and comparisons by order and rank, which a round that collapses now and then does not carry away.

Functions of arrays [n] without NaN, of any unit; ±inf stands for a round that lost or won by more than any other. Intervals are closed;
an end that n values cannot give at the level is infinite.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

Values = np.ndarray[tuple[int], np.dtype[np.floating[Any]]]
Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]
Ranks = np.ndarray[tuple[int], np.dtype[np.int64]]

LEVEL = 0.95  # of every interval, unless another one is asked for
EXACT = 300  # so many differences have the exact null distribution of the signed-rank test, more of them the normal approximation
DIGITS = 10  # values that agree in so many digits of the largest are equal, as 0.9 - 0.8 and 0.8 - 0.7 should be
NEAR = 5e-8  # as are those no farther apart: k / n in the 8 digits of records is off by up to 5e-9, a difference less a shift by 2e-8
LOW = 6 * 1.4826  # median absolute deviations below the median: six standard deviations of normal values


class Estimate(NamedTuple):
    """A value with its interval."""

    value: float
    low: float
    high: float

    def bounded(self) -> "Estimate":
        """NaN for the ends of an interval that says nothing; an end alone may be infinite."""
        return Estimate(self.value, np.nan, np.nan) if np.isinf(self.low) and np.isinf(self.high) and self.low != self.high else self


def median_interval(values: Values, level: float = LEVEL) -> Estimate:
    """The median, between two order statistics that hold the true one with a probability of at least `level`, whatever the distribution.

    The ranks are binomial quantiles (Thompson 1936; Hollander, Wolfe and Chicken 2014, section 3.6). At 95 %: unbounded below 6 values.
    """
    count, ordered = len(values), np.sort(values)
    outside = int(stats.binom.ppf((1 - level) / 2, count, 0.5))  # the first at which (1 - level) / 2 is reached: so many may lie outside
    if outside < 1:
        return Estimate(middle(ordered), -np.inf, np.inf)
    return Estimate(middle(ordered), float(ordered[outside - 1]), float(ordered[count - outside]))


def middle(ordered: Values) -> float:
    """The median of sorted values, NaN of none."""
    return float(ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2 if len(ordered) else np.nan


def interquartile_mean(values: Values) -> float:
    """The mean without the lower and the upper quarter (Agarwal et al. 2021, as in their rliable: whole values); NaN of none."""
    return float(stats.trim_mean(values, 0.25)) if len(values) else np.nan


def wilson(count: float, total: int, level: float = LEVEL) -> Estimate:
    """The share count / total with its score interval (Wilson 1927; Brown, Cai and DasGupta 2001). Of nothing: NaN, 0 to 1.

    count may be a sum of halves: of values 0, 1/2 and 1 the variance is at most that of 0 and 1, so that the interval is not too narrow.
    """
    if total == 0:
        return Estimate(np.nan, 0.0, 1.0)
    share, square = count / total, float(stats.norm.ppf((1 + level) / 2)) ** 2
    centre = (count + square / 2) / (total + square)
    half = float(np.sqrt(square * (total * share * (1 - share) + square / 4))) / (total + square)
    # at the ends the formula is 0 or 1, but for rounding
    return Estimate(share, 0.0 if count == 0 else centre - half, 1.0 if count == total else centre + half)


def probability_better(differences: Values, level: float = LEVEL) -> Estimate:
    """The share of differences above zero, those at zero by half: the probability of improvement (Agarwal et al. 2021), here of pairs.

    Its interval is Wilson's, which is not too narrow where there are ties.
    """
    return wilson(float((differences > 0).sum() + (differences == 0).sum() / 2), len(differences), level)


def is_collapsed(values: Values) -> Flags:
    """Which values are far below the others: six standard deviations, told by the median absolute deviation (Hampel 1974).

    None where more than half of the values are equal: there is nothing to measure by.
    """
    finite = values[np.isfinite(values)]
    if not len(finite):
        return np.zeros(len(values), dtype=bool)
    centre = np.median(finite)
    deviation = np.median(np.abs(finite - centre))
    low: Flags = (values < centre - LOW * deviation) & (deviation > 0)
    return low


def paired_differences(here: Values, there: Values) -> Values:
    """here - there [n], as every comparison has them: infinite where one round failed; zero where both did, and where they are the same
    but for the digits that records leave out."""
    tied = here == there  # two that failed: their difference would be no number
    found = here - np.where(tied, 0.0, there)
    return np.where(tied | (np.abs(found) <= NEAR), 0.0, np.round(found, DIGITS))


def hodges_lehmann(differences: Values, level: float = LEVEL) -> Estimate:
    """The centre of differences: the median of the Walsh averages (Hodges and Lehmann 1963; Hollander, Wolfe and Chicken 2014, 3.2, 3.3).

    The interval inverts `signed_rank_p`: it reaches from the lowest to the highest shift whose p is above 1 - level. So it has that level
    for all symmetric distributions, with or without ties; ends are included. NaN of no differences. At 95 %: unbounded below 6. What is
    zero but for rounding is zero.
    """
    if not len(differences):
        return Estimate(np.nan, -np.inf, np.inf)
    values, reach = clipped(differences)
    averages = walsh_averages(values)
    found = middle(averages), lowest_shift(values, averages, 1 - level), -lowest_shift(-values, -averages[::-1], 1 - level)
    off = [0.0 if abs(end) <= tolerance(values) else end for end in found]
    return Estimate(*(float(np.copysign(np.inf, end)) if abs(end) > 2 * reach else end for end in off))


def clipped(differences: Values) -> tuple[Values, float]:
    """The differences with finite values for infinite ones, and the largest of the finite: averages with the others are over twice that."""
    reach = float(np.abs(differences[np.isfinite(differences)]).max(initial=0.0))
    beyond = 10 * (1 + reach)
    return np.clip(differences, -beyond, beyond), reach


def walsh_averages(values: Values) -> Values:
    """The means of all n (n + 1) / 2 pairs of values, of each with itself too, sorted."""
    first, second = np.triu_indices(len(values))
    return np.sort((values[first] + values[second]) / 2)


def lowest_shift(values: Values, averages: Values, alpha: float) -> float:
    """The lower end of the interval of `hodges_lehmann`; -inf where no shift is rejected.

    p is constant between neighbouring Walsh averages, and another one at each. The search begins where the normal approximation has the
    end, goes inwards to a shift that is not rejected, at most to the median, and from there outwards until two in a row are rejected.
    """
    ends = averages[np.concatenate([[True], np.diff(averages) > tolerance(averages)])]
    inner = (ends[1:] + ends[:-1]) / 2
    shifts = np.empty(2 * len(ends) + 1)  # below all averages, at the first, between the first and the second, at the second, ...
    shifts[1::2], shifts[2:-1:2], shifts[[0, -1]] = ends, inner, (ends[0] - 1, ends[-1] + 1)

    @cache
    def accepted(place: int) -> bool:
        return signed_rank_p(values - shifts[place]) > alpha

    middle = len(averages) // 2
    below = max(0, len(averages) - int(normal_quantile(len(values), alpha)) - 1)
    # where in the shifts these averages are, or what is equal to them, and for the first what is below it
    place, last = 2 * np.searchsorted(ends, averages[[min(below, middle), middle]] - tolerance(averages)) + [0, 1]
    while place < last and not accepted(place):
        place += 1
    while nearest := [step for step in (1, 2) if place >= step and accepted(place - step)]:
        place -= nearest[0]
    return float(ends[(place - 1) // 2]) if place else -np.inf


def normal_quantile(count: int, alpha: float) -> float:
    """The sum of the ranks of positive differences, of so many, that the normal approximation exceeds with a probability of alpha / 2."""
    deviation = np.sqrt(count * (count + 1) * (2 * count + 1) / 24)
    return count * (count + 1) / 4 + float(stats.norm.ppf(1 - alpha / 2) * deviation)


def signed_rank_p(differences: Values) -> float:
    """The two-sided p of Wilcoxon's signed-rank test of a symmetric distribution around zero; 1 where all differences are zero.

    Equal differences share the mean of their ranks; zeros are ranked, then dropped (Pratt 1959: p would else fall where a difference
    nears zero, and the interval have holes). The null distribution is that of all signs of these ranks, exact (as in Hothorn and Hornik's
    exactRankTests) up to 300 differences; the normal approximation, with its correction for ties, beyond.
    """
    ranks, above = signed_ranks(differences)
    return min(1.0, 2 * tail(ranks, min(above, int(ranks.sum()) - above)))


def below_zero_p(differences: Values) -> float:
    """The one-sided p of the same test, against a distribution around something below zero."""
    return tail(*signed_ranks(differences))


def signed_ranks(differences: Values) -> tuple[Ranks, int]:
    """Twice the ranks of the differences that are not zero, and the sum of those of positive ones."""
    values, _ = clipped(differences)
    some = np.abs(values) > tolerance(values)
    ranks = doubled_ranks(np.abs(values))[some]  # doubled: whole numbers
    return ranks, int(ranks[values[some] > 0].sum())


def tail(ranks: Ranks, most: int) -> float:
    """The probability that the doubled ranks of positive differences add up to at most `most`; 1 of none."""
    if len(ranks) <= EXACT:
        return lower_tail(ranks, most)
    return float(stats.norm.cdf((most + 1 - int(ranks.sum()) / 2) / np.sqrt(np.square(ranks, dtype="float64").sum() / 4)))


def tolerance(values: Values) -> float:
    """Values that are nearer to each other are equal."""
    return max(NEAR, float(np.abs(values).max(initial=0.0) * 10.0**-DIGITS))


def doubled_ranks(sizes: Values) -> Ranks:
    """Twice the rank of each size, equal ones sharing the mean of theirs."""
    order = np.argsort(sizes, kind="stable")
    ordered = sizes[order]
    starts = np.flatnonzero(np.concatenate([[True], np.diff(ordered) > tolerance(sizes)]))
    stops = np.append(starts[1:], len(sizes))
    ranks = np.empty(len(sizes), dtype="int64")
    ranks[order] = np.repeat(starts + stops + 1, stops - starts)  # ranks starts + 1 to stops
    return ranks


def lower_tail(ranks: Ranks, most: int) -> float:
    """The probability that the sum of those ranks whose coin shows heads is at most `most`."""
    shares = np.zeros(most + 1)
    shares[0] = 1.0
    for rank in np.sort(ranks).tolist():
        half = shares / 2
        shares[rank:] = half[rank:] + half[: max(0, most + 1 - rank)]
        shares[:rank] = half[:rank]
    return float(shares.sum())
