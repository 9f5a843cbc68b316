"""Every reason for doubt has its line, and a clean sweep has none."""

import shutil
from pathlib import Path

import pytest

from digitcmp.report.study import study
from tests.report.made import configuration, write_run

SEEDS = {seed: 0.8 + seed / 100 for seed in range(6)}


def warnings(folder: Path) -> list[str]:
    """The warnings of a report."""
    return study([folder]).warnings


def test_a_clean_sweep_has_none(tmp_path: Path) -> None:
    """Two configurations of six rounds, one of them in two runs."""
    write_run(tmp_path / "a", SEEDS)
    write_run(tmp_path / "b", dict.fromkeys(range(3), 0.8), configuration(model__name="net2"))
    write_run(tmp_path / "c", dict.fromkeys(range(3, 6), 0.9), configuration(model__name="net2"))
    assert warnings(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("digitcmp", "0.2.0"), ("torch", "2.7.0"), ("git_commit", "def"), ("git_commit", None), ("engine", "stacked"), ("device", "cuda")],
)
def test_mixtures_are_named(tmp_path: Path, name: str, value: str | None) -> None:
    """Other code, engine or device: within a configuration or between two, with the number of rounds of each."""
    write_run(tmp_path / "a", SEEDS)
    write_run(tmp_path / "b", SEEDS, configuration(model__name="net2"), **{name: value})
    (line,) = warnings(tmp_path)
    assert line.startswith(f"different {name} in one report: ")
    assert f"{value or 'unknown'} (6 rounds)" in line
    assert line.endswith("never within a configuration")
    write_run(tmp_path / "c", {7: 0.8}, **{name: value})
    (line,) = warnings(tmp_path)
    assert line.endswith("; pooled within net1")


def test_uncommitted_changes(tmp_path: Path) -> None:
    """Runs of a dirty checkout are counted."""
    write_run(tmp_path / "a", SEEDS, git_dirty=True)
    assert warnings(tmp_path) == ["1 of 1 runs were made with uncommitted changes in the code (git_dirty)"]


def test_runs_that_were_resumed_with_other_code(tmp_path: Path) -> None:
    """Their rounds come from two versions and can't be told apart."""
    write_run(tmp_path / "a", SEEDS, resumed=[{"git_commit": "abc", "until": "2026-11-22T10:00:00+00:00"}])
    assert warnings(tmp_path) == ["1 resumed with other code, or with another engine or device, than they began with: a"]


@pytest.mark.parametrize(("status", "word"), [("running", "still running (or killed)"), ("interrupted", "interrupted")])
def test_unfinished_runs(tmp_path: Path, status: str, word: str) -> None:
    """How far they are; a run that has just begun has no rounds."""
    write_run(tmp_path / "a", SEEDS, status=status, seeds=list(range(100)))
    write_run(tmp_path / "b", {}, status=status, seeds=[0, 1])
    (line,) = warnings(tmp_path)
    assert line == f"2 runs are {word}: a (6 of 100 rounds), b (0 of 2 rounds)"


def test_ended_runs_that_lack_rounds(tmp_path: Path) -> None:
    """A log that lost whole lines, or a run that lost its logs, can't be told by itself, but by the seeds of run.json."""
    write_run(tmp_path / "a", SEEDS, seeds=list(range(8)))
    assert warnings(tmp_path) == ["1 ended run lacks rounds: a (6 of 8 rounds)"]
    shutil.rmtree(write_run(tmp_path / "b", SEEDS) / "records")
    assert warnings(tmp_path) == ["2 ended runs lack rounds: a (6 of 8 rounds), b (0 of 6 rounds)"]


def test_failed_and_few_rounds(tmp_path: Path) -> None:
    """Failed rounds, configurations with one round, comparisons with too few pairs."""
    write_run(tmp_path / "a", SEEDS | {9: None}, status="failed")
    write_run(tmp_path / "b", {0: 0.8}, configuration(model__name="net2"))
    assert warnings(tmp_path) == [
        "failed rounds are left out: net1 (1)",
        "fewer than 2 rounds, so no standard deviation, interval or test: net2 (1)",
        "fewer than 6 pairs, too few for the Wilcoxon test to find anything: net2 (1)",
    ]


def test_other_test_pairs(tmp_path: Path) -> None:
    """Pairing by seed needs the same pairs at the same seed."""
    write_run(tmp_path / "a", SEEDS)
    write_run(tmp_path / "b", SEEDS, configuration(data__target="gt"))
    assert warnings(tmp_path) == ["configurations differ in data.target: equal seeds do not have equal test pairs there"]
