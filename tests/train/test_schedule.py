"""The shapes of the learning rate, against closed forms."""

import math
from dataclasses import fields
from itertools import product

import pytest
import torch
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR

from digitcmp.config.schema import GROUP_SCHEMAS
from digitcmp.errors import ConfigError
from digitcmp.train.round import train_spec
from digitcmp.train.schedules import Shape, constant, cosine, make_shape, onecycle, schedule
from tests.conftest import choices, compose_config

ONECYCLE = {"start": 0.04, "warmup": 0.25, "final": 0.01}


def rates(shape: Shape, steps: int, lrs: tuple[float, ...] = (0.4,)) -> list[list[float]]:
    """The learning rate of every group at every step."""
    optimizer = SGD([{"params": [torch.zeros(1, requires_grad=True)], "lr": lr} for lr in lrs])
    scheduler = schedule(optimizer, shape, steps)
    used = []
    for _ in range(steps):
        used.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return used


@pytest.mark.parametrize("progress", [0.0, 0.3, 1.0])
def test_constant(progress: float) -> None:
    """1 throughout."""
    assert constant(progress) == 1


@pytest.mark.parametrize(("progress", "value"), [(0, 1), (1 / 3, 0.8), (0.5, 0.6), (1, 0.2)])
def test_cosine(progress: float, value: float) -> None:
    """From 1 along half a cosine to the final fraction."""
    assert cosine(progress, final=0.2) == pytest.approx(value)


@pytest.mark.parametrize(("progress", "value"), [(0, 0.04), (0.125, 0.52), (0.25, 1), (0.625, 0.505), (1, 0.01)])
def test_onecycle(progress: float, value: float) -> None:
    """From the start up to 1 at the end of the warm-up, then down to the final fraction, half way half way."""
    assert onecycle(progress, **ONECYCLE) == pytest.approx(value)


def test_cosine_is_torchs() -> None:
    """Step by step, the cosine equals torch's CosineAnnealingLR that ends at the last step."""
    optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=0.4)
    scheduler = CosineAnnealingLR(optimizer, T_max=19, eta_min=0.04)
    for (rate,) in rates(make_shape("cosine", {"final": 0.1}), 20):
        assert rate == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()


def test_onecycle_over_the_steps_of_a_round() -> None:
    """The first step has the start, the last the final rate; it rises up to the warm-up's end and falls from there."""
    used = [rate for (rate,) in rates(make_shape("onecycle", ONECYCLE), 41)]
    assert [used[0], used[10], used[-1]] == pytest.approx([0.4 * 0.04, 0.4, 0.4 * 0.01])
    assert used == sorted(used[:11]) + sorted(used[11:], reverse=True)


@pytest.mark.parametrize(("shape", "options"), [("constant", {}), ("cosine", {"final": 0.1}), ("onecycle", ONECYCLE)])
@pytest.mark.parametrize("steps", [1, 2, 30])
def test_groups_keep_their_ratio(shape: str, options: dict[str, float], steps: int) -> None:
    """Two learning rates move alike, over any number of steps."""
    for reader, comparator in rates(make_shape(shape, options), steps, lrs=(0.1, 0.3)):
        assert comparator / reader == pytest.approx(3)


@pytest.mark.parametrize("name", choices("scheduler"))
def test_every_scheduler_file_names_a_shape_that_takes_its_keys(name: str) -> None:
    """The composed keys are the arguments of the shape, and its values are fractions of the learning rate."""
    made = train_spec(compose_config(f"scheduler={name}", "data.val_pairs=10"))
    for progress in (0.0, 0.1, 0.5, 0.9, 1.0):
        assert 0 <= made.shape(progress) <= 1
    used = [rate for (rate,) in rates(made.shape, 25)]
    assert max(used) == pytest.approx(0.4, rel=0.02)
    assert all(math.isfinite(rate) for rate in used)


def test_unknown_shapes_are_refused() -> None:
    """The error quotes the name and tells the right ones."""
    with pytest.raises(ConfigError, match=r"scheduler\.shape=zigzag: choose one of constant, cosine, onecycle"):
        make_shape("zigzag", {})


@pytest.mark.parametrize("name", [name for name in choices("scheduler") if name != "plateau"])
def test_ends_of_ranges(name: str) -> None:
    """Whatever the keys of a schedule are, within their ranges: a fraction of the learning rate at every step."""
    keys = {item.name: item for item in fields(GROUP_SCHEMAS["scheduler"].own[name]) if item.name != "shape"}
    ends = []
    for item in keys.values():
        limits, near = item.metadata["limits"], 1e-9
        low, high = limits.get("at_least", limits.get("above", 0) + near), limits.get("at_most", limits.get("below", 1) - near)
        ends.append((low, high))
    for values in product(*ends):
        shape = make_shape(name, dict(zip(keys, values, strict=True)))
        found = [shape(step / 97) for step in range(98)]
        assert all(-1e-12 <= value <= 1 + 1e-12 for value in found), values
