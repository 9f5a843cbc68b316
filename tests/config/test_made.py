"""Configurations go to other processes whole, whatever classes packages make their keys of."""

import pickle
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from digitcmp.config.allowed import ALLOWED
from digitcmp.config.schema import GROUP_SCHEMAS, AugmentConfig, Config, key
from digitcmp.errors import ConfigError
from digitcmp.experiment.executors.base import Task
from digitcmp.experiment.executors.processes import ProcessExecutor
from tests.conftest import Ended, compose_config

Cli = Callable[..., Ended]
FILE = """
import os
from dataclasses import dataclass, field

import torch
from digitcmp.config.registry import Component
from digitcmp.config.schema import AugmentConfig, OptimizerConfig, SchedulerConfig, key

def inside():
    @dataclass
    class Part:
        share: float = 0.25

    @dataclass
    class Dim(AugmentConfig):
        kind: str = key("dim", help="darker")
        how: str = key("less", help="by how much")
        part: Part = key(factory=Part, help="what part")
        times: list[int] = key(factory=lambda: [1, 2], help="how often")
        most: float | None = key(None, help="at most")

    @dataclass
    class Slow(OptimizerConfig):
        algorithm: str = key("slow", help="x")
        lr: float = key(0.05, help="x")

    @dataclass
    class Down(SchedulerConfig):
        shape: str = key("down", help="x")
        final: float = key(0.5, help="x")

    @dataclass
    class Fails(AugmentConfig):
        kind: str = key("fails", help="x")
        pid: int = key(factory=os.getpid, help="where it was made")

        def __post_init__(self):
            if self.pid not in ("???", os.getpid()):
                raise KeyError("k")

    return Dim, Slow, Down, Fails

def dim(images, keys, how, part, times, most):
    return images * (0.5 if how == "less" else 2.0)

Dim, Slow, Down, Fails = inside()
augmentations = {"dim": Component(dim, Dim), "fails": Component(lambda images, keys, pid: images, Fails)}
optimizers = {"slow": Component(torch.optim.SGD, Slow)}
schedules = {"down": Component(lambda progress, final: 1 - (1 - final) * progress, Down)}
"""
SIZES = ("data.train_pairs=40", "data.test_pairs=40", "batch_size=20", "epochs=2", "rounds=2", "data=digits")
GIVEN = ("augment=dim", "augment.how=more", "augment.part.share=0.5", "optimizer=slow", "scheduler=down", "scheduler.final=0.1")


@pytest.fixture
def let_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    Path("my").mkdir()
    Path("my/plugins.py").write_text(FILE)
    monkeypatch.setenv(ALLOWED, "my/plugins.py")
    return tmp_path / "my/plugins.py"


def there_and_back(config: Config) -> Config:
    """As another process gets it, and a copy."""
    assert deepcopy(config) == config
    found: Config = pickle.loads(pickle.dumps(config))
    return found


@pytest.mark.parametrize(("group", "choice"), [(group, choice) for group, registry in GROUP_SCHEMAS.items() for choice in registry.own])
def test_choices_of_ours(group: str, choice: str) -> None:
    """Each of every group."""
    config = compose_config(f"{group}={choice}", *(["data.val_pairs=10"] if choice == "plateau" else []))
    found = there_and_back(config)
    assert found == config
    assert type(getattr(found, group)) is type(getattr(config, group))


def test_choices_that_a_function_made(let_in: Path) -> None:
    """With keys of all kinds; none of their classes can be found by its name."""
    del let_in
    config = compose_config(*GIVEN)
    for part in (config.augment, config.optimizer, config.scheduler):
        with pytest.raises((pickle.PicklingError, AttributeError)):
            pickle.dumps(part)
    found = there_and_back(config)
    assert found == config
    assert [type(getattr(found, group)) for group in GROUP_SCHEMAS] == [type(getattr(config, group)) for group in GROUP_SCHEMAS]


def test_they_are_trained_in_worker_processes(let_in: Path, run_cli: Cli) -> None:
    """With the numbers of one process."""
    del let_in
    rows = []
    for engine in ("serial", "processes"):
        ended = run_cli(*SIZES, *GIVEN, f"engine={engine}", f"hydra.run.dir={engine}")
        assert ended.code == 0, ended.err
        lines = Path(engine, "rounds.csv").read_text().splitlines()[1:]
        rows.append([line.split(",")[:6] for line in lines])
    assert rows[0] == rows[1]


def test_what_the_other_process_does_not_have(let_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line names the choice."""
    del let_in
    sent = pickle.dumps(compose_config(*GIVEN))
    monkeypatch.setenv(ALLOWED, "")
    with pytest.raises(ConfigError, match=r"^augment=dim: what offers it is not there|^optimizer=slow: what offers it is not there"):
        pickle.loads(sent)


def test_a_class_that_fails_there(let_in: Path, run_cli: Cli) -> None:
    """And not here: told in one line, by the command."""
    del let_in
    ended = run_cli(*SIZES, "augment=fails", "engine=processes", "hydra.run.dir=run")
    assert ended.code == 1
    assert "Traceback" not in ended.err
    assert "engine=processes: a part of one's own cannot be made anew in a worker process (ConfigError: augment: its keys" in ended.err


def test_keys_that_cannot_go_on_record(let_in: Path, run_cli: Cli) -> None:
    """Told when they are chosen."""
    text = FILE.replace('how: str = key("less"', "how: How = key(How.LESS")
    let_in.write_text(f"from enum import Enum\nclass How(Enum):\n    LESS = 1\n{text}")
    ended = run_cli(*SIZES, "augment=dim", "hydra.run.dir=run")
    assert ended.code == 1
    assert "Traceback" not in ended.err
    assert "augmentations dim of my/plugins.py" in ended.err
    assert "its schema Dim cannot be read (Object of type How is not JSON serializable)" in ended.err


def test_what_cannot_be_sent() -> None:
    """An object that no package offers, of a class that no other process can find: one line, and no worker is left."""

    @dataclass
    class Mine(AugmentConfig):
        kind: str = key("nobody", help="x")

    config = replace(compose_config(*SIZES), augment=Mine())
    with (
        ProcessExecutor(torch.device("cpu"), 1) as executor,
        pytest.raises(ConfigError, match=r"^engine=processes: a part of one's own cannot be sent .*Mine.*; define its class at"),
    ):
        executor.submit(Task(config, (0,)), lambda *_: None)
    assert not executor.busy
