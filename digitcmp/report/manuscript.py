"""A report's tables as a paper prints them: few columns, narrow enough for one column of a two-column page."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import pandas as pd

from digitcmp import inert
from digitcmp.counting import some
from digitcmp.errors import RunError
from digitcmp.report.metrics import MANUSCRIPT_COLUMNS, MANUSCRIPT_DEFAULT, NONE, Metric, unknown
from digitcmp.report.tables import p_value, typeset

WIDTH = 229.0  # points: the column of LaTeX's own two-column article, the narrowest of the usual styles
SIZES = {"footnotesize": 8.06, "scriptsize": 7.56}  # points: by this the widths below are multiplied, where the text around has 10 pt
# widths of Computer Modern's characters (cmr8) in parts of the size, rounded up; in cmr7 they are 1.07 times as wide, and some pairs
# of letters stand apart by a little more
WIDTHS = {
    character: wide
    for wide, characters in (
        *(
            (0.296, ".,:;'|!il[]"),
            (0.325, "fj"),
            (0.355, " "),
            (0.415, "()rt"),
            (0.42, "s"),
            (0.473, "cez"),
            (0.532, "–↓"),
            (0.561, "kqvxy"),
        ),
        *((0.591, "Sbdhnpu"), (0.768, "w"), (0.827, "-+±<>≤≥=&@"), (0.886, "%#m"), (0.973, "M"), (1.072, "∞→"), (1.092, "W")),
    )
    for character in characters
}
DIGIT, CAPITAL = 0.532, 0.834  # and whatever has no width above
SEPARATION = 5.0  # points between two columns
LONGEST = 5.03  # of a part of a name, in parts of the size of its letters, that is not broken: batchnorm
SIGNS = ",=._/ "  # behind which a name may be broken
MAIN, LOST = "network", "lost"  # a heading, and a column
WIDER, ACROSS = "wider than a column of text", "set it across both columns (table*)"
PREAMBLE = r"% needs \usepackage{array,booktabs}"


@dataclass(frozen=True)
class TableColumn:
    """A column of a paper's table: its title, how it tells a row's value, and the unit of that, all as text without LaTeX's commands."""

    title: str
    show: Callable[[dict[str, Any]], str]
    unit: str = ""

    @property
    def head(self) -> tuple[str, str]:
        """The title, and in a line of its own, which makes no column wider, the unit."""
        return self.title, f"[{self.unit}]" if self.unit else ""


def columns(metric: Metric) -> dict[str, TableColumn]:
    """What a table can have beside the names of the configurations, by the name that --columns takes. An arrow says that less is better,
    where a difference is no gain."""
    what, unit = metric.title.rpartition(" ")[2], metric.unit

    def gain(row: dict[str, Any]) -> str:
        if pd.isna(row.get("difference")):
            return NONE
        low, high = (metric.show(row[key]) for key in ("difference_low", "difference_high"))  # for plus signs there is no room
        return metric.show(row["difference"], "+") + ("" if pd.isna(row["difference_low"]) else f" ({low}, {high})")

    def mean(row: dict[str, Any]) -> str:
        return metric.show(row["mean"]) + ("" if pd.isna(row["std"]) else f" ± {metric.show(row['std'])}")

    return {
        "parameters": TableColumn("params", lambda row: f"{row['parameters']:,}"),
        "mean": TableColumn(what if metric.higher_is_better else f"{what} ↓", mean, unit),
        "median": TableColumn("median", lambda row: metric.show(row["median"]), unit),
        "gain": TableColumn(f"paired {gained(metric)}", gain, metric.difference_unit),
        "lost": TableColumn("lost" if metric.on_pairs else "failed", lambda row: f"{row['lost']}/{row['all']}"),
        "rounds": TableColumn("rounds", lambda row: str(row["rounds"])),
        "seconds": TableColumn("s/round", lambda row: NONE if pd.isna(row["seconds"]) else f"{row['seconds']:.1f}"),
    }


def gained(metric: Metric) -> str:
    """What a difference to the baseline is called."""
    return "gain" if metric.higher_is_better else "difference"


def choose(names: Sequence[str], metric: Metric) -> list[TableColumn]:
    """The columns of these names. Raises RunError for one that there is not, and for one that is named twice."""
    there = columns(metric)
    for name in names:
        if name not in there:
            raise unknown("columns", name, "column of table_paper.tex", MANUSCRIPT_COLUMNS)
        if names.count(name) > 1:
            raise RunError(f"columns {','.join(names)}: {name} is named twice")
    return [there[name] for name in names]


def main_table(
    table: pd.DataFrame, comparisons: pd.DataFrame, metric: Metric, names: Sequence[str] | None = None, warnings: Sequence[str] = ()
) -> str:
    """One row a configuration: its name and the columns of these names. table, comparisons: as the report's statistics give them.

    names: by default, those of MANUSCRIPT_DEFAULT, and `lost` where a round was, if a column of text holds it. Warnings, and lost rounds
    that no column tells of, are comments. Raises RunError for a column that there is not.
    """
    paired = comparisons[["label", "difference", "difference_low", "difference_high"]]
    rows = [{str(key): value for key, value in row.items()} for row in table.merge(paired, on="label", how="left").to_dict("records")]
    lost = [row for row in rows if row["lost"]]
    labels, usual = [str(row["label"]) for row in rows], [*MANUSCRIPT_DEFAULT]
    if names is None and lost and Layout.of([MAIN], labels, choose([*usual, LOST], metric), rows).fits:
        usual.append(LOST)
    wanted = usual if names is None else names
    untold = some(f"{row['label']} ({row['lost']} of {row['all']})" for row in lost) if LOST not in wanted else ""
    kind = "failed or untrained" if metric.on_pairs else "failed"
    notes = [*warnings, *([f"{kind} rounds, which this table does not show: {untold}"] if untold else [])]
    return tabular([MAIN], labels, choose(wanted, metric), rows, notes, f"leave out columns with --columns, or {ACROSS}")


def comparison_table(comparisons: pd.DataFrame, metric: Metric, warnings: Sequence[str] = ()) -> str:
    """One row a comparison: the difference to the baseline (Hodges-Lehmann), its interval, Holm's p and the rounds won, tied and lost.
    Warnings are comments."""
    rows = [{str(key): value for key, value in row.items()} for row in comparisons.to_dict("records")]
    chosen = [
        TableColumn(gained(metric), lambda row: metric.show(row["difference"], "+"), metric.difference_unit),
        TableColumn("95 % interval", lambda row: metric.span(row["difference_low"], row["difference_high"], "+"), metric.difference_unit),
        TableColumn("Holm p", lambda row: p_value(row["p_holm"])),
        TableColumn("won–tied–lost", lambda row: f"{row['won']}–{row['tied']}–{row['lost']}", "rounds"),
    ]
    heading = ["against", str(rows[0]["baseline"]) if rows else ""]
    return tabular(heading, [str(row["label"]) for row in rows], chosen, rows, warnings)


def told_wide(texts: Mapping[str, str]) -> list[str]:
    """A line for each of these files that a column of text does not hold: which it is, and what to do. texts: by their names."""
    comment = f"% {WIDER}"
    return [
        f"{name} is {line.removeprefix('% ')}" for name, text in texts.items() for line in text.splitlines() if line.startswith(comment)
    ]


@dataclass(frozen=True)
class Layout:
    """How a table is set: the texts of its cells, the size of its letters, and how much room names have, and need at least, in points."""

    cells: list[list[str]]
    size: str
    room: float
    whole: float  # what the longest name needs in one line
    least: float  # what names need, broken into lines

    @classmethod
    def of(cls, heading: Sequence[str], names: list[str], chosen: Sequence[TableColumn], rows: list[dict[str, Any]]) -> "Layout":
        """The largest size in which a column of text holds them without a name that is broken into lines; else the largest in which it
        holds them, or the smallest that there is."""
        cells = [[column.show(row) for column in chosen] for row in rows]
        widths = [max(map(width, texts)) for texts in zip(*zip(*(column.head for column in chosen), strict=True), *cells, strict=True)]
        longest, least = (
            max(map(width, texts)) for texts in ([*heading, *names], [part for name in [*heading, *names] for part in parts(name)])
        )
        layouts = [
            cls(cells, size, WIDTH - sum(one * points + SEPARATION for one in widths), longest * points, least * points)
            for size, points in SIZES.items()
        ]
        unbroken = [one for one in layouts if one.room >= one.whole]
        return [*unbroken, *(one for one in layouts if one.fits), layouts[-1]][0]

    @property
    def fits(self) -> bool:
        """Whether a column of text holds it."""
        return self.room >= self.least


def tabular(
    heading: Sequence[str],
    names: list[str],
    chosen: Sequence[TableColumn],
    rows: list[dict[str, Any]],
    notes: Sequence[str] = (),
    remedy: str = ACROSS,
) -> str:
    """The environment, in the size that its `Layout` has; names that do not fit are broken into lines. heading: of the names, a line or
    two. notes: comments in front. remedy: what to do where a column of text does not hold it."""
    layout = Layout.of(heading, names, chosen, rows)
    wide = layout.whole > layout.room
    first = rf">{{\raggedright\arraybackslash}}p{{{max(layout.room, layout.least):.0f}pt}}" if wide else "l"
    lines = [r" & ".join([breakable(name), *map(latex, row)]) + r" \\" for name, row in zip(names, layout.cells, strict=True)]
    heads = zip_longest([*heading], *(column.head for column in chosen), fillvalue="")
    head = [r" & ".join([breakable(first), *map(latex, others)]) + r" \\" for first, *others in heads if any([first, *others])]
    begin = rf"\begin{{tabular}}{{@{{}}{first}{'r' * len(chosen)}@{{}}}}"
    comments = [f"% {inert.visible(note)}" for note in notes]
    comments += [] if layout.fits else [f"% {WIDER}: {remedy}"]
    group = rf"{{\{layout.size}\setlength{{\tabcolsep}}{{{SEPARATION / 2:g}pt}}%"
    return "\n".join([PREAMBLE, *comments, group, begin, r"\toprule", *head, r"\midrule", *lines, r"\bottomrule", r"\end{tabular}}", ""])


def width(text: str) -> float:
    """How wide a text is at most, in parts of the size of its letters."""
    return sum(WIDTHS.get(one) or (CAPITAL if one.isupper() else DIGIT) for one in text)


def latex(text: str) -> str:
    """A cell without commands, as it is `typeset`."""
    return inert.latex(typeset(text))


def breakable(name: str) -> str:
    """A name that may be broken behind its signs, and, rather not, in a part that is too long."""
    *others, last = parts(name)
    marks = ["" if part.endswith(" ") else r"\allowbreak{}" if part[-1] in SIGNS else r"\penalty500{}" for part in others]
    return "".join(inert.latex(part) + mark for part, mark in zip(others, marks, strict=True)) + inert.latex(last)


def parts(name: str) -> list[str]:
    """What of a name stays in one line."""
    found = [""]
    for character in name:
        if found[-1] and (found[-1][-1] in SIGNS or width(found[-1] + character) > LONGEST):
            found.append("")
        found[-1] += character
    return found
