"""The parts of a pair network, against known answers."""

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from digitcmp.config.graph import SIZE, chain
from digitcmp.config.schema import Comparator, ConvLayer, DenseLayer, ModelConfig
from digitcmp.model.blocks import Conv, Tower
from digitcmp.model.dense import Dense
from digitcmp.model.layers import Dropout
from digitcmp.model.network import PairNetwork, build
from digitcmp.seeding import Stream, generator, step_keys
from tests.conftest import compose_config

KEYS = step_keys(3, Stream.DROPOUT, 2, 3)  # two steps, three dropouts
ONES = torch.ones(300, 400)
TOWERS = [
    [ConvLayer(4, 3), ConvLayer(5, 3, pool=2)],
    [ConvLayer(4, 5, pool=2), ConvLayer(6, 2, pool=2)],
    [ConvLayer(3, 3, padding=1, pool=3), ConvLayer(2, 3, padding=2)],
    [ConvLayer(3, 2, padding=1, pool=2), ConvLayer(3, 4, pool=2), ConvLayer(7, 1, pool=2)],
]


@cache
def composed(name: str) -> ModelConfig:
    """The network as its YAML file declares it."""
    return compose_config(f"model={name}").model


def network(name: str, **changes: Any) -> PairNetwork:
    """The network of seed 0, with some of its keys changed."""
    return build(replace(composed(name), **changes), generator(0, Stream.WEIGHTS), torch.device("cpu"))


def images(pairs: int = 12, seed: int = 0) -> Tensor:
    """Random images [pairs, 2, 14, 14]."""
    return torch.randn(pairs, 2, 14, 14, generator=torch.Generator().manual_seed(seed))


def read_by_comparator(net: PairNetwork) -> Tensor:
    """What the comparator is given for some images."""
    seen: list[Tensor] = []
    net.comparator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    net.eval()(images())
    return seen[0]


@pytest.mark.parametrize("probability", [0.2, 0.5, 0.9])
def test_dropout_drops_its_share_and_keeps_the_mean(probability: float) -> None:
    """A fraction p becomes zero, the rest is divided by 1 - p."""
    out = Dropout(probability)(ONES, KEYS[0])
    assert (out == 0).float().mean().item() == pytest.approx(probability, abs=0.006)
    assert out.mean().item() == pytest.approx(1, abs=0.04)
    torch.testing.assert_close(out[out != 0].unique(), torch.tensor([1 / (1 - probability)]))


def test_dropout_masks_follow_from_the_keys() -> None:
    """Same keys, same mask; the next step's keys give an independent one."""
    first, again, other = (Dropout(0.5)(ONES, keys) for keys in (KEYS[0], KEYS[0], KEYS[1]))
    assert torch.equal(first, again)
    assert (first == other).float().mean().item() == pytest.approx(0.5, abs=0.01)


def test_every_dropout_of_a_network_has_a_mask_of_its_own() -> None:
    """Two dropouts in one step do not drop the same units."""
    masks = [drop(ONES, KEYS[0]) for drop in network("net2", dropout=0.5).dropouts]
    assert len(masks) == 3
    for one, two in [(0, 1), (0, 2), (1, 2)]:
        assert (masks[one] == masks[two]).float().mean().item() == pytest.approx(0.5, abs=0.01)


def test_dropout_reaches_the_outputs_only_with_keys() -> None:
    """Without keys a network with dropout answers as the one without it; with keys it does not."""
    plain, dropping = network("wsn").eval(), network("wsn", dropout=0.5)
    dropping.load_state_dict(plain.state_dict())
    assert torch.equal(dropping(images(), None).comparison, plain(images()).comparison)
    assert not torch.equal(dropping(images(), KEYS[0]).comparison, plain(images()).comparison)
    assert torch.equal(Dropout(0.0)(ONES, KEYS[0]), ONES)


def test_pooling_before_relu_changes_nothing() -> None:
    """The block equals convolution, norm, ReLU and max pool in the order of the papers."""
    block = Conv((2, 14, 14), ConvLayer(8, 3, pool=2, norm=True), ModelConfig(batchnorm=True))
    expected = F.max_pool2d(F.relu(block.norm(block.conv(images()))), 2)
    assert torch.equal(block(images()), expected)
    assert (expected == 0).any()


def test_a_block_without_batch_norm_or_mark_has_none() -> None:
    """Norm sits only where the layer is marked and the network has it switched on."""
    norms = [Conv((1, 14, 14), ConvLayer(2, norm=marked), ModelConfig(batchnorm=on)).norm for marked, on in [(True, False), (False, True)]]
    assert all(isinstance(norm, nn.Identity) for norm in norms)


def test_dense_layers_without_relu_stay_linear() -> None:
    """relu=false leaves negative numbers alone, relu=true does not."""
    linear, rectified = (Dense(28, [DenseLayer(9, relu=relu)], ModelConfig()) for relu in (False, True))
    rows = images().view(-1, 28)
    assert (linear(rows, None) < 0).any()
    assert (rectified(rows, None) >= 0).all()


@pytest.mark.parametrize("tower", TOWERS)
def test_shapes_are_those_of_real_convolutions(tower: list[ConvLayer]) -> None:
    """The graph and the tower's features agree with what torch makes of an image."""
    x, channels = torch.zeros(1, 1, 14, 14), 1
    for layer in tower:
        x = F.max_pool2d(nn.Conv2d(channels, layer.channels, layer.kernel, padding=layer.padding)(x), layer.pool)
        channels = layer.channels
    model = ModelConfig(tower=tower)
    built = Tower((1, SIZE, SIZE), model)
    assert x.shape[1:] == [*chain("tower", "images", (1, SIZE, SIZE), tower, model)][-1].outputs
    assert built(torch.zeros(3, 1, 14, 14)).shape == (3, built.features) == (3, x.numel())


@pytest.mark.parametrize("quirk", [False, True])
def test_only_batch_statistics_make_the_test_depend_on_the_batch(quirk: bool) -> None:
    """As published, net4's answer to a pair depends on the pairs tested beside it; by default it does not."""
    net = network("net4", batch_statistics=quirk)
    net.train()(images(seed=1))
    net.eval()
    alone, among = net(images()[:5]).comparison, net(images()).comparison[:5]
    assert torch.allclose(alone, among, atol=1e-5) is not quirk


@pytest.mark.parametrize(("name", "part", "output"), [("wosn", "comparator", "comparison"), ("wsn", "digit_head", "digits")])
def test_relu_on_logits(name: str, part: str, output: str) -> None:
    """As published, logits pass a ReLU, so that a negative one gives no gradient; by default they do not."""
    plain, quirk = (network(name, **{part: replace(getattr(composed(name), part), relu=relu)}).eval() for relu in (False, True))
    before, after = (getattr(net(images()), output) for net in (plain, quirk))
    assert (before < 0).any()
    assert torch.equal(after, F.relu(before))


@pytest.mark.parametrize(("name", "part", "output"), [("wosn", "comparator", "comparison"), ("wsn", "digit_head", "digits")])
def test_dropout_of_logits(name: str, part: str, output: str) -> None:
    """As published, half of the logits are left out and the others doubled, with keys alone."""
    marked = {part: replace(getattr(composed(name), part), drop_logits=True)}
    plain, quirk = network(name).eval(), network(name, dropout=0.5, **marked).eval()
    quirk.load_state_dict(plain.state_dict())
    before, without = (getattr(net(images()), output) for net in (plain, quirk))
    assert torch.equal(before, without)
    quirk.dropouts[0].probability = 0.0  # that of the dense layer
    after = getattr(quirk(images(), KEYS[0]), output)
    assert torch.equal(after[after != 0], 2 * before[after != 0])
    assert 0.1 < (after == 0).double().mean() < 0.9


def test_a_joint_head_reads_both_digits() -> None:
    """net3's one head sees both images; wsn's head per digit sees only its own."""
    changed = torch.cat([images()[:, :1], images(seed=1)[:, 1:]], dim=1)
    joint, single = network("net3").eval(), network("wsn").eval()
    assert torch.equal(joint(images()).digits[:, 0], joint(images()).digits[:, 1])
    assert (joint(images()).digits[:, 0] - joint(changed).digits[:, 0]).abs().max() > 1e-3
    torch.testing.assert_close(single(images()).digits[:, 0], single(changed).digits[:, 0], rtol=0, atol=1e-6)


def test_a_comparator_of_probabilities_reads_the_softmax_per_digit() -> None:
    """Each digit's ten probabilities are positive and sum to 1."""
    net = network("wsn", comparator=Comparator(reads="digit_probabilities"))
    read = read_by_comparator(net).view(-1, 2, 10)
    torch.testing.assert_close(read.sum(dim=2), torch.ones(len(read), 2))
    torch.testing.assert_close(read, torch.softmax(net(images()).digits, dim=2))


def test_a_comparator_of_logits_reads_them_as_they_are() -> None:
    """First the first digit's ten logits, then the second's."""
    net = network("wsn")
    assert torch.equal(read_by_comparator(net), net(images()).digits.reshape(-1, 20))
