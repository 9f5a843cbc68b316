"""Every configuration against a baseline, paired by seed."""

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]

from digitcmp.report.metrics import DECIMALS, TEST_ACCURACY, Metric, unknown
from digitcmp.report.ranks import (
    LEVEL,
    Values,
    clipped,
    doubled_ranks,
    hodges_lehmann,
    paired_differences,
    probability_better,
    signed_rank_p,
)
from digitcmp.report.statistics import half_width, ranked


def find_baseline(configurations: pd.DataFrame, wanted: str, names: Mapping[str, str] | None = None) -> str:
    """The label of the baseline, given as a label, as the label that it had before it was renamed, or as a configuration hash.

    names: other names of configurations, by the labels that they had. Raises RunError for one that is not there.
    """
    labels = [str(label) for label in configurations["label"]]
    if isinstance(wanted, str):  # by Python, it may be anything
        for name in (wanted, (names or {}).get(wanted, wanted)):
            found = configurations[(configurations["label"] == name) | (configurations["configuration_hash"] == name)]
            if len(found):
                return str(found["label"].iloc[0])
    raise unknown("baseline", wanted, "configuration", labels)


def compare(rounds: pd.DataFrame, baseline: str, metric: Metric = TEST_ACCURACY, apart: Collection[str] = ()) -> pd.DataFrame:
    """One row a label other than the baseline and those that are kept apart, in the order of the report.

    rounds: as in `digitcmp.report.statistics`. Columns: label, baseline, pairs (seeds that were trained on both sides; a round that failed
    loses against every other, two that failed tie), only_here, only_baseline (seeds left out), and the columns of `paired`; p_holm (over
    the rows that have a p).
    """
    wide = by_seed(rounds, metric)
    others = [label for label in wide.columns if label != baseline and label not in apart]
    rows = [{"label": label, "baseline": baseline, **paired(wide[label], wide[baseline], metric)} for label in others]
    frame = pd.DataFrame(rows, columns=COLUMNS)
    frame["p_holm"] = holm(frame["p"].astype("float64"))
    return frame


COLUMNS = ["label", "baseline", "pairs", "only_here", "only_baseline", "difference", "difference_low", "difference_high", "p", "p_holm"]
COLUMNS += ["better", "better_low", "better_high", "won", "tied", "lost", "done", "mean", "low", "high", "d_z", "rank_biserial"]


def by_seed(rounds: pd.DataFrame, metric: Metric = TEST_ACCURACY) -> pd.DataFrame:
    """The metric, infinitely bad where a round failed, NaN where there is none: a row a seed, a column a label, in the report's order."""
    there = rounds[["seed", "label"]].assign(value=ranked(rounds, metric)).dropna()
    return there.pivot(index="seed", columns="label", values="value").reindex(columns=rounds["label"].cat.categories)


def paired(here: "pd.Series[float]", there: "pd.Series[float]", metric: Metric = TEST_ACCURACY, level: float = LEVEL) -> dict[str, float]:
    """One comparison of values by seed, [seeds] and [seeds]: NaN where a seed is missing, infinite where its round failed.

    Keys: pairs, only_here, only_baseline as in `compare`; difference, difference_low, difference_high (Hodges-Lehmann's, with its interval
    of that level), p (signed ranks), rank_biserial, better, better_low, better_high (the probability of being better, with its interval),
    won, tied, lost (pairs); and, of the pairs that are done on both sides: done (their number), mean, low, high (with the 95 % t interval)
    and d_z. NaN below 2 pairs but for differences and better; intervals also where so few pairs bound nothing. Where lower is better,
    rounds below the baseline's are won, and rank_biserial is 1 when all are.
    """
    both = here.notna() & there.notna()
    differences = paired_differences(here[both].to_numpy(dtype="float64"), there[both].to_numpy(dtype="float64"))
    better = differences if metric.higher_is_better else -differences
    won, lost = int((better > 0).sum()), int((better < 0).sum())
    few = len(differences) < 2
    shift, chance = hodges_lehmann(differences, level).bounded(), probability_better(better)
    return {
        "pairs": len(differences),
        "only_here": int((here.notna() & ~both).sum()),
        "only_baseline": int((there.notna() & ~both).sum()),
        **dict(zip(("difference", "difference_low", "difference_high"), shift, strict=True)),
        "p": np.nan if few else signed_rank_p(differences),
        **dict(zip(("better", "better_low", "better_high"), chance, strict=True)),
        "won": won,
        "tied": len(differences) - won - lost,
        "lost": lost,
        **means(differences[np.isfinite(here[both]) & np.isfinite(there[both])]),
        "rank_biserial": rank_biserial(better),
    }


def means(differences: Values) -> dict[str, float]:
    """Number, mean, t interval and d_z of paired differences [n]; NaN below 2 of them (but the mean of one).

    d_z: mean / std (Cohen 1988, section 2.3.5); 0 if all are zero, NaN if all are equal but not zero.
    """
    mean = float(differences.mean()) if len(differences) else np.nan
    if len(differences) < 2:
        return {"done": len(differences), "mean": mean, **dict.fromkeys(("low", "high", "d_z"), np.nan)}
    half = float(half_width(stats.sem(differences), len(differences)))
    std = float(differences.std(ddof=1))
    d_z = mean / std if std > 0.1**DECIMALS else 0.0 if mean == 0 else np.nan
    return {"done": len(differences), "mean": mean, "low": mean - half, "high": mean + half, "d_z": d_z}


def rank_biserial(differences: Values) -> float:
    """(W+ - W-) / (W+ + W-) of the rank sums of differences above and below zero (Kerby 2014); 0 if all are zero, NaN below 2 of them."""
    if len(differences) < 2:
        return np.nan
    some = differences[differences != 0]
    ranks = doubled_ranks(clipped(np.abs(some))[0])
    return float((ranks * np.sign(some)).sum() / ranks.sum()) if len(some) else 0.0


def holm(p: "pd.Series[float]") -> "pd.Series[float]":
    """Holm's step-down correction (Holm 1979) over the p values that are there; NaN stays NaN."""
    known = p.notna()
    corrected = p.copy()
    if known.any():
        corrected[known] = multipletests(p[known], method="holm")[1]
    return corrected
