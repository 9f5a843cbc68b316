"""The report in the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from digitcmp import session
from digitcmp.counting import counted
from digitcmp.inert import line
from digitcmp.report.build import Report, make_report
from digitcmp.report.effects import effect_columns
from digitcmp.report.factorial import Effects, off_zero
from digitcmp.report.metrics import Metric, with_unit
from digitcmp.report.origins import commands
from digitcmp.report.tables import Column, comparison_columns, show, table_columns
from digitcmp.report.verdicts import verdict_columns, verdict_heading
from digitcmp.terminal import Name, Terminal, say, tell

# columns by their keys, in the reader's order, and those of them that may be left out where the terminal is narrow, the first one first
TABLE = ["label", "mean", "low", "first_loss", "last_loss", "median", "lost", "mean_with_failed", "rounds", "saturated", "seconds"]
TABLE += ["parameters"]
TABLE_SPARE = ["parameters", "saturated", "seconds", "rounds", "low", "mean_with_failed"]
COMPARISONS = ["label", "difference", "difference_low", "p_holm", "better", "won", "mean", "pairs", "only_here"]
COMPARISONS_SPARE = ["only_here", "pairs", "won", "mean", "better"]
EFFECTS = ["label", "levels", "interquartile", "mean", "mean_low"]
EFFECTS_SPARE = ["mean_low", "mean"]
VERDICTS_SPARE = ["baseline_lost", "lost", "value"]
LABEL = 24  # characters of a row's name that are worth more than another column
MOST_COMMANDS = 5


def print_report(report: Report, console: Console | None = None) -> None:
    """Print what fits a terminal: the table, comparisons, effects, verdicts, warnings, also of files, what was typed, and where the rest
    is."""
    where, results = console or Terminal(), report.study
    gone = dict[str, list[str]]()
    gone["table.md"] = print_table(results.table, chosen(table_columns(results.metric), TABLE), TABLE_SPARE, where)
    if len(results.comparisons):
        where.print(Text.assemble("\ncompared with ", (line(results.baseline), "bold"), ", paired by seed"))
        columns = chosen(comparison_columns(results.metric), COMPARISONS)
        gone["comparisons.md"] = print_table(results.comparisons, columns, COMPARISONS_SPARE, where)
    if results.effects is not None:
        gone["effects.md"] = print_effects(results.effects, results.metric, where)
    if len(results.verdicts):
        where.print("\n" + line(verdict_heading(results.verdicts)), markup=False, highlight=False)
        gone["verdicts.md"] = print_table(results.verdicts, verdict_columns(results.verdicts), VERDICTS_SPARE, where)
    where.print()
    print_warnings([*results.warnings, *report.wide], where)
    typed = commands(results.sweep.runs)
    for folder, command in typed[:MOST_COMMANDS]:
        say(where, command, "command ")
        if len(typed) > 1:
            say(where, folder, "     in ")
    if len(typed) > MOST_COMMANDS:
        say(where, f"and {len(typed) - MOST_COMMANDS} more", "        ")
    print_gone(gone, where)
    say(where, str(report.path), "report  ")


def print_warnings(warnings: Sequence[str], console: Console) -> None:
    """A line each, however long."""
    for text in warnings:
        tell(console, text, "warning: ")


def print_effects(effects: Effects, metric: Metric, console: Console) -> list[str]:
    """Print what each factor buys, which interactions there certainly are, and where the others are; returns the titles of the columns
    that had no room."""
    together, unit = effects.together, with_unit("effects", metric.difference_unit)
    kept = together[(together["order"] == 1) | off_zero(together)]
    console.print(Text(f"\n{unit}, paired by seed; a column's {len(together)} intervals hold together at 95 %"))
    gone = print_table(kept, chosen(effect_columns(metric), EFFECTS), EFFECTS_SPARE, console)
    others = [f"{counted(rest, 'interaction')} that may be zero: effects.md"] if (rest := len(together) - len(kept)) else []
    tell(console, "; ".join([*others, "in each setting: effects_apart.csv"]))
    return gone


def print_gone(titles: Mapping[str, Sequence[str]], console: Console) -> None:
    """Say how many columns had no room, if any, and where they are. titles: theirs, by the file."""
    if count := len({title for some in titles.values() for title in some}):
        files = ", ".join(name for name, some in titles.items() if some)
        tell(console, f"{counted(count, 'column')} with no room here: {files}", "more    ", "dim")


def chosen(columns: Sequence[Column], keys: Sequence[str]) -> list[Column]:
    """The columns of these keys, in this order."""
    by_key = {column.key: column for column in columns if column.title}
    return [by_key[key] for key in keys if key in by_key]


def print_table(frame: pd.DataFrame, columns: list[Column], expendable: list[str], console: Console) -> list[str]:
    """Print a frame as a table. Where it is too wide, columns are left out, the first of `expendable` (keys) first; returns their titles.
    Where the others are too wide, every row becomes a block of lines."""
    there = show(frame, columns).columns
    columns = [column for column in columns if column.title in there]  # those in which a row has a value
    kept, waiting, unlimited = columns, list(expendable), console.options.update(max_width=10_000)

    def too_wide() -> bool:
        return console.measure(rich_table(frame, kept), options=unlimited).minimum > console.width

    while too_wide() and waiting:
        key = waiting.pop(0)
        kept = [column for column in kept if column.key != key]
    if too_wide():
        print_blocks(frame, kept, console)
    else:
        console.print(rich_table(frame, kept))
    return [column.title for key in expendable for column in columns if column.key == key and column not in kept]


def print_blocks(frame: pd.DataFrame, columns: Sequence[Column], console: Console) -> None:
    """The rows of a frame below each other, a line a column, which the terminal may break."""
    shown = show(frame, columns)
    for label, *cells in shown.to_numpy().tolist():
        console.print(Name(label, "bold"))
        for title, cell in zip(shown.columns[1:], cells, strict=True):
            if cell:
                console.print(Text.assemble("  ", (f"{title} ", "dim"), line(cell), overflow="fold"))


def rich_table(frame: pd.DataFrame, columns: list[Column]) -> Table:
    """A frame as rich draws it."""
    shown = show(frame, columns)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    cells = [[line(cell) for cell in row] for row in shown.to_numpy().tolist()]
    for index, title in enumerate(shown.columns):
        heading = "\n".join(title.rsplit(" ", 1)) if index else title  # so that numbers, not headings, make the width
        longest = max(map(len, [*heading.split("\n"), *(row[index] for row in cells)]))
        least = longest if index else min(longest, LABEL)
        table.add_column(Text(heading), justify="right" if index else "left", overflow="fold", no_wrap=bool(index), min_width=least)
    for row in cells:
        table.add_row(Name(row[0]), *map(Text, row[1:]))
    return table


def report_on(directory: Path) -> None:
    """Write the report of a sweep; print it for who has typed the command."""
    report = make_report([directory])
    if session.from_shell():
        print_report(report)
