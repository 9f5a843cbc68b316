"""The report in the terminal."""

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from digitcmp.report.build import Report
from digitcmp.report.tables import COMPARISONS, TABLE, Column, show
from digitcmp.terminal import Terminal

SHORT = ["configuration", "rounds", "failed", "test accuracy [%]", "95 % interval", "median", "untrained"]
SHORT_COMPARISONS = ["configuration", "pairs", "left out", "difference [points]", "95 % interval", "p (Holm)", "won-tied-lost"]


def print_report(report: Report, console: Console | None = None) -> None:
    """Print what fits a terminal: the table, the comparisons, the warnings, and where the rest is."""
    where, results = console or Terminal(), report.study
    where.print(rich_table(results.table, [column for column in TABLE if column.title in SHORT]))
    if len(results.comparisons):
        where.print(f"\ncompared with [bold]{escape(results.baseline)}[/bold], paired by seed", highlight=False)
        where.print(rich_table(results.comparisons, [column for column in COMPARISONS if column.title in SHORT_COMPARISONS]))
    for line in results.warnings:
        where.print(f"[yellow]warning:[/yellow] {escape(line)}", soft_wrap=True, highlight=False)
    where.print(f"[dim]report[/dim]  {escape(str(report.path))}", soft_wrap=True, highlight=False)


def rich_table(frame: pd.DataFrame, columns: list[Column]) -> Table:
    """A frame as rich draws it."""
    shown = show(frame, columns)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for place, title in enumerate(shown.columns):
        heading = "\n".join(escape(title).rsplit(" ", 1)) if place else title  # so that numbers, not headings, make the width
        table.add_column(heading, justify="right" if place else "left", overflow="fold", no_wrap=bool(place))
    for row in shown.to_numpy().tolist():
        table.add_row(*(escape(cell) for cell in row))
    return table
