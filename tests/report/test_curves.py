"""The curves of a sweep's runs, which its report draws."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from digitcmp.errors import RunError
from digitcmp.report import build
from digitcmp.report import cli as command
from digitcmp.report.build import make_report
from tests.experiment.made import logs_of
from tests.report.made import configuration, write_run

SEEDS: dict[int, float | None] = {0: 0.8, 1: 0.9}


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """Three runs without curves."""
    return [write_run(tmp_path / f"run{index}", SEEDS, configuration(model__name=f"net{index}")) for index in range(3)]


def drawn(runs: list[Path]) -> list[bool]:
    """Which runs have their curves."""
    return [(run / "curves.png").exists() for run in runs]


def test_missing_and_outdated_curves_are_drawn(runs: list[Path], tmp_path: Path) -> None:
    """What is there and up to date stays as it is."""
    make_report([tmp_path])
    assert drawn(runs) == [True] * 3
    for run in runs[:2]:
        (run / "curves.png").write_bytes(b"old")
    os.utime(logs_of(runs[1])[0], (4e9, 4e9))
    make_report([tmp_path])
    assert [(run / "curves.png").read_bytes() == b"old" for run in runs] == [True, False, False]


def test_many_runs_only_when_asked_for(runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a hundred (here: two) wait for --curves."""
    monkeypatch.setattr(build, "MOST_CURVES", 2)
    make_report([tmp_path])
    assert drawn(runs) == [False] * 3
    monkeypatch.setattr(sys, "argv", ["digitcmp.report", str(tmp_path), "--curves"])
    command.main()
    assert drawn(runs) == [True] * 3


def test_runs_that_cannot_be_drawn(runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Damaged records are named by the report, which goes on; so it does where runs may only be read."""
    logs_of(runs[0])[0].write_text("seed,epoch\nzero,1\n")
    logs_of(runs[1])[0].unlink()
    report = make_report([tmp_path])
    assert drawn(runs) == [False, False, True]
    assert [line for line in report.study.warnings if "run0" in line and "its round is left out" in line]
    (runs[2] / "curves.png").unlink()
    monkeypatch.setattr(os, "access", lambda *_: False)
    make_report([tmp_path])
    assert drawn(runs) == [False] * 3


def test_a_figure_that_cannot_be_written_is_an_error(runs: list[Path], tmp_path: Path) -> None:
    """It is named; the report itself is there by then."""
    (runs[1] / "curves.png").mkdir()
    os.utime(runs[1] / "curves.png", (0, 0))
    with pytest.raises(RunError, match=r"cannot write .*run1/curves\.png: Is a directory; what was written before is kept"):
        make_report([tmp_path])
    assert (tmp_path / "summary" / "report.html").exists()
    shutil.rmtree(runs[1] / "curves.png")
    make_report([tmp_path])
    assert drawn(runs) == [True] * 3
