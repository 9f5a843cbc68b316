"""The contract of every executor: same numbers, epochs in order, pruning, broken rounds, killed workers, shutdown; and what stacks add."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple, replace
from multiprocessing import Pipe
from multiprocessing.connection import wait
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from scipy.stats import ttest_rel
from torch import Tensor

from digitcmp.config.schema import Config
from digitcmp.errors import ConfigError, DataError
from digitcmp.experiment.callbacks import Callback
from digitcmp.experiment.executors import serial, stacking
from digitcmp.experiment.executors.base import Executor, RoundFuture, Task
from digitcmp.experiment.executors.choose import make_executor
from digitcmp.experiment.executors.stacked import StackedExecutor
from digitcmp.experiment.run import Run
from digitcmp.experiment.scheduler import train
from digitcmp.kernels import operations, stacks
from digitcmp.model import blocks
from digitcmp.train.progress import OnEpoch
from digitcmp.train.results import EpochRow, RoundResult, RoundRow
from tests.conftest import MNIST_ROOT, MODELS, Ended, compose_config, needs_mnist
from tests.experiment.made import course, distances_of, epochs_of, network, train_run, workers

CPU, GPU = torch.device("cpu"), torch.device("cuda")
EXECUTORS = ("serial", "processes", "stacked")
TINY = ("epochs=2", "batch_size=25", "data.train_pairs=50", "data.test_pairs=40", "rounds=3")


@pytest.fixture(params=EXECUTORS)
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """Each executor, and afterwards no process of it."""
    made = make_executor(config(f"engine={request.param}"), 2, lambda _: None)
    assert made.name == request.param
    with made:
        yield made
    assert not workers()


def config(*overrides: str) -> Config:
    """A configuration whose rounds take a moment."""
    return compose_config(*TINY, "epochs=3", *overrides)


def finish(executor: Executor, futures: list[RoundFuture]) -> None:
    """Wait until all of these futures are done."""
    end = time.monotonic() + 60
    while not all(future.done() for future in futures):
        executor.wait()
        assert time.monotonic() < end


def submit(executor: Executor, seeds: list[int], on_epoch: Callable[[RoundFuture, EpochRow], None], one: Config) -> list[RoundFuture]:
    """The futures of rounds, submitted as the executor likes its tasks and has room for them."""
    futures: list[RoundFuture] = []
    while seeds:
        while not executor.has_room():
            executor.wait()
        size = executor.chunk(one)
        futures += executor.submit(Task(one, tuple(seeds[:size])), on_epoch)
        seeds = seeds[size:]
    return futures


def test_a_future_is_the_result_of_its_round(executor: Executor) -> None:
    """Whatever the order in which rounds end; epochs come one after the other, of each round, before its result."""
    heard: dict[RoundFuture, list[tuple[int, int]]] = {}

    def on_epoch(future: RoundFuture, row: EpochRow) -> None:
        assert not future.done()
        heard.setdefault(future, []).append((row.seed, row.epoch))

    futures = submit(executor, [5, 6, 7], on_epoch, config())
    finish(executor, futures)
    for seed, future in zip((5, 6, 7), futures, strict=True):
        result = future.result(timeout=0)
        assert (result.row.seed, result.row.status) == (seed, "done")
        assert [row.epoch for row in result.epochs] == [1, 2, 3]
        assert heard[future] == [(seed, 1), (seed, 2), (seed, 3)]
    assert executor.has_room()


def test_a_cancelled_round_is_not_heard_of_again(executor: Executor) -> None:
    """In the middle of its training; its neighbours are trained to their end, with their own numbers."""
    heard: list[tuple[int, int]] = []

    def on_epoch(future: RoundFuture, row: EpochRow) -> None:
        heard.append((row.seed, row.epoch))
        if (row.seed, row.epoch) == (6, 2):
            executor.cancel(future)
            assert future.done()

    futures = submit(executor, [5, 6, 7], on_epoch, config("epochs=6"))
    finish(executor, futures)
    assert [future.cancelled() for future in futures] == [False, True, False]
    assert max(epoch for seed, epoch in heard if seed == 6) == 2
    with make_executor(config("engine=serial"), 1, lambda _: None) as alone:
        ones = submit(alone, [5, 7], lambda *_: None, config("epochs=6"))
        finish(alone, ones)
    for one, other in zip(ones, (futures[0], futures[2]), strict=True):
        assert one.result().row.train_loss == pytest.approx(other.result().row.train_loss, rel=1e-3)
    while not executor.has_room():  # the place of the cancelled round can be used again
        executor.wait()
    finish(executor, submit(executor, [8], on_epoch, config()))
    assert (8, 3) in heard


def test_a_round_that_breaks_is_a_failed_result(executor: Executor) -> None:
    """Diverged at once, with the reason; the others of its task are not concerned."""
    futures = submit(executor, [1, 2], lambda *_: None, config("optimizer=sgd", "optimizer.lr=1e12", "epochs=50"))
    finish(executor, futures)
    for future in futures:
        assert future.result().row.status == "failed"
        assert "optimizer.lr" in future.result().row.error
    good = submit(executor, [1], lambda *_: None, config())
    finish(executor, good)
    assert good[0].result().row.status == "done"


def test_a_problem_that_the_user_can_mend_is_the_futures_error(executor: Executor) -> None:
    """Too few images for the pairs: raised by `result`, and the executor goes on."""
    bad = submit(executor, [1], lambda *_: None, config("data=mnist", f"data.root={MNIST_ROOT}", "data.train_pairs=40000"))
    finish(executor, bad)
    with pytest.raises(DataError):
        bad[0].result()
    good = submit(executor, [1], lambda *_: None, config())
    finish(executor, good)
    assert good[0].result().row.status == "done"


def test_shutdown_at_once_leaves_nothing_behind(executor: Executor) -> None:
    """In the middle of rounds, and twice."""
    executor.submit(Task(config("epochs=1000"), (1,)), lambda *_: None)
    executor.shutdown()
    executor.shutdown()
    assert not workers()


def test_what_a_callback_raises_comes_out_of_wait(executor: Executor) -> None:
    """It is neither lost nor taken for an error of the round."""

    def stop(future: RoundFuture, row: EpochRow) -> None:
        raise KeyboardInterrupt(f"{row.seed} {future.done()}")

    executor.submit(Task(config(), (4,)), stop)
    with pytest.raises(KeyboardInterrupt, match="4 False"):
        executor.wait()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT])
def test_a_worker_that_dies_costs_its_own_round(number: signal.Signals) -> None:
    """Its result is a failed one that says how the process ended; a new worker takes its place."""
    with make_executor(config("engine=processes", "workers=2"), 4, lambda _: None) as executor:

        def die(_: RoundFuture, row: EpochRow) -> None:
            if row.seed == 1 and workers():
                busy = [one for one in executor.busy.values() if one.task.seeds == (1,)]  # type: ignore[attr-defined]
                os.kill(busy[0].worker.process, number)

        futures = submit(executor, [1, 2, 3, 4], die, config("epochs=20"))
        finish(executor, futures)
        results = [future.result().row for future in futures]
    assert [row.status for row in results] == ["failed", "done", "done", "done"]
    assert f"its worker process ended with exit code -{number}" in results[0].error


def test_a_worker_that_dies_while_it_has_nothing_to_do_costs_nothing() -> None:
    """The next round gets another one."""
    with make_executor(config("engine=processes", "workers=2"), 2, lambda _: None) as executor:
        finish(executor, submit(executor, [1], lambda *_: None, config()))
        (idle,) = executor.free  # type: ignore[attr-defined]
        os.kill(idle.process, signal.SIGKILL)
        assert wait([idle.connection], 60)
        futures = submit(executor, [2], lambda *_: None, config())
        finish(executor, futures)
        assert futures[0].result().row.status == "done"


def test_a_worker_that_dies_in_the_middle_of_a_message_is_heard_as_dead() -> None:
    """Half a message is none."""
    with make_executor(config("engine=processes", "workers=1"), 2, lambda _: None) as executor:
        futures = executor.submit(Task(config("epochs=1000"), (1,)), lambda *_: None)
        ours, theirs = Pipe()
        os.write(theirs.fileno(), (1000).to_bytes(4, "big") + b"half")
        theirs.close()
        ((connection, busy),) = executor.busy.items()  # type: ignore[attr-defined]
        os.kill(busy.worker.process, signal.SIGKILL)
        connection.close()
        busy.worker.connection = ours
        executor.busy = {ours: busy}  # type: ignore[attr-defined]
        finish(executor, futures)
    assert "its worker process ended with exit code -9" in futures[0].result().row.error


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_does_not_reach_the_server_of_the_workers(tmp_path: Path, number: signal.Signals) -> None:
    """It comes while the server imports, from a terminal or a scheduler: the parent alone says something, and ends with its exit code; no
    process is left."""
    command = [sys.executable, "-m", "digitcmp", *TINY, "epochs=500", "engine=processes", "workers=2", f"hydra.run.dir={tmp_path}/run"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    process.stdout.readline()  # the runs have begun, and the server is being started
    time.sleep(0.3)
    os.killpg(process.pid, number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    told = "interrupted" if number == signal.SIGINT else "interrupted (SIGTERM)"
    assert [line for line in err.splitlines() if line] == [f"digitcmp: {told}; 0 finished rounds kept in {tmp_path}/run"]


# ---- whole runs ----


def runs(engine: str, folder: Path, *overrides: str, models: list[str] | None = None) -> dict[str, Run]:
    """A trained run of every network under one executor."""
    made = [Run(network(name, f"engine={engine}", *TINY, *overrides), folder / name, "") for name in models or MODELS]
    train(made)
    return {run.name: run for run in made}


def test_every_network_trains_under_every_executor(tmp_path: Path) -> None:
    """Serial and processes give the same numbers, stacked the same but for rounding; all rounds are done."""
    serial, processes, stacked = (runs(engine, tmp_path / engine) for engine in EXECUTORS)
    assert serial.keys() == processes.keys() == stacked.keys() == set(MODELS)
    for name, run in serial.items():
        assert [(row.seed, row.status) for row in stacked[name].rows] == [(seed, "done") for seed in (0, 1, 2)]
        for row, other, third in zip(run.rows, processes[name].rows, stacked[name].rows, strict=True):
            assert figures(row) == figures(other)
            assert row.train_loss == pytest.approx(third.train_loss, rel=1e-3)
            assert row.test_accuracy == pytest.approx(third.test_accuracy, abs=0.051)
            assert row.majority_accuracy == third.majority_accuracy
        assert (stacked[name].store.about or {})["engine"] == "stacked"
        assert len(epochs_of(stacked[name].directory)) == len(epochs_of(run.directory))
        one, other = (sorted(map(astuple, distances_of(each.directory))) for each in (stacked[name], run))
        assert [row[:3] for row in one] == [row[:3] for row in other]


def test_every_recipe_of_the_course_trains_under_every_executor(tmp_path: Path) -> None:
    """The numbers are the same, stacked but for rounding."""
    found = []
    for engine in EXECUTORS:
        alike = {"engine": engine, "stack_size": 2 if engine == "stacked" else None}  # no memory is to be guessed
        made = [Run(replace(recipe, **alike), tmp_path / engine / name, "") for name, recipe in course("rounds=2").items()]
        train(made)
        found.append([row for run in made for row in run.rows])
    assert {row.status for rows in found for row in rows} == {"done"}
    for row, other, third in zip(*found, strict=True):
        assert figures(row) == figures(other)
        assert row.train_loss == pytest.approx(third.train_loss, rel=1e-3)


def figures(row: RoundRow) -> tuple[object, ...]:
    """A round without its time."""
    return (row.seed, row.status, row.train_loss, row.train_accuracy, row.test_accuracy, row.digit_accuracy, row.best_epoch)


@needs_mnist
@pytest.mark.parametrize(("model", "furthest"), [("wsn", 0.01), ("net4", 1.0)])
def test_thirty_stacked_rounds_have_the_distribution_of_serial_ones(tmp_path: Path, model: str, furthest: float) -> None:
    """Single precision, MNIST, 5 epochs: the mean difference is none, and no round of wsn differs by more than a point.

    With net4's batch norm, rounding alone moves single rounds by more than a point: so does a change of the initial
    weights by 1e-7.
    """
    data = (f"data.root={MNIST_ROOT}", "data.train_pairs=100", "data.test_pairs=200", "batch_size=50")
    options = ("data=mnist", *data, "rounds=30", "epochs=5")
    serial, stacked = (runs(engine, tmp_path / engine, *options, models=[model])[model].rows for engine in ("processes", "stacked"))
    pairs = [(row.test_accuracy or 0, other.test_accuracy or 0) for row, other in zip(serial, stacked, strict=True)]
    assert max(abs(one - other) for one, other in pairs) <= furthest
    if any(one != other for one, other in pairs):
        assert ttest_rel(*zip(*pairs, strict=True)).pvalue > 0.01
    assert abs(fmean(one for one, _ in pairs) - fmean(other for _, other in pairs)) < 0.005


# ---- stacks ----


def test_stack_size_bounds_the_stacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven rounds in stacks of three: 3, 3 and 1, with the numbers of one big stack."""
    sizes, before = [], serial.train_rounds

    def spy(one: Config, seeds: tuple[int, ...], device: torch.device, on_epoch: OnEpoch, *more: Any) -> list[RoundResult | None]:
        sizes.append(len(seeds))
        return before(one, seeds, device, on_epoch, *more)

    monkeypatch.setattr(serial, "train_rounds", spy)
    small, big = (runs("stacked", tmp_path / size, "rounds=7", f"stack_size={size}", models=["net2"])["net2"] for size in ("3", "100"))
    assert sizes == [3, 3, 1, 7]
    assert [row.test_accuracy for row in small.rows] == [row.test_accuracy for row in big.rows]


def test_rounds_of_runs_that_differ_in_their_seeds_share_a_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Known runs of one round each are one stack; runs that come one by one are not, as the next may depend on the last."""
    sizes, before = [], serial.train_rounds

    def spy(one: Config, seeds: tuple[int, ...], device: torch.device, on_epoch: OnEpoch, *more: Any) -> list[RoundResult | None]:
        sizes.append(len(seeds))
        return before(one, seeds, device, on_epoch, *more)

    monkeypatch.setattr(serial, "train_rounds", spy)
    for folder in ("known", "coming"):
        made = [Run(config("engine=stacked", "rounds=2", f"seed={2 * index}"), tmp_path / folder / str(index), "") for index in range(3)]
        train(made if folder == "known" else iter(made))
        assert [[row.seed for row in run.rows] for run in made] == [[0, 1], [2, 3], [4, 5]]
    assert sizes == [6, 2, 2, 2]


class Messages(Callback):
    """Keeps what whoever looks at the screen is told."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def on_message(self, text: str) -> None:
        self.heard.append(text)


def test_a_stack_that_runs_out_of_memory_goes_on_in_halves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stacks of more than two rounds break; every round is done in the end, and it is said what happened."""
    before = serial.train_rounds

    def too_big(one: Config, seeds: tuple[int, ...], device: torch.device, on_epoch: OnEpoch, *more: Any) -> list[RoundResult | None]:
        if len(seeds) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return before(one, seeds, device, on_epoch, *more)

    monkeypatch.setattr(serial, "train_rounds", too_big)
    messages = Messages()
    run = train_run(compose_config("engine=stacked", *TINY, "rounds=7"), tmp_path, messages)
    assert [row.status for row in run.rows] == ["done"] * 7
    assert messages.heard[0] == "a stack of 7 rounds broke (OutOfMemoryError: CUDA out of memory); going on with 4 at a time"
    assert messages.heard[1].startswith("a stack of 3 rounds broke")


def test_half_a_stack_that_is_refused_leaves_the_other_half(monkeypatch: pytest.MonkeyPatch) -> None:
    """A problem that the user can mend, met by the second half of a divided stack: the first half has its results, the second the error."""
    before = serial.train_rounds

    def broken(one: Config, seeds: tuple[int, ...], device: torch.device, on_epoch: OnEpoch, *more: Any) -> list[RoundResult | None]:
        if len(seeds) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        if 3 in seeds:
            raise DataError("the data have gone")
        return before(one, seeds, device, on_epoch, *more)

    monkeypatch.setattr(serial, "train_rounds", broken)
    with make_executor(config("engine=stacked"), 4, lambda _: None) as executor:
        futures = executor.submit(Task(config("rounds=4"), (0, 1, 2, 3)), lambda *_: None)
        assert executor.wait() == futures
    assert [future.result().row.status for future in futures[:2]] == ["done", "done"]
    for future in futures[2:]:
        with pytest.raises(DataError, match="the data have gone"):
            future.result()


def test_a_round_that_breaks_alone_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One seed's data cannot be drawn: the stack is divided until that round is alone."""
    from digitcmp.train import round as module

    before: Callable[..., object] = module.round_pairs

    def broken(data: object, seed: int, *device: object) -> object:
        if seed == 2:
            raise RuntimeError("seed 2 is cursed")
        return before(data, seed, *device)

    monkeypatch.setattr(module, "round_pairs", broken)
    run = train_run(compose_config("engine=stacked", *TINY, "rounds=5"), tmp_path)
    assert [row.status for row in run.rows] == ["done", "done", "failed", "done", "done"]
    assert "seed 2 is cursed" in run.rows[2].error


def test_a_diverging_stack_ends_early(tmp_path: Path) -> None:
    """All rounds of a hopeless learning rate fail in their first epochs."""
    run = train_run(compose_config("engine=stacked", *TINY, "epochs=50", "optimizer=sgd", "optimizer.lr=1e12"), tmp_path)
    assert [row.status for row in run.rows] == ["failed"] * 3
    assert all("optimizer.lr" in row.error for row in run.rows)
    assert all(row.epochs < 10 for row in run.rows)


def test_memory_of_a_round_grows_with_what_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """More pairs, a larger batch and a larger network take more; on a GPU the limit is the share of what is free."""
    plain = stacking.round_memory(compose_config("model=net2"))
    assert 20e6 < plain < 200e6
    for more in ("data.train_pairs=2000", "batch_size=200", "model=wsmodel1"):
        assert stacking.round_memory(compose_config("model=net2", more)) > plain
    config = compose_config("model=net2")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (int(80e9), int(80e9)))
    assert stacking.stack_limit(config, stacking.free_memory(GPU)) == pytest.approx(0.8 * 80e9 / plain, rel=0.01)
    assert stacking.stack_limit(config, stacking.free_memory(CPU)) == 8
    assert stacking.stack_limit(config, stacking.free_memory(CPU), rounds=7, places=2) == 4
    for device in (CPU, GPU):
        assert stacking.stack_limit(compose_config("model=net2", "stack_size=5"), stacking.free_memory(device), 6, 3) == 5


def test_no_memory_at_all_still_trains_one_round_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than none."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (0, int(80e9)))
    assert stacking.stack_limit(compose_config(), stacking.free_memory(GPU)) == 1


def test_a_network_that_cannot_be_stacked_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block that decides by its data has no stacked form; the message says what to use instead."""

    def deciding(_: blocks.Conv, x: Tensor, noise: Tensor | None) -> Tensor:
        del noise
        return x.clamp(min=0) if bool((x.sum() > 0).item()) else x

    monkeypatch.setattr(blocks.Conv, "forward", deciding)
    with pytest.raises(ConfigError, match=r"^engine=stacked: net4 cannot be stacked \(.*\); use engine=serial or engine=processes$"):
        stacking.round_memory(compose_config("model=net4"))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("stack_size=0",), "stack_size=0: must be a whole number, at least 1"),
        (("engine=serial", "stack_size=4"), "stack_size=4: engine=serial has no stacks; use engine=stacked"),
        (("engine=stacked", "workers=4"), "workers=4: engine=stacked has no workers; use engine=processes"),
    ],
)
def test_bad_engine_options(run_cli: Callable[..., Ended], overrides: tuple[str, ...], message: str) -> None:
    """One line each."""
    ended = run_cli(*overrides)
    assert (ended.code, ended.err.strip()) == (1, f"digitcmp: {message}")


def test_a_gpu_without_kernels_trains_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Triton cannot be used, it is said once why, and torch's own operations give the same rounds."""
    config = compose_config(*TINY, "epochs=1", "data=digits")
    task, said = Task(config, (0, 1)), list[str]()
    before = StackedExecutor(CPU, said.append).train(task, lambda *_: True, lambda _: None)
    assert said == []
    devices = {"cpu"}
    for module in (operations, stacks):
        monkeypatch.setattr(module, "DEVICES", devices)
        monkeypatch.setattr(module, "available", lambda: "No module named 'triton'")
    executor = StackedExecutor(CPU, said.append)
    for _ in range(2):
        after = executor.train(task, lambda *_: True, lambda _: None)
        assert [result.row.train_loss for result in after] == [result.row.train_loss for result in before]  # type: ignore[union-attr]
    assert said == ["device=cpu: torch's own convolutions are used, which take longer, as Triton cannot be (No module named 'triton')"]
    assert not devices
