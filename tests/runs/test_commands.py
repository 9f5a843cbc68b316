"""The other commands about runs: finding, showing, comparing, noting, removing and repeating them."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from digitcmp.errors import RunError
from digitcmp.experiment.run import Run
from digitcmp.runs import cli, facts, removal
from digitcmp.runs.notes import LONGEST
from tests.conftest import Ended, compose_config
from tests.experiment.made import change_records, train_run
from tests.nasty import NASTY
from tests.report.made import configuration, write_run

Main = Callable[..., Ended]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder of four runs, one of them damaged."""
    write_run(tmp_path / "a", {0: 0.8, 1: 0.9}, configuration(model__name="wsn", model__dropout=0.2), tags=["first", "x"])
    write_run(tmp_path / "b", {0: 0.7, 1: 0.7, 2: 0.7}, configuration(epochs=5))
    write_run(tmp_path / "c", {0: None}, configuration(model__dropout=0.5), status="failed")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "run.json").write_text("{}")
    return tmp_path


def listed(ended: Ended) -> list[str]:
    """The names of the runs that ls printed, in its order."""
    assert ended.code == 0, ended.err
    return [line.split("  ")[-1] if "[" not in line else line.split("  ")[-2] for line in ended.out.splitlines()[1:-1]]


def names(ended: Ended) -> list[str]:
    """The names of the runs that ls --json printed, in its order."""
    assert ended.code == 0, ended.err
    return [run["name"] for run in json.loads(ended.out)]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ([], "abcd"),
        (["--where", "model.name=wsn"], "a"),
        (["--where", "model.name!=wsn"], "bcd"),
        (["--where", "model.name=w*"], "a"),
        (["--where", "model.dropout>0.1"], "ac"),
        (["--where", "model.dropout>0.1", "--where", "epochs<=3", "--where", "status=done"], "a"),
        (["--where", "optimizer.comparator_lr=null", "--where", "model.joint=false"], "abc"),
        (["--where", "tags=x"], "a"),
        (["--where", "tags!=x"], "bcd"),
        (["--where", "test_accuracy>=0.8"], "a"),
        (["--status", "failed"], "c"),
        (["--status", "damaged"], "d"),
        (["--sort", "test_accuracy"], "abcd"),
        (["--sort", "test_accuracy", "--reverse"], "bacd"),
        (["--sort", "epochs"], "acbd"),
        (["--reverse"], "dcba"),
    ],
    ids=" ".join,
)
def test_list(runs: Path, run_main: Main, options: list[str], found: str) -> None:
    """Runs are found by any key of them, and sorted by any."""
    assert "".join(names(run_main(cli.main, "ls", runs, "--json", *options))) == found


def test_table(runs: Path, run_main: Main) -> None:
    """A line a run, with what was asked for; nothing of it is more than text."""
    write_run(runs / "<b>\x1b[31m", {0: 0.5}, tags=["\x1b]0;title\x07"])
    ended = run_main(cli.main, "ls", runs, "--columns", "model.dropout", "--sort", "test_accuracy")
    assert listed(ended)[:2] == ["a", "b"]
    assert "85.00 %" in ended.out
    assert "[first] [x]" in ended.out
    assert "5 runs in" in ended.out
    assert not {"\x1b", "\x07"} & set(ended.out)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--where", "model.dropot=0"], "did you mean model.dropout"),
        (["--where", "dropout=0"], "did you mean model.dropout"),
        (["--sort", "accuracy"], "test_accuracy"),
        (["--where", "wsn"], "this is no filter"),
    ],
)
def test_bad_filters(runs: Path, run_main: Main, options: list[str], told: str) -> None:
    """Are told in one line, with the nearest names."""
    ended = run_main(cli.main, "ls", runs, *options)
    assert ended.code == 1
    assert told in ended.err
    assert ended.err.count("\n") == 1


def test_values() -> None:
    """Numbers by their size, text by its pattern, what is not there by null."""
    assert facts.passes(0.1, "=", "0.10")
    assert facts.passes(100, ">", "20")
    assert not facts.passes(None, "<", "3")
    assert facts.passes(None, "=", "null")
    assert not facts.passes(3, "=", "null")
    assert not facts.passes(3, "=", "three")
    assert facts.passes(True, "=", "True")
    assert facts.passes("net1", "<", "net2")


def test_notes(runs: Path, run_main: Main) -> None:
    """Are written down, shown and found, whatever is in them."""
    for text in ("the batch was wrong", *NASTY[:3], "\x1b[31mred"):
        assert run_main(cli.main, "note", runs / "b", text).code == 0
    assert names(run_main(cli.main, "ls", runs, "--json", "--where", "note=*batch*")) == ["b"]
    ended = run_main(cli.main, "show", runs / "b")
    assert "the batch was wrong" in ended.out
    assert "\x1b" not in ended.out
    for folder, text in ((runs, "x"), (runs / "b", " "), (runs / "b", "x" * (LONGEST + 1))):
        assert run_main(cli.main, "note", folder, text).code == 1


def test_show(runs: Path, run_main: Main) -> None:
    """Configuration, provenance, results and files of a run; of what is none, a line."""
    ended = run_main(cli.main, "show", runs / "a")
    assert ended.code == 0
    for text in (
        "done: 2 done",
        "python -m digitcmp",
        "test_accuracy   0.8500 ± 0.0707",
        "model.name=wsn",
        "model.dropout=0.2",
        "run.json",
    ):
        assert text in ended.out
    assert "seed 0" in (out := run_main(cli.main, "show", runs / "c").out)
    assert "failed: broke" in out
    for folder in (runs, runs / "d", runs / "none"):
        ended = run_main(cli.main, "show", folder)
        assert ended.code == 1
        assert ended.err.count("\n") == 1


def test_diff(runs: Path, run_main: Main) -> None:
    """Keys that differ, and results paired by seed."""
    ended = run_main(cli.main, "diff", runs / "b", runs / "a")
    assert ended.code == 0, ended.err
    for text in ("configuration: 3 different", "model.name", "+15.00 points", "over 2 seeds", "better in 2", "1 seeds were trained in one"):
        assert text in ended.out
    assert "made by: the same" in ended.out
    ended = run_main(cli.main, "diff", runs / "a", runs / "c")
    assert "worse in 1" in ended.out
    assert "did you mean 'test_accuracy'" in run_main(cli.main, "diff", runs / "a", runs / "b", "--metric", "test_acuracy").err


def test_tail(runs: Path, run_main: Main) -> None:
    """The last lines of a log, as text."""
    (runs / "a" / "digitcmp.log").write_bytes(b"one\ntwo\n\x1b[31mthree\xff\n")
    assert run_main(cli.main, "tail", runs / "a", "-n", "2", "-f").out.splitlines() == ["two", "\\x1b[31mthree\ufffd"]
    assert run_main(cli.main, "tail", runs / "a", "-n", "-1").code == 1
    assert "no such file yet" in run_main(cli.main, "tail", runs / "b").err


def test_remove(runs: Path, run_main: Main) -> None:
    """Asks, and where nobody can answer says so; what a process is at work on stays."""
    ended = run_main(cli.main, "rm", runs / "a")
    assert ended.code == 1
    assert "add --yes" in ended.err
    claim = Run(compose_config(), runs / "e", "test")
    claim.begin("serial", 1, "cpu")
    assert claim.claim(0)
    ended = run_main(cli.main, "rm", runs / "b", runs / "e", "--yes")
    assert "a process is training rounds of it" in ended.err
    claim.store.release(0)
    assert run_main(cli.main, "rm", runs / "b", runs / "e", "--yes").code == 0
    assert sorted(path.name for path in runs.iterdir()) == ["a", "c", "d"]
    (runs / "link").symlink_to(runs / "a")
    assert "is a link" in run_main(cli.main, "rm", runs / "link", "--yes").err
    about = json.loads((runs / "a" / "run.json").read_text())
    (runs / "a" / "run.json").write_text(json.dumps({**about, "published": True}))
    assert "published" in run_main(cli.main, "rm", runs / "a", "--yes").err


def test_leftovers(runs: Path, run_main: Main) -> None:
    """Empty folders of old commands, damaged runs and pruned trials go; what is young or somebody else's stays."""
    for name in ("old", "young", "mine"):
        (runs / name / ".hydra").mkdir(parents=True)
        (runs / name / ".hydra" / "config.yaml").touch()
    (runs / "mine" / "thesis.tex").touch()
    since = time.time() - 2 * removal.YOUNG
    os.utime(runs / "old" / ".hydra" / "config.yaml", (since, since))
    write_run(runs / "pruned", {0: 0.5})
    about = json.loads((runs / "pruned" / "run.json").read_text())
    (runs / "pruned" / "run.json").write_text(json.dumps({**about, "status": "pruned"}))
    write_run(runs / "half", {0: 0.5})
    (runs / "half" / "run.json").unlink()
    found = {one.folder.name: one.why for one in removal.leftovers(runs, removal.KINDS)}
    assert found == {"d": "damaged", "half": "damaged", "old": "empty", "pruned": "pruned"}
    assert run_main(cli.main, "gc", runs, "--only", "damaged", "--yes").code == 0
    assert run_main(cli.main, "gc", runs, "--yes").code == 0
    assert sorted(path.name for path in runs.iterdir()) == ["a", "b", "c", "mine", "young"]
    assert "nothing to be removed" in run_main(cli.main, "gc", runs).out


def test_answers(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Yes is typed; anything else is no."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    for typed, answer in (("y", True), ("YES", True), ("", False), ("maybe", False)):
        monkeypatch.setattr("builtins.input", lambda _, typed=typed: typed)
        assert removal.asked("remove 1 folder?") is answer
    assert runs


def test_rerun(tmp_path: Path, run_main: Main) -> None:
    """Seeds come out equal, and one that was changed on record is told; the run itself stays as it is."""
    config = compose_config("epochs=2", "rounds=2", "data.train_pairs=100", "data.test_pairs=100", "engine=serial", "tags=[a]")
    train_run(config, tmp_path / "a")
    ended = run_main(cli.main, "rerun", tmp_path / "a")
    assert ended.code == 0, ended.err
    assert "2 of 2 rounds equal to the last digit" in ended.out
    assert (tmp_path / "a-again" / "run.json").is_file()

    def change(result):  # type: ignore[no-untyped-def]
        if result.row.seed == 1:
            result.epochs[0] = type(result.epochs[0])(**{**vars(result.epochs[0]), "train_loss": 9.0})
        return result

    change_records(tmp_path / "a", change)
    ended = run_main(cli.main, "rerun", tmp_path / "a", "--out", tmp_path / "b")
    assert ended.code == 1
    assert "train_loss of epoch 1: 9.0 on record" in ended.out
    assert "1 of 2 rounds equal" in ended.out
    assert "another folder" in run_main(cli.main, "rerun", tmp_path / "a", "--out", tmp_path / "a").err
    assert names(run_main(cli.main, "ls", tmp_path, "--json", "--where", "tags=a")) == ["a"]
    assert issubclass(RunError, Exception)
