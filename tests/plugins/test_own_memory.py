"""Parts of somebody's own that remember something from round to round are refused by every engine, before or while they are trained: the
numbers of a round would depend on those that were trained before it."""

import random
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch

from digitcmp.config import offered
from digitcmp.config.allowed import ALLOWED
from digitcmp.errors import ConfigError
from digitcmp.model.network import build
from digitcmp.train.round import train_rounds
from tests.conftest import Ended, compose_config

Cli = Callable[..., Ended]
FILE = """
import functools
from dataclasses import dataclass
from random import random as drawn
import torch
from torch import nn
from digitcmp.config.blocks import Block, Core
from digitcmp.config.registry import Component
from digitcmp.config.schema import AugmentConfig, OptimizerConfig, SchedulerConfig, key
from digitcmp.data.sources import load

CALLS, LATE, STEPS, LOADED, MADE = [0], [0], [0], [0], [0]
TABLE = torch.ones(600, 600)

class Gate(nn.Module):
    def __init__(self, layer, inputs):
        super().__init__()
        MADE[0] += 1
    def forward(self, x):
        CALLS[0] += 1
        return x if CALLS[0] > 40 else x * 0.1

class Late(Gate):  # after more calls than before a training
    seen = 0
    def __init__(self, layer, inputs):
        super().__init__(layer, inputs)
        self.calls = 0
    def forward(self, x):
        self.calls += 1
        if self.calls > 10:
            LATE[0] += 1
        return x / (1 + LATE[0])

class Broken(Late):
    def forward(self, x):
        super().forward(x)
        if self.calls > 10:
            raise KeyError("k")
        return x

class Grid(Gate):
    grid = None
    def forward(self, x):
        if self.grid is None:
            self.grid = torch.linspace(0, 1, x.shape[-1])
        return x + self.grid

@functools.cache
def grid(width):
    return torch.linspace(0, 1, width)

class Cached(Gate):
    def forward(self, x):
        return x + grid(x.shape[-1]) * len(LOADED) * TABLE[0, 0]

class Drawing(Gate):
    def forward(self, x):
        from numpy import random as other
        return x * (1 + 0 * drawn() * other.rand())

class Warm(torch.optim.SGD):
    steps = 0
    def step(self, closure=None):
        Warm.steps += 1
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad *= min(1, Warm.steps / 20)
        super().step(closure)

def block(kind):
    return Block(kind, of="images", core=lambda layer, inputs: Core(inputs))

def stage(embeddings, digits, margin):
    STEPS[0] += 1
    return (STEPS[0] > 1000) * embeddings.square().mean(dim=(1, 2, 3))

def falling(progress):
    STEPS[0] += 1
    return 1.0 if STEPS[0] < 1000 else 0.5

def mixing(images, keys):
    STEPS[0] += 1
    return images if STEPS[0] < 1000 else 0 * images

def counted(root):
    LOADED[0] += 1
    return load("digits", root)

class Narrow(torch.optim.SGD):
    def __init__(self, parameters, lr):
        super().__init__(parameters, lr=lr)

def made(parameters, lr):
    return torch.optim.SGD(parameters, lr=lr)

class Twice(torch.optim.SGD):
    def step(self, closure=None):
        closure()

@dataclass
class NarrowKeys(OptimizerConfig):
    algorithm: str = key("narrow", help="x")
    lr: float = key(0.05, help="x", above=0)
@dataclass
class MadeKeys(OptimizerConfig):
    algorithm: str = key("made", help="x")
    lr: float = key(0.05, help="x", above=0)
@dataclass
class TwiceKeys(OptimizerConfig):
    algorithm: str = key("twice", help="x")
    lr: float = key(0.05, help="x", above=0)
@dataclass
class WarmKeys(OptimizerConfig):
    algorithm: str = key("warm", help="x")
    lr: float = key(0.05, help="x", above=0)
@dataclass
class Falls(SchedulerConfig):
    shape: str = key("falling", help="x")
@dataclass
class Mixes(AugmentConfig):
    kind: str = key("mixing", help="x")

blocks = {"gate": block(Gate), "late": block(Late), "broken": block(Broken), "grid": block(Grid), "cached": block(Cached)}
blocks["drawing"] = block(Drawing)
optimizers = {"warm": Component(Warm, WarmKeys), "narrow": Component(Narrow, NarrowKeys), "twice": Component(Twice, TwiceKeys)}
optimizers["made"] = Component(made, MadeKeys)
schedules = {"falling": Component(falling, Falls)}
augmentations = {"mixing": Component(mixing, Mixes)}
losses = {"stage": stage}
data = {"counted": counted}
"""
SIZES = ("data.train_pairs=40", "data.test_pairs=20", "batch_size=10", "epochs=3", "rounds=3", "hydra.run.dir=run")
ENGINES = {
    "serial": ["engine=serial"],
    "processes": ["engine=processes", "workers=2"],
    "stacked": ["engine=stacked"],
    "checkpoints": ["checkpoint_every=1"],
}


def tower(kind: str) -> str:
    """A tower with this block."""
    return f"model.tower=[{{channels: 2, pool: 4}}, {{kind: {kind}}}]"


REFUSED = {
    "block": (tower("gate"), "digitcmp.own.plugins:Gate remembers plugins.CALLS from one step"),
    "block, random": (tower("drawing"), "digitcmp.own.plugins:Drawing remembers the state of random, the state of numpy from one step"),
    "block, late": (tower("late"), "digitcmp.own.plugins:Late remembers "),
    "optimiser": ("optimizer=warm", "remembers plugins.Warm.steps from one step"),
    "schedule": ("scheduler=falling", "remembers plugins.STEPS from one step"),
    "augmentation": ("augment=mixing", "remembers plugins.STEPS from one step"),
    "loss": ("loss.terms=[{loss: stage}]", "remembers plugins.STEPS from one step"),
}


@pytest.fixture
def train(run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """What trains with the file."""
    monkeypatch.setenv(ALLOWED, "")
    monkeypatch.chdir(tmp_path)
    Path("my").mkdir()
    Path("my/plugins.py").write_text(FILE)

    def run(*overrides: str) -> Ended:
        data = [] if any(one.startswith("data=") for one in overrides) else ["data=digits"]
        return run_cli("--config-dir", "my", "--allow-code", "my/plugins.py", *SIZES, *data, *overrides)

    return run


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", REFUSED)
def test_what_rounds_would_hand_on_is_refused(name: str, engine: str, train: Cli) -> None:
    """In one line, with its name, whatever is trained with."""
    override, words = REFUSED[name]
    ended = train(override, *ENGINES[engine])
    assert ended.code == 1
    assert "Traceback" not in ended.err
    line = ended.err.strip().splitlines()[-1]
    assert line.startswith("digitcmp: ")
    assert words in line


def test_a_round_that_breaks_hands_nothing_on(train: Cli) -> None:
    """The next one would not begin as it did."""
    ended = train(tower("broken"), "engine=serial")
    assert ended.code == 1
    assert "remembers plugins.LATE from one step" in ended.err.strip().splitlines()[-1]


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_counted_elsewhere_is_taken(engine: str, train: Cli) -> None:
    """When blocks are made and data are loaded, and what is cached; and a large constant, whichever process imports it."""
    ended = train(tower("cached"), "data=counted", *ENGINES[engine])
    assert ended.code == 0, ended.err


def test_what_a_block_makes_when_it_is_called_is_told_before_the_training(train: Cli) -> None:
    """Where there are to be checkpoints; without them, it may."""
    ended = train(tower("grid"), "checkpoint_every=2")
    assert "digitcmp.own.plugins:Grid remembers self.grid, which a checkpoint does not have" in ended.err
    assert not Path("run").exists()
    assert train(tower("grid")).code == 0


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("narrow", ": Narrow takes no weight_decay; an optimiser is called"),
        ("twice", "its step asks for a closure"),
        ("made", "optimizer.algorithm=made: made is no class below torch.optim.Optimizer"),
    ],
)
def test_what_an_optimiser_asks_for_in_vain_is_told_before_the_training(name: str, words: str, engine: str, train: Cli) -> None:
    """An argument that it does not have, a closure, and to be made by a function."""
    ended = train(f"optimizer={name}", *ENGINES[engine])
    assert words in ended.err.strip().splitlines()[-1]
    assert not Path("run").exists()


@pytest.mark.parametrize("name", ["cached", "drawing"])
def test_what_callbacks_draw_is_nobodys_concern(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether before a checkpoint or after the last epoch; what a block draws from the same state still is."""
    file = tmp_path / "plugins.py"
    file.write_text(FILE)
    monkeypatch.setenv(ALLOWED, str(file))
    config = compose_config("data=digits", tower(name), "checkpoint_every=1", *SIZES[:4])
    made: list[object] = []

    def drawn(*_: object) -> bool:
        random.random(), np.random.rand()  # noqa: NPY002
        return True

    told = "Drawing remembers the state of random, the state of numpy from one step"
    with pytest.raises(ConfigError, match=told) if name == "drawing" else nullcontext():
        train_rounds(config, [0], torch.device("cpu"), drawn, on_checkpoint=made.append)
    assert len(made) == (0 if name == "drawing" else 2)


def test_what_is_imported_when_a_network_is_built_has_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a worker process, where nobody has imported it before."""
    file = tmp_path / "plugins.py"
    file.write_text(FILE)
    monkeypatch.setenv(ALLOWED, str(file))
    model = compose_config("data=digits", tower("cached")).model
    offered.read.cache_clear()
    sys.modules.pop("digitcmp.own.plugins")
    build(model, torch.Generator(), torch.device("cpu"))
    assert sys.modules["digitcmp.own.plugins"].TABLE.device.type == "cpu"
