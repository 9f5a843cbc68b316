"""The figures of a report, of one metric at a time. They draw what the statistics say and work nothing out.

Configurations are told apart by Okabe and Ito's colours (colour-blind readers) and by line styles and markers (grey prints).
"""

import io
import math
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from digitcmp import inert
from digitcmp.report.cautions import DRAWN
from digitcmp.report.metrics import TEST_ACCURACY, Metric, with_unit

COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
LINES: list[Any] = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (3, 1, 1, 1))]
MARKERS = ["o", "s", "^", "D", "v", "P", "X"]
GREY = "#777777"
in_percent = TEST_ACCURACY.tick  # of any fraction: 92.5 %
DISTANCE = "|first digit − second digit|"
TOGETHER = 6  # so many curves share a panel; more get one each
POINTS = 3000  # more are drawn as pixels, which keeps SVG files small
WIDTH = 8.0  # inches
Values = np.ndarray[Any, np.dtype[np.floating[Any]]]
LABEL = 120  # characters
Draw = Callable[[Axes, pd.DataFrame, dict[str, Any]], object]  # draws a configuration's means, in its style
GOLDEN = (math.sqrt(5) - 1) / 2


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure that belongs to no window; inches."""
    figure = Figure(figsize=(width, height), layout="constrained", dpi=150)
    FigureCanvasAgg(figure)
    return figure


def style(index: int) -> dict[str, Any]:
    """Colour, line and marker of the configuration at this position; no two of the first 49 are the same."""
    line = LINES[(index + index // len(COLOURS)) % len(LINES)]
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": line, "marker": MARKERS[index % len(MARKERS)]}


def wrapped(label: str, width: int = 30) -> str:
    """A label in short lines, in which nothing is mathematics. One that is long beyond reading loses its middle."""
    return inert.figure(textwrap.fill(inert.shortened(inert.visible(label), LABEL), width))


def tidy(axes: Axes, along: str) -> None:
    """What all axes share: no box, a light grid; `along` is x, y or both."""
    axes.grid(axis=along, alpha=0.3, linewidth=0.7)  # type: ignore[arg-type]
    axes.spines[["top", "right"]].set_visible(False)


def labels_of(frame: pd.DataFrame) -> list[str]:
    """The labels in a frame of statistics, in order, as many as a figure shows."""
    return [str(label) for label in frame["label"].unique()][:DRAWN]


def curves(means: pd.DataFrame, metric: Metric = TEST_ACCURACY) -> Figure:
    """The metric per epoch: a line for the mean over rounds, a band of ± one standard deviation (the published Figure 1).

    means: as `curve_means`.
    """
    return side_by_side(means, "epoch", "epoch", metric.title, metric, draw_band)


def distances(statistics: pd.DataFrame) -> Figure:
    """Test accuracy by the distance |first - second| of the digits, with 95 % intervals. statistics: as `by_distance`."""
    ylabel = "test accuracy (mean, 95 % interval)"
    # apart, so that intervals don't hide each other
    figure = side_by_side(statistics, "distance", DISTANCE, ylabel, TEST_ACCURACY, draw_intervals, apart=0.06)
    if len(figure.axes) == 1:
        figure.axes[0].set_xticks(range(10))
    return figure


def side_by_side(statistics: pd.DataFrame, across: str, xlabel: str, ylabel: str, metric: Metric, draw: Draw, apart: float = 0.0) -> Figure:
    """All configurations in a panel, or, where they are more than six, in one each, drawn by `draw`.

    across: the column of the x axis; apart: between two of them.
    """
    parts = {label: statistics[statistics["label"] == label] for label in labels_of(statistics)}
    if len(parts) > TOGETHER:
        return small_multiples(parts, across, xlabel, metric, draw)
    figure = new_figure(4.2)
    axes = figure.subplots()
    for index, (label, part) in enumerate(parts.items()):
        shifted = part.assign(**{across: part[across] + apart * (index - (len(parts) - 1) / 2)})
        draw(axes, shifted, {**style(index), "label": wrapped(label)})
    dress(axes, metric)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    figure.legend(loc="outside right upper", frameon=False)
    return figure


def small_multiples(parts: dict[str, pd.DataFrame], across: str, xlabel: str, metric: Metric, draw: Draw) -> Figure:
    """A panel a configuration, drawn by `draw`, the first one's mean dotted in each. across: the column of the x axis."""
    columns = 4
    figure = new_figure(0.5 + 1.75 * math.ceil(len(parts) / columns))
    panels = figure.subplots(math.ceil(len(parts) / columns), columns, sharex=True, sharey=True, squeeze=False).ravel()
    first, reference = next(iter(parts.items()))
    for index, (axes, (label, part)) in enumerate(zip(panels, parts.items(), strict=False)):
        if index:
            axes.plot(reference[across], reference["mean"], color=GREY, linestyle=":", linewidth=1.2)
        draw(axes, part, style(0))
        axes.set_title(wrapped(label, 26), fontsize=8)
        dress(axes, metric)
        axes.tick_params(labelsize=8, labelbottom=index + columns >= len(parts))
    for axes in panels[len(parts) :]:
        axes.set_visible(False)
    figure.supxlabel(f"{xlabel} (dotted: {wrapped(first, 60)})", fontsize=9)
    figure.supylabel(metric.title, fontsize=9)
    return figure


def draw_band(axes: Axes, part: pd.DataFrame, look: dict[str, Any]) -> list[Artist]:
    """Means by epoch, in a band of ± one standard deviation where there is any; a marker where a single epoch makes no line."""
    line = {**look, "marker": "o" if len(part) == 1 else None, "linewidth": 1.6}
    artists: list[Artist] = list(axes.plot(part["epoch"], part["mean"], **line))
    if part["std"].notna().any():
        colour, low, high = look["color"], part["mean"] - part["std"], part["mean"] + part["std"]
        # a grey print shows the edges where bands overlap
        edges: dict[str, Any] = {"edgecolor": (colour, 0.35), "linestyle": look["linestyle"], "linewidth": 0.7}
        artists.insert(0, axes.fill_between(part["epoch"], low, high, facecolor=(colour, 0.15), **edges))
    return artists


def draw_intervals(axes: Axes, part: pd.DataFrame, look: dict[str, Any], across: str = "distance") -> None:
    """Means with 95 % intervals upwards. across: the column of the x axis."""
    error = [part["mean"] - part["low"], part["high"] - part["mean"]]
    axes.errorbar(part[across], part["mean"], yerr=error, markersize=4, capsize=2, linewidth=1.2, elinewidth=0.9, **look)


def draw_bar(axes: Axes, row: float, ends: Sequence[float], mean: float, **look: Any) -> None:
    """A value with its interval along a row. look: color, linewidth, and those of the mean's marker."""
    axes.plot(ends, [row, row], color=look["color"], linewidth=look.pop("linewidth"), solid_capstyle="butt", zorder=3)
    axes.plot(mean, row, marker="o", zorder=4, **look)


def dress(axes: Axes, metric: Metric) -> None:
    """The metric upwards, whole numbers across."""
    axes.yaxis.set_major_formatter(metric.tick)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, steps=[1, 2, 5, 10]))
    tidy(axes, "both")


def rows_figure(labels: list[str], xlabel: str) -> tuple[Figure, Axes]:
    """An empty figure with a row per label, the first one on top."""
    lines = sum(1 + wrapped(label).count("\n") for label in labels)
    figure = new_figure(1.0 + 0.3 * len(labels) + 0.12 * lines)
    axes = figure.subplots()
    axes.set_yticks(range(len(labels)), [wrapped(label) for label in labels])
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlabel(xlabel)
    tidy(axes, "x")
    return figure, axes


def draw_rounds(axes: Axes, row: float, values: "pd.Series[float]", height: float, **look: Any) -> None:
    """A point a round along a row, spread over this height; neighbours in the file are never neighbours in the figure."""
    offsets = np.arange(1, len(values) + 1) * GOLDEN % 1 - 0.5  # golden section
    axes.scatter(values, row + height * offsets, linewidth=0, zorder=1, **look)


def distribution(rounds: pd.DataFrame, spread: pd.DataFrame, metric: Metric = TEST_ACCURACY) -> Figure:
    """A box and all rounds as points, a row per configuration. rounds: label, status, the metric; spread: the boxes."""
    labels = labels_of(spread)
    figure, axes = rows_figure(labels, f"{metric.title} (each point a round)")
    boxes = [
        {"med": box.median, "q1": box.q1, "q3": box.q3, "whislo": box.low, "whishi": box.high}
        for box in spread.head(len(labels)).itertuples()
    ]
    thick = {"color": "black", "linewidth": 1.8}
    axes.bxp(
        boxes, positions=range(len(labels)), widths=0.5, orientation="horizontal", showfliers=False, manage_ticks=False, medianprops=thick
    )
    done = rounds[rounds["status"] == "done"]
    for row, label in enumerate(labels):
        values = done.loc[done["label"] == label, metric.column]
        # many points are small and faint, and lie below the box
        size, faint = 6 if len(values) > 200 else 14, min(0.55, max(0.02, 60 / max(len(values), 1)))
        colour, pixels = COLOURS[row % len(COLOURS)], len(done) > POINTS
        draw_rounds(axes, row, values, 0.44, s=size, alpha=faint, color=colour, rasterized=pixels)
    axes.xaxis.set_major_formatter(metric.tick)
    return figure


def differences(comparisons: pd.DataFrame, metric: Metric = TEST_ACCURACY) -> Figure:
    """Hodges-Lehmann differences with 95 % intervals, a row per configuration, and a line at zero. comparisons: as `compare`.

    What is infinite, of rounds that failed, is at the edge.
    """
    labels = labels_of(comparisons)
    baseline = wrapped(str(comparisons["baseline"].iloc[0]), 60)
    title = f"difference in {metric.title} to {baseline}, paired by seed"
    figure, axes = rows_figure(labels, with_unit(title, metric.difference_unit))
    axes.axvline(0, color="black", linewidth=1)
    shown = metric.scale * comparisons.head(len(labels))[["difference_low", "difference", "difference_high"]].to_numpy(dtype="float64")
    inside, infinite = within(shown)
    for row, ((low, middle, high), p) in enumerate(zip(inside, comparisons["p_holm"], strict=False)):
        look = {"color": COLOURS[0], "markerfacecolor": COLOURS[0] if p < 0.05 else "white", "linewidth": 2.2, "markersize": 7}
        draw_bar(axes, row, [low, high], middle, **look)
    notes = ["filled: Holm-corrected p < 0.05", "bars: 95 % intervals"]
    notes += ["at the edge: infinite"] * infinite + ["lower is better"] * (not metric.higher_is_better)
    axes.set_title(textwrap.fill("; ".join(notes), 90), fontsize=9, loc="left", color="#444444")
    return figure


def within(values: Values) -> tuple[Values, bool]:
    """Values with infinite ones a little beyond the finite ones and zero, and whether there are any; NaN stays."""
    finite = np.append(values[np.isfinite(values)], 0.0)
    beyond = 0.12 * (np.ptp(finite) or 1.0)
    return np.clip(values, finite.min() - beyond, finite.max() + beyond), bool(np.isinf(values).any())


def swept(statistics: pd.DataFrame, metric: Metric = TEST_ACCURACY) -> Figure:
    """The mean with 95 % intervals against the swept number. statistics: key, value, mean, low, high."""
    figure = new_figure(3.8)
    axes = figure.subplots()
    values = statistics["value"]
    draw_intervals(axes, statistics, style(0), "value")
    positive = values[values > 0]
    if len(positive) and positive.max() / positive.min() >= 50:
        axes.set_xscale("symlog", linthresh=positive.min(), linscale=0.5)
        axes.xaxis.set_minor_locator(NullLocator())
    if len(values) <= 12:
        axes.set_xticks(values.tolist())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_major_formatter(metric.tick)
    axes.set(xlabel=wrapped(str(statistics["key"].iloc[0]), 60), ylabel=f"{metric.title} (mean, 95 % interval)")
    tidy(axes, "both")
    return figure


@contextmanager
def quiet_about_letters() -> Iterator[None]:
    """A letter that the font does not have is drawn as a box, and that is no fault."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from|Matplotlib currently does not support", UserWarning)
        yield


def render(figure: Figure, kind: str) -> bytes:
    """A figure as the bytes of a PNG or SVG file, the same bytes each time."""
    file = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "digitcmp"}), quiet_about_letters():
        figure.savefig(file, format=kind, metadata={"Date": None} if kind == "svg" else {"Software": None})
    figure.set_layout_engine("none")  # laid out once is enough for all kinds of files, and takes as long as drawing
    return file.getvalue()
