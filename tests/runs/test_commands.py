"""The other commands about runs: finding, showing, comparing, noting, removing and repeating them."""

import json
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from digitcmp.errors import RunError
from digitcmp.experiment.folders import find_runs
from digitcmp.experiment.run import Run
from digitcmp.runs import cli, facts, removal, show
from digitcmp.runs.notes import LONGEST
from digitcmp.runs.rerun import beside
from digitcmp.runs.status import read_status
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
        (["--status", "dnoe"], "--status 'dnoe': there is no such status (did you mean 'done'?); choose one of 'done', 'failed'"),
        (["--columns", "model.dropot"], "--columns model.dropot: no run here has this key; did you mean model.dropout"),
    ],
)
def test_bad_filters(runs: Path, run_main: Main, options: list[str], told: str) -> None:
    """Are told in one line, with the nearest names."""
    ended = run_main(cli.main, "ls", runs, *options)
    assert ended.code == 1
    assert told in ended.err
    assert ended.err.count("\n") == 1


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-D at a question is no."""
    terminal = StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    assert removal.asked("Remove them?") is False


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


def test_layers_are_shown_without_what_is_usual(tmp_path: Path, run_main: Main) -> None:
    """As a file would have them."""
    write_run(tmp_path, {0: 0.8}, configuration())
    shown = 'model.tower=[{"channels": 16, "norm": true}, {"channels": 32, "pool": 2, "norm": true}]'
    assert shown in run_main(cli.main, "show", tmp_path).out


def test_show(runs: Path, run_main: Main) -> None:
    """Configuration, provenance, results and files of a run; of what is none, a line."""
    ended = run_main(cli.main, "show", runs / "a")
    assert ended.code == 0
    assert ".lock" not in ended.out
    assert re.search(r" [1-9]\d* (B|kB)  run.json\n", ended.out)
    usual = ended.out.partition("and as usual\n")[2].partition("\nmade by")[0].splitlines()
    assert max(map(len, usual)) <= 80
    assert all(re.match(r"  [\w.]+=", line) for line in usual)
    assert [line[-1] == "," for line in usual] == [True] * (len(usual) - 1) + [False]
    for width in range(60, 100):  # lines that fit are not broken once more
        screen = StringIO()
        show.print_run(runs / "a", Console(file=screen, width=width, force_terminal=True, color_system=None))
        block = screen.getvalue().partition("and as usual\n")[2].partition("\nmade by")[0].splitlines()
        assert all(re.match(r"  [\w.]+=", line) for line in block)
    for text in (
        "done: 2 done",
        "python -m digitcmp",
        "test_accuracy   85.00 ± 7.07 %",
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


def test_a_published_run_without_its_rounds(runs: Path, run_main: Main) -> None:
    """Half deleted: a line, by every command that needs its rounds."""
    about = json.loads((runs / "a" / "run.json").read_text())
    (runs / "a" / "run.json").write_text(json.dumps({**about, "published": True}))
    for arguments in (["show", "a"], ["diff", "a", "b"], ["diff", "b", "a"], ["tail", "a"], ["rerun", "a"]):
        ended = run_main(cli.main, arguments[0], *(runs / name for name in arguments[1:]))
        assert ended.code == 1
        assert "epochs.csv.gz cannot be read" in ended.err
        assert ended.err.count("\n") == 1


def test_diff(runs: Path, run_main: Main) -> None:
    """Keys that differ, and results paired by seed."""
    ended = run_main(cli.main, "diff", runs / "b", runs / "a")
    assert ended.code == 0, ended.err
    for text in ("configuration: 3 different", "model.name", "+15.00 points", "over 2 seeds", "better in 2", "left out: 1 seed"):
        assert text in ended.out
    assert "made by: the same" in ended.out
    ended = run_main(cli.main, "diff", runs / "a", runs / "c")
    assert "worse in 1" in ended.out
    write_run(runs / "e", {0: 0.9, 1: 0.9}, configuration(data__test_pairs=7))
    ended = run_main(cli.main, "diff", runs / "a", runs / "e")
    assert "not compared: they differ in data.test_pairs" in ended.out
    assert "Hodges" not in ended.out
    assert "Hodges" in run_main(cli.main, "diff", runs / "a", runs / "e", "--metric", "train_loss").out
    assert "did you mean 'test_accuracy'" in run_main(cli.main, "diff", runs / "a", runs / "b", "--metric", "test_acuracy").err


def test_diff_of_runs_without_the_metric(tmp_path: Path, run_main: Main) -> None:
    """As trials of a search, which are not tested: it is that which is told, and what to compare them by; not that their seeds differ,
    and not what failed rounds would make of it."""
    for name in ("a", "b"):
        write_run(tmp_path / name, {0: 0.8, 1: 0.8, 2: None}, configuration(test=False), tested=False)
    write_run(tmp_path / "tested", {0: 0.9, 1: 0.9})
    write_run(tmp_path / "failed", {2: None})
    write_run(tmp_path / "far", {7: 0.9})

    def told(*given: str | Path) -> str:
        return " ".join(run_main(cli.main, "diff", *given).out.split())

    a, b, tested = (tmp_path / name for name in ("a", "b", "tested"))
    others = "; both have val_accuracy, train_accuracy, train_loss, seconds: --metric val_accuracy compares them"
    assert f"not compared: neither run has a test accuracy{others}" in told(a, b)
    assert "over 3 seeds" in told(a, b, "--metric", "val_accuracy")
    others = "; both have train_accuracy, train_loss, seconds: --metric train_accuracy compares them"
    assert f"not compared: {b} has no test accuracy{others}" in told(tested, b)
    assert f"not compared: {tested} has no validation accuracy{others}" in told(a, tested, "--metric", "val_accuracy")
    assert "no seed has a test accuracy in both" in told(tested, tmp_path / "far")
    assert "worse in 0" in told(tmp_path / "failed", tmp_path / "failed")
    assert "Hodges" not in told(a, b) + told(tested, b) + told(tested, tmp_path / "far")


def test_accuracies_on_validation_pairs_are_marked(tmp_path: Path, run_main: Main) -> None:
    """In every column of accuracies: a trial of a search is not to be taken for what was tested."""
    write_run(tmp_path / "tested", {0: 0.9}, others=0.2)
    write_run(tmp_path / "trial", {0: 0.8}, configuration(test=False), tested=False)
    for command in ("ls", "status"):
        out = run_main(cli.main, command, tmp_path).out
        assert re.search(r"tested.* 90\.00 % *$|90\.00 %  *tested", out, re.MULTILINE), out
        assert re.search(r"trial.* 80\.00 % val *$|80\.00 % val  trial", out, re.MULTILINE), out
    assert '"val_accuracy": 0.8' in run_main(cli.main, "ls", tmp_path, "--json").out


def test_what_cannot_be_written_is_named(runs: Path, run_main: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    """Notes and exported tables, with what is kept: no round, and no standard output."""
    before = {path: path.read_bytes() for path in (runs / "a").rglob("*") if path.is_file()}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    kept = "No space left on device; what was written before is kept\n"
    ended = run_main(cli.main, "note", runs / "a", "mine")
    assert (ended.code, ended.err) == (1, f"digitcmp: cannot write {runs / 'a' / 'notes.txt'}: {kept}")
    monkeypatch.undo()
    monkeypatch.setattr(os, "fsync", full)
    (runs / "a" / "rounds.parquet").write_text("of before")
    ended = run_main(cli.main, "export", runs / "a", "--to", "parquet")
    assert (ended.code, ended.err) == (1, f"digitcmp: cannot write {runs / 'a' / 'rounds.parquet'}: {kept}")
    assert (runs / "a" / "rounds.parquet").read_text() == "of before"
    assert {path: path.read_bytes() for path in before} == before


def test_an_error_of_the_system_without_a_file(run_main: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is not taken for one of standard output, which is written on."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(cli.COMMANDS, "ls", full)
    assert run_main(cli.main, "ls").err == "digitcmp: cannot read or write a file: No space left on device\n"


def test_tail(runs: Path, run_main: Main) -> None:
    """The last lines of a log, as text."""
    (runs / "a" / "digitcmp.log").write_bytes(b"one\ntwo\n\x1b[31mthree\xff\n")
    assert run_main(cli.main, "tail", runs / "a", "-n", "2", "-f").out.splitlines() == ["two", "\\x1b[31mthree\ufffd"]
    assert run_main(cli.main, "tail", runs / "a", "-n", "-1").code == 1
    assert "no such file; a round writes its line when it has ended" in run_main(cli.main, "tail", runs / "b").err


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
    claim.store.claims.release(0)
    assert run_main(cli.main, "rm", runs / "b", runs / "e", "--yes").code == 0
    assert sorted(path.name for path in runs.iterdir()) == ["a", "c", "d"]
    (runs / "link").symlink_to(runs / "a")
    assert "is a link" in run_main(cli.main, "rm", runs / "link", "--yes").err
    about = json.loads((runs / "a" / "run.json").read_text())
    (runs / "a" / "run.json").write_text(json.dumps({**about, "published": True}))
    assert "published" in run_main(cli.main, "rm", runs / "a", "--yes").err


def test_a_link_beside_a_run_is_no_second_run(tmp_path: Path, run_main: Main) -> None:
    """Neither in the list nor in the counts, whatever comes first; a link alone is as good as the run."""
    write_run(tmp_path / "sweep" / "run", {0: 0.5})
    for name in ("a", "z"):
        (tmp_path / "sweep" / name).symlink_to("run")
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "link").symlink_to(tmp_path / "sweep" / "run")
    assert [path.name for path in find_runs(tmp_path / "sweep")] == ["run"]
    assert [run.folder.name for run in read_status(tmp_path / "sweep").runs] == ["run"]
    assert [run.folder.name for run in read_status(tmp_path / "far").runs] == ["link"]
    assert run_main(cli.main, "ls", tmp_path / "sweep").out.count("50.00 %") == 1


def test_what_a_run_was_made_with_is_told(tmp_path: Path, run_main: Main) -> None:
    """Files of one's own, too: two versions are two."""
    for name, version in (("a", "abc"), ("b", "def")):
        write_run(tmp_path / name, {0: 0.5}, plugins={"my_conf/plugins.py": version})
    told = run_main(cli.main, "diff", tmp_path / "a", tmp_path / "b").out
    assert "made by: 1 different" in told
    assert '["my_conf/plugins.py abc"]' in told
    assert '["my_conf/plugins.py def"]' in run_main(cli.main, "show", tmp_path / "b").out
    assert run_main(cli.main, "ls", tmp_path, "--where", "plugins=*abc").out.count("50.00 %") == 1


def test_only_ours_is_removed(runs: Path, run_main: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that happens to hold runs stays; a sweep goes with its runs, and what is named twice goes once."""
    (runs / "thesis.tex").touch()
    for folder in (runs, Path()):
        monkeypatch.chdir(runs)
        ended = run_main(cli.main, "rm", folder, "--yes")
        assert "is no run and no sweep" in ended.err
        assert ended.err.count("\n") == 1
    write_run(runs / "sweep" / "x", {0: 0.5})
    (runs / "sweep" / "multirun.yaml").touch()
    monkeypatch.chdir(runs / "sweep")
    assert "the working folder" in run_main(cli.main, "rm", runs / "sweep", "--yes").err
    monkeypatch.chdir(runs)
    ended = run_main(cli.main, "rm", "sweep/x", "sweep", "a", runs / "a", "--yes")
    assert ended.code == 0, ended.err
    assert "removed 2" in ended.out
    assert sorted(path.name for path in runs.iterdir()) == ["b", "c", "d", "thesis.tex"]


def test_interrupted(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was done by then is told, not that no run was touched."""
    whole = removal.remove_folder

    def interrupted(folder: Path) -> None:
        whole(folder)
        if folder.name == "b":
            raise KeyboardInterrupt

    monkeypatch.setattr(removal, "remove_folder", interrupted)
    monkeypatch.setattr("sys.argv", ["runs", "rm", *(str(runs / name) for name in "abc"), "--yes"])
    with pytest.raises(KeyboardInterrupt, match="1 of 3 folders were removed"):
        cli.main()
    monkeypatch.setattr("sys.argv", ["runs", "status", str(runs)])
    monkeypatch.setattr("digitcmp.runs.status.read_status", lambda _: interrupted(runs / "b"))
    (runs / "b").mkdir()
    with pytest.raises(KeyboardInterrupt, match="no run was touched"):
        cli.main()


@pytest.mark.parametrize("kind", ["sweep", "run"])
def test_a_removal_that_was_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_main: Main, kind: str) -> None:
    """Wherever that was: the same command removes the rest."""
    place, left = tmp_path / kind, [0]
    monkeypatch.setattr("sys.argv", ["runs", "rm", str(place), "--yes"])

    def counted(remove: Callable[..., None]) -> Callable[..., None]:
        def instead(*given: Any, **options: Any) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            remove(*given, **options)

        return instead

    for steps in range(100):
        if kind == "sweep":
            for name in "ab":
                write_run(place / name, {0: 0.5})
            (place / "multirun.yaml").touch()
            (place / "planned.json").touch()
        else:
            write_run(place, {0: 0.5})
        left[0] = steps
        with monkeypatch.context() as patch:
            patch.setattr(os, "unlink", counted(os.unlink))
            patch.setattr(os, "rmdir", counted(os.rmdir))
            with suppress(KeyboardInterrupt):
                cli.main()
                break
        ended = run_main(cli.main, "rm", place, "--yes")
        assert (ended.code, place.exists()) == (0, False), (steps, ended.err)
    assert 5 < steps < 99
    assert not place.exists()


def test_leftovers(runs: Path, run_main: Main) -> None:
    """Empty folders of old commands, damaged runs and pruned trials go; what is young, holds rounds or is somebody else's stays."""
    for name in ("old", "young", "mine"):
        (runs / name / ".hydra").mkdir(parents=True)
        (runs / name / ".hydra" / "config.yaml").touch()
    (runs / "mine" / "thesis.tex").touch()
    for empty in ("2026-01-02/03-04-05", "chapter", ".git/refs", "a/networks", "sub/.venv/2026-01-02"):
        (runs / empty).mkdir(parents=True)
    write_run(runs / "pruned", {0: 0.5})
    for name in ("half", "later", "broken", "torn"):
        write_run(runs / name, {0: 0.5})
    (runs / "half" / "run.json").unlink()
    for name, change in (("pruned", {"status": "pruned"}), ("later", {"configuration_hash": "of a later version"})):
        about = json.loads((runs / name / "run.json").read_text())
        (runs / name / "run.json").write_text(json.dumps({**about, **change}))
    for name in ("broken", "torn"):
        (runs / name / "run.json").write_text("{")
    for log in (runs / "torn" / "records").glob("*.jsonl"):
        log.write_bytes(log.read_bytes()[:-20])
    (runs / "other").mkdir()
    (runs / "other" / "run.json").write_text('{"of": "another program"}')
    (runs / "other" / "main.c").touch()
    since = time.time() - 2 * removal.YOUNG
    assert {one.folder.name for one in removal.leftovers(runs, removal.KINDS)} == {"pruned"}  # the rest is young
    for path in (one for one in [*runs.rglob("*")] if one.relative_to(runs).parts[0] != "young"):
        os.utime(path, (since, since))
    found = {one.folder.name: one.why for one in removal.leftovers(runs, removal.KINDS)}
    assert found == {"d": "damaged", "torn": "damaged", "03-04-05": "empty", "old": "empty", "pruned": "pruned"}
    assert run_main(cli.main, "gc", runs, "--only", "damaged", "--yes").code == 0
    assert run_main(cli.main, "gc", runs, "--yes").code == 0
    kept = [".git", "2026-01-02", "a", "b", "broken", "c", "chapter", "half", "later", "mine", "other", "sub", "young"]
    assert sorted(path.name for path in runs.iterdir()) == kept
    assert "nothing to be removed" in run_main(cli.main, "gc", runs).out
    assert "lies in a run" in run_main(cli.main, "gc", runs / "a" / "records").err


def test_options_of_exports(runs: Path, run_main: Main) -> None:
    """One that the format does not take is refused, in a line."""
    for options, told in ((["parquet", "--option", "uri=x"], "parquet takes no option"), (["wandb", "--out", "x"], "--to parquet")):
        ended = run_main(cli.main, "export", runs, "--to", *options)
        assert ended.code == 1
        assert told in ended.err
        assert ended.err.count("\n") == 1


def test_answers(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Yes is typed; anything else is no."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    for typed, answer in (("y", True), ("YES", True), ("", False), ("maybe", False)):
        monkeypatch.setattr("builtins.input", lambda _, typed=typed: typed)
        assert removal.asked("remove 1 folder?") is answer
    assert runs


def test_place_of_a_rerun(tmp_path: Path) -> None:
    """Beside the run; of a run in a sweep, beside the sweep, which is to stay what it is."""
    assert beside(tmp_path / "a") == tmp_path / "a-again"
    (tmp_path / "s" / "finalists" / "x").mkdir(parents=True)
    (tmp_path / "s" / "multirun.yaml").touch()
    assert beside(tmp_path / "s" / "finalists" / "x") == tmp_path / "s-again" / "finalists" / "x"


def test_rerun(tmp_path: Path, run_main: Main) -> None:
    """Seeds come out equal, and one that was changed on record is told; the run itself stays as it is."""
    config = compose_config("epochs=2", "rounds=2", "data.train_pairs=100", "data.test_pairs=100", "engine=serial", "tags=[a]")
    train_run(config, tmp_path / "a")
    about = json.loads((tmp_path / "a" / "run.json").read_text())
    (tmp_path / "a" / "run.json").write_text(json.dumps({**about, "command": "python -m digitcmp epochs=2 'hydra.run.dir=/x/a b'"}))
    ended = run_main(cli.main, "rerun", tmp_path / "a")
    assert ended.code == 0, ended.err
    assert "2 of 2 rounds equal to the last digit" in ended.out
    assert json.loads((tmp_path / "a-again" / "run.json").read_text())["command"] == "python -m digitcmp epochs=2"  # its folder is another
    assert (tmp_path / "a-again" / "run.json").is_file()
    ended = run_main(cli.main, "rerun", tmp_path / "a")
    assert ended.code == 1
    assert "a-again has these rounds on record already" in ended.err
    again = json.loads((tmp_path / "a-again" / "run.json").read_text())
    (tmp_path / "a-again" / "run.json").write_text(json.dumps({**again, "git_commit": "0" * 40}))
    for log in (tmp_path / "a-again" / "records").glob("*.jsonl"):  # as where it was interrupted
        log.write_bytes(log.read_bytes().splitlines(keepends=True)[0])
    assert "a-again has rounds of other code (000000000000)" in run_main(cli.main, "rerun", tmp_path / "a").err

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


def test_rerun_of_a_run_that_was_resumed_with_another_engine(tmp_path: Path, run_main: Main) -> None:
    """Some seeds are of the one before: whoever sees other digits is told so."""
    config = compose_config("epochs=1", "rounds=1", "data.train_pairs=100", "data.test_pairs=100", "engine=serial")
    train_run(config, tmp_path / "a")
    about = json.loads((tmp_path / "a" / "run.json").read_text())
    used = {name: about[name] for name in ("torch", "device", "platform", "git_commit")}
    resumed = [{**used, "engine": "stacked"}, {**used, "engine": "stacked"}, {**used, "engine": "serial"}]
    (tmp_path / "a" / "run.json").write_text(json.dumps({**about, "resumed": resumed}))
    ended = run_main(cli.main, "rerun", tmp_path / "a")
    assert ended.code == 0, ended.err
    told = "before it was resumed, rounds of it were trained on another platform, so that last digits may differ: engine stacked -> serial"
    assert " ".join(ended.out.split()).count(told) == 1
