"""All files of a report, from the folders of runs to the folder of the summary."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from digitcmp.files import write_whole
from digitcmp.report import figures
from digitcmp.report.curves import draw_outdated
from digitcmp.report.metrics import TEST_ACCURACY, Metric
from digitcmp.report.page import notes, page
from digitcmp.report.study import Study, study
from digitcmp.report.tables import comparison_columns, show, table_columns, to_csv, to_latex, to_markdown

MOST_CURVES = 100  # runs whose curves are drawn unasked: a few seconds


@dataclass(frozen=True)
class Report:
    """A report that was written: its page, and what it says."""

    path: Path
    study: Study


def make_report(
    folders: Sequence[str | Path], baseline: str | None = None, out: Path | None = None, metric: Metric = TEST_ACCURACY
) -> Report:
    """Report on all runs below the folders, and draw the curves of up to a hundred runs that have none, or outdated ones.

    baseline: the label or hash of the configuration that the others are compared with, the first one by default. out: where the
    page report.html and its files are written, the first folder's summary/ by default, or a folder in it for another metric.
    Raises RunError when there are no runs, no such baseline, no round with the metric, or nothing can be written.
    """
    results = study(folders, baseline, metric)
    target = out or Path(folders[0], "summary", "" if metric == TEST_ACCURACY else metric.column)
    for name, text in tables(results).items():
        write_whole(target / name, text)
    pictures = {name: {kind: figures.render(figure, kind) for kind in ("png", "svg")} for name, figure in drawn(results).items()}
    for name, files in pictures.items():
        for kind, content in files.items():
            write_whole(target / f"{name}.{kind}", content)
    report = Report(write_whole(target / "report.html", page(results, pictures, target)), results)
    directories = [Path(directory) for directory in results.sweep.runs["directory"]]
    if len(directories) <= MOST_CURVES:
        # a folder that others may only read has the curves that it has
        draw_outdated(directory for directory in directories if os.access(directory, os.W_OK))
    return report


def tables(results: Study) -> dict[str, str]:
    """The texts of the table files, by name."""
    lines, columns, compared = notes(results), table_columns(results.metric), comparison_columns(results.metric)
    table, comparisons = show(results.table, columns), show(results.comparisons, compared)
    files = {
        "table.csv": to_csv(results.table, columns),
        "table.md": document(to_markdown(table), results.warnings, lines),
        "table.tex": to_latex(table, [*results.warnings, *lines]),
        "comparisons.csv": to_csv(results.comparisons, compared),
    }
    if len(comparisons):
        lead = f"Differences to **{results.baseline}**.\n\n"
        files["comparisons.md"] = document(lead + to_markdown(comparisons), [], lines)
    return files


def document(body: str, warnings: list[str], notes: list[str]) -> str:
    """A table with its warnings in front and how it was made behind."""
    front = "".join(f"- **Warning:** {line}\n" for line in warnings)
    return front + ("\n" if front else "") + body + "\n" + "".join(f"- {line}\n" for line in notes)


def drawn(results: Study) -> dict[str, Figure]:
    """The figures for which there is something to draw, by name."""
    made, metric = dict[str, Figure](), results.metric
    if len(results.curves):
        made["curves"] = figures.curves(results.curves, metric)
    if len(results.spread):
        made["distribution"] = figures.distribution(results.rounds, results.spread, metric)
    if (results.comparisons["pairs"] > 1).any():
        made["differences"] = figures.differences(results.comparisons, metric)
    if results.swept is not None:
        made["swept"] = figures.swept(results.swept, metric)
    if len(results.distances):
        made["distances"] = figures.distances(results.distances)
    return made
