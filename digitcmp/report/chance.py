"""The chance level in a figure: a line at the accuracy of a network that has learnt nothing, or a note where that is far away."""

import math
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes

from digitcmp.report.drawing import QUIET, SMALL

APART = 0.5  # chance is drawn where it is no further from the values than so much of their range; else it is told


def draw_chance(axes: Axes, chance: float, along: str = "y", told: bool = True) -> str:
    """A dotted line at the accuracy of a network that has learnt nothing, with its name where it is `told`; or, where that is far from
    the values, nothing but the note that is returned. along: the axis of the accuracy. To be called when all else is drawn.
    """
    if math.isnan(chance):
        return ""
    upwards = along == "y"
    low, high = axes.get_ylim() if upwards else axes.get_xlim()
    if is_far(chance, low, high):
        return f"{chance_in_words(chance)}, off the axis"
    chance_line(axes, chance, along, told)
    low, high = min(low, chance), max(high, chance)
    margin = 0.03 * (high - low)
    (axes.set_ylim if upwards else axes.set_xlim)(min(low, chance - margin), max(high, chance + margin))
    return ""


def is_far(chance: float, low: float, high: float) -> bool:
    """Whether an axis between these ends would mostly be empty, were it long enough for the chance level."""
    return max(low - chance, chance - high) > APART * (high - low)


def chance_in_words(chance: float) -> str:
    """The chance level as figures have it."""
    return f"chance {100 * chance:.1f} %"


def chance_line(axes: Axes, chance: float, along: str = "y", told: bool = True) -> list[Artist]:
    """The dotted line at the chance level, with its name where it is `told`."""
    upwards = along == "y"
    line = (axes.axhline if upwards else axes.axvline)(chance, color=QUIET, linewidth=0.9, linestyle=(0, (1, 1.5)), zorder=1)
    look: dict[str, Any] = {"fontsize": SMALL, "color": QUIET, "textcoords": "offset points", "va": "bottom"}
    text = chance_in_words(chance)
    if not told:
        return [line]
    if upwards:
        return [line, axes.annotate(text, (1, chance), xycoords=axes.get_yaxis_transform(), xytext=(0, 1), ha="right", **look)]
    return [line, axes.annotate(text, (chance, 1), xycoords=axes.get_xaxis_transform(), xytext=(-3, 1), ha="left", **look)]
