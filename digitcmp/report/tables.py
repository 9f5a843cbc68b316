"""Tables as files: CSV with numbers, Markdown and LaTeX with what people read, accuracies in per cent."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from digitcmp.report.metrics import NONE, TEST_ACCURACY, Metric, with_unit

MISSING_P = 1e-4  # smaller p values are shown as such


@dataclass(frozen=True)
class Column:
    """A column of a shown table: that of the frame which it is about, its title, and a row's value as text."""

    key: str
    title: str
    show: Callable[[dict[str, Any]], str]


def number(value: float, form: str = ".2f") -> str:
    """A number, or a dash where there is none."""
    return NONE if pd.isna(value) else format(value, form)


def percent(value: float, form: str = ".2f") -> str:
    """A fraction in per cent, without the sign."""
    return number(100 * value, form)


def span(low: float, high: float, form: str = ".2f") -> str:
    """low to high, in per cent."""
    return NONE if pd.isna(low) or pd.isna(high) else f"{percent(low, form)} to {percent(high, form)}"


def p_value(p: float) -> str:
    """Four decimals at most."""
    return NONE if pd.isna(p) else f"< {MISSING_P:.4f}" if p < MISSING_P else f"{p:.4f}"


def table_columns(metric: Metric = TEST_ACCURACY) -> list[Column]:
    """How the table of `summarise` is shown."""
    columns = [
        Column("label", "configuration", lambda row: str(row["label"])),
        Column("parameters", "parameters", lambda row: f"{row['parameters']:,}"),
        Column("rounds", "rounds", lambda row: str(row["rounds"])),
        Column("failed", "failed", lambda row: str(row["failed"]) if row["failed"] else NONE),
        Column(
            "mean",
            with_unit(metric.title, metric.unit),
            lambda row: metric.show(row["mean"]) + ("" if pd.isna(row["std"]) else f" ± {metric.show(row['std'])}"),
        ),
        Column("low", "95 % interval", lambda row: metric.span(row["low"], row["high"])),
        Column("median", "median", lambda row: metric.show(row["median"])),
        Column("min", "min to max", lambda row: metric.span(row["min"], row["max"])),
        Column("untrained", "untrained", lambda row: str(row["untrained"])),
        Column("digit_accuracy", "digits [%]", lambda row: percent(row["digit_accuracy"])),
        Column("seconds", "s a round", lambda row: number(row["seconds"])),
        Column("normalised_time", "time [%]", lambda row: number(row["normalised_time"], ".1f")),
    ]
    return [column for column in columns if column.key != metric.column]


def comparison_columns(metric: Metric = TEST_ACCURACY) -> list[Column]:
    """How the rows of `compare` are shown."""
    return [
        Column("label", "configuration", lambda row: str(row["label"])),
        Column("pairs", "pairs", lambda row: str(row["pairs"])),
        Column("only_here", "left out", lambda row: str(row["only_here"] + row["only_baseline"] or NONE)),
        Column("mean", with_unit("difference", metric.difference_unit), lambda row: metric.show(row["mean"], "+")),
        Column("low", "95 % interval", lambda row: metric.span(row["low"], row["high"], "+")),
        Column("p", "p", lambda row: p_value(row["p"])),
        Column("p_holm", "p (Holm)", lambda row: p_value(row["p_holm"])),
        Column("d_z", "d_z", lambda row: number(row["d_z"], "+.2f")),
        Column("rank_biserial", "r", lambda row: number(row["rank_biserial"], "+.2f")),
        Column("won", "won-tied-lost", lambda row: f"{row['won']}-{row['tied']}-{row['lost']}"),
    ]


def show(frame: pd.DataFrame, columns: Sequence[Column]) -> pd.DataFrame:
    """The frame as text, a column per `Column` that it has; columns in which no row has a value are left out."""
    rows = [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
    shown = {column.title: [column.show(row) for row in rows] for column in columns if column.key in frame}
    return pd.DataFrame({title: texts for title, texts in shown.items() if not texts or set(texts) != {NONE}}, dtype="object")


CSV_SUFFIXES = {"%": "_percent", "points": "_points"}  # of values that are not as in the frames


def table_csv(metric: Metric = TEST_ACCURACY) -> dict[str, tuple[str, int]]:
    """By column of `summarise`: the name in table.csv, and what the value is multiplied by."""
    suffix = CSV_SUFFIXES.get(metric.unit, "")
    names = {
        "mean": metric.column,
        "std": "std",
        "low": "interval_low",
        "high": "interval_high",
        "median": "median",
        "min": "min",
        "max": "max",
    }
    return {
        "label": ("configuration", 1),
        **{name: (name, 1) for name in ("configuration_hash", "parameters", "rounds", "failed")},
        **{name: (told + suffix, metric.scale) for name, told in names.items()},
        "untrained": ("untrained_rounds", 1),
        "digit_accuracy": ("digit_accuracy_percent", 100),
        "seconds": ("median_seconds", 1),
        "normalised_time": ("normalised_time_percent", 1),
    }


def comparisons_csv(metric: Metric = TEST_ACCURACY) -> dict[str, tuple[str, int]]:
    """By column of `compare`: the name in comparisons.csv, and what the value is multiplied by."""
    suffix = CSV_SUFFIXES.get(metric.difference_unit, "")
    names = {"mean": "difference", "low": "interval_low", "high": "interval_high"}
    return {
        "label": ("configuration", 1),
        "baseline": ("baseline", 1),
        "pairs": ("pairs", 1),
        "only_here": ("seeds_only_here", 1),
        "only_baseline": ("seeds_only_baseline", 1),
        **{name: (told + suffix, metric.scale) for name, told in names.items()},
        "p": ("p_wilcoxon", 1),
        **{name: (name, 1) for name in ("p_holm", "d_z", "rank_biserial")},
        **{name: (f"rounds_{name}", 1) for name in ("won", "tied", "lost")},
    }


def to_csv(frame: pd.DataFrame, names: dict[str, tuple[str, int]]) -> str:
    """Named columns as CSV, as far as the frame has them: numbers with 8 significant digits, missing ones empty."""
    values = {name: frame[column] * scale if scale != 1 else frame[column] for column, (name, scale) in names.items() if column in frame}
    return pd.DataFrame(values).to_csv(index=False, float_format="%.8g", lineterminator="\n")


def to_markdown(shown: pd.DataFrame) -> str:
    """A pipe table; the first column is text, the others are numbers."""
    cells = [[str(cell).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;") for cell in row] for row in lines_of(shown)]
    rule = [":--", *["--:"] * (len(cells[0]) - 1)]
    return "".join(f"| {' | '.join(row)} |\n" for row in [cells[0], rule, *cells[1:]])


def to_latex(shown: pd.DataFrame, notes: Sequence[str]) -> str:
    """A tabular environment with the rules of booktabs; notes as comments."""
    head, *body = [" & ".join(map(escape_latex, row)) + r" \\" for row in lines_of(shown)]
    columns = "l" + "r" * (len(shown.columns) - 1)
    lines = [r"% needs \usepackage{booktabs}", *(f"% {note}" for note in notes), rf"\begin{{tabular}}{{{columns}}}"]
    return "\n".join([*lines, r"\toprule", head, r"\midrule", *body, r"\bottomrule", r"\end{tabular}", ""])


def lines_of(shown: pd.DataFrame) -> list[list[str]]:
    """The titles, then the rows."""
    return [list(map(str, shown.columns)), *shown.to_numpy().tolist()]


LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "–": "--", "<": "$<$", ">": "$>$"}
LATEX |= {character: "\\" + character for character in "&%$#_{}"}


def escape_latex(text: str) -> str:
    """Text in which LaTeX sees no commands. Source of the list: LaTeX2e, an unofficial reference manual, section 23.1."""
    return "".join(LATEX.get(character, character) for character in text)
