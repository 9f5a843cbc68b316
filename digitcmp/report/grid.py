"""Accuracy by distance where a line each would hide the others: a row per configuration, a cell per distance."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from digitcmp import inert
from digitcmp.report.drawing import DISTANCE, SMALL, Values, broad_figure, entitle, in_percent, styled, wrapped

LABEL = 64  # characters beside a row, which has one line
CELL = 0.16  # inches high
ROWS = 200  # of a picture that can still be opened
COLOURS = "cividis"  # as light as what it stands for is high, for colour-blind readers and grey prints
BRIGHT = 0.55  # above it a cell is lighter than its number
ON_LIGHT, ON_DEEP = "#101010", "#f8f8f8"  # of numbers; cells stay as they are on dark ground


@styled
def distance_grid(statistics: pd.DataFrame) -> Figure:
    """Test accuracy by the distance of the digits, in per cent: a row a configuration, in the order of the report.

    statistics: as `statistics.by_distance`. A cell is empty where no round has such a pair.
    """
    labels = list(statistics["label"].astype(str).unique())
    order = labels[:ROWS]
    wide = statistics.assign(label=statistics["label"].astype(str)).pivot(index="label", columns="distance", values="mean").loc[order]
    figure = broad_figure(0.5 + CELL * len(wide))
    axes, values = figure.subplots(), wide.to_numpy(dtype="float64")
    ends = Normalize(np.nanmin(values), 1.0)
    image = axes.imshow(np.ma.masked_invalid(values), cmap=COLOURS, norm=ends, aspect="auto", interpolation="nearest")
    write_numbers(axes, values, ends)
    axes.set_yticks(range(len(order)), [wrapped(inert.shortened(label, LABEL), 2 * LABEL) for label in order])
    axes.set_xticks(range(len(wide.columns)), [str(distance) for distance in wide.columns])
    axes.tick_params(length=0)
    axes.set_xlabel(DISTANCE)
    axes.spines[:].set_visible(False)
    figure.colorbar(image, ax=axes, format=in_percent, shrink=min(1.0, 3.0 / figure.get_figheight()), aspect=30, pad=0.01)
    some = f"the first {ROWS} of {len(labels)} configurations" if len(labels) > ROWS else ""
    entitle(figure, "Test accuracy by distance of the digits", "mean over rounds [%]", "0: equal digits", some)
    return figure


def write_numbers(axes: Axes, values: Values, ends: Normalize) -> None:
    """The value of every cell in per cent, dark on light ones and light on dark ones."""
    for row, column in np.argwhere(np.isfinite(values)):
        value = values[row, column]
        colour = ON_LIGHT if ends(value) > BRIGHT else ON_DEEP
        axes.text(column, row, f"{100 * value:.0f}", ha="center", va="center", fontsize=SMALL - 1, color=colour)
