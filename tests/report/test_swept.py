"""A number that is swept: which one it is, its lines, and how far they are apart."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from digitcmp.report import rows
from digitcmp.report.comparisons import compare, paired
from digitcmp.report.metrics import TEST_ACCURACY
from digitcmp.report.statistics import summarise
from digitcmp.report.swept import between, draw_differences, draw_swept, enlarged, find_swept, line_differences
from tests.report.test_figures import drawable, said
from tests.report.test_statistics import frame, known


def test_swept_number() -> None:
    """Only when exactly one number varies: then against it, in its order, with the table's values."""
    table = summarise(frame({"b": [0.8, 0.9], "a": [0.6, 0.8]}), known("b", "a"))
    configurations = known("b", "a").assign(weight=[2.0, 0.5], name="net", flag=True)
    curve = find_swept(table, configurations, ["weight", "name", "flag"])
    assert curve is not None
    assert curve[["value", "mean"]].to_numpy().tolist() == [[0.5, pytest.approx(0.7)], [2.0, pytest.approx(0.85)]]
    for change in ({"name": ["x", "y"]}, {"weight": [2.0, 2.0]}, {"flag": [True, False]}, {"weight": [True, False]}):
        assert find_swept(table, configurations.assign(**change), ["weight", "name", "flag"]) is None


def test_swept_number_beside_something_else() -> None:
    """A line for each of what else differs, where they have three or more of the same numbers; in the order of the report."""
    labels = [f"{net} {count}" for net in ("net2", "net1") for count in (500, 100, 1000)]
    table = summarise(frame({label: [0.8, 0.9] for label in labels}), known(*labels))
    configurations = known(*labels).assign(**{"model.name": ["net2"] * 3 + ["net1"] * 3, "data.train_pairs": [500, 100, 1000] * 2})
    keys = ["model.name", "data.train_pairs"]
    curves = find_swept(table, configurations, keys)
    assert curves is not None
    assert curves["line"].tolist() == ["net2"] * 3 + ["net1"] * 3
    assert curves["value"].tolist() == [100, 500, 1000] * 2
    assert curves["label"].tolist()[:2] == ["net2 100", "net2 500"]
    assert find_swept(table[:5], configurations[:5], keys) is None  # one line has two numbers
    assert find_swept(table, configurations.assign(**{"data.train_pairs": [1, 2, 3, 4, 5, 6]}), keys) is None
    two = configurations.iloc[[0, 1, 3, 4]]
    assert find_swept(table.iloc[[0, 1, 3, 4]], two, keys) is None  # a factorial of two levels


KEYS = ["model.name", "data.train_pairs"]


def two_lines(seeds: int = 9) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rounds of two networks on three numbers of pairs, the second one 5, 2 and 0 points better, and what is swept of them."""
    configurations = known(*(f"{net} {count}" for net in ("net1", "net2") for count in (100, 500, 1000)))
    configurations = configurations.assign(**{KEYS[0]: ["net1"] * 3 + ["net2"] * 3, KEYS[1]: [100, 500, 1000] * 2})
    noise = np.random.default_rng(5).normal(0, 0.01, (6, seeds))
    gains = {"net2 100": 0.05, "net2 500": 0.02}
    rounds = frame({label: list(0.8 + gains.get(label, 0) + noise[at]) for at, label in enumerate(configurations["label"])})
    curve = find_swept(summarise(rounds, configurations), configurations, KEYS)
    assert curve is not None
    return rounds, curve


def test_a_sweep_that_has_not_come_to_its_end() -> None:
    """A line that ends earlier is drawn as far as it is, and compared where both have rounds, from either side."""
    configurations = known(
        *(f"{net} {count}" for net in ("net1", "net2") for count in (100, 500, 1000, 2000) if (net, count) != ("net2", 2000))
    )
    configurations = configurations.assign(**{KEYS[0]: ["net1"] * 4 + ["net2"] * 3, KEYS[1]: [100, 500, 1000, 2000, 100, 500, 1000]})
    rounds = frame({label: [0.80 + 0.01 * at, 0.81, 0.82, 0.84, 0.85, 0.87] for at, label in enumerate(configurations["label"])})
    table = summarise(rounds, configurations)
    curve = find_swept(table, configurations, KEYS)
    assert curve is not None
    assert curve.groupby("line")["value"].apply(list).to_dict() == {"net1": [100, 500, 1000, 2000], "net2": [100, 500, 1000]}
    for baseline in ("net1 2000", "net2 100"):
        found = line_differences(rounds, curve, baseline)
        assert found["value"].tolist() == [100, 500, 1000]
        assert draw_differences(found).axes
    assert draw_swept(curve).axes
    other = configurations.assign(**{KEYS[1]: [100, 500, 1000, 2000, 100, 500, 1500]})
    assert find_swept(table, other, KEYS) is None


def colours(figure: Figure) -> dict[str, str]:
    """Of the lines in the legend, by their names."""
    handles: list[Any]
    handles, names = figure.axes[0].get_legend_handles_labels()
    return {name: handle.lines[0].get_color() for name, handle in zip(names, handles, strict=True)}


def test_differences_of_lines() -> None:
    """Paired by seed at the same value, whichever configuration of a line is the baseline; intervals at the level of three comparisons."""
    rounds, curve = two_lines()
    found = line_differences(rounds, curve, "net1 500")
    assert found[["value", "line", "label", "against", "baseline"]].to_numpy().tolist() == [
        [count, "net2", f"net2 {count:.0f}", "net1", f"net1 {count:.0f}"] for count in (100.0, 500.0, 1000.0)
    ]
    wide = rounds.pivot(index="seed", columns="label", values="test_accuracy")
    expected = paired(wide["net2 100"], wide["net1 100"], TEST_ACCURACY, 1 - 0.05 / 3)
    assert found.loc[0, list(expected)].to_dict() == pytest.approx(expected)
    assert found.loc[0, "difference_low"] > 0
    assert found.loc[2, "difference_low"] < 0 < found.loc[2, "difference_high"]
    opposite = line_differences(rounds, curve, "net2 1000")
    assert opposite["difference"].tolist() == pytest.approx((-found["difference"]).tolist())
    figure = draw_differences(found)
    assert colours(figure) == {"net2": colours(draw_swept(curve))["net2"]}
    assert figure.axes[0].lines[1].get_ydata() == pytest.approx(100 * found["difference"])
    assert "Hodges-Lehmann, paired by seed" in said(figure)
    assert "interval each by itself" in said(draw_swept(curve))
    drawable(figure)


def bars(figure: Figure) -> list[tuple[list[float], list[float]]]:
    """Of each line in a figure's first panel: where its points are on the axis of the swept number, and on the other."""
    return [(list(one.lines[0].get_xdata()), list(one.lines[0].get_ydata())) for one in figure.axes[0].containers]


def test_intervals_lie_beside_each_other() -> None:
    """Lines of the same values are moved apart, equally far on the axis and to both sides; a single one stays where it is."""
    rounds, curve = two_lines()
    figure = draw_swept(curve)
    (left, first), (right, second) = bars(figure)
    scale = figure.axes[0].xaxis.get_transform()
    apart = scale.transform(right) - scale.transform(left)
    assert apart == pytest.approx([apart[0]] * 3)
    assert (left < np.array([100, 500, 1000])).all()
    assert (right > np.array([100, 500, 1000])).all()
    assert first + second == pytest.approx(curve["mean"].tolist())
    low, high = figure.axes[0].get_xlim()
    assert low < left[0] < right[-1] < high
    assert "(lines side by side)" in figure.axes[0].get_xlabel()
    alone = draw_differences(line_differences(rounds, curve, "net1 500"))
    assert bars(alone)[0][0] == pytest.approx([100, 500, 1000])
    assert "side by side" not in alone.axes[-1].get_xlabel()


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=8, unique=True), st.integers(2, 24))
def test_lines_never_reach_the_next_value(places: list[int], count: int) -> None:
    """All lines of a value lie within half of the way to the next one."""
    at = np.sort(np.array(places, dtype="float64"))
    assert 0 < between(at, count) * (count - 1) <= np.diff(at).min() / 2 * (1 + 1e-9)
    assert between(at, 1) == between(at[:1], count) == 0


def spans(*ends: tuple[float, float]) -> pd.DataFrame:
    """Intervals with their middles."""
    return pd.DataFrame([(low / 2 + high / 2, low, high) for low, high in ends], columns=["mean", "low", "high"])


def test_what_is_too_small_to_be_seen_is_enlarged() -> None:
    """The nearer half of the intervals, zero with them, where they fill less than a quarter of an axis for all; else nothing is."""
    near = enlarged(spans((-30, 10), (0.2, 1.0), (-0.2, 0.8), (5, 20)))
    assert near == (pytest.approx(-0.2 - 0.05 * 1.2), pytest.approx(1.0 + 0.05 * 1.2))
    assert enlarged(spans((1, 3), (2, 5))) is None
    assert enlarged(spans((-np.inf, np.inf), (-np.inf, 3), (2, 5))) is None
    assert enlarged(spans((np.nan, np.nan), (np.nan, np.nan))) is None
    assert enlarged(spans((0, 0), (0, 0))) is None
    points = spans((20, 20), (0.2, 0.2), (0.4, 0.4), (9, 9))
    assert enlarged(points) is not None
    assert enlarged(points.assign(low=np.nan, high=np.nan)) is None
    rounds, curve = two_lines()
    found = line_differences(rounds, curve, "net1 500").assign(difference_low=[-0.4, 0.001, -0.002], difference_high=[0.3, 0.03, 0.01])
    figure = draw_differences(found)
    whole, part = figure.axes
    assert whole.get_ylim()[0] < -40 < 30 < whole.get_ylim()[1]
    assert part.get_ylim() == pytest.approx((-0.2 - 0.05 * 3.2, 3 + 0.05 * 3.2))
    assert "enlarged" in part.get_title(loc="left")
    assert all(line.get_clip_on() for line in part.lines)
    drawable(figure)


def test_infinite_intervals_end_at_the_edge() -> None:
    """Where so many rounds failed that an interval has no end, it goes beyond all others, and the figure says so."""
    rounds, curve = two_lines()
    found = line_differences(rounds, curve, "net1 500")
    figure = draw_differences(found.assign(difference_low=[-np.inf, -0.01, -0.02]))
    (low, _), *_ = figure.axes[0].containers[0].lines[2][0].get_segments()
    assert -100 < low[1] < -2
    assert "at the edge: infinite" in said(figure)
    assert "infinite" not in said(draw_differences(found))


def test_too_few_seeds_for_intervals() -> None:
    """No pair of ends is bounded by two seeds: a figure says so instead of speaking of bars that it has not."""
    rounds, curve = two_lines(seeds=2)
    assert "too few seeds for intervals" in said(draw_differences(line_differences(rounds, curve, "net1 100")))
    assert "too few seeds for intervals" in said(rows.differences(compare(rounds, "net1 100")))
    assert "hold together" in said(draw_differences(line_differences(*two_lines(), "net1 100")))


def test_one_line_has_no_differences() -> None:
    """Nor has one whose baseline is on no line."""
    rounds, curve = two_lines()
    assert line_differences(rounds, curve[curve["line"] == "net1"], "net1 100").empty
    assert line_differences(rounds, curve, "another").empty
