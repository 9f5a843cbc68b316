"""What is said of a part that breaks a promise: one line, with the promise, the part, what was found, and what to do."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from digitcmp.config.blocks import BLOCKS, Block, Core, Layer, Shape, unchanged
from digitcmp.config.schema import Config, ConvLayer
from digitcmp.contracts import augmentation, data, network
from digitcmp.contracts.telling import check
from digitcmp.data.sources import SOURCES, Source, Split, load
from digitcmp.data.transforms import AUGMENTATIONS
from tests.conftest import ROOT, compose_config


class Broken(nn.Module):
    """Does what a function of itself and of what comes in does."""

    function: Callable[["Broken", Tensor], Tensor]

    def __init__(self, layer: Layer, inputs: Shape) -> None:
        super().__init__()
        del layer, inputs
        self.seen, self.unused = 0.0, nn.Conv2d(1, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return type(self).function(self, x)


def by_values(block: Broken, x: Tensor) -> Tensor:
    """Looks at values, as no stack can."""
    del block
    return x if x.sum() > 0 else -x


def remembers(block: Broken, x: Tensor) -> Tensor:
    """Changes from one step to the next, by what is no buffer."""
    block.seen += 0.1
    return x * (1 + block.seen)


BLOCK_FAULTS: dict[str, tuple[Callable[[Broken, Tensor], Tensor], str]] = {
    "every_parameter_gets_a_gradient": (
        lambda _, x: x,
        "reader.branch.tower.layers.1.conv.unused.weight, reader.branch.tower.layers.1.conv.unused.bias get none; use it in forward",
    ),
    "parameters_are_counted": (lambda _, x: x, "66,593 are told and 66,595 are built; correct the parameters in the Core"),
    "nothing_is_drawn_from_the_global_generator": (lambda _, x: x + 0 * torch.rand(1), "it draws random numbers that are not from a round"),
    "outputs_have_their_shapes": (lambda _, x: x[:1], "RuntimeError: mat1 and mat2 shapes cannot be multiplied"),
    "a_stack_computes_what_each_does_alone": (by_values, "RuntimeError at "),
    "a_round_goes_on_from_its_checkpoint": (remembers, "Fault remembers self.seen, which a checkpoint does not have; keep it in a"),
    "training_lowers_the_loss": (lambda _, x: x * torch.inf, "it goes from nan to nan in 8 steps of Adam; look for what stops"),
}


@cache
def composed(*overrides: str) -> Config:
    """Composing takes long."""
    return compose_config(*overrides)


def line_of(promise: Callable[[Config], None], config: Config, asked: str) -> str:
    """What the suite says of it."""
    with pytest.raises(pytest.fail.Exception) as caught:
        check(promise, config, asked)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(asked)
    assert f": not kept: {promise.__name__.replace('_', ' ')}: " in line
    return line


@pytest.mark.parametrize("promise", BLOCK_FAULTS)
def test_blocks(promise: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network with a block that breaks one."""
    function, words = BLOCK_FAULTS[promise]
    block = type("Fault", (Broken,), {"function": staticmethod(function)})
    monkeypatch.setitem(BLOCKS, "broken", Block(block, "images", unchanged))
    config = composed("model=net2")
    first, second = config.model.tower
    model = replace(config.model, tower=[first, ConvLayer(kind="broken", activation="none"), second])
    line = line_of(network.PROMISES[promise], replace(config, model=model), "model=mine")
    assert words in line
    if words.endswith(" at "):
        assert f"at {__file__}:" in line
        assert line.endswith("; HYDRA_FULL_ERROR=1 shows all of it")


def test_a_memory_that_nobody_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is found by what comes of it."""
    steps = iter(range(10**6))
    elsewhere = (lambda _, x: x * (1 + 0.1 * next(steps)), "its epochs are not those of one that nobody stopped; whatever changes")
    monkeypatch.setitem(BLOCK_FAULTS, "a_round_goes_on_from_its_checkpoint", elsewhere)
    test_blocks("a_round_goes_on_from_its_checkpoint", monkeypatch)


def test_digits_that_are_added(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody could say which of them is less."""

    def symmetric(block: Broken, x: Tensor) -> Tensor:
        del block
        return x.unflatten(1, (2, -1)).sum(dim=1).repeat(1, 2)

    block = type("Fault", (Broken,), {"function": staticmethod(symmetric)})
    monkeypatch.setitem(BLOCKS, "broken", Block(block, "features", lambda _, inputs: Core(inputs, 2)))
    config = composed("model=net2")
    layer = type(config.model.joint_dense[0])(kind="broken")
    model = replace(config.model, joint_dense=[layer, *config.model.joint_dense])
    line = line_of(network.the_order_of_the_digits_matters, replace(config, model=model), "model=mine")
    assert "the answer is the same to 0; the digits must not be added or averaged" in line


def in_place(images: Tensor) -> Tensor:
    """Changes what it is given."""
    return images.add_(0.5)


AUGMENTATION_FAULTS: dict[str, tuple[Callable[..., Tensor], str]] = {
    "same_key_same_images": (lambda images, *_, **__: images.flip(-1), "another key gives the same images; draw from the keys"),
    "a_round_does_not_depend_on_the_stack": (
        lambda images, *_, **__: images - images.mean(),
        "a round's images are others beside other rounds; use nothing of one round for another",
    ),
    "nothing_at_strength_zero": (lambda images, *_, **__: images.flip(-1), "images are changed with pixels=0; make that leave them"),
    "values_stay_in_range": (lambda images, *_, **__: images + 1, "pixels leave the range of their digit by 1; images are normalised"),
}


@pytest.mark.parametrize("promise", augmentation.PROMISES)
def test_augmentations(promise: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that breaks each."""
    function, words = AUGMENTATION_FAULTS[promise]
    monkeypatch.setitem(AUGMENTATIONS, "shift", function)
    assert words in line_of(augmentation.PROMISES[promise], composed("augment=shift"), "augment=mine")


def test_an_augmentation_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """The images of the next epoch would be others."""
    monkeypatch.setitem(AUGMENTATIONS, "shift", lambda images, *_, **__: in_place(images))
    line = line_of(augmentation.a_round_does_not_depend_on_the_stack, composed("augment=shift"), "augment=mine")
    assert "it changes what it is given; return new images" in line


def made(classes: int, noise: float, root: str | None) -> Source:
    """Digits, the test images of so many classes, with noise of no seed."""
    del root
    whole = load("digits", None)
    some = whole.test.labels < classes
    images = (whole.train.images + noise * torch.rand(whole.train.images.shape)).clamp(0, 1)
    return Source("mine", Split(images, whole.train.labels), Split(whole.test.images[some], whole.test.labels[some]), True)


@pytest.mark.parametrize(
    ("promise", "classes", "noise", "words"),
    [
        (data.images_and_labels_have_their_form, 8, 0.0, "8, 9 are labels of train or test alone; split each class"),
        (data.it_is_the_same_whenever_it_is_read, 10, 0.5, "train images are others when it is read again; split and draw with a seed"),
    ],
)
def test_data(promise: Any, classes: int, noise: float, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A data set that breaks one."""
    config = composed("data=digits")
    monkeypatch.setitem(SOURCES, "mine", partial(made, classes, noise))
    changed = replace(config, data=replace(config.data, source="mine", fingerprint=None))
    try:
        assert words in line_of(promise, changed, "data=mine")
    finally:
        load.cache_clear()


def test_everything_that_was_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """With HYDRA_FULL_ERROR=1."""
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.setitem(AUGMENTATIONS, "shift", lambda images, *_, **__: images + 1)
    with pytest.raises(AssertionError, match="pixels leave the range"):
        check(augmentation.values_stay_in_range, composed("augment=shift"), "augment=mine")


def test_assertions_that_python_leaves_out() -> None:
    """A suite of assertions that are not there keeps every promise: it says so, and fails."""
    code = "from digitcmp.contracts.telling import check; check(print, None, 'model=net1')"
    done = subprocess.run([sys.executable, "-O", "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert "Python leaves assertions out (-O, PYTHONOPTIMIZE), so that nothing would be found" in done.stderr
