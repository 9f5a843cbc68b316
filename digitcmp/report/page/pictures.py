"""The static figures of the page: what shows without JavaScript, and what is printed."""

import base64
from dataclasses import dataclass

from matplotlib.figure import Figure

from digitcmp.report.drawing import COLUMN
from digitcmp.report.metrics import Metric
from digitcmp.report.rendering import files, on_dark

LARGEST_SVG = 1_500_000  # bytes; larger ones are shown as PNG
CAPTIONS = {
    "curves": "{title} per epoch: mean over rounds, and ± one standard deviation.",
    "distribution": "{title} of every round; box: quartiles and median, whiskers to the last round within 1.5 box lengths.",
    "differences": "Difference in {lower} to {baseline} (Hodges-Lehmann), paired by seed, with 95 % intervals of the signed-rank test; "
    "filled: p < 0.05 after Holm.",
    "swept": "{title} against the number that varies: means over rounds, with a 95 % interval each by itself.",
    "swept_differences": "{title} beside that of the baseline's line, paired by seed (Hodges-Lehmann); intervals hold together at 95 %.",
    "cells": "{title} of all cells of the full factorial, best median first, with its 95 % interval by itself; "
    "filled dots: the factor is at its upper level.",
    "effects": "Effects of the factors and their interactions on {lower}, paired by seed, with intervals that hold together at 95 %.",
    "effects_distances": "What each factor buys by the distance of the two digits, with intervals that hold together at 95 %.",
    "distances": "{title} by the distance of the two digits, with 95 % intervals over rounds.",
}


@dataclass(frozen=True)
class Picture:
    """A figure as it is written, by kinds of files, and as the page has it.

    broad: for two columns of a paper, and too much for a phone at once.
    """

    name: str
    files: dict[str, bytes]
    broad: bool

    @classmethod
    def of(cls, name: str, figure: Figure) -> "Picture":
        """The files of a figure."""
        return cls(name, files(figure), figure.get_figwidth() > COLUMN)

    @property
    def is_small(self) -> bool:
        """Whether the page has it as SVG."""
        return len(self.files["svg"]) <= LARGEST_SVG

    @property
    def light(self) -> str:
        """For the page on light ground: the SVG, or the PNG where that would be large."""
        return data_uri(self.files["svg"], "svg+xml") if self.is_small else data_uri(self.files["png"], "png")

    @property
    def dark(self) -> str:
        """For the page on dark ground; empty where there is none, which would be large."""
        return data_uri(on_dark(self.files["svg"]), "svg+xml") if self.is_small else ""


def data_uri(content: bytes, kind: str) -> str:
    """A picture within a page."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def caption(name: str, metric: Metric, baseline: str) -> str:
    """What is said below a figure of this name."""
    return CAPTIONS[name].format(title=metric.title.capitalize(), lower=metric.title, baseline=baseline)
