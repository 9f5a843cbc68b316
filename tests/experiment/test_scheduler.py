"""The scheduler: runs that come one by one or are known, callbacks, and runs that are ended early; and jobs, through Hydra."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.sweeper import Sweeper
from omegaconf import DictConfig

from digitcmp.config.schema import Config
from digitcmp.errors import DigitcmpError, Pruned, RunError
from digitcmp.experiment.callbacks import Callback
from digitcmp.experiment.executors.base import Executor, OnEpoch, RoundFuture, Task
from digitcmp.experiment.run import Run
from digitcmp.experiment.scheduler import Scheduler, train
from digitcmp.plugins.launcher import DigitcmpLauncher
from digitcmp.system import is_stopped
from digitcmp.train.results import EpochRow, RoundResult
from tests.conftest import ROOT, Ended, compose_config
from tests.experiment.made import EPOCH, ROUND, records_of, seeds_of, status_of, without_seconds, workers

TINY = ["epochs=3", "data.train_pairs=100", "data.test_pairs=100"]
ENGINES = [["engine=serial"], ["engine=processes", "workers=2"], ["engine=stacked"]]
Cli = Callable[..., Ended]


class Watch(Callback):
    """Calls a function for every epoch; the run is pruned when it returns False. Notes what it hears."""

    def __init__(self, judge: Callable[[Run, EpochRow], bool] | None = None, events: list[str] | None = None) -> None:
        self.judge, self.events = judge, [] if events is None else events
        self.heard: list[tuple[str, ...]] = []

    def on_run_begin(self, run: Run) -> None:
        self.heard.append(("run begins", run.name))

    def on_epoch(self, run: Run, row: EpochRow) -> None:
        self.heard.append(("epoch", run.name, str(row.seed), str(row.epoch)))
        if self.judge is not None and not self.judge(run, row):
            raise Pruned("not wanted")

    def on_round_end(self, run: Run, result: RoundResult) -> None:
        self.heard.append(("round ends", run.name, str(result.row.seed)))

    def on_round_stop(self, run: Run, seed: int) -> None:
        self.heard.append(("round stops", run.name, str(seed)))

    def on_run_end(self, run: Run) -> None:
        self.heard.append(("run ends", run.name))
        self.events.append(f"ended {run.name} with {len(run.rows)}")


def make_runs(folder: Path, engine: Sequence[str], rounds: Sequence[int], *more: str) -> list[Run]:
    """A run for each number of rounds, all of one configuration, in folders 0, 1, …"""
    config = compose_config(*TINY, *engine, *more)
    return [Run(replace(config, seed=10 * index, rounds=number), folder / str(index), "test") for index, number in enumerate(rounds)]


def asked_for(runs: Sequence[Run], events: list[str]) -> Iterator[Run]:
    """The runs, one by one; every request is noted."""
    for run in runs:
        events.append(f"asked for {run.name}")
        yield run


def status(run: Run) -> str:
    """What run.json says."""
    return status_of(run.directory)


def seeds(run: Run) -> list[int]:
    """The seeds on record."""
    return seeds_of(run.directory)


@pytest.mark.parametrize("engine", [ENGINES[0], ENGINES[2]], ids=" ".join)
def test_the_next_run_is_asked_for_when_the_last_one_has_ended(tmp_path: Path, engine: list[str]) -> None:
    """One task at a time: a search knows the result of a run before it is asked for the next."""
    events: list[str] = []
    train(asked_for(make_runs(tmp_path, engine, [1, 2, 1]), events), [Watch(events=events)])
    assert events == ["asked for 0", "ended 0 with 1", "asked for 1", "ended 1 with 2", "asked for 2", "ended 2 with 1"]


def test_no_more_runs_are_asked_for_than_there_are_free_workers(tmp_path: Path) -> None:
    """Two workers: the third run is asked for after one of the first two has ended and everybody has heard of it."""
    events: list[str] = []
    train(asked_for(make_runs(tmp_path, ENGINES[1], [1] * 5), events), [Watch(events=events)])
    assert sorted(event for event in events if event.startswith("ended")) == [f"ended {index} with 1" for index in range(5)]
    for index, event in enumerate(events):
        asked = sum(other.startswith("asked") for other in events[: index + 1])
        assert asked - (index + 1 - asked) <= 2, event


def test_a_run_that_lacks_nothing_has_ended_before_the_next_is_asked_for(tmp_path: Path) -> None:
    """A resumed search hears of a finished run at once."""
    train(make_runs(tmp_path, ENGINES[0], [1, 1]))
    events: list[str] = []
    train(asked_for(make_runs(tmp_path, ENGINES[0], [1, 1, 1]), events), [Watch(events=events)])
    assert events == ["asked for 0", "ended 0 with 1", "asked for 1", "ended 1 with 1", "asked for 2", "ended 2 with 1"]


def test_runs_of_another_engine_wait_for_those_before(tmp_path: Path) -> None:
    """A stream may change its engine: everything is trained nevertheless."""
    runs = [*make_runs(tmp_path, ENGINES[1], [1, 1, 1]), *make_runs(tmp_path / "other", ENGINES[0], [1])]
    train(iter(runs))
    assert {status(run) for run in runs} == {"done"}
    about = [json.loads((run.directory / "run.json").read_text()) for run in runs]
    assert [one["engine"] for one in about] == ["processes"] * 3 + ["serial"]


def test_what_callbacks_hear(tmp_path: Path) -> None:
    """A run begins, each round has its epochs in order and then ends, the run ends; the same for runs that were known and for others."""
    expected = [("run begins", "0")]
    for seed in ("0", "1"):
        expected += [*(("epoch", "0", seed, str(epoch)) for epoch in (1, 2, 3)), ("round ends", "0", seed)]
    for known in (True, False):
        runs, watch = make_runs(tmp_path / str(known), ENGINES[0], [2]), Watch()
        train(runs if known else iter(runs), [watch])
        assert watch.heard == [*expected, ("run ends", "0")]


@pytest.mark.parametrize("engine", ENGINES, ids=" ".join)
@pytest.mark.parametrize("lazy", [True, False])
def test_a_run_that_is_ended_early_concerns_no_other(tmp_path: Path, engine: list[str], lazy: bool) -> None:
    """Pruned in its second round: the first stays, the third is not begun; the other runs' numbers are those of an unwatched sweep."""
    runs = make_runs(tmp_path / "watched", engine, [2, 3, 2])
    watch = Watch(lambda _, row: (row.seed, row.epoch) != (11, 2))
    train(iter(runs) if lazy else runs, [watch])
    assert sorted(event[1] for event in watch.heard if event[0] == "run ends") == ["0", "1", "2"]
    assert [status(run) for run in runs] == ["done", "pruned", "done"]
    assert 11 not in seeds(runs[1])
    # the numbers are those of the same runs by themselves; stacks differ in nothing but rounding
    alone = make_runs(tmp_path / "unwatched", engine, [2, 3, 2])
    train(iter(alone) if lazy else alone)
    for one, other in ((runs[0], alone[0]), (runs[2], alone[2])):
        for file in ("rounds.csv", "epochs.csv", "distances.csv"):
            assert without_seconds(one.directory / file) == without_seconds(other.directory / file)
    expected = {
        ("epoch", run.name, str(seed), str(epoch)) for run in (runs[0], runs[2]) for seed in run.config.seeds for epoch in (1, 2, 3)
    }
    epochs = {event for event in watch.heard if event[0] == "epoch"}
    assert {event for event in epochs if event[1] != "1"} == expected
    assert ("epoch", "1", "11", "3") not in epochs
    assert ("round stops", "1", "11") in watch.heard
    if engine == ENGINES[0]:
        assert seeds(runs[1]) == [10]
        assert ("epoch", "1", "12", "1") not in epochs
        assert ("round stops", "1", "12") in watch.heard
    assert not workers()


@pytest.mark.parametrize("engine", ENGINES, ids=" ".join)
def test_a_run_ended_early_can_be_gone_on_with(tmp_path: Path, engine: list[str]) -> None:
    """Pruned in its last epoch even: that round is not on record; the same run again, unwatched, is completed."""
    train(make_runs(tmp_path, engine, [2]), [Watch(lambda _, row: (row.seed, row.epoch) != (1, 3))])
    (run,) = make_runs(tmp_path, engine, [2])
    assert status(run) == "pruned"
    assert 1 not in seeds(run)
    train([run])
    assert (status(run), seeds(run)) == ("done", [0, 1])


def test_a_worker_that_is_killed_while_it_is_watched(tmp_path: Path) -> None:
    """Its round has failed, with the reason; the other runs are trained and watched to the end."""
    runs = make_runs(tmp_path, ENGINES[1], [1, 1, 1, 1])
    killed: list[int] = []
    last: dict[str, int] = {}

    def kill(run: Run, row: EpochRow) -> bool:
        last[run.name] = row.epoch
        if not killed:
            killed.extend(workers()[:1])
            os.kill(killed[0], signal.SIGKILL)
        return True

    train(iter(runs), [Watch(kill)])
    states = [status(run) for run in runs]
    assert sorted(states) == ["done", "done", "done", "failed"]
    broken = runs[states.index("failed")]
    assert "ended with exit code -9" in records_of(broken.directory)[0].row.error
    assert [epoch for name, epoch in last.items() if name != broken.name] == [3, 3, 3]


@pytest.mark.parametrize("engine", ENGINES, ids=" ".join)
def test_ctrl_c_while_watched(tmp_path: Path, engine: list[str]) -> None:
    """Runs that were begun are marked interrupted, finished rounds stay, no process is left, no further run is asked for."""
    runs, events = make_runs(tmp_path, engine, [1, 1, 1, 1, 1, 1]), list[str]()

    def interrupt(_: Run, row: EpochRow) -> bool:
        if row.seed == 20:
            raise KeyboardInterrupt
        return True

    with pytest.raises(KeyboardInterrupt, match=r"[1-9] finished rounds? kept in .*; the same command into this folder goes on$"):
        train(asked_for(runs, events), [Watch(interrupt)])
    assert status(runs[2]) == "interrupted"
    assert "done" in {status(run) for run in runs[:2]}
    assert len(events) <= 4
    assert not workers()


@pytest.mark.parametrize("engine", ENGINES, ids=" ".join)
def test_a_callback_that_breaks_is_not_a_broken_round(tmp_path: Path, engine: list[str]) -> None:
    """Its error comes out as what it is; no round is recorded as failed because of it, and the run is not left running."""
    (run,) = make_runs(tmp_path, engine, [1])

    def broken(run: Run, row: EpochRow) -> bool:
        raise ConnectionError(f"no database for {run.name} {row.seed}")

    with pytest.raises(RunError, match="ConnectionError: no database"):
        train(iter([run]), [Watch(broken)])
    assert (seeds(run), status(run)) == ([], "interrupted")
    assert not workers()


# ---- the order in which things happen, by an executor that follows a script ----


class Scripted(Executor):
    """Two rounds at a time; the second one's first epoch comes after the first one has ended, within the same `wait`."""

    name, workers, device = "scripted", 2, torch.device("cpu")

    def __init__(self) -> None:
        self.submitted: list[tuple[RoundFuture, Task, OnEpoch]] = []

    def has_room(self) -> bool:
        return len(self.submitted) < 2

    def submit(self, task: Task, on_epoch: OnEpoch, *_: object) -> list[RoundFuture]:
        future = RoundFuture()
        self.submitted.append((future, task, on_epoch))
        return [future]

    def wait(self) -> list[RoundFuture]:
        (first, task, _), *others = self.submitted
        self.submitted = []
        if not first.cancelled():
            first.set_result(RoundResult(replace(ROUND, seed=task.seeds[0])))
        for future, other, on_epoch in others:
            if not future.cancelled():
                on_epoch(future, replace(EPOCH, seed=other.seeds[0]))
        return [first] if not first.cancelled() else []


def scripted(run: Run, callback: Callback) -> None:
    """Train a run by the script."""
    with Scheduler(Scripted(), iter([run]), True, callback) as scheduler:
        scheduler.loop()


def test_a_round_that_has_ended_when_its_run_is_pruned_is_kept(tmp_path: Path) -> None:
    """The epoch that prunes comes after the result, and before anybody has recorded it."""
    (run,) = make_runs(tmp_path, ENGINES[0], [3])
    scripted(run, Watch(lambda *_: False))
    assert (status(run), seeds(run)) == ("pruned", [0])


def test_a_round_that_has_ended_when_ctrl_c_comes_is_kept(tmp_path: Path) -> None:
    """As if it had been recorded a moment before; the message counts it."""

    def interrupt(run: Run, row: EpochRow) -> bool:
        raise KeyboardInterrupt(f"{run.name} {row.seed}")

    (run,) = make_runs(tmp_path, ENGINES[0], [3])
    with pytest.raises(KeyboardInterrupt, match="1 finished round kept in"):
        scripted(run, Watch(interrupt))
    assert (status(run), seeds(run)) == ("interrupted", [0])


class Noted(Scripted):
    """Stacks of `size`, each ended as soon as it is waited for; notes the learning rates and seeds of the tasks."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size, self.tasks = size, list[tuple[float, tuple[int, ...]]]()

    def chunk(self, _: Config) -> int:
        return self.size

    def has_room(self) -> bool:
        return not self.submitted

    def submit(self, task: Task, on_epoch: OnEpoch, *_: object) -> list[RoundFuture]:
        self.tasks.append((task.config.optimizer.lr, task.seeds))
        self.submitted = [(RoundFuture(), Task(task.config, (seed,)), on_epoch) for seed in task.seeds]
        return [future for future, _, _ in self.submitted]

    def wait(self) -> list[RoundFuture]:
        ended, self.submitted = self.submitted, []
        for future, task, _ in ended:
            future.set_result(RoundResult(replace(ROUND, seed=task.seeds[0])))
        return [future for future, _, _ in ended]


@pytest.mark.parametrize("size", [1, 2])
def test_configurations_take_turns(tmp_path: Path, size: int) -> None:
    """By seed, or by stacks of seeds; runs that differ in their seeds alone are one configuration, and share its stacks."""
    configs = [compose_config(*TINY, f"optimizer.lr={lr}", f"seed={seed}", "rounds=2") for seed in (0, 2) for lr in (0.1, 0.2)]
    runs = [Run(config, tmp_path / str(index), "test") for index, config in enumerate(configs)]
    runs.append(Run(replace(configs[0], rounds=1, seed=9), tmp_path / "9", "test"))
    with Scheduler(executor := Noted(size), iter(runs), True, Callback()) as scheduler:
        scheduler.loop()
    ones = [(lr, (seed,)) for seed in range(4) for lr in (0.1, 0.2)]
    twos = [(lr, (seed, seed + 1)) for seed in (0, 2) for lr in (0.1, 0.2)]
    assert executor.tasks == [*(ones if size == 1 else twos), (0.1, (9,))]
    assert {status(run) for run in runs} == {"done"}


# ---- several processes ----


def claim_elsewhere(run: Run, seed: int) -> "subprocess.Popen[str]":
    """Another process that has claimed a round of the run, and waits."""
    code = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
from tests.experiment.test_scheduler import Path, make_runs
(run,) = make_runs(Path({str(run.directory.parent)!r}), {ENGINES[0]!r}, [{run.config.rounds}])
run.begin("serial", 1, "cpu")
assert run.claim({seed})
print("claimed", flush=True)
input()
"""
    other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "claimed\n"
    return other


@pytest.mark.parametrize(("dies", "stopped"), [(True, False), (False, False), (False, True)])
def test_rounds_of_a_process_that_dies_are_taken_over(tmp_path: Path, dies: bool, stopped: bool) -> None:
    """It is killed after this process has found its round claimed: this process trains it at the end. Otherwise it is left to it; when
    it is stopped, its number is told."""
    (run,) = make_runs(tmp_path, ENGINES[0], [3])
    other = claim_elsewhere(run, 1)

    def kill(_: Run, row: EpochRow) -> bool:
        if dies and row.seed == 2:
            other.kill()
            other.wait()
        return True

    if stopped:
        other.send_signal(signal.SIGSTOP)
        while not is_stopped(other.pid):
            time.sleep(0.01)
    messages: list[str] = []
    watch = Watch(kill)
    watch.on_message = messages.append  # type: ignore[method-assign]
    train([run], [watch])
    assert seeds(run) == ([0, 1, 2] if dies else [0, 2])
    assert status(run) == ("done" if dies else "running")
    left = "1 round left to another process that is training in the same folder"
    told = f"; stopped: process {other.pid} (kill -CONT {other.pid}: goes on; kill -9 {other.pid}: leaves it to others)" if stopped else ""
    assert messages == ([] if dies else [left + told])
    other.kill()
    other.communicate()


def test_rounds_that_were_taken_over_are_not_begun_in_a_run_that_is_pruned(tmp_path: Path) -> None:
    """They are given back, and the run is over."""
    (run,) = make_runs(tmp_path, ENGINES[0], [3])
    with Scheduler(Scripted(), iter([]), True, Callback()) as scheduler:
        scheduler.begin(run)
        run.missing.clear()
        run.elsewhere = [0, 1, 2]
        assert scheduler.take_over()
        scheduler.prune(run)
        assert run.over
        assert scheduler.queue.next_rounds() == []
    assert (status(run), run.in_flight) == ("pruned", 0)


# ---- jobs, through Hydra ----


@dataclass
class ListedConfig:
    """`hydra/sweeper=listed`."""

    _target_: str = f"{__name__}.Listed"


class Listed(Sweeper):
    """A sweeper that gives its jobs to the launcher's stream, one by one."""

    jobs: ClassVar[list[list[str]]] = []
    callback: ClassVar[Callback] = Callback()
    events: ClassVar[list[Any]] = []
    returns: ClassVar[dict[int, JobReturn]] = {}

    def setup(self, *, hydra_context: Any, task_function: Any, config: DictConfig) -> None:
        self.launcher = Plugins.instance().instantiate_launcher(hydra_context, task_function, config)

    def sweep(self, arguments: list[str]) -> Any:
        assert isinstance(self.launcher, DigitcmpLauncher)
        self.launcher.stream(self.each([*arguments]), [type(self).callback], self.on_job_end, len(self.jobs))

    def on_job_end(self, number: int, ended: JobReturn) -> None:
        self.events.append(("ended", number))
        self.returns[number] = ended

    def each(self, arguments: list[str]) -> Iterator[tuple[int, list[str]]]:
        for number, job in enumerate(self.jobs):
            self.events.append(("asked", number))
            yield number, [*arguments, *job]


@pytest.fixture
def listed() -> Iterator[type[Listed]]:
    """The sweeper, known to Hydra, without a memory of other tests."""
    ConfigStore.instance().store(group="hydra/sweeper", name="listed", node=ListedConfig, provider="test")
    Plugins.instance().register(Listed)
    Listed.jobs, Listed.callback, Listed.events, Listed.returns = [], Callback(), [], {}
    yield Listed
    del ConfigStore.instance().repo["hydra"]["sweeper"]["listed.yaml"]


SWEEP = ["--multirun", "hydra/sweeper=listed", "hydra.sweep.dir=sweep", "report=false", *TINY]


def test_jobs_come_and_end_one_by_one(run_cli: Cli, listed: type[Listed], tmp_path: Path) -> None:
    """Good jobs, one that cannot be composed, one out of range, one without data, and a copy: each has its own return."""
    bad = {1: ["model=nothing"], 2: ["aux_weight=-1"], 3: ["data=mnist", "data.root=nowhere"]}
    listed.jobs = [["seed=1"], bad[1], bad[2], bad[3], ["seed=1"], ["seed=2"]]
    ended = run_cli(*SWEEP, "engine=serial")
    assert ended.code == 0, ended.err
    assert listed.events == [(event, number) for number in range(6) for event in ("asked", "ended")]
    assert {number for number, ended in listed.returns.items() if ended.status == JobStatus.FAILED} == set(bad)
    for number in (2, 3):
        with pytest.raises(DigitcmpError, match="aux_weight" if number == 2 else "MNIST"):
            _ = listed.returns[number].return_value
    assert listed.returns[0].return_value == listed.returns[4].return_value != listed.returns[5].return_value
    assert len(list(tmp_path.glob("sweep/*/.hydra/config.yaml"))) == 2  # what is refused leaves none


@pytest.mark.parametrize("engine", ENGINES, ids=" ".join)
def test_a_pruned_job_is_a_failed_job_with_hydras_files(run_cli: Cli, listed: type[Listed], tmp_path: Path, engine: list[str]) -> None:
    """Its error is Pruned, its missing rounds are not trained, and Hydra's files and log are there; its neighbours are done."""
    listed.jobs = [["seed=0"], ["seed=10"], ["seed=20"]]
    listed.callback = Watch(lambda _, row: (row.seed, row.epoch) != (11, 2))
    ended = run_cli(*SWEEP, *engine, "rounds=3")
    assert ended.code == 0, ended.err
    assert [listed.returns[number].status for number in range(3)] == [JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.COMPLETED]
    with pytest.raises(Pruned, match=r"ended early, with [012] of 3 rounds"):
        _ = listed.returns[1].return_value
    (folder,) = [path.parent for path in tmp_path.glob("sweep/*/run.json") if json.loads(path.read_text())["status"] == "pruned"]
    assert {path.name for path in folder.glob(".hydra/*")} == {"config.yaml", "hydra.yaml", "overrides.yaml"}
    assert "Pruned" in (folder / "digitcmp.log").read_text()
    assert 11 not in seeds_of(folder)


def test_jobs_with_the_same_folder(run_cli: Cli, tmp_path: Path) -> None:
    """Those that differ in their seeds are all trained; those that differ in more are refused, and nothing is trained."""
    short = ["--multirun", *TINY, "hydra.sweep.dir=sweep", "report=false"]
    ended = run_cli(*short, "rounds=1,3")
    assert ended.code == 0, ended.err
    assert seeds_of(tmp_path / "sweep" / "epochs=3,data.train_pairs=100,data.test_pairs=100") == [0, 1, 2]
    ended = run_cli(*short, "hydra.sweep.dir=other", "hydra.sweep.subdir=x", "optimizer.lr=0.1,0.2")
    assert ended.code == 1
    assert "other/x: two jobs of this sweep would share this folder, though they differ (optimizer.lr 0.1 -> 0.2)" in ended.err
    assert len(ended.err.splitlines()) == 1
    assert not (tmp_path / "other" / "x" / "run.json").exists()
