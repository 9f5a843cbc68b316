"""Sweeps and runs with rounds=auto: who gets more rounds, resume, shared folders, and what is refused."""

import json
import shlex
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from digitcmp.auto.plan_file import FILE, read
from digitcmp.auto.sequential import follow, scores
from digitcmp.auto.training import of_rounds, train_auto
from digitcmp.experiment.callbacks import Callback
from digitcmp.experiment.run import Run
from digitcmp.experiment.store import Store
from digitcmp.plugins.resolvers import run_name
from digitcmp.terminal import Terminal
from digitcmp.train.results import RoundResult
from tests.conftest import Ended, compose_config
from tests.experiment.made import change_records, records_of, seeds_of, status_of
from tests.experiment.test_resume import results

Cli = Callable[..., Ended]
TINY = ["model=wsn", "aux_weight=1", "epochs=2", "data.train_pairs=100", "data.test_pairs=100", "engine=serial", "report=false"]
LOOKS = ["rounds=auto", "auto.batch=8", "auto.max=16"]
# the baseline learns nothing, the second as little, the third something
SWEEP = ["--multirun", *TINY, "optimizer.lr=1e-7,2e-7,0.003", "hydra.sweep.dir=sweep", "hydra.sweep.subdir=${optimizer.lr}"]
FOLDERS = ["1e-07", "2e-07", "0.003"]


def rounds_of(sweep: Path) -> dict[str, int]:
    """How many rounds each run has."""
    return {name: len(records_of(sweep / name)) for name in FOLDERS}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep that was trained without interruption, not to be changed."""
    folder = tmp_path_factory.mktemp("whole")
    train_auto(runs_in(folder), folder, [], Terminal())
    return folder


def runs_in(folder: Path) -> list[Run]:
    """The runs of `SWEEP`, without Hydra."""
    return [Run(compose_config(*TINY, *LOOKS, f"optimizer.lr={lr}"), folder / lr, "digitcmp rounds=auto") for lr in FOLDERS]


def test_only_who_is_undecided_goes_on(run_cli: Cli, tmp_path: Path, whole: Path) -> None:
    """The one that differs in nothing is equivalent at the first look; the other one and the baseline get the second batch. Hydra's
    files are there for each, the command of a run has its number of rounds, and no line is longer than a terminal."""
    ended = run_cli(*SWEEP, *LOOKS)
    assert ended.code == 0, ended.err
    assert rounds_of(tmp_path / "sweep") == {"1e-07": 16, "2e-07": 8, "0.003": 16}
    first, second = [line for line in ended.out.splitlines() if line.startswith("look ")]
    assert first.startswith("look 1/2, 8 rounds, 1 goes on: 0.003 (")
    assert first.endswith(", 2e-07 equivalent")
    assert second.startswith("look 2/2, 16 rounds, none goes on: 0.003 ")
    assert max(map(len, (first, second))) <= 80
    for name, rounds in rounds_of(tmp_path / "sweep").items():
        about = json.loads((tmp_path / "sweep" / name / "run.json").read_text())
        assert (about["status"], about["seeds"]) == ("done", list(range(rounds)))
        assert f"rounds={rounds}" in shlex.split(about["command"])
        assert (tmp_path / "sweep" / name / ".hydra" / "config.yaml").exists()
    assert results(tmp_path / "sweep") == results(whole)


def test_it_is_what_so_many_rounds_are(run_cli: Cli, tmp_path: Path, whole: Path) -> None:
    """The same hash, folder and records as a plain run of the same seeds: nothing of rounds=auto is part of a configuration."""
    assert run_cli(*SWEEP, "rounds=8").code == 0
    assert run_cli(*SWEEP[:-3], "optimizer.lr=1e-7,0.003", *SWEEP[-2:], "rounds=16").code == 0
    assert results(tmp_path / "sweep") == results(whole)
    for name in FOLDERS:
        plain, auto = (json.loads((folder / name / "run.json").read_text()) for folder in (tmp_path / "sweep", whole))
        assert plain["configuration_hash"] == auto["configuration_hash"]
        assert plain["configuration"] == auto["configuration"]
    assert run_name("", ["optimizer.lr=1e-7", *LOOKS]) == "optimizer.lr=1e-7"


RULES = ["rounds=auto", "auto.batch=8", "auto.max=16", "++auto.margin=5", "auto.level=0.1"]


@pytest.mark.parametrize("single", [True, False])
def test_the_command_of_a_run_is_taken(run_cli: Cli, tmp_path: Path, single: bool) -> None:
    """The one on record asks for its rounds alone, and trains nothing where they are."""
    asked = [*TINY, "optimizer.lr=1e-7"] if single else [*SWEEP[1:-3], "optimizer.lr=1e-7,2e-7", *SWEEP[-2:]]
    assert run_cli(*([] if single else ["--multirun"]), *asked, *RULES, *(["hydra.run.dir=sweep/1e-07"] if single else [])).code == 0
    folder = tmp_path / "sweep" / "1e-07"
    about = json.loads((folder / "run.json").read_text())
    assert "auto" not in about["command"]
    before = (folder / "rounds.csv").read_bytes()
    ended = run_cli(*shlex.split(about["command"])[3:], f"hydra.run.dir={folder}")
    assert ended.code == 0, ended.err
    assert (folder / "rounds.csv").read_bytes() == before


def test_other_words_of_a_command_stay() -> None:
    """Whatever only looks like the number of rounds, or like a rule."""
    command = shlex.join(["python", "-m", "digitcmp", "+rounds=8", "auto={batch: 8}", "tags=[auto.x, rounds=8]", "hydra.run.dir=auto.b"])
    kept = ["python", "-m", "digitcmp", "rounds=12", "tags=[auto.x, rounds=8]", "hydra.run.dir=auto.b"]
    assert shlex.split(of_rounds(command, 12)) == kept


class Watch(Callback):
    """Does something after so many rounds."""

    def __init__(self, rounds: int, do: Callable[[], None]) -> None:
        self.left, self.do = rounds, do

    def on_round_end(self, run: Run, result: RoundResult) -> None:
        del run, result
        self.left -= 1
        if not self.left:
            self.do()


def stop() -> None:
    """Ctrl-C."""
    raise KeyboardInterrupt


@pytest.mark.parametrize("after", [1, 24, 30])
def test_whoever_goes_on_ends_as_if_never_stopped(tmp_path: Path, whole: Path, after: int) -> None:
    """Stopped within a batch, at its end, in the second: the same decisions, each round trained once. A last time trains nothing."""
    with pytest.raises(KeyboardInterrupt):
        train_auto(runs_in(tmp_path), tmp_path, [Watch(after, stop)], Terminal())
    trained = sum(rounds_of(tmp_path).values())
    counted = Watch(10_000, stop)
    train_auto(runs_in(tmp_path), tmp_path, [counted], Terminal())
    assert 10_000 - counted.left == 40 - trained
    assert results(tmp_path) == results(whole)
    again = Watch(1, stop)
    train_auto(runs_in(tmp_path), tmp_path, [again], Terminal())
    assert again.left == 1


def test_the_plan_is_there_before_the_first_round(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With everything that decides. Another one is refused where it is, and nothing is lost."""

    class Plan(Callback):
        def on_run_begin(self, run: Run) -> None:
            del run
            plan = read(tmp_path / FILE)
            assert list(plan.runs.values()) == FOLDERS
            assert (plan.looks, plan.seed, plan.auto.margin, plan.auto.level) == ([8, 16], 0, 0.5, 0.05)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_auto(runs_in(tmp_path), tmp_path, [Plan()], Terminal())
    written = json.loads((tmp_path / FILE).read_text())
    assert written["comparisons"] == 2
    assert written["level_of_each_interval"] == pytest.approx(1 - 0.0143, abs=2e-4)
    for change, told in {"auto.margin=1": "auto.margin 0.5 -> 1.0", "auto.max=24": "auto.max 16 -> 24", "seed=5": "seed 0 -> 5"}.items():
        runs = [Run(compose_config(*TINY, *LOOKS, f"optimizer.lr={lr}", change), tmp_path / lr, "") for lr in FOLDERS]
        with pytest.raises(Exception, match=rf"auto\.json holds another plan \({told}"):
            train_auto(runs, tmp_path, [], Terminal())
    with pytest.raises(Exception, match="holds another plan"):
        train_auto(runs_in(tmp_path)[:2], tmp_path, [], Terminal())
    assert json.loads((tmp_path / FILE).read_text()) == written
    (tmp_path / FILE).write_text("{}")
    with pytest.raises(Exception, match="holds no plan of rounds=auto"):
        train_auto(runs_in(tmp_path), tmp_path, [], Terminal())
    capsys.readouterr()


@pytest.mark.parametrize("finished", [True, False], ids=["finished there", "let go there"])
def test_a_round_that_another_process_has(tmp_path: Path, whole: Path, finished: bool) -> None:
    """No look is taken without it: it is waited for, and trained here where the other process has let it go."""
    (first, *_) = runs_in(tmp_path)
    first.begin("serial", 1, "cpu")
    other = Store(first.directory, first.store.configuration)
    assert other.claim(3, False)
    (record,) = [record for record in records_of(whole / FOLDERS[0]) if record.row.seed == 3]

    def end() -> None:
        if finished:
            other.add(RoundResult(record.row, record.epochs, record.distances))
        else:
            other.claims.release(3)

    timer = threading.Timer(6, end)  # by then the other rounds are through, mostly
    timer.start()
    train_auto(runs_in(tmp_path), tmp_path, [], Terminal())
    timer.join()
    if not finished:
        assert results(tmp_path) == results(whole)
    assert rounds_of(tmp_path) == rounds_of(whole)


def test_a_round_that_failed_counts_as_lost(tmp_path: Path, whole: Path, run_cli: Cli) -> None:
    """Six failed rounds of eight of the one that was equivalent: it is undecided, or worse, and its job fails as it does otherwise;
    retry_failed=true trains them again, before the look at them."""
    shutil.copytree(whole, tmp_path / "sweep")
    for path in (tmp_path / "sweep").rglob("run.json"):  # as Hydra's job would find it
        assert status_of(path.parent) == "done"

    def fail(one: RoundResult) -> RoundResult:
        row = replace(one.row, status="failed", test_accuracy=None, error="broke") if one.row.seed < 6 else one.row
        return replace(one, row=row)

    change_records(tmp_path / "sweep" / "2e-07", fail)
    ended = run_cli(*SWEEP, *LOOKS)
    assert ended.code == 1
    assert "6 failed" in ended.err
    assert "34 rounds are finished already and 6 failed (" in ended.out
    assert "to train" not in ended.out  # which nobody knows
    assert "2e-07 equivalent" not in ended.out
    assert rounds_of(tmp_path / "sweep")["2e-07"] == 16
    again = run_cli(*SWEEP, *LOOKS, "retry_failed=true")
    assert again.code == 0, again.err
    assert "look 1/2, 8 rounds, 1 goes on" in again.out
    assert "2e-07 equivalent" in again.out


def test_a_single_run(run_cli: Cli, tmp_path: Path) -> None:
    """Until the interval of its median is narrower than the margin; the plan is in its folder."""
    alone = [*TINY, *LOOKS, "optimizer.lr=0.003", "hydra.run.dir=here"]
    ended = run_cli(*alone, "auto.margin=100")
    assert ended.code == 0, ended.err
    assert "look 1/2, 8 rounds, narrow: median " in ended.out
    assert seeds_of(tmp_path / "here") == list(range(8))
    plan = read(tmp_path / "here" / FILE)
    rows = [record.row for record in records_of(tmp_path / "here")]
    (look,) = follow(plan, {plan.baseline: scores(rows)})
    assert (look.verdict, look.rounds) == ("narrow", 8)
    (tmp_path / "here" / FILE).unlink()
    assert "look 2/2, 16 rounds, undecided: median " in run_cli(*alone, "auto.margin=0.1").out
    assert seeds_of(tmp_path / "here") == list(range(16))


def test_another_plan_is_refused_before_anything_is_written(run_cli: Callable[..., Ended]) -> None:
    """The command on record stays the one that was carried out."""
    given = (
        *TINY,
        "--multirun",
        "model=wsn,auxmodel",
        "rounds=auto",
        "auto.level=0.5",
        "auto.batch=2",
        "hydra.sweep.dir=s",
        "report=false",
    )
    assert run_cli(*given, "auto.max=4").code == 0
    before = Path("s/multirun.yaml").read_bytes()
    ended = run_cli(*given, "auto.max=6")
    assert ended.code == 1
    assert "auto.json holds another plan (auto.max 4 -> 6" in ended.err
    assert Path("s/multirun.yaml").read_bytes() == before


REFUSED = {
    "rounds=auto auto.margin=0": "auto.margin=0: must be a finite number, above 0",
    "rounds=auto auto.batch=10 auto.max=9": "auto.max=9: the first batch has auto.batch=10 rounds; use at least as many",
    "rounds=auto auto.batch=1 auto.max=101": "auto.batch=1: up to auto.max=101, that is over 100 looks; use at least 2",
    "rounds=auto auto.level=0": "auto.level=0: must be a finite number, above 0, at most 0.5",
    "rounds=auto test=false data.val_pairs=10": "rounds=auto: looks at test accuracies, and test=false leaves none",
    "rounds=auto data.folds=5": "rounds=auto: compares networks, and would take the folds of a cross-validation for such",
    "rounds=many": "rounds=many: must be a whole number, or auto",
    "rounds=1.5": "rounds=1.5: must be a whole number, or auto",
    "rounds=auto auto.batch=2 auto.max=4": "auto.max=4: no look could decide anything",
    "rounds=auto auto.level=0.00001": "auto.level: each comparison would have 1e-05 of it",
}
SEARCH = "a search trains the same rounds for every trial; give a number"
REFUSED_SWEEPS = {
    "seed=3,4 rounds=auto": "seed=3,4: rounds=auto trains the same seeds for every configuration, as many as it takes",
    "rounds=auto,5": "rounds=auto: all runs of the sweep need it, with the same auto.margin",
    "rounds=auto auto.margin=1,2": "rounds=auto: all runs of the sweep need it, with the same auto.margin",
    "model=net1,net2 rounds=auto hydra/launcher=basic": "rounds=auto with hydra/launcher=basic: the runs of a sweep are compared while",
    "model=net1,net2 rounds=auto hydra/sweeper=optuna data.val_pairs=10": f"rounds=auto with hydra/sweeper=optuna: {SEARCH}",
    "model=net1,net2 rounds=auto hydra/sweeper=digitcmp_optuna data.val_pairs=10": f"hydra/sweeper=digitcmp_optuna: {SEARCH}",
    "model=net1,net2 rounds=auto hydra.sweeper.max_batch_size=1": "hydra.sweeper.max_batch_size: rounds=auto compares all runs",
    "model=net1,net2 rounds=auto auto.margin=0": "auto.margin=0: must be a finite number, above 0",
    "model=net1,net2 rounds=auto auto.max=5": "auto.max=5: the first batch has auto.batch=10 rounds",
    "model=net1,net2 rounds=auto aux_weight=0.1": "aux_weight=0.1: net1 has no digit head",
    "data.target=le,same rounds=auto": "data.target=le,same: rounds=auto compares rounds of the same seed, which have other test pairs",
    "data.target=le,same rounds=auto dry_run=true": "data.target=le,same: rounds=auto compares rounds of the same seed, which have other",
    "data.fold=0,1 data.val_pairs=10 rounds=auto": "data.fold=0,1: rounds=auto compares networks, and would take folds for such",
    "data.test_pairs=40,50 rounds=auto": "data.test_pairs=40,50: rounds=auto compares rounds",
    "epochs=1,1 rounds=auto hydra.sweep.subdir=${hydra:job.num}": "rounds=auto: 0 and 1 have the same configuration; leave one out",
}


@pytest.mark.parametrize("arguments", REFUSED)
def test_a_run_that_is_refused(arguments: str, run_cli: Cli, tmp_path: Path) -> None:
    """One line that says what would be right; nothing is written but what Hydra writes."""
    ended = run_cli(*arguments.split(), "hydra.run.dir=here")
    assert (ended.code, ended.err.count("\n")) == (1, 1), ended
    assert REFUSED[arguments] in ended.err
    assert not list(tmp_path.rglob("run.json"))
    assert not list(tmp_path.rglob(FILE))


@pytest.mark.parametrize("arguments", REFUSED_SWEEPS)
def test_a_sweep_that_is_refused(arguments: str, run_cli: Cli, tmp_path: Path) -> None:
    """One line, before anything is trained; what another command has trained there is kept."""
    ended = run_cli("--multirun", *arguments.split(), "hydra.sweep.dir=sweep")
    assert (ended.code, ended.err.count("\n")) == (1, 1), ended
    assert REFUSED_SWEEPS[arguments] in ended.err
    assert not list(tmp_path.rglob("run.json"))
    assert not list(tmp_path.rglob(FILE))


def test_a_dry_run_says_what_to_expect(run_cli: Cli, tmp_path: Path, whole: Path) -> None:
    """Before anything is on record: by size of the difference. By what is on record, where there is some. Nothing is written."""
    before = run_cli("--multirun", "model=net1,net2,wsn", "rounds=auto", "dry_run=true", "hydra.sweep.dir=none")
    assert before.code == 0, before.err
    assert "a true difference of 0: about " in before.out
    assert "probably stays undecided" in before.out
    assert "30 to 300; 0 on record" in before.out
    assert "nothing was trained (dry_run=true)" in before.out
    shutil.copytree(whole, tmp_path / "sweep")
    after = run_cli(*SWEEP, *LOOKS, "dry_run=true")
    assert "2e-07 " in after.out
    assert "equivalent (100 %)" in after.out
    assert "40 on record" in after.out
    assert results(tmp_path / "sweep") == results(whole)
    assert "auto.margin 0.5 -> 1.0" in run_cli(*SWEEP, *LOOKS, "auto.margin=1", "dry_run=true").err
    alone = run_cli(*TINY, "rounds=auto", "dry_run=true", "hydra.run.dir=none")
    assert "too little is on record; with a deviation of 1.2 points" in alone.out
    assert not (tmp_path / "none" / FILE).exists()
