"""A sweep that trains nothing leaves nothing: no folder, no file, and what an earlier one has left stays as it is."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from digitcmp.plugins.jobs import job_of
from digitcmp.plugins.sweeper import make_folder
from tests.conftest import Ended

Cli = Callable[..., Ended]
TINY = ["--multirun", "epochs=1", "data.train_pairs=100", "data.test_pairs=100", "engine=serial", "report=false"]
NOTHING = {
    "a dry run": ["seed=0,1", "dry_run=true"],
    "a dry run of a changed sweep": ["+sweeps=smoke", "epochs=1", "dry_run=true"],
    "a dry run of rounds=auto": ["model=net1,net2", "rounds=auto", "dry_run=true", "auto.max=20"],
    "a dry run of a search": [
        "hydra/sweeper=digitcmp_optuna",
        "batch_size=50",
        "data.val_pairs=20",
        "optimizer.lr=interval(0.1,1)",
        "dry_run=true",
    ],
    "a dry run that another launcher would train": ["seed=0,1", "hydra/launcher=basic", "dry_run=true"],
    "a dry run that another sweeper would train": ["hydra/sweeper=optuna", "optimizer.lr=interval(0.1,1)", "dry_run=true"],
    "an empty sweep": ["seed=range(0)"],
    "values out of range": ["optimizer.lr=-1,-2"],
    "a choice that there is not": ["model=net2,net22"],
    "data that there are not": ["data=mnist", "data.root=nowhere,nowhere/else"],
    "a device that there is not": ["device=cuda:99", "seed=0,1"],
    "a folder for two": ["epochs=1,2", "hydra.sweep.subdir=x"],
    "a folder beside the sweep's": ["seed=0,1", "hydra.sweep.subdir=../x"],
    "rounds=auto that cannot compare": ["model=net1,net2", "rounds=auto", "test=true,false"],
}


@pytest.mark.parametrize("arguments", NOTHING.values(), ids=NOTHING)
def test_nothing_is_left_where_nothing_is_trained(run_cli: Cli, tmp_path: Path, arguments: list[str]) -> None:
    """Whatever the reason."""
    ended = run_cli(*TINY, "workers=1", *arguments)
    assert (ended.code == 0) == ("dry_run=true" in arguments and not any("basic" in one or "=optuna" in one for one in arguments))
    assert ended.code == 0 or len(ended.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_what_an_earlier_sweep_has_left_stays(run_cli: Cli, tmp_path: Path) -> None:
    """A dry run and a refused sweep in its folder, also where one job alone is refused."""
    sweep = [*TINY, "hydra.sweep.dir=sweep"]
    assert run_cli(*sweep, "seed=0").code == 0
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert run_cli(*sweep, "seed=0,1", "dry_run=true").code == 0
    for refused in ("optimizer.lr=-1", "optimizer.lr=0.1,-1"):
        assert run_cli(*sweep, refused).code == 1
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_command_is_later_than_the_one_before_it(tmp_path: Path) -> None:
    """Commands of a sweep are in their order, also where the clock was set back meanwhile: here, the first was given in 2096."""
    config = OmegaConf.create({"hydra": {"sweep": {"dir": str(tmp_path / "s")}}})
    make_folder(config)
    os.utime(tmp_path / "s" / "multirun.yaml", (4e9, 4e9))
    begun = [job_of(tmp_path / "s", 0)[0]]
    for _ in range(2):
        make_folder(config)
        begun.append(job_of(tmp_path / "s", 0)[0])
    assert begun == [4 * 10**12, 4 * 10**12 + 1, 4 * 10**12 + 2]
