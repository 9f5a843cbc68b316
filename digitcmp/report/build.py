"""All files of a report, from the folders of runs to the folder of the summary."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from digitcmp.files import write_whole
from digitcmp.report import figures
from digitcmp.report.page import notes, page
from digitcmp.report.study import Study, study
from digitcmp.report.tables import COMPARISONS, COMPARISONS_CSV, TABLE, TABLE_CSV, show, to_csv, to_latex, to_markdown


@dataclass(frozen=True)
class Report:
    """A report that was written: its page, and what it says."""

    path: Path
    study: Study


def write_report(folders: Sequence[str | Path], baseline: str | None = None, out: Path | None = None) -> Path:
    """Report on all runs below the folders. Returns the page, report.html in `out` (the first folder's summary/ by default).

    baseline: the label or hash of the configuration that the others are compared with, the first one by default.
    Raises RunError when there are no runs, no such baseline, or nothing can be written.
    """
    return make_report(folders, baseline, out).path


def make_report(folders: Sequence[str | Path], baseline: str | None = None, out: Path | None = None) -> Report:
    """As `write_report`, with the results themselves."""
    results = study(folders, baseline)
    target = out if out is not None else Path(folders[0]) / "summary"
    for name, text in tables(results).items():
        write_whole(target / name, text)
    pictures = {name: {kind: figures.render(figure, kind) for kind in ("png", "svg")} for name, figure in drawn(results).items()}
    for name, files in pictures.items():
        for kind, content in files.items():
            write_whole(target / f"{name}.{kind}", content)
    return Report(write_whole(target / "report.html", page(results, pictures, target)), results)


def tables(results: Study) -> dict[str, str]:
    """The texts of the table files, by name."""
    table, comparisons = show(results.table, TABLE), show(results.comparisons, COMPARISONS)
    cautions = [f"**Warning:** {line}" for line in results.warnings]
    methods = notes(results)
    files = {
        "table.csv": to_csv(results.table, TABLE_CSV),
        "table.md": document(to_markdown(table), cautions, methods),
        "table.tex": to_latex(table, [*results.warnings, *methods]),
        "comparisons.csv": to_csv(results.comparisons, COMPARISONS_CSV),
    }
    if len(comparisons):
        lead = f"Differences to **{results.baseline}**.\n\n"
        files["comparisons.md"] = document(lead + to_markdown(comparisons), [], methods)
    return files


def document(body: str, cautions: list[str], methods: list[str]) -> str:
    """A table with its warnings in front and its methods behind."""
    front = "".join(f"- {line}\n" for line in cautions)
    return front + ("\n" if front else "") + body + "\n" + "".join(f"- {line}\n" for line in methods)


def drawn(results: Study) -> dict[str, Figure]:
    """The figures for which there is something to draw, by name."""
    made: dict[str, Figure] = {}
    if len(results.curves):
        made["curves"] = figures.curves(results.curves)
    if len(results.spread):
        made["distribution"] = figures.distribution(results.rounds, results.spread)
    if (results.comparisons["pairs"] > 1).any():
        made["differences"] = figures.differences(results.comparisons)
    if results.swept is not None:
        made["swept"] = figures.swept(results.swept)
    if len(results.distances):
        made["distances"] = figures.distances(results.distances)
    return made
