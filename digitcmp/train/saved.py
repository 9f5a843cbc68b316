"""Tensors as safetensors files with a checksum: safetensors has none of its own, and a bit that has flipped would be another network."""

import json
import zlib

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor


def pack(tensors: dict[str, Tensor], about: str = "") -> bytes:
    """A file with these tensors, and a text about them."""
    return save(tensors, metadata={"crc32": checksum(tensors, about)} | ({"about": about} if about else {}))


def unpack(content: bytes) -> tuple[dict[str, Tensor], str]:
    """The tensors of a file, and the text about them. Raises SafetensorError or ValueError for a file that is damaged, where its
    checksum tells (earlier versions wrote none)."""
    tensors, length = load(content), int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + length]).get("__metadata__", {})
    about: str = metadata.get("about", "")
    if metadata.get("crc32") not in (None, checksum(tensors, about)):
        raise SafetensorError("its numbers are not those that were written")
    return tensors, about


def checksum(tensors: dict[str, Tensor], about: str) -> str:
    """CRC-32 of tensors with their names, types and shapes, and of the text about them, 8 hexadecimal digits."""
    crc = 0
    for name, tensor in sorted(tensors.items()):
        kind = f"{name} {tensor.dtype} {tuple(tensor.shape)}"
        crc = zlib.crc32(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes(), zlib.crc32(kind.encode(), crc))
    return f"{zlib.crc32(about.encode(), crc):08x}"
