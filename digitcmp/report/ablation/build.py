"""The files of a report on a ladder, and what the terminal shows of it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from digitcmp.files import remove_leftovers, write_whole
from digitcmp.report.ablation.figure import ladder_figure
from digitcmp.report.ablation.rungs import Ladder, read_ladder
from digitcmp.report.build import document
from digitcmp.report.cautions import with_best_weights
from digitcmp.report.methods import about_differences, about_pool, about_table
from digitcmp.report.metrics import NONE, TEST_ACCURACY
from digitcmp.report.places import SUMMARY, check_report_folder
from digitcmp.report.rendering import files
from digitcmp.report.tables import Column, number, p_value, percent, show, table_columns, to_csv, to_markdown
from digitcmp.report.terminal import print_gone, print_table, print_warnings
from digitcmp.terminal import Terminal, say

GAINS = "Gains are paired by seed: with the rung before, or, for what was tried from a rung, with that rung."
TOGETHER = (
    "The intervals of the gains are simultaneous: all of them hold with 95 % (Bonferroni: each has a level of 1 - 0.05 / their number); "
    "each of the others holds with 95 % by itself. A gain's interval lies above zero, a loss's below; where zero is in it, neither is "
    "shown. p is corrected over both tables."
)
LEFT_OUT = {"label", "configuration_hash", "normalised_time"}  # of the columns of a report's table


def write_ladder(folder: Path, out: Path | None = None) -> tuple[Ladder, Path]:
    """Write ladder.csv, .md, .pdf, .png and .svg, by default to summary/ in the folder; returns the results and where they are.

    Raises RunError as `read_ladder` does, for an `out` among the runs, and when nothing can be written.
    """
    if out is not None:
        check_report_folder("--out", out, [folder], summaries=True)
    results, target = read_ladder(folder), out or folder / SUMMARY
    remove_leftovers(target)
    write_whole(target / "ladder.csv", to_csv(results.table, columns(False)))
    steps, branches = results.table[~results.table["branch"]], results.table[results.table["branch"]]
    body = f"# The ladder\n\n{to_markdown(show(steps, columns(False)))}"
    if len(branches):
        body += f"\n## What was tried from a rung\n\n{to_markdown(show(branches, columns(True)))}"
    known = results.configurations
    notes = [GAINS, *about_table(best_weights=bool(with_best_weights(known))), *about_differences(), about_pool(known), TOGETHER]
    write_whole(target / "ladder.md", document(body, results.warnings, notes))
    figure = ladder_figure(results.table, results.rounds)
    for kind, content in files(figure).items():
        write_whole(target / f"ladder.{kind}", content)
    return results, target


def columns(branch: bool) -> list[Column]:
    """The columns of a table: how good a rung is, what it gains, and the rest. branch: whether each row says to people what it is
    compared with."""
    measured = [replace(one, title="") if one.key in {"min", "lost_share"} else one for one in table_columns() if one.key not in LEFT_OUT]
    first = [one for one in measured if one.key in FIRST]
    return [
        *(Column("rung", "rung"), Column("title", "title"), Column("label", title="rung")),
        *([Column("predecessor", title="tried from")] if branch else []),
        *first,
        Column("predecessor", "predecessor"),
        Column("gain", "gain_points", "gain [points]", lambda row: in_points(row, "gain"), 100),
        *(Column(key, f"{key}_points", scale=100) for key in ("gain_low", "gain_high")),
        Column("verdict", "verdict", "verdict", lambda row: row["verdict"] or NONE),
        Column("p", "p_signed_rank"),
        Column("p_holm", "p_holm", "p (Holm)", lambda row: p_value(row["p_holm"])),
        Column("better", "better_percent", "better [%]", lambda row: percent(row["better"], ".1f"), 100),
        Column("mean_gain", "mean_gain_points", "mean gain", lambda row: in_points(row, "mean_gain"), 100),
        *(Column(key, f"{key}_points", scale=100) for key in ("mean_gain_low", "mean_gain_high")),
        Column("pairs", "pairs", "pairs", lambda row: number(row["pairs"], ".0f")),
        *(one for one in measured if one not in first),
        Column("configuration_hash", "configuration_hash"),
    ]


FIRST = {"mean", "std", "median", "median_low", "median_high", "lost"}  # what is said of a rung before its gain


def in_points(row: dict[str, Any], key: str) -> str:
    """+1.46 (+1.21 to +1.70): a gain with its interval, in points; the gain alone where there is none."""
    return TEST_ACCURACY.estimate(row, (key, f"{key}_low", f"{key}_high"), "+")


SHORT = {"label", "predecessor", "mean", "median", "lost", "digit_accuracy", "gain", "p_holm", "verdict"}
EXPENDABLE = ["lost", "p_holm", "digit_accuracy", "median", "mean", "verdict"]  # left out first where the terminal is narrow


def print_ladder(results: Ladder, where: Path, console: Console | None = None) -> None:
    """Print what fits a terminal: both tables, the warnings, and where the rest is."""
    terminal = console or Terminal()
    gone = list[str]()
    for branch, part in results.table.groupby("branch"):
        terminal.print("\ntried from a rung" if branch else "the ladder", style="bold", highlight=False)
        gone += print_table(part, [column for column in columns(bool(branch)) if column.key in SHORT], EXPENDABLE, terminal)
    terminal.print()
    print_warnings(results.warnings, terminal)
    print_gone({"ladder.md": gone}, terminal)
    say(terminal, str(where / "ladder.md"), "ladder  ")
