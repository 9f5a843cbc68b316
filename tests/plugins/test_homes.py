"""Jobs are matched by their configurations, however they are spelt; the first one that was given is what the others are compared with."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from digitcmp.errors import RunError
from digitcmp.plugins import launcher
from digitcmp.report.frames import read_sweep
from digitcmp.report.origins import commands
from digitcmp.report.study import study
from tests.conftest import Ended

Cli = Callable[..., Ended]
TINY = ["--multirun", "epochs=1", "data.train_pairs=100", "data.test_pairs=100", "engine=serial", "report=false", "hydra.sweep.dir=sweep"]


def trained(folder: Path) -> list[tuple[str, int]]:
    """The rounds on record below a folder, as (configuration, seed)."""
    lines = [line for path in folder.glob("**/records/*.jsonl") for line in path.read_text().splitlines()]
    assert lines
    found = []
    for path in folder.glob("**/rounds.csv"):
        about = json.loads((path.parent / "run.json").read_text())
        seeds = [int(row.split(",")[0]) for row in path.read_text().splitlines()[1:]]
        assert seeds == about["seeds"]
        found += [(about["configuration_hash"], seed) for seed in seeds]
    assert len(found) == len(lines)
    return sorted(found)


@pytest.mark.parametrize(
    ("sweep", "rounds"),
    [
        (["model.dropout=0,0.0,0e0"], 1),
        (["optimizer.lr=0.1,1e-1,'0.1'"], 1),
        (["data.shuffle=true,yes,on,1"], 1),
        (["seed=0,1", "rounds=2"], 3),
        (["optimizer.betas=[0.9,0.999],[0.90,0.999]"], 1),
        (["optimizer.lr=0.3,0.30000000000000004"], 2),
    ],
    ids=str,
)
def test_nothing_is_trained_twice(run_cli: Cli, tmp_path: Path, sweep: list[str], rounds: int) -> None:
    """Each configuration and seed once, as the dry run has said; and not again by the same command."""
    assert f"\n{rounds} round{'s' * (rounds > 1)} to train" in run_cli(*TINY, *sweep, "dry_run=true").out
    ended = run_cli(*TINY, *sweep)
    assert ended.code == 0, ended.err
    found = trained(tmp_path / "sweep")
    assert len(found) == len(set(found)) == rounds
    assert run_cli(*TINY, *sweep).code == 0
    assert trained(tmp_path / "sweep") == found


def test_a_sweep_that_goes_on_asks_for_all_its_runs_at_once(run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However few it has come to: a report knows one command, which is the last one, and not one for each of the others."""
    assert run_cli(*TINY, "model=net1,wsn").code == 0

    def stopped(*_: Any) -> None:
        raise RunError("before the first round")

    monkeypatch.setattr(launcher, "train", stopped)
    assert run_cli(*TINY, "model=net1,wsn", "rounds=2").code == 1
    told = (
        "python -m digitcmp --multirun epochs=1 data.train_pairs=100 data.test_pairs=100 engine=serial report=false model=net1,wsn rounds=2"
    )
    ((_, command),) = commands(read_sweep([tmp_path / "sweep"]).runs)
    assert sorted(command.split()) == sorted([*told.split(), "hydra.sweep.dir=sweep"])
    jobs = [json.loads(path.read_text())["jobs"] for path in sorted(tmp_path.glob("sweep/*/run.json"))]
    assert [[number for _, number in one] for one in jobs] == [[0, 0], [1, 1]]
    assert len({began for one in jobs for began, _ in one}) == 2


def test_overrides_in_another_order_and_spelling_go_on(run_cli: Cli, tmp_path: Path) -> None:
    """In the folder that the configuration has; with more rounds, those that are missing are trained there."""
    assert run_cli(*TINY, "model=net1,wsn", "optimizer.lr=0.1").code == 0
    ended = run_cli(*TINY, "optimizer.lr=1e-1", "model=net1,wsn")
    assert "2 rounds are finished already, 0 to train" in ended.out
    assert "2 jobs of the same configuration" in ended.out
    assert run_cli(*TINY, "optimizer.lr=1e-1", "model=net1,wsn", "rounds=2").code == 0
    assert len(trained(tmp_path / "sweep")) == len(set(trained(tmp_path / "sweep"))) == 4
    assert len(list(tmp_path.glob("sweep/*/run.json"))) == 2


def test_seeds_of_their_own_have_folders_of_their_own(run_cli: Cli, tmp_path: Path) -> None:
    """As many runs as jobs where no round is in common."""
    assert run_cli(*TINY, "seed=range(3)").code == 0
    assert len(list(tmp_path.glob("sweep/*/run.json"))) == 3


def test_a_dry_run_refuses_what_a_run_refuses(run_cli: Cli) -> None:
    """One check serves both: an unknown schedule, too few images, dry_run for some jobs only."""
    for argument in ("scheduler.shape=square", "data.train_pairs=40000"):
        data = ["data=mnist"] if "40000" in argument else []
        lines = []
        for dry in ("true", "false"):
            ended = run_cli(*TINY[:1], *TINY[4:], *data, argument, f"dry_run={dry}")
            assert ended.code == 1
            lines.append(ended.err)
            single = run_cli(*data, argument, f"dry_run={dry}", "engine=serial", "hydra.run.dir=single")
            assert single.code == 1
            lines.append(single.err)
        assert len(set(lines)) == 1, lines
    Path("file").touch()
    for folder in ("file", "file/x"):
        told = f"digitcmp: cannot write or read {folder}: Not a directory; choose another folder with hydra.run.dir or hydra.sweep.dir\n"
        for dry in ("true", "false"):
            assert run_cli(*TINY[1:5], f"hydra.run.dir={folder}", f"dry_run={dry}").err == told
            assert run_cli(*TINY[:5], "seed=0,1", f"hydra.sweep.dir={folder}", f"dry_run={dry}").err == told
    mixed = run_cli(*TINY, "dry_run=true,false")
    assert (mixed.code, mixed.err) == (
        1,
        "digitcmp: dry_run=true,false: this is for a whole sweep; give it one value, as in dry_run=true\n",
    )


def test_a_folder_spelt_in_several_ways_is_one(run_cli: Cli, tmp_path: Path) -> None:
    """Jobs that share it are refused before anything is trained; where each has its own, that is where it is."""
    sweep = [*TINY, "optimizer.lr=0.01,0.02"]
    for dry in ("true", "false"):
        ended = run_cli(*sweep, "hydra.sweep.subdir=x/../${optimizer.lr}/..", f"dry_run={dry}")
        assert ended.code == 1
        assert "sweep: two jobs of this sweep would share this folder, though they differ (optimizer.lr 0.01 -> 0.02)" in ended.err
    assert not [*tmp_path.rglob("rounds.csv")]
    assert run_cli(*sweep, "hydra.sweep.subdir=x/../${optimizer.lr}").code == 0
    assert sorted(path.parent.name for path in (tmp_path / "sweep").rglob("rounds.csv")) == ["0.01", "0.02"]
    assert "subdir: '0.01'" in (tmp_path / "sweep" / "0.01" / ".hydra" / "hydra.yaml").read_text()


@pytest.mark.parametrize("launcher", ["digitcmp", "basic"])
def test_the_baseline_is_the_first_that_was_given(run_cli: Cli, tmp_path: Path, launcher: str) -> None:
    """Not the alphabet's first, nor the first that happened to begin; also when it comes later to what is there already."""
    options = [*TINY, f"hydra/launcher={launcher}", "rounds=2"]

    def names() -> list[str]:
        return study([tmp_path / "sweep"]).configurations["label"].tolist()

    assert run_cli(*options, "model=wsn,net2").code == 0
    assert names() == ["wsn", "net2"]
    assert run_cli(*options, "model=wosn,wsn,net2").code == 0  # put in front of them
    assert names() == ["wosn", "wsn", "net2"]
    assert run_cli(*options, "model=net1").code == 0  # by itself: after the others
    assert run_cli(*options, "model=net2", "rounds=3").code == 0  # more rounds of one
    assert names() == ["wosn", "wsn", "net2", "net1"]
    assert run_cli(*options, "model=net1,net2").code == 0  # another order
    assert names() == ["net1", "net2", "wosn", "wsn"]


def test_the_folders_of_a_report_come_as_they_are_given(run_cli: Cli, tmp_path: Path) -> None:
    """And within each the order of its own sweep."""
    assert run_cli(*TINY[:-1], "hydra.sweep.dir=a", "model=net2,net1", "rounds=2").code == 0
    assert run_cli(*TINY[:-1], "hydra.sweep.dir=b", "model=wsn,wosn", "rounds=2").code == 0
    folders = [tmp_path / "b", tmp_path / "a"]
    assert study(folders).configurations["label"].tolist() == ["wsn", "wosn", "net2", "net1"]
    assert study([tmp_path]).configurations["label"].tolist() == ["net2", "net1", "wsn", "wosn"]


def test_runs_at_any_depth_are_reported_and_matched(run_cli: Cli, tmp_path: Path) -> None:
    """A layout of one's own has its report, and its rounds are found when they are asked for in other words; so has a folder for all."""
    tiny = [*TINY[:-2], "seed=0,1"]
    assert run_cli(*tiny, "hydra.sweep.dir=deep", "optimizer.lr=0.1", "hydra.sweep.subdir=${model.name}/s${seed}").code == 0
    assert (tmp_path / "deep" / "summary" / "report.html").exists()
    ended = run_cli(*tiny, "hydra.sweep.dir=deep", "optimizer.lr=1e-1")
    assert ended.code == 0, ended.err
    assert "2 rounds are finished already, 0 to train" in ended.out
    assert len(list(tmp_path.rglob("run.json"))) == 2
    assert run_cli(*tiny, "hydra.sweep.dir=flat", "hydra.sweep.subdir=.").code == 0
    assert (tmp_path / "flat" / "summary" / "report.html").exists()
    ((_, command),) = commands(read_sweep([tmp_path / "flat"]).runs)
    assert "seed=0,1" in command.split()


def test_a_folder_may_be_called_by_the_number_of_its_job(run_cli: Cli, tmp_path: Path) -> None:
    """As Hydra's own are; the number has no value before there are jobs, as it is only known in them."""
    ended = run_cli(
        *TINY[:-2], "seed=0,1", "hydra.sweep.dir=x", "hydra.sweep.subdir=job${hydra.job.num}", "optimizer.lr=0.1,0.2", "report=false"
    )
    assert ended.code == 0, ended.err
    assert sorted(path.parent.name for path in tmp_path.rglob("run.json")) == ["job0", "job1", "job2", "job3"]
