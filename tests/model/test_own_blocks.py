"""Blocks of others: whatever they give, no number is another for it; and what they are given stays what it was."""

import functools
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import vmap
from torch.nn import functional as F

from digitcmp.config.blocks import BLOCKS, OWN, Block, Core, Layer, Shape
from digitcmp.config.schema import ConvLayer, DenseLayer
from digitcmp.errors import ConfigError
from digitcmp.model.blocks import Conv
from digitcmp.model.dense import Dense
from digitcmp.model.layers import make_core
from digitcmp.model.network import bring_constants, count_parameters
from digitcmp.train.program import Program, SingleProgram, make_program
from tests.conftest import compose_config, train_round
from tests.model.test_layers import fresh, model

Function = Callable[[Tensor], Tensor]
GIVE: dict[str, Function] = {  # what came in, a view of it, or what their own backward pass needs again
    "itself": lambda x: x,
    "view": lambda x: x.view_as(x),
    "turned": lambda x: x.transpose(-1, -2) if x.ndim > 3 else x.unflatten(1, (-1, 2)).transpose(1, 2).flatten(1),
    "cut": lambda x: x[..., :-1],
    "exponential": lambda x: x.exp(),
    "sigmoid": torch.sigmoid,
    "rectified": F.relu,
    "normal": lambda x: F.softmax(x, dim=-1),
}
WRITE: dict[str, Function] = {
    "scaled": lambda x: x.mul_(0.5),
    "rectified": lambda x: F.relu(x, inplace=True),
    "a part": lambda x: x[:, :1].zero_() + x,
    "turned": lambda x: x.transpose(0, 1).add_(1).transpose(0, 1),
    "cut off": lambda x: x.detach().add_(1) * 1,
}


def define(patch: pytest.MonkeyPatch, name: str, function: Function, of: str = "images") -> None:
    """A block that does what a function does."""

    class Own(nn.Module):
        def __init__(self, layer: Layer, inputs: Shape) -> None:
            super().__init__()
            del layer, inputs

        def forward(self, x: Tensor) -> Tensor:
            return function(x)

    patch.setitem(BLOCKS, name, Block(Own, of, lambda _, inputs: Core(tuple(function(torch.zeros(2, *inputs)).shape[1:]))))


def programs(**changes: Any) -> list[Program]:
    """A network alone, and two stacked."""
    return [SingleProgram(fresh(model(**changes))), make_program([fresh(model(**changes), seed) for seed in (0, 1)])]


def step(program: Program, images: Tensor) -> list[Tensor]:
    """What it answers and its gradients, after one step of training."""
    program.train(True)
    outputs = program(images)
    outputs.comparison.square().sum().backward()  # type: ignore[no-untyped-call]
    return [outputs.comparison, *(tensor.grad for learned in program.learned for tensor in learned.values() if tensor.grad is not None)]


KEYS: list[dict[str, Any]] = [
    {},
    {"norm": "batch"},
    {"pool": 2},
    {"drop": 0.5, "order": ("layer", "drop", "activation")},
    {"order": ("activation", "layer")},
    {"order": ("layer", "activation")},
]


@pytest.mark.parametrize("place", ["first", "second", "dense"])
@pytest.mark.parametrize("give", GIVE)
@pytest.mark.parametrize("keys", KEYS, ids=str)
def test_what_they_give_is_left_as_it_is(give: str, place: str, keys: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """As with one that gives a copy of it: answers, gradients, and the images that others read."""
    dense = place == "dense"
    define(monkeypatch, "given", GIVE[give], "features" if dense else "images")
    define(monkeypatch, "copied", lambda x: GIVE[give](x.clone()).clone(), "features" if dense else "images")
    found = []
    for kind in ("given", "copied"):
        if dense:
            own_keys = {name: keys[name] for name in keys if name != "pool"}  # which features have not
            changes: dict[str, Any] = {"joint_dense": [DenseLayer(6), DenseLayer(kind=kind, **own_keys)]}
        else:
            own, conv = ConvLayer(kind=kind, **keys), ConvLayer(4)
            changes = {"tower": [own, conv] if place == "first" else [conv, own]}
        for program in programs(**changes):
            networks = 1 if isinstance(program, SingleProgram) else 2
            images = torch.randn(networks, 5, 2, 14, 14, generator=torch.Generator().manual_seed(0))
            kept = images.clone()
            found.append(step(program, images))
            assert torch.equal(images, kept)
    for one, other in zip(found[:2], found[2:], strict=True):
        assert len(one) > 2
        torch.testing.assert_close(one, other)  # a copy may lie otherwise in memory, so that it is added up in another order


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("write", WRITE)
def test_what_comes_in_is_not_to_be_written_into(write: str, place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused by name at the first step, alone and stacked, wherever in the tower; also where a trained network answers."""
    with monkeypatch.context() as patch:
        define(patch, "writes", WRITE[write])
        tower = [ConvLayer(4, norm="batch", activation="none"), ConvLayer(4, pool=2)]
        tower.insert(place, ConvLayer(kind="writes"))
        for program in programs(tower=tower):
            networks = 1 if isinstance(program, SingleProgram) else 2
            for training in (True, False):
                program.train(training)
                with (
                    torch.set_grad_enabled(training),
                    pytest.raises(ConfigError, match="kind=writes: it changes what it is given"),
                ):
                    program(torch.randn(networks, 5, 2, 14, 14))
        with torch.inference_mode():  # nothing is counted there
            fresh(model(tower=tower)).eval()(torch.randn(5, 2, 14, 14))


def test_a_round_is_not_trained_with_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would have other images in every epoch."""
    define(monkeypatch, "writes", WRITE["scaled"])
    config = compose_config("data=digits", "data.train_pairs=20", "data.test_pairs=20", "epochs=1", "model=net2", "batch_size=10")
    tower = [ConvLayer(kind="writes"), *config.model.tower]
    with pytest.raises(ConfigError, match="kind=writes: it changes what it is given"):
        train_round(replace(config, model=replace(config.model, tower=tower)), 0, torch.device("cpu"), lambda *_: True)


INPUTS: dict[str, tuple[int, ...]] = {"images": (8, 6, 6), "features": (8,)}


@pytest.mark.parametrize("kind", [kind for kind, block in OWN.items() if "activation" in block.steps])
def test_ours_are_rectified_in_place(kind: str) -> None:
    """Which is faster; and may be done: each gives a new tensor that its backward pass does not need, alone and within vmap."""
    block = OWN[kind]
    images = block.of == "images"
    layer: Layer = ConvLayer(8, kind=kind) if images else DenseLayer(8, kind=kind)
    if images:
        steps = Conv(INPUTS["images"], replace(layer, kernel=3), model()).steps
    else:
        steps = Dense(8, [layer if kind != "attention" else DenseLayer(kind=kind)], model()).steps
    assert F.relu_ in [step for step, _ in steps]
    core = make_core(block, replace(layer, norm="none", kernel=3) if images else replace(layer, norm="none"), INPUTS[block.of])
    inputs = torch.randn(2, 4, *INPUTS[block.of])

    def gradients(rectified: Callable[[Tensor], Tensor], stacked: bool) -> list[Tensor]:
        x = inputs.clone().requires_grad_()
        y = x * 1  # which may be written into
        out = rectified(vmap(core)(y)) if stacked else torch.stack([rectified(core(part)) for part in y])
        (gradient,) = torch.autograd.grad(out.square().sum(), x)
        assert torch.equal(y, x)
        return [out, gradient]

    for stacked in (False, True):
        assert all(torch.equal(one, other) for one, other in zip(gradients(F.relu_, stacked), gradients(F.relu, stacked), strict=True))


@pytest.mark.parametrize(
    ("name", "words"), [("raises", r"it cannot be made \(KeyError: 'k'\)"), ("number", "it makes no torch.nn.Module but a int")]
)
def test_one_that_cannot_be_made(name: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line."""

    def made(layer: Layer, inputs: Shape) -> Any:
        del layer, inputs
        if name == "raises":
            raise KeyError("k")
        return 3

    monkeypatch.setitem(BLOCKS, name, Block(made, "images", lambda _, inputs: Core(inputs)))
    with pytest.raises(ConfigError, match=f"^kind={name}: {words}"):
        fresh(model(tower=[ConvLayer(kind=name)]))


@functools.cache
def window(size: int) -> Tensor:
    """A constant."""
    return torch.linspace(0.5, 1, size)


MADE: dict[str, Callable[[int], Any]] = {  # what constructors keep, for an image of so many pixels
    "tensor": lambda size: torch.linspace(0.5, 1, size),
    "cached": window,
    "number": lambda size: float(torch.linspace(0.5, 1, size).mean()),
    "list": lambda size: sum(one.item() for one in torch.linspace(0.5, 1, size)),
    "array": lambda size: float(torch.linspace(0.5, 1, size).numpy()[0]),
    "drawn": lambda size: torch.rand(size),  # the same numbers each time
}


@pytest.mark.parametrize("name", MADE)
def test_what_a_constructor_works_out_has_numbers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors, numbers and arrays, whichever network is made, alone and in a stack; nothing is drawn from torch's own generator."""

    class Own(nn.Module):
        def __init__(self, layer: Layer, inputs: Shape) -> None:
            super().__init__()
            del layer
            self.factor = MADE[name](inputs[-1])

        def forward(self, x: Tensor) -> Tensor:
            return x * self.factor

    monkeypatch.setitem(BLOCKS, "made", Block(Own, "images", lambda _, inputs: Core(inputs)))
    before = torch.get_rng_state()
    config = compose_config("model=net2", "model.tower=[{channels: 4, pool: 2}, {kind: made}]")
    assert count_parameters(config.model) > 0
    for count, program in enumerate(programs(tower=config.model.tower), 1):
        assert all(torch.isfinite(one).all() for one in step(program, torch.ones(count, 3, 2, 14, 14)))
    networks = [fresh(model(tower=config.model.tower)) for _ in range(2)]
    kept = [one.factor for network in networks for one in network.modules() if isinstance(one, Own)]
    assert torch.equal(*map(torch.as_tensor, kept))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("draw", [random.random, np.random.rand])
def test_a_constructor_that_draws_what_nothing_seeds(draw: Callable[[], float], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its numbers would be others each time."""

    class Own(nn.Module):
        def __init__(self, layer: Layer, inputs: Shape) -> None:
            super().__init__()
            del layer, inputs
            self.factor = draw()

    monkeypatch.setitem(BLOCKS, "made", Block(Own, "images", lambda _, inputs: Core(inputs)))
    with pytest.raises(ConfigError, match="kind=made draws random numbers where it is made, from a generator that nothing seeds"):
        make_core(BLOCKS["made"], ConvLayer(kind="made"), (4, 7, 7))


def test_constants_go_where_the_weights_are() -> None:
    """Tensors that are attributes; those without numbers stay."""
    module = nn.Sequential(nn.Linear(2, 2))
    module.mask, module.none = torch.ones(2), torch.ones(2, device="meta")
    bring_constants(module, torch.device("cpu"))
    assert module.mask.tolist() == [1, 1]
    assert module.none.device.type == "meta"
    bring_constants(module, torch.device("meta"))
    assert module.mask.device.type == "meta"
