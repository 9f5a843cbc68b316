"""Rounds that come to no further epoch for much longer than an epoch takes are named; nothing is ended."""

import json
import time
from pathlib import Path

import pytest

from digitcmp.experiment import beats, heartbeat, slow
from digitcmp.experiment.callbacks import Callback
from digitcmp.experiment.run import Run
from digitcmp.experiment.slow import ASLEEP, FACTOR, LEAST, UNKNOWN, Slow
from digitcmp.runs import cli
from digitcmp.train.results import EpochRow
from tests.conftest import compose_config
from tests.experiment.made import train_run

A, B = Path("a"), Path("b")


def looked(rounds: Slow, begin: float, end: float) -> list[tuple[Path, int]]:
    """The rounds that have become slow while somebody looked now and then."""
    found, now = [], begin
    while now <= end:
        found += [(run, seed) for run, seed, _ in rounds.look(now)]
        now += ASLEEP / 2
    return found


def test_slow_is_said_once_for_an_epoch_that_takes_many_times_the_slowest() -> None:
    """By what is known of its own configuration, and never before some minutes; a round that goes on can become slow again."""
    rounds = Slow()
    for seed in (0, 1):
        rounds.come(A, seed, 0, 0.0)
    rounds.come(A, 0, 2, 200.0)  # two epochs of 100 s
    rounds.come(A, 1, 1, 60.0)
    assert looked(rounds, 200.0, 60.0 + FACTOR * 100) == []
    assert looked(rounds, 60.0 + FACTOR * 100, 300.0 + FACTOR * 100) == [(A, 1), (A, 0)]
    now = rounds.looked or 0.0
    assert sorted(rounds.times(A, now)) == [0, 1]
    rounds.come(A, 1, 2, now)
    rounds.end(A, 0)
    assert rounds.times(A, now) == {}
    assert looked(rounds, now, now + 10 * FACTOR * now) == [(A, 1)]


@pytest.mark.parametrize(("epochs", "least"), [(1, LEAST), (0, UNKNOWN)])
def test_short_epochs_and_unknown_ones_are_waited_for(epochs: int, least: float) -> None:
    """Another run says nothing about this one."""
    rounds = Slow()
    rounds.come(B, 0, 0, 0.0)
    rounds.come(B, 0, 1, 1000.0)
    rounds.end(B, 0)
    rounds.come(A, 0, 0, 0.0)
    rounds.come(A, 0, epochs, 1.0 if epochs else 0.0)
    assert looked(rounds, 0.0, least) == []
    assert looked(rounds, least, least + 2 * ASLEEP) == [(A, 0)]


def test_a_time_in_which_nobody_was_awake_is_not_counted() -> None:
    """A command that was stopped for a night (Ctrl-Z) has no slow rounds in the morning."""
    rounds = Slow()
    rounds.come(A, 0, 0, 0.0)
    rounds.come(A, 0, 1, 1.0)
    assert rounds.look(2.0) == []
    assert rounds.look(100_000.0) == []
    assert looked(rounds, 100_000.0, 100_000.0 + LEAST + ASLEEP) == [(A, 0)]


def test_a_slow_round_is_told_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """By the command that trains it, and by `digitcmp.runs status`; it goes on, and nothing says so any more."""
    monkeypatch.setattr(heartbeat, "INTERVAL", 0.01)
    monkeypatch.setattr(slow, "LEAST", 0.0)
    monkeypatch.setattr(slow, "FACTOR", 0)

    class Watching(Callback):
        def __init__(self) -> None:
            self.said: list[str] = []
            self.shown = ""

        def on_message(self, text: str) -> None:
            self.said.append(text)

        def on_epoch(self, run: Run, row: EpochRow) -> None:
            end = time.monotonic() + 60
            while row.epoch == 2 and "no epoch after 2" not in self.shown and time.monotonic() < end:
                monkeypatch.setattr("sys.argv", ["status", "status", str(run.directory), "--json"])
                cli.main()
                (shown,) = json.loads(capfd.readouterr().out)["runs"][0]["in_flight"]["running"]
                if shown["slow"]:
                    monkeypatch.setattr("sys.argv", ["status", "status", str(run.directory)])
                    cli.main()
                    self.shown = capfd.readouterr().out

    watching = Watching()
    train_run(compose_config("epochs=3", "data.train_pairs=100", "data.test_pairs=100", "engine=serial"), tmp_path / "a", watching)
    assert "a seed 0: no epoch after 2 since 20" in watching.shown
    assert any(text.startswith("a seed 0: no epoch after 2 for ") and "Ctrl-C keeps" in text for text in watching.said)


@pytest.mark.parametrize(
    "text", ["{}", "[]", "null", '{"rounds": {}}', '{"rounds": {"1": Infinity}, "slow": {}}', '{"rounds": {"1": 1}, "slow": 3}']
)
def test_a_damaged_heartbeat_is_nobodys(tmp_path: Path, text: str) -> None:
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / f"a{beats.SUFFIX}").write_text(text)
    assert beats.read_beats(tmp_path) == {}
