"""Images of any size and kind, made grey, and brought to the size that networks see."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate

CHUNK = 5000  # images that are made smaller at a time: sums of all of a large data set would take four times its memory
LUMA = (0.299, 0.587, 0.114)  # of red, green and blue in what people see as bright (ITU-R BT.601)


def resized(images: Tensor, size: int) -> Tensor:
    """Square images [N, s, s], bytes or floats from 0 to 1 -> float32 [N, size, size] from 0 to 1.

    Where `size` divides s, each pixel is the mean of a block. Any other is interpolated linearly, between the pixels around where images
    become larger, and over all that a pixel covers where they become smaller.
    """
    return torch.cat([few_resized(chunk, size) for chunk in torch.split(images, CHUNK)])


def few_resized(images: Tensor, size: int) -> Tensor:
    """See `resized`."""
    side, whole = images.shape[-1], 1.0 if images.is_floating_point() else 255.0
    blocks, rest = divmod(side, size)
    if rest == 0 and whole > 1:  # sums of whole numbers, so that the result is exact
        kind = torch.int16 if blocks**2 * 255 < 2**15 else torch.int32  # the smaller one takes half the time
        sums = images.reshape(-1, size, blocks, size, blocks).to(kind).sum(dim=(2, 4), dtype=kind)
        return sums.to(torch.float32).div_(blocks**2 * whole)
    grey = images.to(torch.float32).div(whole)
    if rest == 0:
        return grey.reshape(-1, size, blocks, size, blocks).mean(dim=(2, 4)) if blocks > 1 else grey
    return interpolate(grey[:, None], size=(size, size), mode="bilinear", align_corners=False, antialias=size < side)[:, 0].clamp_(0, 1)


def grey_of(images: Tensor) -> Tensor:
    """Images [N, h, w, 3] of red, green and blue -> float32 [N, h, w] from 0 to 1, as bright as people see them."""
    whole = 1.0 if images.is_floating_point() else 255.0
    return torch.cat([(chunk.to(torch.float32) / whole) @ torch.tensor(LUMA) for chunk in torch.split(images, CHUNK)]).clamp_(max=1)
