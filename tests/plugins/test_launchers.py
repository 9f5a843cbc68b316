"""The launcher as Hydra finds it, Hydra's own launchers beside it, and the small things that a user meets around them."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hydra._internal.core_plugins.basic_launcher import BasicLauncher

from digitcmp.config.schema import Config
from digitcmp.experiment.executors import choose
from digitcmp.plugins.launcher import DigitcmpLauncher
from digitcmp.plugins.runner import JobRunner
from digitcmp.plugins.sweeper import TYPED
from tests.conftest import ROOT, Ended, compose_config
from tests.experiment.test_resume import PYTHON, results

Cli = Callable[..., Ended]
TINY = ["epochs=1", "data.train_pairs=100", "data.test_pairs=100", "engine=serial", "report=false"]
STOCK = {"basic": "hydra", "joblib": "hydra_plugins.hydra_joblib_launcher", "submitit_local": "hydra_plugins.hydra_submitit_launcher"}


def installed(module: str) -> bool:
    """Whether there is such a module."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize("launcher", STOCK)
def test_a_stock_launcher_gives_the_same_results(run_cli: Cli, tmp_path: Path, launcher: str) -> None:
    """Hydra's launchers and ours leave the same folders with the same contents."""
    if not installed(STOCK[launcher]):
        pytest.skip(f"needs the package {STOCK[launcher].rpartition('.')[2].replace('_', '-')}")
    sweep = ["--multirun", *TINY, "model=net1,wsn", "seed=0,1"]
    assert run_cli(*sweep, "hydra.sweep.dir=ours").code == 0
    command = [*PYTHON, *sweep, f"hydra/launcher={launcher}", "hydra.sweep.dir=theirs"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert len(results(tmp_path / "ours")) == 16  # four runs, four files each
    assert results(tmp_path / "theirs") == results(tmp_path / "ours")
    for log in tmp_path.rglob("records/*.jsonl"):  # named by time and chance
        log.rename(log.with_name("log.jsonl"))
    for path in tmp_path.glob("ours/*/**/*"):
        assert (tmp_path / "theirs" / path.relative_to(tmp_path / "ours")).exists(), path


SHARED = (["seed=0,1", "rounds=2"], 3)  # a sweep whose jobs have a round in common, and the rounds of both


@pytest.mark.parametrize(
    ("launcher", "sweep", "rounds"), [("basic", ["model.dropout=0,0.0"], 1), *((name, *SHARED) for name in STOCK)], ids=str
)
def test_a_stock_launcher_trains_nothing_twice(tmp_path: Path, launcher: str, sweep: list[str], rounds: int) -> None:
    """Jobs of the same configuration meet in one folder, before the first is launched; and in that of a run that is there already."""
    if not installed(STOCK[launcher]):
        pytest.skip(f"needs the package {STOCK[launcher].rpartition('.')[2].replace('_', '-')}")
    command = ["--multirun", *TINY, f"hydra/launcher={launcher}", "hydra.sweep.dir=theirs"]
    for more in (sweep, [*sweep, "optimizer.lr=1e-3"])[: 2 if launcher == "basic" else 1]:
        ended = subprocess.run([*PYTHON, *command, *more], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
        assert sum(len(path.read_text().splitlines()) for path in tmp_path.rglob("records/*.jsonl")) == rounds
    assert len(list(tmp_path.rglob("run.json"))) == 1


@pytest.mark.parametrize("launcher", ["digitcmp", *STOCK])
def test_commands_on_record_work_with_every_launcher(launcher: str, run_cli: Cli, tmp_path: Path) -> None:
    """Those of jobs that were trained in processes of others, too: they find the YAML and the code of one's own, and add nothing."""
    if not installed(STOCK.get(launcher, "digitcmp")):
        pytest.skip(f"needs the package {STOCK[launcher].rpartition('.')[2].replace('_', '-')}")
    for path, text in {
        "my conf/plugins.py": 'losses = {"mine": lambda embeddings, digits, margin: embeddings.mean(dim=(1, 2, 3))}\n',
        "my conf/loss/mine.yaml": "terms: [{loss: mine}]\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    own = ["--config-dir", "my conf", "--allow-code", "my conf/plugins.py", "+loss=mine", "model=net1,net2"]
    command = [*PYTHON, "--multirun", *own, *TINY, f"hydra/launcher={launcher}", "hydra.sweep.dir=out"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    for path in tmp_path.glob("out/*/run.json"):
        before = [log.read_text() for log in path.parent.glob("records/*.jsonl")]
        typed = shlex.split(json.loads(path.read_text())["command"])
        again = run_cli(*typed[3:], f"hydra.run.dir='{path.parent}'")
        assert again.code == 0, again.err
        assert "1 round is finished already" in again.out
        assert [log.read_text() for log in path.parent.glob("records/*.jsonl")] == before
    assert len(list(tmp_path.glob("out/*/run.json"))) == 2


def test_a_stock_launcher_is_refused_before_the_first_job(run_cli: Cli, tmp_path: Path) -> None:
    """A folder for two configurations, and one that holds another; and a sweep of no jobs."""
    command = ["--multirun", *TINY, "hydra/launcher=basic", "hydra.sweep.dir=out", "hydra.sweep.subdir=x"]
    refused = run_cli(*command, "optimizer.lr=0.1,0.2")
    told = "two jobs of this sweep would share this folder, though they differ (optimizer.lr 0.1 -> 0.2); give each its own"
    assert refused.code == 1
    assert told in refused.err
    assert not list(tmp_path.iterdir())
    assert run_cli(*command, "optimizer.lr=0.1").code == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    refused = run_cli(*command[:-1], "optimizer.lr=0.2", "hydra.sweep.subdir=x", "seed=0,1")
    assert refused.code == 1
    assert "holds a run of another configuration" in refused.err
    assert len(refused.err.splitlines()) == 1
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert "the sweep is empty" in run_cli(*command[:-1], "seed=range(0)").err


def test_other_launchers_get_the_whole_path(run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a folder that was given as it is seen from here: their jobs may run elsewhere. A sweep that leaves nothing there is an error."""
    before = BasicLauncher.launch

    def elsewhere(self: BasicLauncher, *arguments: Any, **how: Any) -> Any:
        (tmp_path / "node").mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / "node")
        return before(self, *arguments, **how)

    monkeypatch.setattr(BasicLauncher, "launch", elsewhere)
    command = ["--multirun", "hydra/launcher=basic", *TINY, "seed=0,1"]
    assert run_cli(*command, "hydra.sweep.dir=theirs").code == 0
    assert len(list((tmp_path / "theirs").glob("*/run.json"))) == 2
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(BasicLauncher, "launch", lambda *_, **__: [])
    ended = run_cli(*command, "hydra.sweep.dir=lost")
    told = f"digitcmp: nothing has arrived in {tmp_path}/lost: the jobs of hydra/launcher=basic must see this folder\n"
    assert (ended.code, ended.err) == (1, told)


def test_a_node_that_does_not_see_the_folder(run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several: what its job has come to is elsewhere, and the sweep an error that names it; the others' results stay."""
    before = BasicLauncher.launch

    def one_elsewhere(self: BasicLauncher, *arguments: Any, **how: Any) -> Any:
        ended = before(self, *arguments, **how)
        (folder,) = (tmp_path / "theirs").glob("*seed=1*")
        folder.rename(tmp_path / "node")
        return ended

    monkeypatch.setattr(BasicLauncher, "launch", one_elsewhere)
    ended = run_cli("--multirun", "hydra/launcher=basic", *TINY, "seed=0,1,2", "hydra.sweep.dir=theirs")
    assert ended.code == 1
    assert re.fullmatch(
        rf"digitcmp: nothing has arrived in {tmp_path}/theirs/\S*seed=1\S*: the jobs of hydra/launcher=basic must see this folder\n",
        ended.err,
    )
    assert len(list((tmp_path / "theirs").glob("*/run.json"))) == 2


def test_hydra_finds_the_launcher_by_its_entry_point(tmp_path: Path) -> None:
    """The entry point of pyproject.toml is the launcher; an installed package needs nothing else to be found."""
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["hydra.plugins"]
    assert [EntryPoint(name, value, "hydra.plugins").load() for name, value in points.items()] == [DigitcmpLauncher]
    info = tmp_path / "installed_like_us-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: installed-like-us\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[hydra.plugins]\n" + "".join(f"{name} = {value}\n" for name, value in points.items()))
    code = (
        "from hydra.core.plugins import Plugins; print(*Plugins.instance().class_name_to_class); import sys; print('torch' in sys.modules)"
    )
    path = os.pathsep.join([str(tmp_path), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    ended = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True)
    assert "digitcmp.plugins.launcher.DigitcmpLauncher" in ended.stdout.split()
    assert ended.stdout.split()[-1] == "False"
    assert not ended.stderr


def test_keys_of_slurm_without_slurm(run_cli: Cli, tmp_path: Path) -> None:
    """They would mean nothing: one line, before anything is written."""
    single = run_cli("hydra/launcher=slurm", *TINY)
    assert "hydra/launcher=slurm: an array is many processes; add --multirun, as in: python -m digitcmp --multirun" in single.err
    for mode in ([], ["--multirun"]):
        ended = run_cli(*mode, *TINY, "slurm.tasks=8")
        assert ended.err == "digitcmp: slurm.tasks=8: this is for hydra/launcher=slurm (with --multirun); add it, or leave this out\n"
    assert "preview=true with hydra/launcher=slurm" in run_cli("--multirun", "hydra/launcher=slurm", "preview=true", *TINY).err
    assert not list(tmp_path.iterdir())


def test_who_stops_reading_ends_the_sweep_quietly(tmp_path: Path) -> None:
    """`| head -1`: no trace, no message, the exit code of a closed pipe; rounds that were finished are kept."""
    sweep = [*PYTHON, "--multirun", *TINY, "seed=range(40)", "hydra.sweep.dir=sweep"]
    process = subprocess.Popen(sweep, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=120) == 128 + signal.SIGPIPE
    assert err == ""
    assert len(list(tmp_path.glob("sweep/*/rounds.csv"))) < 40
    assert not [path for path in tmp_path.glob("sweep/*/run.json") if '"running"' in path.read_text()]


def test_a_refused_job_is_told_in_one_line(run_cli: Cli) -> None:
    """Hydra's own line about the job, which repeats all its overrides, does not come first; what all jobs have is told of none."""
    ended = run_cli("--multirun", *TINY, "aux_weight=-1", "seed=0,1", "hydra.sweep.dir=sweep")
    assert ended.code == 1
    assert ended.err.splitlines() == ["digitcmp: aux_weight=-1: must be a finite number, at least 0, at most 1,000,000"]


@pytest.mark.parametrize("more", [[], ["dry_run=true"], ["hydra.sweeper.max_batch_size=1"], ["hydra/launcher=basic"], ["preview=true"]])
def test_nothing_is_trained_beside_jobs_that_cannot_be(run_cli: Cli, tmp_path: Path, more: list[str]) -> None:
    """They are named with what each is refused for, however the others would be trained; a dry run says the same."""
    ended = run_cli("--multirun", *TINY[:4], "model=net1,net2", "aux_weight=0,-1", "optimizer.lr=0.1,-2", *more)
    assert ended.code == 1
    low, lr = (
        "aux_weight=-1: must be a finite number, at least 0, at most 1,000,000",
        "optimizer.lr=-2: must be a finite number, above 0",
    )
    refused = "6 of 8 jobs cannot be trained, so that none was"
    (line,) = (line for line in ended.err.splitlines() if line.startswith("digitcmp: "))
    assert line.startswith(f"digitcmp: {refused}: ")
    assert f"{low} (model=net1 aux_weight=-1 optimizer.lr=0.1" in line or f"{low} (model=net2 aux_weight=-1 optimizer.lr=0.1" in line
    assert f"{lr} (model=net1 aux_weight=0 optimizer.lr=-2, model=net2 aux_weight=0 optimizer.lr=-2" in line
    assert not list(tmp_path.rglob("run.json"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("more", [[], ["hydra.sweeper.max_batch_size=1"]])
def test_nothing_is_trained_beside_jobs_without_means(run_cli: Cli, tmp_path: Path, more: list[str]) -> None:
    """Nor where torch is needed to see that a job cannot be trained: also where that is one of a later batch."""
    ended = run_cli("--multirun", *TINY, "scheduler.shape=constant,square", *more)
    assert ended.code == 1
    assert ended.err.startswith("digitcmp: 1 of 2 jobs cannot be trained, so that none was: scheduler.shape=square: choose one of")
    assert ended.err.endswith(" (scheduler.shape=square)\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("more", [[], ["hydra/launcher=basic"]])
def test_a_list_of_choices_is_not_the_last_of_them(run_cli: Cli, tmp_path: Path, more: list[str]) -> None:
    """Which Hydra would compose, so that a run of net2 would have both names."""
    ended = run_cli("--multirun", *TINY, "model=[net1,net2],net3", *more)
    assert (ended.code, "model=[net1,net2]: a group takes one choice; give it one" in ended.err) == (1, True)
    assert not list(tmp_path.rglob("run.json"))


def test_networks_that_cannot_be_kept_any_more_are_mentioned(run_cli: Cli) -> None:
    """save_model=true comes too late for a round that is finished."""
    command = [*TINY, "hydra.run.dir=run", "rounds=2"]
    assert run_cli(*command, "save_model=false").code == 0
    ended = run_cli(*command, "save_model=true")
    assert "save_model=true: 2 of them were trained without it" in ended.out
    kept = run_cli(*TINY, "hydra.run.dir=kept", "save_model=true")
    assert "trained without it" not in kept.out
    assert "trained without it" not in run_cli(*TINY, "hydra.run.dir=kept", "save_model=true").out


@pytest.mark.parametrize("mode", [[], ["--multirun", "hydra.sweep.dir=sweep"]])
def test_a_number_of_workers_that_makes_no_sense(run_cli: Cli, tmp_path: Path, mode: list[str]) -> None:
    """None at all, or far more than there are cores: one line, nothing is started."""
    few = run_cli(*mode, *TINY[:3], "workers=0", "rounds=2")
    assert (few.code, few.err.strip()) == (1, "digitcmp: workers=0: must be a whole number, at least 1")
    many = run_cli(*mode, *TINY[:3], "workers=1000", "rounds=2")
    assert many.code == 1
    assert re.search(r"^digitcmp: workers=1000: there (is 1 core|are \d+ cores); ", many.err)
    assert len(many.err.splitlines()) == 1
    assert not list(tmp_path.rglob("rounds.csv"))


def test_nothing_is_left_among_temporary_files(tmp_path: Path) -> None:
    """A sweep that is killed leaves no file of ours in the folder for temporary files."""
    sweep = [*PYTHON, "--multirun", *TINY[:3], "epochs=50", "report=false", "seed=range(4)", "workers=2", "hydra.sweep.dir=sweep"]
    (tmp_path / "tmp").mkdir()
    process = subprocess.Popen(sweep, cwd=tmp_path, stdout=subprocess.PIPE, env={**os.environ, "TMPDIR": str(tmp_path / "tmp")}, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.wait()
    process.stdout.close()
    assert not [path for path in (tmp_path / "tmp").rglob("*") if "digitcmp" in path.name]


def test_what_could_be_refused_for_another_reason_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Configurations with other losses or columns; not those that differ in nothing that the check depends on."""
    looked: list[Config] = []
    monkeypatch.setattr(choose, "check_means", looked.append)
    runner = JobRunner(cast(Any, SimpleNamespace(here=True)), lambda *_: None)
    plain = compose_config("model=wsn", "aux_weight=1")
    others = [
        plain,
        replace(plain, aux_weight=0.5),
        replace(plain, loss=replace(plain.loss, mixup=0.2)),
        replace(plain, columns=["mine"]),
    ]
    for config in [*others, *(replace(one, epochs=7) for one in others)]:
        assert runner.refusal(config) is None
    assert looked == others


@pytest.mark.parametrize("sweep", ["model=net1,net2", "model=net1, net2"])
def test_jobs_that_differ_in_choices_alone(run_cli: Cli, tmp_path: Path, sweep: str) -> None:
    """No value of theirs is plain, so that each is composed once, for its files at the beginning and at the end."""
    recipe = tmp_path / "my" / "experiment" / "tiny.yaml"
    recipe.parent.mkdir(parents=True)
    values = {"epochs": 1, "engine": "serial", "report": False, "data": {"train_pairs": 100, "test_pairs": 100}}
    recipe.write_text(f"# @package _global_\n{json.dumps(values)}\n")
    command = ["--config-dir", "my", "--multirun", "+experiment=tiny", sweep]
    assert (ended := run_cli(*command, "hydra.sweep.dir=out")).code == 0, ended.err
    assert len(results(tmp_path / "out")) == 8  # two runs, four files each


@pytest.mark.parametrize("told", ["{", "3", '{"hydra": 3, "task": []}', '{"task": []}', "[" * 5000])
def test_a_task_that_is_told_nonsense(run_cli: Cli, monkeypatch: pytest.MonkeyPatch, told: str) -> None:
    """What somebody has put in the place of what the command of an array was given: one line, and nothing is trained."""
    monkeypatch.setenv(TYPED, told)
    ended = run_cli("--multirun", "epochs=1", "hydra.sweep.dir=sweep")
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert "unset it" in ended.err
    assert not Path("sweep").exists()
