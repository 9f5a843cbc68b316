"""The picture of a network: from the images on the left to the answer on the right, a box a layer, a lane a digit."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from digitcmp.config.graph import ANSWER, DIGITS, IMAGES, Part, graph
from digitcmp.config.schema import SIZE, ModelConfig
from digitcmp.counting import counted
from digitcmp.draw.table import ENDS, Layer, is_each, total
from digitcmp.report.drawing import COLOURS, GREY, INK, PAPER, entitle, new_figure, styled

STEP, HALF, BOX = 1.28, 0.52, 0.4  # inches: from column to column, half a box's width, half its height
LANE, SIDE, OUT = 0.5, 1.45, 0.95  # inches from the middle: of what looks at one digit, of heads, and of each further one
Place = tuple[float, float]


@styled
def draw(model: ModelConfig, found: list[Layer], size: int = SIZE) -> Figure:
    """The picture. found: as `digitcmp.draw.table.layers` has them; size: pixels, height and width of a digit."""
    parts = graph(model, size)
    by_name, columns = {layer.part.name: layer for layer in found}, depths(parts)
    places = all_places(model, columns, by_name)
    heights = [y for of_part in places.values() for _, y in of_part]
    low, high = min(heights) - BOX - 0.08, max(heights) + BOX + 0.08
    figure = new_figure(high - low, STEP * (max(columns.values()) + 1), dpi=200)
    axes = figure.subplots()
    axes.set_axis_off()
    axes.set_aspect("equal")
    axes.set_xlim(-STEP / 2, STEP * (max(columns.values()) + 0.5))
    axes.set_ylim(low, high)
    for part in parts:
        for read in part.reads:
            connect(axes, places[read], places[part.name], part.detached)
    for name, of_part in places.items():
        for place in of_part:
            box(axes, place, *texts(name, by_name.get(name), model, size))
    notes = ["shared: one set of weights reads both digits"] if any(one.each and one.copies == 1 for one in found) else []
    notes += ["dashed: a copy that sends no gradient back"] if any(part.detached for part in parts) else []
    entitle(figure, f"{model.name}: {total(found):,} parameters", *notes)
    return figure


def depths(parts: list[Part]) -> dict[str, int]:
    """The column of every part: one behind the last that it reads."""
    found = {IMAGES: 0}
    for part in parts:
        found[part.name] = 1 + max(found[read] for read in part.reads)
    last = max(found.values())
    return {name: last if name in ENDS else column for name, column in found.items()}


def all_places(model: ModelConfig, columns: dict[str, int], by_name: dict[str, Layer]) -> dict[str, list[Place]]:
    """Where each part is drawn; heads that would be in one place are further and further out."""
    found, taken = dict[str, list[Place]](), set[Place]()
    for name, column in columns.items():
        own = lanes(name, column, by_name.get(name), model)
        while taken & {*own}:
            own = [(x, y + (OUT if y > 0 else -OUT)) for x, y in own]
        found[name] = own
        taken |= {*own}
    return found


def lanes(name: str, column: int, layer: Layer | None, model: ModelConfig) -> list[Place]:
    """Where a part is drawn: in two lanes where it looks at one digit at a time."""
    x = STEP * column
    if name == DIGITS:
        return [(x, SIDE), (x, -SIDE)] if model.aux_heads or is_each(model, "model.digit_head") else [(x, SIDE)]
    if name == IMAGES and not model.joint:
        return [(x, LANE), (x, -LANE)]
    head = name.startswith(("model.digit_head", "model.aux_heads"))
    if layer is not None and layer.each:
        y = SIDE if head else LANE
        return [(x, y), (x, -y)]
    return [(x, SIDE if head else 0.0)]


def connect(axes: Axes, begins: list[Place], ends: list[Place], detached: bool) -> None:
    """Lines from boxes to boxes: within a lane where both have two, else from each to each."""
    two = len(begins) == len(ends) == 2
    for index, (x, y) in enumerate(begins):
        for to_x, to_y in [ends[index]] if two else ends:
            line = "--" if detached else "-"
            axes.plot([x + HALF, to_x - HALF], [y, to_y], color=GREY, linewidth=0.9, linestyle=line, zorder=1)


def box(axes: Axes, place: Place, title: str, text: str, colour: str) -> None:
    """A box with two texts."""
    (x, y), inner = place, 0.04
    look: dict[str, Any] = {
        "boxstyle": f"round,pad={inner},rounding_size=0.05",
        "facecolor": PAPER,
        "edgecolor": colour,
        "linewidth": 1.1,
        "zorder": 2,
    }
    axes.add_patch(FancyBboxPatch((x - HALF + inner, y - BOX + inner), 2 * (HALF - inner), 2 * (BOX - inner), **look))
    axes.text(x, y + BOX - 0.09, title, ha="center", va="top", fontsize=6, color=colour, zorder=3)
    axes.text(x, y - 0.08, text, ha="center", va="center", fontsize=5.5, color=INK, linespacing=1.15, zorder=3)


def texts(name: str, layer: Layer | None, model: ModelConfig, side: int) -> tuple[str, str, str]:
    """Title, text and colour of a box."""
    if layer is None:
        size = f"{2 if model.joint else 1} × {side} × {side}"
        ends = {
            IMAGES: ("image", size),
            ANSWER: ("answer", counted(model.comparator.outputs, "logit")),
            DIGITS: ("digit loss", "10 classes"),
        }
        return *ends[name], INK
    kinds = {"model.tower": 0, "model.digit_dense": 2, "model.joint_dense": 2, "model.comparator": 1}
    colour = COLOURS[next((place for kind, place in kinds.items() if name.startswith(kind)), 3)]
    shared = " (shared)" if layer.each and layer.copies == 1 else ""
    title = name.removeprefix("model.").split("[")[0].split(".")[0].replace("_", " ") + shared
    lines = [*layer.steps, *([] if "logit" in layer.steps[0] else [layer.shape]), f"{layer.part.parameters // layer.copies:,} par."]
    return title, "\n".join(lines), colour
