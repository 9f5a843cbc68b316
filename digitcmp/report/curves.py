"""Accuracy and loss per epoch: the statistics, and the figure that only draws them."""

import hashlib
import re
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from math import floor, isnan, log10
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from PIL import Image, PngImagePlugin

from digitcmp import inert
from digitcmp.config.identity import flat
from digitcmp.errors import RunError
from digitcmp.experiment.about import read_about
from digitcmp.experiment.log_reader import log_paths, read_from
from digitcmp.files import is_special, remove_leftovers, write_whole
from digitcmp.report.chance import chance_in_words, chance_line, is_far
from digitcmp.report.drawing import (
    COLOURS,
    GREY,
    broad_figure,
    entitle,
    in_percent,
    legend_below,
    styled,
)
from digitcmp.report.lines import draw_band, in_whole_numbers
from digitcmp.report.rendering import quiet_about_fonts
from digitcmp.report.runs import read_frames
from digitcmp.report.statistics import CARRIED, carried_forward, chance, of_all_rounds

LONGEST = (80, 120)  # characters of a title, and of a note
LOSS = "train_loss"
MADE_OF = "digitcmp records"  # what a picture says it shows (`fingerprint`)
DIGEST = 16  # bytes of what it says
BEGINNING = 1000  # bytes of a picture, in which it says so
# line styles tell the lines apart in grey
STYLES: dict[str, dict[str, Any]] = {
    "train_accuracy": {"label": "training pairs", "color": COLOURS[0], "linestyle": "--"},
    "test_accuracy": {"label": "test pairs", "color": COLOURS[1], "linestyle": "-"},
    "val_accuracy": {"label": "validation pairs", "color": COLOURS[2], "linestyle": "-."},
    "digit_accuracy": {"label": "digits (test)", "color": GREY, "linestyle": ":"},
    LOSS: {"color": COLOURS[0], "linestyle": "--"},
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
    def around(cls, statistics: pd.DataFrame, chance: float) -> "CurveAxes":
        """The axes that hold these lines and bands, and the chance level where it is near."""
        spread, is_loss = statistics["std"].fillna(0), statistics["figure"] == LOSS
        low, high = statistics["mean"] - spread, statistics["mean"] + spread
        lowest = low[~is_loss & np.isfinite(low)].min()
        lowest = lowest if is_far(chance, lowest, 1.0) else np.fmin(lowest, chance)
        loss = high[is_loss & np.isfinite(high)].max()
        names = tuple(name for name in STYLES if name in set(statistics["figure"]))
        floor_of_accuracy = max(0.0, floor(10 * lowest - 0.05) / 10) if lowest > 0 else 0.0
        return cls(names, int(statistics["epoch"].max()), floor_of_accuracy, round_up(loss) if loss > 0 else 1.0)


def round_up(value: float) -> float:
    """The next of 1, 1.5, 2, 3, 5, 7 or 10 times a power of ten, with some room above the value."""
    power = 10.0 ** floor(log10(1.02 * value))
    return float(power * next(step for step in (1, 1.5, 2, 3, 5, 7, 10) if step * power >= 1.02 * value))


@styled
def draw_axes(ends: CurveAxes) -> tuple[Figure, tuple[Annotation, Annotation]]:
    """Two panels, accuracies and loss, without lines; and the texts above them, to be filled in."""
    figure = broad_figure(2.2)
    accuracy, loss = figure.subplots(1, 2)
    accuracy.yaxis.set_major_formatter(in_percent)
    accuracy.set(xlabel="epoch", ylabel="accuracy", ylim=(ends.accuracy, 1.0))
    loss.set(xlabel="epoch", ylabel="training loss", ylim=(0, ends.loss))
    margin = max(0.05 * (ends.epochs - 1), 0.05)
    for axes in (accuracy, loss):
        axes.set_xlim(1 - margin, ends.epochs + margin)
        in_whole_numbers(axes)
    for name in ends.names:
        if name != LOSS:
            accuracy.plot([], [], **STYLES[name])
    legend_below(figure, accuracy)
    return figure, entitle(figure, "title", "note")


def draw_lines(figure: Figure, statistics: pd.DataFrame) -> list[tuple[Axes, Artist]]:
    """Put a line for the mean over rounds, in a band of one standard deviation, into the panels; returns all with their panels."""
    accuracy, loss = figure.axes
    drawn: list[tuple[Axes, Artist]] = []
    for name, style in STYLES.items():
        part, axes = statistics[statistics["figure"] == name], loss if name == LOSS else accuracy
        if not part.empty:
            drawn += [(axes, artist) for artist in draw_band(axes, part, style)]
    return drawn


class CurveSheet:
    """The picture of axes, to draw lines on again and again: 34 ms a figure instead of 210, most of which goes into axes and numbers."""

    def __init__(self, ends: CurveAxes) -> None:
        self.ends = ends
        self.figure, self.texts = draw_axes(ends)
        self.canvas = cast(Any, self.figure.canvas)
        self.canvas.draw()  # arranges the panels
        self.figure.set_layout_engine("none")
        for text in self.texts:
            text.set_visible(False)
        self.canvas.draw()
        self.empty = self.canvas.copy_from_bbox(self.figure.bbox)

    @styled
    def picture(self, statistics: pd.DataFrame, title: str, note: str, chance: float, made_of: str = "") -> bytes:
        """These lines and the chance level on a clean sheet, as PNG that says what it was made of."""
        self.canvas.restore_region(self.empty)
        drawn = draw_lines(self.figure, statistics)
        if chance >= self.ends.accuracy:
            drawn += [(self.figure.axes[0], artist) for artist in chance_line(self.figure.axes[0], chance)]
        elif not isnan(chance):
            note += f"; {chance_in_words(chance)}, off the axis"
        for axes, artist in drawn:
            axes.draw_artist(artist)
            artist.remove()
        for text, shown, longest in zip(self.texts, (title, note), LONGEST, strict=True):
            text.set(text=inert.figure(inert.shortened(inert.visible(shown), longest)), visible=True)
            with quiet_about_fonts():
                self.figure.draw_artist(text)
            text.set_visible(False)
        file, told = BytesIO(), PngImagePlugin.PngInfo()
        told.add_text(MADE_OF, made_of)
        drawn_on = Image.fromarray(np.asarray(self.canvas.buffer_rgba()))
        drawn_on.save(file, format="png", compress_level=1, dpi=(self.figure.dpi,) * 2, pnginfo=told)
        return file.getvalue()


curve_sheet = lru_cache(maxsize=16)(CurveSheet)


def fingerprint(directory: Path) -> str:
    """Of all that is on record of a run; empty where nothing is. By content: times of files say nothing where clocks are set back, or
    folders copied. Raises RunError when it cannot be read."""
    digest, paths = hashlib.blake2b(digest_size=DIGEST), log_paths(directory)
    for path in paths:
        digest.update(read_from(path, 0))
    return digest.hexdigest() if paths else ""


def shown(path: Path) -> str:
    """The fingerprint of what a picture was made of; empty where there is none."""
    found = None
    with suppress(OSError):  # there is none
        if not is_special(path):
            with path.open("rb") as file:
                found = re.search(rb"tEXt%s\0([0-9a-f]{%d})" % (MADE_OF.encode(), 2 * DIGEST), file.read(BEGINNING))
    return found[1].decode() if found else ""


def curves_png(directory: Path) -> bytes:
    """The curves of a run from its records. Raises RunError when they cannot be read."""
    about, made_of = read_about(directory), fingerprint(directory)  # first: what comes later is drawn the next time
    frames = read_frames(directory, about, ["epoch", *STYLES])
    epochs, failed = frames.epochs, frames.rounds.loc[frames.rounds["status"] == "failed", "seed"]
    if epochs.empty:
        raise RunError(f"{directory} has no epoch to draw")
    rounds = epochs["seed"].nunique()
    known = flat(about["configuration"])
    title = f"{known.get('model.name', 'a network')} on {known.get('data.source', 'some data')}"
    note = f"seed {epochs['seed'].iloc[0]}" if rounds == 1 else f"mean ± standard deviation over {rounds} rounds"
    rows = averaged(epochs, failed)
    note += f"; {CARRIED}" if rows["carried"].any() else ""
    statistics, level = curve_statistics(rows), chance(frames.rounds)
    return curve_sheet(CurveAxes.around(statistics, level)).picture(statistics, title, note, level, made_of)


def averaged(epochs: pd.DataFrame, failed: Collection[int]) -> pd.DataFrame:
    """The epochs of a run as its curves take them: those of `carried_forward`, without the figures of epochs at which not all rounds have
    them. The rounds of failed seeds are in the means as long as they went on, at the epochs that the others have."""
    broken = epochs["seed"].isin(failed)
    whole = carried_forward(epochs[~broken], [])
    rows = pd.concat([whole, epochs[broken].assign(carried=False)], ignore_index=True)
    for name in STYLES:
        if len(kept := of_all_rounds(whole, [], name)):
            rows[name] = rows[name].where(rows["epoch"].isin(kept["epoch"]))
    return rows


def draw_outdated(directories: Iterable[Path]) -> None:
    """Draw curves.png of the runs that have epochs which it does not show. Raises RunError when a figure cannot be written."""
    for directory in directories:
        try:
            if fingerprint(directory) in ("", shown(directory / "curves.png")):
                continue
            picture = curves_png(directory)
        except RunError:
            continue  # a report names the runs whose records cannot be read
        remove_leftovers(directory)
        write_whole(directory / "curves.png", picture)
