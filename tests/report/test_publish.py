"""What is published of a report: the same tables, figures and rounds, no path of a machine, nothing twice."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.figure import Figure

import digitcmp
from digitcmp.experiment.about import read_about
from digitcmp.experiment.claims import Claims
from digitcmp.report import cli as command
from digitcmp.report import publish as publication
from digitcmp.report import statistics
from digitcmp.report.build import make_report
from digitcmp.report.publish import without_paths
from digitcmp.report.study import Study
from tests.conftest import Ended
from tests.experiment.made import change_records
from tests.report.made import configuration, write_run

Publish = Callable[..., Ended]


NODE = "node7.of.a.cluster"


@pytest.fixture
def publish(run_main: Callable[..., Ended]) -> Publish:
    """Run `python -m digitcmp.report` in this process."""
    return partial(run_main, command.main)


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Two configurations with five rounds each, one of which failed, and told of a path."""
    accuracies = {seed: 0.9 + seed / 1000 for seed in range(5)}
    secret = f"python -m digitcmp hydra.sweep.dir={tmp_path}/sweep data.root=~/mnist +sweeps=a/b"
    write_run(tmp_path / "sweep" / "a", accuracies, right=[90] * 10, command=secret, hosts=[NODE], slurm=[{"job": "7", "node": NODE}])
    write_run(tmp_path / "sweep" / "b", {**accuracies, 3: None}, configuration(aux_weight=1.0), right=[91] * 10)
    broken = f"OSError: {tmp_path}/x cannot be read"
    change_records(tmp_path / "sweep" / "b", lambda one: replace(one, row=replace(one.row, error=one.row.error and broken)))
    return tmp_path / "sweep"


def files(folder: Path) -> dict[str, bytes]:
    """All files of a folder by their relative paths."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_published_is_what_the_report_says(publish: Publish, sweep: Path, tmp_path: Path) -> None:
    """Tables and figures byte by byte; rounds and epochs as pandas frames; the report of the published folder has the same table."""
    ended = publish(sweep, "--publish", tmp_path / "published")
    assert (ended.code, ended.err) == (0, "")
    report = files(make_report([sweep], out=tmp_path / "report").path.parent)
    found = files(tmp_path / "published")
    shown = {name: data for name, data in report.items() if not name.endswith((".svg", ".pdf", ".html"))}
    assert {name: data for name, data in found.items() if not name.startswith("runs/")} == shown
    runs = {name for name in found if name.startswith("runs/")}
    assert runs == {f"runs/{run}/{name}" for run in "ab" for name in ("run.json", "rounds.csv", "epochs.csv.gz", "distances.csv")}
    for load in (digitcmp.load_rounds, digitcmp.load_epochs):
        one, other = (load(folder).drop(columns=["run", "error"], errors="ignore") for folder in (sweep, tmp_path / "published"))
        pd.testing.assert_frame_equal(one, other)
    make_report([tmp_path / "published"], out=tmp_path / "again")
    assert (tmp_path / "again" / "table.csv").read_bytes() == report["table.csv"]
    assert read_about(tmp_path / "published" / "runs" / "a")["configuration"] == read_about(sweep / "a")["configuration"]


def test_rounds_that_come_meanwhile(publish: Publish, sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Are not published, nor are runs, nor the rounds that are trained again after a failure: tables and rounds are of one time."""
    drawn = publication.drawings

    def late(results: Study) -> dict[str, Callable[[], Figure]]:
        change_records(sweep / "b", lambda one: replace(one, row=replace(one.row, status="done", test_accuracy=0.5, error="")))
        write_run(sweep / "a", {seed: 0.9 + seed / 1000 for seed in range(7)}, right=[90] * 10)
        write_run(sweep / "c", {0: 0.1}, configuration(aux_weight=0.5))
        return drawn(results)

    before = digitcmp.load_rounds(sweep)
    monkeypatch.setattr(publication, "drawings", late)
    assert publish(sweep, "--publish", tmp_path / "published").code == 0
    assert len(digitcmp.load_rounds(sweep)) == 13
    one, other = (frame.drop(columns=["run", "error"]) for frame in (before, digitcmp.load_rounds(tmp_path / "published")))
    pd.testing.assert_frame_equal(one, other)
    make_report([tmp_path / "published"], out=tmp_path / "again")
    assert (tmp_path / "again" / "table.csv").read_bytes() == (tmp_path / "published" / "table.csv").read_bytes()


def test_rounds_that_come_while_it_reads(publish: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor are they in tables alone: where each configuration has one round, its losses are of that one, too."""
    write_run(tmp_path / "sweep" / "a", {0: 0.9})
    write_run(tmp_path / "sweep" / "b", {0: 0.8}, configuration(aux_weight=1.0))
    assert publish(tmp_path / "sweep", "--publish", tmp_path / "before").code == 0
    summarise = statistics.summarise

    def late(*given: Any) -> pd.DataFrame:
        write_run(tmp_path / "sweep" / "a", {0: 0.9, 1: None})
        change_records(tmp_path / "sweep" / "b", lambda one: replace(one, epochs=[replace(row, train_loss=9.0) for row in one.epochs]))
        return summarise(*given)

    monkeypatch.setattr(statistics, "summarise", late)
    assert publish(tmp_path / "sweep", "--publish", tmp_path / "published").code == 0
    assert files(tmp_path / "published") == files(tmp_path / "before")


def test_runs_that_are_being_trained(publish: Publish, sweep: Path, tmp_path: Path) -> None:
    """Are refused, in a line that names them, and nothing is written."""
    claims = Claims(sweep / "b")
    assert claims.take(7)
    ended = publish(sweep, "--publish", tmp_path / "published")
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert f"a process is training rounds of {sweep / 'b'}; publish them when it has ended" in ended.err
    assert not (tmp_path / "published").exists()
    claims.release(7)
    assert publish(sweep, "--publish", tmp_path / "published").code == 0


def test_no_path_of_the_machine_is_published(publish: Publish, sweep: Path, tmp_path: Path) -> None:
    """Neither in commands nor in errors nor in warnings, and no name of a machine; and again the same bytes."""
    assert publish(sweep, "--publish", tmp_path / "published").code == 0
    found = files(tmp_path / "published")
    assert not [name for name, data in found.items() if str(tmp_path).encode() in data or NODE.encode() in data]
    about = json.loads(found["runs/a/run.json"])
    assert about["command"] == "python -m digitcmp hydra.sweep.dir=PATH data.root=PATH +sweeps=a/b"
    assert b"OSError: PATH cannot be read" in found["runs/b/rounds.csv"]
    assert publish(sweep, "--publish", tmp_path / "published").code == 0
    assert files(tmp_path / "published") == found


@pytest.mark.parametrize(
    ("text", "published"),
    [
        ("hydra/launcher=basic 'seed=range(3)'", "hydra/launcher=basic 'seed=range(3)'"),
        ("--config-dir '/home/me/my conf'", "--config-dir 'PATH conf'"),
        ("../conf outputs/x ./y a / b 1/2", "../conf outputs/x ./y a / b 1/2"),
        ("x=~/data,/tmp/y: gone", "x=PATH,PATH: gone"),
    ],
)
def test_which_texts_are_paths(text: str, published: str) -> None:
    """From the root or the home folder; relative ones say nothing about a machine."""
    assert without_paths(text) == published


def test_a_run_is_no_target(publish: Publish, sweep: Path, tmp_path: Path) -> None:
    """Its own figures would be others, and its folder a run's and a published result's at once."""
    write_run(tmp_path / "run", {0: 0.8})
    before = files(tmp_path / "run")
    ended = publish(sweep, "--publish", tmp_path / "run")
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert "run: this is the folder of a run; choose another folder" in ended.err
    assert files(tmp_path / "run") == before


@pytest.mark.parametrize("listed", [False, True])
def test_a_report_goes_nowhere_among_runs(publish: Publish, sweep: Path, tmp_path: Path, listed: bool) -> None:
    """With --out, a list as well as a comparison, as with --publish: where files of the same names are of runs, or would be taken for
    theirs. The summary of any folder is none of that, nor is a folder beside runs."""
    other = write_run(tmp_path / "other" / "run", {0: 0.8})
    (tmp_path / "other" / "multirun.yaml").touch()
    given = [sweep]
    if listed:
        write_run(tmp_path / "list" / "c", {0: 0.9}, configuration(aux_weight=0.25), jobs=[])
        write_run(tmp_path / "list" / "d", {0: 0.9}, jobs=[])
        given = [tmp_path / "list"]
    before = files(tmp_path)
    told = {
        other: "this is the folder of a run",
        other / "figures": f"this lies in the folder of a run ({other})",
        other.parent: "this is the folder of a sweep",
        given[0]: f"the runs themselves are there ({given[0]})",
    }
    for target, why in told.items():
        ended = publish(*given, "--out", target)
        assert (ended.code, ended.err) == (1, f"digitcmp: --out {target}: {why}; choose another folder\n")
    assert files(tmp_path) == before
    for target in (given[0] / "summary", given[0] / "summary" / "mine", other / "summary", tmp_path / "new", given[0] / "mine"):
        assert publish(*given, "--out", target).code == 0
        assert (target / ("runs.csv" if listed else "report.html")).is_file()


def test_a_target_that_is_in_use_is_refused(publish: Publish, sweep: Path, tmp_path: Path) -> None:
    """In the runs' own folder, around it, or with other runs in it: nothing is written."""
    before = files(sweep)
    for target in (sweep / "published", sweep, tmp_path):
        ended = publish(sweep, "--publish", target)
        assert (ended.code, ended.err.count("\n")) == (1, 1)
        assert "the runs themselves are there" in ended.err
    assert files(sweep) == before
    write_run(tmp_path / "published" / "runs" / "c", {0: 0.9})
    kept = files(tmp_path / "published")
    ended = publish(sweep, "--publish", tmp_path / "published")
    assert "its runs/ holds other runs (c); remove them" in ended.err
    assert files(tmp_path / "published") == kept
