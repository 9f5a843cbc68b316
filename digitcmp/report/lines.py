"""The figures with a line per configuration: curves over epochs, accuracy by distance, and against a number that is swept."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from digitcmp.report.cautions import DRAWN
from digitcmp.report.chance import draw_chance
from digitcmp.report.drawing import (
    DISTANCE,
    GREY,
    LINE_WIDTH,
    broad_figure,
    column_figure,
    cut_off,
    dress,
    entitle,
    labels_of,
    left_out,
    legend_below,
    style,
    styled,
    tidy,
    wrapped,
)
from digitcmp.report.grid import distance_grid
from digitcmp.report.metrics import TEST_ACCURACY, Metric
from digitcmp.report.statistics import CARRIED

TOGETHER = 6  # so many curves share a panel; more get one each
PANELS = 4  # in a row
Draw = Callable[[Axes, pd.DataFrame, dict[str, Any]], object]  # draws a configuration's means, in its style
NAN = float("nan")


@styled
def curves(means: pd.DataFrame, metric: Metric = TEST_ACCURACY, chance: float = NAN, failed: int = 0, into: Figure | None = None) -> Figure:
    """The metric per epoch: a line for the mean over rounds, a band of ± one standard deviation (the published Figure 1).

    means: as `curve_means`; chance: of a network that has learnt nothing, NaN where there is none; failed: rounds in no mean; into: an
    empty figure.
    """

    def band(axes: Axes, part: pd.DataFrame, look: dict[str, Any]) -> None:
        draw_band(axes, part, {**look, "linewidth": LINE_WIDTH}, metric.limits)

    title = f"{metric.title.capitalize()} per epoch"
    parts = ["mean ± standard deviation over rounds", left_out(failed), CARRIED * bool(means["carried"].any()), cut_off(means)]
    note = "; ".join(filter(None, parts))
    return side_by_side(means, "epoch", "epoch", title, note, metric, band, chance=chance, into=into)


def are_curves(means: pd.DataFrame) -> bool:
    """Whether there is anything to draw by `curves`: with a panel each, a single epoch is a dot that says nothing."""
    epochs = means.groupby("label", observed=True)["epoch"].nunique()
    return bool((epochs > 1).any() or 0 < len(epochs) <= TOGETHER)


@styled
def distances(statistics: pd.DataFrame, failed: int = 0) -> Figure:
    """Test accuracy by the distance |first - second| of the digits, with 95 % intervals. statistics: as `by_distance`; failed: rounds that
    are in no mean.

    Chance is not drawn: always giving one answer is right about half the time where digits differ, and always where they are equal.
    More configurations than a figure has room for become the rows of a grid.
    """
    if statistics["label"].nunique() > DRAWN:
        return distance_grid(statistics)
    # apart, so that intervals don't hide each other
    figure = side_by_side(
        statistics,
        "distance",
        DISTANCE,
        "Test accuracy by distance of the digits",
        "; ".join(filter(None, ["mean over rounds, 95 % intervals", left_out(failed)])),
        TEST_ACCURACY,
        draw_intervals,
        apart=0.06,
    )
    if len(figure.axes) == 1:
        figure.axes[0].set_xticks(range(10))
    return figure


def side_by_side(
    statistics: pd.DataFrame,
    across: str,
    xlabel: str,
    title: str,
    note: str,
    metric: Metric,
    draw: Draw,
    apart: float = 0.0,
    chance: float = NAN,
    into: Figure | None = None,
) -> Figure:
    """All configurations in a panel, or, where they are more than six, in one each, drawn by `draw`.

    across: the column of the x axis; apart: between two of them.
    """
    parts = {label: statistics[statistics["label"] == label] for label in labels_of(statistics)}
    if len(parts) > TOGETHER:
        return small_multiples(parts, across, xlabel, title, note, metric, draw, chance, into)
    figure = column_figure(2.1, into)
    axes = figure.subplots()
    for index, (label, part) in enumerate(parts.items()):
        shifted = part.assign(**{across: part[across] + apart * (index - (len(parts) - 1) / 2)})
        draw(axes, shifted, {**style(index), "label": wrapped(label, 45)})
    dress(axes, metric)
    in_whole_numbers(axes)
    axes.set(xlabel=xlabel, ylabel=metric.title)
    legend_below(figure, axes)
    entitle(figure, title, note, draw_chance(axes, chance))
    return figure


def small_multiples(
    parts: dict[str, pd.DataFrame],
    across: str,
    xlabel: str,
    title: str,
    note: str,
    metric: Metric,
    draw: Draw,
    chance: float,
    into: Figure | None,
) -> Figure:
    """A panel a configuration, drawn by `draw`, the mean of the first dashed in each. across: the column of the x axis."""
    count = math.ceil(len(parts) / PANELS)
    figure = broad_figure(0.4 + 1.4 * count, into)
    panels = figure.subplots(count, PANELS, sharex=True, sharey=True, squeeze=False).ravel()
    first, reference = next(iter(parts.items()))
    for index, (axes, (label, part)) in enumerate(zip(panels, parts.items(), strict=False)):
        if index:
            axes.plot(reference[across], reference["mean"], color=GREY, linestyle="--", linewidth=1.0)
        draw(axes, part, style(0))
        axes.set_title(wrapped(label, 25))
        in_whole_numbers(axes)
        axes.tick_params(labelbottom=index + PANELS >= len(parts))
    dress(panels[0], metric)  # all have its axis
    far = [draw_chance(axes, chance, told=axes is panels[0]) for axes in panels[: len(parts)]]
    for axes in panels[len(parts) :]:
        axes.set_visible(False)
    entitle(figure, title, note, far[0])
    figure.supxlabel(f"{xlabel} (dashed: {wrapped(first, 60)})")
    figure.supylabel(metric.title)
    return figure


def in_whole_numbers(axes: Axes) -> None:
    """Epochs or distances across."""
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, steps=[1, 2, 5, 10]))
    tidy(axes, "both")


def draw_band(axes: Axes, part: pd.DataFrame, look: dict[str, Any], limits: tuple[float, float] = (-np.inf, np.inf)) -> list[Artist]:
    """Means by epoch, in a band of ± one standard deviation where there is any, cut off at what is possible; a marker where a single
    epoch makes no line."""
    line = {"linewidth": 1.6, **look, "marker": "o" if len(part) == 1 else None}
    artists: list[Artist] = list(axes.plot(part["epoch"], part["mean"], **line))
    if part["std"].notna().any():
        colour, low, high = look["color"], (part["mean"] - part["std"]).clip(*limits), (part["mean"] + part["std"]).clip(*limits)
        # a grey print shows the edges where bands overlap
        edges: dict[str, Any] = {"edgecolor": (colour, 0.35), "linestyle": look["linestyle"], "linewidth": 0.6}
        artists.insert(0, axes.fill_between(part["epoch"], low, high, facecolor=(colour, 0.15), **edges))
    return artists


def draw_intervals(axes: Axes, part: pd.DataFrame, look: dict[str, Any], across: str = "distance") -> None:
    """Means with 95 % intervals upwards. across: the column of the x axis."""
    error = [part["mean"] - part["low"], part["high"] - part["mean"]]
    # a marker at 100 % is whole, although the axis ends there
    whole: dict[str, Any] = {"clip_on": False, "zorder": 3}
    axes.errorbar(part[across], part["mean"], yerr=error, markersize=3, capsize=1.5, linewidth=1.0, elinewidth=0.8, **(whole | look))
