"""The figure of confusions: which digits are read as which, and which pairs are answered wrongly. It draws what was counted."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from digitcmp.mistakes.findings import CLASSES, Findings, Numbers
from digitcmp.report.drawing import COLOURS, GREY, INK, PAPER, SMALL, WIDTH, entitle, new_figure, styled

SHADES = LinearSegmentedColormap.from_list("shades", [PAPER, COLOURS[1]])
RIGHT = "#EDEDEA"  # digits that are read rightly, which would outshine all others
NONE = "–"  # there is no such pair
DARK = 0.6  # share of the darkest shade from which on numbers are light


@styled
def figure(findings: Findings) -> Figure:
    """Per cent of the digits of each class that are read as each (where digits are read), and of the pairs of each two classes that are
    answered wrongly."""
    digits, pairs = findings.digit_shares(), findings.wrong_shares()
    drawn = new_figure(WIDTH / 2 - 0.3, WIDTH if digits is not None else WIDTH / 2)
    panels = drawn.subplots(1, 1 if digits is None else 2, squeeze=False)[0]
    if digits is not None:
        wrong = digits.copy()
        np.fill_diagonal(wrong, np.nan)
        draw(panels[0], digits, wrong, title="digits", xlabel="read as", ylabel="true digit")
    draw(panels[-1], pairs, pairs, title="pairs that are answered wrongly", xlabel="second digit", ylabel="first digit")
    of = "of each field's pairs" if digits is None else "of each row's digits, and of each field's pairs"
    asked = f"; {NONE}: there are no such pairs" if np.isnan(pairs).any() else ""
    entitle(drawn, findings.wrong_line(), f"per cent {of}; empty: 0 %{asked}")
    return drawn


def draw(axes: Axes, shares: Numbers, shaded: Numbers, **names: str) -> None:
    """A matrix [10, 10] of shares, nan where nothing was asked. shaded: those that are told by colour, nan for the others."""
    most = np.nanmax(shaded, initial=0.0) or 1.0
    axes.set_facecolor(RIGHT)
    axes.imshow(np.ma.masked_invalid(shaded), cmap=SHADES, vmin=0, vmax=most)
    for (row, column), share in np.ndenumerate(shares):
        dark = bool(shaded[row, column] > DARK * most)
        look: dict[str, Any] = {"color": PAPER if dark else GREY if np.isnan(share) else INK, "fontsize": SMALL - 1}
        axes.text(column, row, told(share), ha="center", va="center", **look)
    axes.set(xticks=range(CLASSES), yticks=range(CLASSES), **names)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def told(share: float) -> str:
    """Per cent, with a decimal below ten and where it is nearly all; nothing for none at all."""
    per_cent = 100 * share
    if np.isnan(share):
        return NONE
    whole = per_cent == 100 or 9.95 <= per_cent < 95  # nearly all of them is not all
    return "" if share == 0 else "<0.1" if per_cent < 0.05 else f"{per_cent:.0f}" if whole else f"{per_cent:.1f}"
