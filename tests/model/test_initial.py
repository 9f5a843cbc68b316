"""How networks with parts of somebody's own begin: all that they have is set, by whoever says so."""

import pytest
import torch
from torch import Tensor, nn

from digitcmp.errors import ConfigError
from digitcmp.model.initial import initialise


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
            self.count.zero_()

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
            self.count.zero_()

    weights = nn.ParameterList([torch.full((2,), 7.0), torch.full((3,), 7.0)])
    found = begun(Listed(weights=weights, slopes=nn.PReLU(), attention=nn.MultiheadAttention(4, 2)))
    assert all(0 <= value < 1 for name in ("weights.0", "weights.1", "slopes.weight") for value in found[name].tolist())


def test_whatever_way_it_is_set() -> None:
    """Another tensor in its place, by way of `.data`, whole numbers and flags; norms of every kind begin by themselves."""

    class Ways(Part):
        def initialise(self, random: torch.Generator) -> None:
            self.own = nn.Parameter(torch.rand(2, generator=random))
            self.count = torch.tensor(3)
            self.order.data.copy_(torch.arange(3))
            self.flags.data.copy_(torch.tensor([True, False]))

    part = Ways(own=nn.Parameter(torch.zeros(2)), norm=nn.InstanceNorm2d(2, affine=True), rms=nn.RMSNorm(3))
    part.register_buffer("order", torch.zeros(3, dtype=torch.long))
    part.register_buffer("none", torch.zeros(0, dtype=torch.long))
    part.register_buffer("flags", torch.zeros(2, dtype=torch.bool))
    found = begun(part)
    assert (found["count"].item(), found["order"].tolist(), found["flags"].tolist()) == (3, [0, 1, 2], [True, False])
    assert found["own"].min() > 0
    assert found["norm.weight"].tolist() == [1, 1]


@pytest.mark.parametrize("put", [torch.zeros(3), torch.zeros(2, dtype=torch.float64), None])
def test_another_tensor_is_refused(put: Tensor | None) -> None:
    """Of another shape or type, of which a kept network could not be read again; or none."""

    class Puts(Part):
        def initialise(self, random: torch.Generator) -> None:
            del random
            self.count.zero_()
            self.own = None if put is None else nn.Parameter(put)

    with pytest.raises(ConfigError, match="Puts: its initialise makes own another tensor than its constructor; set its numbers"):
        begun(Puts(own=nn.Parameter(torch.zeros(2))))


def test_a_norm_of_ones_own_has_its_own_weights() -> None:
    """Beside those that begin by themselves."""

    class Norm(nn.LayerNorm):
        def __init__(self) -> None:
            super().__init__(3)
            self.more = nn.Parameter(torch.zeros(3))

    with pytest.raises(ConfigError, match="Norm has more, which nothing sets"):
        begun(Norm())


@pytest.mark.parametrize(
    ("left", "told"),
    [
        ("weights", "ParameterList has 0, which nothing sets; give a class of your own below it, in its place, or around it, a method"),
        ("count", "Left has count, which nothing sets; give the class a method"),
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
            if left != "count":
                self.count.zero_()
            if left != "own":
                self.own[: 1 if left == "half" else 2].zero_()

    with pytest.raises(ConfigError, match=told):
        begun(Left(weights=nn.ParameterList([torch.zeros(2)]), own=nn.Parameter(torch.zeros(2))))


def test_what_nobody_can_set_is_refused() -> None:
    """Without a method, and what torch works weights out from."""
    with pytest.raises(ConfigError, match="Part has count, which nothing sets; give the class a method"):
        begun(Part())
    with pytest.raises(ConfigError, match="parametrisations are not taken; work it out in forward"):
        begun(nn.utils.parametrizations.weight_norm(conv()))
