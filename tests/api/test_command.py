"""`digitcmp.run` and `digitcmp.sweep` are the command line: the same folders, numbers, errors and resumption."""

import json
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.figure import Figure

import digitcmp
from digitcmp.errors import ConfigError, DigitcmpError, RunError
from digitcmp.experiment.callbacks import Callback
from digitcmp.experiment.run import Run
from digitcmp.report import terminal
from digitcmp.train.results import RoundResult
from tests.conftest import ROOT, Ended
from tests.experiment.made import seeds_of, status_of, without_seconds

SMALL = {"epochs": 2, "batch_size": 20, "data": {"train_pairs": 60, "test_pairs": 60}, "engine": "serial"}
TYPED = ["epochs=2", "batch_size=20", "data.train_pairs=60", "data.test_pairs=60", "engine=serial"]
Cli = Callable[..., Ended]


class Interrupts(Callback):
    """Somebody who presses the stop button when the first round has ended."""

    def on_round_end(self, run: Run, result: RoundResult) -> None:
        raise KeyboardInterrupt(run, result)


class Beside(Callback):
    """Somebody who wants more while a round is trained."""

    told: ClassVar[list[RunError]] = []

    def on_round_end(self, run: Run, result: RoundResult) -> None:
        del result
        for call in (digitcmp.run, digitcmp.sweep):
            for caller in (apply, in_a_thread):
                with pytest.raises(RunError) as raised:
                    caller(call, {"model": "net1", **SMALL}, run.directory.parent / "second")
                self.told.append(raised.value)


def apply(call: Callable[..., object], *arguments: object) -> object:
    """Call it here."""
    return call(*arguments, progress=False)


def in_a_thread(*arguments: Any) -> object:
    """Call it in a thread of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(apply, *arguments).result()


def files(folder: Path) -> set[str]:
    """What is in a folder, the report's own aside."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and "records" not in path.parts}


def test_a_run_is_the_command(run_cli: Cli, tmp_path: Path) -> None:
    """The same files, epochs and command on record; a second call trains nothing, a third one what is asked for in addition."""
    assert run_cli("model=wsn", "aux_weight=0.5", "rounds=2", *TYPED, "hydra.run.dir=typed").code == 0
    result = digitcmp.run({"model": "wsn", "aux_weight": 0.5, "rounds": 2, **SMALL}, "called", progress=False)
    assert result.folder == tmp_path / "called"
    assert files(result.folder) == files(tmp_path / "typed")
    assert without_seconds(result.folder / "epochs.csv") == without_seconds(tmp_path / "typed" / "epochs.csv")
    typed, called = (json.loads((folder / "run.json").read_text()) for folder in (tmp_path / "typed", result.folder))
    assert typed["configuration_hash"] == called["configuration_hash"]
    *words, place = shlex.split(typed["command"])
    assert place == "hydra.run.dir=typed"
    assert shlex.split(called["command"]) == [*words, "hydra.run.dir='called'"]
    before = (result.folder / "rounds.csv").read_bytes()
    again = digitcmp.run(["model=wsn", "aux_weight=0.5", "rounds=2", *TYPED], result.folder)
    assert (result.folder / "rounds.csv").read_bytes() == before
    assert again.rounds.equals(result.rounds)
    assert seeds_of(digitcmp.run({"model": "wsn", "aux_weight": 0.5, "rounds": 3, **SMALL}, "called").folder) == [0, 1, 2]


def test_one_call_at_a_time(tmp_path: Path) -> None:
    """A second one beside it, in this thread or in another one, is refused in a line and touches nothing of the first."""
    beside = ["callbacks.beside.target=tests.api.test_command:Beside", "--allow-code", "tests.api.test_command"]
    output, arguments = sys.stdout, list(sys.argv)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(digitcmp.run, ["model=wsn", *TYPED, *beside], tmp_path / "first", progress=False).result()
    assert [str(error) for error in Beside.told] == [Beside.told[0].args[0]] * 4
    assert "another call of digitcmp.run or digitcmp.sweep is under way in this process" in Beside.told[0].args[0]
    assert (sys.stdout, sys.argv) == (output, arguments)
    assert seeds_of(first.folder) == [0]
    assert not (tmp_path / "second").exists()
    assert seeds_of(digitcmp.run({"model": "net1", **SMALL}, tmp_path / "second", progress=False).folder) == [0]


def test_a_sweep_is_the_command(run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same runs and report, of which nothing is printed; the result has its parts."""
    printed: list[object] = []
    monkeypatch.setattr(terminal, "print_report", printed.append)
    assert run_cli("--multirun", "model=net2,wsn", "seed=range(2)", *TYPED, "hydra.sweep.dir=typed").code == 0
    assert len(printed) == 1
    result = digitcmp.sweep({"model": ["net2", "wsn"], "seed": range(2), "save_model": True, **SMALL}, tmp_path / "called")
    assert len(printed) == 1
    assert {path.name for path in result.runs} == {path.name for path in (tmp_path / "typed").iterdir() if (path / "run.json").exists()}
    assert files(result.folder) - {".hydra/overrides.yaml"} == files(tmp_path / "typed") - {".hydra/overrides.yaml"}
    assert result.rounds.columns.tolist()[:2] == ["run", "model.name"]
    assert result.rounds.groupby("model.name")["seed"].apply(list).to_dict() == {"net2": [0, 1], "wsn": [0, 1]}
    assert len(result.epochs) == 8
    assert result.table()["label"].tolist() == ["net2", "wsn"]
    assert result.comparisons()[["label", "baseline", "pairs"]].to_numpy().tolist() == [["wsn", "net2", 2]]
    assert result.comparisons(baseline="wsn")["label"].tolist() == ["net2"]
    assert result.table("train_loss")["mean"].gt(0).all()
    for shown in (repr(result), result._repr_html_()):
        assert all(word in shown for word in ("wsn", "net2", "test accuracy [%]", "paired by seed", "warning: "))
    before = torch.get_rng_state()
    assert digitcmp.load_model(result.runs[1]).seed == 1
    assert torch.get_rng_state().equal(before)


def test_a_search_is_a_sweep(tmp_path: Path) -> None:
    """Its trials are rounds with what was searched in front; they are not tested, and so have no table."""
    space = {"hydra/sweeper": "digitcmp_optuna", "hydra.sweeper": {"n_trials": 2, "pruner": "none"}, "aux_weight": "interval(0,2)"}
    result = digitcmp.sweep({**space, "model": "wsn", **SMALL, "data.val_pairs": 20}, tmp_path / "q", progress=False)
    assert result.rounds.columns.tolist()[:3] == ["run", "aux_weight", "seed"]
    assert len(result.rounds) == 2
    assert "holds no tested run" in repr(result)


@pytest.fixture
def of_two(tmp_path: Path) -> digitcmp.Result:
    """A made-up sweep."""
    from tests.report.made import configuration, write_run

    write_run(tmp_path / "s" / "a", {0: 0.8, 1: 0.7})
    write_run(tmp_path / "s" / "b", {0: 0.9, 1: 0.8}, configuration(model__name="<b>wsn</b>\x1b[31m"))
    return digitcmp.Result(tmp_path / "s")


def test_curves(of_two: digitcmp.Result) -> None:
    """Into a figure of pyplot, which a notebook shows; a line a configuration."""
    before = plt.get_fignums()
    axes = of_two.plot_curves()
    try:
        assert isinstance(axes.figure, Figure)
        assert len(plt.get_fignums()) == len(before) + 1
        assert axes.get_ylabel() == "test accuracy"
        assert len([line for line in axes.get_lines() if len(line.get_xdata()) == 3]) == 2  # type: ignore[arg-type]
        axes.figure.canvas.draw()
    finally:
        plt.close(plt.get_fignums()[-1])


@pytest.mark.parametrize("name", ["rounds", "epochs"])
def test_a_frame_is_the_callers(of_two: digitcmp.Result, name: str) -> None:
    """Whatever is done to one is not in the next."""
    frame = getattr(of_two, name)
    frame["seed"] = 99
    assert sorted(set(getattr(of_two, name)["seed"])) == [0, 1]


def test_no_curves(tmp_path: Path) -> None:
    """Where every round failed, that is said in a line, and no empty figure is left; the tables are there."""
    from tests.report.made import write_run

    write_run(tmp_path / "a", {0: None, 1: None}, status="failed")
    before, result = plt.get_fignums(), digitcmp.Result(tmp_path / "a")
    with pytest.raises(RunError, match="there are no curves, as no round has an epoch with test accuracy"):
        result.plot_curves()
    assert plt.get_fignums() == before
    assert result.table()["failed"].tolist() == [2]
    assert result.comparisons().empty
    assert "failed" in repr(result) + result._repr_html_()


def test_shown_text_is_inert(of_two: digitcmp.Result) -> None:
    """Neither markup nor control sequences of a name reach whoever shows it."""
    assert "<b>" not in of_two._repr_html_()
    assert "&lt;b&gt;wsn" in of_two._repr_html_()
    assert "\x1b" not in repr(of_two) + of_two._repr_html_()


def test_nothing_on_record(tmp_path: Path) -> None:
    """Is said by every part, and shown without a trace."""
    empty = digitcmp.Result(tmp_path)
    with pytest.raises(RunError, match="no run"):
        _ = empty.rounds
    assert "no run" in repr(empty)
    assert "no run" in empty._repr_html_()


MISTAKES: list[tuple[dict[str, Any], bool]] = [
    ({"model": "wns"}, False),
    ({"epochs": -1}, False),
    ({"epochs": "many"}, False),
    ({"modl.dropout": 0.1}, False),
    ({"experiment": "net4"}, False),
    ({"model": "wsn", "seed": "1,2"}, False),
    ({"+sweeps": "smoke"}, False),
    ({"model": ["net1", "wns"]}, True),
    ({"data.root": "~/a"}, False),
]


@pytest.mark.parametrize(("overrides", "many"), MISTAKES)
def test_mistakes(overrides: dict[str, Any], many: bool, run_cli: Cli) -> None:
    """The same line as on the command line, as an exception, without a trace of the program's insides."""
    typed = [f"{key}={','.join(value) if isinstance(value, list) else value}" for key, value in overrides.items()]
    ended = run_cli(*(["--multirun"] if many else []), *typed)
    with pytest.raises(DigitcmpError) as raised:
        (digitcmp.sweep if many else digitcmp.run)(overrides)
    assert ended.code == 1
    assert ended.err.strip().splitlines()[-1] == f"digitcmp: {raised.value}"
    assert raised.value.__suppress_context__
    assert not list(Path().glob("outputs/*/*"))


@pytest.mark.parametrize("call", [digitcmp.run, digitcmp.sweep])
@pytest.mark.parametrize("spelt", ["hydra.run.dir", "++hydra.run.dir", "hydra.sweep.dir"])
@pytest.mark.parametrize("folder", [None, "given"])
def test_one_folder(call: Callable[..., digitcmp.Result], spelt: str, folder: str | None, tmp_path: Path) -> None:
    """It is that of what is trained, and given once: no other one is left out without a word."""
    own = {digitcmp.run: "hydra.run.dir", digitcmp.sweep: "hydra.sweep.dir"}[call]
    overrides, folder = {**SMALL, "model": "net1", "rounds": 1, spelt: str(tmp_path / "typed")}, folder and str(tmp_path / folder)
    if spelt.lstrip("+") == own and folder is None:
        assert call(overrides, progress=False).folder == tmp_path / "typed"
        return
    twice = "says where it goes; give one of them" if spelt.lstrip("+") == own else "this is (for many runs|the folder of one run)"
    with pytest.raises(ConfigError, match=twice) as raised:
        call(overrides, folder, progress=False)
    assert str(raised.value).startswith(f"{spelt}={tmp_path}/typed: ")
    assert not list(tmp_path.iterdir())


def test_plugins_of_hydras_in_a_second_call(tmp_path: Path) -> None:
    """They store what can be chosen of them once in a process."""
    for folder in ("one", "other"):
        search = {
            "hydra/sweeper": "optuna",
            "hydra.sweeper.n_trials": 1,
            "aux_weight": "interval(0,1)",
            "data.val_pairs": 20,
            "model": "wsn",
        }
        found = digitcmp.sweep({**SMALL, **search, "report": False}, tmp_path / folder, progress=False)
        assert len(found.rounds) == 1


def test_what_a_recipe_leaves_out_is_said_by_every_call(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Once each."""
    for folder in ("one", "other"):
        with pytest.raises(ConfigError, match="aux_weight=-1"):
            digitcmp.run(["+experiment=best", "optimizer=adam", "aux_weight=-1"], tmp_path / folder, progress=False)
        assert capfd.readouterr().err.count("what +experiment=best says for optimizer=sgd is left out") == 1


def test_failed_rounds(tmp_path: Path) -> None:
    """End a call with an error; what was done is there."""
    with pytest.raises(RunError, match="failed"):
        digitcmp.run({"model": "net1", "optimizer": "sgd", "optimizer.lr": 1e30, **SMALL}, tmp_path / "f", progress=False)
    assert digitcmp.Result(tmp_path / "f").rounds["status"].tolist() == ["failed"]


def test_dry_run(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Says what it would train, and trains nothing."""
    result = digitcmp.run({"model": "net1", "dry_run": True, **SMALL}, tmp_path / "dry")
    assert "1 round to train" in capfd.readouterr().out
    assert result.folder == tmp_path / "dry"
    assert not result.folder.exists()


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """With progress=False; with it, how far it is."""
    digitcmp.run({"model": "net1", **SMALL}, tmp_path / "quiet", progress=False)
    assert capfd.readouterr() == ("", "")
    digitcmp.run({"model": "net1", **SMALL}, tmp_path / "told")
    assert "epoch   2/2" in capfd.readouterr().out


def test_what_other_threads_print_is_there(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A call that prints nothing keeps its own lines back, and no others."""
    over, printed = threading.Event(), list[str]()

    def tick() -> None:
        while not over.wait(0.05):
            print(line := f"tick {len(printed)}")
            printed.append(line)

    ticking = threading.Thread(target=tick)
    ticking.start()
    digitcmp.run({"model": "net1", **SMALL, "rounds": 3}, tmp_path / "quiet", progress=False)
    over.set()
    ticking.join()
    assert len(printed) > 1
    assert capfd.readouterr() == ("".join(f"{line}\n" for line in printed), "")


def test_interrupt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stop button ends a call, with what is kept as its text; the same call goes on."""
    monkeypatch.chdir(tmp_path)
    asked = ["model=net1", "rounds=3", *TYPED]
    stop = ["callbacks.stop.target=tests.api.test_command:Interrupts", "--allow-code", "tests.api.test_command"]
    with pytest.raises(KeyboardInterrupt, match="1 finished round kept in"):
        digitcmp.run([*asked, *stop], "r", progress=False)
    assert (seeds_of(Path("r")), status_of(Path("r"))) == ([0], "interrupted")
    first = without_seconds(Path("r", "rounds.csv"))
    result = digitcmp.run(asked, "r", progress=False)
    assert (seeds_of(Path("r")), status_of(Path("r"))) == ([0, 1, 2], "done")
    assert without_seconds(result.folder / "rounds.csv")[: len(first)] == first


def test_config_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of YAML files of one's own, in a list; one that there is not is told."""
    monkeypatch.chdir(tmp_path)
    Path("my/model").mkdir(parents=True)
    Path("my/model/mine.yaml").write_text("defaults: [net1, _self_]\nname: mine\n")
    result = digitcmp.run(["--config-dir", "my", "model=mine", *TYPED], "own", progress=False)
    assert result.rounds["model.name"].tolist() == ["mine"]
    with pytest.raises(ConfigError, match="there is no such folder"):
        digitcmp.run(["--config-dir", "yours", "model=mine"])


FORKED = """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor

import digitcmp

def accuracies(folder):
    keys = {"data": "digits", "model": "net2", "epochs": 1, "rounds": 2, "batch_size": 20, "data.train_pairs": 60, "data.test_pairs": 60}
    return digitcmp.run({**keys, "engine": sys.argv[2]}, folder, progress=False).rounds.test_accuracy.tolist()

if __name__ == "__main__":
    before = accuracies("before")
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(sys.argv[1])) as pool:
        assert [*pool.map(accuracies, ["first", "second"])] == [before, before]
"""


@pytest.mark.parametrize("engine", ["serial", "stacked", "processes"])
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_in_a_pool_of_processes(method: str, engine: str, tmp_path: Path) -> None:
    """Also in processes that were forked from one which has trained: torch's threads are not there any more."""
    (tmp_path / "forked.py").write_text(FORKED)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "forked.py", method, engine]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=200)
    assert ended.returncode == 0, ended.stderr
