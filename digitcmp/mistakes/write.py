"""The files of what was found."""

import csv
import io
from dataclasses import astuple, fields
from pathlib import Path

from digitcmp.files import write_whole
from digitcmp.mistakes.figure import figure
from digitcmp.mistakes.findings import Findings, Mistake, MistakeRow
from digitcmp.report.figures import render
from digitcmp.train.results import cell

PICTURES = ("png", "svg")


def write(findings: Findings, folder: Path) -> list[Path]:
    """Write mistakes.csv, mistakes.png and mistakes.svg; returns their paths. Raises RunError when they cannot be written.

    Without mistakes there is no figure, and an earlier one is removed: it would show what is not in the table.
    """
    table = write_whole(folder / "mistakes.csv", to_csv(findings.mistakes))
    paths = [folder / f"mistakes.{kind}" for kind in PICTURES]
    if not findings.mistakes:
        for path in paths:
            path.unlink(missing_ok=True)
        return [table]
    drawn = figure(findings)
    return [table, *(write_whole(path, render(drawn, kind)) for path, kind in zip(paths, PICTURES, strict=True))]


def to_csv(mistakes: list[Mistake]) -> str:
    """A row per mistake, below a header. Numbers have 8 significant digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(MistakeRow)])
    writer.writerows([[cell(value) for value in astuple(mistake.row)] for mistake in mistakes])
    return text.getvalue()
