"""Registries: what a configuration names, and where it is. They hold places (`package.module:name`), so that nothing is imported before it
is used; other packages may add entries under names of their own."""

from collections.abc import Iterable
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from digitcmp.errors import ConfigError

LOSSES: dict[str, str] = {  # terms of the loss: (embeddings [S, B, 2, F], digits [S, B, 2], margin) -> [S]
    "contrastive": "digitcmp.train.losses:contrastive",
    "triplet": "digitcmp.train.losses:triplet",
}


def load(place: str) -> Any:
    """What is at a place."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def check_known(key: str, name: str, what: str, known: Iterable[str]) -> None:
    """Raise ConfigError for a name that is not known, with the nearest one. key: where it stands; what: what it should be."""
    names = [*known]
    if name not in names:
        near = get_close_matches(name, names, n=1)
        meant = f" (did you mean {near[0]}?)" if near else ""
        raise ConfigError(f"{key}: there is no such {what}{meant}; there are {', '.join(names)}")
