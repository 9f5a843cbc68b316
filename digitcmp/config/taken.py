"""Which packages take part in a configuration: those that offer what it names."""

from collections.abc import Iterator
from typing import Any

from digitcmp.config.blocks import BLOCKS
from digitcmp.config.offered import offers
from digitcmp.config.registry import LOSSES
from digitcmp.config.schema import CHOSEN_BY, GROUP_SCHEMAS

NAMES = {("data", "source"): "data", **{(part, key): GROUP_SCHEMAS[part].group for part, key in CHOSEN_BY.items()}}
OTHERWISE = "its network may answer otherwise than it did, as code is not what it was trained with"
WITHIN = {"kind": BLOCKS, "loss": LOSSES}  # keys of lists' entries


def plugins_of(configuration: dict[str, Any]) -> dict[str, str]:
    """The version of each package that offers a block, a data set, … of this configuration, given as plain nested values."""
    own = {BLOCKS.group: BLOCKS.own, LOSSES.group: LOSSES.own}
    taken = [offer for group, _, name in named(configuration) if name not in own.get(group, ()) for offer in offers()[group].get(name, [])]
    return {offer.package.name: offer.package.version for offer in sorted(taken, key=lambda offer: offer.package.name)}


def named(configuration: dict[str, Any]) -> list[tuple[str, tuple[str, ...], str]]:
    """Every name in a configuration that a package may offer: its group, the keys that lead to it, and itself."""
    found = [(path, str(value)) for path, value in leaves(configuration) if not isinstance(value, list)]
    chosen = [(NAMES[path], path, value) for path, value in found if path in NAMES]
    return chosen + [(WITHIN[path[-1]].group, path, value) for path, value in found if path[0] != "augment" and path[-1] in WITHIN]


def other_code(about: dict[str, Any]) -> str:
    """In what the code of others that a run needs is not what it was made with, in words; empty where it is. about: its run.json."""
    now = plugins_of(about["configuration"])
    changed = {name: was for name, was in (about.get("plugins") or {}).items() if was not in (now.get(name), *now.values())}
    return ", ".join(f"{name} ({was} on record, {now.get(name, 'none')} now)" for name, was in changed.items())


def leaves(values: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value, and the keys that lead to it; the places of lists are no keys."""
    for name, value in values.items() if isinstance(values, dict) else ():
        for one in value if isinstance(value, list) else [value]:
            yield from leaves(one, (*path, name)) if isinstance(one, dict) else [((*path, name), one)]
