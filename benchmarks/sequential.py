"""How often rounds=auto is wrong, and how many rounds it takes, by simulation; beside a t interval at the same looks.

python -m benchmarks.sequential                   2,000 repetitions of each case, some minutes
python -m benchmarks.sequential --repetitions 200

Accuracies are normal, in steps of 0.1 points, so that the difference of two rounds with the same seed has a standard deviation of
--sd points; a share of rounds collapses to N(56, 1), those of the configurations alone or those of the baseline too. Each repetition is
a sweep that is decided as rounds=auto decides it, and once more with Student's 95 % interval of the mean difference in place of the
repeated interval of the Hodges-Lehmann difference. Wrong: some comparison is called better or worse where there is no difference,
or, where the difference is as large as the margin or larger, equivalent or of the other sign.
"""

import argparse
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from scipy import stats

from benchmarks.common import make_console, make_parser, make_table, print_table, run, whole, write
from benchmarks.machine import describe_machine, in_words
from digitcmp.auto.sequential import POINT, Look, Plan, compared, follow, make_plan
from digitcmp.config.schema import Auto
from digitcmp.report.ranks import Estimate, Values

AUTO = Auto(margin=0.5, batch=10, max=100, level=0.05)
SD = 1.4
STEP = 0.1  # points
Accuracies = np.ndarray[tuple[int, int], np.dtype[np.float64]]


@dataclass(frozen=True)
class Case:
    """What is simulated. difference: of every configuration to the baseline, points; collapses: share of rounds."""

    name: str
    difference: float = 0.0
    collapses: float = 0.0
    baseline_collapses: float = 0.0
    comparisons: int = 1


CASES = [
    Case("no difference"),
    Case("no difference, 3 % of its rounds collapse", collapses=0.03),
    Case("no difference, 3 % of all rounds collapse", collapses=0.03, baseline_collapses=0.03),
    Case("no difference, three configurations", comparisons=3),
    Case("no difference, three, 3 % of their rounds collapse", collapses=0.03, comparisons=3),
    Case("0.5 points, the margin", difference=0.5),
    Case("1 point", difference=1.0),
    Case("1 point, 3 % of its rounds collapse", difference=1.0, collapses=0.03),
    Case("2 points", difference=2.0),
]


@dataclass(frozen=True)
class Found:
    """Over the repetitions of a case. wrong: share of them with a wrong verdict; rounds: mean of a configuration, until its verdict;
    verdicts: their shares among all comparisons."""

    wrong: float
    rounds: float
    verdicts: dict[str, float]


def draw(case: Case, sd: float, generator: np.random.Generator) -> Accuracies:
    """Fractions, the baseline in front: [comparisons + 1, rounds]."""
    size = (case.comparisons + 1, AUTO.max)
    centre = 90 + np.array([0.0, *[case.difference] * case.comparisons])[:, None]
    collapses = np.array([case.baseline_collapses, *[case.collapses] * case.comparisons])[:, None]
    points = np.where(generator.random(size) < collapses, generator.normal(56, 1, size), generator.normal(centre, sd / np.sqrt(2), size))
    return np.round(np.round(points / STEP) * STEP * POINT, 6)


def plan_of(comparisons: int) -> Plan:
    """The plan of a sweep with so many comparisons."""
    return make_plan({str(number): "" for number in range(comparisons + 1)}, 0, AUTO)


def repeated(plan: Plan, accuracies: Accuracies) -> list[Look]:
    """The verdicts of rounds=auto."""
    return follow(plan, {name: dict(enumerate(row.tolist())) for name, row in zip(plan.runs, accuracies, strict=True)})


def naive(plan: Plan, accuracies: Accuracies) -> list[Look]:
    """The verdicts of somebody who looks as often, at 95 % t intervals."""
    found = []
    for name, row in zip(plan.compared, accuracies[1:], strict=True):
        for rounds in plan.looks:
            estimate = t_interval((row - accuracies[0])[:rounds])
            verdict = compared(estimate, plan.margin) or ("undecided" if rounds == plan.looks[-1] else "")
            if verdict:
                found.append(Look(name, rounds, estimate, verdict))
                break
    return found


def t_interval(values: Values) -> Estimate:
    """Student's interval of the mean."""
    mean, half = float(values.mean()), float(stats.sem(values) * stats.t.ppf(0.975, len(values) - 1))
    return Estimate(mean, mean - half, mean + half)


def wrong(verdict: str, difference: float) -> bool:
    """Whether a verdict is wrong, given the true difference in points."""
    if verdict in ("better", "worse"):
        return difference == 0 or (verdict == "better") != (difference > 0)
    return verdict == "equivalent" and abs(difference) >= AUTO.margin


def simulate(
    case: Case, repetitions: int, sd: float = SD, seed: int = 0, decide: Callable[[Plan, Accuracies], list[Look]] = repeated
) -> Found:
    """Decide so many sweeps."""
    generator, plan, bad, all_taken = np.random.default_rng(seed), plan_of(case.comparisons), 0, list[Look]()
    for _ in range(repetitions):
        taken = decide(plan, draw(case, sd, generator))
        bad += any(wrong(one.verdict, case.difference) for one in taken)
        all_taken += taken
    counts, total = Counter(one.verdict for one in all_taken), len(all_taken)
    shares = {verdict: counts[verdict] / total for verdict in ("better", "worse", "equivalent", "undecided")}
    return Found(bad / repetitions, float(np.mean([one.rounds for one in all_taken])), shares)


def parse() -> argparse.Namespace:
    """The options."""
    parser = make_parser(__doc__)
    parser.add_argument("--repetitions", type=whole, default=2000, help="of each case, default: 2000")
    parser.add_argument("--sd", type=float, default=SD, help=f"of a difference, points, default: {SD}")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    return parser.parse_args()


def main() -> None:
    """Run the benchmark."""
    options, start = parse(), time.perf_counter()
    machine, console, results = describe_machine(), make_console(), []
    table = make_table(["case"], ["wrong", "rounds", "better", "worse", "equivalent", "undecided", "t: wrong", "t: rounds"])
    for case in CASES:
        ours = simulate(case, options.repetitions, options.sd, options.seed)
        theirs = simulate(case, options.repetitions, options.sd, options.seed, naive)
        shares = [f"{share:.3f}" for share in ours.verdicts.values()]
        table.add_row(case.name, f"{ours.wrong:.3f}", f"{ours.rounds:.1f}", *shares, f"{theirs.wrong:.3f}", f"{theirs.rounds:.1f}")
        results.append({"case": asdict(case), "auto": asdict(ours), "t": asdict(theirs)})
    seconds = time.perf_counter() - start
    title = f"{options.repetitions} repetitions, sd {options.sd:g} points, margin {AUTO.margin:g}, {seconds:.0f} s; {in_words(machine)}"
    print_table(title, table, console)
    write(options.json, "sequential", machine, results)


if __name__ == "__main__":
    run(main)
