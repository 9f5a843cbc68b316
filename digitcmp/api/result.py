"""What a run or a sweep has come to, as frames, figures and a page in a notebook."""

from functools import cached_property
from html import escape
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from digitcmp import inert
from digitcmp.errors import DigitcmpError, RunError
from digitcmp.experiment.folders import find_runs
from digitcmp.given import folder_of
from digitcmp.report import lines
from digitcmp.report.frames import load_epochs, load_rounds
from digitcmp.report.metrics import find_metric
from digitcmp.report.study import Study, study
from digitcmp.report.summary import shown
from digitcmp.report.tables import NO_ROOM, Column, comparison_columns, show, table_columns

SEEN = 200  # dots an inch of a figure on a screen
LEFT_OUT = {*NO_ROOM, "total_seconds"}  # of the tables: how long it took, and more than fits a cell


class Result:
    """The runs at or below a folder, as they are on record when they are asked for.

    A notebook shows the tables of the report. Every part raises RunError where there is nothing on record.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = folder_of(folder).absolute()

    @property
    def runs(self) -> list[Path]:
        """The folders of its runs, each of which `digitcmp.load_model` takes where networks were kept."""
        return find_runs(self.folder)

    @property
    def rounds(self) -> pd.DataFrame:
        """A row a round: `digitcmp.load_rounds`; a frame of the caller's own."""
        return self._rounds.copy()

    @property
    def epochs(self) -> pd.DataFrame:
        """A row an epoch: `digitcmp.load_epochs`; a frame of the caller's own."""
        return self._epochs.copy()

    @cached_property
    def _rounds(self) -> pd.DataFrame:
        return load_rounds(self.folder)

    @cached_property
    def _epochs(self) -> pd.DataFrame:
        return load_epochs(self.folder)

    def study(self, metric: str = "test_accuracy", baseline: str | None = None) -> Study:
        """Everything that the report tells. metric: a column of the rounds; baseline: the label of the configuration that others are
        compared with, the first one by default. Raises RunError for those that there are not."""
        return study([self.folder], baseline, find_metric(metric))

    def table(self, metric: str = "test_accuracy") -> pd.DataFrame:
        """A row a configuration: `digitcmp.report.statistics.summarise`. Accuracies are fractions, times seconds."""
        return self.study(metric).table

    def comparisons(self, baseline: str | None = None, metric: str = "test_accuracy") -> pd.DataFrame:
        """A row for each configuration but the baseline, paired with it by seed: `digitcmp.report.comparisons.compare`. Differences of
        accuracies are fractions."""
        return self.study(metric, baseline).comparisons

    def plot_curves(self, metric: str = "test_accuracy") -> Axes:
        """Draw the metric per epoch, a line a configuration, into a new figure of pyplot; its axes, the first ones where every
        configuration has its own. Raises RunError where no round has an epoch to draw."""
        import matplotlib.pyplot as plt

        results = self.study(metric)
        if results.curves.empty:
            raise RunError(f"{self.folder}: there are no curves, as no round has an epoch with {results.metric.title}")
        figure = lines.curves(results.curves, results.metric, results.chance, int(results.table["failed"].sum()), plt.figure(dpi=SEEN))
        return figure.axes[0]

    def tables(self) -> list[tuple[str, pd.DataFrame]]:
        """What people read: titles and tables, in per cent."""
        results = self.study()
        found = [("", readable(results.table, [one for one in table_columns(results.metric) if one.key not in LEFT_OUT]))]
        if len(results.comparisons):
            title = f"compared with {results.baseline}, paired by seed"
            found.append((title, readable(results.comparisons, comparison_columns(results.metric))))
        return found + [(f"warning: {text}", pd.DataFrame()) for text in results.warnings]

    def __repr__(self) -> str:
        """The tables as text."""
        parts = [f"{type(self).__name__}({shown(self.folder)!r})"]
        try:
            for title, table in self.tables():
                parts += ([inert.line(title)] if title else []) + ([] if table.empty else [table.to_string(index=False)])
        except DigitcmpError as error:
            parts.append(inert.line(str(error)))
        return "\n".join(parts)

    def _repr_html_(self) -> str:
        """The tables as a notebook shows them."""
        parts = [f"<p><code>{escape(inert.visible(shown(self.folder)))}</code></p>"]
        try:
            for title, table in self.tables():
                parts += [f"<p>{escape(inert.visible(title))}</p>"] if title else []
                parts += [] if table.empty else [table.to_html(index=False, border=0)]
        except DigitcmpError as error:
            parts.append(f"<p>{escape(inert.visible(str(error)))}</p>")
        return "\n".join(parts)


def readable(frame: pd.DataFrame, columns: list[Column]) -> pd.DataFrame:
    """A table as people read it, in which nothing is markup or a control sequence."""
    return show(frame, columns).map(lambda cell: inert.visible(str(cell)))
