"""Folders of jobs that a sweep needs for itself, and keys of sweeps that a single run was given."""

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Ended
from tests.plugins.test_launchers import TINY

Cli = Callable[..., Ended]
SWEEP = ["--multirun", *TINY, "seed=0,1", "hydra.sweep.dir=out"]


@pytest.mark.parametrize("launcher", ["digitcmp", "basic"])
@pytest.mark.parametrize(
    "below",
    ["summary", "finalists", "confirm/x", "slurm", "records", "a/summary", "trial_${seed}", "best.yaml", ".hydra"],
)
def test_a_job_takes_no_folder_of_the_sweep(run_cli: Cli, tmp_path: Path, launcher: str, below: str) -> None:
    """Refused when it is composed, before anything is written; in a dry run, too."""
    for more in ([], ["dry_run=true"]) if launcher == "digitcmp" else ([],):
        ended = run_cli(*SWEEP, f"hydra/launcher={launcher}", f"hydra.sweep.subdir={below}", *more)
        assert ended.code == 1
        assert ended.err.startswith(f"digitcmp: hydra.sweep.subdir={below.replace('${seed}', '0')}: ")
        assert ended.err.count("\n") == 1
        assert "is for the sweep itself" in ended.err
        assert not list(tmp_path.iterdir())


def test_what_lies_in_the_folder_of_a_sweep_is_known(run_cli: Cli, tmp_path: Path) -> None:
    """All that a sweep and a search write at the top of theirs is a name that no job takes."""
    small = ["epochs=1", "batch_size=20", "data.train_pairs=60", "data.val_pairs=20", "data.test_pairs=20", "engine=serial"]
    search = ["hydra.sweeper.n_trials=2", "hydra.sweeper.finalists=2", "hydra.sweeper.finalist_rounds=3", "hydra.sweeper.confirm=2"]
    ended = run_cli(
        "--multirun", *small, "hydra/sweeper=digitcmp_optuna", "optimizer.lr=interval(0.01,0.1)", *search, "hydra.sweep.dir=search"
    )
    assert ended.code == 0, ended.err
    assert run_cli("--multirun", *small, "seed=0,1", "hydra.sweep.dir=sweep", "hydra.sweep.subdir=run${seed}").code == 0
    names = {path.name for folder in ("search", "sweep") for path in (tmp_path / folder).iterdir()} - {"run0", "run1"}
    assert {"summary", "finalists", "confirm", "best.yaml", "multirun.yaml"} <= names
    assert any(name.startswith("trial_") for name in names)
    for name in names:
        ended = run_cli(*SWEEP, f"hydra.sweep.subdir={name}", "dry_run=true")
        assert "is for the sweep itself" in ended.err, name


@pytest.mark.parametrize(
    "given", ["hydra.sweep.dir=foo", "hydra.sweep.subdir=foo", "hydra/launcher=basic", "hydra/launcher=digitcmp", "hydra.sweep={dir:foo}"]
)
def test_keys_of_sweeps_for_a_single_run(run_cli: Cli, tmp_path: Path, given: str) -> None:
    """Refused with the command that was meant; the folder of one run is another key."""
    ended = run_cli(*TINY, given, "rounds=1")
    assert ended.code == 1
    assert ended.err.startswith(f"digitcmp: {given}: this is for many runs")
    assert shlex.split(ended.err)[-len(TINY) - 4 :] == ["digitcmp", "--multirun", *TINY, given, "rounds=1"]
    assert ("; the folder of one run is hydra.run.dir=foo; " in ended.err) == (given == "hydra.sweep.dir=foo")
    assert not list(tmp_path.iterdir())


def test_a_file_may_speak_of_sweeps(run_cli: Cli, tmp_path: Path) -> None:
    """What a recipe says for sweeps is no wish of who trains one run."""
    (tmp_path / "mc" / "experiment").mkdir(parents=True)
    (tmp_path / "mc" / "experiment" / "mine.yaml").write_text("# @package _global_\nhydra: {sweep: {dir: outputs/mine}}\n")
    ended = run_cli("--config-dir", "mc", "+experiment=mine", "dry_run=true")
    assert ended.code == 0, ended.err
