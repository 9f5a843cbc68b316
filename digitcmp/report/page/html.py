"""The page as text. Its style and its script stand in it, and nothing else may: a policy names them by their sums."""

import base64
import hashlib
import math
import os
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from numbers import Real
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from digitcmp import inert
from digitcmp.counting import counted, some
from digitcmp.report.cautions import told_apart, uses, with_best_weights
from digitcmp.report.drawing import COLOURS, DARK
from digitcmp.report.effects import about_effects, effect_columns
from digitcmp.report.frames import VERSIONS
from digitcmp.report.labels import PLAIN
from digitcmp.report.methods import about_differences, about_digits, about_pool, about_table
from digitcmp.report.origins import commands
from digitcmp.report.page.data import page_data
from digitcmp.report.page.pictures import Picture, caption
from digitcmp.report.study import Study
from digitcmp.report.tables import NO_ROOM, Column, comparison_columns, show, table_columns, typeset
from digitcmp.report.verdicts import verdict_columns, verdict_heading, verdict_notes

CHARTS = ("curves", "distribution", "differences", "distances")  # the figures that the script draws, too
TRAINED = (
    ("data: {}", "data.source"),
    ("{} training pairs", "data.train_pairs"),
    ("{} validation pairs", "data.val_pairs"),
    ("{} test pairs", "data.test_pairs"),
    ("{} epochs", "epochs"),
    ("target: {}", "data.target"),
)
USUAL = {"data.val_pairs": 0, "data.target": "le"}  # what is not worth saying
PLAIN_NOTE = f"{PLAIN}: nothing of what the other configurations name is switched on."


def page(results: Study, figures: Mapping[str, Picture | None], out: Path | None, version: int | None = None) -> str:
    """The HTML page as text: tables, figures, how they were made, and every run.

    figures: by name; None for one that the script alone draws. out: the folder that the page is written to, from which it has links to the
    folders of the runs; None for a page that is served, in which nobody could follow them. version: of one that renews itself.
    """
    count, done = len(results.table), int(results.table["rounds"].sum())
    sizes = counted(count, "configuration"), counted(done, "round")
    runs = results.sweep.runs
    versions = pd.DataFrame({name: told_apart(runs, name).map(" then ".join) for name in [*VERSIONS, "engine", "device"]})
    versions["platform"] = uses(runs, "platform").map(lambda used: " then ".join(dict.fromkeys(map(machine, used))))
    decided = verdict_notes(results.plans) if len(results.verdicts) else []
    effects, metric = results.effects, results.metric
    columns = [one for one in table_columns(metric) if one.key not in NO_ROOM]
    return render(
        "report.html.j2",
        version,
        title=f"{results.name}: {', '.join(sizes)}",
        trained=trained_on(results.sweep.runs),
        warnings=results.warnings,
        baseline=results.baseline,
        table=rows_of(results, results.table, columns),
        comparisons=rows_of(results, results.comparisons, comparison_columns(metric)),
        verdicts=rows_of(results, results.verdicts, verdict_columns(results.verdicts)) if len(results.verdicts) else [],
        verdict_heading=verdict_heading(results.verdicts),
        effects=rows_of(results, effects.together, effect_columns(metric), of_configurations=False) if effects else [],
        metric=metric.title.capitalize(),
        figures=[(name, picture, caption(name, metric, results.baseline)) for name, picture in figures.items()],
        charts=CHARTS,
        methods=[
            *about_table(metric, NO_ROOM, bool(with_best_weights(results.configurations))),
            *about_digits(results.table),
            *about_differences(metric),
            *(about_effects(effects, metric) if effects else []),
            about_pool(results.configurations),
            *decided,
            *plain_note(results),
        ],
        commands=commands(results.sweep.runs),
        versions=[(name, ", ".join(versions[name].unique())) for name in versions.columns],
        runs=run_links(results, out),
        data=Markup(inert.script(page_data(results))),
    )


def trained_on(runs: pd.DataFrame) -> str:
    """What the rounds were trained and tested on, in words: data, pairs, epochs, and the target where it is not the usual one; of what
    varies, all values or the first and the last."""
    if "data.val_pairs" in runs:
        runs = runs.assign(**{"data.train_pairs": runs["data.train_pairs"] - runs["data.val_pairs"].fillna(0).astype("int64")})
    told_of = [(text, key) for text, key in TRAINED if key in runs and not (key in USUAL and (runs[key].dropna() == USUAL[key]).all())]
    told = [text.format(several(runs[key])) for text, key in told_of]
    return "; ".join(text.removesuffix("s") if re.fullmatch("1 [a-z ]+s", text) else text for text in told)


def machine(platform: dict[str, Any] | None) -> str:
    """A platform in words."""
    return ", ".join(f"{name} {value}" for name, value in (platform or {}).items()) or "unknown"


def several(values: "pd.Series[Any]") -> str:
    """Different values in words, in their order."""
    there = sorted({value for value in values.tolist() if not pd.isna(value)})
    told = [f"{value:,}" if isinstance(value, Real) else str(value) for value in there]
    return " or ".join(told) if len(told) <= 3 else f"{told[0]} to {told[-1]}" if isinstance(there[0], Real) else some(told)


def message_page(title: str, message: str, version: int) -> str:
    """A page that is served while there is no report, and why."""
    return render("message.html.j2", version, title=title, message=message)


def render(template: str, version: int | None, **values: Any) -> str:
    """A page from its template. version: of one that is served, and renews itself; None for a file."""
    style, script = style_and_script()
    sources = {"script-src": source(script), "style-src": source(style), "img-src": "data:", "base-uri": "'none'", "form-action": "'none'"}
    policy = {"default-src": "'none'", **sources, **({} if version is None else {"connect-src": "'self'"})}
    return (
        templates()
        .get_template(template)
        .render(
            version=version,
            style=Markup(style),
            script=Markup(script),
            policy="; ".join(f"{name} {value}" for name, value in policy.items()),
            **values,
        )
    )


@cache
def templates() -> Environment:
    """The templates. autoescape: names of networks and folders are the user's."""
    return Environment(
        loader=PackageLoader("digitcmp.report", "page"),
        autoescape=True,
        finalize=inert.html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def style_and_script() -> tuple[str, str]:
    """What stands in every page: the style sheet, with the colours of the figures, and the script."""
    folder = files("digitcmp.report.page")
    style, *scripts = (folder.joinpath(name).read_text(encoding="utf-8") for name in ("style.css", "charts.js", "figures.js", "page.js"))
    colours = "".join(f".c{at} {{ --own: light-dark({light}, {DARK[light]}); }}\n" for at, light in enumerate(COLOURS))
    return style + colours, "".join(scripts)


def source(text: str) -> str:
    """What stands for a style sheet or a script in a policy (Content Security Policy Level 3, hash-source)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def rows_of(
    results: Study, frame: pd.DataFrame, columns: Sequence[Column], of_configurations: bool = True
) -> list[tuple[Any, list[tuple[str, str]]]]:
    """A table as the page has it: the titles, then a row per row of the frame, each with the position of its configuration (empty where
    it is of none), and of every cell the text and the number that it is sorted by; no number where it is sorted by the text. Empty where
    the frame is."""
    if frame.empty:
        return []
    told, keys = show(frame, columns), {column.title: column.key for column in columns}
    positions = {label: at for at, label in enumerate(results.configurations["label"]) if of_configurations}
    numbers = [map(sorted_by, frame[keys[str(title)]]) for title in told]
    cells = [[label, *map(typeset, others)] for label, *others in told.to_numpy().tolist()]
    rows = zip(frame["label"], cells, zip(*numbers, strict=True), strict=True)
    titles = [(str(title), "") for title in told]
    return [(None, titles), *((positions.get(label, ""), list(zip(texts, found, strict=True))) for label, texts, found in rows)]


def sorted_by(value: Any) -> str:
    """A number as JavaScript reads it; empty for what is none."""
    if not isinstance(value, Real) or math.isnan(value):
        return ""
    return format(float(value), ".10g").replace("inf", "Infinity")


def plain_note(results: Study) -> list[str]:
    """What the label of a configuration without parts means, where there is one."""
    return [PLAIN_NOTE] if PLAIN in set(results.table["label"]) else []


def run_links(results: Study, out: Path | None) -> list[dict[str, Any]]:
    """A row a run: its configuration, state, and a link relative to the page; an empty one where there is no folder `out`."""
    known = results.configurations
    labels = dict(zip(known["configuration_hash"], enumerate(known["label"]), strict=True))
    rows = []
    for run in results.sweep.runs.to_dict("records"):
        link = Path(os.path.relpath(Path(str(run["directory"])).resolve(), out.resolve())).as_posix() if out else ""
        at, label = labels[run["configuration_hash"]]
        told = {"of": at, "label": label, "rounds": f"{run['recorded']} of {run['seeds']}", "status": run["run_status"]}
        started = "" if pd.isna(run["started"]) else str(run["started"])[:19].replace("T", " ")  # to the second
        rows.append({**told, "run": run["run"], "link": quote(os.fsencode(link)) + "/" if out else "", "started": started})
    return rows
