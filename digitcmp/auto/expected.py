"""How many rounds rounds=auto will take, and what will probably stay undecided: dry_run=true.

Looks are simulated, thousands of times, as a random walk of normal differences: for each comparison that has rounds on record, with their
Hodges-Lehmann difference and their spread; and for a comparison of which nothing is known, with any difference. The interval is Student's,
wider by the efficiency of the signed-rank test for normal differences, sqrt(pi / 3) (Hollander, Wolfe and Chicken 2014, 3.11).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import stats

from digitcmp.auto import plan_file
from digitcmp.auto.sequential import POINT, Plan, Scores, follow, least_rounds, scores
from digitcmp.auto.words import rule_lines, run_names
from digitcmp.experiment.pace import Paces
from digitcmp.experiment.plan import in_all
from digitcmp.experiment.run import Run
from digitcmp.report.ranks import Values, hodges_lehmann, paired_differences
from digitcmp.terminal import tell

WALKS = 2000
SD = 1.4 * POINT  # of a difference, where nothing is known: as between the published networks
SINGLE_SD = 1.2 * POINT  # of an accuracy, likewise
LEAST = 5  # pairs on record that say something
PROBABLY = 0.5
VERDICTS = ("better", "worse", "equivalent", "undecided")


@dataclass(frozen=True)
class Expected:
    """A comparison: what it was judged by, how many rounds it will take on average, and the probabilities of its verdicts."""

    difference: float
    sd: float
    rounds: float
    verdicts: dict[str, float]


def print_expected(runs: Sequence[Run], folder: Path, workers: int, console: Console) -> None:
    """What rounds=auto would train of these runs, the first one being the baseline.

    Raises DigitcmpError where they cannot be compared, or the folder has another plan.
    """
    plan = plan_file.make(runs, folder)
    for line in rule_lines(plan):
        console.print(line, markup=False, highlight=False)
    found = {run.store.configuration_hash: scores(run.store.rows.values()) for run in runs}
    expected = {name: expect(plan, found, name) for name in plan.compared}
    if any(expected.values()):
        console.print(to_table(plan, found, expected))
    if not all(expected.values()):
        for line in of_unknown(plan):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    guessed = {name: one or unknown(plan) for name, one in expected.items()}
    tell(console, total_line(plan, runs, guessed, workers, Paces(runs, console)))


def expect(plan: Plan, found: Mapping[str, Scores], configuration: str) -> Expected | None:
    """What a comparison is expected to come to by its rounds on record, or has come to; None where these are too few to say."""
    both = [seed for seed in range(plan.seed, plan.seed + plan.auto.max) if seed in found[configuration] and seed in found[plan.baseline]]
    own, base = (np.array([found[name][seed] for seed in both]) for name in (configuration, plan.baseline))
    values = own if len(plan.runs) == 1 else paired_differences(own, base)
    values = values[np.isfinite(values)]  # of rounds that did not fail
    sd = spread(values) if len(values) >= LEAST else 0.0
    if decided := [one for one in follow(plan, found) if one.configuration == configuration and one.verdict]:
        difference = np.nan if len(plan.runs) == 1 else decided[0].estimate.value  # a median is none
        return Expected(difference, sd, decided[0].rounds, {decided[0].verdict: 1.0})
    if not sd:
        return None
    return of_median(plan, sd) if len(plan.runs) == 1 else simulate(plan, hodges_lehmann(values).value, sd)


def spread(values: Values) -> float:
    """The standard deviation of normal values with these quartiles: rounds that collapsed are none."""
    return float(stats.iqr(values, scale="normal"))


def simulate(plan: Plan, difference: float, sd: float) -> Expected:
    """Comparisons with this true difference, fractions as all of them."""
    rounds = np.array(plan.looks)
    steps = np.diff(rounds, prepend=0)
    normal = np.random.default_rng(0).standard_normal((WALKS, len(rounds)))
    means = difference + sd * np.cumsum(normal * np.sqrt(steps), axis=1) / rounds
    half = half_widths(plan, sd * np.sqrt(np.pi / 3))
    shown = [means - half > 0, means + half < 0, np.abs(means) + half <= plan.margin, np.broadcast_to(rounds == rounds[-1], means.shape)]
    first = np.argmax(np.any(shown, axis=0), axis=1)
    verdicts = np.argmax([one[np.arange(WALKS), first] for one in shown], axis=0)
    shares = np.bincount(verdicts, minlength=len(VERDICTS)) / WALKS
    return Expected(difference, sd, float(rounds[first].mean()), dict(zip(VERDICTS, shares.tolist(), strict=True)))


def of_median(plan: Plan, sd: float) -> Expected:
    """A single configuration with this spread: how soon the interval of its median is narrow. The median is as wide as
    sqrt(pi / 2) means of normal values."""
    narrow = 2 * half_widths(plan, sd * np.sqrt(np.pi / 2)) < plan.margin
    rounds = plan.looks[int(np.argmax(narrow))] if narrow.any() else plan.looks[-1]
    return Expected(np.nan, sd, rounds, {"narrow": float(narrow.any()), "undecided": float(not narrow.any())})


def half_widths(plan: Plan, sd: float) -> Values:
    """Half of the interval at each look, [looks]; infinite where so few rounds can decide nothing."""
    rounds = np.array(plan.looks)
    return np.where(rounds < least_rounds(plan.nominal), np.inf, stats.t.isf(plan.nominal / 2, rounds - 1) * sd / np.sqrt(rounds))


def unknown(plan: Plan) -> Expected:
    """A comparison of which nothing is known: as long as one may take on average."""
    if len(plan.runs) == 1:
        return of_median(plan, SINGLE_SD)
    return max((simulate(plan, difference, SD) for difference in scale(plan)), key=lambda one: one.rounds)


def scale(plan: Plan) -> list[float]:
    """Differences from none to one that is found at once, in steps of a tenth of the margin."""
    return [step * plan.margin / 10 for step in range(60)]


def of_unknown(plan: Plan) -> list[str]:
    """What comparisons come to of which nothing is known, by their true difference."""
    if len(plan.runs) == 1:
        one = of_median(plan, SINGLE_SD)
        lead = f"too little is on record; with a deviation of {SINGLE_SD / POINT:g} points"
        return [f"{lead}: {likely(one)} after {one.rounds:.0f} rounds"]
    lines = [f"where too little is on record, with a deviation of {SD / POINT:g} points:"]
    for difference in (0.0, plan.margin, 2 * plan.margin, 4 * plan.margin):
        one = simulate(plan, difference, SD)
        lines.append(f"  a true difference of {difference / POINT:g}: about {one.rounds:.0f} rounds, {likely(one)}")
    open_ = [difference for difference in scale(plan) if simulate(plan, difference, SD).verdicts["undecided"] > PROBABLY]
    if open_:
        lines.append(f"  one from {min(open_) / POINT:.2g} to {max(open_) / POINT:.2g} probably stays undecided")
    return lines


def likely(one: Expected) -> str:
    """The most likely verdict, and how likely it is: undecided (64 %)."""
    verdict = max(one.verdicts, key=lambda name: one.verdicts[name])
    return f"{verdict} ({100 * one.verdicts[verdict]:.0f} %)"


def to_table(plan: Plan, found: Mapping[str, Scores], expected: Mapping[str, Expected | None]) -> Table:
    """A row for each comparison with rounds on record."""
    table, names = Table(box=None, padding=(0, 2, 0, 0), header_style="dim"), run_names(plan)
    for title in ("", "on record", "difference", "deviation", "rounds", "verdict"):
        table.add_column(title, justify="right" if title else "left", no_wrap=True)
    for name, one in expected.items():
        if one is not None:
            difference = "" if np.isnan(one.difference) else f"{one.difference / POINT:+.2f}"
            table.add_row(names[name], str(len(found[name])), difference, f"{one.sd / POINT:.2f}", f"about {one.rounds:.0f}", likely(one))
    return table


def total_line(plan: Plan, runs: Sequence[Run], expected: Mapping[str, Expected], workers: int, paces: Paces) -> str:
    """Rounds and time in all. The baseline is trained as long as the longest comparison takes."""
    wanted = {plan.baseline: max(one.rounds for one in expected.values())} | {name: one.rounds for name, one in expected.items()}
    seconds, on_record = 0.0, 0
    for run in runs:
        rounds = wanted[run.store.configuration_hash]
        there = sum(row.seed in range(plan.seed, plan.seed + plan.auto.max) for row in run.store.rows.values())
        seconds, on_record = seconds + max(0.0, rounds - there) * paces.seconds(run), on_record + there
    least, most = (len(runs) * rounds for rounds in (plan.looks[0], plan.looks[-1]))
    time = in_all(seconds, workers, paces.by_what())
    rounds_in_all = f"about {sum(wanted.values()):.0f} rounds in all, {least} to {most}"
    return f"{rounds_in_all}; {on_record} on record, {time}; nothing was trained (dry_run=true)"
