"""What parts of somebody's own remember where nobody looks (files, the environment, attributes of libraries): the same short round
comes out otherwise, and they are refused before anything is trained."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from digitcmp.config.allowed import ALLOWED
from tests.conftest import Ended

Cli = Callable[..., Ended]
FILE = """
import functools, logging, os, time
from dataclasses import dataclass
import numpy as np
import torch
from torch import nn
from digitcmp.config.blocks import Block, Core
from digitcmp.config.registry import Component
from digitcmp.config.schema import OptimizerConfig, key

class Layer(nn.Module):
    def __init__(self, layer, inputs):
        super().__init__()

class Environment(Layer):
    def forward(self, x):
        calls = os.environ["CALLS"] = os.environ.get("CALLS", "") + "x"
        return x / len(calls)

class File(Layer):
    def forward(self, x):
        with open("calls", "a+") as file:
            file.write("x")
            return x / file.tell()

class Logger(Layer):
    def forward(self, x):
        log = logging.getLogger("mine")
        log.calls = getattr(log, "calls", 0) + 1
        return x / log.calls

class Library(Layer):
    def forward(self, x):
        nn.calls = getattr(nn, "calls", 0) + 1
        return x / nn.calls

class Clock(Layer):
    def forward(self, x):
        return x * (1 + time.time() % 1)

class Told(Layer):
    def forward(self, x):
        os.environ["TOLD"] = str(tuple(x.shape))
        with open("shapes", "a") as file:
            print(x.shape, file=file)
        return x

class Worked(Layer):
    @functools.cached_property
    def grid(self):
        return torch.linspace(0, 1, 3)
    def forward(self, x):
        return x + self.grid[1]

class Drawing(Layer):
    def forward(self, x):
        return x * (1 + np.random.default_rng().random())

class Made(Layer):
    def __init__(self, layer, inputs):
        super().__init__(layer, inputs)
        self.scale = np.random.default_rng().random()
    def forward(self, x):
        return x * self.scale

class Counted(Layer):
    made = 0
    def __init__(self, layer, inputs):
        super().__init__(layer, inputs)
        Counted.made += 1
        self.scale = Counted.made
    def forward(self, x):
        return x / self.scale

class Velocity(torch.optim.Optimizer):
    def __init__(self, parameters, lr, weight_decay=0.0):
        super().__init__(parameters, {"lr": lr})
    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for one in group["params"]:
                if one.grad is not None:
                    one.velocity = 0.9 * getattr(one, "velocity", 0) + one.grad
                    one -= group["lr"] * one.velocity

@dataclass
class VelocityKeys(OptimizerConfig):
    algorithm: str = key("velocity", help="x")
    lr: float = key(0.05, help="x", above=0)

def block(kind):
    return Block(kind, of="images", core=lambda layer, inputs: Core(inputs))

blocks = {kind.__name__.lower(): block(kind) for kind in Layer.__subclasses__()}
optimizers = {"velocity": Component(Velocity, VelocityKeys)}
"""
SIZES = ("data=digits", "data.train_pairs=40", "data.test_pairs=20", "batch_size=10", "epochs=2", "rounds=2", "hydra.run.dir=run")


@pytest.fixture
def train(run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """What trains with the file."""
    monkeypatch.setenv(ALLOWED, "")
    for name in ("CALLS", "TOLD"):
        monkeypatch.setenv(name, "")
    for holder in (torch.nn, logging.getLogger("mine")):
        monkeypatch.setattr(holder, "calls", 0, raising=False)  # and away with it behind the test
    monkeypatch.chdir(tmp_path)
    Path("my").mkdir()
    Path("my/plugins.py").write_text(FILE)
    return lambda *overrides: run_cli("--config-dir", "my", "--allow-code", "my/plugins.py", *SIZES, *overrides)


def tower(kind: str) -> str:
    """A tower with this block."""
    return f"model.tower=[{{channels: 2, pool: 4}}, {{kind: {kind}}}]"


@pytest.mark.parametrize("kind", ["environment", "file", "logger", "library", "clock", "drawing", "made", "counted"])
def test_what_decides_from_elsewhere_is_refused(kind: str, train: Cli) -> None:
    """Wherever that is, generators that nothing seeds and how many blocks were made among it."""
    ended = train(tower(kind))
    assert ended.code == 1
    (line,) = ended.err.strip().splitlines()
    assert line.startswith(f"digitcmp: digitcmp.own.plugins:{kind.title()}: when the same round is trained once more, other numbers come")
    assert not Path("run").exists()


@pytest.mark.parametrize("kind", ["told", "worked"])
def test_what_decides_nothing_is_taken(kind: str, train: Cli) -> None:
    """A file that it writes, the environment, and what a property works out once."""
    ended = train(tower(kind), "checkpoint_every=1")
    assert ended.code == 0, ended.err
    assert Path("shapes").is_file() == (kind == "told")


def test_what_no_checkpoint_has_is_refused_with_checkpoints(train: Cli) -> None:
    """An optimiser that remembers in attributes of parameters; without checkpoints it may, as each round has parameters of its own."""
    ended = train("optimizer=velocity", "checkpoint_every=1")
    assert ended.code == 1
    (line,) = ended.err.strip().splitlines()
    assert line.startswith("digitcmp: optimizer.algorithm=velocity of my/plugins.py ")
    assert ": a round that goes on from a checkpoint comes to other numbers than one that was never stopped" in line
    assert not Path("run").exists()
    assert train("optimizer=velocity").code == 0
