"""The lines that a terminal shows: short, whatever the names and the numbers."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from digitcmp.auto.sequential import Look, Plan
from digitcmp.auto.words import look_line, rule_lines, run_names
from digitcmp.config.schema import Auto
from digitcmp.report.ranks import Estimate

AUTO = Auto(0.5, 10, 1000, 0.05)


def plan_of(names: Sequence[str]) -> Plan:
    """The plan of runs with these names."""
    return Plan({str(place): name for place, name in enumerate(names)}, 0, AUTO, 0.001)


NAMES = st.lists(st.text("abc=,.+[]_1234567890", min_size=1, max_size=100), min_size=1, max_size=30, unique=True)
ENDS = st.floats(-1, 1) | st.sampled_from([float("inf"), -float("inf")])


@given(NAMES, ENDS, ENDS, st.sampled_from(["", "better", "equivalent", "undecided"]), st.sampled_from([10, 100, 1000]))
def test_a_look_is_one_line(names: list[str], low: float, high: float, verdict: str, rounds: int) -> None:
    """Of 80 columns at most, with how many go on."""
    plan = plan_of(names)
    taken = [Look(name, rounds, Estimate(0.9, low, high), verdict if int(name) % 2 else "") for name in plan.compared]
    line = look_line(plan, taken)
    assert len(line) <= 80
    assert line.startswith(f"look {rounds // 10}/100, {rounds} rounds, ")
    if len(names) > 1:
        going_on = sum(not one.verdict for one in taken)
        assert f" {going_on or 'none'} go" in line
    assert all(len(line) <= 80 for line in rule_lines(plan))


def test_names_say_what_differs() -> None:
    """What all have in common is left out, keys too; names that are built differently stay."""
    assert list(run_names(plan_of(["model=net1,epochs=5", "model=net2,epochs=5"])).values()) == ["net1", "net2"]
    assert list(run_names(plan_of(["model=a,lr=1", "model=b,lr=2"])).values()) == ["a,1", "b,2"]
    assert list(run_names(plan_of(["run", "model=net2,epochs=5"])).values()) == ["run", "model=ne…,epochs=5"]
    assert list(run_names(plan_of(["+experiment=net4"])).values()) == ["+experiment=net4"]
    long = [f"model=net2,epochs={'1' * 30}{last},seed=0" for last in "123"] + ["model=net1"]
    assert len(set(run_names(plan_of(long)).values())) == 4
