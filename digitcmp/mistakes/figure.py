"""The figure of mistakes: what the network saw, and what it made of it. It draws what was found and works nothing out."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from digitcmp.mistakes.findings import Findings, Mistake, Numbers
from digitcmp.report.drawing import COLOURS, GREY, WIDTH, new_figure
from digitcmp.report.drawing import TITLE as HEADING

MOST = 60  # pairs in the figure
COLUMNS = 6
TRUE, READ, OTHER = COLOURS[0], COLOURS[1], "#BBBBBB"
QUIET = "#444444"

# inches, from the left and from the top; all is drawn in one panel, as two hundred panels would take a minute
MARGIN = 0.15
CELL = (WIDTH - 2 * MARGIN) / COLUMNS
SIDE = 0.53  # of an image
GAP = 0.07  # between the images of a pair
TITLE = 0.19
BARS = 0.34  # height of a bar of probability 1
AIR = 0.05  # between an image and the highest bar
NAMES = 0.11  # below the bars
BETWEEN = 0.17  # rows
LINE = 0.17  # of text at the top


def figure(findings: Findings) -> Figure:
    """At most 60 pairs that are answered wrongly, those first of which the network was surest; there must be one."""
    shown = findings.surest(MOST)
    bars = shown[0].posteriors is not None
    which = "all of them" if len(shown) == len(findings.mistakes) else f"the {len(shown)} of which the network was surest"
    caption = f"shown: {which}, surest first; per cent: the probability that the network gave to its wrong answer"
    lines = list(filter(None, [findings.wrong_line(), findings.kinds_line(), caption]))
    top, row_height = line_top(len(lines) + bars) + 0.12, TITLE + SIDE + (AIR + BARS + NAMES) * bars + BETWEEN
    drawn = new_figure(top + row_height * math.ceil(len(shown) / COLUMNS))
    drawn.set_layout_engine("none")  # every part has its coordinates
    axes = drawn.add_axes((0, 0, 1, 1))
    draw_heading(axes, lines, bars)
    for index, mistake in enumerate(shown):
        row, column = divmod(index, COLUMNS)
        draw_pair(axes, mistake, findings.relation, MARGIN + column * CELL, top + row * row_height)
    axes.set(xlim=(0, WIDTH), ylim=(drawn.get_figheight(), 0), aspect="auto")  # images change all three
    axes.set_axis_off()
    return drawn


def line_top(index: int) -> float:
    """How far below the top a line of the heading begins, in inches; the first one is large."""
    return MARGIN + LINE * index + (0.06 if index else 0)


def draw_heading(axes: Axes, lines: list[str], bars: bool) -> None:
    """The lines of text, the first one large, and what the colours of the bars mean, where there are any."""
    for index, line in enumerate(lines):
        draw_text(axes, MARGIN, line_top(index), line, **({} if index else {"fontsize": HEADING, "fontweight": "bold", "color": "black"}))
    if not bars:
        return
    x, y = MARGIN, line_top(len(lines))
    draw_text(axes, x, y, "bars: its probabilities of the digits 0 to 9,")
    for colour, text, inches in ((TRUE, "the true digit", 2.5), (READ, "the digit read instead", 3.5)):
        axes.bar(x + inches - 0.08, 0.09, width=0.09, bottom=y + 0.015, color=colour)
        draw_text(axes, x + inches, y, text)


def draw_text(axes: Axes, left: float, top: float, text: str, **look: Any) -> None:
    """A line of the heading."""
    axes.text(left, top, text, **{"fontsize": 8, "color": QUIET, "verticalalignment": "top", **look})


def draw_pair(axes: Axes, mistake: Mistake, relation: str, left: float, top: float) -> None:
    """A pair in its cell: the question and the answer, both images, the posteriors of both digits."""
    row, width = mistake.row, 2 * SIDE + GAP
    question = f"{row.first} {relation} {row.second}? says {'yes' if row.answer else 'no'}"
    sureness = ">99 %" if row.sure >= 0.995 else f"{100 * row.sure:.0f} %"
    axes.text(left, top + TITLE - 0.05, question, fontsize=7)
    axes.text(left + width, top + TITLE - 0.05, sureness, fontsize=6, color=GREY, horizontalalignment="right")
    for index, true in enumerate((row.first, row.second)):
        x, y = left + index * (SIDE + GAP), top + TITLE
        extent = (x, x + SIDE, y + SIDE, y)
        # ink on paper, in a thin frame
        axes.imshow(mistake.images[index], cmap="gray_r", vmin=0, vmax=1, extent=extent, aspect="auto", interpolation="nearest")
        axes.plot([x, x + SIDE, x + SIDE, x, x], [y, y, y + SIDE, y + SIDE, y], color=GREY, linewidth=0.5)
        if mistake.posteriors is not None:
            draw_posterior(axes, mistake.posteriors[index], true, x, y + SIDE + AIR + BARS)


def draw_posterior(axes: Axes, posterior: Numbers, true: int, left: float, base: float) -> None:
    """The probabilities of the ten digits [10] as bars on a line; the true digit and the one that was read are named."""
    read = int(posterior.argmax())
    colours = [TRUE if digit == true else READ if digit == read else OTHER for digit in range(10)]
    centres = left + SIDE * (np.arange(10) + 0.5) / 10
    axes.bar(centres, -BARS * posterior, width=0.8 * SIDE / 10, bottom=base, color=colours)
    axes.plot([left, left + SIDE], [base, base], color=GREY, linewidth=0.5)
    look: dict[str, Any] = {"fontsize": 6, "horizontalalignment": "center", "verticalalignment": "top"}
    for digit, other in {(true, read), (read, true)}:
        apart = 0.012 * (digit - other) if abs(digit - other) == 1 else 0  # neighbours' names would touch
        axes.text(centres[digit] + apart, base + 0.02, str(digit), color=colours[digit], **look)
