"""The figures with a row per configuration: all rounds with their boxes, and differences with their intervals."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from digitcmp import inert
from digitcmp.report.chance import draw_chance
from digitcmp.report.drawing import (
    COLOURS,
    INK,
    POINTS,
    QUIET,
    SMALL,
    Values,
    column_figure,
    cut_off,
    dress,
    entitle,
    jitter,
    labels_of,
    number_differences,
    on_intervals,
    styled,
    tidy,
    wrapped,
)
from digitcmp.report.metrics import TEST_ACCURACY, Metric, with_unit

NAN = float("nan")
MOST = 100  # characters of a label beside a row


@styled
def distribution(rounds: pd.DataFrame, spread: pd.DataFrame, metric: Metric = TEST_ACCURACY, chance: float = NAN) -> Figure:
    """A box and all rounds as points, a row per configuration. rounds: label, status, the metric; spread: the boxes."""
    labels = labels_of(spread)
    figure, axes = rows_figure(labels, metric.title)
    boxes = [
        {"med": box.median, "q1": box.q1, "q3": box.q3, "whislo": box.low, "whishi": box.high}
        for box in spread.head(len(labels)).itertuples()
    ]
    thin = {"color": INK, "linewidth": 0.8}
    props: dict[str, Any] = {"boxprops": thin, "whiskerprops": thin, "capprops": thin, "medianprops": {**thin, "linewidth": 1.6}}
    axes.bxp(boxes, positions=range(len(labels)), widths=0.5, orientation="horizontal", showfliers=False, manage_ticks=False, **props)
    done = rounds[rounds["status"] == "done"]
    for row, label in enumerate(labels):
        values = done.loc[done["label"] == label, metric.column]
        # many points are small and faint, and lie below the box
        size, faint = 3 if len(values) > 200 else 6, min(0.55, max(0.02, 60 / max(len(values), 1)))
        colour, pixels = COLOURS[row % len(COLOURS)], len(done) > POINTS
        draw_rounds(axes, row, values, 0.44, s=size, alpha=faint, color=colour, rasterized=pixels, clip_on=False)
        if missing := int((rounds.loc[rounds["label"] == label, "status"] != "done").sum()):
            tell_beside(axes, row, f"{missing}/{missing + len(values)}")
    dress(axes, metric, "x")
    far = draw_chance(axes, chance, "x")
    failed = "at the right: failed rounds, which have no point" if len(done) < len(rounds) else ""
    entitle(figure, f"{metric.title.capitalize()} of every round", "box: quartiles; points: rounds", failed, cut_off(spread), far)
    return figure


@styled
def differences(comparisons: pd.DataFrame, metric: Metric = TEST_ACCURACY, order: Sequence[str] = ()) -> Figure:
    """Hodges-Lehmann differences with 95 % intervals, a row per configuration, and a line at zero. comparisons: as `compare`; order: all
    labels as in the other figures, where each has the same colour (else the baseline's is the first).

    What is infinite, of rounds that failed, is at the edge.
    """
    labels = labels_of(comparisons)
    baseline = str(comparisons["baseline"].iloc[0])
    figure, axes = rows_figure(labels, with_unit(f"difference in {metric.title}", metric.difference_unit))
    axes.axvline(0, color=INK, linewidth=0.8)
    shown = metric.scale * comparisons.head(len(labels))[["difference_low", "difference", "difference_high"]].to_numpy(dtype="float64")
    inside, infinite = within(shown)
    places = {label: place for place, label in enumerate(order or [baseline, *labels])}
    for row, ((low, middle, high), p, label) in enumerate(zip(inside, comparisons["p_holm"], labels, strict=False)):
        colour = COLOURS[places[label] % len(COLOURS)]
        look = {"color": colour, "markerfacecolor": colour if p < 0.05 else "white", "linewidth": 1.6, "markersize": 4.5}
        draw_bar(axes, row, [low, high], middle, **look)
    notes = ["paired by seed", on_intervals(shown[:, [0, 2]], "bars: 95 % intervals"), "filled: p < 0.05 (Holm)"]
    notes += [cut_off(comparisons)]
    notes += ["at the edge: infinite"] * infinite + ["lower is better"] * (not metric.higher_is_better)
    number_differences(axes.xaxis)
    entitle(figure, f"{metric.title.capitalize()} compared with {baseline}", *notes)
    return figure


def rows_figure(labels: list[str], xlabel: str) -> tuple[Figure, Axes]:
    """An empty figure with a row per label, the first one on top."""
    texts = [wrapped(inert.shortened(label, MOST), 22) for label in labels]
    height = max(0.25, 0.06 + 0.115 * max(1 + text.count("\n") for text in texts))  # inches of a row
    figure = column_figure(0.7 + height * len(texts))
    axes = figure.subplots()
    axes.set_yticks(range(len(labels)), texts)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlabel(xlabel)
    tidy(axes, "x")
    return figure, axes


def draw_rounds(axes: Axes, row: float, values: "pd.Series[float]", height: float, **look: Any) -> None:
    """A point a round along a row, spread over this height."""
    axes.scatter(values, row + height * jitter(len(values)), linewidth=0, zorder=1, **look)


def tell_beside(axes: Axes, row: float, text: str) -> None:
    """A small text at the right of a row, outside the axes."""
    look: dict[str, Any] = {"fontsize": SMALL, "color": QUIET, "va": "center", "xycoords": axes.get_yaxis_transform()}
    axes.annotate(text, (1.01, row), annotation_clip=False, **look)


def draw_bar(axes: Axes, row: float, ends: Sequence[float], mean: float, **look: Any) -> None:
    """A value with its interval along a row. look: color, linewidth, and those of the mean's marker."""
    axes.plot(ends, [row, row], color=look["color"], linewidth=look.pop("linewidth"), solid_capstyle="butt", zorder=3)
    axes.plot(mean, row, marker="o", zorder=4, **look)


def within(values: Values) -> tuple[Values, bool]:
    """Values with infinite ones a little beyond the finite ones and zero, and whether there are any; NaN stays."""
    finite = np.append(values[np.isfinite(values)], 0.0)
    beyond = 0.12 * (np.ptp(finite) or 1.0)
    return np.clip(values, finite.min() - beyond, finite.max() + beyond), bool(np.isinf(values).any())
