"""The figure of a ladder: how good each rung is, and what its change bought."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from digitcmp.report.ablation.rungs import GAIN, LOSS
from digitcmp.report.drawing import COLOURS, GREY, POINTS, new_figure, signed, tidy, wrapped
from digitcmp.report.metrics import TEST_ACCURACY
from digitcmp.report.rows import draw_bar, draw_rounds, within

SMALL = 8  # points of type
INK = "#222222"
LOOKS = {GAIN: COLOURS[0], LOSS: COLOURS[1]}  # anything else is grey and hollow
LINEAR = 1.0  # points to either side of zero in which the axis of gains is linear
BAR: dict[str, Any] = {"linewidth": 1.6, "markersize": 3.8}
GAP = 1.1  # rows between the last rung and the first side branch
WIDE = 4.0  # points; where no interval reaches further, all of that axis is linear
TICKS = [mantissa * 10.0**power for power in (-2, -1, 0, 1) for mantissa in (1, 2, 5)]  # errors in per cent


def ladder_figure(table: pd.DataFrame, rounds: pd.DataFrame) -> Figure:
    """Left: test error of each rung and of its rounds, on a logarithmic axis; right: the gain over the predecessor.

    Rungs from top to bottom, side branches (hollow on the left) beneath a separator; bars are 95 % intervals (gains: simultaneous).
    table: as `digitcmp.report.ablation.rungs.gains`; rounds: label, status, test_accuracy.
    """
    labels = [wrapped(str(label), 28) for label in table["label"]]
    # side branches come after a gap
    rows = [index + GAP * bool(branch) for index, branch in enumerate(table["branch"])]
    figure = new_figure(1.1 + 0.235 * (rows[-1] + 1) + 0.1 * sum(label.count("\n") for label in labels))
    figure.set_layout_engine("constrained", wspace=0.01)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[1, 0.85])
    draw_errors(left, table, rounds, rows)
    draw_gains(right, table, rows)
    for axes in (left, right):
        tidy(axes, "x")
        axes.tick_params(labelsize=SMALL, labelcolor=INK)
        axes.tick_params(axis="y", length=0)
        axes.xaxis.label.set_size(SMALL)
        axes.spines["left"].set_visible(False)
    if table["branch"].any():
        top = rows[-1] - int(table["branch"].sum()) + 1  # of the side branches
        for axes in (left, right):
            axes.axhline(top - GAP - 0.05, color=GREY, linewidth=0.6)
        aside: dict[str, Any] = {"fontsize": SMALL - 1, "fontstyle": "italic", "color": GREY, "va": "center", "ha": "right"}
        left.text(-0.02, top - 0.75, "tried from a rung", transform=left.get_yaxis_transform(), **aside)
    left.set_yticks(rows, labels)
    left.set_ylim(rows[-1] + 0.6, -0.6)
    return figure


def draw_errors(axes: Axes, table: pd.DataFrame, rounds: pd.DataFrame, rows: list[float]) -> None:
    """The left panel: a faint point per round, the mean with its interval, and the mean in figures."""
    done = rounds[rounds["status"] == "done"]
    errors = in_error(done["test_accuracy"])
    floor = errors[errors > 0].min() / 2 if (errors > 0).any() else 0.1  # where no error is drawn: a logarithm has no zero
    for row, rung in zip(rows, table.to_dict("records"), strict=True):
        own = errors[done["label"] == rung["label"]].clip(lower=floor)
        faint = min(0.4, max(0.06, 25 / max(len(own), 1)))
        colour, pixels = GREY if rung["branch"] else COLOURS[0], len(done) > POINTS
        draw_rounds(axes, row, own, 0.5, s=5, alpha=faint, color=colour, rasterized=pixels)
        mean, *ends = (max(in_error(rung[name]), floor) for name in ("mean", "high", "low"))
        draw_bar(axes, row, ends, mean, color=INK, markerfacecolor="white" if rung["branch"] else INK, **BAR)
        write(axes, row, "" if pd.isna(rung["mean"]) else f"{100 * rung['mean']:.2f} %")
    low, high = min(errors.clip(lower=floor), default=1.0), max(errors.clip(lower=floor), default=10.0)
    spare = 1.08 if high > 1.2 * low else 1.25
    axes.set_xscale("log")
    axes.set_xlim(high * spare, low / spare)
    faultless = bool((errors == 0).any())
    error_ticks(axes, 1.01 * floor if faultless else low / spare, high * spare)
    unit = "test error [%], logarithmic" + (f" (no error: at {floor:g})" if faultless else "")
    axes.set_xlabel(f"{unit}\npoints: rounds; circles: means, 95 % intervals")


def in_error(accuracy: Any) -> Any:
    """Fractions of right answers as per cent of wrong ones."""
    return 100 * (1 - accuracy)


def error_ticks(axes: Axes, low: float, high: float) -> None:
    """Errors beneath the panel, and above it the accuracies that they are."""
    ticks = [tick for tick in TICKS if low <= tick <= high]
    if len(ticks) < 3:
        ticks = [tick for tick in MaxNLocator(4).tick_values(low, high) if low <= tick <= high]
    above = axes.secondary_xaxis("top")
    for axis, texts in ((axes.xaxis, ticks), (above.xaxis, [100 - tick for tick in ticks])):
        axis.set_major_locator(FixedLocator(ticks))
        axis.set_minor_locator(NullLocator())
        axis.set_ticklabels([f"{text:.6g}" for text in texts])
    above.tick_params(labelsize=SMALL, length=0, labelcolor=INK)
    above.spines["top"].set_visible(False)
    above.set_xlabel("test accuracy [%]", fontsize=SMALL)


def draw_gains(axes: Axes, table: pd.DataFrame, rows: list[float]) -> None:
    """The right panel: the gain with its interval, in colour where that excludes zero, and both in figures."""
    axes.axvline(0, color=INK, linewidth=0.9, zorder=1)
    inside, _ = within(100 * table[["gain_low", "gain", "gain_high"]].to_numpy(dtype="float64"))
    for row, rung, (low, middle, high) in zip(rows, table.to_dict("records"), inside, strict=True):
        if pd.isna(rung["gain"]):
            continue
        colour = LOOKS.get(rung["verdict"], GREY)
        draw_bar(axes, row, [low, high], middle, color=colour, markerfacecolor=LOOKS.get(rung["verdict"], "white"), **BAR)
        write(axes, row, TEST_ACCURACY.estimate(rung, ("gain", "gain_low", "gain_high"), "+").replace(" to ", ", "))
    reach = float(np.nan_to_num(np.abs(inside)).max())
    if reach > WIDE:
        axes.set_xscale("symlog", linthresh=LINEAR, linscale=1.1)
        ticks = sorted({sign * tick for sign in (-1, 1) for tick in ((0, 0.5, 1, 3) if reach < 10 else (0, 1, 10))})
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(signed)
    axes.set_xlabel("gain, paired by seed [points]" + (f"; logarithmic beyond {LINEAR:g}" if reach > WIDE else ""))
    for across, text in ((0, "filled: zero is outside the interval"), (1.02, "gain (simultaneous 95 % interval)")):
        axes.text(across, 1.02, text, transform=axes.transAxes, fontsize=SMALL - 1, color=GREY, va="bottom")


def write(axes: Axes, row: float, text: str) -> None:
    """A text to the right of a row, with a minus sign as on the axes."""
    axes.text(
        1.02, row, text.replace("-", "\N{MINUS SIGN}"), transform=axes.get_yaxis_transform(), fontsize=SMALL - 1, va="center", color=INK
    )
