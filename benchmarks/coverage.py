"""How often the intervals of a report hold what they are about, where rounds collapse now and then.

Simulated: accuracies in per cent, 97 % around 90 and 3 % around 56, both with a standard deviation of 1, in steps of 0.1 as 1,000 test
pairs give them. Student's t interval is the mean's, order statistics the median's, the signed-rank interval that of paired differences,
and Wilson's that of the share of rounds that collapsed; 95 % each. No network is trained.

examples:
  python -m benchmarks.coverage
  python -m benchmarks.coverage --rounds 10 30 100 --repetitions 20000
"""

import argparse
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.common import make_console, make_parser, make_table, print_table, run, whole, write
from benchmarks.machine import describe_machine
from digitcmp.report.ranks import Values, hodges_lehmann, median_interval, signed_rank_p, wilson
from digitcmp.report.statistics import half_width

GOOD, COLLAPSED, SHARE = 90.0, 56.0, 0.03
Accuracies = np.ndarray[tuple[int, int], np.dtype[np.float64]]  # [repetitions, rounds]


def accuracies(generator: np.random.Generator, repetitions: int, rounds: int) -> Accuracies:
    """Made-up accuracies in per cent, some of them collapsed."""
    collapsed = generator.random((repetitions, rounds)) < SHARE
    return generator.normal(np.where(collapsed, COLLAPSED, GOOD), 1.0).round(1)


def true_median() -> float:
    """The median of the mixture: below it are all rounds that collapsed, and of the others what is missing to one half."""
    return float(GOOD + stats.norm.ppf((0.5 - SHARE) / (1 - SHARE)))


def mean_covered(values: Accuracies) -> float:
    """How often Student's t interval holds the mean."""
    half = half_width(stats.sem(values, axis=1), values.shape[1])
    true = (1 - SHARE) * GOOD + SHARE * COLLAPSED
    return float((np.abs(values.mean(axis=1) - true) <= half).mean())


def median_covered(values: Accuracies) -> float:
    """How often the interval between order statistics holds the median, to half a step of the accuracies."""
    found = np.array([median_interval(row)[1:] for row in values])
    return float(((found[:, 0] - 0.05 <= true_median()) & (true_median() <= found[:, 1] + 0.05)).mean())


def difference_covered(differences: Values) -> bool:
    """Whether the signed-rank interval holds no difference."""
    _, low, high = hodges_lehmann(differences)
    return low <= 0 <= high


def share_covered(values: Accuracies) -> float:
    """How often Wilson's interval holds the share of rounds that collapse."""
    lost = (values < (GOOD + COLLAPSED) / 2).sum(axis=1)
    intervals = [wilson(count, values.shape[1]) for count in range(values.shape[1] + 1)]
    return float(np.mean([intervals[count].low <= SHARE <= intervals[count].high for count in lost]))


def measure(rounds: int, repetitions: int, seed: int) -> dict[str, Any]:
    """The coverage of all intervals at so many rounds, and how often the signed-rank test finds a difference that is none."""
    generator = np.random.default_rng(seed)
    values = accuracies(generator, repetitions, rounds)
    differences = (values - accuracies(generator, repetitions, rounds)).round(1)
    return {
        "rounds": rounds,
        "mean": mean_covered(values),
        "median": median_covered(values),
        "difference": float(np.mean([difference_covered(row) for row in differences])),
        "found": float(np.mean([signed_rank_p(row) <= 0.05 for row in differences])),
        "share": share_covered(values),
    }


def main() -> None:
    """Print the table."""
    parser = make_parser(__doc__)
    parser.add_argument("--rounds", nargs="+", type=whole, default=[10, 30, 100], metavar="N", help="default: 10 30 100")
    parser.add_argument("--repetitions", type=whole, default=4000, metavar="N", help="default: 4000")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    chosen: argparse.Namespace = parser.parse_args()
    results = [measure(rounds, chosen.repetitions, chosen.seed) for rounds in chosen.rounds]
    table = make_table([], ["rounds", "mean, t", "median", "difference, signed rank", "share, Wilson", "p at most 0.05"])
    for row in results:
        shares = (f"{100 * row[name]:.1f} %" for name in ("mean", "median", "difference", "share", "found"))
        table.add_row(str(row["rounds"]), *shares)
    print_table(f"intervals of 95 % that hold the true value, of {chosen.repetitions:,}", table, make_console())
    write(chosen.json, "coverage", describe_machine(), results)


if __name__ == "__main__":
    run(main)
