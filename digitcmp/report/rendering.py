"""The files that figures become: PNG, SVG for light and for dark ground, and PDF for papers."""

import io
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from digitcmp.report.drawing import DARK

ON_DARK = {light.lower().encode(): dark.lower().encode() for light, dark in DARK.items()}
DATED = {"pdf": "CreationDate", "png": "Software", "svg": "Date"}  # what a file says of itself that another day or version changes


@contextmanager
def quiet_about_fonts() -> Iterator[None]:
    """A letter that the font does not have is drawn as a box, and that is no fault; nor does it concern anybody what of a font is not
    put into a PDF, which Hydra's log would have."""
    fonts = logging.getLogger("fontTools")
    level = fonts.level
    fonts.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from|Matplotlib currently does not support", UserWarning)
            yield
    finally:
        fonts.setLevel(level)


def files(figure: Figure) -> dict[str, bytes]:
    """A figure as the bytes of its files, by their kind: png and svg; and pdf, for a paper, where a caption stands for its heading."""
    return {"png": render(figure, "png"), "svg": render(figure, "svg"), "pdf": without_heading(figure)}


def render(figure: Figure, kind: str, part: Bbox | None = None) -> bytes:
    """A figure as the bytes of a file, the same bytes each time. part: what of it is there, inches."""
    file = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "digitcmp", "pdf.fonttype": 42}), quiet_about_fonts():  # publishers refuse Type 3
        figure.savefig(file, format=kind, metadata={DATED[kind]: None}, bbox_inches=part)
    figure.set_layout_engine("none")  # laid out once is enough for all kinds of files, and takes as long as drawing
    return file.getvalue()


def without_heading(figure: Figure) -> bytes:
    """A figure as the bytes of a PDF file, without what `entitle` has put above it."""
    heading = [text for text in figure.artists if isinstance(text, Annotation) and text.get_text()]
    height = min((text.get_window_extent().y0 / figure.dpi for text in heading), default=figure.get_figheight())
    for text in heading:
        text.set_visible(False)
    pdf = render(figure, "pdf", Bbox.from_extents(0, 0, figure.get_figwidth(), height))
    for text in heading:
        text.set_visible(True)
    return pdf


def on_dark(svg: bytes) -> bytes:
    """The figure of an SVG file for dark ground: every colour of ours replaced by the one that stands for it there."""
    return re.sub(rb"#[0-9a-f]{6}\b", lambda colour: ON_DARK.get(colour[0], colour[0]), svg)
