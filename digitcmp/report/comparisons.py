"""Every configuration against a baseline, paired by seed."""

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]

from digitcmp.report.metrics import TEST_ACCURACY, Metric, unknown
from digitcmp.report.statistics import DECIMALS, half_width

Differences = np.ndarray[tuple[int], np.dtype[np.floating[Any]]]


def find_baseline(configurations: pd.DataFrame, wanted: str | None) -> str:
    """The label of the baseline, given as a label or a configuration hash; the first one by default. Raises RunError."""
    labels = [str(label) for label in configurations["label"]]
    if wanted is None:
        return labels[0]
    found = configurations[(configurations["label"] == wanted) | (configurations["configuration_hash"] == wanted)]
    if len(found):
        return str(found["label"].iloc[0])
    raise unknown("baseline", wanted, "configuration", labels)


def compare(rounds: pd.DataFrame, baseline: str, metric: Metric = TEST_ACCURACY) -> pd.DataFrame:
    """One row a label other than the baseline, in the order of the report.

    rounds: as in `digitcmp.report.statistics`. Columns: label, baseline, pairs (seeds done on both sides), only_here,
    only_baseline (seeds left out), mean, low, high (of the difference to the baseline, with its paired 95 % t interval),
    p (Wilcoxon), p_holm (over the rows that have a p), d_z, rank_biserial, won, tied, lost (rounds). NaN below 2 pairs.
    Where lower is better, rounds below the baseline's are won, and rank_biserial is 1 when all are.
    """
    wide = by_seed(rounds, metric)
    others = [label for label in wide.columns if label != baseline]
    rows = [{"label": label, "baseline": baseline, **paired(wide[label], wide[baseline], metric)} for label in others]
    frame = pd.DataFrame(rows, columns=COLUMNS)
    frame["p_holm"] = holm(frame["p"].astype("float64"))
    return frame


COLUMNS = ["label", "baseline", "pairs", "only_here", "only_baseline", "mean", "low", "high"]
COLUMNS += ["p", "p_holm", "d_z", "rank_biserial", "won", "tied", "lost"]


def by_seed(rounds: pd.DataFrame, metric: Metric = TEST_ACCURACY) -> pd.DataFrame:
    """The metric of the rounds that are done: a row a seed, a column a label in the order of the report, NaN where there is none."""
    done = rounds[rounds["status"] == "done"]
    return done.pivot(index="seed", columns="label", values=metric.column).reindex(columns=done["label"].cat.categories)


def paired(here: "pd.Series[float]", there: "pd.Series[float]", metric: Metric = TEST_ACCURACY) -> dict[str, float]:
    """One comparison of values by seed, [seeds] and [seeds] with NaN where a seed is missing; keys as in `compare`."""
    both = here.notna() & there.notna()
    # rounded, so that 0.9 - 0.8 and 0.8 - 0.7 tie as they should
    differences = (here - there)[both].round(DECIMALS).to_numpy(dtype="float64")
    better = differences if metric.higher_is_better else -differences
    won, lost = int((better > 0).sum()), int((better < 0).sum())
    return {
        "pairs": len(differences),
        "only_here": int((here.notna() & ~both).sum()),
        "only_baseline": int((there.notna() & ~both).sum()),
        **tests(differences),
        "rank_biserial": rank_biserial(better),
        "won": won,
        "tied": len(differences) - won - lost,
        "lost": lost,
    }


def tests(differences: Differences) -> dict[str, float]:
    """Mean, interval, p and d_z of paired differences [n]; NaN below 2 of them (but the mean of one).

    p: two-sided, of the signed-rank test (Wilcoxon 1945): zeros are dropped, ties share their mean rank; 1 if all are zero. d_z:
    mean / std (Cohen 1988, section 2.3.5); 0 if all are zero, NaN if all are equal but not zero.
    """
    mean = float(differences.mean()) if len(differences) else np.nan
    if len(differences) < 2:
        return {"mean": mean, **dict.fromkeys(("low", "high", "p", "d_z"), np.nan)}
    half = float(half_width(stats.sem(differences), len(differences)))
    # scipy chooses: exact up to 50 differences without ties, permutations for few with ties, else the normal approximation
    p = float(stats.wilcoxon(differences, zero_method="wilcox").pvalue) if differences.any() else 1.0
    std = float(differences.std(ddof=1))
    d_z = mean / std if std > 0.1**DECIMALS else 0.0 if mean == 0 else np.nan
    return {"mean": mean, "low": mean - half, "high": mean + half, "p": p, "d_z": d_z}


def rank_biserial(differences: Differences) -> float:
    """(W+ - W-) / (W+ + W-) of the rank sums of differences above and below zero (Kerby 2014); 0 if all are zero, NaN below 2 of them."""
    if len(differences) < 2:
        return np.nan
    some = differences[differences != 0]
    ranks = stats.rankdata(np.abs(some))
    return float((ranks * np.sign(some)).sum() / ranks.sum()) if len(some) else 0.0


def holm(p: "pd.Series[float]") -> "pd.Series[float]":
    """Holm's step-down correction (Holm 1979) over the p values that are there; NaN stays NaN."""
    known = p.notna()
    corrected = p.copy()
    if known.any():
        corrected[known] = multipletests(p[known], method="holm")[1]
    return corrected
