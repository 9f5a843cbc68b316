"""What every network in conf/model promises, and every one of the course's recipes."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import nn

from digitcmp.config.composed import from_composed
from digitcmp.config.schema import Config, ModelConfig
from digitcmp.contracts.network import PROMISES, aux_weight, fresh, gradients, variant
from digitcmp.model.network import count_parameters
from tests.conftest import MODELS, choices, compose_config, compose_tree, needs_aux

PARAMETERS = {  # as published; the decoders are our own
    "decoder": 106_426,
    "decoder_small": 57_478,
    "net1": 71_393,
    "net2": 66_593,
    "net3": 67_883,
    "net4": 68_427,
    "wosn": 28_674,
    "wsn": 27_884,
    "splitnet": 27_863 + 42,
    "simplecnn": 140_994,
    "wsmodel": 178_028,
    "wsmodel1": 177_198,
    "auxmodel": 130_288,
    "auxmodel1": 126_848,
    "attention": 50_769,
    "inception": 51_507,
    "lenet": 27_445,
    "mlp": 139_794,
    "own_heads": 67_622,
    "resnet": 85_636,
    "supervised": 29_778,
    "two_heads": 62_241,
}
VARIANTS = [
    ("wosn", {"batchnorm": True}, 28_894),
    ("wsn", {"batchnorm": True}, 28_104),
    ("splitnet", {"batchnorm": True}, 27_863 + 162 + 42 + 4),
    ("net1", {"weight_sharing": True}, 66_593),
    ("net4", {"batchnorm": False}, 67_883),
]
JOINT = {"wosn", "simplecnn", "mlp"}  # one tower over both digits: no weights to share
SHARES = {"own_heads", "two_heads"}  # some parts of a branch with the other one
# what gets no gradient without the auxiliary loss
UNTRAINED = {"net3": "head.", "net4": "head.", "inception": "reader.branch.head."}
UNTRAINED |= {name: "reader." for name in MODELS if needs_aux(name)} | {"supervised": "reader.branch.auxiliary."}


@cache
def whole(name: str) -> Config:
    """A configuration with the network as its YAML file declares it. Composing takes long."""
    tree = compose_tree(f"model={name}")
    tree.aux_weight = aux_weight(tree.model)
    return from_composed(tree)


def composed(name: str) -> ModelConfig:
    """The network as its YAML file declares it."""
    return whole(name).model


def test_every_network_is_in_the_reference_table() -> None:
    """A new YAML file needs a known parameter count, and none may vanish."""
    assert set(MODELS) == set(PARAMETERS)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("promise", PROMISES)
def test_promises(name: str, promise: str) -> None:
    """Those that anybody's network keeps (`digitcmp.contracts.network`)."""
    PROMISES[promise](replace(whole(name)))


@pytest.mark.parametrize("name", choices("experiment/course"))
def test_promises_of_the_course(name: str) -> None:
    """The same ones, of networks that stand in their recipes."""
    model = compose_config(f"+experiment=course/{name}").model
    for promise in PROMISES.values():
        promise(replace(whole("net2"), model=model))


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_those_published(name: str) -> None:
    """Exact parameter counts."""
    assert count_parameters(composed(name)) == PARAMETERS[name]


@pytest.mark.parametrize("name", MODELS)
def test_norms_and_dropout_have_a_place_everywhere(name: str) -> None:
    """Every network is marked for both."""
    network = fresh(variant(whole(name), batchnorm=True, dropout=0.3))
    assert network.dropouts
    assert any(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) for module in network.modules())


@pytest.mark.parametrize(("name", "change", "parameters"), VARIANTS)
def test_variants_have_the_published_parameters(name: str, change: dict[str, bool], parameters: int) -> None:
    """Batch norm and weight sharing add and remove exactly what is published."""
    assert count_parameters(variant(whole(name), **change)) == parameters


@pytest.mark.parametrize("name", sorted({*MODELS} - JOINT - SHARES))
def test_without_weight_sharing_the_branch_is_there_twice(name: str) -> None:
    """Each digit gets a branch of its own, with weights of its own."""
    shared_model, separate_model = (variant(whole(name), weight_sharing=shared) for shared in (True, False))
    shared, separate = fresh(shared_model), fresh(separate_model)
    branch = sum(parameter.numel() for parameter in shared.reader.parameters())
    assert sum(parameter.numel() for parameter in separate.reader.parameters()) == 2 * branch
    assert count_parameters(separate_model) - count_parameters(shared_model) == branch
    first, second = (half.tower.layers[0].conv.weight for half in separate.reader.branches)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("name", MODELS)
def test_what_gets_no_gradient_without_auxiliary_loss(name: str) -> None:
    """Only a digit head that nothing reads (net3, net4), and all that stands before a detached comparator."""
    grads = gradients(composed(name), 0)
    without = {key for key, grad in grads.items() if grad is None}
    assert without == {key for key in grads if name in UNTRAINED and key.startswith(UNTRAINED[name])}


@pytest.mark.parametrize("name", [name for name in MODELS if composed(name).init == "torch"])
def test_weights_start_within_one_over_root_fan_in(name: str) -> None:
    """Weights and biases are uniform in ±1/sqrt(fan-in): within the bound, up to the bound, on both sides."""
    for module in fresh(composed(name)).modules():
        if not isinstance(module, nn.Conv2d | nn.Linear):
            continue
        fan_in = module.weight[0].numel()
        largest, smallest = module.weight.max() * fan_in**0.5, module.weight.min() * fan_in**0.5
        assert module.bias is None or module.bias.abs().max() * fan_in**0.5 <= 1.0001
        assert largest <= 1.0001
        assert smallest >= -1.0001
        if module.weight.numel() > 30:
            assert largest > 0.5
            assert smallest < -0.5
        if module.weight.numel() > 1000:
            assert abs(module.weight.std() * (3 * fan_in) ** 0.5 - 1) < 0.06
