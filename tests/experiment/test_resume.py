"""Sweeps that are interrupted, resumed, shared and planned: every round is trained exactly once."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch

from digitcmp.config.schema import Config
from digitcmp.experiment.callbacks import Callback
from digitcmp.experiment.pace import Pace, Paces, measure
from digitcmp.experiment.plan import in_all
from digitcmp.experiment.run import Run
from digitcmp.experiment.scheduler import train
from digitcmp.files import file_lock
from digitcmp.terminal import Terminal, words
from digitcmp.train.progress import OnEpoch
from digitcmp.train.results import EpochRow, RoundResult
from tests.conftest import Ended, compose_config
from tests.experiment.made import ROUND, change_records, records_of, status_of, train_run, without_seconds, workers, write_run

Cli = Callable[..., Ended]
TINY = ["epochs=1", "data.train_pairs=100", "data.test_pairs=100", "report=false"]
PYTHON = [sys.executable, "-m", "digitcmp"]


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


def test_going_on_with_another_torch_is_told(run_cli: Cli) -> None:
    """Once for all runs that it is true of, and not where nothing is left to train."""
    command = ["--multirun", *TINY, "seed=0,1", "model=net1,wsn", "hydra.sweep.dir=sweep", "engine=serial"]
    assert "other code" not in run_cli(*command).out
    for path in Path("sweep").glob("*/run.json"):
        about = json.loads(path.read_text())
        assert about["torch"].partition("+")[0] == version("torch").partition("+")[0]
        path.write_text(json.dumps({**about, "torch": "1.0+cpu"}))
    assert "other code" not in run_cli(*command).out
    more = run_cli(*command, "rounds=2").out
    assert more.count("other code than those on record: torch (1.0+cpu on record, ") == 1


def test_a_report_is_left_to_the_process_that_still_trains(run_cli: Cli, tmp_path: Path) -> None:
    """Whoever ends while another one has rounds of the sweep in flight says so, and writes none."""
    sweep = ["--multirun", *TINY[:3], "seed=0,1", "engine=serial", "hydra.sweep.dir=sweep"]
    assert "report.html" in run_cli(*sweep).out
    shutil.rmtree(tmp_path / "sweep" / "summary")
    (folder, _) = sorted(path.parent for path in tmp_path.glob("sweep/*/run.json"))
    (folder / ".claims").mkdir()
    with file_lock(folder / ".claims" / "1.lock"):
        ended = run_cli(*sweep)
    assert ended.code == 0
    assert "1 run in sweep: another process still trains rounds of them, and reports at its end" in ended.out
    assert not (tmp_path / "sweep" / "summary").exists()
    assert "report.html" in run_cli(*sweep).out


def test_failed_rounds_are_trained_again_only_on_request(run_cli: Cli, tmp_path: Path) -> None:
    """A failed round stays failed until retry_failed=true; the list of failures names the command that does so."""
    command = ["--multirun", *TINY, "seed=0", "hydra.sweep.dir=sweep"]
    assert run_cli(*command).code == 0
    (path,) = tmp_path.glob("sweep/*/rounds.csv")
    good = path.read_text()
    change_records(path.parent, lambda one: replace(one, row=replace(one.row, status="failed", error="it broke")))
    again = run_cli(*command)
    assert again.code == 1
    assert "seed 0: it broke" in again.err
    assert f"train just those again: python -m digitcmp {' '.join(command)} retry_failed=true\n" in again.err
    assert ",failed," in path.read_text()
    assert run_cli(*command, "retry_failed=true").code == 0
    assert without_seconds(path)[1].split(",")[:3] == good.splitlines()[1].split(",")[:3]


def test_opening_a_finished_run_leaves_its_provenance(run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who only looks at a finished run does not become its author: run.json stays as it was, but for the sweeps it was a job of."""
    command = ["--multirun", *TINY, "model=net1,wsn", "rounds=2", "workers=2", "hydra.sweep.dir=sweep"]
    assert run_cli(*command).code == 0

    def abouts() -> dict[Path, dict[str, Any]]:
        found = {path: json.loads(path.read_text()) for path in tmp_path.glob("sweep/*/run.json")}
        return {path: {name: value for name, value in about.items() if name != "jobs"} for path, about in found.items()}

    before = abouts()
    assert {about["engine"] for about in before.values()} == {"processes"}
    monkeypatch.setattr("digitcmp.experiment.provenance.versions", lambda: {"torch": "9.9"})
    assert run_cli(*command, "engine=serial", "workers=null").code == 0
    assert abouts() == before


def test_a_sweep_without_a_choice_has_a_run_folder(run_cli: Cli, tmp_path: Path) -> None:
    """Nothing that names a run was typed: it is called run, and the report finds it."""
    assert run_cli("--multirun", "rounds=1", "hydra.sweep.dir=sweep", "epochs=1", "data.train_pairs=100", "data.test_pairs=100").code == 0
    assert (tmp_path / "sweep" / "summary" / "report.html").exists()


def test_a_dry_run_tells_what_would_be_refused(run_cli: Cli) -> None:
    """A plan that leaves out a job that is going to fail would be no plan."""
    ended = run_cli("--multirun", *TINY, "aux_weight=-1,0", "dry_run=true", "hydra.sweep.dir=sweep")
    assert ended.code == 1
    assert "aux_weight=-1: must be" in ended.err


def test_a_dry_run_of_a_sweep_leaves_nothing(run_cli: Cli, tmp_path: Path) -> None:
    """No folder either, refused or not; but what somebody else has put there meanwhile."""
    for more in (["aux_weight=-1,0"], ["data.root=x"]):
        run_cli("--multirun", *TINY, *more, "dry_run=true", "hydra.sweep.dir=a/b")
        assert not list(tmp_path.iterdir())


def test_who_is_interrupted_at_the_end_of_a_run_ends_all_runs(tmp_path: Path) -> None:
    """Ctrl-C while somebody works with a finished run: what was begun is marked interrupted, nothing stays running or is begun."""
    runs = [Run(compose_config(*TINY, f"seed={seed}", "workers=2"), tmp_path / str(seed), "test") for seed in range(4)]

    class Interrupted(Callback):
        def on_run_end(self, run: Run) -> None:
            raise KeyboardInterrupt(run.name)

    with pytest.raises(KeyboardInterrupt, match=r"[12] finished rounds? kept in"):
        train(runs, [Interrupted()])
    states = [status_of(run.directory) for run in runs if run.directory.exists()]
    assert set(states) <= {"done", "interrupted"}
    assert "done" in states
    assert len(states) <= 3
    assert not workers()


def test_dry_run_trains_nothing(run_cli: Cli, tmp_path: Path) -> None:
    """The plan shows finished and missing rounds and an estimate; a single run leaves no folder at all."""
    ended = run_cli(*TINY, "rounds=5", "dry_run=true")
    assert ended.code == 0
    assert re.search(
        r"5 rounds to train, about .* with \d+ at a time, at the pace of 1 short round; nothing was trained", " ".join(ended.out.split())
    )
    assert not list(tmp_path.iterdir())
    command = ["--multirun", *TINY, "model=net1,wsn", "hydra.sweep.dir=sweep"]
    assert run_cli(*command, "rounds=2").code == 0
    before, told = results(tmp_path / "sweep"), (tmp_path / "sweep" / "multirun.yaml").read_text()
    ended = run_cli(*command, "rounds=4", "dry_run=true")
    assert (tmp_path / "sweep" / "multirun.yaml").read_text() == told  # what was typed last, as the report says it
    assert re.search(
        r"4 rounds to train, about .* at a time, at the pace of those on record; nothing", " ".join(ended.out.split())
    )  # by the rounds on record
    assert results(tmp_path / "sweep") == before


def test_networks_are_told_before_they_are_trained(run_cli: Cli) -> None:
    """How many parameters each has, and which part of it nothing trains where the loss of digits has no weight."""
    ended = run_cli("--multirun", *TINY, "model=net1,net3", "dry_run=true", "rounds=1", "hydra.sweep.dir=sweep")
    assert re.search(r" 71,393 +0 +0 +1 ", ended.out)
    assert re.search(r" 67,883 +0 +0 +1 ", ended.out)
    told = " ".join(ended.out.split())
    assert told.count("aux_weight=0: nothing trains model.digit_head, nor does anything read it in 1 of 2 runs") == 1
    assert "nothing trains model.digit_head" in run_cli(*TINY, "model=net3", "dry_run=true", "rounds=1").out
    for trained in (["model=net3", "aux_weight=1"], ["model=net2"], ["model=wsn"]):
        assert "nothing trains" not in run_cli(*TINY, *trained, "dry_run=true", "rounds=1").out


def test_how_long_rounds_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a run's own finished ones (median), or those of a run that is as much work; a short one is trained only where there is neither."""

    def run(name: str, rounds: int, seconds: list[float], *overrides: str) -> Run:
        config, directory = compose_config(f"rounds={rounds}", *TINY, *overrides), tmp_path / name
        one = Run(config, directory, "test")
        done = [RoundResult(replace(ROUND, seed=seed, seconds=spent, epochs=1)) for seed, spent in enumerate(seconds)]
        write_run(directory, done, {"seeds": config.seeds}, one.store.configuration)
        return Run(config, directory, "test")

    measured: list[float] = []

    def short(config: Config, rounds: int) -> Pace:
        del rounds
        measured.append(config.aux_weight)
        return Pace(2.0, 0.5)

    monkeypatch.setattr("digitcmp.experiment.pace.measure", short)
    whole, other, tuned = (
        run("a", 5, [1.0, 10.0, 2.0]),
        run("b", 1, [4.0], "batch_size=50"),
        run("c", 1, [], "batch_size=50", "optimizer.lr=0.01"),
    )
    digits = run("d", 5, [], "model=wsn", "aux_weight=0.5", "epochs=4")
    paces = Paces([whole, other, tuned, digits], Terminal())
    assert [paces.seconds(one) for one in (whole, other, tuned, digits)] == [2.0, 4.0, 4.0, 2.0 + 4 * 0.5]
    assert (measured, paces.by_what()) == ([0.5], "1 short round")
    assert [words(seconds) for seconds in (0.4, 1.2, 20, 150, 7200)] == ["0 seconds", "1 second", "20 seconds", "2.5 minutes", "2.0 hours"]
    assert in_all(300.0, 2, "this preview") == "about 2.5 minutes with 2 at a time, at the pace of this preview"


def test_a_short_round_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two epochs of the round itself: the second is what the others will take, what is left is beside them."""
    asked: list[tuple[Config, list[int]]] = []

    def trained(config: Config, seeds: list[int], device: torch.device, on_epoch: OnEpoch) -> list[RoundResult | None]:
        assert device.type == "cpu"
        asked.append((config, seeds))
        for epoch, seconds in enumerate((0.5, 0.7), 1):
            on_epoch(0, EpochRow(seeds[0], epoch, 0.1, 0.9, 0.9, None, None, seconds))
        return [RoundResult(replace(ROUND, seconds=3.0))]

    monkeypatch.setattr("digitcmp.train.round.train_rounds", trained)
    pace = measure(compose_config("epochs=60", "seed=5", "save_model=true", "device=cpu"), 100)
    assert (pace.beside, pace.epoch, pace.seconds(60)) == pytest.approx((1.8, 0.7, 43.8))
    ((config, seeds),) = asked
    assert (config.epochs, config.save_model, seeds) == (2, False, [5])
    measure(compose_config("epochs=1", "engine=stacked", "stack_size=4", "device=cpu"), 3)
    assert asked[-1][1] == [0, 1, 2]


def test_a_killed_worker_costs_its_round_only(tmp_path: Path) -> None:
    """One worker process is killed: its round is recorded failed with the reason, the others are done."""
    config = compose_config("rounds=4", "engine=processes", "workers=2", "epochs=150", "data.train_pairs=500", "data.test_pairs=100")

    def kill_one() -> None:
        # Three rounds are left when the first is on record: both workers train, however fast the machine is.
        while not any(len(rows.read_text().splitlines()) > 1 for rows in tmp_path.rglob("rounds.csv")):
            time.sleep(0.05)
        time.sleep(0.5)  # not between two rounds, where a worker that dies costs none
        os.kill(min(workers()), signal.SIGKILL)

    thread = threading.Thread(target=kill_one)
    thread.start()
    run = train_run(config, tmp_path)
    thread.join()
    assert len(run.rows) == 4
    (failed,) = run.failed
    assert failed.error == "its worker process ended with exit code -9 (killed, or out of memory)"
    assert not workers()


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


def test_a_run_knows_how_far_it_is(tmp_path: Path) -> None:
    """Finished, failed and missing rounds of the seeds that are asked for."""
    config = compose_config("rounds=4", *TINY)
    train_run(replace(config, rounds=2), tmp_path)
    run = Run(config, tmp_path, "test")
    assert ([row.seed for row in run.rows], len(run.failed), list(run.missing), run.complete) == ([0, 1], 0, [2, 3], False)
    assert Run(replace(config, rounds=2), tmp_path, "test").complete
    assert len(records_of(tmp_path)) == 2


def test_a_finished_run_imports_no_torch(tmp_path: Path) -> None:
    """The same command again, with nothing left to train, for a single run and for a sweep."""
    code = "import sys\nfrom digitcmp.cli import main\nmain()\nassert 'torch' not in sys.modules"
    for mode in (["hydra.run.dir=run"], ["--multirun", "hydra.sweep.dir=sweep"]):
        command = [*TINY, *mode]
        subprocess.run([*PYTHON, *command], cwd=tmp_path, check=True, capture_output=True)
        again = subprocess.run([sys.executable, "-c", code, *command], cwd=tmp_path, check=False, capture_output=True, text=True)
        assert again.returncode == 0, again.stderr
        assert "1 round is finished already, 0 to train" in again.stdout


FAILS = r"\(the loss became nan in epoch 1; a smaller optimizer.lr may help\)"
UNTOLD = f"for how long cannot be told: short rounds of it fail {FAILS}"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["optimizer.lr=1e30"], UNTOLD),
        (["-m", "optimizer.lr=1e30,1e29"], UNTOLD),
        (["-m", "optimizer.lr=1e30,0.1"], f"at a time, at the pace of 1 short round; some fail {FAILS}"),
        (
            ["-m", "hydra/sweeper=digitcmp_optuna", "optimizer.lr=1e30", "aux_weight=interval(0,1)", "model=wsn", "data.val_pairs=40"],
            UNTOLD,
        ),
    ],
)
def test_a_dry_run_says_how_short_rounds_fail(command: list[str], told: str, run_cli: Cli) -> None:
    """In a plain run, a sweep and a search; nothing is trained."""
    small = ["rounds=2", "epochs=3", "data.train_pairs=200", "data.test_pairs=50", "engine=serial"]
    ended = run_cli(*command, *small, "dry_run=true")
    assert ended.code == 0, ended.err
    assert re.search(told, " ".join(ended.out.split()))
