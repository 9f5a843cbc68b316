"""How networks with parts of somebody's own begin: all that they have is set, by whoever says so."""

import pytest
import torch
from torch import Tensor, nn

from digitcmp.config.blocks import BLOCKS, Block, Core
from digitcmp.errors import ConfigError
from digitcmp.model.initial import initialise
from digitcmp.model.network import build
from digitcmp.train.program import StackedProgram
from tests.conftest import compose_config


class Part(nn.Module):
    """What somebody writes. Networks are made without memory: what is in it at first is nobody's."""

    def __init__(self, **parts: nn.Module | nn.Parameter) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.register_buffer("count", torch.tensor(-7))


def begun(part: nn.Module) -> dict[str, Tensor]:
    """All that it has, when it has begun."""
    initialise(nn.Sequential(nn.Linear(3, 3), part), torch.Generator().manual_seed(3))
    return {name: tensor.clone() for name, tensor in part.state_dict().items()}


def conv() -> nn.Conv2d:
    """A part of torch's."""
    return nn.Conv2d(2, 2, 3)


def test_a_part_says_how_what_is_in_it_begins() -> None:
    """Also of what torch begins otherwise, by way of `.data`; what it scales has been drawn before."""
    plainly = begun(nn.Sequential(conv(), conv()))

    class Residual(Part):
        def initialise(self, random: torch.Generator) -> None:
            del random
            self.second.weight.data.zero_()
            self.first.weight.mul_(0.5)

    found = begun(Residual(first=conv(), second=conv()))
    assert torch.equal(found["first.weight"], plainly["0.weight"] / 2)
    assert found["second.weight"].abs().sum() == 0
    assert torch.equal(found["second.bias"], plainly["1.bias"])


def test_a_part_sets_what_torchs_parts_in_it_have() -> None:
    """Lists of weights, and weights of modules that nobody knows here."""

    class Listed(Part):
        def initialise(self, random: torch.Generator) -> None:
            for weight in (*self.weights, self.slopes.weight, self.attention.in_proj_weight, self.attention.in_proj_bias):
                weight.copy_(torch.rand(weight.shape, generator=random))

    weights = nn.ParameterList([torch.full((2,), 7.0), torch.full((3,), 7.0)])
    found = begun(Listed(weights=weights, slopes=nn.PReLU(), attention=nn.MultiheadAttention(4, 2)))
    assert all(0 <= value < 1 for name in ("weights.0", "weights.1", "slopes.weight") for value in found[name].tolist())


def test_whatever_way_it_is_set() -> None:
    """Another tensor in its place, or by way of `.data`; norms of every kind begin by themselves, and whole numbers are as they are."""

    class Ways(Part):
        def initialise(self, random: torch.Generator) -> None:
            self.own = nn.Parameter(torch.rand(3, generator=random))
            self.other.data = torch.rand(3, generator=random)
            self.count = torch.tensor(3)

    whole = nn.Parameter(torch.arange(3), requires_grad=False)
    norms = {"norm": nn.InstanceNorm2d(2, affine=True), "rms": nn.RMSNorm(3)}
    found = begun(Ways(own=nn.Parameter(torch.zeros(2)), other=nn.Parameter(torch.zeros(2)), whole=whole, **norms))
    assert (found["count"].item(), found["whole"].tolist(), found["norm.weight"].tolist()) == (3, [0, 1, 2], [1, 1])
    assert found["own"].shape == found["other"].shape == (3,)


class Grid(nn.Module):
    """A block whose constructor works out what it has in buffers."""

    def __init__(self, layer: object, inputs: tuple[int, ...]) -> None:
        super().__init__()
        del layer
        self.register_buffer("grid", torch.linspace(0, 1, inputs[2]))
        self.register_buffer("order", torch.arange(inputs[0]).flip(0), persistent=False)
        self.register_buffer("nothing", None)

    def forward(self, x: Tensor) -> Tensor:
        return x[:, self.order] + self.grid


def test_buffers_have_what_a_constructor_works_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are saved, and others; in every network of a stack."""
    block = Block("tests.model.test_initial:Grid", "images", lambda _, inputs: Core(inputs))
    monkeypatch.setitem(BLOCKS, "grid", block)
    model = compose_config("data=digits", "model=net1", "model.tower=[{channels: 4, pool: 3}, {kind: grid}]").model
    networks = [build(model, torch.Generator().manual_seed(seed), torch.device("cpu")) for seed in range(2)]
    for grid in (module for network in networks for module in network.modules() if isinstance(module, Grid)):
        assert grid.grid.tolist() == torch.linspace(0, 1, len(grid.grid)).tolist()
        assert grid.order.tolist() == [3, 2, 1, 0]
    images = torch.randn(2, 5, 2, 14, 14, generator=torch.Generator().manual_seed(7))
    stacked, alone = StackedProgram(networks)(images), [network(one) for network, one in zip(networks, images, strict=True)]
    for index, one in enumerate(alone):
        torch.testing.assert_close(stacked.comparison[index], one.comparison)


@pytest.mark.parametrize(
    ("left", "told"),
    [
        ("weights", "ParameterList has 0, which nothing sets; give a class of your own below it, in its place, or around it, a method"),
        ("own", "Left has own, which nothing sets"),
        ("half", "Left has own, which nothing sets"),
    ],
)
def test_what_is_left_out_is_refused(left: str, told: str) -> None:
    """Whatever is in memory there; a part of it, too."""

    class Left(Part):
        def initialise(self, random: torch.Generator) -> None:
            del random
            if left != "weights":
                self.weights[0].zero_()
            if left != "own":
                self.own[: 1 if left == "half" else 2].zero_()

    with pytest.raises(ConfigError, match=told):
        begun(Left(weights=nn.ParameterList([torch.zeros(2)]), own=nn.Parameter(torch.zeros(2))))


def test_what_nobody_can_set_is_refused() -> None:
    """Without a method, and what torch works weights out from."""
    with pytest.raises(ConfigError, match="Part has own, which nothing sets; give the class a method"):
        begun(Part(own=nn.Parameter(torch.zeros(2))))
    with pytest.raises(ConfigError, match="parametrisations are not taken; work it out in forward"):
        begun(nn.utils.parametrizations.weight_norm(conv()))
