"""The commands that a sweep names for its failed rounds train these: typed as they stand."""

import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from digitcmp.plugins.failing import again, typed_again
from digitcmp.train.results import RoundResult
from tests.conftest import Ended
from tests.experiment.made import change_records

SMALL = ["epochs=1", "data.train_pairs=100", "data.test_pairs=100", "engine=serial"]
Cli = Callable[..., Ended]
FOLDER = "a sweep, of two"


def failing(one: RoundResult) -> RoundResult:
    """This round as one that failed."""
    return replace(one, row=replace(one.row, status="failed", error="it broke"))


def named(text: str, before: str) -> list[str]:
    """The arguments of the command that stands behind these words."""
    (command,) = re.findall(rf"^(?:digitcmp: )?{before}: python -m digitcmp (.*)$", text, re.MULTILINE)
    return shlex.split(command)


def test_failed_rounds_of_an_earlier_command(run_cli: Cli, tmp_path: Path) -> None:
    """Another command in their folder does not train them, whatever is added to it: it names one that does, and no other rounds."""
    sweep = f"hydra.sweep.dir='{FOLDER}'"
    assert run_cli("--multirun", "model=net2", "rounds=3", *SMALL, sweep).code == 0
    (path,) = (tmp_path / FOLDER).glob("*/rounds.csv")
    change_records(path.parent, lambda one: one if one.row.seed == 0 else failing(one))
    other = run_cli("--multirun", "model=net1", "rounds=1", *SMALL, sweep)
    assert "2 failed:" in other.err
    assert "just those" not in other.err
    command = named(other.err, "train those again, of .*")
    assert command[:2] == ["--multirun", "model=net2"]
    assert command[-4:] == ["seed=1", "rounds=2", "retry_failed=true", sweep]
    fewer = run_cli("--multirun", "model=net2", "rounds=2", *SMALL, sweep)
    assert named(fewer.err, "train just those again")[:3] == ["--multirun", "model=net2", "rounds=2"]
    assert "seed=2" in named(fewer.err, "train those of an earlier command again, of .*")
    assert run_cli(*command).code == 0
    assert "failed" not in path.read_text()
    assert len(list((tmp_path / FOLDER).glob("*/rounds.csv"))) == 2


def test_commands_for_some_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seeds that follow each other in few words; none between that the run has not; nothing where nobody knows the command."""
    about = {
        "command": "python -m digitcmp --config-dir own model=a ++rounds=auto auto.batch=4 seed=7 retry_failed=true",
        "seeds": [0, 1, 5],
    }
    begin, end = "python -m digitcmp --multirun --config-dir own model=a", "retry_failed=true hydra.sweep.dir=x/y"
    assert again(about, [0, 1], Path("x/y")) == f"{begin} seed=0 rounds=2 {end}"
    assert again(about, [1, 5], Path("x/y")) == f"{begin} seed=1,5 rounds=1 {end}"
    for unknown in ("unknown", None, "python -m 'digitcmp", "make all"):
        assert not again({**about, "command": unknown}, [0], Path("x"))
    assert typed_again(["-m", "retry_failed=false", "a=1"], Path("x")) == "python -m digitcmp -m a=1 retry_failed=true hydra.sweep.dir=x"
    monkeypatch.setattr("digitcmp.config.allowed.allowed", lambda: ["heads"])
    assert typed_again(["-m"], Path("x")) == "python -m digitcmp --allow-code heads -m retry_failed=true hydra.sweep.dir=x"
