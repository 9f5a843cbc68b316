"""engine=ray on a real cluster: three nodes of one core on loopback, and what happens to them. Run by test_ray.py."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import ray

from digitcmp.config.allowed import ALLOWED
from digitcmp.config.schema import Config
from digitcmp.errors import ConfigError
from digitcmp.experiment.beats import read_beats
from digitcmp.experiment.callbacks import Callback
from digitcmp.experiment.executors import cluster, joining, leftovers
from digitcmp.experiment.executors.base import RoundFuture, Task
from digitcmp.experiment.executors.ray import RayExecutor
from digitcmp.experiment.provenance import machine
from digitcmp.experiment.records import parse
from digitcmp.experiment.run import Run
from digitcmp.experiment.scheduler import train
from digitcmp.new import cli as new
from digitcmp.search.storage import open_storage
from digitcmp.train.results import EpochRow, RoundResult, RoundRow
from tests.conftest import MNIST_ROOT, MODELS, Ended, compose_config, needs_mnist
from tests.experiment.made import course, network, records_of, train_run
from tests.experiment.raylets import ADDRESS, COMMANDS, HEAD, NODE, TASK, Raylet
from tests.search import postgres
from tests.test_commands import shortened
from tests.trackers.test_trackers import in_tensorboard, on_record, single

RAY = ("engine=ray", f"ray.address={ADDRESS}")
TINY = ("epochs=3", "batch_size=25", "data.train_pairs=50", "data.test_pairs=40")
LONG = ("epochs=100000", *TINY[1:])  # never ends by itself
FULL = {"RAY_local_fs_capacity_threshold": "1"}  # by default, a disk of which 95 % are used by others takes no objects
SOONER = {"RAY_health_check_period_ms": "1000", "RAY_health_check_failure_threshold": "3"}  # a node that hangs is given up after 33 s
LIMIT = 240  # seconds that anything may take on a machine that is busy; none of it is an expectation
Cli = Callable[..., Ended]
pytestmark = [
    pytest.mark.skipif("DIGITCMP_RAYLETS" not in os.environ, reason="run by test_ray.py"),
    pytest.mark.timeout(900),  # of a machine that is busy
]


class Nodes:
    """The cluster of all these tests: a head and two others. They end with it, all processes of all of them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.all = folder, list[Raylet]()
        self.head = self.start(HEAD, "--num-cpus=1", f"--temp-dir={folder}", variables=SOONER)
        self.second, self.third = self.start(NODE, "--num-cpus=1"), self.start(NODE, "--num-cpus=1")

    def start(self, command: str, *options: str, before: Sequence[str] = (), variables: Mapping[str, str] | None = None) -> Raylet:
        """One more."""
        log, variables = self.folder / f"{len(self.all)}.log", FULL | dict(variables or {})
        self.all.append(Raylet(command, log, *options, before=before, variables=variables))
        return self.all[-1]

    def lose(self, node: Raylet) -> None:
        """As when its power fails; until Ray knows of it."""
        node.kill()
        self.all.remove(node)
        if not ray.is_initialized():
            ray.init(ADDRESS, logging_level="ERROR")
        until(lambda: len(cluster.alive()) == len(self.all))


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    """Started once."""
    folder = Path(tempfile.mkdtemp(prefix="ray-"))  # names of sockets are short
    started = Nodes.__new__(Nodes)
    try:
        started.__init__(folder)  # type: ignore[misc]
        yield started
    finally:
        ray.shutdown()
        for node in started.all:
            node.kill()
        shutil.rmtree(folder, ignore_errors=True)


def config(*overrides: str) -> Config:
    """A configuration whose rounds take a moment."""
    return compose_config(*TINY, *RAY, *overrides)


def finish(executor: RayExecutor, futures: list[RoundFuture]) -> None:
    """Wait until all of these futures are done."""
    end = time.monotonic() + LIMIT
    while not all(future.done() for future in futures):
        executor.wait()
        assert time.monotonic() < end


def until(true: Callable[[], Any]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + LIMIT
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def finished(folder: Path) -> Counter[int]:
    """How often each seed is on record, in all logs."""
    return Counter(record.row.seed for log in folder.glob("records/*.jsonl") for record in parse(log.read_bytes(), log.name)[0])


def test_same_numbers_as_alone(nodes: Nodes, run_cli: Cli) -> None:
    """Rounds, epochs and networks; the run says what trained it; a dry run says where they would go. Data come by Ray, not from files."""
    options = [*TINY, "rounds=5", "model=wsn", "aux_weight=0.5", "save_model=true"]
    planned = run_cli(*options, *RAY, "dry_run=true", "hydra.run.dir=ray")
    assert "engine=ray: 3 nodes with room for 3 tasks of 1 CPU each: " in planned.out, planned.err
    ended = run_cli(*options, *RAY, "hydra.run.dir=ray")
    assert ended.code == 0, ended.err
    assert run_cli(*options, "engine=serial", "hydra.run.dir=serial").code == 0
    for one, other in zip(records_of(Path("ray")), records_of(Path("serial")), strict=True):
        assert replace(one.row, seconds=0) == replace(other.row, seconds=0)
        assert [replace(row, seconds=0) for row in one.epochs] == [replace(row, seconds=0) for row in other.epochs]
        assert one.distances == other.distances
    about = Run(config("rounds=5", "model=wsn", "aux_weight=0.5"), Path("ray"), "").store.about
    assert about is not None
    assert (about["engine"], about["workers"], about["platform"]) == ("ray", 3, machine("cpu"))
    assert len(list(Path("ray/records/networks").glob("*"))) == 5
    assert nodes.head.processes(TASK.removesuffix("work"))  # they stay, with torch imported, for what comes next


@pytest.mark.usefixtures("nodes")
def test_everything_that_is_shipped(tmp_path: Path) -> None:
    """Every network and every recipe of the course has the numbers that it has alone, to the last digit."""
    few = {f"model={name}": network(name, *TINY, "epochs=1") for name in MODELS} | course()

    def rows(folder: str, **options: Any) -> list[RoundRow]:
        """Of all of them."""
        runs = [Run(replace(one, **options), tmp_path / folder / name, "") for name, one in few.items()]
        train(runs)
        return [replace(row, seconds=0) for run in runs for row in run.rows]

    found = rows("ray", engine="ray", ray=config().ray)
    assert [row.status for row in found] == ["done"] * len(few), [row.error for row in found if row.error]
    assert found == rows("serial", engine="serial")


@needs_mnist
@pytest.mark.usefixtures("nodes", "in_their_own_folders")
def test_commands_of_the_page(run_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other, with fewer and smaller rounds; the dry run has said where they would go, and left nothing."""
    monkeypatch.setenv("DIGITCMP_DATA", str(Path(MNIST_ROOT).resolve()))
    monkeypatch.setenv("RAY_ADDRESS", ADDRESS)  # what auto stands for on a machine of the cluster
    ended = {command: run_cli(*shortened(shlex.split(command)[3:])) for command in COMMANDS}
    assert {command: one.err for command, one in ended.items() if one.code} == {}
    (planned,) = (one.out for command, one in ended.items() if "dry_run" in command)
    assert re.search(r"^engine=ray: \d nodes? with room for \d tasks? of 1 CPU each: ", planned, re.MULTILINE), planned
    assert {json.loads(path.read_text())["engine"] for path in Path("outputs").rglob("run.json")} == {"ray"}
    assert Path("outputs/table1/summary/report.html").exists()


@pytest.mark.usefixtures("nodes")
def test_epochs_and_cancelled_rounds() -> None:
    """Each epoch once and in order, of rounds alone and in stacks; nothing is heard of a cancelled one, and its place is free at once."""
    heard: list[tuple[int, int]] = []

    def on_epoch(future: RoundFuture, row: EpochRow) -> None:
        assert not future.done()
        heard.append((row.seed, row.epoch))

    with RayExecutor(config("stack_size=2"), print) as executor:
        assert executor.chunk(config("stack_size=2")) == 2
        long = executor.submit(Task(config(*LONG), (1,)), on_epoch) + executor.submit(Task(config(*LONG), (2,)), on_epoch)
        stack = executor.submit(Task(config("epochs=40"), (3, 4)), on_epoch)
        assert not executor.has_room()
        executor.cancel(stack[0])  # the other round of its stack goes on
        finish(executor, stack)
        executor.cancel(long[0])
        until(lambda: executor.wait() == [] and executor.has_room())
        executor.cancel(long[1])
        finish(executor, executor.submit(Task(config(), (5,)), on_epoch))
    assert [future.cancelled() for future in stack] == [True, False]
    assert [epoch for seed, epoch in heard if seed == 4] == list(range(1, 41))
    assert not [seed for seed, _ in heard if seed == 3]
    assert [epoch for seed, epoch in heard if seed == 5] == [1, 2, 3]


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.skipif(bool(postgres.refused()), reason=postgres.refused()))]
)
def storage(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where a study is kept: in the sweep's folder, or in a server that this machine alone reaches."""
    if request.param == "sqlite":
        yield ""
        return
    with postgres.running() as server:
        yield postgres.url_of(server)


@pytest.mark.usefixtures("nodes")
def test_a_search_prunes_on_nodes(run_cli: Cli, storage: str) -> None:
    """A sweep that is a search, with rounds of hopeless trials cancelled; its study stays here, and the same command goes on with it."""
    pruners = "hydra.sweeper.pruners.median={n_startup_trials:2,n_min_trials:1,warmup:1}"
    good, hopeless = (f"{{optimizer.lr:{lr}}}" for lr in (0.002, 0.003, 0.004, 0.005)), ["{optimizer.lr:1e-7}"] * 4
    start = f"hydra.sweeper.enqueue=[{','.join([*good, *hopeless])}]"
    space = ["hydra/sweeper=digitcmp_optuna", "optimizer.lr=tag(log,interval(1e-7,0.01))", "rounds=2", "data.val_pairs=25", "epochs=8"]
    kept = [f"hydra.sweeper.storage='{storage}'", "hydra.sweeper.study_name=out"] if storage else []
    search = ["--multirun", *TINY, *RAY, *space, pruners, start, *kept, "hydra.sweep.dir=out", "report=false"]
    for trials in (8, 9):
        ended = run_cli(*search, f"hydra.sweeper.n_trials={trials}")
        assert ended.code == 0, ended.err
        with open_storage(storage or "sqlite:///out/study.db") as opened:
            states = Counter(trial.state.name for trial in optuna.load_study(study_name="out", storage=opened.backend).trials)
        assert sum(states.values()) == trials
        assert states["PRUNED"] >= 1  # the last hopeless one at least: others have come to their ends before
    assert bool(storage) is not Path("out/study.db").exists()
    assert {count for run in Path("out").glob("trial_*") for count in finished(run).values()} == {1}


@pytest.mark.usefixtures("nodes")
def test_a_sweep_that_decides_how_many_rounds_it_takes(run_cli: Cli) -> None:
    """rounds=auto, looked at here: the rounds that it asks for are those of a sweep that one process trains."""
    sweep = ["--multirun", *TINY, "model=net1,net2", "rounds=auto", "auto.batch=6", "auto.max=6", "report=false"]
    assert run_cli(*sweep, *RAY, "hydra.sweep.dir=ray").code == 0
    assert run_cli(*sweep, "engine=serial", "hydra.sweep.dir=serial").code == 0
    runs = sorted(path.parent.name for path in Path("serial").glob("*/run.json"))
    assert len(runs) == 2
    for name in runs:
        ours, theirs = ([replace(one.row, seconds=0) for one in records_of(Path(sweep_, name))] for sweep_ in ("ray", "serial"))
        assert ours == theirs
        assert len(ours) == 6


@pytest.mark.usefixtures("nodes")
def test_two_commands_in_one_folder(tmp_path: Path) -> None:
    """On one cluster, with one sweep: each trains the rounds that it has claimed, each round is on record once, and both end well."""
    sweep = ["--multirun", *TINY, *RAY, "model=net1,net2", "rounds=6", "hydra.sweep.dir=out"]
    command: dict[str, Any] = {"args": [sys.executable, "-m", "digitcmp", *sweep], "cwd": tmp_path, "text": True}
    with RayExecutor(config(), print) as executor:  # nothing is trained until both have claimed their first rounds
        held = [future for seed in range(executor.workers) for future in executor.submit(Task(config(*LONG), (seed,)), lambda *_: None)]
        both = [subprocess.Popen(**command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for _ in range(2)]
        until(lambda: len(at_work(tmp_path / "out")) == 2 or any(one.poll() is not None for one in both))
        for future in held:
            executor.cancel(future)
    told = [one.communicate(timeout=LIMIT)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0], told
    runs = [path.parent for path in tmp_path.glob("out/*/run.json")]
    assert [finished(run) for run in runs] == [dict.fromkeys(range(6), 1)] * 2
    assert [len(list(run.glob("records/*.jsonl"))) for run in runs] == [2, 2]
    assert {json.loads((run / "run.json").read_text())["status"] for run in runs} == {"done"}
    assert (tmp_path / "out/summary/report.html").exists()


@pytest.mark.usefixtures("nodes")
def test_two_commands_in_one_run(tmp_path: Path) -> None:
    """They begin at the same moment: its folder is made once, its rounds are shared, none twice and none lost, and each says what is so."""
    command = [sys.executable, "-m", "digitcmp", *TINY, *RAY, "rounds=12", f"hydra.run.dir={tmp_path}/run"]
    given: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with RayExecutor(config(), print) as executor:  # nothing is trained until both have claimed their first rounds
        held = [future for seed in range(executor.workers) for future in executor.submit(Task(config(*LONG), (seed,)), lambda *_: None)]
        both = [subprocess.Popen(command, **given) for _ in range(2)]
        until(lambda: len(at_work(tmp_path)) == 2 or any(one.poll() is not None for one in both))
        for future in held:
            executor.cancel(future)
    told = [one.communicate(timeout=LIMIT) for one in both]
    assert [one.returncode for one in both] == [0, 0], told
    assert finished(tmp_path / "run") == dict.fromkeys(range(12), 1)
    assert len(list(tmp_path.glob("run/records/*.jsonl"))) == 2
    assert [row.seed for row in Run(config("rounds=12"), tmp_path / "run", "").rows] == list(range(12))
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "done"
    trained = [len(re.findall(r"^round \d+/12 ", out, re.MULTILINE)) for out, _ in told]
    left = [sum(map(int, re.findall(r"^(\d+) rounds? left to another process", out + err, re.MULTILINE))) for out, err in told]
    assert sum(trained) == 12
    assert 0 in left, told  # of the one that has ended last
    assert all(own and own + others <= 12 for own, others in zip(trained, left, strict=True)), told


def at_work(sweep: Path) -> set[str]:
    """The processes that have rounds of this sweep in flight."""
    return {beat.id for run in sweep.glob("*") for beat in read_beats(run).values() if beat.rounds}


@pytest.mark.usefixtures("nodes")
def test_a_tracker(tmp_path: Path) -> None:
    """TensorBoard has what epochs.csv has, once, also of rounds that go on from a checkpoint."""
    pytest.importorskip("tensorboard")
    stopped, folder = Stops(), tmp_path / "run"
    for rounds in (2, 4):
        one = config(f"rounds={rounds}", "epochs=30", "checkpoint_every=2")
        one.callbacks = {"tensorboard": {}}
        with suppress(KeyboardInterrupt):
            train_run(one, folder, *[stopped] * (rounds == 2))
    assert stopped.epoch >= 8
    assert in_tensorboard(folder) == single(on_record(folder))
    assert {(seed, len(values)) for (seed, name), values in on_record(folder).items() if name == "train_loss"} == {
        (seed, 30) for seed in range(4)
    }


class Stops(Callback):
    """Ctrl-C in the middle of rounds."""

    epoch = 0

    def on_epoch(self, run: Run, row: EpochRow) -> None:
        del run
        self.epoch = row.epoch
        if row.epoch >= 8:
            raise KeyboardInterrupt


@pytest.mark.usefixtures("nodes")
def test_more_data_than_the_object_store_holds(run_cli: Cli) -> None:
    """Two sets that do not fit beside each other, while processes of nodes hold the first, and one larger than the store."""
    numbers = np.random.default_rng(0)
    for name, images in {"a": 20_000, "b": 20_000, "large": 50_000}.items():  # 63, 63 and 157 MB, in 100 MB
        pictures = numbers.integers(0, 256, (images, 28, 28), np.uint8)
        np.savez(f"{name}.npz", images=pictures, labels=numbers.integers(0, 10, images))
    ended = run_cli(
        "--multirun",
        "data=npz",
        "data.root=a.npz,b.npz,large.npz",
        "data.size=28",
        *TINY,
        *RAY,
        "rounds=3",
        "report=false",
        "hydra.sweep.dir=out",
    )
    assert ended.code == 0, ended.err
    assert [finished(path.parent) for path in Path("out").glob("*/run.json")] == [dict.fromkeys(range(3), 1)] * 3


def test_no_place_for_the_data(tmp_path: Path) -> None:
    """Neither in the object store nor on the disk: one line that says which, where Ray says of the disk alone that it is full."""
    own = tempfile.mkdtemp(prefix="ray-")
    small = {"RAY_TMPDIR": own, "RAY_DEFAULT_OBJECT_STORE_MAX_MEMORY_BYTES": "80000000", "RAY_local_fs_capacity_threshold": "0.001"}
    images = np.zeros((50_000, 28, 28), np.uint8)
    images[:, 10:18, 10:18] = 255
    np.savez(tmp_path / "large.npz", images=images, labels=np.arange(50_000) % 10)
    data = ("data=npz", f"data.root={tmp_path}/large.npz", "data.size=28", *TINY)
    command = [sys.executable, "-m", "digitcmp", *data, "engine=ray", f"hydra.run.dir={tmp_path}/run"]
    ended = subprocess.run(command, env={**os.environ, **small}, text=True, capture_output=True, timeout=LIMIT, check=False)
    shutil.rmtree(own)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith(
        "digitcmp: engine=ray: no place for the digits: Ray's object store on this node is full"
    )
    assert "Traceback" not in ended.stderr


def test_what_dies_is_begun_again(nodes: Nodes, tmp_path: Path) -> None:
    """A process, then a whole node with the processes on it: their rounds are trained again elsewhere, none is lost, none twice."""
    told: list[str] = []

    class Watch(Callback):
        """Kills, in the middle of rounds."""

        def __init__(self) -> None:
            self.epochs, self.killed = Counter[tuple[int, int]](), False

        def on_message(self, text: str) -> None:
            told.append(text)

        def on_epoch(self, run: Run, row: EpochRow) -> None:
            del run
            self.epochs[row.seed, row.epoch] += 1
            if not told:
                nodes.second.kill(TASK)  # until one of them has not just come to its end
            elif not self.killed and nodes.third.processes(TASK):
                nodes.third.kill()
                self.killed = True

    watch = Watch()
    run = train_run(config("rounds=6", "epochs=60"), tmp_path / "run", watch)
    assert watch.killed
    assert "is gone" in told[0]
    assert [row.status for row in run.rows] == ["done"] * 6
    assert set(finished(run.directory).values()) == {1}
    assert set(watch.epochs.values()) == {1}
    assert len(watch.epochs) == 6 * 60
    alone = train_run(config("rounds=6", "epochs=60", "engine=serial"), tmp_path / "alone")
    assert [row.train_loss for row in run.rows] == [row.train_loss for row in alone.rows]
    nodes.lose(nodes.third)


def test_a_node_dies(nodes: Nodes) -> None:
    """In the middle of a round for certain: it never ends. It is begun again as soon as a node has room, and heard of where it was."""
    fourth, told, heard = nodes.start(NODE, "--num-cpus=1"), list[str](), Counter[tuple[int, int]]()

    def on_epoch(_: RoundFuture, row: EpochRow) -> None:
        heard[row.seed, row.epoch] += 1

    with RayExecutor(config(), told.append) as executor:
        assert executor.workers == 3
        long = [*(future for seed in range(3) for future in executor.submit(Task(config(*LONG), (seed,)), on_epoch))]
        while {seed for seed, _ in heard} != {0, 1, 2}:
            executor.listen()
        fourth.kill()
        while not told:
            executor.listen()
        for future in long:
            executor.cancel(future)
    nodes.lose(fourth)
    assert re.match(r"1 round begun again \(seed [012] of \w+\): its process or node is gone", told[0])
    assert set(heard.values()) == {1}


def test_a_node_is_gone_that_ray_still_names(nodes: Nodes) -> None:
    """It has died a moment before: the others are asked, and it is none of them."""
    ray.shutdown()
    fourth = nodes.start(NODE, "--num-cpus=1")
    fourth.kill()
    with RayExecutor(config(), print) as executor:
        assert executor.workers == len(nodes.all) - 1
        finish(executor, executor.submit(Task(config(), (0,)), lambda *_: None))
    nodes.lose(fourth)


def test_a_node_hangs(nodes: Nodes) -> None:
    """It says nothing more, and its connections stay, as when its power or network fails: what it has begun, and what it was to begin, is
    trained elsewhere as soon as Ray gives it up. Ray itself would leave what it was to begin with it for seven minutes."""
    fourth, told, heard = nodes.start(NODE, "--num-cpus=2"), list[str](), Counter[tuple[int, int]]()

    def on_epoch(_: RoundFuture, row: EpochRow) -> None:
        heard[row.seed, row.epoch] += 1

    with RayExecutor(config(), told.append) as executor:
        seeds = range(executor.workers - 1)  # one place is left, which is perhaps of the fourth
        long = [*(future for seed in seeds for future in executor.submit(Task(config(*LONG), (seed,)), on_epoch))]
        while {seed for seed, _ in heard} != set(seeds):
            executor.listen()
        fourth.send(signal.SIGSTOP)
        short = [*(future for seed in (8, 9) for future in executor.submit(Task(config(), (seed,)), on_epoch))]
        while not told:
            executor.listen()
        for future in long:
            executor.cancel(future)
        finish(executor, short)
    nodes.lose(fourth)
    assert re.match(r"1 round begun again \(seed \d of \w+\): its node is gone", told[0])
    assert set(heard.values()) == {1}
    assert {(seed, epoch) for seed, epoch in heard if seed in (8, 9)} == {(seed, epoch) for seed in (8, 9) for epoch in (1, 2, 3)}


def test_a_node_hangs_that_has_results(nodes: Nodes) -> None:
    """With networks, which Ray does not send along: they lie there until somebody asks. Their rounds are trained again elsewhere."""
    fourth, told, heard = nodes.start(NODE, "--num-cpus=2"), list[str](), Counter[tuple[int, int]]()

    def on_epoch(_: RoundFuture, row: EpochRow) -> None:
        heard[row.seed, row.epoch] += 1

    with RayExecutor(config("save_model=true", "epochs=40"), told.append) as executor:
        task = Task(config("save_model=true", "epochs=40"), ())
        futures = [*(future for seed in range(executor.workers) for future in executor.submit(replace(task, seeds=(seed,)), on_epoch))]
        until(lambda: fourth.processes(TASK))
        until(lambda: not fourth.processes(TASK))  # nobody has asked for anything yet
        fourth.send(signal.SIGSTOP)
        finish(executor, futures)
    nodes.lose(fourth)
    assert told
    assert all(re.match(r"1 round begun again \(seed \d of \w+\): ", line) for line in told)
    assert set(heard.values()) == {1}
    assert all(isinstance(result := future.result(), RoundResult) and result.network for future in futures)


def test_a_process_is_stopped(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ended by its node, and its round begun again; not where this process was away itself, nor where an epoch takes long."""
    monkeypatch.setattr("digitcmp.experiment.executors.busy.SILENCE", 15.0)
    told, heard, last = list[str](), Counter[int](), 0

    def on_epoch(_: RoundFuture, row: EpochRow) -> None:
        nonlocal last
        heard[row.epoch] += 1
        last = row.epoch

    with RayExecutor(config(), told.append) as executor:
        (future,) = executor.submit(Task(config(*LONG), (1,)), on_epoch)
        while not heard:
            executor.listen()
        time.sleep(20)
        for _ in range(20):
            executor.listen()
        assert not told
        (stopped,) = {process for node in nodes.all for process in node.processes(TASK)}
        os.kill(stopped, signal.SIGSTOP)
        end, before = time.monotonic() + LIMIT, last
        while last <= before or not told:
            executor.listen()
            assert time.monotonic() < end
        executor.cancel(future)
    why = "its process gave no sign of life for 15 s (stopped, or hung), and was ended"
    assert told == [f"1 round begun again (seed 1 of {config().model.name}): {why}"]
    assert set(heard.values()) == {1}
    until(lambda: not Path(f"/proc/{stopped}/fd").exists() or "Z" in Path(f"/proc/{stopped}/stat").read_text())


def test_what_dies_goes_on_from_its_checkpoint(nodes: Nodes) -> None:
    """The last that has come here; its numbers are those of a round that nobody disturbed."""
    told: list[str] = []
    heard: list[int] = []
    whole = config("epochs=300", "checkpoint_every=2")  # so many that it cannot be over when the 20th is heard of

    def kill(_: RoundFuture, row: EpochRow) -> None:
        heard.append(row.epoch)
        if row.epoch >= 20 and not told:
            nodes.head.kill(TASK)
            nodes.second.kill(TASK)

    with RayExecutor(whole, told.append) as executor:
        (killed,) = executor.submit(Task(whole, (1,)), kill)
        finish(executor, [killed])
        (alone,) = executor.submit(Task(whole, (1,)), lambda *_: None)
        finish(executor, [alone])
    assert told
    assert re.match(r"1 round begun again after epoch \d+ \(seed 1 of \w+\): ", told[0])
    assert heard == list(range(1, 301))
    assert [replace(row, seconds=0) for row in killed.result().epochs] == [replace(row, seconds=0) for row in alone.result().epochs]


def test_a_round_that_is_killed_too_often_has_failed(nodes: Nodes) -> None:
    """As by the kernel, where memory is short: it fails with the reason; others go on."""

    def kill(_: RoundFuture, row: EpochRow) -> None:
        assert row.seed == 1
        nodes.head.kill(TASK)
        nodes.second.kill(TASK)

    with RayExecutor(config("ray.retries=0"), lambda _: None) as executor:
        bad = executor.submit(Task(config(*LONG), (1,)), kill)
        finish(executor, bad)
        assert bad[0].result().row.status == "failed"
        assert bad[0].result().row.error.endswith(", in try 1 of 1 (ray.retries=0)")
        good = executor.submit(Task(config(), (2,)), lambda *_: None)
        finish(executor, good)
        assert good[0].result().row.status == "done"


def test_short_memory(nodes: Nodes) -> None:
    """Ray ends a task of a node that is short of memory; its round is begun again, and goes on when there is memory again."""
    total, free = (
        int(line.split()[1]) for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith(("MemTotal", "MemAv"))
    )
    if free < 14e6:
        pytest.skip(f"needs 14 GB of free memory, there are {free / 1e6:.1f}")
    threshold = {"RAY_memory_usage_threshold": f"{(total - free + 4e6) / total:.3f}", "RAY_memory_monitor_refresh_ms": "100"}
    short = nodes.start(NODE, "--num-cpus=4", variables=threshold)
    told: list[str] = []
    last = [0]

    def on_epoch(_: RoundFuture, row: EpochRow) -> None:
        last[0] = row.epoch

    long = config(*LONG, "ray.cpus=4", "ray.retries=100", "checkpoint_every=10")
    with RayExecutor(long, told.append) as executor:
        (future,) = executor.submit(Task(long, (0,)), on_epoch)
        while not last[0]:
            executor.listen()
        hog = subprocess.Popen([sys.executable, "-c", "x = bytearray(b'x') * 9_000_000_000; input()"], stdin=subprocess.PIPE)
        try:
            while not told:
                executor.listen()
        finally:
            hog.kill()
            hog.communicate()
        before = last[0]
        while last[0] <= before:
            executor.listen()
        executor.cancel(future)
    nodes.lose(short)
    assert re.match(r"1 round begun again( after epoch \d+)? \(seed 0 of \w+\): its process took too much memory", told[0])


def with_package(folder: Path | None) -> list[str]:
    """What runs a command where the package is this folder, or where there is none."""
    path = {*(Path(one).resolve() / "digitcmp" for one in sys.path), Path(cluster.__file__).parents[2]}
    how = f"--bind {folder}" if folder else "-t tmpfs none"
    mounts = " && ".join(f"mount {how} {one}" for one in path if one.is_dir())
    return ["unshare", "-m", "bash", "-c", f'{mounts} && exec "$@"', "-"]


def in_a_hurry(executor: RayExecutor) -> None:
    """Give tasks to a node that nobody has asked what it has: it has joined a moment ago. Raises what comes of it."""
    with pytest.MonkeyPatch.context() as patch, executor:
        patch.setattr(executor, "look", list)
        tasks = [Task(config(*LONG), (seed,)) for seed in range(executor.workers + 2)]
        futures = [future for task in tasks for future in executor.submit(task, lambda *_: None)]
        end = time.monotonic() + LIMIT
        while not (done := [future for future in futures if future.done()]):
            executor.listen()
            assert time.monotonic() < end
        done[0].result()


def test_bad_input(nodes: Nodes, run_cli: Cli) -> None:
    """One line each, before anything is written: more than any node has, and nodes that are not as this machine is."""
    ended = run_cli(*TINY, *RAY, "ray.gpus=1", "rounds=2", "hydra.run.dir=bad")
    assert ended.code == 1
    assert re.fullmatch(r"digitcmp: ray\.gpus=1: the largest of the cluster's \d nodes has 0\n", ended.err), ended.err
    before = RayExecutor(config(), print)
    other = nodes.folder / "digitcmp"
    package = Path(cluster.__file__).parents[2]
    shutil.copytree(package, other, ignore=shutil.ignore_patterns("__pycache__"))
    (other / "seeding.py").write_text((package / "seeding.py").read_text() + "# changed\n")
    changed = nodes.start(NODE, "--num-cpus=2", "--num-gpus=1", before=with_package(other))
    wrong = {
        ("ray.cpus=9",): r"ray\.cpus=9: the largest of the cluster's \d nodes has 2",
        ("ray.gpus=1", "ray.cpus=1"): r"engine=ray: node \S+ has code of digitcmp \w+, this machine \w+; install the same everywhere",
    }
    for overrides, text in wrong.items():
        ended = run_cli(*TINY, *RAY, *overrides, "rounds=2", "hydra.run.dir=bad")
        assert ended.code == 1
        assert re.fullmatch(f"digitcmp: {text}", ended.err.splitlines()[-1]), ended.err
    assert not Path("bad").exists()
    with pytest.raises(
        ConfigError, match=r"^engine=ray: node \S+ has code of digitcmp \w+, this machine \w+; install the same everywhere$"
    ):
        in_a_hurry(before)
    nodes.lose(changed)


def test_the_package_travels(nodes: Nodes, run_cli: Cli) -> None:
    """To nodes none of which has it; torch that finds no GPU on a node that promises one is told."""
    before = RayExecutor(config(), print)
    bare = nodes.start(NODE, "--num-cpus=2", "--num-gpus=1", before=with_package(None))
    ended = run_cli(*TINY, *RAY, "rounds=2", "hydra.run.dir=mixed")
    assert (ended.code, "has no digitcmp, this machine" in ended.err) == (1, True), ended.err
    with pytest.raises(ConfigError, match=r"^engine=ray: node \S+ has no digitcmp, this machine "):
        in_a_hurry(before)
    ended = run_cli(*TINY, *RAY, "ray.cpus=2", "rounds=2", "hydra.run.dir=run")
    assert ended.code == 0, ended.err
    assert finished(Path("run")) == {0: 1, 1: 1}
    ended = run_cli(*TINY, *RAY, "ray.cpus=2", "ray.gpus=1", "rounds=2", "hydra.run.dir=gpu")
    assert (ended.code, "finds no usable GPU on node" in ended.err) == (1, True), ended.err
    nodes.lose(bare)


@pytest.mark.usefixtures("nodes")
def test_code_of_ones_own(run_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is let in goes to the nodes, which have other working folders."""
    monkeypatch.setenv(ALLOWED, "")
    ray.shutdown()  # a command connects when it knows what is let in
    file = str(new.make("plugins", None, Path("my_conf")))
    own = ("--config-dir", "my_conf", "--allow-code", file, "augment=dim", "model.tower=[{channels: 4, pool: 3}, {kind: scaled}]")
    in_time, gone = joining.in_time, list[Path]()

    def joined(start: dict[str, Any]) -> None:
        in_time(start)
        gone.append(Path(start["runtime_env"]["working_dir"]))

    monkeypatch.setattr(joining, "in_time", joined)
    ended = run_cli(*own, *TINY, *RAY, "rounds=2", "hydra.run.dir=run")
    # what the command is killed by finds nothing to leave, while it trains
    assert [one.exists() for one in gone] == [False]
    ray.shutdown()
    assert ended.code == 0, ended.err
    assert finished(Path("run")) == {0: 1, 1: 1}


def test_a_command_that_is_told_to_end(tmp_path: Path) -> None:
    """As without Ray, which listens to the same signal where it starts nodes: exit code, line, finished rounds; its nodes end with it, and
    their folder goes."""
    folder, own = tmp_path / "run", tempfile.mkdtemp(prefix="ray-")
    command = [sys.executable, "-m", "digitcmp", *TINY, "epochs=40", "engine=ray", "rounds=1000", f"hydra.run.dir={folder}"]
    given: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "env": {**os.environ, "RAY_TMPDIR": own}}
    ended = subprocess.Popen(command, text=True, start_new_session=True, **given)
    until(lambda: len(finished(folder)) >= 3)
    ended.terminate()
    _, err = ended.communicate(timeout=LIMIT)
    assert ended.returncode == 143, err
    told = rf"digitcmp: interrupted \(SIGTERM\); (\d+ finished rounds kept in {folder}; the same command .* goes on|it did not end .* kept)"
    assert re.search(f"^{told}$", err, re.MULTILINE), err
    assert "Traceback" not in err
    assert "SIGTERM received" not in err  # as Ray's library says it, before it aborts
    assert set(finished(folder).values()) == {1}
    until(lambda: not leftovers.writers(Path(own)))
    if "it did not end" not in err:
        assert not list(Path(own).glob("ray/session_2*"))
    shutil.rmtree(own)


def with_text(text: str) -> list[int]:
    """The processes whose command has this in it."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found += [int(path.parent.name)] * (text.encode() in path.read_bytes())
    return found


def test_a_ray_of_its_own_that_does_not_come_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its processes end before the next try, and with the last one; the line says where that one's logs are, which are all that is left."""
    seen: list[list[int]] = []

    def never(*_: Any) -> None:
        seen.append(with_text(str(folder)))
        raise Exception("The current node timed out during startup. This could happen because some of the raylet failed.")  # as Ray says it

    ray.shutdown()
    with tempfile.TemporaryDirectory(prefix="ray-") as name:
        folder = Path(name)
        monkeypatch.setenv("RAY_TMPDIR", name)
        monkeypatch.setattr("digitcmp.experiment.executors.own.STARTS", 2)
        monkeypatch.setattr("ray._private.services.get_node", never)  # as long as its node has not said that it is there
        with pytest.raises(ConfigError) as error:
            joining.join(None)
        assert not leftovers.writers(folder)  # the agents of its node among them, whose commands do not name it
        (session,) = folder.glob("ray/session_2*")
    why = "The current node timed out during startup"
    assert str(error.value) == f"engine=ray: no Ray can be started here ({why}); its logs are in {session}/logs"
    assert list(map(bool, seen)) == [True, True]


def test_the_command_dies_then_the_head(nodes: Nodes, tmp_path: Path) -> None:
    """The tasks of a command that was killed end; the same command goes on; without a head it ends with one line, and nothing is lost."""
    ray.shutdown()
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "digitcmp", *TINY, "epochs=40", *RAY, "rounds=1000", f"hydra.run.dir={folder}"]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    until(lambda: len(finished(folder)) >= 3)
    first.kill()
    first.wait()
    until(lambda: not nodes.head.processes(TASK) and not nodes.second.processes(TASK))
    before = finished(folder)
    second = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    until(lambda: len(finished(folder)) >= len(before) + 3)
    nodes.head.kill()
    _, err = second.communicate(timeout=LIMIT)
    assert second.returncode == 1
    assert err.strip().splitlines()[-1].startswith("digitcmp: ")
    assert "Traceback" not in err
    now = finished(folder)
    assert set(now.values()) == {1}
    assert before.items() <= now.items()


SOON = """
import sys
from digitcmp import cli
from digitcmp.experiment.executors import head, ray
head.PATIENCE, ray.LOST = 2.0, 4.0
sys.argv = ["digitcmp", *sys.argv[1:]]
cli.main()
"""


@pytest.mark.parametrize(("name", "told"), [
    ("gcs_server", "the head of the Ray cluster has not answered for 4 s (connection refused)"),
    ("raylet/raylet", "Ray's node on this machine has ended"),
    ("ray::DashboardAgent", "Ray's node on this machine has ended"),
    ("ray::RuntimeEnvAgent", "Ray's node on this machine has ended"),
])  # fmt: skip
def test_what_a_ray_of_its_own_needs_dies(tmp_path: Path, name: str, told: str) -> None:
    """One line, where Ray would end the command without any; finished rounds are kept, and neither processes nor folders."""
    folder, own = tmp_path / "run", tempfile.mkdtemp(prefix="ray-")
    command = [sys.executable, "-c", SOON, *TINY, "epochs=40", "engine=ray", "rounds=1000", f"hydra.run.dir={folder}"]
    given: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": {**os.environ, "RAY_TMPDIR": own}}
    ended = subprocess.Popen(command, text=True, **given)
    until(lambda: finished(folder))
    for process in set(with_text(name)) & leftovers.writers(Path(own)):
        os.kill(process, signal.SIGKILL)
    out, err = ended.communicate(timeout=LIMIT)
    assert ended.returncode == 1
    assert err.strip().splitlines()[-1] == f"digitcmp: {told}; the same command goes on"
    assert "begun again" not in out
    assert set(finished(folder).values()) == {1}
    until(lambda: not leftovers.writers(Path(own)))
    assert not list(Path(own).glob("ray/session_2*"))
    shutil.rmtree(own)


@pytest.mark.parametrize(("number", "name", "told"), [
    (signal.SIGSTOP, "gcs_server", "the head of the Ray cluster has not answered for 4 s (timed out)"),
    (signal.SIGSTOP, "raylet/raylet", "Ray has given up the node on this machine, which hangs or is gone"),
    (signal.SIGKILL, "raylet/raylet", "Ray's node on this machine has ended"),
])  # fmt: skip
def test_what_the_command_needs_hangs_or_dies(nodes: Nodes, tmp_path: Path, number: signal.Signals, name: str, told: str) -> None:
    """The head of another cluster, or its node here, in the middle of rounds: one line, and the command ends, where Ray would wait for
    minutes before it, and say good-bye for minutes more."""
    ray.shutdown()
    for node in nodes.all:
        node.kill()
    head, folder = nodes.start(HEAD, "--num-cpus=1", f"--temp-dir={nodes.folder}/other", variables=SOONER), tmp_path / "run"
    command = [sys.executable, "-c", SOON, *TINY, "epochs=40", *RAY, "rounds=1000", f"hydra.run.dir={folder}"]
    ended = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    until(lambda: finished(folder))
    head.send(number, name)
    _, err = ended.communicate(timeout=LIMIT * 3 / 4)
    head.kill()
    assert ended.returncode == 1
    assert err.strip().splitlines()[-1] == f"digitcmp: {told}; the same command goes on"
    assert set(finished(folder).values()) == {1}


def begun(folder: Path, own: str, *how: str) -> "subprocess.Popen[str]":
    """A command with a Ray of its own below `own`, in the middle of its second round at least."""
    command = [sys.executable, *how, *TINY, "epochs=40", "engine=ray", "rounds=1000", f"hydra.run.dir={folder}"]
    given: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": {**os.environ, **SOONER, "RAY_TMPDIR": own}}
    started = subprocess.Popen(command, text=True, **given)
    until(lambda: finished(folder) or started.poll() is not None)
    return started


def signalled(number: signal.Signals, name: str, own: str) -> None:
    """A signal to those processes of the Ray below `own` whose command has this in it."""
    for process in set(with_text(name)) & leftovers.writers(Path(own)):
        os.kill(process, number)


@pytest.mark.parametrize(("name", "told"), [
    ("gcs_server", "the head of the Ray cluster has not answered for 4 s (timed out)"),
    ("raylet/raylet", "Ray has given up the node on this machine, which hangs or is gone"),
])  # fmt: skip
def test_what_a_ray_of_its_own_needs_hangs(tmp_path: Path, name: str, told: str) -> None:
    """One line, and the command ends, where Ray would wait for ever for its answer to a good-bye; with all that is stopped."""
    folder, own = tmp_path / "run", tempfile.mkdtemp(prefix="ray-")
    started = begun(folder, own, "-c", SOON)
    signalled(signal.SIGSTOP, name, own)
    _, err = started.communicate(timeout=LIMIT)
    assert started.returncode == 1
    assert err.strip().splitlines()[-1] == f"digitcmp: {told}; the same command goes on"
    assert json.loads((folder / "run.json").read_text())["status"] == "interrupted"
    assert not leftovers.writers(Path(own))
    assert not list(Path(own).glob("ray/session_2*"))
    shutil.rmtree(own)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_while_a_ray_of_its_own_hangs(tmp_path: Path, number: signal.Signals, code: int) -> None:
    """It ends the command as it does otherwise, and all that is stopped with it."""
    folder, own = tmp_path / "run", tempfile.mkdtemp(prefix="ray-")
    started = begun(folder, own, "-m", "digitcmp")
    for name in ("raylet/raylet", "gcs_server", "ray::DashboardAgent"):
        signalled(signal.SIGSTOP, name, own)
    started.send_signal(number)
    _, err = started.communicate(timeout=LIMIT)
    assert started.returncode == code, err
    until(lambda: not leftovers.writers(Path(own)))
    if "it did not end" not in err:
        assert not list(Path(own).glob("ray/session_2*"))
    shutil.rmtree(own)


@pytest.mark.parametrize("name", ["ray::DashboardAgent", "ray::RuntimeEnvAgent"])
def test_an_agent_of_a_ray_of_its_own_hangs(tmp_path: Path, name: str) -> None:
    """The rounds go on without it, and it ends with the command."""
    folder, own = tmp_path / "run", tempfile.mkdtemp(prefix="ray-")
    started = begun(folder, own, "-m", "digitcmp")
    signalled(signal.SIGSTOP, name, own)
    before = len(finished(folder))
    until(lambda: len(finished(folder)) >= before + 3)
    started.terminate()
    _, err = started.communicate(timeout=LIMIT)
    assert started.returncode == 143, err
    until(lambda: not leftovers.writers(Path(own)))
    shutil.rmtree(own)


NOT_YET = """
import os
import signal
import sys
from ray._private import worker
from digitcmp import cli
number, connect = int(sys.argv.pop()), worker.connect
def lost(node, *rest, **options):
    os.kill(node.all_processes["raylet"][0].process.pid, number)
    connect(node, *rest, **options)
worker.connect = lost
sys.argv = ["digitcmp", *sys.argv[1:]]
cli.main()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_ray_of_its_own_is_lost_before_it_answers(tmp_path: Path, number: signal.Signals) -> None:
    """Ray ends the command without a word of ours; another process has it."""
    own = tempfile.mkdtemp(prefix="ray-")
    command = [sys.executable, "-c", NOT_YET, *TINY, "engine=ray", f"hydra.run.dir={tmp_path}/run", str(int(number))]
    env = {**os.environ, "RAY_TMPDIR": own}
    ended = subprocess.run(command, env=env, text=True, capture_output=True, timeout=LIMIT, check=False)
    assert ended.returncode == 1
    why = "its node has ended, or has not answered for 60 s"
    assert ended.stderr.splitlines()[-1] == f"digitcmp: engine=ray: no Ray can be started here ({why})"
    until(lambda: not leftovers.writers(Path(own)))
    assert not list(Path(own).glob("ray/session_2*"))
    assert not (tmp_path / "run").exists()
    shutil.rmtree(own)


def test_a_command_with_a_ray_of_its_own_is_killed(tmp_path: Path) -> None:
    """It cannot clean up, and another process does; nobody speaks of Ray, which was not to blame."""
    folder, own = tmp_path / "run", tempfile.mkdtemp(prefix="ray-")
    started = begun(folder, own, "-m", "digitcmp")
    signalled(signal.SIGSTOP, "ray::RuntimeEnvAgent", own)  # would stay for ever
    started.kill()
    _, err = started.communicate(timeout=LIMIT)
    assert "digitcmp: " not in err
    until(lambda: not leftovers.writers(Path(own)))
    until(lambda: not list(Path(own).glob("ray/session_2*")))
    shutil.rmtree(own)
