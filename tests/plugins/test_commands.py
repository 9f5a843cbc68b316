"""The command on record with a run trains that run: also one of a file of sweeps, which is for many runs."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from digitcmp.config.identity import configuration, configuration_hash
from tests.conftest import SWEEPS, Ended, compose_config

Cli = Callable[..., Ended]
MINE = """
# @package _global_
defaults: [override /model: wsn]
rounds: 2
aux_weight: 0.5
columns: [plain]
data: {val_pairs: 20}
hydra: {sweep: {dir: mine}, sweeper: {params: {optimizer.lr: "0.01,0.02"}}}
"""


def recorded(folder: Path) -> list[tuple[str, list[str]]]:
    """Of every run: the hash of its configuration, and the command that it has on record."""
    abouts = [json.loads(path.read_text()) for path in sorted(folder.glob("*/run.json"))]
    return [(about["configuration_hash"], shlex.split(about["command"])) for about in abouts]


@pytest.mark.parametrize("own", [False, True])
def test_the_recorded_command_runs(own: bool, run_cli: Cli, tmp_path: Path) -> None:
    """Whether the file of sweeps is ours or the user's: the same configuration, in a folder of its own, without --multirun."""
    short = ["data.train_pairs=40", "data.test_pairs=40", "batch_size=20", "epochs=1", "engine=serial", "report=false"]
    if own:
        (tmp_path / "own" / "sweeps").mkdir(parents=True)
        (tmp_path / "own" / "sweeps" / "mine.yaml").write_text(MINE)
    arguments = ["--config-dir", "own", "+sweeps=mine"] if own else ["+sweeps=ablation", "data=digits", "rounds=1"]
    ended = run_cli("--multirun", *arguments, *short, "hydra.sweep.dir=sweep")
    assert ended.code == 0, ended.err
    runs = recorded(tmp_path / "sweep")
    assert len(runs) == (2 if own else 16)
    hash_, (*python, program) = runs[1][0], runs[1][1][:3]
    assert [*python, program] == ["python", "-m", "digitcmp"]
    again = run_cli(*runs[1][1][3:], "hydra.run.dir=again/it")
    assert again.code == 0, again.err
    assert recorded(tmp_path / "again")[0][0] == hash_


@pytest.mark.parametrize("name", sorted(path.stem for path in SWEEPS.glob("*.yaml")))
def test_every_sweep_gives_its_jobs_what_can_be_typed(name: str) -> None:
    """The overrides that stand for the file compose to what the file composes to, its sweep aside."""
    from digitcmp.plugins.jobs import settings_of

    composed = configuration_hash(configuration(compose_config(f"+sweeps={name}")))  # first, as it tells Hydra of the sweeps
    assert configuration_hash(configuration(compose_config(*settings_of(name, [])))) == composed
