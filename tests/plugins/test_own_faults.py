"""Whatever code of somebody's own raises or gives, wherever it is called: one line says what and whose it is, and never a traceback."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from digitcmp.config import offered
from digitcmp.config.allowed import ALLOWED, OWN
from digitcmp.experiment.networks import load_model
from digitcmp.mistakes import cli as mistakes
from tests.conftest import Ended

Cli = Callable[..., Ended]
FILE = """
import sys
import torch
from dataclasses import dataclass
from torch import nn
from digitcmp.config.blocks import Block, Core
from digitcmp.config.registry import Component
from digitcmp.config.schema import AugmentConfig, OptimizerConfig, SchedulerConfig, key
from digitcmp.data.sources import Source, Split, load

def fail(*given, **named):
    raise KeyError("k")

class Plain(nn.Module):
    def __init__(self, layer, inputs):
        super().__init__()
    def forward(self, x):
        return x

class Made(Plain):
    def __init__(self, layer, inputs):
        fail()
class Begun(Plain):
    initialise = fail
class Forward(Plain):
    forward = fail
class Leaves(Plain):
    def forward(self, x):
        sys.exit()

class Counts(Plain):
    calls = 0
    def forward(self, x):
        self.calls += 1
        return x / self.calls
class Averages(Plain):
    _mean = None
    def forward(self, x):
        self._mean = x.detach().mean(dim=0) if self._mean is None else 0.9 * self._mean
        return x - self._mean
class Buffers(Plain):
    def __init__(self, layer, inputs):
        super().__init__(layer, inputs)
        self.register_buffer("scale", torch.ones(1))
        self.steps = [1, 2]
    def initialise(self, random):
        torch.nn.init.ones_(self.scale)
    def forward(self, x):
        return x * self.scale / self.steps[0]
class Normed(Plain):
    def __init__(self, layer, inputs):
        super().__init__(layer, inputs)
        self.conv = nn.utils.parametrizations.weight_norm(nn.Conv2d(inputs[0], inputs[0], 1))
class Slopes(Plain):
    def __init__(self, layer, inputs):
        super().__init__(layer, inputs)
        self.slopes = nn.PReLU()
class Tied(Plain):
    def __init__(self, layer, inputs):
        super().__init__(layer, inputs)
        self.a, self.b = nn.Conv2d(inputs[0], inputs[0], 1), nn.Conv2d(inputs[0], inputs[0], 1)
        self.b.weight = self.a.weight
class Kept(Plain):
    def __init__(self, layer, inputs):
        super().__init__(layer, inputs)
        self.a = nn.Conv2d(inputs[0], inputs[0], 1)
        self.decayed = {"weights": [self.a.weight]}
class Listed(Plain):
    def __init__(self, layer, inputs):
        super().__init__(layer, inputs)
        self.parts = [nn.Conv2d(inputs[0], inputs[0], 1)]
class CountedNorms(Plain):
    def __init__(self, layer, inputs):
        super().__init__(layer, inputs)
        self.norms = {"a": nn.BatchNorm2d(inputs[0], affine=False)}
class Shared(Plain):
    def __init__(self, layer, inputs):
        super().__init__(layer, inputs)
        self.a = nn.Conv2d(inputs[0], inputs[0], 1)
        self.again, self.parts, self.grid = self.a, [self.a], [torch.ones(1)]
        self.register_buffer("order", torch.arange(inputs[0]), persistent=False)
    def initialise(self, random):
        self.order.copy_(torch.randperm(len(self.order), generator=random))
    def forward(self, x):
        return self.again(self.parts[0](x))[:, self.order] * self.grid[0].to(x.device)
class Closes(Plain):
    def __init__(self, layer, inputs):
        super().__init__(layer, inputs)
        self.a = nn.Conv2d(inputs[0], inputs[0], 1)
        self.twice = lambda x: self.a(self.a(x))
    def forward(self, x):
        return self.twice(x)
class Random(Plain):
    def forward(self, x):
        return torch.nn.functional.dropout(x, 0.5)

@dataclass
class Options:
    ratio: int = 2
    __post_init__ = fail

def block(kind=Plain, core=lambda layer, inputs: Core(inputs), **more):
    return Block(kind, of="images", core=core, **more)

blocks = {
    "made": block(Made), "none": block(lambda *_: None), "begun": block(Begun), "forward": block(Forward), "leaves": block(Leaves),
    "core": block(core=fail), "coreless": block(core=lambda *_: None), "shape": block(core=lambda *_: Core((3,))),
    "sides": block(core=lambda *_: Core((3, 0, 2.5))), "random": block(Random),
    "counts": block(Counts), "averages": block(Averages), "buffers": block(Buffers),
    "tied": block(Tied), "kept": block(Kept), "listed": block(Listed), "shared": block(Shared), "closes": block(Closes),
    "counted": block(CountedNorms),
    "normed": block(Normed), "slopes": block(Slopes), "options": block(options=Options),
}

@dataclass
class Keys(AugmentConfig):
    kind: str = key("raises", help="nothing")
@dataclass
class Begin(AugmentConfig):
    kind: str = key("begins", help="nothing")
    __post_init__ = fail

@dataclass
class Noise(AugmentConfig):
    kind: str = key("random", help="nothing")

class Centred:
    centre = 0
    def __call__(self, embeddings, digits, margin):
        self.centre = 0.9 * self.centre + embeddings.detach().mean(dim=(1, 2))
        return (embeddings - self.centre[:, None, None]).square().mean(dim=(1, 2, 3))

def sliding(images, keys, before=[]):
    before.append(images.mean())
    return images - before[-2] if len(before) > 1 else images
@dataclass
class Slides(AugmentConfig):
    kind: str = key("sliding", help="nothing")

augmentations = {
    "raises": Component(fail, Keys), "begins": Component(lambda images, keys: images, Begin),
    "random": Component(lambda images, keys: images + torch.randn_like(images), Noise), "sliding": Component(sliding, Slides),
}
losses = {
    "raises": fail, "none": lambda *_: None,
    "centred": Centred(), "random": lambda embeddings, digits, margin: embeddings.mean(dim=(1, 2, 3)) * torch.rand(len(embeddings)),
}

class Constructed(torch.optim.SGD):
    __init__ = fail
class Stepping(torch.optim.SGD):
    step = fail
class Leaving(torch.optim.SGD):
    def step(self, closure=None):
        sys.exit()
class Coupled(torch.optim.SGD):
    def step(self, closure=None):
        for group in self.param_groups:
            for one in group["params"]:
                one.grad /= one.grad.norm() + 1
        super().step()
@dataclass
class First(OptimizerConfig):
    algorithm: str = key("constructed", help="x")
    lr: float = key(0.1, help="x")
@dataclass
class Second(First):
    algorithm: str = key("stepping", help="x")
@dataclass
class Third(First):
    algorithm: str = key("leaving", help="x")
@dataclass
class Fourth(First):
    algorithm: str = key("coupled", help="x")
class Random(torch.optim.SGD):
    def step(self, closure=None):
        torch.rand(3)
        super().step()
class Counting(torch.optim.SGD):
    steps = 0
    def step(self, closure=None):
        self.steps += 1
        super().step()
@dataclass
class Fifth(First):
    algorithm: str = key("random", help="x")
@dataclass
class Sixth(First):
    algorithm: str = key("counting", help="x")
optimizers = {
    "random": Component(Random, Fifth), "counting": Component(Counting, Sixth),
    "constructed": Component(Constructed, First), "stepping": Component(Stepping, Second), "leaving": Component(Leaving, Third),
    "coupled": Component(Coupled, Fourth),
}

@dataclass
class Shape(SchedulerConfig):
    shape: str = key("raises", help="x")
@dataclass
class Nothing(SchedulerConfig):
    shape: str = key("nothing", help="x")
@dataclass
class Leaves(SchedulerConfig):
    shape: str = key("leaves", help="x")
@dataclass
class Below(SchedulerConfig):
    shape: str = key("below", help="x")
@dataclass
class Counts(SchedulerConfig):
    shape: str = key("counts", help="x")
asked = []
def counted(progress):
    asked.append(progress)
    return 1 / len(asked)
schedules = {
    "below": Component(lambda progress: 0.0 - progress if progress > 0.3 else 1, Below), "counts": Component(counted, Counts),
    "raises": Component(fail, Shape), "nothing": Component(lambda progress: None, Nothing),
    "leaves": Component(lambda progress: sys.exit(), Leaves),
}

def source(change):
    def found(root):
        digits = load("digits", None)
        return change(digits.train, digits.test)
    return found

data = {
    "nothing": lambda root: None,
    "leaves": lambda root: sys.exit(),
    "raises": fail,
    "splits": source(lambda train, test: Source("x", (train.images, train.labels), test, True)),
    "numpy": source(lambda train, test: Source("x", Split(train.images.numpy(), train.labels), test, True)),
    "lists": source(lambda train, test: Source("x", train, Split(test.images, test.labels.tolist()), True)),
    "gradients": source(lambda train, test: Source("x", Split(train.images.clone().requires_grad_(), train.labels), test, True)),
    "sparse": source(lambda train, test: Source("x", Split(train.images.to_sparse(), train.labels), test, True)),
    "elsewhere": source(lambda train, test: Source("x", Split(train.images.to("meta"), train.labels), test, True)),
    "maybe": source(lambda train, test: Source("x", train, test, None)),
}
"""


def tower(kind: str) -> list[str]:
    """A network with this block."""
    return [f"model.tower=[{{channels: 4, pool: 3}}, {{kind: {kind}}}]"]


REFUSED: dict[str, tuple[list[str], str]] = {  # before anything is trained, or as soon as it is called
    "block, made": (tower("made"), r"kind=made of my/plugins.py \w+: it cannot be made \(KeyError: 'k'\)"),
    "block, none": (tower("none"), r"kind=none of my/plugins.py \w+: it makes no torch.nn.Module but a NoneType"),
    "block, parametrised": (tower("normed"), "torch.nn.utils.parametrize:ParametrizationList has original.*; work it out in forward"),
    "block, tied": (
        tower("tied"),
        r"kind=tied of my/plugins.py \w+: a.weight and b.weight are one tensor, which would",
    ),
    "block, kept": (tower("kept"), r"kind=kept of my/plugins.py \w+: self.decayed keeps a.weight, which is another tensor as soon as"),
    "block, listed": (tower("listed"), r"kind=listed of my/plugins.py \w+: self.parts has weights that torch does not find there"),
    "block, listed, buffers": (
        tower("counted"),
        r"kind=counted of my/plugins.py \w+: self.norms has weights that torch does not",
    ),
    "block, closes": (
        tower("closes"),
        r"digitcmp.own.plugins:Closes: plugins.self of Closes.__init__.<locals>.<lambda> is a part of the network, which is another",
    ),
    "block, a class of torch's": (
        tower("slopes"),
        "torch.nn.modules.activation:PReLU has weight, which nothing sets; give a class of your own",
    ),
    "block, core": (tower("core"), r"model.tower\[1\]: kind=core: its core function fails \(KeyError: 'k'\)"),
    "block, no core": (tower("coreless"), r"model.tower\[1\]: kind=coreless: its core function gives a NoneType; it is to give a"),
    "block, shape": (tower("shape"), r"model.tower\[1\]: kind=shape: its core function gives outputs=\(3,\); they are to be \(channels, h"),
    "block, sides": (tower("sides"), r"model.tower\[1\]: kind=sides: its core function gives outputs=\(3, 0, 2.5\)"),
    "block, options": (tower("options"), r"model.tower\[1\]: kind=options: options={}: its keys cannot be taken \(KeyError: 'k'"),
    "augmentation, keys": (["augment=begins"], r"augment: its keys cannot be taken \(KeyError: 'k'\)"),
    "loss, none": (["loss.terms=[{loss: none}]"], "loss.terms: none of my/plugins.py .* gives NoneType; it is to give a loss"),
    "data, none": (
        ["data=nothing"],
        "data.source=nothing, data.root=None: it gives a NoneType; it is to give a digitcmp",
    ),
    "block, leaves": (tower("leaves"), r"a part that is not digitcmp's own has ended the program \(sys.exit in forward of my/plugins.py\)"),
    "optimizer, leaves": (["optimizer=leaving"], r"a part that is not digitcmp's own has ended the program \(sys.exit in step of "),
    "schedule, leaves": (["scheduler=leaves"], r"a part that is not digitcmp's own has ended the program \(sys.exit in <lambda> of "),
    "schedule, raises": (["scheduler=raises"], r"scheduler.shape=raises: it fails \(KeyError: 'k'\)"),
    "schedule, none": (
        ["scheduler=nothing"],
        r"scheduler.shape=nothing of my/plugins.py \w+ gives None at 0.0; it is to give a number, at",
    ),
    "schedule, below 0": (["scheduler=below"], r"scheduler.shape=below of my/plugins.py \w+ gives -0.5 at 0.5; it is to give a number, at"),
    "schedule, counts": (
        ["scheduler=counts"],
        r"scheduler.shape=counts of my/plugins.py \w+ gives 1.0 at 0.0, and then 0.5; let it depend",
    ),
    "block, random": (
        tower("random"),
        r"(kind=random of my/plugins.py \w+: it draws random numbers|engine=stacked: net2 cannot be stacked \(vmap: called random)",
    ),
    "loss, random": (["loss.terms=[{loss: random}]"], r"loss.terms: random of my/plugins.py \w+: it draws random numbers that are not"),
    "augmentation, random": (["augment=random"], r"augment.kind=random of my/plugins.py \w+: it draws random numbers that are not from a"),
    "loss, remembers": (["loss.terms=[{loss: centred}]"], r"loss.terms: centred of my/plugins.py \w+: it gives something else when it is"),
    "augmentation, remembers": (
        ["augment=sliding"],
        r"augment.kind=sliding of my/plugins.py \w+ remembers plugins.before of sliding from one step to the next, so that",
    ),
    "optimizer, random": (["optimizer=random"], r"optimizer.algorithm=random of my/plugins.py \w+: it draws random numbers that are not"),
    "optimizer, checkpoints": (
        ["optimizer=counting", "checkpoint_every=1"],
        r"checkpoint_every: optimizer.algorithm=counting of my/plugins.py \w+ remembers self.steps, which a checkpoint does not have",
    ),
    "data, leaves": (["data=leaves"], r"a part that is not digitcmp's own has ended the program \(sys.exit in <lambda> of "),
    "data, raises": (["data=raises"], r"data.source=raises, data.root=None: cannot be read \(KeyError: 'k'\)"),
    "data, splits": (["data=splits"], "data.source=splits.*: its train is a tuple; it must be a digitcmp.data.sources.Split"),
    "data, NumPy": (["data=numpy"], "data.source=numpy.*: the train images are a ndarray; they must be a torch.Tensor"),
    "data, lists": (["data=lists"], "data.source=lists.*: the test labels are a list; they must be a torch.Tensor"),
    "data, gradients": (["data=gradients"], "data.source=gradients.*: the train images want gradients; they must be ordinary tensors"),
    "data, sparse": (["data=sparse"], "data.source=sparse.*: the train images are torch.sparse_coo on cpu; they must be ordinary"),
    "data, elsewhere": (["data=elsewhere"], "data.source=elsewhere.*: the train images are torch.strided on meta; they must be"),
    "data, maybe": (["data=maybe"], "data.source=maybe.*: its repeat is None; it must be True or False"),
}
FAILED: dict[str, tuple[list[str], str]] = {  # each round by itself, which is on record with its trace
    "block, begun": (tower("begun"), "KeyError: 'k'"),
    "block, forward": (tower("forward"), "KeyError: 'k'"),
    "augmentation": (["augment=raises"], "KeyError: 'k'"),
    "loss": (["loss.terms=[{loss: raises}]"], "KeyError: 'k'"),
    "optimizer, made": (["optimizer=constructed"], "KeyError: 'k'"),
    "optimizer, step": (["optimizer=stepping"], "KeyError: 'k'"),
    "optimizer, step, checkpoints": (["optimizer=stepping", "checkpoint_every=1"], "KeyError: 'k'"),
}
UNSTACKABLE = {
    "block, begun",
    "block, forward",
    "loss",
    "optimizer, made",
    "optimizer, step",
    "optimizer, step, checkpoints",
}  # which is seen before a stack is trained
SIZES = ("data.train_pairs=40", "data.test_pairs=40", "batch_size=20", "epochs=1", "rounds=2", "hydra.run.dir=run")


@pytest.fixture
def train(run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """What trains with the file."""
    monkeypatch.setenv(ALLOWED, "")
    monkeypatch.chdir(tmp_path)
    Path("my").mkdir()
    Path("my/plugins.py").write_text(FILE)

    def run(*overrides: str, code: int = 1) -> Ended:
        data = [] if any(one.startswith("data=") for one in overrides) else ["data=digits"]
        ended = run_cli("--config-dir", "my", "--allow-code", "my/plugins.py", *SIZES, *data, *overrides)
        assert "Traceback" not in ended.err
        assert ended.code == code, ended.err
        return ended

    return run


@pytest.mark.parametrize("engine", ["serial", "stacked"])
@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, engine: str, train: Cli) -> None:
    """The last line of what is said, whatever is trained with; nothing is told to be there."""
    overrides, words = REFUSED[name]
    ended = train(*overrides, f"engine={engine}")
    assert re.match(f"digitcmp: {words}", ended.err.strip().splitlines()[-1])


@pytest.mark.parametrize("engine", ["serial", "stacked"])
@pytest.mark.parametrize("name", FAILED)
def test_failed(name: str, engine: str, train: Cli) -> None:
    """A round that fails says why; what cannot be stacked at all is refused with the reason."""
    overrides, words = FAILED[name]
    ended = train(*overrides, f"engine={engine}")
    if engine == "stacked" and name in UNSTACKABLE:
        told = "cannot step a round by itself" if name.startswith("optimizer, step") else "cannot be stacked"
        assert re.fullmatch(f"digitcmp: engine=stacked: .* {told} \\({words}.*", ended.err.strip().splitlines()[-1])
        return
    rows = Path("run/rounds.csv").read_text().splitlines()[1:]
    assert len(rows) == 2
    assert all(",failed," in row and words in row for row in rows)


def test_an_optimizer_that_couples_rounds(train: Cli) -> None:
    """Stacked rounds would learn from each other: it is refused there, by name."""
    told = train("optimizer=coupled", "engine=stacked").err.strip().splitlines()[-1]
    assert re.match(r"digitcmp: engine=stacked: optimizer.algorithm=coupled of my/plugins.py \w+ steps a round otherwise beside", told)


@pytest.mark.parametrize("engine", ["serial", "stacked"])
@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("counts", "digitcmp.own.plugins:Counts remembers self.calls"),
        ("averages", "digitcmp.own.plugins:Averages remembers self._mean"),
        ("buffers", ""),
    ],
)
def test_blocks_that_remember(kind: str, told: str, engine: str, train: Cli) -> None:
    """What a checkpoint would not have is refused with one; in a buffer, it is the block's own affair."""
    ended = train(*tower(kind), f"engine={engine}", "epochs=3", "checkpoint_every=1", code=1 if told else 0)
    if told:
        assert ended.err.startswith(f"digitcmp: checkpoint_every: {told}, which a checkpoint does not have; keep it in a buffer")


@pytest.mark.parametrize("engine", ["serial", "stacked"])
def test_a_block_that_has_a_part_in_several_places(engine: str, train: Cli) -> None:
    """One module under two names, in a list, too, is one everywhere, and in the kept network; so is a buffer that torch does not save."""
    train(*tower("shared"), f"engine={engine}", "epochs=3", "checkpoint_every=1", "save_model=true", code=0)
    rows = pd.read_csv("run/rounds.csv")
    (kept,) = [module for module in load_model("run").networks[0].modules() if type(module).__name__ == "Shared"]
    assert kept.again is kept.a
    assert sorted(kept.order.tolist()) == [*range(len(kept.order))]
    assert rows["status"].eq("done").all()
    train(*tower("shared"), "engine=serial", "epochs=3", "hydra.run.dir=again", code=0)
    assert rows["train_loss"].tolist() == pytest.approx(pd.read_csv("again/rounds.csv")["train_loss"].tolist(), abs=1e-5)


IN_WORKERS = ["block, made", "block, forward", "block, leaves", "optimizer, leaves", "schedule, leaves", "augmentation", "loss, none"]


@pytest.mark.parametrize("name", IN_WORKERS)
def test_worker_processes(name: str, train: Cli) -> None:
    """What comes back from them is the same."""
    overrides, words = {**REFUSED, **FAILED}[name]
    ended = train(*overrides, "engine=processes", "workers=1")
    rows = Path("run/rounds.csv")
    assert re.match(f"digitcmp: {words}", ended.err.strip().splitlines()[-1]) if name in REFUSED else words in rows.read_text()


@pytest.mark.parametrize("kind", ["Pruned", "Broken"])
@pytest.mark.parametrize("mode", [[], ["--multirun"]], ids=["run", "sweep"])
def test_a_callback_that_ends_a_run_early(
    kind: str, mode: list[str], run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rounds that were asked for are missing then: what it says is told, and the exit code is 1."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(ALLOWED, "")
    Path("ends.py").write_text(
        f"from digitcmp.errors import {kind}\n"
        "from digitcmp.experiment.callbacks import Callback\n"
        "class Ends(Callback):\n"
        "    def on_epoch(self, run, row):\n"
        f"        if row.seed == 1: raise {kind}('no luck with 1')\n"
    )
    own = [
        "--allow-code",
        "ends.py",
        "callbacks.ends.target=digitcmp.own.ends:Ends",
        "hydra.sweep.dir=sweep" if mode else "hydra.run.dir=run",
    ]
    ended = run_cli(*mode, *SIZES[:-2], "data=digits", "engine=serial", "epochs=2", "rounds=3", *own)
    assert ended.code == 1
    assert "was ended early, with " in ended.err
    assert "no luck with 1" in ended.err
    assert "Traceback" not in ended.err


def test_a_kept_network_that_fails(run_cli: Cli, run_main: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When it is asked, as its block is another one now: by a command in one line, which has warned of the other code."""
    monkeypatch.chdir(tmp_path)
    Path("my").mkdir()
    Path("my/plugins.py").write_text(FILE.replace("forward = fail", "pass"))
    monkeypatch.setenv(ALLOWED, "my/plugins.py")
    assert run_cli(*SIZES, "data=digits", *tower("forward"), "engine=serial", "save_model=true").code == 0
    Path("my/plugins.py").write_text(FILE)
    offered.read.cache_clear()
    for module in [name for name in sys.modules if name.startswith(OWN)]:
        del sys.modules[module]
    ended = run_main(mistakes.main, "run")
    assert ended.code == 1
    assert "Traceback" not in ended.err
    told = r"a network with blocks of my/plugins.py \w+ cannot answer \(KeyError: 'k'\)"
    assert re.search(told, ended.err), ended.err
