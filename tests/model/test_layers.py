"""Every kind of layer, and every key of one: counted as it is built, stacked as alone, trained, and back from what it has learned."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from digitcmp.config.blocks import BLOCKS, Block, Core, Shape
from digitcmp.config.graph import graph
from digitcmp.config.schema import AuxHead, Comparator, ConvLayer, DenseLayer, DigitHead, ModelConfig
from digitcmp.contracts.network import fresh, stacked_as_alone
from digitcmp.errors import ConfigError
from digitcmp.model.blocks import Conv
from digitcmp.model.dense import Dense
from digitcmp.model.initial import initialise
from digitcmp.seeding import Stream, generator, step_keys
from digitcmp.train.program import SingleProgram

CONVS: list[dict[str, Any]] = [
    *({"activation": name} for name in ("leaky_relu", "elu", "gelu", "silu", "tanh", "none")),
    *({"norm": name, "norm_groups": 4} for name in ("batch", "group")),
    {"norm": "layer"},
    {"norm": "instance", "affine": False},
    {"norm": "batch", "affine": False},
    {"pool": 2, "pooling": "avg"},
    {"pool": [2, 3], "pool_stride": 1},
    {"pooling": "adaptive_avg"},
    {"pool": 3, "pooling": "adaptive_max"},
    {"stride": 2, "dilation": 2, "groups": 4, "bias": False},
    {"kernel": [3, 5], "padding": [1, 2]},
    {"drop": 0.3},
    {"drop": 0.3, "drop_channels": True},
    {"kind": "residual"},
    {"kind": "residual", "norm": "batch", "stride": 2},
    {"kind": "residual", "channels": 12, "norm": "group", "activation": "gelu"},
    {"kind": "inception", "norm": "batch"},
    {"kind": "identity", "channels": None, "pool": 2, "pooling": "avg"},
    {"order": ("layer", "activation", "norm", "pool"), "norm": "batch"},
    {"order": ("norm", "activation", "layer"), "norm": "batch"},
]
DENSES: list[dict[str, Any]] = [
    {"activation": "gelu"},
    {"norm": "layer"},
    {"norm": "group", "norm_groups": 2},
    {"norm": "batch", "affine": False},
    {"drop": 0.4},
    {"bias": False},
    {"kind": "residual_dense"},
    {"kind": "residual_dense", "units": None},
    {"kind": "attention", "units": None, "relu": False},
    {"order": ("norm", "layer", "drop"), "norm": "batch", "relu": False},
]
WHOLE: list[dict[str, Any]] = [
    {
        "weight_sharing": False,
        "shared_norm": True,
        "digit_dense": [DenseLayer(5, norm="batch")],
        "digit_head": DigitHead("digit", norm=True),
    },
    {"own_dense": True, "digit_dense": [DenseLayer(5)]},
    {"tower": []},
    {"aux_heads": [AuxHead(0), AuxHead(1, 0.3, [DenseLayer(4, drop=0.2)])]},
    {"aux_heads": [AuxHead(0)], "weight_sharing": False, "shared_norm": True},
    *({"comparator": Comparator(name), "joint_dense": [], "digit_dense": [DenseLayer(4)]} for name in ("feature_difference", "distance")),
    *(
        {"comparator": Comparator(name, outputs=3), "joint_dense": [], "digit_head": DigitHead("digit")}
        for name in ("logit_difference", "digit_argmax")
    ),
    {
        "digit_head": DigitHead("digit", hidden=[DenseLayer(7)]),
        "comparator": Comparator("digit_logits", outputs=2, hidden=[DenseLayer(60), DenseLayer(100)]),
        "joint_dense": [],
    },
]


def model(**changes: Any) -> ModelConfig:
    """A small network with some of its keys changed."""
    tower = [ConvLayer(8, norm=True), ConvLayer(8, pool=2)]
    parts: dict[str, Any] = {"weight_sharing": True, "batchnorm": True, "tower": tower, "joint_dense": [DenseLayer(6)]}
    return ModelConfig(name="small", **(parts | changes))


def check(declared: ModelConfig) -> None:
    """The contract of a layer: counted as it is built, stacked as alone, and trained as a whole."""
    network = fresh(declared)
    assert sum(parameter.numel() for parameter in network.parameters()) == sum(part.parameters for part in graph(declared))
    stacked_as_alone(declared)
    images, target = torch.randn(1, 5, 2, 14, 14), torch.randint(2, (1, 5))
    outputs = SingleProgram(network)(images, step_keys(0, Stream.DROPOUT, 1, len(network.dropouts)))
    loss = (
        F.cross_entropy(outputs.comparison.flatten(0, 1), target.flatten()) if outputs.comparison.shape[2] > 1 else outputs.comparison.sum()
    )
    of_digits = [logits[..., :5].sum() for logits in (outputs.digits, outputs.heads) if logits is not None]
    torch.stack([loss, *of_digits]).sum().backward()  # type: ignore[no-untyped-call]
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize("keys", CONVS, ids=str)
def test_layers_of_a_tower(keys: dict[str, Any]) -> None:
    """As the second one of two."""
    check(model(tower=[ConvLayer(8, norm="batch"), ConvLayer(**{"channels": 8, **keys})]))


@pytest.mark.parametrize("keys", DENSES, ids=str)
def test_dense_layers(keys: dict[str, Any]) -> None:
    """Over the features of both digits."""
    check(model(digit_dense=[DenseLayer(5, norm="batch")], joint_dense=[DenseLayer(**{"units": 6, **keys})]))


@pytest.mark.parametrize("keys", WHOLE, ids=lambda keys: "-".join([*keys, getattr(keys.get("comparator"), "reads", "")]))
def test_whole_networks(keys: dict[str, Any]) -> None:
    """What branches share, and what heads have of their own."""
    check(model(**keys))


def test_an_order_is_what_is_done() -> None:
    """A layer with norm after its activation, and one with both before its convolution, against torch's functions."""
    images = torch.randn(4, 3, 14, 14)
    after = Conv((3, 14, 14), ConvLayer(5, norm="batch", order=("layer", "activation", "pool", "norm"), pool=2), model())
    expected = after.norm(F.max_pool2d(F.relu(after.conv(images)), 2))
    torch.testing.assert_close(after(images), expected)
    before = Conv((3, 14, 14), ConvLayer(5, norm="batch", order=("norm", "activation", "layer")), model())
    kept = images.clone()
    torch.testing.assert_close(before(images), before.conv(F.relu(before.norm(images))))
    first = Conv((3, 14, 14), ConvLayer(5, order=("activation", "layer")), model())
    first(images)
    assert torch.equal(images, kept)  # what comes in is not changed on the way


def test_a_norm_in_evaluation_is_part_of_its_convolution() -> None:
    """With and without scale and shift, with and without a bias: the same numbers."""
    images = torch.randn(6, 3, 14, 14)
    for affine in (True, False):
        for bias in (True, False):
            layer = Conv((3, 14, 14), ConvLayer(5, norm="batch", affine=affine, bias=bias, stride=2, activation="none"), model())
            layer.train()(images)
            layer.eval()
            torch.testing.assert_close(layer(images), layer.norm(layer.conv(images)), rtol=1e-4, atol=1e-5)


def test_dropped_channels_are_dropped_whole() -> None:
    """And single numbers are not."""
    images = torch.ones(40, 3, 14, 14)
    whole, single = (
        Conv((3, 14, 14), ConvLayer(16, drop=0.5, drop_channels=channels, activation="none"), model()) for channels in (True, False)
    )
    noise = step_keys(0, Stream.DROPOUT, 1, 1)[0]
    zeros = (whole(images, noise) == 0).float().mean(dim=(2, 3))
    assert set(zeros.unique().tolist()) == {0.0, 1.0}
    assert zeros.mean().item() == pytest.approx(0.5, abs=0.08)
    assert len((single(images, noise) == 0).float().mean(dim=(2, 3)).unique()) > 2


def test_initialisations() -> None:
    """The variance that each is known for; zero biases; and that nothing but the generator decides."""
    spread = {"torch": 1 / 300, "kaiming": 2 / 100, "xavier": 2 / 500, "orthogonal": 1 / 400}
    for name, variance in spread.items():
        layers = [Dense(100, [DenseLayer(400)], model()) for _ in range(2)]
        for layer in layers:
            initialise(layer, generator(0, Stream.WEIGHTS), name, zero_bias=True)
        (one,), (two,) = (layer.linear for layer in layers)
        assert isinstance(one, nn.Linear)
        assert one.weight.var().item() == pytest.approx(variance, rel=0.05)
        assert not one.bias.any()
        assert torch.equal(one.weight, two.weight)


def test_shared_norms_are_there_once() -> None:
    """Both branches use and train the norms of the first."""
    declared = model(weight_sharing=False, shared_norm=True)
    network = fresh(declared)
    names = [name for name, _ in network.named_parameters() if ".norm." in name]
    assert names
    assert all(name.startswith("reader.branches.0.") for name in names)


@dataclass
class SqueezeOptions:
    """The keys of a block from elsewhere."""

    ratio: int = 2


class Squeeze(nn.Module):
    """A block from elsewhere: each channel weighed by what all of them are on average, with a weight of its own kind."""

    def __init__(self, layer: ConvLayer, inputs: Shape) -> None:
        super().__init__()
        options: Any = layer.options
        self.weights = nn.Parameter(torch.empty(inputs[0], inputs[0] // options.ratio))

    def initialise(self, random: torch.Generator) -> None:
        """Normal."""
        self.weights.copy_(torch.empty(self.weights.shape).normal_(generator=random))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(x.mean(dim=(2, 3)) @ self.weights @ self.weights.T)[:, :, None, None]


def squeezed(layer: ConvLayer, inputs: Shape) -> Core:
    """Its shape: that of what comes in."""
    options: Any = layer.options
    if inputs[0] % options.ratio:
        raise ValueError(f"ratio={options.ratio} must divide the {inputs[0]} channels")
    return Core(inputs, inputs[0] ** 2 // options.ratio)


def test_a_block_from_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """One entry in the registry is all that it takes; its options are typed, and told where they are wrong."""
    block = Block("tests.model.test_layers:Squeeze", "images", squeezed, steps=("activation",), options=SqueezeOptions)
    monkeypatch.setitem(BLOCKS, "squeeze", block)
    for options in ({}, {"ratio": 4}):
        check(model(tower=[ConvLayer(8, norm="batch"), ConvLayer(kind="squeeze", options=options)]))
    for options, words in (
        ({"ratio": 3}, "tower.1.: ratio=3 must divide the 8"),
        ({"rate": 3}, "it has ratio"),
        ({"ratio": "x"}, "it has ratio"),
    ):
        with pytest.raises(ConfigError, match=words):
            graph(model(tower=[ConvLayer(8), ConvLayer(kind="squeeze", options=options)]))
    with pytest.raises(ConfigError, match=r"options=.*: kind=conv has no such key"):
        graph(model(tower=[ConvLayer(8, options={"ratio": 2})]))
