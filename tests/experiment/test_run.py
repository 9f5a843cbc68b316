"""Whole runs: files, reproducibility, engines, failures, saved networks."""

import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from rich.console import Console

import digitcmp
from digitcmp.config.schema import Config
from digitcmp.data.sources import load
from digitcmp.errors import RunError
from digitcmp.experiment.executors import choose, serial
from digitcmp.experiment.progress import ProgressDisplay
from digitcmp.experiment.run import Run, objective
from digitcmp.report.frames import read_sweep
from digitcmp.train.results import EpochRow
from tests.conftest import MNIST_ROOT, ROOT, Ended, compose_config, needs_mnist
from tests.experiment.made import change_configuration, distances_of, epochs_of, status_of, train_run, without_seconds

SMALL = ["epochs=2", "data.train_pairs=200", "data.test_pairs=100", "engine=serial"]


def test_the_tasks_of_slurm_that_trained_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Job, place in the array, node, turn: of each task, in the order in which they came; no part of what decides about equal numbers."""
    seen = []
    for variables in (
        {},
        {"JOB_ID": "8", "ARRAY_JOB_ID": "7", "ARRAY_TASK_ID": "1"},
        {"JOB_ID": "8", "RESTART_COUNT": "1"},
        {"JOB_ID": "8"},
    ):
        for name in [name for name in os.environ if name.startswith("SLURM")]:
            monkeypatch.delenv(name)
        for name, value in variables.items():
            monkeypatch.setenv(f"SLURM_{name}", value)
            monkeypatch.setenv("SLURMD_NODENAME", "n3")
        run = train_run(compose_config(*SMALL, f"rounds={len(seen) + 1}"), tmp_path / "run")
        about = json.loads((run.directory / "run.json").read_text())
        seen.append((about.get("slurm", []), about["resumed"] if len(seen) else [], about["platform"]))
    first = {"job": "8", "array": "7", "task": "1", "node": "n3"}
    turns = [first, {"job": "8", "node": "n3", "restarts": "1"}, {"job": "8", "node": "n3"}]
    assert [tasks for tasks, _, _ in seen] == [[], turns[:1], turns[:2], turns]
    assert all((resumed, platform) == ([], seen[0][2]) for _, resumed, platform in seen)


def test_a_run_leaves_the_promised_files(run_cli: Callable[..., Ended], tmp_path: Path) -> None:
    """The command of the design leaves its files in outputs/<date>/<run>/, and nothing else."""
    ended = run_cli("model=wsn", "aux_weight=0.5", "save_model=true", *SMALL)
    assert ended.code == 0
    (directory,) = tmp_path.glob("outputs/*/*")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", directory.parent.name)
    assert re.fullmatch(r"\d\d-\d\d-\d\d_model=wsn,aux_weight=0\.5,.*", directory.name)
    files = {
        ".hydra",
        ".lock",
        "run.json",
        "records",
        "epochs.csv",
        "rounds.csv",
        "distances.csv",
        "confusion.csv",
        "curves.png",
        "digitcmp.log",
    }
    # and the changes of a checkout that has some
    assert {path.name for path in directory.iterdir() if not path.match("changes-*.diff")} == files
    about = json.loads((directory / "run.json").read_text())
    assert {
        "configuration",
        "configuration_hash",
        "parameters",
        "seeds",
        "status",
        "engine",
        "device",
        "torch",
        "digitcmp",
        "python",
    } <= set(about)
    assert {"started", "finished", "command"} <= set(about)
    assert (about["parameters"], about["seeds"], about["status"], about["engine"]) == (27884, [0], "done", "serial")
    assert about["command"].startswith("python -m digitcmp model=wsn aux_weight=0.5 save_model=true")
    assert not {"seed", "rounds"} & set(about["configuration"])
    if (ROOT / ".git").exists():
        assert re.fullmatch(r"[0-9a-f]{40}", about["git_commit"])
    for part in ("27,884 parameters", "test accuracy", "digit accuracy", "outputs/", "epoch   1/2", "epoch   2/2"):
        assert part in ended.out


def test_the_same_command_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    """Byte-identical rounds.csv and epochs.csv, but for the seconds."""
    config = compose_config("model=net4", "aux_weight=1", "model.dropout=0.2", "data.shuffle=true", "rounds=2", *SMALL)
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        train_run(config, tmp_path / name)
    for file in ("rounds.csv", "epochs.csv", "distances.csv"):
        assert without_seconds(tmp_path / "first" / file) == without_seconds(tmp_path / "second" / file)


def test_results_do_not_depend_on_the_engine_or_company(tmp_path: Path) -> None:
    """Worker processes, one process, and a seed on its own give the same bytes."""
    options = ["model=wsn", "aux_weight=1", "data.shuffle=true", "model.dropout=0.2", "seed=3", *SMALL[:3]]
    runs = {
        "serial": compose_config(*options, "rounds=3", "engine=serial"),
        "processes": compose_config(*options, "rounds=3", "engine=processes", "workers=2"),
        "alone": compose_config(*options, "seed=4", "engine=serial"),
    }
    for name, config in runs.items():
        (tmp_path / name).mkdir()
        assert not train_run(config, tmp_path / name).failed
    for file in ("rounds.csv", "epochs.csv", "distances.csv"):
        together = without_seconds(tmp_path / "serial" / file)
        assert together == without_seconds(tmp_path / "processes" / file)
        assert [line for line in together if line.startswith("4,")] == without_seconds(tmp_path / "alone" / file)[1:]
    assert json.loads((tmp_path / "processes" / "run.json").read_text())["engine"] == "processes"


def test_a_round_that_breaks_does_not_stop_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One broken round: recorded failed with its error, the others done, the run failed, the objective over what is done."""
    real = serial.train_rounds

    def breaks(config: Config, seeds: Sequence[int], *others: Any) -> object:
        with pytest.MonkeyPatch.context() as patch:
            if seeds == (1,):
                patch.setattr("digitcmp.train.round.build", lambda *_: 1 / 0)
            return real(config, seeds, *others)

    monkeypatch.setattr(serial, "train_rounds", breaks)
    run = train_run(compose_config("rounds=3", *SMALL), tmp_path)
    assert [row.status for row in run.rows] == ["done", "failed", "done"]
    assert run.rows[1].error == "ZeroDivisionError: division by zero"
    assert (run.status, status_of(tmp_path)) == ("failed", "failed")
    frame = pd.read_csv(tmp_path / "rounds.csv")
    assert objective(run.rows) == pytest.approx(frame["test_accuracy"].mean())
    with pytest.raises(RunError, match=r"1 of 3 rounds failed \(seed 1\): ZeroDivisionError"):
        run.outcome()


def test_objective_is_the_validation_accuracy_where_there_is_one(tmp_path: Path) -> None:
    """With validation pairs a search must not see the test pairs."""
    run = train_run(compose_config("data.val_pairs=70", *SMALL), tmp_path)
    (row,) = run.rows
    assert run.outcome() == objective(run.rows) == row.val_accuracy != row.test_accuracy
    assert row.best_accuracy == max(epoch.val_accuracy or 0 for epoch in epochs_of(tmp_path))


def test_load_model_gives_the_trained_network_back(tmp_path: Path) -> None:
    """The network of each seed answers the raw test images as it did when it was tested."""
    config = compose_config("model=net4", "aux_weight=1", "rounds=2", "save_model=true", *SMALL)
    run = train_run(config, tmp_path)
    from digitcmp.data.pairs import draw, select
    from digitcmp.seeding import Stream
    from digitcmp.train.round import generator

    source = load("digits", None)
    for row in run.rows:
        random = generator(row.seed, Stream.PAIRS)
        test = select(source.test, draw(source, source.test, 100, 0, random, "test")[0], "le")
        network = digitcmp.load_model(tmp_path, row.seed)
        assert not network.training
        answers = network.compare(test.images)
        assert answers.dtype == torch.bool
        assert (answers == test.target.bool()).float().mean().item() == pytest.approx(row.test_accuracy, abs=1e-6)
    assert digitcmp.load_model(tmp_path).seed == 0


def test_load_model_says_what_is_missing(tmp_path: Path) -> None:
    """No run, no saved networks, no such seed: an error each."""
    with pytest.raises(RunError, match="holds no run"):
        digitcmp.load_model(tmp_path)
    train_run(compose_config(*SMALL), tmp_path)
    with pytest.raises(RunError, match="save_model=true"):
        digitcmp.load_model(tmp_path)
    (tmp_path / "kept").mkdir()
    train_run(compose_config("save_model=true", *SMALL), tmp_path / "kept")
    with pytest.raises(RunError, match=r"seed=9: .*holds the network of seed 0$"):
        digitcmp.load_model(tmp_path / "kept", 9)


def test_auto_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """One round stays in this process; several go to as many workers as there are cores and rounds; a GPU stacks them."""
    several = min(4, choose.cpu_count())
    assert choose.choose(compose_config("device=cpu"), 1) == ("serial", 1)
    assert choose.choose(compose_config("device=cpu", "workers=3"), 2) == ("processes", 2)
    assert choose.choose(compose_config("device=cpu", "workers=1"), 4) == ("serial", 1)
    assert choose.choose(compose_config("device=cpu"), 4) == (("processes", several) if several > 1 else ("serial", 1))
    monkeypatch.setattr(choose, "choose_devices", lambda _: [torch.device("cuda")])
    assert choose.choose(compose_config("workers=2"), 4) == ("stacked", 1)


def test_the_bar_adds_up_what_rounds_tell(tmp_path: Path) -> None:
    """Epochs of all rounds together, means over the rounds that have begun; rounds that are dropped are not waited for."""
    run = Run(compose_config("epochs=5"), tmp_path, "test")
    with ProgressDisplay("a sweep", 3, 15, False, Console(quiet=True, force_terminal=True)) as display:
        display.on_epoch(run, EpochRow(5, 4, 1.0, 0.5, 0.6, None, None, 0.1))
        display.on_epoch(run, EpochRow(7, 2, 2.0, 0.5, 0.8, None, None, 0.1))
        bar = display.bar.tasks[0]
        told = (bar.completed, bar.total, bar.fields["count"], bar.fields["figures"])
        assert told == (6, 15, "6 of 15 epochs", "loss 1.500 · accuracy 70.0%")
        display.on_round_stop(run, 7)
        display.on_epoch(run, EpochRow(5, 5, 1.0, 0.5, 0.6, None, None, 0.1))
        assert (bar.completed, bar.total) == (7, 12)


@needs_mnist
def test_net4_recipe_reaches_the_published_accuracy(tmp_path: Path) -> None:
    """Model 4 of the published Table 1 (88.94 ± 0.91 %): one round lands between 86 and 93 %."""
    assert os.environ.get("DIGITCMP_DATA", MNIST_ROOT) == MNIST_ROOT
    (row,) = train_run(compose_config("+experiment=net4", "epochs=25"), tmp_path).rows
    assert 0.86 <= (row.test_accuracy or 0) <= 0.93


def test_an_untested_run_trains_alike_and_never_sees_its_test_pairs(tmp_path: Path) -> None:
    """test=false: the same training and validation, and no test accuracy anywhere; a report has nothing to tell."""
    for name, overrides in {"seen": (), "unseen": ("test=false",)}.items():
        run = train_run(compose_config("model=wsn", "aux_weight=0.5", "data.val_pairs=50", *SMALL, *overrides), tmp_path / name)
    seen, unseen = ([(row.train_loss, row.val_accuracy) for row in epochs_of(tmp_path / name)] for name in ("seen", "unseen"))
    assert seen == unseen
    (row,) = run.rows
    assert (row.status, row.test_accuracy, row.digit_accuracy, row.majority_accuracy) == ("done", None, None, None)
    assert not distances_of(tmp_path / "unseen")
    assert all(epoch.test_accuracy is None and epoch.digit_accuracy is None for epoch in epochs_of(tmp_path / "unseen"))
    frame = digitcmp.load_rounds(tmp_path)
    assert frame["val_accuracy"].nunique() == 1
    assert frame["test_accuracy"].isna().sum() == 1
    assert [note for note in read_sweep([tmp_path], for_report=True).warnings if "test=false" in note] == [
        "not tested (test=false), and left out: 1 run"
    ]
    with pytest.raises(RunError, match="holds no tested run"):
        read_sweep([tmp_path / "unseen"], for_report=True)


def test_a_run_of_an_earlier_version_goes_on(tmp_path: Path) -> None:
    """Keys that came later are taken at their defaults: what that version did. Another value than the default is another run."""

    def config(*more: str) -> Config:
        return compose_config("model=wsn", "aux_weight=1", *SMALL, *more)

    trained = train_run(config(), tmp_path)

    def earlier(configuration: dict[str, Any]) -> None:
        for key in ("ema", "ensemble", "columns", "tta_shift", "test_every", "label_smoothing"):
            del configuration[key]
        del configuration["model"]["digit_head"]["drop"]

    change_configuration(tmp_path, earlier)
    again = train_run(config("rounds=2"), tmp_path)
    # not trained again
    assert [row.seconds for row in again.rows[:1]] == pytest.approx([row.seconds for row in trained.rows], abs=1e-6)
    assert len(again.rows) == 2
    assert digitcmp.load_rounds(tmp_path)["seed"].tolist() == [0, 1]
    with pytest.raises(RunError, match=r"ema 0.0 -> 0.5"):
        train_run(config("ema=0.5"), tmp_path)
