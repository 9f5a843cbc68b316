"""What was found, as files and in the terminal."""

from dataclasses import astuple
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from digitcmp.counting import counted
from digitcmp.experiment.views import to_csv
from digitcmp.files import remove_leftovers, write_whole
from digitcmp.mistakes import confusion
from digitcmp.mistakes.figure import figure
from digitcmp.mistakes.findings import Findings, MistakeRow
from digitcmp.report.rendering import DATED, files
from digitcmp.terminal import Terminal, say

MOST = 10  # so many confusions are shown


def write(findings: Findings, folder: Path) -> list[Path]:
    """Write mistakes.csv, and mistakes and confusion as PDF, PNG and SVG; returns their paths. Raises RunError when they cannot be written.

    Without mistakes there is no figure of them, and an earlier one is removed: it would show what is not in the table.
    """
    remove_leftovers(folder)
    table = write_whole(folder / "mistakes.csv", to_csv(MistakeRow, (astuple(mistake.row) for mistake in findings.mistakes)))
    figures = {"mistakes": figure(findings)} if findings.mistakes else {}
    if not findings.mistakes:
        for kind in DATED:
            (folder / f"mistakes.{kind}").unlink(missing_ok=True)
    figures["confusion"] = confusion.figure(findings)
    return [table, *(write_whole(folder / f"{name}.{kind}", made) for name, one in figures.items() for kind, made in files(one).items())]


def print_findings(findings: Findings, paths: list[Path], console: Console | None = None) -> None:
    """Print how many mistakes there are and of which kind, the accuracy beside the recorded one, the confusions, and the files."""
    where = console or Terminal()
    lines = {"mistakes": findings.wrong_line(), "kinds": findings.kinds_line(), "accuracy": accuracy(findings)}
    if findings.digit_accuracy is not None:
        lines["digits"] = f"{100 * findings.digit_accuracy:.2f} % of all digits are read rightly"
    for name, line in lines.items():
        if line:
            say(where, line, f"{name:8}  ")
    for line in findings.damaged:
        say(where, line, "warning: ", "yellow")
    if confusions := findings.confusions():
        where.print()
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        for title in ("true", "read as", "in wrong pairs", "in all pairs"):
            table.add_column(title, justify="right")
        for each in confusions[:MOST]:
            table.add_row(str(each.true), str(each.read), f"{each.in_mistakes:,}", f"{each.in_all:,}")
        where.print(table)
        if len(confusions) > MOST:
            say(where, "", f"and {len(confusions) - MOST} more")
        where.print()
    for path in paths:
        say(where, str(path), "written   ")


def accuracy(findings: Findings) -> str:
    """The accuracy as it comes out now, and whether the same is on record: another device may see a pair or two otherwise."""
    differing = sum(abs(one.accuracy - one.recorded) > 0.5 / one.pairs for one in findings.rounds)
    now = f"{100 * findings.accuracy:.2f} %"
    if differing == 0:
        return f"{now}, as on record"
    recorded = np.mean([one.recorded for one in findings.rounds])
    return f"{now}; on record are {100 * recorded:.2f} % ({differing} of {counted(len(findings.rounds), 'round')} differ by a pair or two)"
