"""Searches from the command line: what they leave behind, how they go on, and what they say about wrong input."""

import gc
import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import optuna
import pandas as pd
import pytest
import sqlalchemy
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from optuna.trial import TrialState

from digitcmp.config.identity import differences
from digitcmp.errors import SearchError
from digitcmp.experiment.about import read_about
from digitcmp.experiment.progress import ProgressDisplay
from digitcmp.files import shipped
from digitcmp.report.frames import load_rounds
from digitcmp.runs.status import read_status
from digitcmp.search.search import check_folder, without_best
from digitcmp.search.storage import open_storage
from digitcmp.search.study import Counts
from digitcmp.search.use import where_it_is
from tests.conftest import ROOT, Ended
from tests.search.made import study_in

TINY = ["model=net2", "epochs=2", "batch_size=20", "data.train_pairs=60", "data.val_pairs=20", "data.test_pairs=20", "engine=serial"]
OURS = ["--multirun", "hydra/sweeper=digitcmp_optuna", "hydra.sweep.dir=out", *TINY]
SPACE = "optimizer.lr=tag(log,interval(0.001,0.1))"
Cli = Callable[..., Ended]


def few(trials: int) -> str:
    """So many trials."""
    return f"hydra.sweeper.n_trials={trials}"


def study(folder: Path = Path("out")) -> optuna.Study:
    """The study of a sweep's folder."""
    return study_in(f"sqlite:///{folder}/study.db", folder.name)


def states() -> list[str]:
    """How the trials ended."""
    return [trial.state.name for trial in study().trials]


def test_a_trial_of_the_official_sweeper_has_its_command(run_cli: Cli, tmp_path: Path) -> None:
    """It is not tested, whatever it was told: that is a part of its configuration."""
    official = ["--multirun", "hydra/sweeper=optuna", "hydra.sweep.dir=out", *TINY, "test=true", SPACE, "hydra.sweeper.n_trials=1"]
    assert run_cli(*official, "report=false").code == 0
    (first,) = [json.loads(path.read_text()) for path in tmp_path.glob("out/*/run.json")]
    assert run_cli(*shlex.split(first["command"])[3:], "hydra.run.dir=again").code == 0
    again = json.loads((tmp_path / "again" / "run.json").read_text())
    assert again["configuration"] == first["configuration"]


def test_the_official_sweeper_works_as_it_is(run_cli: Cli) -> None:
    """It maximises the mean validation accuracy over the run's rounds, and nothing is tested."""
    options = ["--multirun", "hydra/sweeper=optuna", "hydra.sweep.dir=out", *TINY, "rounds=2", few(4), "hydra.sweeper.n_jobs=2"]
    options += ["hydra.sweeper.storage=sqlite:///study.db", "hydra.sweeper.study_name=s"]
    ended = run_cli(*options, "optimizer.lr=interval(0.001,0.1)", "model=wsn", "aux_weight=interval(0,2)")
    assert ended.code == 0, ended.err
    found = study_in("sqlite:///study.db", "s")
    assert found.direction.name == "MAXIMIZE"
    runs = [pd.read_csv(path) for path in Path("out").glob("*/rounds.csv")]
    assert all(rounds["test_accuracy"].isna().all() and len(rounds) == 2 for rounds in runs)
    assert sorted(trial.value for trial in found.trials) == pytest.approx(sorted(rounds["val_accuracy"].mean() for rounds in runs))
    assert "best validation accuracy" in ended.out
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        gc.collect()  # the official sweeper leaves its database open, which Python 3.13 tells


def test_the_official_sweeper_without_its_storage(run_cli: Cli, tmp_path: Path) -> None:
    """A server that is not there, and a file that is no database: one line each."""
    (tmp_path / "file.db").write_text("no database, but long enough to be taken for one " * 40)
    official = ["--multirun", "hydra/sweeper=optuna", "hydra.sweep.dir=out", *TINY, SPACE, "hydra.sweeper.n_trials=1"]
    for url, told in (("postgresql://me:secret@127.0.0.1:1/x", "Connection refused"), (f"sqlite:///{tmp_path}/file.db", "not a database")):
        ended = run_cli(*official, f"hydra.sweeper.storage='{url}'")
        assert ended.code == 1
        quoted = "" if "secret" in url else f"='{url}'"
        assert ended.err.splitlines()[-1].startswith(f"digitcmp: hydra.sweeper.storage{quoted}: ")
        assert told in ended.err
        assert "Traceback" not in ended.err + ended.out
        assert "secret" not in ended.err + ended.out


@pytest.mark.parametrize("sweeper", ["optuna", "digitcmp_optuna"])
def test_a_search_needs_validation_pairs(run_cli: Cli, sweeper: str) -> None:
    """And says which key."""
    ended = run_cli("--multirun", f"hydra/sweeper={sweeper}", *TINY, "data.val_pairs=0", SPACE)
    assert ended.code == 1
    assert "data.val_pairs=200" in ended.err.splitlines()[-1]


def test_a_search_and_what_it_leaves(run_cli: Cli) -> None:
    """Trials with the same seeds, never tested; a table, figures, a recipe that composes to the best trial's configuration."""
    space = ["optimizer=choice(adam,sgd)", SPACE, "aux_weight=interval(0,1)", "model=wsn", "rounds=2", "model.dropout=choice(0,0.3)"]
    ended = run_cli(*OURS, *space, few(6), "hydra.sweeper.pruners.median={n_startup_trials:2,warmup:1}")
    assert ended.code == 0, ended.err
    assert "Trials: 6 of 6" in ended.out
    best = study().best_trial
    for folder in sorted(Path("out").glob("trial_*")):
        about = read_about(folder)
        assert about["seeds"] == [0, 1]
        assert about["configuration"]["test"] is False
        assert about["status"] in ("done", "pruned")
    summary = Path("out/summary")
    assert {"search.md", "trials.csv", "history.png", "slices.svg"} <= {path.name for path in summary.iterdir()}
    table = pd.read_csv(summary / "trials.csv")
    assert list(table["state"]) == [state.lower() for state in states()]
    assert table["best"].iloc[-1] == pytest.approx(best.value)
    assert "optuna-dashboard sqlite:///out/study.db" in (summary / "search.md").read_text()
    picked = f"Picked by these rounds out of {states().count('COMPLETE')} complete trials, so that its accuracy is too good on average"
    assert all(picked in text for text in ((summary / "search.md").read_text(), Path("out/best.yaml").read_text(), ended.out))
    before = read_status(Path("out")).counts
    shutil.rmtree(f"out/trial_{(best.number + 1) % 6:04d}")  # whoever removes a trial of a search that is through does not want it again
    assert before["missing"] == read_status(Path("out")).counts["missing"] == 0

    Path("my/experiment").mkdir(parents=True)
    Path("my/experiment/found.yaml").write_text(Path("out/best.yaml").read_text())
    done = run_cli("--config-dir", "my", "+experiment=found", "hydra.run.dir=again", "data.val_pairs=20", "test=false", "rounds=2")
    assert done.code == 0, done.err
    again, trial = read_about(Path("again")), read_about(Path(f"out/trial_{best.number:04d}"))
    assert again["configuration_hash"] == trial["configuration_hash"], differences(trial["configuration"], again["configuration"])
    assert pd.read_csv("again/rounds.csv")["val_accuracy"].mean() == pytest.approx(best.value)
    (said,) = [line for line in Path("out/best.yaml").read_text().splitlines() if line.startswith("# Use: ")]
    assert run_cli(*shlex.split(said.partition("; or ")[2]), "--cfg", "job").code == 0


@pytest.mark.parametrize(
    "name",
    ["out", "search_wsn-2", "_", "1", "10-20-30_lr", "a=b", "a b", "a,b", "a@b", "ü", "a.b", "+a", "$a", "x'y", "seed", "model"],
)
def test_how_best_yaml_is_used_where_it_is(run_cli: Cli, tmp_path: Path, name: str) -> None:
    """What is said does what it says; nothing is said where Hydra would not take it."""
    folder = tmp_path / "with blanks" / name
    folder.mkdir(parents=True)
    (folder / "best.yaml").write_text("# @package _global_\nepochs: 7\n")
    said = shlex.split(where_it_is(folder))
    ended = run_cli(*(said or ["--config-dir", str(folder.parent), f"+{name}=best"]), "--cfg", "job")
    assert (ended.code == 0 and "epochs: 7" in ended.out) == bool(said), ended.err


@pytest.mark.parametrize("name", [path.name for path in (*sorted(shipped("conf").iterdir()), shipped("sweeps")) if path.is_dir()])
def test_best_yaml_in_a_folder_called_as_a_group(name: str) -> None:
    """Is no choice of that group: a choice of it is made already, means another kind of file, or is another file called best."""
    assert not where_it_is(Path("out", name))


def test_rounds_that_end_early(run_cli: Cli) -> None:
    """They are reported up to the last step of a trial, which is its objective; the epochs that were trained are counted."""
    arguments = [SPACE, few(2), "rounds=2", "epochs=6", "stopping.patience=1"]
    ended = run_cli(*OURS, *arguments, "hydra.sweeper.pruners.median.n_startup_trials=9")
    assert ended.code == 0, ended.err
    trained = [len(pd.read_csv(folder / "epochs.csv")) for folder in sorted(Path("out").glob("trial_*"))]
    assert min(trained) < 12
    assert list(pd.read_csv("out/summary/trials.csv")["epochs"]) == trained
    assert f"{sum(trained)} trained instead of 24 without pruning and stopping.patience" in ended.out
    for trial in study().trials:
        assert list(trial.intermediate_values) == list(range(1, 13))
        assert trial.intermediate_values[12] == pytest.approx(trial.value)


def test_n_trials_is_the_total(run_cli: Cli) -> None:
    """The same command does nothing more; a larger total goes on; different points come, although the seed is the same."""
    for trials in (3, 3, 5):
        ended = run_cli(*OURS, SPACE, few(trials), "report=false")
        assert ended.code == 0, ended.err
        assert len(states()) == trials
    values = [trial.params["optimizer.lr"] for trial in study().trials]
    assert len(set(values)) == 5


def test_starting_points_that_came_late_are_told(run_cli: Cli) -> None:
    """They wait where n_trials is reached already, and the number that is told begins them; so do those that time has left no room for."""
    points = [f"{{optimizer.lr: {rate}}}" for rate in (0.01, 0.02, 0.03)]
    search = [*OURS, SPACE, "report=false", "hydra.sweeper.pruner=none"]
    enqueued = [f"hydra.sweeper.enqueue=[{','.join(points[:number])}]" for number in range(4)]
    ended = run_cli(*search, enqueued[1], few(2))
    assert "Trials: 2 of 2: 2 complete, 0 pruned; 0 failed, 0 running.\n" in ended.out
    told = "Trials: 2 of 1: 2 complete, 0 pruned; 0 failed, 0 running, 2 waiting, which hydra.sweeper.n_trials=4 begins.\n"
    ended = run_cli(*search, enqueued[3], few(1))
    assert told in ended.out
    assert told in Path("out/summary/search.md").read_text()
    assert "0 running, 2 waiting.\n" in run_cli(*search, enqueued[3], few(5), "hydra.sweeper.timeout=0.000001").out
    ended = run_cli(*search, enqueued[3], few(4))
    assert "Trials: 4 of 4: 4 complete, 0 pruned; 0 failed, 0 running.\n" in ended.out
    assert [trial.params["optimizer.lr"] for trial in study().trials][2:] == [0.02, 0.03]


def test_starting_points_come_first_and_are_confirmed_on_fresh_seeds(run_cli: Cli) -> None:
    """The best and the first starting point, tested on seeds that no trial has seen, with all training pairs."""
    options = ["rounds=2", few(3), "hydra.sweeper.confirm=3", "hydra.sweeper.enqueue=[{optimizer.lr:0.0005},{optimizer.lr:0.05}]"]
    ended = run_cli(*OURS, "optimizer.lr=tag(log,interval(0.0001,0.1))", *options, "epochs=4")
    assert ended.code == 0, ended.err
    assert [trial.params["optimizer.lr"] for trial in study().trials][:2] == [0.0005, 0.05]
    folders = sorted(path.parent for path in Path("out/confirm").glob("*/run.json"))
    assert folders[-1].name == "start"
    for folder in folders:
        about = read_about(folder)
        assert about["seeds"] == [2, 3, 4]
        assert (about["configuration"]["test"], about["configuration"]["data"]["val_pairs"]) == (True, 0)
    assert read_about(folders[-1])["configuration"]["optimizer"]["lr"] == 0.0005
    text = Path("out/summary/search.md").read_text()
    assert "3 fresh rounds (seeds 2 to 4)" in text
    assert len(folders) == 1 or "Paired difference, best minus start" in text


def test_what_goes_by_validation_is_confirmed_as_it_was_found(run_cli: Cli) -> None:
    """With as many pairs held out, without which it could not be trained; and so is the recipe that it leaves."""
    ended = run_cli(*OURS, SPACE, few(2), "hydra.sweeper.confirm=2", "stopping.best=true")
    assert ended.code == 0, ended.err
    pairs = read_about(Path("out/trial_0000"))["configuration"]["data"]["val_pairs"]
    about = read_about(Path("out/confirm/start"))
    assert (about["configuration"]["test"], about["configuration"]["data"]["val_pairs"]) == (True, pairs)
    assert "(seeds 1 to 2), as many pairs held out as in the trials" in Path("out/summary/search.md").read_text()
    assert f"val_pairs: {pairs}" in Path("out/best.yaml").read_text()
    fewer = run_cli(*OURS, SPACE, few(2), "hydra.sweeper.confirm=1", "stopping.best=true", "report=false")
    assert fewer.code == 0, fewer.err
    assert "2 fresh rounds (seeds 1 to 2), as many" in Path("out/summary/search.md").read_text()  # those on record


def test_one_set_of_pairs_is_told_where_it_is_confirmed(run_cli: Cli) -> None:
    """data.seed, without finalists: the search is as it was typed, and its page says what its intervals are about."""
    options = [SPACE, few(2), "hydra.sweeper.confirm=2", "data.seed=5", "report=false"]
    ended = run_cli(*OURS, *options)
    assert ended.code == 0, ended.err
    text = Path("out/summary/search.md").read_text()
    assert "All rounds have the pairs of data.seed=5, and the seeds differ in their weights alone: intervals say nothing" in text


def test_other_launchers_run_without_pruning(run_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hydra's own launcher, as many trials at a time as n_jobs says, whatever workers they have; a pruner is refused there."""
    refused = run_cli(*OURS, SPACE, "hydra/launcher=basic")
    assert refused.code == 1
    assert refused.err.startswith("digitcmp: hydra.sweeper.pruner=median: pruning needs hydra/launcher=digitcmp")
    given, before = list[int](), BasicLauncher.launch

    def launch(self: BasicLauncher, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Any:
        given.append(len(job_overrides))
        return before(self, job_overrides, initial_job_idx)

    monkeypatch.setattr(BasicLauncher, "launch", launch)
    options = ["hydra/launcher=basic", "hydra.sweeper.pruner=none", "hydra.sweeper.n_jobs=2", "report=false"]
    ended = run_cli(*OURS, SPACE, *options, few(3), "workers=1")
    assert ended.code == 0, ended.err
    assert states() == ["COMPLETE"] * 3
    assert given == [2, 1]
    assert "hydra.sweeper.n_jobs=2: digitcmp's launcher begins trials as there is room" in run_cli(*OURS, SPACE, options[2]).err


def test_a_failed_trial_does_not_end_a_search(run_cli: Cli) -> None:
    """A learning rate that diverges: that trial has failed, with its reason; the others count."""
    start = "hydra.sweeper.enqueue=[{optimizer.lr:1e30},{optimizer.lr:0.01},{optimizer.lr:0.02}]"
    ended = run_cli(*OURS, "optimizer=sgd", "optimizer.lr=choice(1e30,0.01,0.02)", start, few(2), "report=false", "hydra.sweeper.seed=1")
    assert ended.code == 0, ended.err
    assert states() == ["FAIL", "COMPLETE", "COMPLETE"]
    assert "nan" in study().trials[0].user_attrs["reason"] or "infinite" in study().trials[0].user_attrs["reason"]


@pytest.mark.parametrize("engine", [["engine=serial"], ["engine=processes", "workers=2"], ["engine=stacked"]], ids=" ".join)
def test_a_trial_whose_loss_became_nan_is_failed_everywhere(run_cli: Cli, engine: list[str]) -> None:
    """Its round is on record with the reason; the run is no pruned one, which would be removed, and lacks nothing that anybody trains."""
    start = "hydra.sweeper.enqueue=[{optimizer.lr:1e30},{optimizer.lr:0.01},{optimizer.lr:0.02}]"
    more = ["optimizer=sgd", "optimizer.lr=choice(1e30,0.01,0.02)", start, "rounds=3", "report=false", *engine]
    ended = run_cli(*OURS, *more, few(2))
    assert ended.code == 0, ended.err
    assert states() == ["FAIL", "COMPLETE", "COMPLETE"]
    assert "the loss became nan" in study().trials[0].user_attrs["reason"]
    found = read_status(Path("out"))
    assert [run.state for run in found.runs] == ["failed", "done", "done"]
    failed = found.runs[0]
    assert json.loads((failed.folder / "run.json").read_text())["status"] == "failed"
    assert failed.failed >= 1
    assert "the loss became nan" in next(row.error for row in failed.rows if row.status == "failed")
    assert not failed.missing
    assert found.epochs_left == 0


def test_when_all_trials_fail_there_is_no_best(run_cli: Cli) -> None:
    """It says so and why, with exit code 1, after as many failures as there should have been trials."""
    ended = run_cli(*OURS, "optimizer=sgd", "optimizer.lr=choice(1e30,1e31)", few(3))
    assert ended.code == 1
    assert ended.err.splitlines()[-1].startswith("digitcmp: failed: all of 3 trials, so there is no best one: seed 0: the ")
    assert states() == ["FAIL"] * 3
    assert not Path("out/best.yaml").exists()


def test_when_all_trials_are_pruned_there_is_no_best(run_cli: Cli) -> None:
    """It says so, and with what the same command goes on; it does."""
    halving = ["hydra.sweeper.pruner=successive_halving", "hydra.sweeper.pruners.successive_halving.min_resource=1"]
    search = [*OURS, SPACE, *halving, "hydra.sweeper.pruners.successive_halving.bootstrap_count=9", "report=false"]
    ended = run_cli(*search, few(2))
    assert ended.code == 1
    told = re.fullmatch(
        "digitcmp: all of 2 trials were pruned, so there is no best one; the same command goes on with (.*) and (.*)",
        ended.err.splitlines()[-1],
    )
    assert told, ended.err
    assert states() == ["PRUNED", "PRUNED"]
    assert run_cli(*search, *told.groups()).code == 0
    assert states() == ["PRUNED", "PRUNED", "COMPLETE", "COMPLETE"]


def test_when_trials_failed_or_were_pruned_there_is_no_best(run_cli: Cli) -> None:
    """How many of each, and with what the same command goes on; it does."""
    halving = ["hydra.sweeper.pruner=successive_halving", "hydra.sweeper.pruners.successive_halving.min_resource=1"]
    points = "hydra.sweeper.enqueue=[{optimizer.lr:0.01},{optimizer.lr:1e30},{optimizer.lr:0.02}]"
    search = [*OURS, "optimizer=sgd", "optimizer.lr=choice(0.01,1e30,0.02)", points, *halving, few(2), "report=false"]
    search += ["hydra.sweeper.pruners.successive_halving.bootstrap_count=9"]
    ended = run_cli(*search, "hydra.sweeper.max_failed=1")
    assert ended.code == 1
    told = re.fullmatch(
        "digitcmp: none of 2 trials is complete, 1 pruned and 1 failed, so there is no best one; the same command goes on with "
        "(.*) and (.*); the last one failed: seed 0: the loss became nan in epoch 1",
        ended.err.splitlines()[-1],
    )
    assert told, ended.err
    assert run_cli(*search, *told.groups()).code == 0
    assert states() == ["PRUNED", "FAIL", "COMPLETE"]


@pytest.mark.parametrize(
    ("counts", "max_failed", "said"),
    [
        ((0, 2, 3), 9, "none of 5 trials is complete, 2 pruned and 3 failed, {}n_trials=4 and hydra.sweeper.pruner=none; the last one"),
        ((0, 2, 3), 3, "none of 5 trials is complete, 2 pruned and 3 failed, {}n_trials=4, hydra.sweeper.max_failed=6 and hydra.sweeper."),
        ((0, 2, 0), 3, "all of 2 trials were pruned, {}n_trials=4 and hydra.sweeper.pruner=none"),
        ((0, 0, 3), 3, "failed: all of 3 trials, so there is no best one: because"),
        ((0, 1, 1), 3, "no trial is complete yet (1 pruned, 1 failed: because), so there is no best one; the same command goes on"),
        ((0, 1, 0), 3, "no trial is complete yet, so there is no best one; the same command goes on"),
    ],
)
def test_why_there_is_no_best(counts: tuple[int, int, int], max_failed: int, said: str) -> None:
    """And what helps, of a search for two trials: only what is needed for it to go on."""
    settings = SimpleNamespace(n_trials=2)
    found = without_best(Counts(*counts, 0, 0, 0), cast(Any, SimpleNamespace(settings=settings, max_failed=max_failed)), "because")
    assert found.startswith(said.format("so there is no best one; the same command goes on with hydra.sweeper."))


def test_what_wilcoxon_prunes_is_listed_with_the_mean_of_its_rounds(run_cli: Cli) -> None:
    """Not with its last round alone, which is what Optuna was told last."""
    wilcoxon = ["hydra.sweeper.pruner=wilcoxon", "hydra.sweeper.pruners.wilcoxon.p_threshold=1", "hydra.sweeper.seed=2"]
    more = ["rounds=4", "report=false", "hydra.sweeper.enqueue=[{optimizer.lr:0.05},{optimizer.lr:0.001}]"]
    assert run_cli(*OURS, "optimizer=sgd", "optimizer.lr=interval(0.0001,0.1)", *wilcoxon, *more, few(5)).code == 0
    table = pd.read_csv("out/summary/trials.csv")
    pruned = table[table["state"] == "pruned"]
    assert len(pruned) > 0
    on_record = {number: load_rounds(Path(f"out/trial_{number:04d}"))["val_accuracy"] for number in pruned["trial"]}
    assert all(len(values.dropna()) >= 2 for values in on_record.values())
    assert pruned["value"].tolist() == pytest.approx([values.mean() for values in on_record.values()], abs=1e-6)


def test_a_search_that_minimises(run_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its best is the lowest wherever there is one: in the live line, which goes on from what there was, in the final, in best.yaml, in the
    table, and in what another terminal shows."""
    seen: list[tuple[float | None, bool]] = []
    of_search = ProgressDisplay.of_search

    def told(*arguments: Any) -> ProgressDisplay:
        seen.append((arguments[3], arguments[5]))
        return of_search(*arguments)

    monkeypatch.setattr(ProgressDisplay, "of_search", told)
    options = [*OURS, SPACE, "optimizer=sgd", "hydra.sweeper.direction=minimize", "hydra.sweeper.pruner=none", "report=false"]
    assert run_cli(*options, few(3)).code == 0
    values = [trial.value for trial in study().trials]
    lowest = values.index(min(values))
    assert len(set(values)) > 1
    found = read_status(Path("out")).best
    assert found is not None
    assert found.folder.name == f"trial_{lowest:04d}"
    assert f"# Trial {lowest} of 3" in Path("out/best.yaml").read_text()
    assert pd.read_csv("out/summary/trials.csv")["best"].iloc[-1] == min(values)
    assert run_cli(*options, few(4), "hydra.sweeper.finalists=2", "hydra.sweeper.finalist_rounds=1").code == 0
    assert seen[:2] == [(None, True), (min(values), True)]
    assert all(less for _, less in seen)


LENGTHS = ["epochs=choice(2,5,1)", "hydra.sweeper.enqueue=[{epochs:2},{epochs:5},{epochs:1}]", "rounds=3", "report=false"]


@pytest.mark.parametrize("pruner", ["none", "wilcoxon"])
def test_epochs_that_are_searched(run_cli: Cli, pruner: str) -> None:
    """Rounds are compared by their last epochs, in the trials as in the final, also where these are more or fewer than the start has; the
    table has the epochs that were trained, and those that were suggested; what pruning saved is counted by each trial's own."""
    final = ["hydra.sweeper.finalists=3", "hydra.sweeper.finalist_rounds=2"]
    assert run_cli(*OURS, *LENGTHS, few(3), *final, f"hydra.sweeper.pruner={pruner}").code == 0
    met = study_in("sqlite:///out/study.db", "out-final-2").trials
    judged = [(Path(f"out/finalists/trial_{one.user_attrs['trial']:04d}"), one) for one in met]
    if pruner == "wilcoxon":
        judged += [(Path(f"out/trial_{one.number:04d}"), one) for one in study().trials]
    for folder, one in judged:
        accuracies = load_rounds(folder)["val_accuracy"].tolist()
        assert len(pd.read_csv(folder / "epochs.csv")) == one.params["epochs"] * len(accuracies)
        assert [one.intermediate_values[step] for step in range(len(accuracies))] == pytest.approx(accuracies)
        assert [*one.user_attrs["values"].values()] == pytest.approx(accuracies)
    table = pd.read_csv("out/summary/trials.csv")
    assert table["params_epochs"].tolist() == [2, 5, 1]
    assert table["epochs"].tolist() == [6, 15, 3]
    page = Path("out/summary/search.md").read_text()
    assert "Epochs: 24 trained instead of 24 without pruning: 0.0% saved" in page
    assert "3 rounds (seeds 0 to 2) of 1 to 5 epochs" in page


def test_recipes_of_different_length(run_cli: Cli) -> None:
    """Are epochs that are searched, whatever the key is called."""
    whole = [argument for argument in OURS if not argument.startswith("epochs=")]
    ended = run_cli(*whole, "+experiment=choice(net2,wsn)", few(2))
    assert (ended.code, ended.err.splitlines()[-1]) == (
        1,
        "digitcmp: epochs: trials of different length cannot be compared epoch by epoch, as pruner=median does; "
        "use hydra.sweeper.pruner=none or wilcoxon",
    )


def test_a_starting_point_that_leaves_something_out(run_cli: Cli) -> None:
    """The first one is tried as it is compared: with the lowest values of what it leaves out. It is in the final, then."""
    space = [
        SPACE,
        "optimizer.momentum=interval(0.5,0.9)",
        "optimizer=sgd",
        "hydra.sweeper.enqueue=[{optimizer.lr:0.0123},{optimizer.lr:0.02}]",
    ]
    assert run_cli(*OURS, *space, few(4), "hydra.sweeper.finalists=2", "hydra.sweeper.finalist_rounds=1", "report=false").code == 0
    first, second, *_ = study().trials
    assert first.params == {"optimizer.lr": 0.0123, "optimizer.momentum": 0.5}
    assert second.params["optimizer.lr"] == 0.02
    assert json.loads(Path("out/finalists/final.json").read_text())["trials"][0] == 0


SWEEP = """# @package _global_
# python -m digitcmp --config-dir my --multirun +sweeps=search_mine
# A start that says null and true.
defaults: [override /hydra/sweeper: digitcmp_optuna]
hydra:
  sweep: {dir: elsewhere}
  sweeper:
    n_trials: 2
    params: {stopping.patience: "null,3", stopping.best: "false,true"}
    enqueue:
      - {stopping.patience: null, stopping.best: true}
      - {stopping.patience: 3}
"""
TYPED = [*OURS, "stopping.patience=null,3", "stopping.best=false,true", few(2)]
TYPED += ["hydra.sweeper.enqueue=[{stopping.patience: null, stopping.best: true},{stopping.patience: 3}]"]


@pytest.mark.parametrize(
    "command",
    [TYPED, ["--config-dir", "my", "--multirun", "+sweeps=search_mine", "hydra.sweep.dir=out", *TINY]],
    ids=["typed", "in a file"],
)
def test_null_and_true_as_starting_points(run_cli: Cli, command: list[str]) -> None:
    """They are the values that they are, in the trial and in the recipe of the best one."""
    Path("my/sweeps").mkdir(parents=True)
    Path("my/sweeps/search_mine.yaml").write_text(SWEEP)
    ended = run_cli(*command, "report=false")
    assert ended.code == 0, ended.err
    stopping = [read_about(Path(f"out/trial_000{number}"))["configuration"]["stopping"] for number in (0, 1)]
    assert (stopping[0]["patience"], stopping[0]["best"], stopping[1]["patience"]) == (None, True, 3)
    told = [line for line in Path("out/summary/search.md").read_text().splitlines() if line.startswith("| stopping.patience")]
    assert [line.split("|")[3].strip() for line in told] == ["null"]
    (best,) = {number for number in (0, 1) if f"# Trial {number} of" in Path("out/best.yaml").read_text()}
    composed = run_cli("--config-dir", ".", "+out=best", "--cfg", "job", "--package", "stopping")
    assert composed.code == 0, composed.err
    assert f"patience: {'null' if best == 0 else 3}\n" in composed.out


def test_a_time_budget(run_cli: Cli) -> None:
    """No trial is begun after it; what there is is reported, and the same command goes on."""
    ended = run_cli(*OURS, SPACE, few(1000), "hydra.sweeper.timeout=1.5", "report=false")
    assert ended.code == 0, ended.err
    before = len(states())
    assert 1 <= before < 100
    assert states().count("RUNNING") == 0
    run_cli(*OURS, SPACE, few(before + 1), "report=false")
    assert len(states()) == before + 1


def test_a_dry_run_shows_the_space(run_cli: Cli) -> None:
    """And makes nothing."""
    ended = run_cli(*OURS, SPACE, "dry_run=true")
    assert ended.code == 0, ended.err
    assert "optimizer.lr: 0.001 to 0.1, logarithmic" in ended.out
    assert re.search(
        r"; about .* with \d+ at a time, at the pace of a short round of its start, less what is pruned; nothing was trained", ended.out
    )
    assert not Path("out").exists()


COMMAND = [sys.executable, "-m", "digitcmp", *OURS, SPACE, "report=false", "rounds=2"]


def spawn(folder: Path, trials: int) -> "subprocess.Popen[str]":
    """A search in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([*COMMAND, few(trials)], cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def wait_for_trials(folder: Path, begun: int) -> None:
    """Wait until so many trials have a folder."""
    end = time.monotonic() + 120
    while len(list(folder.glob("out/trial_*/run.json"))) < begun:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_killed_at_random_moments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """kill -9, three times; the command, given again, ends with exactly n_trials."""
    chance = random.Random(0)
    for _ in range(3):
        search, before = spawn(tmp_path, 10), len(list(tmp_path.glob("out/trial_*/run.json")))
        wait_for_trials(tmp_path, before + 1)
        time.sleep(0.3 * chance.random())
        search.kill()
        search.communicate()
    search = spawn(tmp_path, 10)
    _, errors = search.communicate()
    assert search.returncode == 0, errors
    monkeypatch.chdir(tmp_path)
    assert len(states()) == 10
    assert set(states()) <= {"COMPLETE", "PRUNED"}
    for trial in study().get_trials(states=(TrialState.COMPLETE,)):
        rounds = pd.read_csv(f"out/trial_{trial.number:04d}/rounds.csv")
        assert trial.value == pytest.approx(rounds["val_accuracy"].mean())
        assert len(trial.intermediate_values) == 4


def test_ctrl_c_leaves_a_study_that_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trial in flight is back in the queue; exit code 130; the same command goes on with it."""
    search = spawn(tmp_path, 200)
    wait_for_trials(tmp_path, 3)
    search.send_signal(signal.SIGINT)
    _, errors = search.communicate()
    assert search.returncode == 130, errors
    assert "interrupted" in errors
    assert "Traceback" not in errors
    monkeypatch.chdir(tmp_path)
    left = states()
    assert "RUNNING" not in left
    assert "FAIL" not in left
    search = spawn(tmp_path, len(left))
    assert search.wait() == 0
    search.communicate()
    assert set(states()) <= {"COMPLETE", "PRUNED"}
    assert len(states()) == len(left)


WRONG = [
    (["hydra.sweeper.sampler=tpee", SPACE], "hydra.sweeper.sampler=tpee: choose one of tpe, random, qmc, gp, cmaes"),
    (["hydra.sweeper.pruner=medium", SPACE], "hydra.sweeper.pruner=medium: choose one of none, median"),
    (["hydra.sweeper.samplers.tpe.n_start=3", SPACE], "hydra.sweeper.samplers.tpe.n_start=3: there is no such key"),
    (["hydra.sweeper.pruners.median.warmup=-1", SPACE], "hydra.sweeper.pruners.median.warmup=-1: must be a whole number, at least 0"),
    (["hydra.sweeper.pruner=hyperband", SPACE], "hydra.sweeper.pruners.hyperband.min_resource=5: a trial has 2 steps"),
    (["optimizer.lr=interval(1,0)"], "optimizer.lr=interval(1,0): this space cannot be searched (`low <= high` must hold"),
    (["optimizer.lr=choice()"], "optimizer.lr=choice()"),
    (["stopping.patience=choice(null,3)"], "stopping.patience=choice(null,3): choice() takes no null; write stopping.patience=null,3"),
    (["optimizer.learning=interval(0,1)"], "optimizer.learning"),
    (["optimizer=sgd,adma"], "optimizer=adma: there is no such choice (did you mean adam?)"),
    (["optimizer.momentum=interval(0,1)", "optimizer=adam"], "optimizer.momentum"),
    (["seed=range(5)"], "seed=range(5): every trial is trained on the same seeds; rounds=R"),
    (["epochs=range(2,5)"], "epochs: trials of different length cannot be compared epoch by epoch, as pruner=median does"),
    ([SPACE, "test=true"], "test=true: a search never looks at the test pairs"),
    ([SPACE, few(0)], "hydra.sweeper.n_trials=0: must be a whole number, at least 1"),
    ([SPACE, few(10**12)], "hydra.sweeper.n_trials=1000000000000: must be a whole number, at least 1, at most 100,000"),
    ([SPACE, "hydra.sweeper.finalists=30"], "hydra.sweeper.finalists=30: there are n_trials=20 to choose them from; use at most as many"),
    ([SPACE, "hydra.sweeper.finalists=2", f"seed={2**53}"], f"seed={2**53}: the finalists' seeds begin 2,000,000 further"),
    (
        [SPACE, "hydra.sweeper.finalists=2", "data.seed=5"],
        "data.seed=5: all rounds have the same pairs, so that finalists would meet on",
    ),
    (["data.seed=choice(0,1)"], "data.seed=choice(0,1): every trial is trained on the same pairs; give their seed once"),
    (["data.fold=choice(0,1)"], "data.fold=choice(0,1): every trial is judged on the same part of the pairs"),
    (["data.target=choice(le,same)"], "data.target=choice(le,same): trials are compared by the same validation pairs"),
    (["data.imbalance=choice(1,0.1)"], "data.imbalance=choice(1,0.1): trials are compared by the same validation pairs"),
    (["data.val_pairs=choice(10,20)"], "data.val_pairs=choice(10,20): trials are compared by the same validation pairs"),
    (["data=choice(digits,mnist)"], "data=choice(digits,mnist): trials are compared by the same validation pairs"),
    ([SPACE, "hydra.sweeper.finalists=1"], "hydra.sweeper.finalists=1: nothing to compare; use 2 or more, or 0 for none"),
    ([SPACE, "hydra.sweeper.finalist_rounds=0"], "hydra.sweeper.finalist_rounds=0: must be a whole number, at least 1"),
    ([SPACE, "hydra.sweeper.direction=up"], "hydra.sweeper.direction=up: choose one of maximize, minimize"),
    ([SPACE, "hydra.sweeper.enqueue=[{lr:1}]"], "enqueue lr=1: this key is not searched; searched are optimizer.lr"),
    ([], "there is nothing to search"),
    ([SPACE, "hydra.sweeper.storage=redis://localhost"], "storage=redis://localhost: use sqlite:///FILE, journal:///FILE or postgresql://"),
    ([SPACE, "hydra.sweeper.storage=study.db"], "storage=study.db: use sqlite:///FILE"),
    (
        [SPACE, "hydra.sweeper.storage=journal:///tmp/x/j.log"],
        "one from the root give journal:////tmp/x/j.log, for this one journal:///./tmp",
    ),
    ([SPACE, "hydra.sweeper.storage=sqlite:////proc/study.db"], "/proc/study.db"),
    ([SPACE, "hydra.sweeper.storage='postgresql://me:secret@127.0.0.1:1/x'"], "storage=postgresql://me:***@127.0.0.1:1/x: "),
    ([SPACE, "optimizer.lr=-1"], "there is nothing to search"),
    ([SPACE, "hydra.sweeper.wibble=1"], "hydra.sweeper.wibble"),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG, ids=[" ".join(arguments) or "nothing" for arguments, _ in WRONG])
def test_wrong_input_is_told_in_one_line(run_cli: Cli, arguments: list[str], words: str) -> None:
    """The value, and what would be right; exit code 1."""
    ended = run_cli(*OURS, *arguments)
    assert ended.code == 1
    assert words in ended.err
    assert len(ended.err.splitlines()) == 1, ended.err
    assert ended.err.startswith("digitcmp: ")


STORAGES = [(arguments, words) for arguments, words in WRONG if "use sqlite:///FILE" in words or "one from the root" in words]


@pytest.mark.parametrize("what", ["dry_run=true", "preview=true"])
@pytest.mark.parametrize(("arguments", "words"), STORAGES, ids=str)
def test_a_storage_that_a_dry_run_and_a_preview_do_not_open(run_cli: Cli, arguments: list[str], words: str, what: str) -> None:
    """They promise nothing that the search itself would refuse, but for what a database says when it is opened."""
    ended = run_cli(*OURS, *arguments, what)
    assert (ended.code, words in ended.err, len(ended.err.splitlines())) == (1, True, 1), ended.err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["optimizer.lr=interval(0.001,0.2)"], "has another search space"),
        (["hydra.sweeper.direction=minimize"], "hydra.sweeper.direction=minimize: the study out in sqlite:///out/study.db is to maximize"),
        (["epochs=3"], "has another configuration (epochs 2 -> 3)"),
        (["rounds=3"], "has other seeds"),
        (["hydra.sweeper.pruner=wilcoxon"], "has other steps (steps epochs -> rounds)"),
    ],
)
def test_another_search_in_the_same_study(run_cli: Cli, change: list[str], words: str) -> None:
    """Trials that could not be compared are not mixed."""
    assert run_cli(*OURS, SPACE, few(1), "report=false").code == 0
    ended = run_cli(*OURS, SPACE, few(2), *change)
    assert ended.code == 1
    assert words in ended.err
    assert "choose another hydra.sweep.dir" in ended.err


def test_a_study_made_by_something_else(run_cli: Cli) -> None:
    """Its trials are not taken for ours."""
    Path("out").mkdir()
    with open_storage("sqlite:///out/study.db") as storage:
        made = optuna.create_study(study_name="out", storage=storage.backend, direction="maximize")
        made.optimize(lambda trial: trial.suggest_float("optimizer.lr", 0.001, 0.1), n_trials=1)
    ended = run_cli(*OURS, SPACE)
    assert ended.code == 1
    assert "the study out in sqlite:///out/study.db was not made by hydra/sweeper=digitcmp_optuna" in ended.err
    assert study().metric_names is None  # nothing is written to it


def test_a_study_of_several_objectives(run_cli: Cli) -> None:
    """Of somebody else's, under the name of ours."""
    Path("out").mkdir()
    with open_storage("sqlite:///out/study.db") as storage:
        optuna.create_study(study_name="out", storage=storage.backend, directions=["maximize", "minimize"])
    ended = run_cli(*OURS, SPACE)
    assert ended.code == 1
    assert ended.err.splitlines()[-1] == (
        "digitcmp: the study out in sqlite:///out/study.db has 2 objectives; choose another hydra.sweep.dir"
    )


@pytest.mark.parametrize(
    ("version", "words"),
    [("v3.0.0.d", "; run optuna storage upgrade --storage sqlite:///out/study.db\n"), ("v99", "install a newer Optuna")],
)
def test_a_schema_of_another_optuna(run_cli: Cli, version: str, words: str) -> None:
    """The command that upgrades it."""
    Path("out").mkdir()
    with open_storage("sqlite:///out/study.db") as storage:
        optuna.create_study(study_name="out", storage=storage.backend)
    engine = sqlalchemy.create_engine("sqlite:///out/study.db")
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text(f"UPDATE alembic_version SET version_num = '{version}'"))
    engine.dispose()
    ended = run_cli(*OURS, SPACE)
    assert ended.code == 1
    assert "storage=sqlite:///out/study.db: its tables are of another Optuna version" in ended.err
    assert words in ended.err


def test_a_file_that_is_no_database(run_cli: Cli) -> None:
    """One line."""
    Path("out").mkdir()
    Path("out/study.db").write_text("this is a text\n" * 100)
    ended = run_cli(*OURS, SPACE)
    assert ended.code == 1
    assert ended.err == "digitcmp: storage=sqlite:///out/study.db: file is not a database; is it there, and may it be written?\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere (the folder /proc above is read-only for root, too)")
def test_a_read_only_folder(run_cli: Cli) -> None:
    """One line."""
    Path("out").mkdir(mode=0o555)
    ended = run_cli(*OURS, SPACE)
    assert ended.code == 1
    assert "out/study.db" in ended.err
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize("text", ["", "hydra: [", "hydra: {sweeper: }"])
def test_trials_beside_a_file_that_says_of_no_study(tmp_path: Path, text: str) -> None:
    """One line, with what can be done, and no trace."""
    (tmp_path / "trial_0000").mkdir()
    (tmp_path / "multirun.yaml").write_text(text)
    with pytest.raises(SearchError, match=r"multirun.yaml does not say of which study"):
        check_folder(tmp_path, "one")
