"""How far runs are, as another process sees it: in flight, dead, missing; and the files that say so."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digitcmp.errors import DigitcmpError, RunError
from digitcmp.experiment import beats, heartbeat, planned
from digitcmp.experiment.beats import read_beats
from digitcmp.experiment.callbacks import Callback
from digitcmp.experiment.heartbeat import Heartbeat
from digitcmp.experiment.run import Run
from digitcmp.files import remove_leftovers
from digitcmp.runs import cli
from digitcmp.runs.names import short_names
from digitcmp.runs.status import FolderStatus, RunStatus, read_status
from digitcmp.runs.status_view import as_json, render
from digitcmp.terminal import Terminal
from digitcmp.train.results import EpochRow
from tests.conftest import ROOT, Ended, compose_config
from tests.experiment.made import EPOCH, train_run
from tests.report.made import configuration, write_run

TINY = ["epochs=3", "data.train_pairs=100", "data.test_pairs=100"]
ENGINES = [["engine=serial"], ["engine=processes", "workers=2"], ["engine=stacked"]]
CODE = """
import sys, time
from pathlib import Path
from types import SimpleNamespace
from digitcmp.experiment.heartbeat import Heartbeat
folder = Path(sys.argv[1])
run = SimpleNamespace(directory=folder, store=SimpleNamespace(heartbeat=folder / "records" / "a.heartbeat.json"))
with Heartbeat() as beats:
    beats.on_run_begin(run)
    beats.on_round_begin(run, 1, 0)
    beats.write([run.store.heartbeat])
    print("begun", flush=True)
    time.sleep(600)
"""
Main = Callable[..., Ended]


def only(status: FolderStatus) -> RunStatus:
    """The only run of a folder."""
    (run,) = status.runs
    return run


def running_run(folder: Path, done: Sequence[int] = (0,)) -> Path:
    """A run of three rounds that says it is running, with some of them done."""
    write_run(folder, dict.fromkeys(done, 0.8), seeds=[0, 1, 2], status="running", finished=None)
    about = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**about, "seeds": [0, 1, 2], "status": "running"}))
    return folder


@pytest.fixture
def process(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that has the round of seed 1 of the run in the folder a in flight."""
    running_run(tmp_path / "a")
    command = [sys.executable, "-c", CODE, str(tmp_path / "a")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        yield process
        process.kill()


class Looks(Callback):
    """Looks at a run from outside after its second epoch, until what is there says so."""

    def __init__(self) -> None:
        self.seen: FolderStatus | None = None

    def on_epoch(self, run: Run, row: EpochRow) -> None:
        end = time.monotonic() + 60
        while row.epoch == 2 and self.seen is None and time.monotonic() < end:
            status = read_status(run.directory)
            if any(one.seed == row.seed and one.epoch == 2 for one in only(status).running):
                self.seen = status
            time.sleep(0.02)


@pytest.mark.parametrize("engine", ENGINES, ids=" ".join)
def test_rounds_in_flight(tmp_path: Path, engine: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Are seen with their epochs before any round has ended, whatever executes them; at the end nothing of that is left."""
    monkeypatch.setattr(heartbeat, "INTERVAL", 0.01)
    looks = Looks()
    train_run(compose_config(*TINY, *engine, "rounds=2"), tmp_path / "a", looks)
    assert looks.seen is not None
    run = only(looks.seen)
    assert run.state == "running"
    assert run.done == 0
    assert len(run.running) + len(run.missing) == 2
    assert looks.seen.pace > 0
    assert looks.seen.seconds_left is not None
    assert f":{os.getpid()}" in run.running[0].process
    assert only(read_status(tmp_path)).counts == {"done": 2, "running": 0, "failed": 0, "missing": 0, "dead": 0}
    assert only(read_status(tmp_path)).state == "done"
    assert not list(tmp_path.rglob("*.heartbeat.json"))
    assert not list(tmp_path.rglob(".*.tmp"))


def test_interrupted(tmp_path: Path) -> None:
    """Leaves nothing that would look like a death."""

    class Interrupts(Callback):
        def on_epoch(self, run: Run, row: EpochRow) -> None:
            assert read_beats(run.directory), row
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_run(compose_config(*TINY, "engine=serial"), tmp_path / "a", Interrupts())
    run = only(read_status(tmp_path))
    assert (run.state, run.missing, run.dead) == ("interrupted", [0], [])
    assert not list(tmp_path.rglob("*.heartbeat.json"))


def test_killed(tmp_path: Path, process: "subprocess.Popen[str]") -> None:
    """A process is seen at work, then stopped; its round is dead as soon as it is gone, though run.json says running."""
    run = only(read_status(tmp_path))
    assert (run.state, run.done, run.missing) == ("running", 1, [2])
    assert [(one.seed, one.epoch) for one in run.running] == [(1, 0)]
    process.send_signal(signal.SIGKILL)
    process.wait()
    run = only(read_status(tmp_path))
    assert (run.state, run.done, run.running, run.missing) == ("dead", 1, [], [2])
    assert [one.seed for one in run.dead] == [1]
    beats.remove_dead(tmp_path / "a")  # as the next process does
    assert only(read_status(tmp_path)).missing == [1, 2]


def test_next_process(tmp_path: Path) -> None:
    """Removes what a dead one has left, and trains its rounds."""
    config = compose_config(*TINY, "engine=serial")
    run = Run(config, tmp_path / "a", "test")
    run.begin("serial", 1, "cpu")
    beats = Heartbeat()
    beats.process["start_time"] = "1"  # of a process whose number is used again
    beats.on_run_begin(run)
    beats.on_round_begin(run, 0, 0)
    beats.write([run.store.heartbeat])
    assert [one.seed for one in only(read_status(tmp_path)).dead] == [0]
    train_run(config, tmp_path / "a")
    assert only(read_status(tmp_path)).state == "done"
    assert not list(tmp_path.rglob("*.heartbeat.json"))


def test_other_hosts(tmp_path: Path, process: "subprocess.Popen[str]") -> None:
    """A process of another host lives as long as it touches its file, by the clock of the file system."""
    (path,) = read_beats(tmp_path / "a")
    process.kill()
    process.wait()
    path.write_text(json.dumps({**json.loads(path.read_text()), "host": "elsewhere", "node": "n7"}))
    assert [one.process for one in only(read_status(tmp_path)).running] == [f"n7:{process.pid}"]
    since = time.time() - 2 * heartbeat.LEASE
    os.utime(path, (since, since))
    assert [one.process for one in only(read_status(tmp_path)).dead] == [f"n7:{process.pid}"]
    assert not list(tmp_path.rglob(".*.tmp"))


def test_taken_for_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a process of another host, since the file system's clock was put forward: a live one's file comes again, without an epoch."""
    monkeypatch.setattr(heartbeat, "INTERVAL", 0.01)
    monkeypatch.setattr(heartbeat, "LEASE", 0.01)  # from one touch to the next
    run = Run(compose_config("epochs=10"), tmp_path / "a", "test")
    run.begin("serial", 1, "cpu")
    with Heartbeat() as beats:
        beats.process["host"] = "elsewhere"
        beats.on_run_begin(run)
        beats.on_round_begin(run, 0, 2)
        while not any(beat.rounds for beat in read_beats(run.directory).values()):
            time.sleep(0.01)
        run.store.heartbeat.unlink()
        while not (found := read_beats(run.directory)):
            time.sleep(0.01)
    (beat,) = found.values()
    assert beat.rounds == {0: 2}


def test_pace(tmp_path: Path) -> None:
    """Counts epochs that were trained, not those before a checkpoint; a round of a live process is not another one's dead one."""
    run = Run(compose_config("epochs=10", "rounds=4"), tmp_path / "a", "test")
    run.begin("serial", 1, "cpu")
    with Heartbeat() as beats:
        beats.on_run_begin(run)
        beats.on_round_begin(run, 0, 2)
        for epoch in range(1, 6):
            beats.on_epoch(run, EpochRow(**{**vars(EPOCH), "epoch": epoch}))
        beats.seen[0] = (beats.seen[0][0] - 60, 0)
        beats.write([run.store.heartbeat])
        status = read_status(tmp_path)
    assert only(status).running[0].epoch == 5
    assert only(status).epochs_left == 35
    assert status.pace == pytest.approx(3 / 60, rel=0.1)
    assert status.rounds_per_minute == pytest.approx(0.3, rel=0.1)


def test_what_failed_or_was_given_up_is_not_the_best(tmp_path: Path) -> None:
    """Whatever the rounds that are left have reached."""
    write_run(tmp_path / "a", {0: 0.99, 1: None}, status="failed")
    write_run(tmp_path / "b", {0: 0.98}, status="pruned", seeds=[0, 1])
    assert read_status(tmp_path).best is None
    assert json.loads(as_json(read_status(tmp_path)))["best"] is None
    write_run(tmp_path / "c", {0: 0.7, 1: 0.8})
    best = read_status(tmp_path).best
    assert best is not None
    assert best.folder.name == "c"


def test_planned(tmp_path: Path) -> None:
    """What was planned is missing before it is begun, and later commands add to it; a search knows how many rounds it has in all."""
    config = compose_config("epochs=10", "rounds=3")

    def run(name: str, *seeds: int) -> Run:
        made: Any = SimpleNamespace(directory=tmp_path / name, seeds=list(seeds), config=config)
        return cast(Run, made)

    planned.write(tmp_path, planned.plan_of([run("b", 7)]))
    planned.write(tmp_path, planned.plan_of([run("b", 3, 8)]))
    running_run(tmp_path / "a", done=[0, 1])
    status = read_status(tmp_path)
    assert [(one.folder.name, one.state, one.missing) for one in status.runs] == [("a", "dead", [2]), ("b", "waiting", [3, 7, 8])]
    planned.write(tmp_path, planned.Planned(rounds=10, epochs=5))
    status = read_status(tmp_path)
    assert status.counts == {"done": 2, "running": 0, "failed": 0, "missing": 11, "dead": 0}
    assert status.epochs_left == 3 + 3 * 10 + 7 * 5
    (tmp_path / "planned.json").write_text('{"runs": 3}')
    assert [one.folder.name for one in read_status(tmp_path).runs] == ["a"]


def test_a_link_to_a_sweep_adds_nothing(tmp_path: Path) -> None:
    """Wherever one comes upon it: neither to what is planned there nor to what is done; through the link alone all of it is seen, and a
    trial that is a link, as of one that was moved to another disk, is a trial."""
    far, top = tmp_path / "far", tmp_path / "top"
    running_run(far / "sweep" / "a", done=[0, 1])
    running_run(far / "search" / "trial_0000", done=[0, 1, 2])
    running_run(far / "moved", done=[0, 1, 2])
    (far / "search" / "trial_0001").symlink_to(far / "moved")
    config = compose_config("epochs=10", "rounds=3")
    made: Any = [SimpleNamespace(directory=far / "sweep" / name, seeds=[0, 1, 2], config=config) for name in "ab"]
    planned.write(far / "sweep", planned.plan_of(made))
    planned.write(far / "search", planned.Planned(rounds=9, epochs=5))
    top.mkdir()
    shown = [("a", "dead", [2]), ("b", "waiting", [0, 1, 2])]
    for name in ("sweep", "search"):
        (top / name).symlink_to(far / name)
    status = read_status(top)
    counts = {"done": 8, "running": 0, "failed": 0, "missing": 4 + 3, "dead": 0}
    assert status.counts == read_status(far).counts == read_status(tmp_path).counts == counts
    assert [(run.folder.name, run.state, run.missing) for run in status.runs if run.folder.parent.name == "sweep"] == shown
    assert {run.folder.parent for run in status.runs} == {top / "sweep", top / "search"}
    for name in ("a", "z"):  # before and behind it
        (far / f"{name}-latest").symlink_to("sweep")
        (far / f"{name}-search").symlink_to("search")
    assert read_status(far).counts == counts
    assert {run.folder.parent.name for run in read_status(far).runs} == {"sweep", "search", "far"}
    assert [(run.folder.name, run.state, run.missing) for run in read_status(far / "a-latest").runs] == shown
    assert read_status(far / "a-search").counts["missing"] == 3


def test_a_finalist_that_failed_lacks_nothing(tmp_path: Path) -> None:
    """Nobody trains the rest of it, though its final had planned that; a final of more rounds does."""
    finalist = tmp_path / "finalists" / "trial_0000"
    write_run(finalist, {10: 0.8, 11: None}, seeds=[10, 11, 12, 13], status="failed")
    planned.write(tmp_path, planned.Planned({finalist: ([10, 11, 12, 13], 3)}))
    assert (only(read_status(tmp_path)).state, only(read_status(tmp_path)).missing) == ("failed", [])
    planned.write(tmp_path, planned.Planned({finalist: ([10, 11, 12, 13, 14], 3)}))
    assert (only(read_status(tmp_path)).state, only(read_status(tmp_path)).missing) == ("interrupted", [14])


def test_planned_search(tmp_path: Path) -> None:
    """Its final and its confirmation are counted beside its trials, with which a failed one does not count; it may go on with more."""
    planned.write(tmp_path, planned.Planned(rounds=6, epochs=3))
    for name, accuracy in (("trial_0000", 0.8), ("trial_0001", None), ("trial_0002", 0.7)):
        write_run(tmp_path / name, dict.fromkeys([0, 1], accuracy), seeds=[0, 1], status="done" if accuracy else "failed")
    assert read_status(tmp_path).counts == {"done": 4, "running": 0, "failed": 2, "missing": 2, "dead": 0}
    write_run(tmp_path / "trial_0003", {0: 0.8, 1: 0.8}, seeds=[0, 1])
    finalists = {tmp_path / "finalists" / f"trial_000{number}": ([10, 11, 12], 3) for number in (0, 3)}
    planned.write(tmp_path, planned.Planned(finalists))
    assert read_status(tmp_path).counts["missing"] == 6
    write_run(tmp_path / "finalists" / "trial_0000", {10: 0.8}, seeds=[10, 11, 12])
    assert read_status(tmp_path).counts["missing"] == 5
    planned.write(tmp_path, planned.Planned(rounds=10, epochs=3))
    assert read_status(tmp_path).counts["missing"] == 5 + 4
    write_run(tmp_path / "confirm" / "best", {20: 0.9}, seeds=[20])
    best = read_status(tmp_path).best
    assert best is not None
    assert best.folder == tmp_path / "trial_0000"  # neither a finalist nor what confirms it, of other seeds and pairs
    best = read_status(tmp_path / "finalists").best
    assert best is not None
    assert best.folder == tmp_path / "finalists" / "trial_0000"


def test_command(tmp_path: Path, run_main: Main, process: "subprocess.Popen[str]") -> None:
    """Prints it within 80 columns, or as JSON, or again and again until nothing is trained."""
    nasty = write_run(tmp_path / "<script>\x1b[31m", {0: 0.91, 1: None})
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "run.json").write_text("{")
    ended = run_main(cli.main, "status", tmp_path)
    assert ended.code == 0
    assert "2 of 5 done, 1 running, 1 failed, 1 missing" in ended.out
    assert "<script>\\x1b[31m" in ended.out
    assert "accuracy, one round: a\n" in ended.out  # not one whose mean leaves a failed round out
    assert "no epoch through yet" in ended.out
    assert "\x1b" not in ended.out
    assert max(map(len, ended.out.replace(str(tmp_path), "").splitlines())) <= 80
    told = json.loads(run_main(cli.main, "status", tmp_path, "--json").out)
    assert told["rounds"] == {"done": 2, "running": 1, "failed": 1, "missing": 1, "dead": 0}
    assert {run["folder"]: run["state"] for run in told["runs"]} == {
        str(tmp_path / "a"): "running",
        str(tmp_path / "damaged"): "damaged",
        str(nasty): "failed",
    }
    assert told["processes"] == [{"host": os.uname().nodename, "process": process.pid, "stopped": False, "rounds": [1]}]
    process.kill()
    process.wait()
    ended = run_main(cli.main, "status", tmp_path, "--watch")
    assert "1 dead" in ended.out
    assert "1: 0/3 died" in ended.out


def test_long_names(tmp_path: Path) -> None:
    """Take nothing from the figures beside them: whole in a listing, cut in a line each in a live one."""
    names = [f"experiment=net3,model.weight_sharing=True,aux_weight=1,model.dropout={rate}" for rate in ("0", "0.25")]
    for name in names:
        running_run(tmp_path / name)
    lost = write_run(tmp_path / "lost", {0: 0.8})
    about = json.loads((lost / "run.json").read_text())
    (lost / "run.json").write_text(json.dumps({**about, "published": True}))
    status = read_status(tmp_path)
    for now in ("", " (12:00:00)"):
        shown = Terminal(width=80, file=io.StringIO())
        shown.print(render(status, now=now))
        _, _, rows = cast(io.StringIO, shown.file).getvalue().partition("\n\n")
        assert rows.split("\n")[0].split() == ["run", "state", "done", "now", "accuracy"]
        assert len(re.findall(r"dead +1/3 +80.00 %", rows)) == 2
        assert "damaged" in rows
        assert max(map(len, rows.split("\n"))) <= 80
        whole = "".join(row[: rows.index("state")].strip() for row in rows.split("\n")[1:])
        assert [name in whole for name in names] == [not now] * 2
        assert not now or rows.count("\n") == 4
        apart = [row[: row.index("dead")].strip() for row in rows.split("\n") if " dead " in row and now]
        assert apart == (["…model.dropout=0", "…model.dropout=0.25"] if now else [])


def test_long_names_break_after_a_comma(tmp_path: Path, run_main: Main) -> None:
    """In a listing: no key of theirs is in two lines."""
    for model in ("net1", "net2"):
        write_run(tmp_path / f"model={model},data=digits,data.train_pairs=100,data.test_pairs=200,epochs=1", {0: 0.8})
    rows = run_main(cli.main, "status", tmp_path).out.partition("run ")[2].splitlines()[1:]
    ends = [row.partition(" ")[0] for row in rows]
    assert ends == [
        one for model in ("net1", "net2") for one in (f"model={model},data=digits,data.train_pairs=100,", "data.test_pairs=200,epochs=1")
    ]


@settings(max_examples=100)
@given(st.lists(st.text("ab,=/é", min_size=1, max_size=60), max_size=12), st.integers(8, 40))
def test_short_names_are_told_apart(names: list[str], most: int) -> None:
    """However alike they are: no longer than the room, whole where they fit, and two of them the same only where the names are."""
    short = short_names(names, most)
    assert all(len(one) <= most for one in short)
    assert all(one == name for one, name in zip(short, names, strict=True) if len(name) <= most)
    assert len(set(zip(names, short, strict=True))) == len(set(names)) == len(set(short))


def test_runs_of_one_name(tmp_path: Path, run_main: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    """Are told apart by the folders that they lie in; of a run itself, its name is enough."""
    for sweep, accuracy in (("a", 0.8), ("b", 0.9)):
        write_run(tmp_path / sweep / "x", {0: accuracy})
    out = run_main(cli.main, "status", tmp_path).out
    assert "one round: b/x" in out
    assert re.findall(r"^(\S+) +done", out, re.MULTILINE) == ["a/x", "b/x"]
    assert "one round: x" in run_main(cli.main, "status", tmp_path / "a" / "x").out
    monkeypatch.chdir(tmp_path / "a" / "x")
    assert "one round: x" in run_main(cli.main, "status", ".").out
    assert re.search(r"80.00 % +x$", run_main(cli.main, "ls", ".").out, re.MULTILINE)


@pytest.mark.parametrize(
    "key", ["data.source", "data.fingerprint", "data.target", "data.test_pairs", "data.train_pairs", "data.label_noise"]
)
def test_best_of_the_same_data(tmp_path: Path, key: str, run_main: Main) -> None:
    """Alone is named: accuracies on other data are not ranked, whatever a run of an earlier version leaves out; previews never win."""
    for name, accuracy in (("a", 0.8), ("b", 0.9)):
        write_run(tmp_path / name, {0: accuracy})
    write_run(tmp_path / "c", {0: 0.85}, configuration(data__label_noise=0.0))
    write_run(tmp_path / "x-preview" / "deep" / "p", {0: 0.99})
    (tmp_path / "x-preview" / "preview.json").write_text("{}")
    assert "90.00% test accuracy, one round: b" in run_main(cli.main, "status", tmp_path).out
    assert read_status(tmp_path / "x-preview").best is None
    write_run(tmp_path / "d", {0: 0.7}, configuration(**{key.replace(".", "__"): "other"}))
    assert f"none is named, as the runs differ in {key}\n" in run_main(cli.main, "status", tmp_path).out
    assert json.loads(run_main(cli.main, "status", tmp_path, "--json").out)["best"] is None


def test_bad_folders(tmp_path: Path, run_main: Main) -> None:
    """Are told in one line."""
    for folder, told in ((tmp_path / "none", "there is no such folder"), (tmp_path, "holds no run")):
        ended = run_main(cli.main, "status", folder)
        assert ended.code == 1
        assert told in ended.err
        assert ended.err.count("\n") == 1
    with pytest.raises(RunError, match="no run"):
        read_status(tmp_path)
    assert issubclass(RunError, DigitcmpError)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"rounds": []}', '{"id": 3, "rounds": {}}', "[" * 100_000])
def test_foreign_files(tmp_path: Path, text: str) -> None:
    """What is no heartbeat is nobody's."""
    write_run(tmp_path / "a", {0: 0.8})
    (tmp_path / "a" / "records" / "x.heartbeat.json").write_text(text)
    assert only(read_status(tmp_path)).state == "done"


def test_imports(tmp_path: Path) -> None:
    """Neither torch nor pandas: a status is there at once."""
    write_run(tmp_path / "a", {0: 0.8})
    code = (
        "import sys; sys.argv = ['runs', 'status', sys.argv[1]]; from digitcmp.runs.cli import main; main()\n"
        "assert not {'torch', 'pandas', 'numpy', 'hydra', 'omegaconf'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == 0


def test_a_heartbeat_that_is_being_written_is_no_leftover(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process that clears the folder of what dead ones have left lets it be."""
    replace = Path.replace

    def cleared(source: Path, target: Path) -> Path:
        remove_leftovers(tmp_path)
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", cleared)
    beats.write(tmp_path / "a.heartbeat.json", {"id": "x"})
    assert [path.name for path in tmp_path.iterdir()] == ["a.heartbeat.json"]
