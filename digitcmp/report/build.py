"""All files of a report, from the folders of runs to the folder of the summary: tables, figures, and a page that needs nothing else."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from digitcmp import inert
from digitcmp.files import remove_leftovers, write_whole
from digitcmp.report import effects, lines, manuscript, rows, swept
from digitcmp.report.cautions import with_best_weights
from digitcmp.report.curves import draw_outdated
from digitcmp.report.methods import about_differences, about_digits, about_pool, about_table
from digitcmp.report.metrics import TEST_ACCURACY, Metric
from digitcmp.report.origins import summary_of
from digitcmp.report.page.html import CHARTS, page, plain_note
from digitcmp.report.page.pictures import Picture
from digitcmp.report.places import check_report_folder
from digitcmp.report.renaming import Names
from digitcmp.report.study import Study, study
from digitcmp.report.tables import comparison_columns, show, table_columns, to_csv, to_latex, to_markdown
from digitcmp.report.verdicts import verdict_columns, verdict_heading, verdict_notes

MOST_CURVES = 100  # runs whose curves are drawn unasked: a few seconds


@dataclass(frozen=True)
class Report:
    """A report that was written: its page, what it says, and a line for each table of a paper that is too wide for one."""

    path: Path
    study: Study
    wide: Sequence[str] = ()


def make_report(
    folders: Sequence[str | Path],
    baseline: str | None = None,
    out: Path | None = None,
    metric: Metric = TEST_ACCURACY,
    names: Names = (),
    manuscript_columns: Sequence[str] | None = None,
    different_data: bool = False,
) -> Report:
    """Report on all runs below the folders, and draw the curves of up to a hundred runs that have none, or outdated ones.

    baseline: the label or hash of the configuration that the others are compared with, the first one by default. out: where the
    page report.html and its files are written, the first folder's summary/ by default, or a folder in it for another metric.
    names: as in `study`. manuscript_columns: as `manuscript.main_table` takes them.
    different_data: see `digitcmp.report.study`. Raises RunError when there are no runs, other data, no such baseline, no round with the
    metric, for an `out` among the runs, and when nothing can be written.
    """
    if out is not None:
        check_report_folder("--out", out, [Path(folder) for folder in folders], summaries=True)
    results = study(folders, baseline, metric, names, different_data)
    texts = tables(results, manuscript_columns)  # first: nothing is written where there is no such column
    target = out or summary_of(folders, metric)
    remove_leftovers(target)
    for name, text in texts.items():
        write_whole(target / name, text)
    pictures = {name: Picture.of(name, draw()) for name, draw in drawings(results).items()}
    for picture in pictures.values():
        for kind, content in picture.files.items():
            write_whole(target / f"{picture.name}.{kind}", content)
    report = Report(write_whole(target / "report.html", page(results, pictures, target)), results, manuscript.told_wide(texts))
    directories = [Path(directory) for directory in results.sweep.runs["directory"]]
    if len(directories) <= MOST_CURVES:
        # a folder that others may only read has the curves that it has
        draw_outdated(directory for directory in directories if os.access(directory, os.W_OK))
    return report


def live_page(folders: Sequence[Path], baseline: str | None, metric: Metric, names: Names, different_data: bool, version: int) -> str:
    """The page of a report that is served and renews itself: without files, and without static figures, which take longest, where the
    page's script draws them. Everything else as in `make_report`. Raises RunError."""
    results = study(folders, baseline, metric, names, different_data)
    figures = {name: None if name in CHARTS else Picture.of(name, draw()) for name, draw in drawings(results).items()}
    return page(results, figures, None, version)


def tables(results: Study, manuscript_columns: Sequence[str] | None = None) -> dict[str, str]:
    """The texts of the table files, by name. manuscript_columns: those of table_paper.tex, as `manuscript.main_table` takes them."""
    columns, compared, metric = table_columns(results.metric), comparison_columns(results.metric), results.metric
    pool, plain = about_pool(results.configurations), plain_note(results)
    told = about_table(metric, best_weights=bool(with_best_weights(results.configurations)))
    lines = [*told, *about_digits(results.table), pool]
    table, comparisons = show(results.table, columns), show(results.comparisons, compared)
    files = {
        "table.csv": to_csv(results.table, columns),
        "table.md": document(to_markdown(table), results.warnings, [*lines, *plain]),
        "table.tex": to_latex(table, [*results.warnings, *lines, *plain]),
        "comparisons.csv": to_csv(results.comparisons, compared),
    }
    files["table_paper.tex"] = manuscript.main_table(results.table, results.comparisons, metric, manuscript_columns, results.warnings)
    if len(comparisons):
        files["comparisons.tex"] = manuscript.comparison_table(results.comparisons, metric, results.warnings)
        lead = f"Differences to **{inert.markdown(results.baseline)}**.\n\n"
        files["comparisons.md"] = document(lead + to_markdown(comparisons), [], [*about_differences(metric), pool, *plain])
    if (found := results.effects) is not None:
        own = effects.effect_columns(metric)
        files["effects.csv"] = to_csv(found.together, own)
        files["effects.md"] = document(to_markdown(show(found.together, own)), [], effects.about_effects(found, metric))
        files["effects_apart.csv"] = to_csv(found.apart, effects.apart_columns(metric))
        if len(found.near):
            files["effects_distances.csv"] = to_csv(found.near, effects.near_columns(metric))
    if len(results.line_differences):
        files["swept_differences.csv"] = to_csv(results.line_differences, swept.difference_columns(metric))
    if len(results.verdicts):
        decided = verdict_columns(results.verdicts)
        files["verdicts.csv"] = to_csv(results.verdicts, decided)
        heading = inert.markdown(verdict_heading(results.verdicts))
        files["verdicts.md"] = document(f"{heading}:\n\n{to_markdown(show(results.verdicts, decided))}", [], verdict_notes(results.plans))
    return files


def document(body: str, warnings: list[str], notes: list[str]) -> str:
    """A table with its warnings in front and how it was made behind."""
    front = "".join(f"- **Warning:** {inert.markdown(line)}\n" for line in warnings)
    return front + ("\n" if front else "") + body + "\n" + "".join(f"- {inert.markdown(line)}\n" for line in notes)


def drawings(results: Study) -> dict[str, Callable[[], Figure]]:
    """What draws the figures for which there is something to draw, by their names."""
    found, metric, failed = dict[str, Callable[[], Figure]](), results.metric, int(results.table["failed"].sum())
    if lines.are_curves(results.curves):
        found["curves"] = lambda: lines.curves(results.curves, metric, results.chance, failed)
    if len(results.spread):
        found["distribution"] = lambda: rows.distribution(results.rounds, results.spread, metric, results.chance)
    if (np.isfinite(results.comparisons["difference"].astype("float64")) & (results.comparisons["pairs"] > 1)).any():
        found["differences"] = lambda: rows.differences(results.comparisons, metric, list(map(str, results.table["label"])))
    if (along := results.swept) is not None:
        found["swept"] = lambda: swept.draw_swept(along, metric, results.chance, failed)
        if len(results.line_differences):
            found["swept_differences"] = lambda: swept.draw_differences(results.line_differences, metric)
    if (switched := results.effects) is not None:
        found["cells"] = lambda: effects.draw_cells(results.rounds, results.table, switched.design, metric, results.chance)
        found["effects"] = lambda: effects.draw_effects(switched, metric)
        if len(switched.near):
            found["effects_distances"] = lambda: effects.draw_near(switched.near)
    if len(results.distances):
        found["distances"] = lambda: lines.distances(results.distances, failed)
    return found
