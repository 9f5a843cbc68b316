"""Full factorial designs: what each of several switches buys, alone and beside the others, paired by seed.

A sweep is one where its configurations are all combinations of two levels of two or more factors. Effects are contrasts of cell means
(Yates 1937; Montgomery 2017, chapter 6), worked out for every seed that all cells have, so that what makes a seed easy cancels.
"""

from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from digitcmp.report.comparisons import by_seed, paired
from digitcmp.report.labels import is_number, short_keys, shown
from digitcmp.report.metrics import TEST_ACCURACY, Metric
from digitcmp.report.ranks import LEVEL
from digitcmp.report.statistics import ROUNDING, without_done

Matrix = np.ndarray[Any, np.dtype[np.floating[Any]]]
Values = np.ndarray[Any, np.dtype[np.bool_]]

FACTORS = range(2, 7)  # of a design whose effects are told: with more, nobody reads them


@dataclass(frozen=True)
class Factor:
    """What is switched: a dotted key of the configuration, its short name, and the texts of its lower and its upper level."""

    key: str
    name: str
    levels: tuple[str, str]

    @property
    def told(self) -> str:
        """From which level to which; empty for a flag that is switched on."""
        return "" if self.levels == ("false", "true") else " \N{RIGHTWARDS ARROW} ".join(self.levels)


@dataclass(frozen=True)
class Design:
    """The factors, and which of them are at their upper level in which configuration: upper [labels, factors], by label and name.

    tuned: the names of the numbers that each configuration has a value of its own of, as searches find them: no factors.
    """

    factors: list[Factor]
    upper: pd.DataFrame
    tuned: list[str] = field(default_factory=list)

    def partner(self, label: str, factor: str) -> str:
        """The label of the configuration that differs from this one in this factor alone."""
        wanted = self.upper.loc[label].copy()
        wanted[factor] = not wanted[factor]
        (found,) = self.upper.index[(self.upper == wanted).all(axis=1)]
        return str(found)


@dataclass(frozen=True)
class Effects:
    """Of a design: together, as `average_effects`, apart, as `effects_apart`, and near, as `effects_by_distance`; seeds: how many all
    cells have; broken: how many of them have a round that failed, which `near` leaves out."""

    design: Design
    together: pd.DataFrame
    apart: pd.DataFrame
    near: pd.DataFrame
    seeds: int
    broken: int


def find_design(configurations: pd.DataFrame) -> Design | None:
    """The design of these configurations (as `labels.configurations`), None where they are no full factorial of two levels.

    Keys that change together are one factor, named after the first of them. A number with more than two values was tuned in each
    configuration by itself: where it is 0 in some, being above 0 is the upper level; where it never is, it is no factor.
    """
    keys = [column for column in configurations.columns[3:] if configurations[column].nunique(dropna=False) > 1]
    index, names = pd.Index(configurations["label"].astype(str)), short_keys(list(configurations.columns[3:]))
    found, upper, tuned = list[Factor](), dict[str, Any](), list[str]()
    for column in keys:
        split = switched(configurations[column])
        if split is None:
            return None
        levels, above = split
        if above.all():
            tuned.append(names[column])
        elif not any((above == other).all() or (above != other).all() for other in upper.values()):
            found.append(Factor(column, names[column], levels))
            upper[names[column]] = above
    design = Design(found, pd.DataFrame(upper, index=index), tuned)
    is_full = len(found) in FACTORS and len(index) == 2 ** len(found) and not design.upper.duplicated().any()
    return design if is_full else None


def switched(column: "pd.Series[Any]") -> tuple[tuple[str, str], Values] | None:
    """The lower and upper level of a key as texts, and which configurations have the upper one; all have it where a tuned number is
    never 0. None for what is neither a switch of two levels nor such a number."""
    different = column.drop_duplicates().tolist()
    if len(different) == 2:
        low, high = map(shown_level, in_order(different))
        return (low, high), (column.map(shown_level) == high).to_numpy()
    if not all(is_number(value) and value >= 0 for value in different):
        return None
    numbers = column.astype("float64")
    above = numbers > 0
    return ("0", f"{numbers[above].min():.2g} to {numbers.max():.2g}"), above.to_numpy()


def in_order(levels: list[Any]) -> list[Any]:
    """The two levels of a factor, what is off or less before what is on or more; others in the order of the report."""
    comparable = all(isinstance(level, bool) or is_number(level) for level in levels)
    return sorted(levels) if comparable else levels


def shown_level(level: Any) -> str:
    """A level as text; none: the configuration has no such key."""
    return shown(None if pd.isna(level) else level) or "none"


def find_effects(
    rounds: pd.DataFrame, configurations: pd.DataFrame, metric: Metric = TEST_ACCURACY, distances: pd.DataFrame | None = None
) -> Effects | None:
    """The effects of a full factorial; None where these configurations are none, have no seed in common, or are without a round
    that is done, as nothing of theirs could stand for it. distances: of these rounds,
    as in `effects_by_distance`."""
    design = find_design(configurations)
    values = common_values(rounds, metric) if design else None
    if design is None or values is None or values.empty or len(values.columns) < len(design.upper) or without_done(rounds):
        return None
    near = pd.DataFrame() if distances is None else effects_by_distance(distances, design)
    broken = rounds.loc[(rounds["status"] == "failed") & rounds["seed"].isin(values.index), "seed"].nunique()
    return Effects(design, average_effects(values, design), effects_apart(rounds, design, metric), near, len(values), broken)


def common_values(rounds: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """The metric of the seeds that all configurations have: a row a seed, a column a label.

    A round that failed has the accuracy of always giving the more frequent answer, that of the other rounds of its seed; where the
    metric is none on pairs, its seed is left out.
    """
    wide = by_seed(rounds, metric)
    wide.columns = wide.columns.astype(str)
    instead = rounds.groupby("seed")["majority_accuracy"].max().reindex(wide.index) if metric.on_pairs else pd.Series(np.nan, wide.index)
    whole: pd.DataFrame = wide.apply(lambda column: column.where(~np.isinf(column), instead))
    return whole.dropna()


def average_effects(values: pd.DataFrame, design: Design, interactions: bool = True, tables: int = 1) -> pd.DataFrame:
    """Main effects and interactions of two factors, a row each; values [seeds, cells] as `common_values`.

    tables: how many tables like this one share the intervals' probability.

    Columns: label (a name, or two), order (1, 2), levels (of a main effect; empty for a flag), seeds, and the effect with its interval,
    of cell means (mean, mean_low, mean_high) and of their interquartile means, which a few collapsed rounds do not carry away
    (interquartile, interquartile_low, interquartile_high). A main effect is the mean over the cells at the upper level less that over
    those at the lower; an interaction is how much larger the one's effect is where the other is at its upper level. Either's intervals
    hold together with a probability of at least 95 % (Bonferroni). NaN where there are too few seeds.
    """
    signs = design.upper.loc[values.columns].to_numpy(dtype="float64") * 2 - 1
    cells, names = values.to_numpy(dtype="float64"), list(design.upper.columns)
    terms: list[tuple[int, ...]] = [(one,) for one in range(len(names))]
    terms += combinations(range(len(names)), 2) if interactions else []
    level, rows = 1 - (1 - LEVEL) / (len(terms) * tables), []
    for term in terms:
        weights = signs[:, term].prod(axis=1) / (len(signs) / 2 ** len(term))
        rows.append(
            {
                "label": " \N{MULTIPLICATION SIGN} ".join(names[one] for one in term),
                "order": len(term),
                "levels": design.factors[term[0]].told if len(term) == 1 else "",
                "seeds": len(cells),
                **dict(zip(("mean", "mean_low", "mean_high"), contrast(cells, weights, 0.0, level), strict=True)),
                **dict(zip(ROBUST, contrast(cells, weights, QUARTER, level), strict=True)),
            }
        )
    return pd.DataFrame(rows)


def off_zero(together: pd.DataFrame) -> "pd.Series[bool]":
    """Which of these effects (as `average_effects`) on interquartile means have an interval without zero; none where there is none. What is
    zero but for the rounding of sums is zero."""
    _, low, high = ROBUST
    certain: pd.Series[bool] = (together[low] > ROUNDING) | (together[high] < -ROUNDING)
    return certain


QUARTER = 0.25  # of the rounds at either end, which an interquartile mean leaves out
ROBUST = ("interquartile", "interquartile_low", "interquartile_high")


def contrast(cells: Matrix, weights: Matrix, trim: float, level: float = LEVEL) -> tuple[float, float, float]:
    """A weighted sum of the trimmed means of dependent cells [seeds, cells], with its interval.

    trim: the share of the values of a cell that is left out at either end. The standard error is that of the winsorised values, the
    distribution Student's (Yuen 1974; Wilcox 2012, section 5.9.5, for pairs, of which this is the sum); without trimming it is the t
    interval of the contrast of every seed. NaN for the ends where fewer than two values are left, or two that are equal: accuracies are
    multiples of one pair, so that those of two seeds often are, which says nothing of how far others spread.
    """
    count, cut = len(cells), int(trim * len(cells))
    ordered = np.sort(cells, axis=0)
    value = float(ordered[cut : count - cut].mean(axis=0) @ weights)
    left = count - 2 * cut
    if left < 2:
        return value, np.nan, np.nan
    winsorised = np.clip(cells, ordered[cut], ordered[count - cut - 1]) @ weights
    error = winsorised.std(ddof=1) * np.sqrt((count - 1) / (left * (left - 1)))
    half = float(error * stats.t.ppf((1 + level) / 2, left - 1)) if left > 2 or error > ROUNDING else np.nan
    return value, value - half, value + half


def effects_apart(rounds: pd.DataFrame, design: Design, metric: Metric = TEST_ACCURACY) -> pd.DataFrame:
    """What each factor buys beside each setting of the others: a row a pair of configurations that differ in it alone.

    Columns: factor, label (with it at its upper level), baseline (at its lower level), and those of `comparisons.paired`: the intervals of
    `difference` hold together with a probability of at least 95 % (Bonferroni over all rows), the others each by itself. A round that
    failed loses against every other.
    """
    wide = by_seed(rounds, metric)
    pairs = [
        (factor.name, str(label), design.partner(str(label), factor.name))
        for factor in design.factors
        for label in design.upper.index[~design.upper[factor.name]]
    ]
    level = 1 - (1 - LEVEL) / len(pairs)
    return pd.DataFrame(
        {"factor": factor, "label": upper, "baseline": lower, **paired(wide[upper], wide[lower], metric, level)}
        for factor, lower, upper in pairs
    )


def effects_by_distance(distances: pd.DataFrame, design: Design) -> pd.DataFrame:
    """The main effects on the accuracy of the pairs of each distance |first - second|: rows of `average_effects` with a column distance.

    distances: label, seed, distance, pairs, right. A seed counts at the distances of which all its rounds have pairs; a failed round has
    none. All intervals, of all distances, hold together with a probability of at least 95 %.
    """
    some = distances[distances["pairs"] > 0]
    accuracy = some.assign(label=some["label"].astype(str), accuracy=some["right"] / some["pairs"])
    wide = accuracy.pivot(index=["distance", "seed"], columns="label", values="accuracy")
    if len(wide.columns) < len(design.upper) or (wide := wide.dropna()).empty:
        return pd.DataFrame()
    each = sorted(wide.index.unique("distance"))
    found = [average_effects(wide.loc[at], design, interactions=False, tables=len(each)).assign(distance=at) for at in each]
    return pd.concat(found, ignore_index=True)
