"""What a dry run expects, against what happens: the normal walk is a good stand-in for the procedure."""

import numpy as np
import pytest

from benchmarks.sequential import SD, plan_of
from digitcmp.auto.expected import expect, of_median, simulate, unknown
from digitcmp.auto.sequential import POINT, Scores, make_plan
from digitcmp.config.schema import Auto

# rounds, equivalent, undecided over 2,000 sweeps of benchmarks/sequential.py, by difference in points (docs/auto.md)
MEASURED = {0.0: (78.0, 0.754, 0.206), 0.5: (60.4, 0.015, 0.164), 1.0: (23.7, 0.0, 0.0), 2.0: (11.8, 0.0, 0.0)}


@pytest.mark.parametrize("difference", MEASURED)
def test_a_known_comparison(difference: float) -> None:
    """Rounds to an eighth of them, verdicts to 8 %."""
    rounds, equivalent, undecided = MEASURED[difference]
    found = simulate(plan_of(1), difference * POINT, SD * POINT)
    assert found.rounds == pytest.approx(rounds, rel=0.12)
    assert found.verdicts["equivalent"] == pytest.approx(equivalent, abs=0.08)
    assert found.verdicts["undecided"] == pytest.approx(undecided, abs=0.08)
    assert sum(found.verdicts.values()) == pytest.approx(1)


def by_seed(values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> Scores:
    """Scores of seeds from 0 on."""
    return dict(enumerate(np.round(values, 3).tolist()))


def test_by_what_is_on_record() -> None:
    """The difference and its spread, rounds that failed or collapsed aside; nothing is said of four pairs, or of failed ones alone;
    what has been decided stays so."""
    generator = np.random.default_rng(0)
    base = generator.normal(0.9, 0.01, 9)
    better = base + generator.normal(0.01, 0.014, 9)
    better[4] = -np.inf
    found = {"0": by_seed(base), "1": by_seed(better)}
    one = expect(plan_of(1), found, "1")
    assert one is not None
    assert 0.005 < one.sd < 0.03
    assert one.difference == pytest.approx(0.01, abs=0.015)
    assert expect(plan_of(1), {"0": by_seed(base[:4]), "1": by_seed(better[:4])}, "1") is None
    assert expect(plan_of(1), {"0": by_seed(base), "1": by_seed(np.full(9, -np.inf))}, "1") is None
    base = generator.normal(0.9, 0.01, 20)
    decided = expect(plan_of(1), {"0": by_seed(base), "1": by_seed(base + 0.02)}, "1")
    assert decided is not None
    assert (decided.rounds, decided.verdicts) == (10, {"better": 1.0})


def test_what_is_unknown_takes_longest() -> None:
    """No difference takes more rounds than the one that is expected where nothing is on record."""
    longest = unknown(plan_of(2))
    assert all(simulate(plan_of(2), points * POINT, SD * POINT).rounds <= longest.rounds for points in (0, 0.2, 0.5, 1))


def test_a_single_configuration() -> None:
    """The median's interval narrows with the root of the rounds."""
    plan = make_plan({"a": ""}, 0, Auto(0.5, 10, 100, 0.05))
    assert of_median(plan, 0.001).rounds < of_median(plan, 0.003).rounds < 100
    assert of_median(plan, 0.003).verdicts["narrow"] == 1
    assert of_median(plan, 0.012).verdicts["undecided"] == 1
    one = expect(plan, {"a": by_seed(np.random.default_rng(0).normal(0.9, 0.002, 30))}, "a")
    assert one is not None
    assert one.sd == pytest.approx(0.002, rel=0.5)


@pytest.mark.parametrize(("scores", "verdict"), [([0.9] * 10, "narrow"), ([-np.inf] * 10, "undecided")])
def test_a_single_configuration_that_is_decided_has_no_difference(scores: list[float], verdict: str) -> None:
    """There is nothing that it differs from; its median is no difference, whatever has become of its rounds."""
    plan = make_plan({"a": "alone"}, 0, Auto(0.5, 10, 10, 0.05))
    one = expect(plan, {"a": dict(enumerate(scores))}, "a")
    assert one is not None
    assert np.isnan(one.difference)
    assert one.verdicts == {verdict: 1.0}
