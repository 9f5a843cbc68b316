"""The files of what was found."""

from dataclasses import astuple
from pathlib import Path

from digitcmp.experiment.views import to_csv
from digitcmp.files import write_whole
from digitcmp.mistakes.figure import figure
from digitcmp.mistakes.findings import Findings, MistakeRow
from digitcmp.report.figures import render

PICTURES = ("png", "svg")


def write(findings: Findings, folder: Path) -> list[Path]:
    """Write mistakes.csv, mistakes.png and mistakes.svg; returns their paths. Raises RunError when they cannot be written.

    Without mistakes there is no figure, and an earlier one is removed: it would show what is not in the table.
    """
    table = write_whole(folder / "mistakes.csv", to_csv(MistakeRow, (astuple(mistake.row) for mistake in findings.mistakes)))
    paths = [folder / f"mistakes.{kind}" for kind in PICTURES]
    if not findings.mistakes:
        for path in paths:
            path.unlink(missing_ok=True)
        return [table]
    drawn = figure(findings)
    return [table, *(write_whole(path, render(drawn, kind)) for path, kind in zip(paths, PICTURES, strict=True))]
