"""The figures of a search, in the style of the report's. They draw the frames of `summary` and work nothing out."""

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from digitcmp.report.figures import COLOURS, GREY, in_percent, new_figure, rows_figure, tidy, wrapped

BEST = "#D55E00"
PANELS = 3  # in a row


def history(table: pd.DataFrame) -> Figure:
    """Validation accuracy by trial, and the best so far. table: trial, state, value, best."""
    figure = new_figure(3.8)
    axes = figure.subplots()
    scatter(axes, table, "trial")
    line = table[table["best"].notna()]
    axes.step(line["trial"], line["best"], where="post", color=BEST, linewidth=1.6, label="best so far", zorder=1)
    frame_complete(axes, table)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(in_percent)
    axes.set(xlabel="trial", ylabel="validation accuracy")
    tidy(axes, "both")
    figure.legend(loc="outside right upper", frameon=False)
    return figure


def scatter(axes: Axes, table: pd.DataFrame, across: str) -> None:
    """Complete trials as points, pruned ones as crosses at their last value."""
    complete, pruned = (table[table["state"] == state] for state in ("complete", "pruned"))
    axes.scatter(pruned[across], pruned["value"], s=18, marker="x", color=GREY, linewidth=1, alpha=0.7, label="pruned (last value)")
    axes.scatter(complete[across], complete["value"], s=22, color=COLOURS[0], alpha=0.75, linewidth=0, label="complete", zorder=2)


def frame_complete(axes: Axes, table: pd.DataFrame) -> None:
    """Show the upper part of what there is where hopeless trials would squeeze it: from a little below the worse half."""
    values = table["value"].dropna()
    upper = max(values.max() - values.median(), 0.01) if len(values) else 0.0
    if len(values) and values.median() - values.min() > 3 * upper:
        low = values.median() - 3 * upper
        axes.set_ylim(low, values.max() + 0.1 * (values.max() - low))
        axes.set_title(f"{int((values < low).sum())} trials lie below", fontsize=9, loc="left", color="#444444")


def importances(frame: pd.DataFrame) -> Figure:
    """How much of the variance of the objective each parameter explains. frame: parameter, importance."""
    names = [str(name) for name in frame["parameter"]]
    figure, axes = rows_figure(names, "share of the variance of the objective (fANOVA, complete trials)")
    axes.barh(range(len(names)), frame["importance"], height=0.55, color=COLOURS[0])
    axes.xaxis.set_major_formatter(in_percent)
    axes.set_xlim(0, None)
    axes.set_axisbelow(True)
    return figure


def slices(frame: pd.DataFrame) -> Figure:
    """Validation accuracy against each parameter, a panel a parameter. frame: parameter, at, text, log, value, state."""
    names = list(dict.fromkeys(frame["parameter"]))
    across = min(PANELS, len(names))
    figure = new_figure(0.6 + 2.5 * math.ceil(len(names) / across))
    panels = figure.subplots(math.ceil(len(names) / across), across, sharey=True, squeeze=False).ravel()
    frame_complete(panels[0], frame.drop_duplicates("trial"))
    for axes, name in zip(panels, names, strict=False):
        part = frame[frame["parameter"] == name]
        scatter(axes, part, "at")
        axes.set_xlabel(wrapped(name), fontsize=9)
        axes.tick_params(labelsize=8)
        axes.yaxis.set_major_formatter(in_percent)
        tidy(axes, "both")
        if part["log"].any():
            axes.set_xscale("log")
        if (part["text"] != "").any():
            ticks = part.drop_duplicates("at").sort_values("at")
            axes.set_xticks(ticks["at"].tolist(), [wrapped(text, 20) for text in ticks["text"]])
            axes.margins(x=0.3)
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    figure.supylabel("validation accuracy", fontsize=9)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure
