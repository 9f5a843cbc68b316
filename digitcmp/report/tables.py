"""Tables as files: CSV with numbers, Markdown and LaTeX with what people read, in per cent."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

NONE = "–"  # where there is no value
MISSING_P = 1e-4  # smaller p values are shown as such


@dataclass(frozen=True)
class Column:
    """A column of a shown table: its title, and a row's value as text."""

    title: str
    show: Callable[[dict[str, Any]], str]


def number(value: float, form: str = ".2f", scale: float = 1.0) -> str:
    """A number, or a dash where there is none."""
    return NONE if pd.isna(value) else format(scale * value, form)


def percent(value: float, form: str = ".2f") -> str:
    """A fraction in per cent, without the sign."""
    return number(value, form, 100)


def plus_minus(row: dict[str, Any]) -> str:
    """mean ± std in per cent; the mean alone where there is no std."""
    return percent(row["mean"]) + ("" if pd.isna(row["std"]) else f" ± {percent(row['std'])}")


def span(low: float, high: float, form: str = ".2f") -> str:
    """low to high, in per cent."""
    return NONE if pd.isna(low) or pd.isna(high) else f"{percent(low, form)} to {percent(high, form)}"


def p_value(p: float) -> str:
    """Four decimals at most."""
    return NONE if pd.isna(p) else f"< {MISSING_P:.4f}" if p < MISSING_P else f"{p:.4f}"


TABLE = [
    Column("configuration", lambda row: str(row["label"])),
    Column("parameters", lambda row: f"{row['parameters']:,}"),
    Column("rounds", lambda row: str(row["rounds"])),
    Column("failed", lambda row: str(row["failed"]) if row["failed"] else NONE),
    Column("test accuracy [%]", plus_minus),
    Column("95 % interval", lambda row: span(row["low"], row["high"])),
    Column("median", lambda row: percent(row["median"])),
    Column("min to max", lambda row: span(row["min"], row["max"])),
    Column("untrained", lambda row: str(row["untrained"])),
    Column("digits [%]", lambda row: percent(row["digit_accuracy"])),
    Column("s a round", lambda row: number(row["seconds"])),
    Column("time [%]", lambda row: number(row["normalised_time"], ".1f")),
]

COMPARISONS = [
    Column("configuration", lambda row: str(row["label"])),
    Column("pairs", lambda row: str(row["pairs"])),
    Column("left out", lambda row: str(row["only_here"] + row["only_baseline"]) if row["only_here"] + row["only_baseline"] else NONE),
    Column("difference [points]", lambda row: percent(row["mean"], "+.2f")),
    Column("95 % interval", lambda row: span(row["low"], row["high"], "+.2f")),
    Column("p", lambda row: p_value(row["p"])),
    Column("p (Holm)", lambda row: p_value(row["p_holm"])),
    Column("d_z", lambda row: number(row["d_z"], "+.2f")),
    Column("r", lambda row: number(row["rank_biserial"], "+.2f")),
    Column("won-tied-lost", lambda row: f"{row['won']}-{row['tied']}-{row['lost']}"),
]


def show(frame: pd.DataFrame, columns: Sequence[Column]) -> pd.DataFrame:
    """The frame as text, a column per `Column`; columns in which no row has a value are left out."""
    rows = [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
    shown = {column.title: [column.show(row) for row in rows] for column in columns}
    return pd.DataFrame({title: texts for title, texts in shown.items() if not texts or set(texts) != {NONE}}, dtype="object")


# names in the CSV files, and by how much the value is multiplied: fractions become per cent, differences points
TABLE_CSV = {
    "label": ("configuration", 1),
    "configuration_hash": ("configuration_hash", 1),
    "parameters": ("parameters", 1),
    "rounds": ("rounds", 1),
    "failed": ("failed", 1),
    "mean": ("test_accuracy_percent", 100),
    "std": ("std_percent", 100),
    "low": ("interval_low_percent", 100),
    "high": ("interval_high_percent", 100),
    "median": ("median_percent", 100),
    "min": ("min_percent", 100),
    "max": ("max_percent", 100),
    "untrained": ("untrained_rounds", 1),
    "digit_accuracy": ("digit_accuracy_percent", 100),
    "seconds": ("median_seconds", 1),
    "normalised_time": ("normalised_time_percent", 1),
}
COMPARISONS_CSV = {
    "label": ("configuration", 1),
    "baseline": ("baseline", 1),
    "pairs": ("pairs", 1),
    "only_here": ("seeds_only_here", 1),
    "only_baseline": ("seeds_only_baseline", 1),
    "mean": ("difference_points", 100),
    "low": ("interval_low_points", 100),
    "high": ("interval_high_points", 100),
    "p": ("p_wilcoxon", 1),
    "p_holm": ("p_holm", 1),
    "d_z": ("d_z", 1),
    "rank_biserial": ("rank_biserial", 1),
    "won": ("rounds_won", 1),
    "tied": ("rounds_tied", 1),
    "lost": ("rounds_lost", 1),
}


def to_csv(frame: pd.DataFrame, names: dict[str, tuple[str, int]]) -> str:
    """Named columns as CSV, numbers with 8 significant digits, missing ones empty."""
    values = {name: frame[column] * scale if scale != 1 else frame[column] for column, (name, scale) in names.items()}
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
