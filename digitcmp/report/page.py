"""The report as one HTML page that needs nothing else: tables, figures, how it was made, and a link to every run."""

import base64
import os
from pathlib import Path
from urllib.parse import quote

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from digitcmp.report.frames import VERSIONS
from digitcmp.report.labels import PLAIN
from digitcmp.report.statistics import methods
from digitcmp.report.study import Study
from digitcmp.report.tables import comparison_columns, lines_of, show, table_columns

LARGEST_SVG = 1_500_000  # bytes; larger ones are shown as PNG
CAPTIONS = {
    "curves": "{title} per epoch: mean over rounds, and ± one standard deviation.",
    "distribution": "{title} of every round; box: quartiles and median, whiskers to the last round within 1.5 box lengths.",
    "differences": "Difference to the baseline, paired by seed, with 95 % intervals.",
    "swept": "{title} against the number that varies, with 95 % intervals of the mean.",
    "distances": "{title} by the distance of the two digits, with 95 % intervals over rounds.",
}
PLAIN_NOTE = f"{PLAIN}: nothing of what the other configurations name is switched on."


def page(study: Study, figures: dict[str, dict[str, bytes]], out: Path) -> str:
    """The page as text. figures: by name, the bytes of its svg and png. Links are relative to the folder `out`."""
    loader = FileSystemLoader(Path(__file__).parent)
    # autoescape: names of networks and folders are the user's
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    metric, count, done = study.metric.title.capitalize(), len(study.table), int(study.table["rounds"].sum())
    configurations, rounds = f"{count} configuration{'s' * (count != 1)}", f"{done:,} round{'s' * (done != 1)}"
    versions = study.sweep.runs[[*VERSIONS, "engine", "device"]].astype("string").fillna("unknown")
    return environment.get_template("page.html.j2").render(
        title=f"{study.name}: {configurations}, {rounds}",
        warnings=study.warnings,
        baseline=study.baseline,
        table=lines_of(show(study.table, table_columns(study.metric))),
        comparisons=lines_of(show(study.comparisons, comparison_columns(study.metric))) if len(study.comparisons) else [],
        metric=metric,
        pictures=[
            {"name": name, "caption": CAPTIONS[name].format(title=metric), "source": data_uri(files)} for name, files in figures.items()
        ],
        methods=notes(study),
        commands=study.sweep.runs["command"].dropna().unique().tolist(),
        versions=[(name, ", ".join(versions[name].unique())) for name in versions.columns],
        runs=run_links(study, out),
    )


def notes(study: Study) -> list[str]:
    """How the numbers were worked out."""
    return [*methods(study.metric), *([PLAIN_NOTE] if PLAIN in set(study.table["label"]) else [])]


def data_uri(files: dict[str, bytes]) -> str:
    """A figure as its SVG, or as its PNG where that would be large."""
    kind, mime = ("png", "image/png") if len(files["svg"]) > LARGEST_SVG else ("svg", "image/svg+xml")
    return f"data:{mime};base64,{base64.b64encode(files[kind]).decode()}"


def run_links(study: Study, out: Path) -> list[dict[str, str]]:
    """A row a run: its configuration, state, and a link relative to the page."""
    labels = dict(zip(study.configurations["configuration_hash"], study.configurations["label"], strict=True))
    rows = []
    for run in study.sweep.runs.to_dict("records"):
        link = Path(os.path.relpath(Path(str(run["directory"])).resolve(), out.resolve())).as_posix()
        rounds = f"{run['recorded']} of {run['seeds']}"
        told = {"label": labels[run["configuration_hash"]], "rounds": rounds, "status": run["run_status"]}
        started = "" if pd.isna(run["started"]) else str(run["started"])[:19].replace("T", " ")  # to the second
        rows.append({**told, "run": run["run"], "link": quote(link) + "/", "started": started})
    return rows
