"""The curves of a sweep's runs, which its report draws."""

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from digitcmp.errors import RunError
from digitcmp.experiment.about import read_about
from digitcmp.experiment.store import Store
from digitcmp.report import build, curves
from digitcmp.report import cli as command
from digitcmp.report.build import make_report
from digitcmp.report.curves import MADE_OF, CurveAxes, CurveSheet, fingerprint, shown
from digitcmp.train.results import RoundResult
from tests.experiment.made import EPOCH, ROUND, logs_of
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
    """What is there and shows what is on record stays as it is, whatever the times of the files are."""
    make_report([tmp_path])
    assert drawn(runs) == [True] * 3
    Store(runs[1], read_about(runs[1])["configuration"]).add(RoundResult(replace(ROUND, seed=7), [replace(EPOCH, seed=7)], []))
    (runs[2] / "curves.png").write_bytes(b"another picture")
    for run, times in zip(runs, [(0, 0), (4e9, 4e9), (4e9, 4e9)], strict=True):
        os.utime(run / "curves.png", times)
    before = [(run / "curves.png").stat().st_ino for run in runs]
    make_report([tmp_path])
    assert [(run / "curves.png").stat().st_ino == one for run, one in zip(runs, before, strict=True)] == [True, False, False]
    assert [shown(run / "curves.png") for run in runs] == [fingerprint(run) for run in runs]
    assert len({fingerprint(run) for run in runs}) == 3
    shutil.copytree(tmp_path, tmp_path / "copy", copy_function=shutil.copyfile)
    assert [shown(tmp_path / "copy" / run.name / "curves.png") for run in runs] == [fingerprint(run) for run in runs]


@pytest.mark.parametrize("check", [b"\x8f\x00\x01\x02", b"0a1b", b"ffff"])
def test_what_a_picture_was_made_of_ends_where_it_ends(tmp_path: Path, check: bytes) -> None:
    """Whatever the check sum behind it looks like: one in sixteen begins as if it went on."""
    made_of = "0123456789abcdef" * 2
    (tmp_path / "curves.png").write_bytes(b"\x89PNG" + b"tEXt" + MADE_OF.encode() + b"\0" + made_of.encode() + check)
    assert shown(tmp_path / "curves.png") == made_of


@pytest.mark.parametrize(
    ("lowest", "ends", "told"), [(0.7, 0.5, "seed 0"), (0.5, 0.4, "seed 0"), (0.97, 0.9, "seed 0; chance 55.0 %, off the axis")]
)
def test_the_chance_level_is_drawn_where_it_is_near(lowest: float, ends: float, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it is told."""
    rows = [{"epoch": epoch, "figure": name, "mean": lowest, "std": np.nan} for epoch in (1, 2) for name in ("test_accuracy", "train_loss")]
    axes = CurveAxes.around(pd.DataFrame(rows), 0.55)
    assert (axes.names, axes.accuracy) == (("test_accuracy", "train_loss"), ends)
    sheet, drawn, said = CurveSheet(axes), list[float](), list[str]()
    monkeypatch.setattr(curves, "chance_line", lambda _, level: drawn.append(level) or [])
    monkeypatch.setattr(curves.inert, "figure", lambda text: said.append(text) or text)
    assert sheet.picture(pd.DataFrame(rows), "net1 on digits", "seed 0", 0.55).startswith(b"\x89PNG")
    assert (said, drawn) == (["net1 on digits", told], [0.55] * (told == "seed 0"))


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
    with pytest.raises(RunError, match=r"cannot write .*run1/curves\.png: Is a directory; what was written before is kept"):
        make_report([tmp_path])
    assert (tmp_path / "summary" / "report.html").exists()
    shutil.rmtree(runs[1] / "curves.png")
    make_report([tmp_path])
    assert drawn(runs) == [True] * 3
