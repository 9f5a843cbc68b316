"""Hydra's own ways to do a job again, and to print a configuration."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from digitcmp.plugins.runner import JobRunner
from tests.conftest import Ended
from tests.experiment.made import without_seconds

SMALL = ["epochs=1", "data.train_pairs=100", "data.test_pairs=100", "engine=serial", "report=false"]
Cli = Callable[..., Ended]


def test_resolved(run_cli: Cli) -> None:
    """--resolve prints all of a configuration, rounds (a number, or auto) too."""
    ended = run_cli("--cfg", "all", "--resolve", "model=wsn")
    assert ended.code == 0, ended.err
    assert "\nrounds: 1\n" in ended.out
    assert "  launcher:\n    _target_: digitcmp.plugins.launcher.DigitcmpLauncher" in ended.out


def test_replay(run_cli: Cli, tmp_path: Path) -> None:
    """A job of a sweep is done again in its folder, and its configuration trains the same in another one."""
    ended = run_cli(*SMALL, "--multirun", "model=net1", "seed=3", "hydra.sweep.dir=s")
    assert ended.code == 0, ended.err
    (folder,) = (tmp_path / "s").glob("*/run.json")
    first = folder.parent
    kept = without_seconds(first / "epochs.csv")
    shutil.rmtree(first / "records")
    (first / "epochs.csv").unlink()
    ended = run_cli("--experimental-rerun", str(first))
    assert ended.code == 0, ended.err
    assert without_seconds(first / "epochs.csv") == kept
    ended = run_cli("--config-path", str(first / ".hydra"), "--config-name", "config", "hydra.run.dir=again")
    assert ended.code == 0, ended.err
    assert without_seconds(tmp_path / "again" / "epochs.csv") == kept


def test_replay_of_no_run(run_cli: Cli, tmp_path: Path) -> None:
    """Not there, a file, or a folder of something else: said so, and not that it cannot be written."""
    (tmp_path / "file").write_text("no folder")
    for name in ("gone", "file", "."):
        ended = run_cli("--experimental-rerun", name)
        assert (ended.code, ended.out) == (1, "")
        assert ended.err == f"digitcmp: --experimental-rerun {name}: this is no folder of a run: it has no .hydra/hydra.yaml\n"


def test_killed_in_flight(run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a job was to do is there before its first round has ended."""
    seen: list[set[str]] = []

    def look(*_: object) -> None:
        seen.append({path.name for path in (tmp_path / "s").glob("*/.hydra/*.yaml")})

    monkeypatch.setattr(JobRunner, "on_round_begin", look)
    assert run_cli(*SMALL, "--multirun", "model=net1", "hydra.sweep.dir=s").code == 0
    assert seen == [{"config.yaml", "hydra.yaml", "overrides.yaml"}]
    assert json.loads((tmp_path / "s" / "planned.json").read_text())["runs"]
