"""Figures draw exactly what the statistics say."""

import io
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from digitcmp.report import figures, statistics
from digitcmp.report.comparisons import compare
from tests.report.test_statistics import frame, known

ROUNDS = frame({"net1": [0.8, 0.82, 0.84], "net2": [0.85, 0.84, 0.89], "$x_1$": [0.9, 0.91, 0.95]})


def means(count: int) -> pd.DataFrame:
    """Curves of so many configurations over two epochs."""
    rows = [(f"net{index}", epoch, 0.5 + epoch / 10 + index / 100, 0.01, 3) for index in range(count) for epoch in (1, 2)]
    return pd.DataFrame(rows, columns=["label", "epoch", "mean", "std", "count"])


def drawable(figure: Figure) -> None:
    """The figure becomes a PNG of some size and a well-formed SVG, the same bytes twice."""
    png, svg = figures.render(figure, "png"), figures.render(figure, "svg")
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.size[0] == 1200
        assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 20
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert figures.render(figure, "svg") == svg


def test_curves_are_means_and_deviations() -> None:
    """A line through the means and a band of one deviation for each configuration, told apart by colour and dash."""
    figure = figures.curves(means(2))
    (axes,) = figure.axes
    lines = {str(line.get_label()): line for line in axes.lines if not str(line.get_label()).startswith("_")}
    assert lines["net1"].get_ydata() == pytest.approx([0.61, 0.71])
    band = axes.collections[1].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == (pytest.approx(0.60), pytest.approx(0.72))
    assert lines["net0"].get_color() != lines["net1"].get_color()
    assert lines["net0"].get_linestyle() != lines["net1"].get_linestyle()
    drawable(figure)


def test_many_curves_have_a_panel_each() -> None:
    """Sixteen configurations: sixteen panels, each with its own mean, higher than the figure of two."""
    figure = figures.curves(means(16))
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in panels] == [f"net{index}" for index in range(16)]
    assert all(
        any(np.allclose(line.get_ydata(), [0.6 + index / 100, 0.7 + index / 100]) for line in axes.lines)
        for index, axes in enumerate(panels)
    )
    assert figure.get_figheight() > figures.curves(means(2)).get_figheight()


def test_distribution_shows_every_round() -> None:
    """As many points as rounds that are done, at their accuracies; boxes at the quartiles."""
    rounds = pd.concat([ROUNDS, frame({"net1": [None], "net2": [], "$x_1$": []}).assign(seed=3)]).astype({"label": ROUNDS["label"].dtype})
    figure = figures.distribution(rounds, statistics.spread(rounds))
    (axes,) = figure.axes
    points = [collection.get_offsets() for collection in axes.collections]
    assert [sorted(part[:, 0]) for part in points] == [[0.8, 0.82, 0.84], [0.84, 0.85, 0.89], [0.9, 0.91, 0.95]]
    assert all(abs(part[:, 1] - index).max() < 0.25 for index, part in enumerate(points))
    assert any(np.allclose(sorted(set(line.get_xdata())), [0.81, 0.83]) for line in axes.lines)
    assert axes.yaxis_inverted()
    drawable(figure)


def test_differences_show_the_comparisons() -> None:
    """In points, with the interval, filled where the corrected p is below 5 %, and a line at zero; what is infinite at the edge."""
    comparisons = compare(ROUNDS, "net1").assign(p_holm=[0.01, 0.2], difference_low=[0.01, -np.inf], difference_high=[0.03, 0.2])
    figure = figures.differences(comparisons)
    zero, bar, dot, open_bar, hollow = figure.axes[0].lines
    assert set(zero.get_xdata()) == {0}
    assert bar.get_xdata() == pytest.approx([1, 3])
    assert dot.get_xdata() == pytest.approx([100 * comparisons["difference"][0]])
    assert open_bar.get_xdata() == pytest.approx([-0.12 * 20, 20])
    assert "at the edge: infinite" in figure.axes[0].get_title(loc="left")
    assert (dot.get_markerfacecolor(), hollow.get_markerfacecolor()) == (figures.COLOURS[0], "white")
    drawable(figure)


def test_swept_and_distances() -> None:
    """Points at the values and means; a wide range gets a logarithmic axis that still has room for 0."""
    curve = statistics.swept(
        statistics.summarise(ROUNDS, known("net1", "net2", "$x_1$")), known("net1", "net2", "$x_1$").assign(w=[0, 0.1, 10]), ["w"]
    )
    assert curve is not None
    figure = figures.swept(curve)
    assert figure.axes[0].lines[0].get_xdata().tolist() == [0, 0.1, 10]
    assert figure.axes[0].lines[0].get_ydata() == pytest.approx(curve["mean"])
    assert figure.axes[0].get_xscale() == "symlog"
    drawable(figure)
    rows = pd.DataFrame({"label": "net1", "distance": range(10), "mean": 0.9, "low": 0.8, "high": 0.95, "count": 3})
    figure = figures.distances(rows)
    assert figure.axes[0].lines[0].get_ydata().tolist() == [0.9] * 10
    drawable(figure)
    drawable(figures.distances(pd.concat([rows.assign(label=f"n{index}") for index in range(9)])))


def test_one_round_can_be_drawn() -> None:
    """Without deviations and intervals there is still a point."""
    one = frame({"a": [0.8], "b": [0.9]})
    drawable(figures.differences(compare(one, "a")))
    drawable(figures.distribution(one, statistics.spread(one)))
    drawable(figures.curves(pd.DataFrame({"label": ["a"], "epoch": [1], "mean": [0.5], "std": [np.nan], "count": [1]})))


def test_styles_are_all_different() -> None:
    """No two of the first forty-nine configurations look the same, and no two neighbours share a colour or a dash."""
    looks = [(style["color"], str(style["linestyle"])) for style in map(figures.style, range(49))]
    assert len(set(looks)) == 49
