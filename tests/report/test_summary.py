"""What a run prints at its end: its networks are kept, and every command that is proposed runs."""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from digitcmp.experiment.kept import saved_seeds
from digitcmp.mistakes.cli import main as mistakes
from tests.conftest import Ended

TINY = ["epochs=1", "data.train_pairs=100", "data.test_pairs=100"]
Cli = Callable[..., Ended]


def proposed(out: str) -> list[list[str]]:
    """The commands that a run's end proposes, without `python -m`."""
    return [shlex.split(line)[2:] for line in out.splitlines() if line.startswith("       python -m ")]


@pytest.mark.parametrize(
    ("start", "kinds"),
    [
        ([*TINY], ["mistakes", "rounds=10", "model=net2,wsn"]),
        (["epochs=1", "model=net1"], ["mistakes", "rounds=10", "model=net2,net1"]),
        ([*TINY, "model=wsn", "aux_weight=0.5"], ["mistakes", "rounds=10", "aux_weight=0,0.5"]),
        ([*TINY, "model=wsn", "rounds=2"], ["mistakes"]),
        ([*TINY, "model=net2", "rounds=2", "batch_size=50", "data.target=three"], []),
        ([*TINY, "rounds=2", "save_model=false"], ["model=net2,wsn"]),
        ([*TINY, "model=wsn", "aux_weight=0", "rounds=2", "save_model=false"], []),
    ],
    ids=" ".join,
)
def test_the_next_commands_run(start: list[str], kinds: list[str], run_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are those that the first run leads to, and they do what they say (rounds are fewer here)."""
    ended = run_cli(*start)
    commands = proposed(ended.out)
    assert [any(kind in word for word in command) for command, kind in zip(commands, kinds, strict=True)] == [True] * len(kinds)
    for program, *arguments in commands:
        if program == "digitcmp.mistakes":
            monkeypatch.setattr(sys, "argv", [program, *arguments])
            mistakes()
        else:
            fewer = {"rounds=10": "rounds=2", "seed=range(10)": "seed=range(2)"}
            again = run_cli(*(fewer.get(argument, argument) for argument in arguments), "engine=serial", "report=false")
            assert again.code == 0, again.err


def test_which_networks_are_kept(run_cli: Cli, tmp_path: Path) -> None:
    """Those of a single run of up to ten rounds; of more, and of a sweep, only where it is asked for."""
    for name, arguments, seeds in (
        ("one", [], [0]),
        ("many", ["rounds=11"], []),
        ("asked", ["rounds=11", "save_model=true"], [*range(11)]),
        ("refused", ["save_model=false"], []),
    ):
        assert run_cli(*TINY, "data.train_pairs=100", "engine=serial", *arguments, f"hydra.run.dir={name}").code == 0
        assert saved_seeds(tmp_path / name) == seeds
    assert run_cli("--multirun", *TINY, "seed=0,1", "engine=serial", "hydra.sweep.dir=sweep", "report=false").code == 0
    assert not list((tmp_path / "sweep").glob("*/records/networks"))


def test_why_a_digit_accuracy_is_low(run_cli: Cli) -> None:
    """It means nothing where neither a loss of digits nor the sum over posteriors tells which digits these are, and a joint head gives one
    answer for both: a line says so."""
    untold, joint = (
        "% (aux_weight=0: nothing tells it which digits these are)",
        "% (a joint head is right about at most one of two different",
    )
    for arguments, told in (
        (["model=wsn"], [untold]),
        (["model=wsn", "aux_weight=0.5"], []),
        (["model=decoder", "model.comparator.detach=false"], []),
        (["model=net3"], [untold]),
        (["model=net3", "aux_weight=1"], [joint]),
    ):
        ended = run_cli(*TINY, *arguments)
        assert "digit accuracy" in ended.out
        assert [note for note in (untold, joint) if note in " ".join(ended.out.split())] == told
