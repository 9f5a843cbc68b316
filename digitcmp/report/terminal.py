"""The report in the terminal."""

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from digitcmp.report.build import Report
from digitcmp.report.tables import COMPARISONS, TABLE, Column, show
from digitcmp.terminal import Terminal

SHORT = ["configuration", "rounds", "failed", "test accuracy [%]", "95 % interval", "median", "untrained"]
EXPENDABLE = ["median", "rounds", "untrained"]  # left out first where the terminal is narrow
SHORT_COMPARISONS = ["configuration", "pairs", "left out", "difference [points]", "95 % interval", "p (Holm)", "won-tied-lost"]
EXPENDABLE_COMPARISONS = ["left out", "pairs", "won-tied-lost", "95 % interval"]
LABEL = 24  # characters of a row's name that are worth more than another column


def print_report(report: Report, console: Console | None = None) -> None:
    """Print what fits a terminal: the table, the comparisons, the warnings, and where the rest is."""
    where, results = console or Terminal(), report.study
    print_table(results.table, [column for column in TABLE if column.title in SHORT], EXPENDABLE, where)
    if len(results.comparisons):
        where.print(f"\ncompared with [bold]{escape(results.baseline)}[/bold], paired by seed", highlight=False)
        chosen = [column for column in COMPARISONS if column.title in SHORT_COMPARISONS]
        print_table(results.comparisons, chosen, EXPENDABLE_COMPARISONS, where)
    for line in results.warnings:
        where.print(f"[yellow]warning:[/yellow] {escape(line)}", soft_wrap=True, highlight=False)
    where.print(f"[dim]report[/dim]  {escape(str(report.path))}", soft_wrap=True, highlight=False)


def print_table(frame: pd.DataFrame, columns: list[Column], expendable: list[str], console: Console) -> None:
    """Print a frame as a table. Where it is too wide, columns are left out, the first of `expendable` first, and a line says so."""
    kept, left_out, unlimited = columns, list[str](), console.options.update(max_width=10_000)
    while console.measure(rich_table(frame, kept), options=unlimited).minimum > console.width and len(left_out) < len(expendable):
        title = expendable[len(left_out)]
        kept, left_out = [column for column in kept if column.title != title], [*left_out, title]
    console.print(rich_table(frame, kept))
    gone = [title for title in left_out if title in {column.title for column in columns}]
    if gone:
        console.print(f"[dim]too narrow for: {escape(', '.join(gone))}; the files have them[/dim]", soft_wrap=True, highlight=False)


def rich_table(frame: pd.DataFrame, columns: list[Column]) -> Table:
    """A frame as rich draws it."""
    shown = show(frame, columns)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for place, title in enumerate(shown.columns):
        heading = "\n".join(escape(title).rsplit(" ", 1)) if place else title  # so that numbers, not headings, make the width
        longest = max(map(len, [*heading.split("\n"), *shown.iloc[:, place]]))
        least = longest if place else min(longest, LABEL)
        table.add_column(heading, justify="right" if place else "left", overflow="fold", no_wrap=bool(place), min_width=least)
    for row in shown.to_numpy().tolist():
        table.add_row(*(escape(cell) for cell in row))
    return table
