"""What all figures are drawn with: sizes, colours on light and on dark ground, labels and axes.

Configurations are told apart by Okabe and Ito's colours (colour-blind readers) and by line styles and markers (grey prints).
"""

import math
import re
from collections.abc import Callable
from functools import wraps
from itertools import chain
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Annotation
from matplotlib.ticker import MaxNLocator

from digitcmp import inert
from digitcmp.counting import counted
from digitcmp.report.cautions import DRAWN
from digitcmp.report.metrics import TEST_ACCURACY, Metric

COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
LINES: list[Any] = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (3, 1, 1, 1))]
MARKERS = ["o", "s", "^", "D", "v", "P", "X"]
GREY = "#777777"
INK, QUIET, GRID, PAPER = "#1d1f21", "#5c6166", "#e3e3de", "#ffffff"
# what stands for these on dark ground, where Okabe and Ito's blue and black would not be seen
DARK = dict(zip(COLOURS, ["#4C9FE0", "#F28448", "#2CC295", "#E59CC6", "#F2C04B", "#A6DAF7", "#F4F4F2"], strict=True))
DARK |= {GREY: "#9CA1A6", INK: "#E6E6E3", QUIET: "#A0A5AA", GRID: "#3A3E41", PAPER: "#1F2224"}

COLUMN, BROAD = 3.4, 7.0  # inches: one column of a paper, and two; a phone shows the first, unlike the second, in a readable size
WIDTH = 8.0  # inches, of figures that are no paper's
BODY, SMALL, TITLE = 8, 7, 9  # points of type
LINE_WIDTH = 1.3  # points
DISTANCE = "|first digit − second digit|"  # an axis of
LABEL = 120  # characters
POINTS = 3000  # more are drawn as pixels, which keeps SVG files small
STEPS = [1, 2, 2.5, 5, 10]  # between the numbers of an axis
GOLDEN = (math.sqrt(5) - 1) / 2
STYLE: Any = {
    **dict.fromkeys(("font.size", "axes.labelsize", "figure.labelsize"), BODY),
    **dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), SMALL),
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
    **dict.fromkeys(("axes.linewidth", "xtick.major.width", "ytick.major.width", "grid.linewidth"), 0.6),
    **dict.fromkeys(("xtick.major.size", "ytick.major.size"), 2.5),
    **{"axes.titlesize": SMALL, "axes.titlelocation": "left", "axes.titlepad": 4.0, "axes.axisbelow": True},
    **{"grid.color": GRID, "legend.frameon": False, "legend.handlelength": 2.2, "legend.columnspacing": 1.2},
}
Values = np.ndarray[Any, np.dtype[np.floating[Any]]]
Arguments = ParamSpec("Arguments")
Drawn = TypeVar("Drawn")
in_percent = TEST_ACCURACY.tick  # of any fraction: 92.5 %


def styled(draw: Callable[Arguments, Drawn]) -> Callable[Arguments, Drawn]:
    """A function that draws, in the type, lines and colours of all of them."""

    @wraps(draw)
    def drawn(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Drawn:
        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return drawn


def new_figure(height: float, width: float = WIDTH, dpi: float = 150, into: Figure | None = None) -> Figure:
    """An empty figure; inches. It belongs to no window, unless one is given that does."""
    if into is not None:
        into.set_layout_engine("constrained")
        into.set_size_inches(width, height)
        return into
    figure = Figure(figsize=(width, height), layout="constrained", dpi=dpi)
    FigureCanvasAgg(figure)
    return figure


def column_figure(height: float, into: Figure | None = None) -> Figure:
    """An empty figure as wide as a column of a paper; inches."""
    return new_figure(height, COLUMN, 300, into)


def broad_figure(height: float, into: Figure | None = None) -> Figure:
    """An empty figure as wide as a page of a paper; inches."""
    return new_figure(height, BROAD, 200, into)


def style(index: int) -> dict[str, Any]:
    """Colour, line and marker of the configuration at this position; no two of the first 49 are the same."""
    line = LINES[(index + index // len(COLOURS)) % len(LINES)]
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": line, "marker": MARKERS[index % len(MARKERS)]}


def wrapped(label: str, width: float = 30) -> str:
    """A label in short lines, broken behind its signs, in which nothing is mathematics. One that is long beyond reading loses its middle.

    width: in small letters and digits.
    """
    return inert.figure("\n".join(folded(inert.shortened(inert.visible(label), LABEL), width)))


def folded(text: str, width: float) -> list[str]:
    """A text in lines of at most this width: parts end behind a sign; those that are longer than a line are broken
    behind what joins words, and anywhere where that is not enough."""
    lines, last = list[str](), ""
    for part in re.split(r"(?<=[ ,;=/])(?!\d)", text):
        words = [part] if extent(part) <= width else re.split(r"(?<=[_.-])", part)
        for piece in chain.from_iterable([word] if extent(word) <= width else word for word in words):
            if last and extent((last + piece).rstrip()) > width:
                lines, last = [*lines, last.rstrip()], ""
            last += piece
    return [*lines, last.rstrip()]


def extent(text: str) -> float:
    """How wide a text is about, in small letters and digits."""
    return sum(
        1.95 if letter in "W@" else 1.6 if letter in "mwM%" else 1.3 if letter.isupper() or not letter.isascii() else 1 for letter in text
    )


def entitle(figure: Figure, title: str, *notes: str) -> tuple[Annotation, Annotation]:
    """Make a figure higher by a title in the upper left corner, and under it notes in small type; returns both. To be called last."""
    points, height = figure.get_figwidth() * 72, figure.get_figheight()
    heading = wrapped(title, points / (0.66 * TITLE))
    note = wrapped("; ".join(filter(None, notes)), points / (0.52 * SMALL))
    below = 3 + 1.2 * TITLE * (1 + heading.count("\n"))
    place: dict[str, Any] = {"xycoords": "figure fraction", "textcoords": "offset points", "va": "top", "linespacing": 1.15}
    texts = (
        Annotation(heading, (0, 1), xytext=(4, -3), fontsize=TITLE, fontweight="bold", **place),
        Annotation(note, (0, 1), xytext=(4, -below - 1), fontsize=SMALL, color=QUIET, **place),
    )
    for text in texts:
        figure.add_artist(text)
    reserved = (below + 1.2 * SMALL * (1 + note.count("\n")) + 2) / 72
    figure.set_figheight(height + reserved)
    engine = figure.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)
    engine.set(rect=(0, 0, 1, height / (height + reserved)))
    return texts


def tidy(axes: Axes, along: str) -> None:
    """What all axes share: no box, a light grid; `along` is x, y or both."""
    axes.grid(axis=along, color=GRID, linewidth=0.6)  # type: ignore[arg-type]
    axes.spines[["top", "right"]].set_visible(False)


def legend_below(figure: Figure, *panels: Axes) -> None:
    """Make a figure higher by the legend of these axes, under all of them, in as many columns as their names leave room for."""
    named = {label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    labels = list(named)
    longest = max(extent(line) for label in labels for line in label.split("\n"))
    room = figure.get_figwidth() * 72 / (0.58 * SMALL)
    rows = math.ceil(len(labels) / max(1, int(room / (longest + 7))))
    figure.legend(named.values(), labels, loc="outside lower center", ncols=math.ceil(len(labels) / rows))
    lines = sum(sorted((1 + label.count("\n") for label in labels), reverse=True)[:rows])
    figure.set_figheight(figure.get_figheight() + (1.45 * SMALL * lines + 8) / 72)


def jitter(count: int) -> Values:
    """So many offsets between -0.5 and 0.5, without chance: neighbours in the file are never neighbours in the figure."""
    return np.arange(1, count + 1) * GOLDEN % 1 - 0.5  # golden section


def labels_of(frame: pd.DataFrame) -> list[str]:
    """The labels in a frame of statistics, in order, as many as a figure shows."""
    return [str(label) for label in frame["label"].unique()][:DRAWN]


def cut_off(frame: pd.DataFrame, column: str = "label") -> str:
    """That a figure does not show all that is in a frame, in words; empty where it does."""
    count = frame[column].nunique()
    return f"the first {DRAWN} of {count}" if count > DRAWN else ""


def left_out(failed: int) -> str:
    """That failed rounds are not in means, in words; empty where there are none."""
    return f"without {counted(failed, 'failed round')}" if failed else ""


def dress(axes: Axes, metric: Metric, along: str = "y") -> None:
    """The metric along the axis x or y, which does not go beyond what is possible."""
    axis = axes.yaxis if along == "y" else axes.xaxis
    axis.set_major_locator(MaxNLocator(nbins=6, steps=STEPS))
    axis.set_major_formatter(metric.tick)
    low, high = axis.get_view_interval()
    (axes.set_ylim if along == "y" else axes.set_xlim)(max(low, metric.limits[0]), min(high, metric.limits[1]))


def on_intervals(ends: "pd.DataFrame | Values", said: str) -> str:
    """What a figure says of its intervals, where any has two ends; with few seeds none has."""
    return said if (~np.isnan(np.asarray(ends, dtype="float64"))).all(axis=1).any() else "too few seeds for intervals"


def signed(value: float, _: object = None) -> str:
    """A difference as an axis has it."""
    return f"{value:+g}".replace("-", "\N{MINUS SIGN}") if value else "0"


def number_differences(axis: Axis) -> None:
    """Numbers with their sign along an axis, as typeset."""
    axis.set_major_locator(MaxNLocator(nbins=7, steps=STEPS))
    axis.set_major_formatter(signed)
