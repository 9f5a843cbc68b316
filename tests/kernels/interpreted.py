"""The kernels, run number by number on a CPU (Triton's interpreter, TRITON_INTERPRET=1), against torch's own operations."""

from collections.abc import Callable, Sequence
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.func import vmap
from torch.nn import functional as F

from digitcmp.kernels import convolution, operations, stacks
from digitcmp.kernels.convolution import Convolution
from digitcmp.kernels.norm import BatchNorm
from digitcmp.kernels.pooling import MaxPool
from digitcmp.model.network import build
from digitcmp.seeding import Stream, generator
from digitcmp.train.losses import extras_of, total_loss
from digitcmp.train.program import SequentialProgram, StackedProgram
from tests.conftest import compose_config, needs_aux

# networks, images, channels, outputs, height, kernel, padding
SHAPES = [
    (3, 5, 1, 16, 14, (3, 3), (0, 0)),
    (2, 3, 16, 20, 7, (2, 2), (0, 1)),
    (2, 2, 5, 70, 6, (5, 5), (2, 2)),
    (1, 2, 17, 3, 6, (1, 3), (0, 2)),
    (2, 1, 49, 16, 3, (3, 3), (1, 1)),
    (2, 70, 2, 8, 5, (2, 2), (0, 0)),
]


def close(found: Tensor, right: Tensor, name: str = "") -> None:
    """Assert that they are the same but for rounding, which grows with the sums."""
    assert found.shape == right.shape, name
    assert (found - right).norm() <= 2e-6 * right.norm(), name


def same(found: Tensor, right: Tensor, inputs: Sequence[Tensor]) -> None:
    """Assert that two results of the same inputs are the same, and their gradients."""
    close(found, right)
    gradient = torch.randn_like(right)
    own, others = (torch.autograd.grad(one, inputs, gradient, retain_graph=True) for one in (found, right))
    for place, (one, other) in enumerate(zip(own, others, strict=True)):
        close(one, other, f"gradient {place}")


def inputs_of(*shapes: tuple[int, ...]) -> list[Tensor]:
    """Tensors that want a gradient."""
    return [torch.randn(shape, requires_grad=True) for shape in shapes]


@pytest.mark.parametrize("products", ["ieee", "tf32x3"])
@pytest.mark.parametrize("shape", SHAPES)
def test_convolution(
    shape: tuple[int, int, int, int, int, tuple[int, int], tuple[int, int]], products: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a stack, with an activation in place behind it, and of one network without bias; with products as they are, and of parts."""
    monkeypatch.setattr(convolution, "precision", lambda _: products)
    networks, images, channels, outputs, height, kernel, padding = shape
    x, weight, bias = inputs_of((networks, images, channels, height, height), (networks, outputs, channels, *kernel), (networks, outputs))
    found = vmap(lambda x, weight, bias: F.relu_(Convolution.apply(x, weight, bias, padding)))(x, weight, bias)
    right = [F.relu(F.conv2d(*one, padding=padding)) for one in zip(x, weight, bias, strict=True)]
    same(found, torch.stack(right), (x, weight, bias))
    same(Convolution.apply(x[0], weight[0], None, padding), F.conv2d(x[0], weight[0], padding=padding), (x, weight))


def test_images_that_all_networks_see() -> None:
    """What vmap does not go along is everybody's, and so is its gradient."""
    x, weight, bias = inputs_of((4, 1, 6, 6), (3, 5, 1, 3, 3), (3, 5))
    found = vmap(lambda weight, bias: Convolution.apply(x, weight, bias, (0, 0)))(weight, bias)
    same(found, torch.stack([F.conv2d(x, *one) for one in zip(weight, bias, strict=True)]), (x, weight, bias))


def test_a_number_is_the_sum_of_two_of_tf32() -> None:
    """Of 11 digits each: what is left over is less than the 22nd, and zero stays zero."""
    weight = torch.randn(2, 3, 5, 2, 2) * 10.0 ** torch.arange(-15, 15, 10)[:, None, None, None]
    weight[0, 0, 0] = 0
    nearby, rest = convolution.parts(weight.flip(3, 4).transpose(1, 2), exact=False)
    right = weight.flip(3, 4).permute(0, 2, 3, 4, 1)
    assert (nearby.view(torch.int32) & 0x1FFF == 0).all()
    assert ((nearby - right).abs() <= right.abs() / 2**11).all()
    assert torch.equal(nearby + rest, right)


@pytest.mark.parametrize("window", [(2, 2), (3, 2), (1, 5)])
@pytest.mark.parametrize("shape", SHAPES[:4])
def test_max_pool(shape: tuple[int, int, int, int, int, tuple[int, int], tuple[int, int]], window: tuple[int, int]) -> None:
    """Whatever lies where in memory; the first of equal numbers is chosen, and what is left over at the edge is in no window."""
    networks, images, channels, _, height, *_ = shape
    x = torch.randn(networks, images, height, height, channels).round().permute(0, 1, 4, 2, 3).requires_grad_()
    right = torch.stack([F.max_pool2d(one, window) for one in x])
    same(vmap(lambda one: MaxPool.apply(one, window)[0])(x), right, (x,))
    same(MaxPool.apply(x[0], window)[0], right[0], (x,))


def test_not_a_number_is_larger_than_any() -> None:
    """A network that has diverged is seen to have."""
    x = torch.tensor([[[[1.0, torch.nan], [3.0, 2.0]]]])
    assert MaxPool.apply(x, (2, 2))[0].isnan().all()


@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm(shape: tuple[int, int, int, int, int, tuple[int, int], tuple[int, int]]) -> None:
    """What is normalised, its statistics and its gradients, far from zero, too."""
    networks, images, channels, _, height, *_ = shape
    x, weight, bias = inputs_of((networks, images, channels, height, height), (networks, channels), (networks, channels))
    moved = x + 5
    found, mean, var = vmap(lambda x, weight, bias: BatchNorm.apply(x, weight, bias, 1e-5)[:3])(moved, weight, bias)
    running = torch.zeros(networks, channels), torch.ones(networks, channels)
    right = [F.batch_norm(*one, training=True, momentum=1.0) for one in zip(moved, *running, weight, bias, strict=True)]
    close(mean, running[0])
    close(var, running[1])
    same(found, torch.stack(right), (weight, bias))
    gradient = torch.randn_like(found)
    own, other = (torch.autograd.grad(one, x, gradient)[0] for one in (found, torch.stack(right)))
    assert (own - other).norm() <= 1e-5 * other.norm()


@pytest.mark.parametrize(
    ("options", "kernel"),
    [
        (((1, 1), (0, 0), (1, 1), 1), True),
        (((2, 1), (0, 0), (1, 1), 1), False),
        (((1, 1), (0, 0), (2, 2), 1), False),
        (((1, 1), (0, 0), (1, 1), 2), False),
        (((1, 1), (3, 3), (1, 1), 1), False),  # windows that see nothing of the image
    ],
)
def test_what_the_kernels_cannot_do_is_torchs(
    options: tuple[tuple[int, int], tuple[int, int], tuple[int, int], int], kernel: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strides, dilations and groups, and numbers in double precision; the result is the same either way."""
    asked = list[Tensor]()
    apply: Callable[..., Tensor] = Convolution.apply
    monkeypatch.setattr(stacks, "DEVICES", {"cpu"})
    monkeypatch.setattr(operations.Convolution, "apply", lambda *given: asked.append(given[0]) or apply(*given))
    x, weight, bias = torch.randn(3, 4, 8, 8), torch.randn(6, 4 // options[-1], 3, 3), torch.randn(6)
    close(operations.conv2d(x, weight, bias, *options), F.conv2d(x, weight, bias, *options))
    assert bool(asked) == kernel
    operations.conv2d(x.double(), weight.double(), bias.double(), *options)
    assert len(asked) == kernel


@pytest.mark.parametrize(("model", "norm"), [("net4", True), ("wsn", False), ("splitnet", True)])
def test_networks(model: str, norm: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step and a test of a stack are those of its networks, one after another, without kernels: losses, gradients, running statistics."""
    plain = compose_config(f"model={model}", f"aux_weight={int(needs_aux(model))}")
    aux = int(plain.model.digit_head.reads != "none" or bool(plain.model.aux_heads))
    config = compose_config(f"model={model}", f"aux_weight={aux}", f"model.batchnorm={str(norm).lower()}")
    programs = []
    for kind in (SequentialProgram, StackedProgram):
        networks = [build(config.model, generator(seed, Stream.WEIGHTS), torch.device("cpu")) for seed in (1, 2)]
        programs.append(kind(networks))
    images, digits = torch.randn(2, 3, 2, 14, 14), torch.randint(0, 10, (2, 3, 2))
    target, noise = (digits[..., 0] <= digits[..., 1]).long(), torch.zeros(2, programs[0].dropouts, dtype=torch.int32)
    found = list[dict[str, Tensor]]()
    for program, devices in zip(programs, (set[str](), {"cpu"}), strict=True):
        monkeypatch.setattr(stacks, "DEVICES", devices)
        program.train(True)
        loss = partial(total_loss, target=target, digits=digits, aux_weight=config.aux_weight, extras=extras_of(config))
        losses = loss(program(images, noise))
        losses.sum().backward()  # type: ignore[no-untyped-call]
        gradients = program.of_each(lambda tensor: tensor.grad)
        program.train(False)
        with torch.no_grad():
            answers = program(images).comparison
        one = {f"{index} {name}": tensor for index, own in enumerate(gradients) for name, tensor in own.items()}
        buffers = program.of_each(lambda tensor: None if tensor.requires_grad else tensor.float())
        one |= {f"{index} {name}": tensor for index, own in enumerate(buffers) for name, tensor in own.items()}
        found.append({**one, "losses": losses.detach(), "answers": answers})
    alone, stacked = found
    assert alone.keys() == stacked.keys()
    most = max(tensor.abs().max().item() for tensor in alone.values())
    for name, tensor in alone.items():
        # norms over six images make more of rounding, which differs from processor to processor
        assert (tensor - stacked[name]).abs().max() <= 3e-4 * max(tensor.abs().max().item(), 0.01 * most), name
