"""The figures of a search, in the style of the report's. They draw the frames of `summary` and work nothing out."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from digitcmp.counting import counted
from digitcmp.report.drawing import (
    COLOURS,
    GREY,
    INK,
    broad_figure,
    column_figure,
    dress,
    entitle,
    in_percent,
    jitter,
    legend_below,
    styled,
    tidy,
    wrapped,
)
from digitcmp.report.metrics import METRICS
from digitcmp.report.rows import rows_figure

ACCURACY = METRICS["val_accuracy"]
PANELS = 3  # in a row
SPREAD = 0.5  # how wide the trials of a choice are spread, in distances between two choices


@styled
def history(table: pd.DataFrame, less: bool = False) -> Figure:
    """Validation accuracy by trial, and the best so far. table: trial, state, value, best, and final where there was one; less: whether
    less is better."""
    figure = column_figure(2.1)
    axes = figure.subplots()
    scatter(axes, table, table["trial"])
    line = table[table["best"].notna()]
    axes.step(line["trial"], line["best"], where="post", color=COLOURS[1], linewidth=1.2, label="best so far", zorder=1)
    if "final" in table:
        ring(axes, table)
    dress(axes, ACCURACY)
    beyond = frame_complete(axes, table, less)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="trial", ylabel=ACCURACY.title)
    tidy(axes, "both")
    legend_below(figure, axes)
    entitle(figure, "Validation accuracy of every trial", beyond)
    return figure


def ring(axes: Axes, table: pd.DataFrame) -> None:
    """Rings around the finalists, and a star around the one that was picked."""
    picked = table["final"] == "picked"
    for rows, marker, size, label in ((table["final"].notna() & ~picked, "o", 34, "finalist"), (picked, "*", 110, "picked in the final")):
        chosen = table[rows.fillna(False)]
        axes.scatter(chosen["trial"], chosen["value"], s=size, marker=marker, facecolors="none", edgecolors=INK, linewidth=0.8, label=label)


def scatter(axes: Axes, table: pd.DataFrame, across: "pd.Series[float]") -> None:
    """Complete trials as points, pruned ones, where there are any, as crosses at their last value. across: where each row of the table
    is."""
    complete, pruned = table["state"] == "complete", table["state"] == "pruned"
    if pruned.any():
        there, values = across[pruned], table["value"][pruned]
        axes.scatter(there, values, s=9, marker="x", color=GREY, linewidth=0.7, alpha=0.7, label="pruned (last value)")
    axes.scatter(across[complete], table["value"][complete], s=11, color=COLOURS[0], alpha=0.75, linewidth=0, label="complete", zorder=2)


def frame_complete(axes: Axes, table: pd.DataFrame, less: bool) -> str:
    """Show the better part of what there is where hopeless trials would squeeze it: up to a little beyond the worse half. Returns the note
    that says so. less: whether less is better."""
    sign = -1 if less else 1
    values = sign * table["value"].dropna()
    upper = max(values.max() - values.median(), 0.01) if len(values) else 0.0
    if not len(values) or values.median() - values.min() <= 3 * upper:
        return ""
    worst = values.median() - 3 * upper
    best = sign * (values.max() + 0.1 * (values.max() - worst))
    axes.set_ylim(*sorted([sign * worst, min(max(best, 0.0), 1.0)]))
    return f"{'above' if less else 'below'} the axis: {counted(int((values < worst).sum()), 'trial')}"


@styled
def importances(frame: pd.DataFrame) -> Figure:
    """How much of the variance of the objective each parameter explains. frame: parameter, importance."""
    names = [str(name) for name in frame["parameter"]]
    figure, axes = rows_figure(names, "share of the variance")
    axes.barh(range(len(names)), frame["importance"], height=0.55, color=COLOURS[0])
    axes.xaxis.set_major_formatter(in_percent)
    axes.set_xlim(0, None)
    entitle(figure, "What the objective depends on", "share of its variance (fANOVA, complete trials)")
    return figure


@styled
def slices(frame: pd.DataFrame, less: bool = False) -> Figure:
    """Validation accuracy against each parameter, a panel a parameter. frame: parameter, at, text, log, value, state;
    less: whether less is better.

    The trials of a choice lie beside each other, so that they can be counted.
    """
    names = list(dict.fromkeys(frame["parameter"]))
    across = min(PANELS, len(names))
    figure = broad_figure(0.2 + 1.7 * math.ceil(len(names) / across))
    panels = figure.subplots(math.ceil(len(names) / across), across, sharey=True, squeeze=False).ravel()
    for axes, name in zip(panels, names, strict=False):
        part = frame[frame["parameter"] == name].reset_index(drop=True)
        choices = part[part["text"] != ""].drop_duplicates("at").sort_values("at")
        scatter(axes, part, part["at"] + (SPREAD * jitter(len(part)) if len(choices) else np.zeros(len(part))))
        axes.set_xlabel(wrapped(name))
        tidy(axes, "both")
        if part["log"].any():
            axes.set_xscale("log")
        if len(choices):
            axes.set_xticks(choices["at"].tolist(), [wrapped(text, 20) for text in choices["text"]])
            axes.set_xlim(choices["at"].min() - 0.6, choices["at"].max() + 0.6)
            axes.grid(visible=False, axis="x")
    dress(panels[0], ACCURACY)
    beyond = frame_complete(panels[0], frame.drop_duplicates("trial"), less)
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    figure.supylabel(ACCURACY.title)
    figure.align_xlabels()
    legend_below(figure, *panels)
    entitle(figure, "Validation accuracy by parameter", "each point a trial", beyond)
    return figure
