"""Figures draw exactly what the statistics say."""

import io
import re
from collections.abc import Iterable
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from digitcmp.report import drawing, grid, lines, rendering, rows, statistics
from digitcmp.report.comparisons import compare
from digitcmp.report.metrics import METRICS
from digitcmp.report.swept import draw_swept, find_swept
from tests.report.test_statistics import frame, known

ROUNDS = frame({"net1": [0.8, 0.82, 0.84], "net2": [0.85, 0.84, 0.89], "$x_1$": [0.9, 0.91, 0.95]})


def means(count: int) -> pd.DataFrame:
    """Curves of so many configurations over two epochs."""
    rows = [(f"net{index}", epoch, 0.5 + epoch / 10 + index / 100, 0.01, 3, 0) for index in range(count) for epoch in (1, 2)]
    return curve_means(rows)


def curve_means(rows: Iterable[tuple[Any, ...]]) -> pd.DataFrame:
    """Means per epoch, as `statistics.curve_means` gives them."""
    return pd.DataFrame(rows, columns=["label", "epoch", "mean", "std", "count", "carried"])


def said(figure: Figure) -> str:
    """The title of a figure and its notes, in one line."""
    return "\n".join(text.get_text() for text in figure.artists if isinstance(text, Text)).replace("\n", " ")


def drawable(figure: Figure) -> None:
    """The figure becomes a PNG of some size, a well-formed SVG, and a PDF with fonts that publishers take; the same bytes twice."""
    files = rendering.files(figure)
    with Image.open(io.BytesIO(files["png"])) as picture:
        assert picture.size[0] in (1020, 1400)  # one column of a paper at 300 dpi, two at 200
        assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 20
    assert ElementTree.fromstring(files["svg"]).tag.endswith("svg")
    assert files["pdf"].startswith(b"%PDF")
    assert b"/CIDFontType2" in files["pdf"]
    assert b"/Type3" not in files["pdf"]
    assert rendering.files(figure) == files


def test_a_paper_has_a_caption_in_place_of_the_heading() -> None:
    """The PDF is lower by the lines of the heading, which the other files still have, and otherwise the same figure."""
    figure = lines.curves(means(2))
    height, width = figure.get_figheight(), figure.get_figwidth()
    files = rendering.files(figure)
    found = re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", files["pdf"])
    assert found
    across, up = map(float, found.groups())
    assert across == pytest.approx(72 * width, abs=0.01)
    lines_ = sum(1 + text.get_text().count("\n") for text in figure.artists if isinstance(text, Text))
    assert up == pytest.approx(72 * height - 3 - 1.2 * drawing.TITLE - 1.2 * drawing.SMALL * (lines_ - 1), abs=4)
    assert all(text.get_visible() for text in figure.artists)


def test_curves_are_means_and_deviations() -> None:
    """A line through the means and a band of one deviation for each configuration, told apart by colour and dash."""
    figure = lines.curves(means(2))
    (axes,) = figure.axes
    found = {str(line.get_label()): line for line in axes.lines if not str(line.get_label()).startswith("_")}
    assert found["net1"].get_ydata() == pytest.approx([0.61, 0.71])
    band = axes.collections[1].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == (pytest.approx(0.60), pytest.approx(0.72))
    assert found["net0"].get_color() != found["net1"].get_color()
    assert found["net0"].get_linestyle() != found["net1"].get_linestyle()
    drawable(figure)


def test_many_curves_have_a_panel_each() -> None:
    """Sixteen configurations: sixteen panels, each with its own mean, higher than the figure of two."""
    figure = lines.curves(means(16))
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in panels] == [f"net{index}" for index in range(16)]
    assert all(
        any(np.allclose(line.get_ydata(), [0.6 + index / 100, 0.7 + index / 100]) for line in axes.lines)
        for index, axes in enumerate(panels)
    )
    assert figure.get_figheight() > lines.curves(means(2)).get_figheight()


def test_chance_and_the_first_mean_are_told_apart() -> None:
    """Where each has a panel, the first one's mean is dashed in all the others, and chance dotted in all of them."""
    figure = lines.curves(means(8), chance=0.55)
    second, third = (axes.lines for axes in figure.axes[1:3])
    reference, own, chance = second
    assert reference.get_ydata() == pytest.approx([0.6, 0.7])
    assert own.get_ydata() == pytest.approx([0.61, 0.71])
    assert set(chance.get_ydata()) == {0.55}
    assert len({line.get_linestyle() for line in (reference, own)} | {":"}) == 3
    assert [line.get_linestyle() for line in third] == [line.get_linestyle() for line in second]
    assert figure.get_supxlabel() == "epoch (dashed: net0)"


def test_distribution_shows_every_round() -> None:
    """As many points as rounds that are done, at their accuracies; boxes at the quartiles."""
    rounds = pd.concat([ROUNDS, frame({"net1": [None], "net2": [], "$x_1$": []}).assign(seed=3)]).astype({"label": ROUNDS["label"].dtype})
    figure = rows.distribution(rounds, statistics.spread(rounds))
    (axes,) = figure.axes
    points = [collection.get_offsets() for collection in axes.collections]
    assert [sorted(part[:, 0]) for part in points] == [[0.8, 0.82, 0.84], [0.84, 0.85, 0.89], [0.9, 0.91, 0.95]]
    assert all(abs(part[:, 1] - index).max() < 0.25 for index, part in enumerate(points))
    assert any(np.allclose(sorted(set(line.get_xdata())), [0.81, 0.83]) for line in axes.lines)
    assert axes.yaxis_inverted()
    drawable(figure)


def test_failed_rounds_are_told_of() -> None:
    """They have no point, and are in no mean: how many there are is beside the row, or in the notes."""
    rounds = ROUNDS.assign(status=["done"] * 8 + ["failed"])
    figure = rows.distribution(rounds, statistics.spread(rounds))
    assert [text.get_text() for text in figure.axes[0].texts] == ["1/3"]
    assert "at the right: failed rounds, which have no point" in said(figure)
    assert "failed" not in said(rows.distribution(ROUNDS, statistics.spread(ROUNDS)))
    assert "over rounds; without 2 failed rounds" in said(lines.curves(means(2), failed=2))
    assert "failed" not in said(lines.curves(means(2)))


def test_what_has_no_room_is_told_of() -> None:
    """Of many configurations the first 24 are drawn; a dot each is no curve."""
    assert "the first 24 of 30" in said(lines.curves(means(30)))
    assert "the first" not in said(lines.curves(means(24)))
    ends = means(7).query("epoch == 2")
    assert not lines.are_curves(ends.assign(epoch=[20, 25, 60, 60, 60, 60, 60]))
    assert lines.are_curves(means(7))
    assert lines.are_curves(ends.head(6))
    assert not lines.are_curves(ends.head(0))


def test_differences_show_the_comparisons() -> None:
    """In points, with the interval, filled where the corrected p is below 5 %, and a line at zero; what is infinite at the edge."""
    comparisons = compare(ROUNDS, "net1").assign(p_holm=[0.01, 0.2], difference_low=[0.01, -np.inf], difference_high=[0.03, 0.2])
    figure = rows.differences(comparisons)
    zero, bar, dot, open_bar, hollow = figure.axes[0].lines
    assert set(zero.get_xdata()) == {0}
    assert bar.get_xdata() == pytest.approx([1, 3])
    assert dot.get_xdata() == pytest.approx([100 * comparisons["difference"][0]])
    assert open_bar.get_xdata() == pytest.approx([-0.12 * 20, 20])
    assert "at the edge: infinite" in said(figure)
    assert (dot.get_markerfacecolor(), hollow.get_markerfacecolor()) == (drawing.COLOURS[1], "white")
    assert [line.get_color() for line in (bar, open_bar)] == drawing.COLOURS[1:3]  # those of the other figures
    moved = rows.differences(comparisons, order=[comparisons["label"][0], "net1", comparisons["label"][1]])
    assert [line.get_color() for line in moved.axes[0].lines[1::2]] == [drawing.COLOURS[0], drawing.COLOURS[2]]
    drawable(figure)


def test_swept_and_distances() -> None:
    """Points at the values and means; a wide range gets a logarithmic axis that still has room for 0."""
    curve = find_swept(
        statistics.summarise(ROUNDS, known("net1", "net2", "$x_1$")), known("net1", "net2", "$x_1$").assign(w=[0, 0.1, 10]), ["w"]
    )
    assert curve is not None
    figure = draw_swept(curve)
    assert figure.axes[0].lines[0].get_xdata().tolist() == [0, 0.1, 10]
    assert figure.axes[0].lines[0].get_ydata() == pytest.approx(curve["mean"])
    assert figure.axes[0].get_xscale() == "symlog"
    drawable(figure)
    rows = pd.DataFrame({"label": "net1", "distance": range(10), "mean": 0.9, "low": 0.8, "high": 0.95, "count": 3})
    figure = lines.distances(rows)
    assert figure.axes[0].lines[0].get_ydata().tolist() == [0.9] * 10
    drawable(figure)
    drawable(lines.distances(pd.concat([rows.assign(label=f"n{index}") for index in range(9)])))


def test_distances_of_many_configurations_are_a_grid() -> None:
    """Every configuration has its row, and every number stands in its cell; a distance without pairs stays empty."""
    rows = pd.concat(
        pd.DataFrame({"label": f"n{index}", "distance": range(10), "mean": index / 100 + np.arange(10) / 20, "low": 0.0, "high": 1.0})
        for index in range(30)
    )
    figure = lines.distances(rows[(rows["label"] != "n29") | (rows["distance"] != 9)])
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == [f"n{index}" for index in range(30)]
    numbers = {text.get_position(): text.get_text() for text in axes.texts}
    assert (len(numbers), numbers[3, 12], numbers[0, 29]) == (299, "27", "29")
    image = np.ma.filled(axes.images[0].get_array(), np.nan)
    assert image[12, 3] == pytest.approx(0.27)
    assert np.isnan(image[29, 9])
    drawable(figure)


def test_a_grid_ends_where_it_could_not_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """And says of how many configurations it shows some."""
    monkeypatch.setattr(grid, "ROWS", 26)
    figure = lines.distances(pd.concat(pd.DataFrame({"label": f"n{index}", "distance": range(10), "mean": 0.9}) for index in range(30)))
    assert len(figure.axes[0].get_yticklabels()) == 26
    assert "the first 26 of 30 configurations" in said(figure)
    drawable(figure)


def test_one_round_can_be_drawn() -> None:
    """Without deviations and intervals there is still a point."""
    one = frame({"a": [0.8], "b": [0.9]})
    drawable(rows.differences(compare(one, "a")))
    drawable(rows.distribution(one, statistics.spread(one)))
    alone = frame({"a": [0.8]})
    drawable(rows.distribution(alone, statistics.spread(alone), chance=0.79))
    drawable(lines.curves(pd.DataFrame({"label": ["a"], "epoch": [1], "mean": [0.5], "std": [np.nan], "count": [1], "carried": [0]})))


def test_styles_are_all_different() -> None:
    """No two of the first forty-nine configurations look the same, and no two neighbours share a colour or a dash."""
    looks = [(style["color"], str(style["linestyle"])) for style in map(drawing.style, range(49))]
    assert len(set(looks)) == 49


def test_nothing_is_above_a_hundred_per_cent() -> None:
    """Axes end there, bands and intervals too, and a point at 100 % is drawn whole; a loss may be as large as it is."""
    high = frame({"a": [1.0, 0.99, 1.0], "b": [0.995, 1.0, 0.96]})
    table = statistics.summarise(high, known("a", "b"))
    assert table["high"].max() == 1.0
    means = curve_means(("a", epoch, 0.98, 0.05, 3, 0) for epoch in (1, 2, 3))
    (axes,) = lines.curves(means).axes
    assert axes.get_ylim()[1] <= 1.0
    assert axes.collections[0].get_paths()[0].vertices[:, 1].max() == 1.0
    (axes,) = rows.distribution(high, statistics.spread(high)).axes
    assert axes.get_xlim()[1] == 1.0
    assert not any(points.get_clip_on() for points in axes.collections)
    curve = find_swept(table, known("a", "b").assign(w=[0, 1]), ["w"])
    assert curve is not None
    (axes,) = draw_swept(curve).axes
    assert axes.get_ylim()[1] <= 1.0
    (axes,) = lines.curves(means.assign(mean=3.0), METRICS["train_loss"]).axes
    assert axes.get_ylim()[1] > 3


def test_chance_is_drawn_or_told() -> None:
    """A line with its name where values are near; a note where it would squeeze them; nothing for what has no chance level."""
    near, far = frame({"a": [0.6, 0.7], "b": [0.65, 0.8]}), frame({"a": [0.97, 0.98], "b": [0.96, 0.99]})
    assert statistics.chance(near) == pytest.approx(near["majority_accuracy"].mean())
    assert np.isnan(statistics.chance(near, METRICS["seconds"]))
    for one, drawn in ((near, True), (far, False)):
        figure = rows.distribution(one, statistics.spread(one), chance=0.55)
        assert [line for line in figure.axes[0].lines if list(line.get_xdata()) == [0.55, 0.55]] != [] if drawn else True
        assert [text.get_text() for text in figure.axes[0].texts] == ["chance 55.0 %"] * drawn
        assert ("chance 55.0 %, off the axis" in said(figure)) != drawn
        drawable(figure)
    (axes,) = lines.curves(means(2), chance=0.55).axes
    assert axes.get_ylim()[0] < 0.55
    assert [text.get_text() for text in axes.texts] == ["chance 55.0 %"]
    panels = lines.curves(means(8), chance=0.55).axes
    assert sum(len(axes.texts) for axes in panels) == 1
    assert "chance" not in said(lines.curves(means(2)))


def test_rounds_that_ended_early_are_told_of() -> None:
    """Where their last values are drawn on."""
    assert statistics.CARRIED not in said(lines.curves(means(2)))
    assert statistics.CARRIED in said(lines.curves(means(2).assign(carried=[0, 1, 0, 0])))


@pytest.mark.parametrize("accuracy", [0.01, 0.3, 0.5, 0.549, 0.55, 0.56, 0.8, 0.99])
def test_chance_above_and_below_what_is_drawn(accuracy: float) -> None:
    """The line is within the axes, or the note says that it is not; also where all rounds are worse than chance."""
    flat = curve_means(("net1", epoch, accuracy + epoch / 1000, np.nan, 1, 0) for epoch in (1, 2))
    figure = lines.curves(flat, chance=0.55)
    drawable(figure)
    low, high = figure.axes[0].get_ylim()
    assert (low < 0.55 < high) != ("off the axis" in said(figure))


def test_every_colour_has_one_for_dark_ground() -> None:
    """A figure for dark ground differs in its colours alone; none of those that it is drawn with is left; both can be read."""
    for figure in (lines.curves(means(7)), rows.distribution(ROUNDS, statistics.spread(ROUNDS), chance=0.55)):
        light = rendering.render(figure, "svg")
        dark = rendering.on_dark(light)
        colour = re.compile(rb"#[0-9a-f]{6}\b")
        assert colour.sub(b"", light) == colour.sub(b"", dark)
        assert set(colour.findall(light)) <= set(rendering.ON_DARK)
        assert not set(colour.findall(dark)) & set(rendering.ON_DARK)
    for light, dark in drawing.DARK.items():
        if light not in (drawing.GRID, drawing.PAPER):
            assert contrast(dark, drawing.DARK[drawing.PAPER]) > 4.5, dark
    assert len(set(drawing.DARK.values())) == len(drawing.DARK)


def contrast(one: str, other: str) -> float:
    """Of two colours, after the Web Content Accessibility Guidelines 2.1."""

    def luminance(colour: str) -> float:
        parts = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in to_rgb(colour)]
        return float(np.dot(parts, (0.2126, 0.7152, 0.0722)))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("label", ["net1", "model.batchnorm=true,model.dropout=0.5,optimizer.lr=0.0123456,aux_weight=0.25", "W" * 100])
def test_figures_hold_their_texts(label: str) -> None:
    """In the width of a column, nothing is cut off and no legend lies over the data, however long the names are."""
    named = ROUNDS.assign(label=ROUNDS["label"].cat.rename_categories([label, "net2", "net3"]))
    curve = means(3).assign(label=lambda rows: rows["label"].replace("net0", label))
    for figure in (
        lines.curves(curve, chance=0.5),
        rows.distribution(named, statistics.spread(named), chance=0.5),
        rows.differences(compare(named, label)),
    ):
        rendering.render(figure, "png")
        renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
        whole, axes = figure.bbox, figure.axes[0]
        names = axes.get_yticklabels() if axes.yaxis_inverted() else []
        texts = [*figure.artists, *names, axes.xaxis.label, *axes.texts]
        for text in [*texts, *figure.legends]:
            box = text.get_window_extent(renderer)
            assert box.x0 >= -1, text
            assert box.x1 <= whole.x1 + 1, text
            assert box.y0 >= -1, text
            assert box.y1 <= whole.y1 + 1, text
        assert axes.bbox.height > 0.2 * whole.height
        assert all(not legend.get_window_extent(renderer).overlaps(axes.bbox) for legend in figure.legends)


def test_a_long_name_is_broken_between_its_words() -> None:
    """Not in one, where that is not needed; a word that is longer than a line is broken anywhere."""
    assert drawing.folded("course_own_classifiers", 20) == ["course_own_", "classifiers"]
    assert drawing.folded("net1 dropout=0.25", 12) == ["net1", "dropout=0.25"]
    assert drawing.folded("x" * 25, 10) == ["x" * 10, "x" * 10, "x" * 5]
