"""rounds=auto as statistics: a plan, looks at the rounds on record, and verdicts. Nothing here trains, reads or writes.

All configurations of a sweep train the same seeds, batch by batch. After each batch a look is taken at every configuration that is not
decided: at the interval of its Hodges-Lehmann difference to the baseline, the first configuration in the order given, paired by seed
(`digitcmp.report.ranks.hodges_lehmann`; exact for any symmetric distribution, with ties, and not carried away by rounds that collapse).

    better      the interval is above zero
    worse       it is below zero
    equivalent  it is within the margin on either side, zero included
    undecided   neither, after the last look

A round that failed lost against any that did not; two that failed are tied. Decided configurations get no more rounds, the others and
the baseline a batch more. With a single configuration there is nothing to compare: the rule is then the interval of its median
(`median_interval`), *narrow* when it is narrower than the margin.

The intervals are repeated confidence intervals (Jennison and Turnbull 1984, 1989; 1999, chapter 9): each is taken at the level that
Pocock's boundary leaves to one of so many looks, of auto.level / K for K comparisons (Bonferroni). So the probability that any
interval of any look of any comparison misses its true difference is at most auto.level, when to stop may depend on anything, and no
verdict needs a correction of its own. All three are covered: better or worse where there is no such difference, and equivalent where
the true difference is beyond the margin. The true difference is that of the Hodges-Lehmann parameter, the median of the mean of two
differences. `digitcmp.auto.boundary` has the levels, `python -m benchmarks.sequential` what they come to in simulations.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from digitcmp.auto.boundary import nominal_level
from digitcmp.config.schema import Auto
from digitcmp.errors import ConfigError
from digitcmp.report.ranks import NEAR, Estimate, hodges_lehmann, median_interval, paired_differences
from digitcmp.train.results import RoundRow

POINT = 0.01  # accuracies are fractions, margins are points
Scores = Mapping[int, float]  # test accuracy by seed, -inf for a round that failed


@dataclass(frozen=True)
class Plan:
    """What is fixed before the first round. runs: the names of the runs by the hash of their configuration, the baseline first.

    seed: of the first round. nominal: the level of each interval is 1 minus this.
    """

    runs: dict[str, str]
    seed: int
    auto: Auto
    nominal: float

    @property
    def baseline(self) -> str:
        """The hash of the first configuration."""
        return next(iter(self.runs))

    @property
    def compared(self) -> list[str]:
        """The configurations that get a verdict: all but the baseline, or the only one."""
        return list(self.runs)[1:] or [self.baseline]

    @property
    def looks(self) -> list[int]:
        """The number of rounds at each look."""
        return looks(self.auto)

    @property
    def margin(self) -> float:
        """As a fraction."""
        return self.auto.margin * POINT


def looks(auto: Auto) -> list[int]:
    """A look after each batch, and one at the maximum."""
    return [*range(auto.batch, auto.max, auto.batch), auto.max]


def make_plan(runs: dict[str, str], seed: int, auto: Auto) -> Plan:
    """The plan of these runs. Raises ConfigError where so many looks or comparisons cannot decide anything."""
    nominal = nominal_level(auto.level / max(1, len(runs) - 1), len(looks(auto)))
    if (least := least_rounds(nominal)) > auto.max:
        raise ConfigError(
            f"auto.max={auto.max}: no look could decide anything, at this auto.level and number of looks; use at least {least}"
        )
    return Plan(runs, seed, auto, nominal)


def least_rounds(nominal: float) -> int:
    """So many rounds may reach this level: p of the signed-rank test, and of the sign test, is at least 2 / 2^n."""
    return 1 + int(np.ceil(-np.log2(nominal)))


@dataclass(frozen=True)
class Look:
    """What the last look at a configuration has shown, after so many rounds. verdict: empty while it goes on."""

    configuration: str
    rounds: int
    estimate: Estimate
    verdict: str


def scores(rows: Iterable[RoundRow]) -> dict[int, float]:
    """Test accuracies by seed; a round that failed is below all."""
    return {row.seed: -np.inf if row.status == "failed" or row.test_accuracy is None else row.test_accuracy for row in rows}


def look_at(plan: Plan, found: Mapping[str, Scores], configuration: str, rounds: int) -> Look:
    """A configuration after so many rounds, by the scores of all. Raises KeyError when some of the rounds that it takes are not there."""
    seeds = range(plan.seed, plan.seed + rounds)
    own, base = (np.array([found[name][seed] for seed in seeds]) for name in (configuration, plan.baseline))
    if len(plan.runs) == 1:
        estimate, judge = median_interval(own, 1 - plan.nominal), is_narrow
    else:
        estimate, judge = hodges_lehmann(paired_differences(own, base), 1 - plan.nominal), compared
    verdict = judge(estimate, plan.margin) or ("undecided" if rounds == plan.looks[-1] else "")
    return Look(configuration, rounds, estimate, verdict)


def compared(estimate: Estimate, margin: float) -> str:
    """The verdict on a difference, empty where there is none yet. Ends at zero or the margin but for rounding are there."""
    if estimate.low > NEAR:
        return "better"
    if estimate.high < -NEAR:
        return "worse"
    return "equivalent" if -estimate.low <= margin + NEAR and estimate.high <= margin + NEAR else ""


def is_narrow(estimate: Estimate, margin: float) -> str:
    """The verdict on a median, empty where there is none yet."""
    return "narrow" if estimate.high - estimate.low < margin - NEAR else ""


def follow(plan: Plan, found: Mapping[str, Scores]) -> list[Look]:
    """How each compared configuration stands by what is on record, look by look, as if it came in one by one: the same whenever asked.

    Rounds beyond the look that decided count for nothing. One that has not even the rounds of the first look is left out.
    """
    taken = []
    for configuration in plan.compared:
        shared = set(found.get(configuration, {})) & set(found.get(plan.baseline, {}))
        last = None
        for rounds in plan.looks:
            if (last is not None and last.verdict) or not shared.issuperset(range(plan.seed, plan.seed + rounds)):
                break
            last = look_at(plan, found, configuration, rounds)
        taken += [last] if last is not None else []
    return taken
