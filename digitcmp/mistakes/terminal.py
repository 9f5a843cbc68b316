"""What was found, in the terminal."""

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from digitcmp.mistakes.findings import Confusion, Findings
from digitcmp.mistakes.words import kinds, wrong
from digitcmp.terminal import Terminal

MOST = 10  # so many confusions are shown


def print_findings(findings: Findings, paths: list[Path], console: Console | None = None) -> None:
    """Print how many mistakes there are and of which kind, the accuracy beside the recorded one, the confusions, and the files."""
    where = console or Terminal()
    lines = {"mistakes": wrong(findings), "kinds": kinds(findings), "accuracy": accuracy(findings)}
    if findings.digit_accuracy is not None:
        lines["digits"] = f"{100 * findings.digit_accuracy:.2f} % of all digits are read rightly"
    for name, line in lines.items():
        if line:
            where.print(f"[dim]{name:8}[/dim]  {escape(line)}", soft_wrap=True, highlight=False)
    if confusions := findings.confusions():
        where.print()
        where.print(table(confusions[:MOST]))
        if len(confusions) > MOST:
            where.print(f"[dim]and {len(confusions) - MOST} more[/dim]", highlight=False)
        where.print()
    for path in paths:
        where.print(f"[dim]written [/dim]  {escape(str(path))}", soft_wrap=True, highlight=False)


def accuracy(findings: Findings) -> str:
    """The accuracy as it comes out now, and whether the same is on record: another device may see a pair or two otherwise."""
    differing = sum(abs(one.accuracy - one.recorded) > 0.5 / one.pairs for one in findings.rounds)
    now = f"{100 * findings.accuracy:.2f} %"
    if differing == 0:
        return f"{now}, as on record"
    return f"{now}; on record are {100 * findings.recorded:.2f} % ({differing} of {len(findings.rounds)} rounds differ by a pair or two)"


def table(confusions: list[Confusion]) -> Table:
    """Which digits are taken for which."""
    drawn = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("true", "read as", "in wrong pairs", "in all pairs"):
        drawn.add_column(title, justify="right")
    for each in confusions:
        drawn.add_row(str(each.true), str(each.read), f"{each.in_mistakes:,}", f"{each.in_all:,}")
    return drawn
