"""Tables as files: CSV with numbers, Markdown and LaTeX with what people read, accuracies in per cent."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from digitcmp import inert
from digitcmp.report.metrics import NONE, TEST_ACCURACY, Metric, fixed, with_unit

NO_ROOM = {"interquartile_mean", "lost_share", "rounds", "failed", "untrained", "seconds", "normalised_time"}  # on a page
MISSING_P = 1e-4  # smaller p values are shown as such
MINUS = re.compile(r"(?<![\w-])-(?=[\d∞])")  # a hyphen in front of a number


@dataclass(frozen=True)
class Column:
    """A column of a frame as tables have it.

    csv: its name in CSV files, where it is multiplied by `scale`; empty: it is not in them. title: over it in tables for people, which
    have a row's value as `show` tells it, by default as it is; empty: it is not in those.
    """

    key: str
    csv: str = ""
    title: str = ""
    show: Callable[[dict[str, Any]], str] | None = None
    scale: int = 1


def number(value: float, form: str = ".2f") -> str:
    """A number, or a dash where there is none; what rounds to zero has no minus."""
    return NONE if pd.isna(value) else fixed(value, form)


def percent(value: float, form: str = ".2f") -> str:
    """A fraction in per cent, without the sign."""
    return number(100 * value, form)


def span(low: float, high: float, form: str = ".2f") -> str:
    """low to high, in per cent."""
    return NONE if pd.isna(low) or pd.isna(high) else f"{percent(low, form)} to {percent(high, form)}"


def p_value(p: float) -> str:
    """Four decimals at most."""
    return NONE if pd.isna(p) else f"< {MISSING_P:.4f}" if p < MISSING_P else f"{p:.4f}"


def duration(seconds: float) -> str:
    """Seconds in the unit that people would say: 45 s, 12.3 min, 3.4 h."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.3g} s"


def share(row: dict[str, Any], keys: Sequence[str]) -> str:
    """A fraction with its interval in per cent: 1.0 (0.2 to 5.4)."""
    value, low, high = (row[key] for key in keys)
    return NONE if pd.isna(value) else f"{percent(value, '.1f')} ({span(low, high, '.1f')})"


CSV_SUFFIXES = {"%": "_percent", "points": "_points"}  # of values that are not as in the frames


def table_columns(metric: Metric = TEST_ACCURACY) -> list[Column]:
    """The columns of the table of `summarise`: what was measured first, what it cost last."""
    suffix, scale = CSV_SUFFIXES.get(metric.unit, ""), metric.scale
    lost = "failed or untrained" if metric.on_pairs else "failed rounds"
    columns = [
        Column("label", "configuration", "configuration"),
        Column("configuration_hash", "configuration_hash"),
        Column(
            "mean",
            metric.column + suffix,
            with_unit(metric.title, metric.unit),
            lambda row: metric.show(row["mean"]) + ("" if pd.isna(row["std"]) else f" ± {metric.show(row['std'])}"),
            scale,
        ),
        Column("std", "std" + suffix, scale=scale),
        Column("low", "interval_low" + suffix, "95 % interval", lambda row: metric.span(row["low"], row["high"]), scale),
        Column("high", "interval_high" + suffix, scale=scale),
        Column("mean_with_failed", "mean_with_failed" + suffix, "with failed", lambda row: metric.show(row["mean_with_failed"]), scale),
        Column("median", "median" + suffix, "median", lambda row: metric.estimate(row, ("median", "median_low", "median_high")), scale),
        Column("median_low", "median_low" + suffix, scale=scale),
        Column("median_high", "median_high" + suffix, scale=scale),
        Column(
            "interquartile_mean",
            "interquartile_mean" + suffix,
            "interquartile mean",
            lambda row: metric.show(row["interquartile_mean"]),
            scale,
        ),
        Column("min", "min" + suffix, "min to max", lambda row: metric.span(row["min"], row["max"]), scale),
        Column("max", "max" + suffix, scale=scale),
        Column("lost", "lost_rounds", lost, lambda row: f"{row['lost']}/{row['all']}"),
        Column("lost_share", "lost_percent", f"{lost} [%]", lambda row: share(row, ("lost_share", "lost_low", "lost_high")), 100),
        Column("lost_low", "lost_low_percent", scale=100),
        Column("lost_high", "lost_high_percent", scale=100),
        Column("rounds", "rounds", "rounds"),
        Column("failed", "failed", "failed", lambda row: str(row["failed"] or NONE)),
        Column("untrained", "untrained_rounds", "untrained", lambda row: str(row["untrained"] or NONE)),
        Column("collapsed", "collapsed_rounds"),
        Column("digit_accuracy", "digit_accuracy_percent", "digits [%]", lambda row: percent(row["digit_accuracy"]), 100),
        Column("first_loss", "first_loss", "first loss", lambda row: number(row["first_loss"], ".3f")),
        Column("last_loss", "last_loss", "last loss", lambda row: number(row["last_loss"], ".3f")),
        Column("saturated", "saturated_after", "saturated after", lambda row: number(row["saturated"], ".0f")),
        Column("total_seconds", "total_seconds", "time", lambda row: duration(row["total_seconds"])),
        Column("seconds", "mean_seconds", "s a round", lambda row: number(row["seconds"])),
        Column("normalised_time", "normalised_time_percent", "time [%]", lambda row: number(row["normalised_time"], ".1f")),
        Column("parameters", "parameters", "parameters", lambda row: f"{row['parameters']:,}"),
    ]
    return [replace(column, title="") if column.key == metric.column else column for column in columns]  # it is shown as the mean


def comparison_columns(metric: Metric = TEST_ACCURACY) -> list[Column]:
    """The columns of the rows of `compare`: the difference first, what it was worked out from last."""
    unit, scale = metric.difference_unit, metric.scale
    suffix = CSV_SUFFIXES.get(unit, "")
    return [
        Column("label", "configuration", "configuration"),
        Column("baseline", "baseline"),
        Column("difference", "difference" + suffix, with_unit("difference", unit), lambda row: metric.show(row["difference"], "+"), scale),
        Column(
            "difference_low",
            "difference_low" + suffix,
            "95 % interval",
            lambda row: metric.span(row["difference_low"], row["difference_high"], "+"),
            scale,
        ),
        Column("difference_high", "difference_high" + suffix, scale=scale),
        Column("p", "p_signed_rank", "p", lambda row: p_value(row["p"])),
        Column("p_holm", "p_holm", "p (Holm)", lambda row: p_value(row["p_holm"])),
        Column("better", "better_percent", "better [%]", lambda row: share(row, ("better", "better_low", "better_high")), 100),
        Column("better_low", "better_low_percent", scale=100),
        Column("better_high", "better_high_percent", scale=100),
        Column("won", "rounds_won", "won-tied-lost", lambda row: f"{row['won']}-{row['tied']}-{row['lost']}"),
        Column("tied", "rounds_tied"),
        Column("lost", "rounds_lost"),
        Column("pairs", "pairs", "pairs"),
        Column("only_here", "seeds_only_here", "left out", lambda row: str(row["only_here"] + row["only_baseline"] or NONE)),
        Column("only_baseline", "seeds_only_baseline"),
        Column("mean", "mean" + suffix, "mean difference", lambda row: metric.estimate(row, ("mean", "low", "high"), "+"), scale),
        Column("low", "mean_low" + suffix, scale=scale),
        Column("high", "mean_high" + suffix, scale=scale),
        Column("done", "pairs_done"),
        Column("d_z", "d_z", "d_z", lambda row: number(row["d_z"], "+.2f")),
        Column("rank_biserial", "rank_biserial", "r", lambda row: number(row["rank_biserial"], "+.2f")),
    ]


def single_columns(metric: Metric = TEST_ACCURACY) -> list[Column]:
    """Those of comparisons that are no family of `compare`: their intervals allow for all rows, and p is that of one."""
    return [column for column in comparison_columns(metric) if column.key != "p_holm"]


def show(frame: pd.DataFrame, columns: Sequence[Column]) -> pd.DataFrame:
    """The frame as text, a column per titled `Column` that it has; columns in which no row has a value, or a text, are left out."""
    rows: list[dict[Any, Any]] = frame.to_dict("records")
    shown = {
        column.title: [column.show(row) if column.show else str(row[column.key]) for row in rows]
        for column in columns
        if column.title and column.key in frame
    }
    return pd.DataFrame({title: texts for title, texts in shown.items() if not texts or set(texts) - {NONE, ""}}, dtype="object")


def to_csv(frame: pd.DataFrame, columns: Sequence[Column]) -> str:
    """The columns that have a name there as CSV, as far as the frame has them: numbers with 8 significant digits, missing ones empty."""
    named = [column for column in columns if column.csv and column.key in frame]
    values = {column.csv: frame[column.key] * column.scale if column.scale != 1 else frame[column.key] for column in named}
    return csv_text(pd.DataFrame(values))


def csv_text(frame: pd.DataFrame) -> str:
    """A frame as CSV. Texts in it, and the names of its columns, are inert."""
    safe = frame.apply(lambda column: column.map(lambda value: inert.csv(value) if isinstance(value, str) else value))
    return str(safe.rename(columns=inert.csv).to_csv(index=False, float_format="%.8g", lineterminator="\n"))


def typeset(text: str) -> str:
    """A cell with the signs of its numbers as they are set: with a minus for the hyphen of terminals and files."""
    return MINUS.sub("\N{MINUS SIGN}", text)


def to_markdown(shown: pd.DataFrame) -> str:
    """A pipe table; the first column is text, the others are numbers."""
    cells = [list(map(inert.markdown, row)) for row in lines_of(shown)]
    rule = [":--", *["--:"] * (len(cells[0]) - 1)]
    return "".join(f"| {' | '.join(row)} |\n" for row in [cells[0], rule, *cells[1:]])


def to_latex(shown: pd.DataFrame, notes: Sequence[str]) -> str:
    """A tabular environment with the rules of booktabs; notes as comments."""
    rows = [[label, *map(typeset, cells)] for label, *cells in lines_of(shown)]
    head, *body = [" & ".join(map(inert.latex, row)) + r" \\" for row in rows]
    columns = "l" + "r" * (len(shown.columns) - 1)
    lines = [r"% needs \usepackage{booktabs}", *(f"% {inert.visible(note)}" for note in notes), rf"\begin{{tabular}}{{{columns}}}"]
    return "\n".join([*lines, r"\toprule", head, r"\midrule", *body, r"\bottomrule", r"\end{tabular}", ""])


def lines_of(shown: pd.DataFrame) -> list[list[str]]:
    """The titles, then the rows."""
    return [list(map(str, shown.columns)), *shown.to_numpy().tolist()]
