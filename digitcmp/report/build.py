"""All files of a report, from the folders of runs to the folder of the summary: tables, figures, and a page that needs nothing else."""

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure

from digitcmp import inert
from digitcmp.files import remove_leftovers, write_whole
from digitcmp.report import lines, manuscript, rows
from digitcmp.report.curves import draw_outdated
from digitcmp.report.drawing import COLUMN, on_dark, render
from digitcmp.report.frames import VERSIONS
from digitcmp.report.labels import PLAIN
from digitcmp.report.methods import POOL, about_differences, about_table
from digitcmp.report.metrics import MANUSCRIPT_DEFAULT, TEST_ACCURACY, Metric
from digitcmp.report.origins import commands
from digitcmp.report.study import Study, study
from digitcmp.report.tables import comparison_columns, lines_of, show, table_columns, to_csv, to_latex, to_markdown
from digitcmp.report.verdicts import verdict_columns, verdict_notes

MOST_CURVES = 100  # runs whose curves are drawn unasked: a few seconds
LARGEST_SVG = 1_500_000  # bytes; larger ones are shown as PNG
NO_ROOM = {"interquartile_mean", "lost_share", "rounds", "failed", "untrained", "seconds", "normalised_time"}  # on the page
CAPTIONS = {
    "curves": "{title} per epoch: mean over rounds, and ± one standard deviation.",
    "distribution": "{title} of every round; box: quartiles and median, whiskers to the last round within 1.5 box lengths.",
    "differences": "Difference in {lower} to {baseline} (Hodges-Lehmann), paired by seed, with 95 % intervals of the signed-rank test.",
    "swept": "{title} against the number that varies, with 95 % intervals of the mean.",
    "distances": "{title} by the distance of the two digits, with 95 % intervals over rounds.",
}
PLAIN_NOTE = f"{PLAIN}: nothing of what the other configurations name is switched on."


@dataclass(frozen=True)
class Picture:
    """A figure as it is written, and as the page has it. broad: for two columns of a paper, and too much for a phone at once."""

    name: str
    png: bytes
    svg: bytes
    broad: bool

    @classmethod
    def of(cls, name: str, figure: Figure) -> "Picture":
        """The files of a figure."""
        return cls(name, render(figure, "png"), render(figure, "svg"), figure.get_figwidth() > COLUMN)

    @property
    def light(self) -> str:
        """For the page on light ground: the SVG, or the PNG where that would be large."""
        return data_uri(self.png, "png") if len(self.svg) > LARGEST_SVG else data_uri(self.svg, "svg+xml")

    @property
    def dark(self) -> str:
        """For the page on dark ground; empty where there is none, which would be large."""
        return "" if len(self.svg) > LARGEST_SVG else data_uri(on_dark(self.svg), "svg+xml")


def data_uri(content: bytes, kind: str) -> str:
    """A picture within a page."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


@dataclass(frozen=True)
class Report:
    """A report that was written: its page, and what it says."""

    path: Path
    study: Study


def make_report(
    folders: Sequence[str | Path],
    baseline: str | None = None,
    out: Path | None = None,
    metric: Metric = TEST_ACCURACY,
    names: Mapping[str, str] | None = None,
    manuscript_columns: Sequence[str] = MANUSCRIPT_DEFAULT,
    different_data: bool = False,
) -> Report:
    """Report on all runs below the folders, and draw the curves of up to a hundred runs that have none, or outdated ones.

    baseline: the label or hash of the configuration that the others are compared with, the first one by default. out: where the
    page report.html and its files are written, the first folder's summary/ by default, or a folder in it for another metric.
    names: other names of configurations, by their labels. manuscript_columns: those of table_paper.tex (`digitcmp.report.manuscript`).
    different_data: see `digitcmp.report.study`. Raises RunError when there are no runs, other data, no such baseline, no round with the
    metric, or nothing can be written.
    """
    results, chosen = study(folders, baseline, metric, names, different_data), manuscript.choose(manuscript_columns, metric)
    target = out or Path(folders[0], "summary", "" if metric == TEST_ACCURACY else metric.column)
    remove_leftovers(target)
    for name, text in tables(results, chosen).items():
        write_whole(target / name, text)
    pictures = [Picture.of(name, figure) for name, figure in drawn(results).items()]
    for picture in pictures:
        write_whole(target / f"{picture.name}.png", picture.png)
        write_whole(target / f"{picture.name}.svg", picture.svg)
    report = Report(write_whole(target / "report.html", page(results, pictures, target)), results)
    directories = [Path(directory) for directory in results.sweep.runs["directory"]]
    if len(directories) <= MOST_CURVES:
        # a folder that others may only read has the curves that it has
        draw_outdated(directory for directory in directories if os.access(directory, os.W_OK))
    return report


def tables(results: Study, manuscript_columns: Sequence[manuscript.TableColumn]) -> dict[str, str]:
    """The texts of the table files, by name. manuscript_columns: those of table_paper.tex."""
    columns, compared, metric = table_columns(results.metric), comparison_columns(results.metric), results.metric
    lines, plain = [*about_table(metric), POOL], plain_note(results)
    table, comparisons = show(results.table, columns), show(results.comparisons, compared)
    files = {
        "table.csv": to_csv(results.table, columns),
        "table.md": document(to_markdown(table), results.warnings, [*lines, *plain]),
        "table.tex": to_latex(table, [*results.warnings, *lines, *plain]),
        "comparisons.csv": to_csv(results.comparisons, compared),
    }
    files["table_paper.tex"] = manuscript.main_table(results.table, results.comparisons, manuscript_columns)
    if len(comparisons):
        files["comparisons.tex"] = manuscript.comparison_table(results.comparisons, metric)
        lead = f"Differences to **{inert.markdown(results.baseline)}**.\n\n"
        files["comparisons.md"] = document(lead + to_markdown(comparisons), [], [*about_differences(metric), POOL, *plain])
    if len(results.verdicts):
        decided = verdict_columns(results.verdicts)
        files["verdicts.csv"] = to_csv(results.verdicts, decided)
        files["verdicts.md"] = document(to_markdown(show(results.verdicts, decided)), [], verdict_notes(results.plans))
    return files


def document(body: str, warnings: list[str], notes: list[str]) -> str:
    """A table with its warnings in front and how it was made behind."""
    front = "".join(f"- **Warning:** {inert.markdown(line)}\n" for line in warnings)
    return front + ("\n" if front else "") + body + "\n" + "".join(f"- {inert.markdown(line)}\n" for line in notes)


def drawn(results: Study) -> dict[str, Figure]:
    """The figures for which there is something to draw, by name."""
    made, metric = dict[str, Figure](), results.metric
    if len(results.curves):
        made["curves"] = lines.curves(results.curves, metric, results.chance)
    if len(results.spread):
        made["distribution"] = rows.distribution(results.rounds, results.spread, metric, results.chance)
    if (np.isfinite(results.comparisons["difference"].astype("float64")) & (results.comparisons["pairs"] > 1)).any():
        made["differences"] = rows.differences(results.comparisons, metric)
    if results.swept is not None:
        made["swept"] = lines.swept(results.swept, metric, results.chance)
    if len(results.distances):
        made["distances"] = lines.distances(results.distances)
    return made


def page(results: Study, pictures: Sequence[Picture], out: Path) -> str:
    """The HTML page as text: tables, figures, how they were made, and a link to every run, relative to the folder `out`."""
    loader = FileSystemLoader(Path(__file__).parent)
    # autoescape: names of networks and folders are the user's
    environment = Environment(
        loader=loader, autoescape=True, finalize=inert.html, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    metric, count, done = results.metric.title.capitalize(), len(results.table), int(results.table["rounds"].sum())
    configurations, rounds = f"{count} configuration{'s' * (count != 1)}", f"{done:,} round{'s' * (done != 1)}"
    versions = results.sweep.runs[[*VERSIONS, "engine", "device"]].astype("string").fillna("unknown")
    decided = verdict_notes(results.plans) if len(results.verdicts) else []
    return environment.get_template("page.html.j2").render(
        title=f"{results.name}: {configurations}, {rounds}",
        warnings=results.warnings,
        baseline=results.baseline,
        table=lines_of(show(results.table, [one for one in table_columns(results.metric) if one.key not in NO_ROOM])),
        comparisons=lines_of(show(results.comparisons, comparison_columns(results.metric))) if len(results.comparisons) else [],
        verdicts=lines_of(show(results.verdicts, verdict_columns(results.verdicts))) if len(results.verdicts) else [],
        metric=metric,
        pictures=[
            (picture, CAPTIONS[picture.name].format(title=metric, lower=results.metric.title, baseline=results.baseline))
            for picture in pictures
        ],
        methods=[*about_table(results.metric), *about_differences(results.metric), POOL, *decided, *plain_note(results)],
        commands=commands(results.sweep.runs),
        versions=[(name, ", ".join(versions[name].unique())) for name in versions.columns],
        runs=run_links(results, out),
    )


def plain_note(results: Study) -> list[str]:
    """What the label of a configuration without parts means, where there is one."""
    return [PLAIN_NOTE] if PLAIN in set(results.table["label"]) else []


def run_links(results: Study, out: Path) -> list[dict[str, str]]:
    """A row a run: its configuration, state, and a link relative to the page."""
    labels = dict(zip(results.configurations["configuration_hash"], results.configurations["label"], strict=True))
    rows = []
    for run in results.sweep.runs.to_dict("records"):
        link = Path(os.path.relpath(Path(str(run["directory"])).resolve(), out.resolve())).as_posix()
        rounds = f"{run['recorded']} of {run['seeds']}"
        told = {"label": labels[run["configuration_hash"]], "rounds": rounds, "status": run["run_status"]}
        started = "" if pd.isna(run["started"]) else str(run["started"])[:19].replace("T", " ")  # to the second
        rows.append({**told, "run": run["run"], "link": quote(os.fsencode(link)) + "/", "started": started})
    return rows
