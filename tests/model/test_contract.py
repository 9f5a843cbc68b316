"""What every network in conf/model promises."""

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from digitcmp.config.composed import from_composed
from digitcmp.config.rules import check_rules
from digitcmp.config.schema import Adam, Config, ModelConfig
from digitcmp.model.network import PairNetwork, build, count_parameters
from digitcmp.seeding import Stream, generator, step_keys
from digitcmp.train.losses import Extras, total_loss
from digitcmp.train.optimizer import make_optimizer
from digitcmp.train.program import SingleProgram
from tests.conftest import MODELS, compose_tree, needs_aux

CPU = torch.device("cpu")
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
    """A configuration with the network as its YAML file declares it."""
    tree = compose_tree(f"model={name}")
    tree.aux_weight = float(tree.model.digit_head.reads != "none" or bool(tree.model.aux_heads))
    return from_composed(tree)


def composed(name: str) -> ModelConfig:
    """The network as its YAML file declares it."""
    return whole(name).model


def variant(name: str, **changes: Any) -> ModelConfig:
    """The network with some of its keys changed, checked as a composed configuration is. Composing takes long."""
    model = replace(composed(name), **changes)
    check_rules(replace(whole(name), model=model, optimizer=Adam(lr=0.001), aux_weight=aux_weight(model)))
    return model


def aux_weight(model: ModelConfig) -> float:
    """1 where there are digits to train."""
    return float(model.digit_head.reads != "none" or bool(model.aux_heads))


def extras(model: ModelConfig) -> Extras:
    """What the loss of a network has to know of it."""
    return Extras(heads=[head.weight for head in model.aux_heads])


def fresh(model: ModelConfig, seed: int = 0) -> PairNetwork:
    """The network of the round with this seed."""
    return build(model, generator(seed, Stream.WEIGHTS), CPU)


def some_pairs(count: int = 20) -> tuple[Tensor, Tensor, Tensor]:
    """Images [1, count, 2, 14, 14], target [1, count] and digits [1, count, 2], the same in every call."""
    random = torch.Generator().manual_seed(7)
    digits = torch.randint(10, (1, count, 2), generator=random)
    return torch.randn(1, count, 2, 14, 14, generator=random), (digits[..., 0] <= digits[..., 1]).long(), digits


def fit(model: ModelConfig, steps: int) -> list[float]:
    """The loss of a fresh network before each of some training steps on one batch."""
    program, (images, target, digits) = SingleProgram(fresh(model)), some_pairs()
    optimizer = make_optimizer(program, "Adam", lr=0.002, comparator_lr=None, options={})
    losses = []
    for noise in step_keys(0, Stream.DROPOUT, steps, program.dropouts):
        loss = total_loss(program(images, noise[None]), target, digits, aux_weight(model), extras=extras(model))
        optimizer.zero_grad()
        loss.sum().backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def gradients(name: str, weight: float, batchnorm: bool = False) -> dict[str, Tensor | None]:
    """The gradient of every parameter, by name."""
    network, (images, target, digits) = fresh(variant(name, batchnorm=batchnorm)), some_pairs()
    program = SingleProgram(network)
    loss = total_loss(program(images, None), target, digits, weight, extras=extras(composed(name)))
    if loss.requires_grad:  # nothing at all is trained where the comparison has no parameters and reads a copy
        loss.sum().backward()
    return {key: parameter.grad for key, parameter in network.named_parameters()}


def test_every_network_is_in_the_reference_table() -> None:
    """A new YAML file needs a known parameter count, and none may vanish."""
    assert set(MODELS) == set(PARAMETERS)


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_those_published(name: str) -> None:
    """Exact parameter counts, of the declaration and of the network that is built."""
    assert count_parameters(composed(name)) == PARAMETERS[name]
    assert sum(parameter.numel() for parameter in fresh(composed(name)).parameters()) == PARAMETERS[name]


@pytest.mark.parametrize(("name", "change", "parameters"), VARIANTS)
def test_variants_have_the_published_parameters(name: str, change: dict[str, bool], parameters: int) -> None:
    """Batch norm and weight sharing add and remove exactly what is published."""
    assert count_parameters(variant(name, **change)) == parameters


@pytest.mark.parametrize("name", sorted({*MODELS} - JOINT - SHARES))
def test_without_weight_sharing_the_branch_is_there_twice(name: str) -> None:
    """Each digit gets a branch of its own, with weights of its own."""
    shared_model, separate_model = (variant(name, weight_sharing=shared) for shared in (True, False))
    shared, separate = fresh(shared_model), fresh(separate_model)
    branch = sum(parameter.numel() for parameter in shared.reader.parameters())
    assert sum(parameter.numel() for parameter in separate.reader.parameters()) == 2 * branch
    assert count_parameters(separate_model) - count_parameters(shared_model) == branch
    first, second = (half.tower.layers[0].conv.weight for half in separate.reader.branches)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("pairs", [1, 2, 7])
def test_output_shapes(name: str, pairs: int) -> None:
    """Comparison [B, 1 or 2]; digits [B, 2, 10], or None exactly where there is no digit head."""
    model = composed(name)
    outputs = fresh(model).eval()(some_pairs(pairs)[0][0])
    assert outputs.comparison.shape == (pairs, model.comparator.outputs)
    if model.digit_head.reads == "none":
        assert outputs.digits is None
    else:
        assert outputs.digits.shape == (pairs, 2, 10)


@pytest.mark.parametrize("name", MODELS)
def test_training_lowers_the_loss(name: str) -> None:
    """A few steps on one batch bring its loss down."""
    losses = fit(composed(name), 8)
    assert losses[-1] < 0.97 * losses[0]


@pytest.mark.parametrize("name", MODELS)
def test_batch_norm_and_dropout_fit_every_network(name: str) -> None:
    """Both can be switched on everywhere, are there, and leave the network able to learn."""
    model = variant(name, batchnorm=True, dropout=0.3)
    network = fresh(model)
    assert network.dropouts
    assert any(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) for module in network.modules())
    losses = fit(model, 15)
    assert sum(losses[-3:]) < 0.97 * sum(losses[:3])


@pytest.mark.parametrize("name", MODELS)
def test_the_order_of_the_digits_matters(name: str) -> None:
    """Swapping the digits changes the comparison; digits read one by one swap, digits read jointly stay alike."""
    model, images = composed(name), some_pairs()[0][0]
    network = fresh(model).eval()
    outputs, swapped = network(images), network(images.flip(1))
    assert (outputs.comparison - swapped.comparison).abs().max() > 1e-4
    if model.digit_head.reads == "digit" and model.weight_sharing and not model.own_dense:
        torch.testing.assert_close(swapped.digits, outputs.digits.flip(1), rtol=0, atol=1e-6)
        assert (outputs.digits - swapped.digits).abs().max() > 1e-3
    elif model.digit_head.reads == "joint":
        assert torch.equal(outputs.digits[:, 0], outputs.digits[:, 1])
        assert torch.equal(swapped.digits[:, 0], swapped.digits[:, 1])


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_gets_a_gradient(name: str) -> None:
    """With the auxiliary loss (where there is a digit head), nothing is left out of training."""
    lost = {key for key, grad in gradients(name, aux_weight(composed(name))).items() if grad is None or not grad.abs().max() > 0}
    assert lost == set()


@pytest.mark.parametrize("name", MODELS)
def test_batch_norm_gets_gradients_too(name: str) -> None:
    """Every norm is passed through and learns. (Biases just before a norm have gradients that are zero but for rounding.)"""
    grads = gradients(name, aux_weight(composed(name)), batchnorm=True)
    assert all(grad is not None for grad in grads.values())
    norms = [grad for key, grad in grads.items() if ".norm" in key]
    assert norms
    assert all(grad.abs().max() > 0 for grad in norms)


@pytest.mark.parametrize("name", MODELS)
def test_what_gets_no_gradient_without_auxiliary_loss(name: str) -> None:
    """Only a digit head that nothing reads (net3, net4), and all that stands before a detached comparator."""
    grads = gradients(name, 0)
    without = {key for key, grad in grads.items() if grad is None}
    assert without == {key for key in grads if name in UNTRAINED and key.startswith(UNTRAINED[name])}


@pytest.mark.parametrize("name", MODELS)
def test_nothing_is_drawn_from_the_global_generator(name: str) -> None:
    """Building and training, dropout included, leave torch's own generator alone."""
    model = variant(name, dropout=0.3)
    before = torch.get_rng_state()
    fit(model, 1)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", MODELS)
def test_weights_follow_from_the_seed(name: str) -> None:
    """The same seed gives the same weights, another seed other ones, in every layer."""
    first, again, other = (fresh(variant(name, batchnorm=False), seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[key], again[key]) for key in first)
    constant = {key for key in first if "norm" in key or (composed(name).zero_bias and key.endswith("bias"))}
    assert not any(torch.equal(first[key], other[key]) for key in {*first} - constant)


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
