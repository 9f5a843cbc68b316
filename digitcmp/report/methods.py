"""How the numbers of a report are worked out, in words, with the sources of the methods."""

from collections.abc import Container

import pandas as pd

from digitcmp.report.metrics import TEST_ACCURACY, UNTRAINED, Metric
from digitcmp.report.ranks import EXACT
from digitcmp.report.statistics import SATURATED

POOL = (  # where every round draws its own pairs
    "All rounds draw their test pairs from one pool of images (MNIST: 10,000, digits: 599), so that intervals speak of further rounds "
    "drawn from it, not of other images."
)

DIGITS = (
    "Digits: the share of the digits of test pairs that a digit head reads rightly. A joint head, one for both digits of a pair, is right "
    "about at most one of two different ones; a head that no loss is on (aux_weight=0) has not learnt to read."
)


ONE_DRAW = (
    "Rounds of a configuration with data.seed have the same pairs: intervals speak of further weights on these very pairs, and neither of "
    "other pairs nor of other images; those of further draws are wider."
)


FOLDS_OF_ONE_DRAW = (
    "Folds of a configuration with data.seed divide the same training pairs in turn and have the same test pairs: intervals speak neither "
    "of other draws of pairs nor of other images."
)


def about_pool(configurations: pd.DataFrame) -> str:
    """What further rounds are that the intervals speak of. configurations: a row each, with their keys; data.folds without data.fold where
    folds count as rounds."""
    fixed = configurations["data.seed"].notna() if "data.seed" in configurations else pd.Series(False, configurations.index)
    folded = "data.fold" not in configurations and "data.folds" in configurations and bool(configurations["data.folds"].notna().any())
    told = ([] if fixed.all() else [POOL]) + ([FOLDS_OF_ONE_DRAW if folded else ONE_DRAW] if fixed.any() else [])
    return " ".join(told)


def about_digits(table: pd.DataFrame) -> list[str]:
    """Of the digit accuracies of the table, if it has any."""
    return [DIGITS] if table["digit_accuracy"].notna().any() else []


def about_table(metric: Metric = TEST_ACCURACY, hidden: Container[str] = (), best_weights: bool = False) -> list[str]:
    """Of the columns of the table, but for those that are hidden (keys). best_weights: as in `Metric.defined`."""
    untrained = (
        f"Untrained rounds are at most {100 * UNTRAINED:g} points more accurate than always giving the more frequent answer. "
        "With failed rounds: the mean in which these count as always giving that answer."
    )
    lost = "failed or untrained rounds" if metric.on_pairs else "failed rounds"
    quartiles = " The interquartile mean (Agarwal et al. 2021) leaves out the lowest and the highest quarter."
    times = {
        "total_seconds": "all rounds together, failed ones too",
        "seconds": "the mean of the rounds that are done",
        "normalised_time": "that in per cent of the first configuration's",
    }
    return [
        f"{metric.defined(best_weights)}; ± is the standard deviation of the sample over rounds.",
        "Means leave failed rounds out; their 95 % intervals are Student's t (scipy.stats.t), cut off at what is possible, which miss too "
        "often where rounds collapse now and then.",
        "Medians count a failed round as infinitely worse than all others; their 95 % intervals lie between two order statistics "
        "(Thompson 1936), from 6 rounds on." + quartiles * ("interquartile_mean" not in hidden),
        *([untrained] if metric.on_pairs else []),
        *([] if "lost_share" in hidden else [f"The share of {lost} has Wilson's score interval of 95 % (1927)."]),
        f"Saturated after: the first epoch whose mean is within {100 * SATURATED:g} points of that of the last one.",
        f"Time: {'; '.join(told for key, told in times.items() if key not in hidden)}.",
    ]


def about_differences(metric: Metric = TEST_ACCURACY) -> list[str]:
    """Of the columns of the comparisons."""
    return [
        "Differences are paired by seed: rounds of the same seed have the same pairs. Seeds on one side only are counted and left out. "
        "A failed round loses against every other, infinitely; two tie.",
        "Difference: median of the means of any two differences (Hodges and Lehmann 1963); its 95 % interval inverts the signed-rank test "
        "(Hollander, Wolfe and Chicken 2014, section 3.3).",
        "p: two-sided signed-rank test (Wilcoxon 1945) with mean ranks for equal differences and Pratt's zeros (1959), exact, over all "
        f"signs, up to {EXACT} pairs, corrected for the number of comparisons after Holm (1979).",
        "Better: the share of pairs that are won, and half of those that are tied (probability of improvement, Agarwal et al. 2021), with "
        "Wilson's score interval.",
        "Mean difference and d_z, mean by standard deviation (Cohen 1988), are those of pairs without a failed round; the interval is "
        "Student's t. r: matched-pairs rank-biserial correlation (Kerby 2014), -1 when every round is worse than the baseline's, 1 when "
        "every one is better.",
        *([] if metric.higher_is_better else ["Lower is better: a round is won where it is below the baseline's."]),
    ]
