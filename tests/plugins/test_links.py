"""Runs behind symbolic links are runs of a sweep: wherever the runs below its folder are looked for."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from digitcmp.experiment.folders import find_runs, run_folders
from digitcmp.runs.status import read_status
from digitcmp.train.results import RoundResult
from tests.conftest import Ended
from tests.experiment.made import change_records
from tests.report.made import write_run

Cli = Callable[..., Ended]
SMALL = ["epochs=1", "data.train_pairs=100", "data.test_pairs=100", "engine=serial"]
BEHIND = ["--multirun", *SMALL, "model=net2,wsn", "hydra.sweep.dir=out"]
DEEP = "hydra.sweep.subdir=deep/${model.name}"


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """A folder for a sweep with a link in it that leads elsewhere, and from there back; it says where to."""
    for name in ("out", "elsewhere"):
        (tmp_path / name).mkdir()
    (tmp_path / "out" / "deep").symlink_to("../elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to("../out")
    return tmp_path / "elsewhere"


def failed(one: RoundResult) -> RoundResult:
    """This round as one that failed."""
    return replace(one, row=replace(one.row, status="failed", error="it broke"))


def test_a_sweep_behind_a_link_is_reported(run_cli: Cli, linked: Path) -> None:
    """With its table and its page; its rounds are found when they are asked for in other folders."""
    ended = run_cli(*BEHIND, DEEP)
    assert ended.code == 0, ended.err
    assert sorted(path.name for path in linked.iterdir()) == ["back", "net2", "wsn"]
    assert {"net2", "wsn"} <= set(ended.out.split())
    assert Path("out/summary/report.html").exists()
    ended = run_cli(*BEHIND)
    assert "2 rounds are finished already, 0 to train" in ended.out, ended
    assert len(list(Path("out").glob("*/run.json"))) == 0


def test_failed_rounds_behind_a_link_are_told(run_cli: Cli, linked: Path) -> None:
    """And the sweep has failed."""
    assert run_cli(*BEHIND, DEEP).code == 0
    change_records(linked / "wsn", failed)
    ended = run_cli(*BEHIND, DEEP)
    assert ended.code == 1
    assert "1 failed:\n  wsn seed 0: it broke\ntrain just those again: " in ended.err


def test_runs_behind_a_link_are_in_the_way(run_cli: Cli, linked: Path) -> None:
    """Of a search, whose folder is to have its own alone; and the folder of a sweep is none for a single run."""
    assert run_cli(*BEHIND, DEEP, "report=false").code == 0
    assert sorted(path.name for path in linked.iterdir()) == ["back", "net2", "wsn"]
    ended = run_cli(*SMALL, "hydra.run.dir=out")
    assert "it is the folder of a sweep, with 2 runs below it" in ended.err
    Path("out/multirun.yaml").unlink()
    ended = run_cli("--multirun", *SMALL, "hydra/sweeper=digitcmp_optuna", "optimizer.lr=interval(0.01,0.5)", "hydra.sweep.dir=out")
    assert "there are runs of others below this folder" in ended.err


def test_each_run_is_found_once_whatever_the_links_are_called(tmp_path: Path) -> None:
    """A link to a part of what another one leads to hides nothing, before it or behind it; one that leads up leads to nothing new."""
    for name in ("run2", "run10", "deep/er"):
        write_run(tmp_path / "far" / name, {0: 0.8})
    write_run(tmp_path / "top" / "own", {0: 0.8})
    write_run(tmp_path / "aside", {0: 0.8})
    for first, second in (("a", "z"), ("z", "a")):
        for name, target in {first: "far/deep", second: "far", "up": ".", "self": "top", "own2": "top/own"}.items():
            (tmp_path / "top" / name).symlink_to(tmp_path / target)
        (tmp_path / "far" / "deep" / "back").symlink_to(tmp_path / "far")
        deep = f"{first}/er" if first == "a" else f"{second}/deep/er"
        expected = [*sorted(["own", deep]), f"{second}/run2", f"{second}/run10"]
        found = [path.relative_to(tmp_path / "top").as_posix() for path in run_folders(tmp_path / "top")]
        assert sorted(found) == sorted(expected)
        assert found.index(f"{second}/run2") < found.index(f"{second}/run10")
        assert run_folders(tmp_path / "top") == find_runs(tmp_path / "top")
        assert {one.folder for one in read_status(tmp_path / "top").runs} == {*run_folders(tmp_path / "top")}
        for path in [*(tmp_path / "top").iterdir(), tmp_path / "far" / "deep" / "back"]:
            if path.is_symlink():
                path.unlink()
    assert not run_folders(tmp_path / "nowhere")
