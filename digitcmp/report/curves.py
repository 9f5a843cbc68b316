"""Accuracy and loss per epoch: the statistics, and the figure that only draws them."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from math import floor, log10
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter
from PIL import Image

from digitcmp.config.identity import flat
from digitcmp.errors import RunError
from digitcmp.experiment.about import read_about
from digitcmp.experiment.records import log_paths
from digitcmp.files import older, remove_leftovers, write_whole
from digitcmp.report.drawing import COLOURS, GREY, new_figure, quiet_about_letters, wrapped
from digitcmp.report.lines import draw_band
from digitcmp.report.runs import read_frames

# line styles tell the lines apart in grey
STYLES: dict[str, dict[str, Any]] = {
    "train_accuracy": {"label": "training pairs", "color": COLOURS[0], "linestyle": "--"},
    "test_accuracy": {"label": "test pairs", "color": COLOURS[1], "linestyle": "-"},
    "val_accuracy": {"label": "validation pairs", "color": COLOURS[2], "linestyle": "-."},
    "digit_accuracy": {"label": "digits (test)", "color": GREY, "linestyle": ":"},
    "train_loss": {"label": "training loss", "color": COLOURS[0], "linestyle": "--"},
}


def curve_statistics(epochs: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation (of the sample) over rounds, a row per epoch and figure that a round has: epoch, figure, mean, std,
    rounds."""
    long = epochs.melt(id_vars="epoch", value_vars=list(STYLES), var_name="figure").dropna(subset="value")
    return long.groupby(["epoch", "figure"])["value"].agg(["mean", "std", "count"]).rename(columns={"count": "rounds"}).reset_index()


@dataclass(frozen=True)
class CurveAxes:
    """Which lines the figures of many runs have, and where their axes end: at round numbers, so that a sweep's runs can be compared."""

    names: tuple[str, ...]
    epochs: int
    accuracy: float  # the lowest one; the highest is 1
    loss: float  # the highest one; the lowest is 0

    @classmethod
    def around(cls, statistics: pd.DataFrame) -> "CurveAxes":
        """The axes that hold these lines and bands."""
        spread, is_loss = statistics["std"].fillna(0), statistics["figure"] == "train_loss"
        low, high = statistics["mean"] - spread, statistics["mean"] + spread
        lowest = low[~is_loss & np.isfinite(low)].min()
        loss = high[is_loss & np.isfinite(high)].max()
        names = tuple(name for name in STYLES if name in set(statistics["figure"]))
        floor_of_accuracy = max(0.0, floor(5 * lowest - 0.05) / 5) if lowest > 0 else 0.0
        return cls(names, int(statistics["epoch"].max()), floor_of_accuracy, round_up(loss) if loss > 0 else 1.0)


def round_up(value: float) -> float:
    """The next of 1, 1.5, 2, 3, 5, 7 or 10 times a power of ten, with some room above the value."""
    power = 10.0 ** floor(log10(1.02 * value))
    return float(power * next(step for step in (1, 1.5, 2, 3, 5, 7, 10) if step * power >= 1.02 * value))


def draw_axes(ends: CurveAxes, title: str) -> Figure:
    """Two panels, accuracies and loss, without lines."""
    figure = new_figure(3.6, width=9)
    accuracy, loss = figure.subplots(1, 2)
    accuracy.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    accuracy.set(xlabel="epoch", ylabel="accuracy", ylim=(ends.accuracy, 1.0))
    loss.set(xlabel="epoch", ylabel="loss", ylim=(0, ends.loss))
    margin = max(0.05 * (ends.epochs - 1), 0.05)
    for axes, corner, own in ((accuracy, "lower right", False), (loss, "upper right", True)):
        axes.set_xlim(1 - margin, ends.epochs + margin)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        if lines := [Line2D([], [], **STYLES[name]) for name in ends.names if (name == "train_loss") == own]:
            axes.legend(handles=lines, frameon=True, framealpha=0.85, edgecolor="none", loc=corner)
    figure.suptitle(title, fontsize="medium")
    return figure


def draw_lines(figure: Figure, statistics: pd.DataFrame) -> list[tuple[Axes, Artist]]:
    """Put a line for the mean over rounds, in a band of one standard deviation, into the panels; returns all with their panels."""
    accuracy, loss = figure.axes
    drawn: list[tuple[Axes, Artist]] = []
    for name, style in STYLES.items():
        part, axes = statistics[statistics["figure"] == name], loss if name == "train_loss" else accuracy
        if not part.empty:
            drawn += [(axes, artist) for artist in draw_band(axes, part, style)]
    return drawn


class CurveSheet:
    """The picture of axes, to draw lines on again and again: 34 ms a figure instead of 210, most of which goes into axes and numbers."""

    def __init__(self, ends: CurveAxes) -> None:
        self.figure = draw_axes(ends, "title")
        self.canvas = cast(Any, self.figure.canvas)
        self.canvas.draw()  # arranges the panels
        self.figure.set_layout_engine("none")
        (self.title,) = self.figure.texts
        self.title.set_visible(False)
        self.canvas.draw()
        self.empty = self.canvas.copy_from_bbox(self.figure.bbox)

    def picture(self, statistics: pd.DataFrame, title: str) -> bytes:
        """These lines on a clean sheet, as PNG."""
        self.canvas.restore_region(self.empty)
        for axes, artist in draw_lines(self.figure, statistics):
            axes.draw_artist(artist)
            artist.remove()
        self.title.set(text=wrapped(title, 100), visible=True)
        with quiet_about_letters():
            self.figure.draw_artist(self.title)
        self.title.set_visible(False)
        file = BytesIO()
        Image.fromarray(np.asarray(self.canvas.buffer_rgba())).save(file, format="png", compress_level=1, dpi=(150, 150))
        return file.getvalue()


curve_sheet = lru_cache(maxsize=16)(CurveSheet)


def curves_png(directory: Path) -> bytes:
    """The curves of a run from its records. Raises RunError when they cannot be read."""
    about = read_about(directory)
    epochs = read_frames(directory, about, ["epoch", *STYLES]).epochs
    if epochs.empty:
        raise RunError(f"{directory} has no epoch to draw")
    rounds = epochs["seed"].nunique()
    known = flat(about["configuration"])
    title = f"{known.get('model.name', 'a network')} on {known.get('data.source', 'some data')}"
    title += f", seed {epochs['seed'].iloc[0]}" if rounds == 1 else f", mean ± standard deviation over {rounds} rounds"
    statistics = curve_statistics(epochs)
    return curve_sheet(CurveAxes.around(statistics)).picture(statistics, title)


def draw_outdated(directories: Iterable[Path]) -> None:
    """Draw curves.png of the runs that have epochs which it does not show. Raises RunError when a figure cannot be written."""
    for directory in directories:
        if not older([directory / "curves.png"], log_paths(directory)):
            continue
        try:
            picture = curves_png(directory)
        except RunError:
            continue  # a report names the runs whose records cannot be read
        remove_leftovers(directory)
        write_whole(directory / "curves.png", picture)
