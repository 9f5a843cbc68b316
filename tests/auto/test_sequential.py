"""Verdicts of rounds=auto: how often they are wrong, what a look sees, and that what is on record says it all."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from benchmarks.sequential import AUTO, Case, draw, naive, plan_of, simulate
from digitcmp.auto.sequential import Plan, Scores, compared, follow, is_narrow, look_at, looks, make_plan, scores
from digitcmp.config.schema import Auto
from digitcmp.errors import ConfigError
from digitcmp.experiment.records import DIGITS
from digitcmp.report.comparisons import paired
from digitcmp.report.ranks import Estimate, hodges_lehmann, median_interval, paired_differences
from digitcmp.report.runs import RoundRow
from tests.experiment.made import ROUND

FEW = 100  # repetitions of a case; benchmarks/sequential.py has 2,000


@pytest.mark.parametrize(
    ("case", "least_naive"),
    [
        (Case("none"), 0.12),
        (Case("its rounds collapse", collapses=0.03), 0.25),
        (Case("all collapse", collapses=0.03, baseline_collapses=0.03), 0.08),
        (Case("three", comparisons=3), 0.25),
    ],
    ids=lambda value: value.name if isinstance(value, Case) else "",
)
def test_a_difference_that_is_none_is_seldom_found(case: Case, least_naive: float) -> None:
    """At most 0.05 of the sweeps, for all comparisons together, as far as so few can say; a t interval at the same looks is wrong
    in many times more."""
    repetitions = FEW // case.comparisons
    assert simulate(case, repetitions).wrong <= most_of(repetitions)
    assert simulate(case, FEW, decide=naive).wrong >= least_naive


def most_of(repetitions: int) -> float:
    """The share of wrong ones that a probability of 0.05 exceeds once in a hundred times."""
    return float(stats.binom.ppf(0.99, repetitions, 0.05)) / repetitions


def test_a_point_is_found_soon() -> None:
    """One point of difference takes at most 30 rounds on average, and is always found; two take little more than the first look."""
    one, two = simulate(Case("one", difference=1.0), 60), simulate(Case("two", difference=2.0), 30)
    assert one.rounds <= 30
    assert one.verdicts["better"] == 1
    assert two.rounds <= 14


def test_the_margin_is_seldom_called_equivalent() -> None:
    """A difference of the margin itself is what equivalence must not be claimed of; none at all mostly is equivalent."""
    assert simulate(Case("margin", difference=AUTO.margin), FEW).wrong <= most_of(FEW)
    assert simulate(Case("none"), 60).verdicts["equivalent"] > 0.5


def test_looks() -> None:
    """After every batch, and at the maximum, which need not be a whole number of batches."""
    assert looks(Auto(0.5, 10, 100, 0.05)) == [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]
    assert looks(Auto(0.5, 10, 25, 0.05)) == [10, 20, 25]
    assert looks(Auto(0.5, 10, 10, 0.05)) == [10]


def test_a_maximum_that_can_decide_nothing_is_refused() -> None:
    """Seven pairs cannot have a p as small as a look may spend, whatever they show."""
    with pytest.raises(ConfigError, match=r"auto\.max=7: no look could decide anything, .*; use at least 8"):
        make_plan({"a": "", "b": "", "c": ""}, 0, Auto(0.5, 4, 7, 0.05))
    assert make_plan({"a": "", "b": "", "c": ""}, 0, Auto(0.5, 4, 8, 0.05))


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.001, 0.2, "better"),
        (0.0, 0.2, ""),
        (-0.2, -0.001, "worse"),
        (-0.2, 0.0, ""),
        (-0.005, 0.9 - 0.895, "equivalent"),  # 0.005000000000000004
        (-0.006, 0.004, ""),
        (0.001, 0.004, "better"),
        (-np.inf, np.inf, ""),
    ],
)
def test_verdicts(low: float, high: float, verdict: str) -> None:
    """Ends are part of the interval: one at zero is not off zero, one at the margin is within it. A small difference is one, too."""
    assert compared(Estimate(0.0, low, high), 0.005) == verdict


def test_a_median_is_narrow_below_the_margin() -> None:
    """Not at it."""
    assert is_narrow(Estimate(0.9, 0.898, 0.902), 0.005) == "narrow"
    assert is_narrow(Estimate(0.9, 0.8975, 0.9025), 0.005) == ""
    assert is_narrow(Estimate(0.9, -np.inf, np.inf), 0.005) == ""


def test_a_round_that_failed_loses() -> None:
    """Against any that did not; two that failed are tied."""
    failed = -np.inf
    assert paired_differences(np.array([0.9, failed, 0.1, failed]), np.array([0.8, 0.1, failed, failed])).tolist() == [
        pytest.approx(0.1),
        -np.inf,
        np.inf,
        0.0,
    ]
    plan = plan_of(1)
    base = {seed: 0.5 + seed / 1000 for seed in range(20)}
    lost = {seed: (failed if seed < 14 else base[seed] + 0.1) for seed in range(20)}
    assert look_at(plan, {"0": base, "1": lost}, "1", 10).verdict == "worse"
    (look,) = follow(plan, {"0": lost, "1": base})
    assert (look.verdict, look.rounds) == ("better", 10)


def written(counts: Sequence[int], pairs: int) -> dict[int, float]:
    """What records have of rounds with so many right answers of so many pairs, by seed."""
    return {seed: float(format(count / pairs, DIGITS)) for seed, count in enumerate(counts)}


def test_what_records_leave_out_decides_nothing() -> None:
    """Ten rounds of 30 pairs whose differences are 4, 4, 1, 6, 1, 1, 1, -2, 1 and 5: the interval of 97.06 % begins at half a pair below
    zero (where p is 0.0332), and not above it; ten of 300 whose interval begins at zero, in verdicts as in reports."""
    plan = make_plan({"0": "net1", "1": "wsn"}, 0, Auto(0.5, 10, 20, 0.05))
    cases = [
        (30, [13, 12, 17, 16, 20, 19, 19, 15, 20, 14], [17, 16, 18, 22, 21, 20, 20, 13, 21, 19], (2.5, -0.5, 4.5)),
        (300, [187, 178, 195, 170, 167, 160, 205, 155, 176, 173], [219, 199, 179, 207, 223, 176, 205, 188, 176, 209], (21, 0, 37)),
    ]
    for pairs, base, own, known in cases:
        look = look_at(plan, {"0": written(base, pairs), "1": written(own, pairs)}, "1", 10)
        assert [pairs * value for value in look.estimate] == pytest.approx(known, abs=1e-5)
        assert look.verdict == ""
        row = paired(pd.Series(written(own, pairs)), pd.Series(written(base, pairs)), level=1 - plan.nominal)
        assert tuple(look.estimate) == (row["difference"], row["difference_low"], row["difference_high"])
    assert look.estimate.low == 0


PAIRS = [7, 30, 60, 90, 97, 300, 600, 700, 999, 1000, 9000]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(PAIRS), st.integers(0, 2**32 - 1), st.integers(8, 24), st.floats(0, 0.03), st.sampled_from([0, 1, 2, 5, 30]))
def test_verdicts_are_those_of_exact_fractions(pairs: int, seed: int, rounds: int, shift: float, spread: int) -> None:
    """Of numbers of right answers, which are whole, and of accuracies in the digits of records: the same intervals, verdicts, ties and p;
    the margin is a whole number of pairs, so that ends may lie there."""
    random = np.random.default_rng(seed)
    base = random.integers(0, pairs + 1, rounds) if spread > 5 else random.integers(pairs // 3, pairs // 2 + 1, rounds)
    own = np.clip(base + np.round(random.normal(shift * pairs, spread, rounds)).astype(int), 0, pairs)
    margin = int(random.integers(1, 4)) * 100 / pairs  # points
    plan = make_plan({"0": "a", "1": "b"}, 0, Auto(margin, rounds, rounds, 0.05))
    look = look_at(plan, {"0": written(base.tolist(), pairs), "1": written(own.tolist(), pairs)}, "1", rounds)
    exact = hodges_lehmann((own - base).astype("float64"), 1 - plan.nominal)
    assert [pairs * value for value in look.estimate] == pytest.approx(list(exact), abs=1e-3)
    assert [np.sign(value) for value in look.estimate] == [np.sign(value) for value in exact]
    wanted = round(margin * pairs / 100)
    within = "equivalent" if max(-exact.low, exact.high) <= wanted else "undecided"
    assert look.verdict == ("better" if exact.low > 0 else "worse" if exact.high < 0 else within)
    row = paired(*(pd.Series(written(counts.tolist(), pairs)) for counts in (own, base)))
    whole = paired(pd.Series(own, dtype="float64"), pd.Series(base, dtype="float64"))
    told = ("p", "won", "tied", "lost", "better")
    assert [row[name] for name in told] == [whole[name] for name in told]
    assert row["rank_biserial"] == pytest.approx(whole["rank_biserial"])
    alone = make_plan({"0": "a"}, 0, Auto(margin, rounds, rounds, 0.05))
    median = median_interval(base.astype("float64"), 1 - alone.nominal)
    narrow = "narrow" if median.high - median.low < wanted else "undecided"
    assert look_at(alone, {"0": written(base.tolist(), pairs)}, "0", rounds).verdict == narrow


def test_scores() -> None:
    """What a round counts for."""
    rows = [ROUND, RoundRow(**{**vars(ROUND), "seed": 1, "status": "failed"})]
    assert scores(rows) == {0: ROUND.test_accuracy, 1: -np.inf}


def made(plan: Plan, difference: float, seed: int) -> dict[str, Scores]:
    """Scores of a sweep whose configurations have this difference."""
    rows = draw(Case("", difference=difference, comparisons=len(plan.compared)), 1.4, np.random.default_rng(seed))
    return {name: dict(enumerate(row.tolist())) for name, row in zip(plan.runs, rows, strict=True)}


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.0, 1.0, 2.0]), st.integers(0, 100))
def test_looking_late_is_looking_in_time(seed: int, difference: float, there: int) -> None:
    """Whoever follows a sweep from its records finds the verdict that was found while it was trained; rounds beyond it count for nothing,
    and while there are fewer, there is no verdict but one of theirs."""
    plan = plan_of(1)
    whole = made(plan, difference, seed)
    (end,) = follow(plan, whole)
    assert end.verdict
    assert follow(plan, {name: {one: one_score for one, one_score in row.items() if one < end.rounds} for name, row in whole.items()}) == [
        end
    ]
    begun = follow(plan, {"0": whole["0"], "1": {one: score for one, score in whole["1"].items() if one < there}})
    if there >= end.rounds:
        assert begun == [end]
    else:
        assert [(one.rounds, one.verdict) for one in begun] == [(there // 10 * 10, "")] * (there >= 10)


def test_a_single_configuration_has_a_median() -> None:
    """Its verdict is narrow when the interval of the median is narrower than the margin; undecided at the maximum."""
    plan = make_plan({"a": "alone"}, 3, AUTO)
    assert plan.compared == ["a"]
    values = np.random.default_rng(0).normal(0.9, 0.0012, 100)
    (near,) = follow(plan, {"a": dict(enumerate(values.tolist(), 3))})
    assert near.verdict == "narrow"
    assert near.estimate.high - near.estimate.low < 0.005
    assert near.rounds < 40
    (far,) = follow(plan, {"a": dict(enumerate(np.random.default_rng(0).normal(0.9, 0.012, 100).tolist(), 3))})
    assert (far.verdict, far.rounds) == ("undecided", 100)
