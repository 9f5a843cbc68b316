"""The files of a report on a ladder, and what the terminal shows of it."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from digitcmp.files import write_whole
from digitcmp.report.ablation.figure import ladder_figure
from digitcmp.report.ablation.rungs import Ladder, ladder
from digitcmp.report.build import document
from digitcmp.report.figures import render
from digitcmp.report.tables import NONE, TABLE, TABLE_CSV, Column, number, p_value, percent, show, span, to_csv, to_markdown
from digitcmp.report.terminal import print_table
from digitcmp.terminal import Terminal

NOTES = [
    "Accuracy is that of the last epoch on the test pairs; ± is the standard deviation of the sample over rounds.",
    "Gains are paired by seed: with the rung before, or, for what was tried from a rung, with that rung.",
    "Intervals of 95 % are Student's t intervals of a mean over rounds, or of a mean of paired differences.",
    "A gain's interval lies above zero, a loss's below; where zero is in it, neither is shown. Intervals are not corrected for the "
    "number of comparisons; p is: two-sided Wilcoxon signed-rank test, corrected after Holm over all rows of both tables.",
]
MEASURED = ["parameters", "rounds", "failed", "test accuracy [%]", "95 % interval", "median", "untrained", "digits [%]", "s a round"]
LEFT_OUT = {"label", "configuration_hash", "normalised_time"}  # of the columns of table.csv
CSV_NAMES = {
    "predecessor": ("predecessor", 1),
    "pairs": ("pairs", 1),
    "gain": ("gain_points", 100),
    "gain_low": ("gain_low_points", 100),
    "gain_high": ("gain_high_points", 100),
    "p": ("p_wilcoxon", 1),
    "p_holm": ("p_holm", 1),
    "verdict": ("verdict", 1),
    "configuration_hash": ("configuration_hash", 1),
}


def write_ladder(folder: Path, out: Path | None = None) -> tuple[Ladder, Path]:
    """Write ladder.csv, ladder.md, ladder.png and ladder.svg. Returns the results and where they are.

    out: summary/ in the folder by default. Raises RunError as `digitcmp.report.ablation.rungs.ladder`, and when nothing can be written.
    """
    results, target = ladder(folder), out if out is not None else folder / "summary"
    own = {name: (name, 1) for name in ("rung", "title")}
    measured = {name: told for name, told in TABLE_CSV.items() if name not in LEFT_OUT}
    write_whole(target / "ladder.csv", to_csv(results.table, {**own, **measured, **CSV_NAMES}))
    write_whole(target / "ladder.md", markdown(results))
    figure = ladder_figure(results.table, results.rounds)
    for kind in ("png", "svg"):
        write_whole(target / f"ladder.{kind}", render(figure, kind))
    return results, target


def columns(branch: bool) -> list[Column]:
    """The columns of a shown table: what was measured, then the gain. branch: whether each row says what it is compared with."""
    front = [Column("rung", lambda row: str(row["label"]))]
    front += [Column("tried from", lambda row: str(row["predecessor"]))] if branch else []
    return [
        *front,
        *(column for column in TABLE if column.title in MEASURED),
        Column("pairs", lambda row: number(row["pairs"], ".0f")),
        Column("gain [points]", gain),
        Column("p (Holm)", lambda row: p_value(row["p_holm"])),
        Column("verdict", lambda row: row["verdict"] or NONE),
    ]


def gain(row: dict[str, Any]) -> str:
    """+1.46 (+1.21 to +1.70): a gain with its interval, in points; the gain alone where there is none."""
    within = span(row["gain_low"], row["gain_high"], "+.2f")
    return percent(row["gain"], "+.2f") + ("" if row["verdict"] == "" else f" ({within})")


def markdown(results: Ladder) -> str:
    """Both tables, with their warnings in front and the methods behind."""
    steps, branches = results.table[~results.table["branch"]], results.table[results.table["branch"]]
    body = f"## The ladder\n\n{to_markdown(show(steps, columns(False)))}"
    if len(branches):
        body += f"\n## What was tried from a rung\n\n{to_markdown(show(branches, columns(True)))}"
    return document(body, [f"**Warning:** {line}" for line in results.warnings], NOTES)


SHORT = ["rung", "tried from", "rounds", "failed", "test accuracy [%]", "digits [%]", "gain [points]", "p (Holm)", "verdict"]
EXPENDABLE = ["rounds", "p (Holm)", "digits [%]", "verdict"]  # left out first where the terminal is narrow


def print_ladder(results: Ladder, where: Path, console: Console | None = None) -> None:
    """Print what fits a terminal: both tables, the warnings, and where the rest is."""
    terminal = console or Terminal()
    for branch, part in results.table.groupby("branch"):
        terminal.print("\ntried from a rung" if branch else "the ladder", style="bold", highlight=False)
        print_table(part, [column for column in columns(bool(branch)) if column.title in SHORT], EXPENDABLE, terminal)
    for line in results.warnings:
        terminal.print(f"[yellow]warning:[/yellow] {escape(line)}", soft_wrap=True, highlight=False)
    terminal.print(f"[dim]ladder[/dim]  {escape(str(where / 'ladder.md'))}", soft_wrap=True, highlight=False)
