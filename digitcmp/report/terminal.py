"""The report in the terminal."""

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from digitcmp.inert import line
from digitcmp.report.build import Report
from digitcmp.report.tables import Column, comparison_columns, show, table_columns
from digitcmp.report.verdicts import verdict_columns
from digitcmp.terminal import Terminal, say

SHORT = {"label", "mean", "low", "mean_with_failed", "median", "lost", "rounds", "saturated"}
EXPENDABLE = ["saturated", "rounds", "low", "mean_with_failed", "median"]  # left out first where the terminal is narrow
SHORT_COMPARISONS = {"label", "difference", "difference_low", "p_holm", "better", "won", "pairs", "only_here", "mean"}
EXPENDABLE_COMPARISONS = ["only_here", "pairs", "won", "mean", "better", "p_holm"]
EXPENDABLE_VERDICTS = ["baseline_lost", "lost", "value"]
LABEL = 24  # characters of a row's name that are worth more than another column


def print_report(report: Report, console: Console | None = None) -> None:
    """Print what fits a terminal: the table, the comparisons, the warnings, and where the rest is."""
    where, results = console or Terminal(), report.study
    print_table(results.table, [column for column in table_columns(results.metric) if column.key in SHORT], EXPENDABLE, where)
    if len(results.comparisons):
        where.print(Text.assemble("\ncompared with ", (line(results.baseline), "bold"), ", paired by seed"))
        chosen = [column for column in comparison_columns(results.metric) if column.key in SHORT_COMPARISONS]
        print_table(results.comparisons, chosen, EXPENDABLE_COMPARISONS, where)
    if len(results.verdicts):
        where.print("\nverdicts of rounds=auto", highlight=False)
        print_table(results.verdicts, verdict_columns(results.verdicts), EXPENDABLE_VERDICTS, where)
    print_warnings(results.warnings, where)
    say(where, str(report.path), "report  ")


def print_warnings(warnings: list[str], console: Console) -> None:
    """A line each, however long."""
    for text in warnings:
        say(console, text, "warning: ", "yellow")


def print_table(frame: pd.DataFrame, columns: list[Column], expendable: list[str], console: Console) -> None:
    """Print a frame as a table. Where it is too wide, columns are left out, the first of `expendable` (keys) first, and a line says so."""
    there = show(frame, columns).columns
    columns = [column for column in columns if column.title in there]  # those in which a row has a value
    kept, waiting, unlimited = columns, list(expendable), console.options.update(max_width=10_000)
    while console.measure(rich_table(frame, kept), options=unlimited).minimum > console.width and waiting:
        key = waiting.pop(0)
        kept = [column for column in kept if column.key != key]
    console.print(rich_table(frame, kept))
    gone = [column.title for key in expendable for column in columns if column.key == key and column not in kept]
    if gone:
        say(console, "", f"too narrow for: {', '.join(gone)}; the files have them")


def rich_table(frame: pd.DataFrame, columns: list[Column]) -> Table:
    """A frame as rich draws it."""
    shown = show(frame, columns)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    cells = [[line(cell) for cell in row] for row in shown.to_numpy().tolist()]
    for index, title in enumerate(shown.columns):
        heading = "\n".join(title.rsplit(" ", 1)) if index else title  # so that numbers, not headings, make the width
        longest = max(map(len, [*heading.split("\n"), *(row[index] for row in cells)]))
        least = longest if index else min(longest, LABEL)
        table.add_column(Text(heading), justify="right" if index else "left", overflow="fold", no_wrap=bool(index), min_width=least)
    for row in cells:
        table.add_row(*map(Text, row))
    return table
