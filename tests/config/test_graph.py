"""The graph of a network: shapes, counts, and that every configured part is read and trained."""

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from digitcmp.config.comparators import READINGS
from digitcmp.config.graph import ANSWER, DIGITS, graph, left_out
from digitcmp.config.rules import check_rules
from digitcmp.config.schema import AuxHead, Comparator, Config, ConvLayer, DenseLayer, DigitHead, ModelConfig
from digitcmp.errors import ConfigError
from digitcmp.model.network import build
from digitcmp.seeding import Stream, generator, step_keys
from digitcmp.train.losses import Extras, total_loss
from digitcmp.train.program import SingleProgram
from tests.conftest import compose_config

FLAGS = st.booleans()
CONVS = st.builds(ConvLayer, st.integers(1, 5), st.integers(1, 3), padding=st.integers(0, 1), pool=st.integers(1, 2), norm=FLAGS)
DENSES = st.lists(st.builds(DenseLayer, st.integers(1, 6), relu=FLAGS, norm=FLAGS, drop=FLAGS), max_size=2)
LAYOUTS: list[dict[str, Any]] = [
    {"joint": True},
    {"weight_sharing": True},
    {"weight_sharing": False},
    {"weight_sharing": True, "own_dense": True},
    {"weight_sharing": False, "shared_norm": True},
]


@st.composite
def networks(draw: st.DrawFn) -> ModelConfig:
    """Any network that makes sense: what reads something finds it there, and nothing is left over."""
    layout = draw(st.sampled_from(LAYOUTS))
    joint = "joint" in layout
    reads = draw(st.sampled_from([name for name, one in READINGS.items() if not joint or (one.of != "each" and not one.apart)]))
    reading = READINGS[reads]
    heads = ["digit"] if reading.apart else ["digit", "joint"] if reading.of == "digits" else ["none", "digit", "joint"]
    head = draw(st.sampled_from([name for name in heads if not (joint and name == "digit")]))
    tower = draw(st.lists(CONVS, min_size=1, max_size=2))
    tower[0].norm = True
    last: dict[str, Any] = {"outputs": draw(st.sampled_from([1, 2])), "norm": draw(FLAGS), "hidden": draw(DENSES)}
    return ModelConfig(
        name="any",
        batchnorm=draw(FLAGS),
        tower=tower,
        digit_dense=[] if joint else draw(DENSES),
        joint_dense=draw(DENSES) if reading.of == "both" or head == "joint" else [],
        digit_head=DigitHead("none") if head == "none" else DigitHead(head, norm=draw(FLAGS), hidden=draw(DENSES)),
        aux_heads=[] if joint else draw(st.lists(st.builds(AuxHead, st.just(len(tower) - 1), hidden=DENSES), max_size=2)),
        comparator=Comparator(reads, detach=reading.of == "digits" and draw(FLAGS), **({} if reads == "posterior" else last)),
        **layout,
    )


@cache
def base() -> Config:
    """A configuration, of which the network is replaced. Composing takes long."""
    return compose_config("model=net2", "aux_weight=0")


def whole(model: ModelConfig) -> Config:
    """A configuration with this network, with all its losses."""
    return replace(base(), model=model, aux_weight=float(model.digit_head.reads != "none" or bool(model.aux_heads)))


@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(model=networks())
def test_networks_are_trained_as_a_whole(model: ModelConfig) -> None:
    """Any network that composes: the graph counts what is built, and a gradient comes to each of its parameters."""
    check_rules(whole(model))
    network = build(model, generator(0, Stream.WEIGHTS), torch.device("cpu"))
    assert sum(part.parameters for part in graph(model)) == sum(parameter.numel() for parameter in network.parameters())
    program = SingleProgram(network)
    digits = torch.randint(10, (1, 6, 2))
    images, noise = torch.randn(1, 6, 2, 14, 14), step_keys(0, Stream.DROPOUT, 1, program.dropouts)
    target, extras = (digits[..., 0] <= digits[..., 1]).long(), Extras(heads=[1.0] * len(model.aux_heads))
    total_loss(program(images, noise), target, digits, 1.0, extras=extras).sum().backward()  # type: ignore[no-untyped-call]
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        (
            {"joint_dense": [DenseLayer(500), DenseLayer(10)]},
            "nothing would read model.joint_dense[0], as model.comparator.reads=digit_logits",
        ),
        (
            {"joint_dense": [DenseLayer(5)], "comparator": Comparator("features", detach=True)},
            "nothing would train model.joint_dense[0], as model.comparator.reads=features with",
        ),
        ({"digit_head": DigitHead("none", norm=True), "comparator": Comparator()}, "model.digit_head.norm: there is no digit head"),
    ],
)
def test_a_part_that_nobody_reads_is_named(changes: dict[str, object], part: str) -> None:
    """Instead of a network most of which never trains."""
    model = replace(compose_config("model=wsn", "aux_weight=1").model, **changes)  # type: ignore[arg-type]
    with pytest.raises(ConfigError) as told:
        check_rules(whole(model))
    assert str(told.value).startswith(part)


def test_the_graph_of_a_published_network() -> None:
    """net3: what reads what, in order, with the published number of parameters."""
    parts = graph(compose_config("model=net3", "aux_weight=1").model)
    reads = {part.name.removeprefix("model."): part.reads[0].removeprefix("model.") for part in parts}
    assert reads == {
        "tower[0]": "images",
        "tower[1]": "tower[0]",
        "joint_dense[0]": "tower[1]",
        "joint_dense[1]": "joint_dense[0]",
        "joint_dense[2]": "joint_dense[1]",
        "digit_head": "joint_dense[2]",
        "comparator": "joint_dense[2]",
        ANSWER: "comparator",
        DIGITS: "digit_head",
    }
    assert sum(part.parameters for part in parts) == 67_883
    assert [part.name for part in left_out(parts, gradients=True, losses=(ANSWER,))] == ["model.digit_head", DIGITS]
