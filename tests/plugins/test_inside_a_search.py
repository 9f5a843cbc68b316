"""No job of a sweep goes into the folder of a search, whose report is about its trials alone: by its subdir, by a link, from above."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from digitcmp.plugins.subdirs import check_subdir
from tests.conftest import Ended
from tests.plugins.test_sweeps import SEARCH, TINY, assert_refused

Cli = Callable[..., Ended]
SWEEP = ["--multirun", *TINY, "report=false"]
SEARCHING = [*SEARCH, "hydra/sweeper=digitcmp_optuna", "optimizer.lr=interval(0.01,0.1)", "hydra.sweeper.confirm=0"]


def contents(folder: Path) -> dict[Path, bytes]:
    """The files below a folder, and what is in them."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def searched(run_cli: Cli, tmp_path: Path) -> Path:
    """The folder of a search, in one that holds other things, too."""
    assert run_cli(*SEARCHING, "hydra.sweep.dir=out/s").code == 0
    Path("far").mkdir()
    Path("far/deep").symlink_to("../out/s")
    return tmp_path / "out" / "s"


def test_no_subdir_leads_into_a_search(run_cli: Cli, tmp_path: Path, searched: Path) -> None:
    """Whoever asks for the jobs and launches them; nothing is written."""
    before = contents(tmp_path)
    for folder, below in (
        ("out", "s/${hydra.job.num}"),
        ("out", "s/trial_0004"),
        ("out", "s"),
        ("out", "x/../s/mine/deeper"),
        (".", "out/s/run_${seed}"),
        ("out", "${oc.env:NAMED,s}/x"),
        ("far", "deep/${hydra.job.num}"),
    ):
        given = [f"hydra.sweep.dir={folder}", f"hydra.sweep.subdir={below}"]
        whole = below.replace("${oc.env:NAMED,s}", "s")
        line = f"hydra.sweep.subdir={whole}: this leads into out/s, the folder of a search, whose report"
        for launcher in ("digitcmp", "basic"):
            assert_refused(run_cli(*SWEEP, "seed=0,1", *given, f"hydra/launcher={launcher}"), line)
            if whole == below:
                official = ["--multirun", "hydra/sweeper=optuna", *TINY, "optimizer.lr=interval(0.01,1)", *given]
                assert_refused(run_cli(*official, f"hydra/launcher={launcher}"), line)
    assert contents(tmp_path) == before
    ended = run_cli(*SEARCHING, "hydra.sweep.dir=out/s", "hydra.sweeper.n_trials=3")
    assert ended.code == 0, ended.err
    assert len(list(searched.glob("trial_*"))) == 3


def test_what_is_beside_a_search_is_none_of_its_own(run_cli: Cli, searched: Path) -> None:
    """A sweep in the folder that the search is in, folders beside it, and one that holds another link."""
    before = contents(searched)
    for folder, below in (("out", "${seed}"), ("out", "t/${hydra.job.num}"), (".", "out/u/${seed}"), ("far", "sdeep/${seed}")):
        ended = run_cli(*SWEEP, "seed=0,1", "hydra.sweep.dir=" + folder, "hydra.sweep.subdir=" + below)
        assert (ended.code, ended.err) == (0, ""), (below, ended.err)
    assert contents(searched) == before


def test_a_sweep_above_a_search_trains_no_trial_of_it(run_cli: Cli, searched: Path) -> None:
    """What it asks for has a folder of its own, though a trial has the same configuration, and fewer rounds."""
    before = contents(searched)
    command = shlex.split(json.loads((searched / "trial_0000" / "run.json").read_text())["command"])[3:]
    ended = run_cli("--multirun", *command, "rounds=2", "hydra.sweep.dir=out")
    assert (ended.code, ended.err) == (0, "")
    assert contents(searched) == before


def test_a_subdir_that_is_another_sweep(run_cli: Cli) -> None:
    """Has no run of this one in it, as it has none of a single command; a folder in it, or of a run of it, is as it was."""
    assert run_cli(*SWEEP, "seed=0,1", "hydra.sweep.dir=out/a").code == 0
    for more in ([], ["hydra/launcher=basic"]):
        ended = run_cli(*SWEEP, "seed=2", *more, "hydra.sweep.dir=out", "hydra.sweep.subdir=a")
        assert_refused(ended, "hydra.sweep.subdir=a: out/a is the folder of another sweep, with 2 runs below it")
    assert run_cli(*SWEEP, "seed=2", "hydra.sweep.dir=out", "hydra.sweep.subdir=a/${seed}").code == 0
    assert run_cli(*SWEEP, "seed=0,1", "hydra.sweep.dir=out/a").code == 0


def test_a_search_may_have_trials_behind_links(tmp_path: Path) -> None:
    """As of one that was moved to another disk; its own folder is no other one's."""
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "multirun.yaml").write_text("  sweeper:\n    _target_: digitcmp.plugins.sweeper.DigitcmpOptunaSweeper\n")
    (tmp_path / "far").mkdir()
    (tmp_path / "s" / "trial_0000").symlink_to("../far")
    for name in ("trial_0000", "trial_0001", "finalists/trial_0000"):
        check_subdir(tmp_path / "s", name, searching=True)
