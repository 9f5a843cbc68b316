"""Sweeps that are interrupted, resumed, shared and planned: every round is trained exactly once."""

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from digitcmp.errors import RunError
from digitcmp.experiment.plan import Standing, estimate, standing, words
from digitcmp.experiment.run import Run, train_run, train_runs
from digitcmp.experiment.store import Records
from digitcmp.train.results import RoundRow, read_rows
from digitcmp.train.round import RoundResult
from tests.conftest import Ended, compose_config
from tests.experiment.test_run import without_seconds
from tests.experiment.test_store import EPOCH, ROUND

Cli = Callable[..., Ended]
TINY = ["epochs=1", "data.train_pairs=100", "data.test_pairs=100", "report=false"]
QUIET = Console(quiet=True)
PYTHON = [sys.executable, "-m", "digitcmp"]
ABOUT = {"configuration": {}, "configuration_hash": "0", "seeds": [0, 1, 2]}


def results(folder: Path) -> dict[str, list[str]]:
    """What all runs of a sweep have on record, seconds aside."""
    return {f"{path.parent.name}/{path.name}": without_seconds(path) for path in sorted(folder.glob("*/*.csv"))}


def test_the_same_command_again_trains_only_what_is_missing(run_cli: Cli, tmp_path: Path) -> None:
    """More rounds in the same folder: the finished ones keep even their seconds, the new ones are added."""
    command = ["--multirun", *TINY, "model=net1,wsn", "hydra.sweep.dir=sweep", "workers=2"]
    assert run_cli(*command, "rounds=2").code == 0
    first = {path: path.read_text().splitlines() for path in tmp_path.glob("sweep/*/rounds.csv")}
    again = run_cli(*command, "rounds=3")
    assert "4 rounds are finished already, 2 to train" in again.out
    assert len(first) == 2
    for path, lines in first.items():
        assert path.read_text().splitlines()[:3] == lines
        assert len(path.read_text().splitlines()) == 4
        assert json.loads((path.parent / "run.json").read_text())["seeds"] == [0, 1, 2]
    assert "6 rounds are finished already, 0 to train" in run_cli(*command, "rounds=3").out


def test_failed_rounds_are_trained_again_only_on_request(run_cli: Cli, tmp_path: Path) -> None:
    """A failed round stays failed until retry_failed=true; the list of failures names the command that does so."""
    command = ["--multirun", *TINY, "seed=0", "hydra.sweep.dir=sweep"]
    assert run_cli(*command).code == 0
    (path,) = tmp_path.glob("sweep/*/rounds.csv")
    good = path.read_text()
    path.write_text(good.replace(",done,", ",failed,").rstrip("\n") + "it broke\n")
    again = run_cli(*command)
    assert again.code == 1
    assert "seed 0: it broke" in again.err
    assert f"train just those again: python -m digitcmp {' '.join(command)} retry_failed=true\n" in again.err
    assert ",failed," in path.read_text()
    assert run_cli(*command, "retry_failed=true").code == 0
    assert without_seconds(path)[1].split(",")[:3] == good.splitlines()[1].split(",")[:3]


def test_opening_a_finished_run_leaves_its_provenance(run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who only looks at a finished run does not become its author: run.json stays as it was, byte by byte."""
    command = ["--multirun", *TINY, "model=net1,wsn", "rounds=2", "workers=2", "hydra.sweep.dir=sweep"]
    assert run_cli(*command).code == 0
    before = {path: path.read_text() for path in tmp_path.glob("sweep/*/run.json")}
    assert {json.loads(text)["engine"] for text in before.values()} == {"processes"}
    monkeypatch.setattr("digitcmp.experiment.store.versions", lambda: {"torch": "9.9"})
    assert run_cli(*command, "engine=serial", "workers=null").code == 0
    assert {path: path.read_text() for path in tmp_path.glob("sweep/*/run.json")} == before


def test_a_sweep_without_a_choice_has_a_run_folder(run_cli: Cli, tmp_path: Path) -> None:
    """Nothing that names a run was typed: it is called run, and the report finds it."""
    assert run_cli("--multirun", "rounds=1", "hydra.sweep.dir=sweep", "epochs=1", "data.train_pairs=100", "data.test_pairs=100").code == 0
    assert (tmp_path / "sweep" / "summary" / "report.html").exists()


def test_a_dry_run_tells_what_would_be_refused(run_cli: Cli) -> None:
    """A plan that leaves out a job that is going to fail would be no plan."""
    ended = run_cli("--multirun", *TINY, "aux_weight=-1,0", "dry_run=true", "hydra.sweep.dir=sweep")
    assert ended.code == 1
    assert "aux_weight=-1.0: must be" in ended.err


def test_a_reader_that_is_interrupted_ends_all_runs(tmp_path: Path) -> None:
    """Ctrl-C while somebody works with a finished run: what is open is marked interrupted, nothing stays running."""
    runs = [Run(compose_config(*TINY, f"seed={seed}", "engine=serial"), tmp_path / str(seed), "test") for seed in range(3)]
    through = train_runs(runs, QUIET)
    next(through)
    through.close()
    assert [json.loads((run.directory / "run.json").read_text())["status"] for run in runs] == ["done", "interrupted", "interrupted"]


def test_dry_run_trains_nothing(run_cli: Cli, tmp_path: Path) -> None:
    """The plan shows finished and missing rounds and an estimate; a single run leaves no folder at all."""
    ended = run_cli(*TINY, "rounds=5", "dry_run=true")
    assert ended.code == 0
    assert "5 rounds to train, no finished round to estimate the time from" in " ".join(ended.out.split())
    assert not list(tmp_path.iterdir())
    command = ["--multirun", *TINY, "model=net1,wsn", "hydra.sweep.dir=sweep"]
    assert run_cli(*command, "rounds=2").code == 0
    before = results(tmp_path / "sweep")
    ended = run_cli(*command, "rounds=4", "dry_run=true")
    assert "4 rounds to train, about" in ended.out
    assert results(tmp_path / "sweep") == before


def test_estimate_is_by_configuration() -> None:
    """Each run's rounds last as long as its own finished ones (median), a new run's as long as all; shared by the workers."""
    standings = [Standing("a", 3, 0, 2, [1.0, 10.0, 2.0]), Standing("b", 1, 0, 0, [4.0]), Standing("c", 0, 0, 1, [])]
    assert estimate(standings, 2) == pytest.approx((2 * 2.0 + 3.0) / 2)
    assert estimate([Standing("a", 0, 0, 5, [])], 2) is None
    assert [words(seconds) for seconds in (20, 150, 7200)] == ["20 seconds", "2.5 minutes", "2.0 hours"]


def test_epochs_of_a_round_that_was_not_finished_do_not_count(tmp_path: Path) -> None:
    """Killed between writing epochs.csv and rounds.csv: the round is missing, and trained again without leftovers."""
    Records.open(tmp_path, ABOUT).add(RoundResult(ROUND, [EPOCH]))
    line = (tmp_path / "epochs.csv").read_text().splitlines()[1]
    with (tmp_path / "epochs.csv").open("a") as file:
        file.write(line.replace("0,", "1,", 1) + "\n")
    records = Records.open(tmp_path, ABOUT)
    assert records.missing([0, 1, 2], False) == [1, 2]
    assert [row.seed for row in records.epochs] == [0]


def test_a_claimed_round_is_left_to_who_claimed_it(tmp_path: Path) -> None:
    """Two processes' records of one folder: a round goes to the first that claims it, and is not given out when finished."""
    one, two = Records.open(tmp_path, ABOUT), Records.open(tmp_path, ABOUT)
    assert one.claim(0, False)
    assert not two.claim(0, False)
    assert two.claim(1, False)
    one.add(RoundResult(ROUND, [EPOCH]))
    assert not two.claim(0, False)
    two.add(RoundResult(replace(ROUND, seed=1), [replace(EPOCH, seed=1)]))
    assert [row.seed for row in read_rows(RoundRow, tmp_path / "rounds.csv")] == [0, 1]
    one.finish()
    assert json.loads((tmp_path / "run.json").read_text())["status"] == "running"
    assert one.claim(2, False)
    one.add(RoundResult(replace(ROUND, seed=2)))
    one.finish()
    assert json.loads((tmp_path / "run.json").read_text())["status"] == "done"


def test_damaged_records_are_not_written_over(tmp_path: Path) -> None:
    """A rounds.csv that is not ours, or half of one, is named and left alone."""
    Records.open(tmp_path, ABOUT).add(RoundResult(ROUND, [EPOCH]))
    whole = (tmp_path / "rounds.csv").read_text()
    (tmp_path / "rounds.csv").write_text(whole[:-20])
    with pytest.raises(RunError, match=r"rounds\.csv cannot be read"):
        Records.open(tmp_path, ABOUT)
    assert (tmp_path / "rounds.csv").read_text() == whole[:-20]


def test_a_killed_worker_costs_its_round_only(tmp_path: Path) -> None:
    """One worker process is killed: its round is recorded failed with the reason, the others are done."""
    config = compose_config("rounds=4", "engine=processes", "workers=2", "epochs=60", "data.train_pairs=500", "data.test_pairs=100")

    def kill_one() -> None:
        while len(multiprocessing.active_children()) < 2:
            time.sleep(0.05)
        time.sleep(6)
        os.kill(min(child.pid or 0 for child in multiprocessing.active_children()), signal.SIGKILL)

    import threading

    thread = threading.Thread(target=kill_one)
    thread.start()
    records = train_run(Run(config, tmp_path, "test"), QUIET)
    thread.join()
    assert len(records.rounds) == 4
    (failed,) = records.failed
    assert failed.error == "its worker process ended with exit code -9 (killed, or out of memory)"
    assert not multiprocessing.active_children()


def test_kill_9_and_the_same_command_again(tmp_path: Path) -> None:
    """The parent is killed at random moments; the same command each time ends with what an uninterrupted sweep gives."""
    sweep = [
        "--multirun",
        "model=net1,wsn",
        "rounds=6",
        "epochs=3",
        "data.train_pairs=300",
        "data.test_pairs=100",
        "workers=2",
        "report=false",
    ]
    subprocess.run([*PYTHON, *sweep, "hydra.sweep.dir=whole"], cwd=tmp_path, check=True, capture_output=True)
    moments = random.Random(0)
    for _ in range(3):
        process = subprocess.Popen(
            [*PYTHON, *sweep, "hydra.sweep.dir=killed"], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        begun = len(list(tmp_path.glob("killed/*/run.json")))
        deadline = time.monotonic() + 60
        while process.poll() is None and not list(tmp_path.glob("killed/*/.claims/*")) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(moments.uniform(2.0, 6.0) if begun else 5.0)
        process.kill()
        process.wait()
    subprocess.run([*PYTHON, *sweep, "hydra.sweep.dir=killed"], cwd=tmp_path, check=True, capture_output=True)
    assert results(tmp_path / "killed") == results(tmp_path / "whole")
    assert {json.loads(path.read_text())["status"] for path in tmp_path.glob("killed/*/run.json")} == {"done"}


def test_two_processes_share_a_sweep(tmp_path: Path) -> None:
    """Two commands in one folder at the same time: together they train every round once, and agree with one alone."""
    sweep = [
        "--multirun",
        "model=net1",
        "rounds=10",
        "epochs=4",
        "data.train_pairs=400",
        "data.test_pairs=100",
        "engine=serial",
        "report=false",
    ]
    pair = [
        subprocess.Popen([*PYTHON, *sweep, "hydra.sweep.dir=shared"], cwd=tmp_path, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    outs = [process.communicate(timeout=120)[0] for process in pair]
    assert [process.returncode for process in pair] == [0, 0]
    trained = [line for out in outs for line in out.splitlines() if line.startswith("round ")]
    assert len(trained) == 10
    subprocess.run([*PYTHON, *sweep, "hydra.sweep.dir=alone"], cwd=tmp_path, check=True, capture_output=True)
    assert results(tmp_path / "shared") == results(tmp_path / "alone")


def test_standing_counts_by_state(tmp_path: Path) -> None:
    """Finished, failed and missing rounds of the seeds that are asked for."""
    config = compose_config("rounds=4", *TINY)
    train_run(Run(replace(config, rounds=2), tmp_path, "test"), QUIET)
    found = standing(config, tmp_path)
    assert (found.finished, found.failed, found.missing, len(found.seconds)) == (2, 0, 2, 2)
