"""Several GPUs of one machine, as two devices of the CPU: who trains what, and the same numbers."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from digitcmp.errors import ConfigError
from digitcmp.experiment.callbacks import Callback
from digitcmp.experiment.executors import choose
from digitcmp.experiment.executors.base import RoundFuture, Task
from digitcmp.experiment.executors.devices import DevicesExecutor
from digitcmp.experiment.provenance import machine
from digitcmp.experiment.run import Run
from digitcmp.train.results import EpochRow, RoundResult
from tests.conftest import Ended, compose_config
from tests.experiment.made import records_of, train_run, workers
from tests.experiment.test_executors import finish

TINY = ("model=net1", "epochs=3", "batch_size=25", "data.train_pairs=50", "data.test_pairs=40", "engine=stacked")
TWO = [torch.device("cpu", 0), torch.device("cpu", 1)]


@pytest.fixture(autouse=True)
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands for two GPUs."""
    monkeypatch.setattr(choose, "choose_devices", lambda _: TWO)


def submit(executor: DevicesExecutor, *seeds: int, epochs: int = 3) -> list[RoundFuture]:
    """A task."""
    return executor.submit(Task(compose_config(*TINY, f"epochs={epochs}"), seeds), lambda *_: None)


def test_each_device_has_a_process_with_its_share_of_the_rounds() -> None:
    """Stacks of equal size, whatever memory there would be for; a process that dies leaves its device to the next one."""
    config = compose_config(*TINY, "rounds=6")
    with choose.make_executor(config, 6, lambda _: None) as executor:
        assert isinstance(executor, DevicesExecutor)
        assert (executor.name, executor.workers, executor.chunk(config)) == ("stacked", 2, 3)
        futures = submit(executor, 0, 1, 2) + submit(executor, 3, 4, 5)
        assert not executor.has_room()
        assert {busy.worker.device: busy.task.seeds for busy in executor.busy.values()} == {TWO[0]: (0, 1, 2), TWO[1]: (3, 4, 5)}
        finish(executor, futures)
        before = workers()
        lost = submit(executor, 7, epochs=100_000)
        kept = submit(executor, 8)
        assert workers() == before
        (busy,) = [busy for busy in executor.busy.values() if busy.task.seeds == (7,)]
        os.kill(busy.worker.process, signal.SIGKILL)
        finish(executor, lost + kept)
        assert [lost[0].result().row.status, kept[0].result().row.status] == ["failed", "done"]
        finish(executor, submit(executor, 9) + submit(executor, 10))
        assert {worker.device for worker in executor.free} == set(TWO)
        assert [future.result().row.status for future in futures] == ["done"] * 6
    assert not workers()


def test_rounds_are_trained_on_the_device_of_their_process() -> None:
    """One that cannot compute anything fails, and says which it is."""
    with DevicesExecutor([TWO[0], torch.device("meta")], 2, lambda _: None) as executor:
        ended = submit(executor, 0) + submit(executor, 1)
        finish(executor, ended)
    assert [future.result().row.status for future in ended] == ["done", "failed"]
    assert "meta" in ended[1].result().row.error


def test_a_stack_that_breaks_is_divided_where_it_is() -> None:
    """As without several devices; whoever looks at the screen is told."""
    told: list[str] = []
    with DevicesExecutor([torch.device("meta"), TWO[0]], 4, told.append) as executor:
        ended = submit(executor, 0, 1)
        finish(executor, ended)
    assert [future.result().row.status for future in ended] == ["failed"] * 2
    assert told[0].startswith("a stack of 2 rounds broke (")


def same(folder: Path, other: Path) -> None:
    """Whether two runs have the same rows, to the last bit."""
    for one, two in zip(records_of(folder), records_of(other), strict=True):
        assert replace(one.row, seconds=0) == replace(two.row, seconds=0)
        assert [replace(row, seconds=0) for row in one.epochs] == [replace(row, seconds=0) for row in two.epochs]


def test_an_interrupted_run_goes_on_with_equal_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the checkpoints of both stacks; as one device alone trains stacks of that size."""

    class Interrupt(Callback):
        """Ends the command in the last epoch of one of the stacks."""

        def on_epoch(self, run: Run, row: EpochRow) -> None:
            del run
            if row.epoch == 3:
                raise KeyboardInterrupt

    config = compose_config(*TINY, "rounds=4", "checkpoint_every=1")
    with pytest.raises(KeyboardInterrupt):
        train_run(config, tmp_path / "run", Interrupt())
    assert not records_of(tmp_path / "run")
    epochs: list[int] = []

    class Listen(Callback):
        """Hears which epochs are trained, and those that are told again."""

        def on_round_end(self, run: Run, result: RoundResult) -> None:
            del run
            epochs.append(len(result.epochs))

    again = train_run(config, tmp_path / "run", Listen())
    assert epochs == [3] * 4
    about = again.store.about
    assert about is not None
    assert (about["engine"], about["workers"], about["platform"]) == ("stacked", 2, machine("cpu"))
    monkeypatch.setattr(choose, "choose_devices", lambda _: TWO[:1])
    train_run(replace(config, stack_size=2), tmp_path / "alone")
    same(tmp_path / "run", tmp_path / "alone")


def test_a_dry_run_says_where_rounds_would_go(run_cli: Callable[..., Ended]) -> None:
    """And how long it takes with both."""
    ended = run_cli(*TINY, "rounds=4", "dry_run=true", "hydra.run.dir=run")
    assert "engine=stacked: 2 devices, with a process and stacks each: cpu:0, cpu:1" in ended.out, ended.err
    assert "with 2 at a time" in ended.out
    assert choose.choose(compose_config(*TINY), 1) == ("stacked", 1)  # a round alone needs no process


def test_visible_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, unless one is named; torch counts those of CUDA_VISIBLE_DEVICES alone."""
    monkeypatch.undo()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for name in ("auto", "cuda"):
        assert choose.choose_devices(name) == [torch.device("cuda", 0), torch.device("cuda", 1)]
        assert choose.choose(compose_config("rounds=10", f"device={name}", *["engine=stacked"] * (name == "cuda")), 10) == ("stacked", 2)
    assert choose.choose_devices("cuda:1") == [torch.device("cuda", 1)]
    assert choose.choose_devices("cpu") == [torch.device("cpu")]
    with pytest.raises(ConfigError, match=r"^device=cuda:2: there are 2 visible GPUs \(CUDA_VISIBLE_DEVICES\), the first one is cuda:0$"):
        choose.choose_devices("cuda:2")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert choose.choose_devices("cuda") == [torch.device("cuda")]
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose.choose_devices("mps") == [torch.device("mps")]


@pytest.mark.parametrize(("device", "told"), [
    ("cuda:3", "device=cuda:3: torch "), ("mps", "device=mps: torch "), ("cuda:N", "choose one of auto, cpu, cuda, cuda:N, mps"),
    ("cuda:x", "choose one of"), ("gpu", "choose one of"),
])  # fmt: skip
def test_devices_that_are_not_there(run_cli: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, device: str, told: str) -> None:
    """One line, exit code 1."""
    monkeypatch.undo()
    if torch.cuda.is_available() or torch.backends.mps.is_available():
        pytest.skip("there is a GPU")
    ended = run_cli(*TINY, f"device={device}", "hydra.run.dir=run")
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert told in ended.err
    assert not Path("run").exists()
