"""hydra/launcher=slurm on a real Slurm, which these tests start (slurm_cluster.py)."""

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from digitcmp.config.allocation import seconds_of
from digitcmp.config.allowed import ALLOWED
from digitcmp.config.schema import Slurm
from digitcmp.experiment import slurm, slurm_array
from digitcmp.experiment.records import Record
from digitcmp.experiment.store import read_run_records
from digitcmp.new import cli as new
from digitcmp.report.origins import read_typed
from tests.conftest import MNIST_ROOT, ROOT, Ended, needs_mnist
from tests.experiment.test_resume import PYTHON, results
from tests.plugins.slurm_cluster import Cluster, cluster, refused
from tests.test_commands import lines_of, shortened

Cli = Callable[..., Ended]
pytestmark = [
    pytest.mark.timeout(900),  # the sum of the longest waits on a machine that is busy
    pytest.mark.skipif(bool(refused()), reason=refused() or "it can be used"),
    pytest.mark.usefixtures("on"),
]
TINY = ["epochs=1", "batch_size=20", "data.train_pairs=60", "data.test_pairs=60"]
ON_SLURM = ["--multirun", "hydra/launcher=slurm", "slurm.tasks=2", *TINY]


@pytest.fixture(scope="module")
def started() -> Iterator[Cluster]:
    """A cluster for all tests."""
    top = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))  # a socket's path must be short
    try:
        with cluster(top) as made:
            yield made
    finally:
        shutil.rmtree(top)


@pytest.fixture(name="on")
def reached(started: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """The cluster, which this process reaches."""
    for name, value in {**started.environment, "PYTHONPATH": str(ROOT)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(slurm_array, "POLL", 0.3)
    return started


def about(folder: Path) -> dict[str, Any]:
    """run.json of the only run in a folder."""
    (path,) = folder.glob("*/run.json")
    return dict(json.loads(path.read_text()))


def on_record(folder: Path) -> list[Record]:
    """All rounds below a folder that are on record."""
    return [record for path in folder.glob("*/run.json") for record in read_run_records(path.parent).rounds.values()]


def test_an_array_makes_a_sweep(run_cli: Cli, tmp_path: Path) -> None:
    """What it leaves is what this machine leaves, in a folder that was given as it is seen from here; every round once; a report."""
    sweep = ["model=net1,wsn", "rounds=2"]
    assert run_cli("--multirun", *TINY, *sweep, "hydra.sweep.dir=ours", "engine=serial", "report=false").code == 0
    ended = run_cli(*ON_SLURM, *sweep, "hydra.sweep.dir=theirs")
    assert (ended.code, ended.err) == (0, "")
    shutil.rmtree(tmp_path / "theirs" / "summary")
    assert results(tmp_path / "theirs") == results(tmp_path / "ours")
    job = re.search(r"^submitted as job (\d+): 2 tasks", ended.out, re.MULTILINE)
    assert job is not None
    assert f"job {job[1]}: 4 of 4 rounds" in ended.out
    assert "report.html" in ended.out
    command = shlex.join(["python", "-m", "digitcmp", "--multirun", *ON_SLURM[1:], *sweep, "hydra.sweep.dir=theirs"])
    typed = read_typed(tmp_path / "theirs")
    assert typed is not None
    assert sorted(shlex.split(typed.command())) == sorted(shlex.split(command))
    for path in (tmp_path / "theirs").glob("*/run.json"):
        tasks = json.loads(path.read_text())["slurm"]
        assert {task["array"] for task in tasks} == {job[1]}
        assert {task["node"] for task in tasks} <= {"n1", "n2", "n3"}
    lines = [line for path in (tmp_path / "theirs").glob("*/records/*.jsonl") for line in path.read_text().splitlines()]
    assert len(lines) == 4
    again = run_cli(*ON_SLURM, *sweep, "hydra.sweep.dir=theirs")
    assert again.code == 0
    assert "submitted" not in again.out


def test_tasks_that_end_early_leave_their_rounds_to_the_others(on: Cluster, run_cli: Cli, tmp_path: Path) -> None:
    """One is cancelled, one comes to its time limit, one loses its node; the last one to end reports."""
    long = ["slurm.tasks=3", "slurm.wait=false", "epochs=150", "rounds=9"]
    ended = run_cli(*ON_SLURM, *long, "hydra.sweep.dir=sweep")
    assert (ended.code, ended.err) == (0, "")
    (job,) = re.findall(r"^submitted as job (\d+)", ended.out, re.MULTILINE)
    sweep = tmp_path / "sweep"
    on.until(lambda: list(sweep.glob("*/run.json")) and len(about(sweep)["slurm"]) == 3)
    nodes = {task["task"]: task["node"] for task in about(sweep)["slurm"]}
    assert len(set(nodes.values())) == 3
    on.run("scancel", f"{job}_0")
    on.run("scancel", "--batch", "--signal=USR1", f"{job}_1")  # what Slurm does before a time limit
    on.lose(nodes["2"])
    try:
        on.until(lambda: on.states(job)["1"] == on.states(job)["2"] == "PENDING")
        time.sleep(3)  # what was granted before has to expire
        for task in "12":  # Slurm would wait for two minutes
            on.run("scontrol", "update", f"JobId={job}_{task}", "StartTime=now")
        on.until(lambda: set(on.states(job).values()) <= {"CANCELLED", "COMPLETED"})
    finally:
        on.bring_back(nodes["2"])
    logs = {task: (sweep / "slurm" / f"{job}_{task}.log").read_text() for task in "012"}
    assert "digitcmp: interrupted (SIGTERM); " in logs["0"]
    assert "digitcmp: interrupted (SIGUSR1); " in logs["1"]
    assert not any("Traceback" in log for log in logs.values())
    assert slurm_array.Array([job], sweep).codes() == {f"{job}_0": 143, f"{job}_1": 0, f"{job}_2": 0}
    assert sorted(record.row.seed for record in on_record(sweep)) == list(range(9))
    lines = [line for path in sweep.glob("*/records/*.jsonl") for line in path.read_text().splitlines()]
    assert len(lines) == 9
    assert {task.get("restarts", "0") for task in about(sweep)["slurm"]} == {"0", "1"}
    assert about(sweep)["status"] == "done"
    page = (sweep / "summary" / "report.html").read_text()
    assert "9 rounds" in page
    assert "--multirun hydra/launcher=slurm hydra.sweep.dir=sweep slurm.tasks=2" in page  # as it was typed
    assert "hydra/launcher=digitcmp" not in page


def test_a_requeued_task_with_nothing_left_to_do_is_not_waited_for(on: Cluster, run_cli: Cli, tmp_path: Path) -> None:
    """One comes to its time limit, and it alone is begun again; the other one trains what is left: then the first one, which would begin
    two minutes later, is cancelled."""
    sweep = tmp_path / "sweep"

    def end_one() -> None:
        on.until(lambda: list(sweep.glob("*/run.json")) and len(about(sweep).get("slurm", [])) == 2)
        on.run("scancel", "--batch", "--signal=USR1", f"{about(sweep)['slurm'][0]['array']}_1")

    thread = threading.Thread(target=end_one)
    thread.start()
    ended = run_cli(*ON_SLURM, "epochs=150", "rounds=4", "hydra.sweep.dir=sweep")
    thread.join()
    assert (ended.code, ended.err) == (0, "")
    job = about(sweep)["slurm"][0]["array"]
    assert on.states(job) == {"0": "COMPLETED", "1": "CANCELLED"}
    assert "2 pending (BeginTime)" not in ended.out
    assert f"job {job}: 4 of 4 rounds; 1 pending (BeginTime)" in ended.out.replace("1 completed, ", "")
    assert about(sweep)["status"] == "done"
    assert sorted(record.row.seed for record in on_record(sweep)) == list(range(4))
    assert "4 rounds" in (sweep / "summary" / "report.html").read_text()


def test_an_array_of_workers_on_one_study(run_cli: Cli, tmp_path: Path) -> None:
    """As many trials as were asked for, pruned ones included, each by one worker; the best one is confirmed."""
    search = ["hydra/sweeper=digitcmp_optuna", "data.val_pairs=20", "model=net1", "optimizer.lr=interval(0.001,0.1)", "epochs=3"]
    options = ["n_trials=8", "pruners.median.n_startup_trials=2", "pruners.median.n_min_trials=2", "pruners.median.warmup=1", "confirm=2"]
    ended = run_cli(*ON_SLURM, *search, *(f"hydra.sweeper.{one}" for one in options), "hydra.sweep.dir=search")
    assert (ended.code, ended.err) == (0, "")
    folder = tmp_path / "search"
    assert len(list(folder.glob("trial_*/run.json"))) == 8
    assert (folder / "study.journal").exists()
    assert not (folder / "study.db").exists()
    assert {json.loads(path.read_text())["status"] for path in folder.glob("trial_*/run.json")} <= {"done", "pruned"}
    assert "Trials: 8 of 8: " in (folder / "summary" / "search.md").read_text()
    assert set(slurm_array.Array(re.findall(r"as job (\d+)", ended.out), folder).codes().values()) == {0}


def test_rounds_as_many_as_it_takes(run_cli: Cli, tmp_path: Path) -> None:
    """rounds=auto: an array decides, and this machine tells what came of it."""
    ended = run_cli(*ON_SLURM, "slurm.tasks=1", "model=net1,wsn", "rounds=auto", "auto.batch=5", "auto.max=10", "hydra.sweep.dir=auto")
    assert (ended.code, ended.err) == (0, "")
    assert len(list(on_record(tmp_path / "auto"))) in (10, 20)
    assert (tmp_path / "auto" / "summary" / "verdicts.csv").exists()


def test_code_of_ones_own(run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is let in reaches the tasks of the array and their workers, and is on record; nothing of it runs otherwise. So do data,
    and nothing else is needed of the environment here."""
    monkeypatch.setenv(ALLOWED, "")
    file = str(new.make("plugins", None, Path("my_conf")))
    parts = ["augment=dim", "model.tower=[{channels: 4, pool: 3}, {kind: scaled}]", "rounds=2", "report=false", "hydra.sweep.dir=theirs"]
    refused = run_cli(*ON_SLURM, "--config-dir", "my_conf", *parts)
    assert (refused.code, f"add --allow-code {file}" in refused.err, (tmp_path / "theirs").exists()) == (1, True, False)
    ended = run_cli(
        *ON_SLURM, "--config-dir", "my_conf", "--allow-code", file, 'slurm.options=["--export=NONE"]', "engine=processes", *parts
    )
    assert ended.code == 0, ended.err
    assert [record.row.status for record in on_record(tmp_path / "theirs")] == ["done"] * 2
    assert list(about(tmp_path / "theirs")["plugins"]) == [file]


def test_what_does_not_arrive_is_an_error(on: Cluster, run_cli: Cli) -> None:
    """An array that is cancelled before it has begun: one line, exit code 1."""

    def cancel() -> None:
        on.until(lambda: on.ask("squeue", "-h", "-o", "%T").strip() == "PENDING")
        on.run("scancel", "--user=root")

    thread = threading.Thread(target=cancel)
    thread.start()
    ended = run_cli(*ON_SLURM, "slurm.tasks=1", 'slurm.options=["--begin=now+1hour"]', "rounds=2", "hydra.sweep.dir=sweep")
    thread.join()
    assert ended.code == 1
    assert re.fullmatch(
        r"digitcmp: 2 of 2 rounds are missing: no task of job \d+ has left anything in .*; the same command goes on\n", ended.err
    )


def test_a_folder_that_the_nodes_do_not_see(tmp_path: Path) -> None:
    """It is of this machine alone: what the array leaves is elsewhere, and the command says so."""
    (tmp_path / "local").mkdir()
    alone = ["unshare", "-m", "bash", "-c", f'mount -t tmpfs none {tmp_path}/local && exec "$@"', "-"]
    command = [*alone, *PYTHON, *ON_SLURM, "slurm.tasks=1", "rounds=2", "hydra.sweep.dir=local/sweep"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    told = f"2 of 2 rounds are missing: no task of job \\d+ has left anything in {tmp_path}/local/sweep/slurm: do its nodes see this folder"
    assert ended.returncode == 1
    assert re.fullmatch(rf"digitcmp: {told}\?; the same command goes on\n", ended.stderr), ended.stderr


def test_bad_input_is_one_line_before_anything_is_submitted(
    on: Cluster, run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partition that is none, an array that is too large, a time that is none, options that would break the script, sqlite."""
    searching = ["hydra/sweeper=digitcmp_optuna", "data.val_pairs=20", "aux_weight=interval(0,1)", "model=wsn"]
    wrong: dict[str, list[str]] = {
        "slurm.partition=nowhere: Slurm: ": ["slurm.partition=nowhere"],
        "slurm.time=4: a task is told to end up to two minutes before that,": ["slurm.time=4"],
        "Slurm: Invalid --mem specification; nothing was submitted": ["slurm.mem=much"],
        "Slurm: unrecognized option '--nonsense=1'; nothing was submitted": ['slurm.options=["--nonsense=1"]'],
        "slurm.account=a b: it has a ' '": ["slurm.account='a b'"],
        "storage=sqlite:///study.db: machines cannot share sqlite": [*searching, "hydra.sweeper.storage=sqlite:///study.db"],
    }
    for told, given in wrong.items():
        ended = run_cli(*ON_SLURM, *given, "hydra.sweep.dir=sweep")
        assert (ended.code, ended.err.count("\n")) == (1, 1), ended.err
        assert ended.err.startswith(f"digitcmp: {told}"), ended.err
    assert "there is first, main" in run_cli(*ON_SLURM, "slurm.partition=nowhere").err
    conf = (on.top / "slurm.conf").read_text().replace("17000", "17999")
    (tmp_path / "slurm.conf").write_text(conf)
    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "slurm.conf"))
    ended = run_cli(*ON_SLURM, "hydra.sweep.dir=sweep")
    assert ended.code == 1
    assert re.fullmatch(
        r"digitcmp: hydra/launcher=slurm: Slurm's controller cannot be reached from here \(scontrol ping: .*\)\n", ended.err
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "there is no sbatch here" in run_cli(*ON_SLURM, "hydra.sweep.dir=sweep").err
    assert not list(tmp_path.rglob("*.sh"))


def test_an_array_that_is_larger_than_the_largest(on: Cluster, run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several arrays share the work, and the command waits for all of them; where one of them is refused, there is none."""
    monkeypatch.setattr(slurm, "largest", lambda: 2)
    sweep = ["model=net1", "rounds=3", "slurm.tasks=3", "hydra.sweep.dir=sweep", "report=false"]
    ended = run_cli(*ON_SLURM, *sweep)
    assert (ended.code, ended.err) == (0, "")
    ((first, second),) = re.findall(r"^submitted as jobs (\d+), (\d+): 3 tasks", ended.out, re.MULTILINE)
    assert slurm_array.Array([first, second], tmp_path / "sweep").codes() == {f"{first}_0": 0, f"{first}_1": 0, f"{second}_0": 0}
    assert f"(scancel {first} {second} ends it)" in ended.out
    assert sorted(record.row.seed for record in on_record(tmp_path / "sweep")) == [0, 1, 2]
    planned = run_cli(*ON_SLURM, "slurm.tasks=5", "rounds=9", "dry_run=true")
    assert "; 5 tasks are 3 arrays (MaxArraySize=2)" in planned.out, planned.err
    before = slurm.ask

    def second_is_refused(*command: str, **how: Any) -> str:
        return before(*command, *["--partition=nowhere"] * ("--array=0-0" in command), **how)

    monkeypatch.setattr(slurm, "ask", second_is_refused)
    ended = run_cli(*ON_SLURM, "slurm.tasks=3", 'slurm.options=["--begin=now+1hour"]', "hydra.sweep.dir=refused")
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert "; nothing was submitted" in ended.err
    on.until(lambda: not on.ask("squeue", "-h").strip())


@pytest.mark.parametrize(("limit", "seconds"), [
    ("4", 240), ("5", 300), ("1:30", 90), ("0:30:00", 1800), ("1-2", 93600), ("1-2:03", 93780), ("1-2:03:04", 93784),
    ("soon", None), ("1:2:3:4", None),
])  # fmt: skip
def test_time_limits(limit: str, seconds: int | None) -> None:
    """As sbatch's manual has them."""
    assert seconds_of(limit) == seconds


def test_the_largest_array_is_asked_for() -> None:
    """Of the cluster's own configuration."""
    assert slurm.largest() == 50


def test_a_dry_run_says_what_would_be_submitted(run_cli: Cli, tmp_path: Path) -> None:
    """The script, with the folder as the nodes see it, and what Slurm thinks of it."""
    given = ["slurm.partition=first", "slurm.time=1:00:00", "slurm.gres=null", "slurm.mem=1G", "rounds=4", "dry_run=true"]
    ended = run_cli(*ON_SLURM, *given, 'hydra.sweep.dir="a folder\'s"')
    assert (ended.code, ended.err) == (0, "")
    for line in ("--array=0-1", "--partition=first", "--time=1:00:00", "--mem=1G", "--requeue", "--signal=B:USR1@60"):
        assert f"#SBATCH {line}\n" in ended.out
    assert f"cd {tmp_path} || exit" in ended.out
    (command,) = [line for line in ended.out.splitlines() if line.startswith(f"{sys.executable} -m digitcmp --multirun")]
    assert "dry_run=" not in command  # whoever submits it by hand wants the rounds
    *_, launcher, folder, background = shlex.split(command)
    parsed = OverridesParser.create().parse_override(folder)
    assert (launcher, parsed.value(), background) == ("hydra/launcher=digitcmp", f"{tmp_path}/a folder's", "&")
    assert "Slurm says: Job" in ended.out
    assert "with 2 at a time" in ended.out
    assert not list(tmp_path.rglob("array.sh"))
    assert "with 3 at a time" in run_cli(*ON_SLURM, "slurm.tasks=8", "rounds=9", "dry_run=true").out  # the cluster has no more


def test_places_are_those_of_the_nodes_that_are_up(on: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the partition that is meant, each node once; those with too few cores for a task have none."""

    def places(cpus: int = 1, partition: str | None = None) -> int:
        return slurm.places(Slurm(tasks=99, cpus=cpus, partition=partition))

    assert [places(partition=name) for name in (None, "first", "main,first")] == [3, 3, 3]
    on.run("scontrol", "update", "NodeName=n2", "State=DOWN", "Reason=power")
    try:
        on.until(lambda: places() == 2)
    finally:
        on.run("scontrol", "update", "NodeName=n2", "State=RESUME")
    on.until(lambda: places() == 3)
    told = "a|long*|4/12/0/16\na|gpu|4/12/0/16\nb|long*|0/0/16/16\nc|gpu|0/6/0/6\n"
    monkeypatch.setattr(slurm, "ask", lambda *command, **_: told if "sinfo" in command else "")
    for cpus, partition, tasks in ((1, None, 16), (5, None, 3), (16, None, 1), (32, None, 1), (1, "gpu", 22), (5, "gpu", 4)):
        assert places(cpus, partition) == tasks


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
def test_a_ray_in_an_allocation(on: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script of docs/cluster.md as it stands: a node of Ray on each of two, rounds on both, exit code and no process left."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("RAY_TMPDIR", str(on.top))
    line = next(line for line in lines_of("docs/cluster.md") if line.startswith("sbatch"))
    fewer = re.sub(r"--nodes=\d+", "--nodes=2", re.sub(r"--cpus-per-task=\d+", "--cpus-per-task=1", line))
    options = shlex.split(fewer.partition("docs/ray_in_slurm.sh")[0])[1:]
    given = [*options, "--output=log", str(ROOT / "docs" / "ray_in_slurm.sh"), *TINY, "rounds=4", "hydra.run.dir=ray/run"]
    job = slurm.ask("sbatch", "--parsable", *given, cwd=tmp_path).strip()
    on.until(lambda: re.search(r"JobState=(COMPLETED|FAILED)", on.ask("scontrol", "show", "job", job)))
    assert "ExitCode=0:0" in on.ask("scontrol", "show", "job", job), (tmp_path / "log").read_text()
    ray = about(tmp_path / "ray")
    assert (ray["engine"], ray["status"], ray["slurm"][0]["job"]) == ("ray", "done", job)
    assert len(on_record(tmp_path / "ray")) == 4
    on.until(lambda: not any(map(on.processes, ("n1", "n2", "n3"))))


@needs_mnist
@pytest.mark.usefixtures("in_their_own_folders")
@pytest.mark.parametrize("command", [line for line in lines_of("docs/slurm.md") if "slurm" in line])
def test_commands_of_the_page(run_cli: Cli, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """Each could be submitted as it stands, with fewer and smaller rounds."""
    monkeypatch.setenv("DIGITCMP_DATA", str(Path(MNIST_ROOT).resolve()))
    words = shortened(shlex.split(command, comments=True)[3:])
    ended = run_cli(*words, *["dry_run=true"] * ("dry_run=true" not in words))
    assert ended.code == 0, ended.err
    assert "#SBATCH --array=0-" in ended.out
