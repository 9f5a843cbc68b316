"""A convolution of many small networks at once: own kernels against what torch has for it, forward and with all gradients.

python -m benchmarks.convolution                              the second convolution of net2, 100 networks, on a GPU
python -m benchmarks.convolution --networks 2 --images 4      on a CPU, to see that it runs; its figures mean nothing

Beside each time is how far the result is from double precision (norm of the difference by that of the result).
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch.func import vmap
from torch.nn import functional as F
from torch.utils.benchmark import Timer

from benchmarks.common import make_console, make_parser, make_table, print_table, run, whole, write
from benchmarks.machine import describe_machine, in_words
from digitcmp.kernels.convolution import Convolution
from digitcmp.kernels.operations import prepare

Way = Callable[[Tensor, Tensor], Tensor]  # x [S, n, C, h, w], weight [S, O, C, k, k] -> [S, n, O, h', w']


@dataclass(frozen=True)
class Timed:
    """Milliseconds of a way, medians, and its error."""

    way: str
    forward: float
    both: float
    error: float


def grouped(x: Tensor, weight: Tensor) -> Tensor:
    """One convolution with a group for each network: what vmap makes of torch's."""
    return vmap(F.conv2d)(x, weight)


def products(x: Tensor, weight: Tensor) -> Tensor:
    """Patches are copied, then multiplied, a product for each network."""
    networks, images, channels, *_ = x.shape
    outputs, side = weight.shape[1], weight.shape[4]
    patches = x.permute(0, 1, 3, 4, 2).unfold(2, side, 1).unfold(3, side, 1)  # [S, n, h', w', C, k, k]
    area = patches.shape[2:4]
    found = patches.reshape(networks, -1, channels * side**2) @ weight.flatten(2).transpose(1, 2)
    return found.view(networks, images, *area, outputs).permute(0, 1, 4, 2, 3)


def own(x: Tensor, weight: Tensor) -> Tensor:
    """The kernels of `digitcmp.kernels`."""
    return Convolution.apply(x, weight, None, (0, 0))  # type: ignore[no-any-return]


def in_tf32(wanted: bool) -> AbstractContextManager[None]:
    """Products as cuDNN and cuBLAS make them of tf32, or of float32."""
    torch.backends.cuda.matmul.allow_tf32 = wanted
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=wanted)


def timed(name: str, way: Way, x: Tensor, weight: Tensor, right: Tensor) -> Timed:
    """Time one way, with gradients to both of its inputs, too."""
    found = way(x, weight)
    gradient = torch.randn_like(found)

    def both() -> None:
        torch.autograd.grad(way(x, weight), (x, weight), gradient)

    with torch.no_grad():
        forward = Timer("way(x, weight)", globals={"way": way, "x": x, "weight": weight}).blocked_autorange(min_run_time=0.2).median
    through = Timer("both()", globals={"both": both}).blocked_autorange(min_run_time=0.2).median
    error = ((found.detach() - right).norm() / right.norm()).item()
    return Timed(name, 1000 * forward, 1000 * through, error)


def main() -> None:
    """Run the benchmark."""
    parser = make_parser(__doc__)
    for name, default in (("networks", 100), ("images", 200), ("channels", 16), ("outputs", 32), ("side", 12), ("kernel", 3)):
        parser.add_argument(f"--{name}", type=whole, default=default, help=f"default: {default}")
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    machine = describe_machine()
    x = torch.randn(options.networks, options.images, options.channels, options.side, options.side, device=device)
    weight = torch.randn(options.networks, options.outputs, options.channels, options.kernel, options.kernel, device=device)
    right = torch.stack([F.conv2d(*one) for one in zip(x.double(), weight.double(), strict=True)])
    last = x.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)
    inputs = [tensor.requires_grad_() for tensor in (x, last, weight)]
    ways: list[tuple[str, Way, Tensor, bool]] = []
    for tf32 in (True, False) if device.type == "cuda" else (False,):
        kind = "tf32" if tf32 else "float32"
        ways += [(f"groups of one convolution, {kind}", grouped, inputs[0], tf32)]
        ways += [(f"patches and products, {kind}", products, inputs[1], tf32)]
    results = []
    for name, way, images, tf32 in ways:
        with in_tf32(tf32) if device.type == "cuda" else nullcontext():
            results.append(timed(name, way, images, inputs[2], right))
    if device.type == "cuda":
        if not (problem := prepare(device)):
            results.append(timed("own kernels", own, inputs[1], inputs[2], right))
        else:
            make_console().print(f"own kernels: cannot be used ({problem})", style="red")
    table = make_table(["way"], ["forward [ms]", "with gradients [ms]", "error"])
    for one in results:
        table.add_row(one.way, f"{one.forward:.3f}", f"{one.both:.3f}", f"{one.error:.1e}")
    shape = (
        f"{options.networks} networks, {options.images} images of {options.channels} × {options.side} × {options.side} → {options.outputs}"
    )
    print_table(f"{shape}, window of {options.kernel}; device {device}; {in_words(machine)}", table, make_console())
    write(options.json, "convolution", machine, list(map(asdict, results)))


if __name__ == "__main__":
    run(main)
