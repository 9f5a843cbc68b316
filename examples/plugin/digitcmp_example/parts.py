"""What is trained: imported when networks are built and data are read."""

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from digitcmp.config.blocks import Shape, same
from digitcmp.config.schema import ConvLayer
from digitcmp.data.sources import Source, Split
from digitcmp.data.transforms import draws, pixel_grid
from digitcmp.errors import DataError
from digitcmp.model.convolutions import Convolution
from digitcmp_example import ResidualOptions


class Residual(nn.Module):
    """Two convolutions with a GELU between them, added to what comes in (projected where channels differ): [n, channels, h, w]."""

    def __init__(self, layer: ConvLayer, inputs: Shape) -> None:
        super().__init__()
        channels, options = layer.channels or inputs[0], cast(ResidualOptions, layer.options)
        self.first = Convolution(same(layer, channels), inputs)
        self.second = Convolution(same(layer, channels), (channels, *inputs[1:]))
        self.projection = nn.Identity() if channels == inputs[0] else Convolution(same(layer, channels, kernel=1), inputs)
        self.scale = options.scale

    def forward(self, x: Tensor) -> Tensor:
        return self.projection(x) + self.scale * self.second(F.gelu(self.first(x)))


def load_arrays(root: str | None) -> Source:
    """An .npz file with train_images, test_images (uint8 [N, 14, 14]), train_labels and test_labels (0 ... 9). root: the file."""
    if root is None:
        raise DataError("data.root=null: data=arrays needs a file; use data.root=FILE.npz")
    with np.load(root, allow_pickle=False) as file:
        if missing := {"train_images", "train_labels", "test_images", "test_labels"} - {*file}:
            raise DataError(f"data.root={root}: there is no {min(missing)} in it")
        images = {part: torch.from_numpy(file[f"{part}_images"]).to(torch.float32).div(255) for part in ("train", "test")}
        labels = {part: torch.from_numpy(file[f"{part}_labels"]).to(torch.int64) for part in ("train", "test")}
    train, test = (Split(images[part], labels[part]) for part in ("train", "test"))
    return Source("arrays", train, test, repeat=True)


def blot(images: Tensor, keys: Tensor, size: float) -> Tensor:
    """A square of each digit is as dark as its darkest pixel (cutout, DeVries and Taylor 2017). images [S, N, 2, h, w]; keys: int32 [S],
    from which alone all that is random comes."""
    height, width = images.shape[-2:]
    centre = draws(images, keys, 2) * images.new_tensor([width / 2, height / 2])  # [S x N x 2, 2]
    away = (pixel_grid(images) - centre[:, None, None]).abs().amax(dim=-1)  # pixels, [S x N x 2, h, w]
    return torch.where((away < size / 2).view(images.shape), images.amin(dim=(-2, -1), keepdim=True), images)
