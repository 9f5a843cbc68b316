"""Packages for tests: a module, its entry points and its YAML files, as an installer leaves them."""

import sys
from pathlib import Path

import pytest

OFFER = """
from dataclasses import dataclass
from digitcmp.config.blocks import Block, unchanged
from digitcmp.config.registry import Component
from digitcmp.config.schema import {below}, key

@dataclass
class Keys({below}):
    {keys}

BLOCK = Block("{name}.parts:Half", "images", unchanged)
COMPONENT = Component("{name}.parts:dim", Keys)
"""
PARTS = """
from torch import nn

class Half(nn.Module):
    def __init__(self, layer, inputs):
        super().__init__()

    def forward(self, x):
        return x * 0.5

def dim(images, keys, most):
    from digitcmp.data.transforms import draws

    return images * (1 - (draws(images, keys, 1).abs() * most).view(*images.shape[:-2], 1, 1))
"""
DIM = 'kind: str = key("dim", help="x"); most: float = key(0.5, help="share that may be taken away")'


def install(
    patch: pytest.MonkeyPatch,
    site: Path,
    name: str,
    points: dict[str, str],
    code: str | None = None,
    files: dict[str, str] | None = None,
) -> None:
    """Install a package whose name and module are `name`. points: of its entry points, group/name to what they name; files: its YAML."""
    folder, metadata = site / name, site / f"{name}-1.5.dist-info"
    for path in (folder, metadata):
        path.mkdir(parents=True)
    own = OFFER.format(below="AugmentConfig", keys=DIM, name=name) if code is None else code
    (folder / "__init__.py").write_text(own)
    (folder / "parts.py").write_text(PARTS)
    for file, text in (files or {}).items():
        path = folder / "conf" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
    lines = [f"[digitcmp.{point.split('/')[0]}]\n{point.split('/')[1]} = {place}\n" for point, place in points.items()]
    (metadata / "entry_points.txt").write_text("".join(lines))
    for module in [known for known in sys.modules if known.partition(".")[0] == name]:
        del sys.modules[module]
    patch.syspath_prepend(site)
