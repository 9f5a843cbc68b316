"""What a final buys: how much better than the starting point the pick of a search is, with and without finalists, by simulation.

python -m benchmarks.finalists                     2,000 searches of each kind, a minute
python -m benchmarks.finalists --repetitions 200

The budget of sweeps/search_net4.yaml: 80 trials of two rounds, then 8 finalists of 10 rounds; beside it, the same rounds spent on more
trials (120 of two rounds) or on longer ones (80 of three), and no final. True accuracies of trials lie around the starting point's as
a case says; an accuracy is what a round with 200 validation pairs shows, in steps of half a point: the true one, what the pairs of its
seed do to all configurations alike, and what they do to this one. Gain: the true accuracy of the pick less that of the start, points;
possible: that of the best trial; worse: share of searches that end below their start.
"""

import argparse
import time
from dataclasses import asdict, dataclass

import numpy as np

from benchmarks.common import make_console, make_parser, make_table, print_table, run, whole, write
from benchmarks.machine import describe_machine, in_words
from digitcmp.search.race import FIRST_TEST, loses

PAIRS, OWN = 1.2, 2.0  # points: what the pairs of a seed do to all alike, and to one configuration
STEP = 0.5  # points: one of 200 validation pairs
Points = np.ndarray[tuple[int], np.dtype[np.float64]]
Grid = np.ndarray[tuple[int, int], np.dtype[np.float64]]


@dataclass(frozen=True)
class Case:
    """True accuracies of the trials beside the start's, in points: normal. mean, deviation: of them."""

    name: str
    mean: float
    deviation: float


@dataclass(frozen=True)
class Budget:
    """What a search spends. rounds: of a trial, and of a finalist."""

    name: str
    trials: int
    rounds: int
    finalists: int = 0
    finalist_rounds: int = 0


@dataclass(frozen=True)
class Found:
    """Means over the repetitions, and the share of those that end below their start. spent: rounds, in all."""

    gain: float
    possible: float
    worse: float
    spent: float


CASES = [
    Case("some trials are better", -1.0, 1.1),
    Case("most are worse, a few a little better", -2.0, 1.0),
    Case("all are worse", -4.0, 1.0),
]
BUDGETS = [
    Budget("80 trials × 2 rounds", 80, 2),
    Budget("120 trials × 2 rounds", 120, 2),
    Budget("80 trials × 3 rounds", 80, 3),
    Budget("80 trials × 2 rounds, 8 finalists × 10", 80, 2, 8, 10),
]


def measure(true: Points, rounds: int, generator: np.random.Generator) -> Grid:
    """What so many rounds of each show, the same seeds for all: [configurations, rounds]."""
    noise = generator.normal(0, PAIRS, rounds) + generator.normal(0, OWN, (len(true), rounds))
    return np.round((true[:, None] + noise) / STEP) * STEP


def pick(shown: Grid) -> tuple[int, int]:
    """The finalist that is picked, of those that come one after the other, the incumbent first; and the rounds that were trained."""
    through, spent = [0], shown.shape[1]
    for one in range(1, len(shown)):
        looks = range(FIRST_TEST, shown.shape[1])  # a drop comes with the next round
        drops = (look for look in looks if any(loses(by_seed(shown[one, :look]), by_seed(shown[other])) for other in through))
        rounds = next(drops, shown.shape[1])
        spent += rounds
        if rounds == shown.shape[1]:
            through.append(one)
    return max(through, key=lambda one: shown[one].mean()), spent


def by_seed(accuracies: Points) -> dict[int, float]:
    """As a finalist has them."""
    return dict(enumerate(accuracies.tolist()))


def search(case: Case, budget: Budget, generator: np.random.Generator) -> tuple[float, float, int]:
    """One search: the true gain of its pick, the largest that there was, and the rounds that it took. Trial 0 is the start."""
    true = np.concatenate([[0.0], generator.normal(case.mean, case.deviation, budget.trials - 1)])
    order = np.argsort(-measure(true, budget.rounds, generator).mean(axis=1), kind="stable")
    spent = budget.trials * budget.rounds
    if not budget.finalists:
        return float(true[order[0]]), float(true.max()), spent
    finalists = [0, *(int(one) for one in order if one)][: budget.finalists]
    won, more = pick(measure(true[finalists], budget.finalist_rounds, generator))
    return float(true[finalists[won]]), float(true.max()), spent + more


def simulate(case: Case, budget: Budget, repetitions: int, seed: int = 0) -> Found:
    """So many searches."""
    generator = np.random.default_rng(seed)
    gains, possible, spent = zip(*(search(case, budget, generator) for _ in range(repetitions)), strict=True)
    return Found(float(np.mean(gains)), float(np.mean(possible)), float(np.mean(np.array(gains) < 0)), float(np.mean(spent)))


def parse() -> argparse.Namespace:
    """The options."""
    parser = make_parser(__doc__)
    parser.add_argument("--repetitions", type=whole, default=2000, help="searches of each kind, default: 2000")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    return parser.parse_args()


def main() -> None:
    """Run the benchmark."""
    options, start = parse(), time.perf_counter()
    machine, console, results = describe_machine(), make_console(), []
    table = make_table(["trials beside the start", "budget"], ["rounds", "gain", "possible", "worse"])
    for case in CASES:
        for budget in BUDGETS:
            found = simulate(case, budget, options.repetitions, options.seed)
            table.add_row(
                case.name, budget.name, f"{found.spent:.0f}", f"{found.gain:+.2f}", f"{found.possible:+.2f}", f"{100 * found.worse:.0f} %"
            )
            results.append({"case": asdict(case), "budget": asdict(budget), "found": asdict(found)})
    title = f"{options.repetitions} searches each, {time.perf_counter() - start:.0f} s; {in_words(machine)}"
    print_table(title, table, console)
    write(options.json, "finalists", machine, results)


if __name__ == "__main__":
    run(main)
