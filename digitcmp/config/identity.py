"""What makes a run itself: its configuration and the hash of it. Runs with equal hashes are replicates."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, get_type_hints

from omegaconf import MISSING, OmegaConf

from digitcmp.config.schema import Config
from digitcmp.files import shipped


def configuration(config: Config) -> dict[str, Any]:
    """Everything that can change a round's numbers, except the seed, as plain nested values: all but the execution keys."""
    values: dict[str, Any] = json.loads(json.dumps(plain(config), allow_nan=False))  # as it is read back from disk: no tuples
    del values["seed"]
    return values


def plain(node: Any) -> Any:
    """A configuration object as nested values without its execution keys."""
    if isinstance(node, list | tuple):
        return [plain(item) for item in node]
    if not is_dataclass(node):
        return node
    return {item.name: plain(getattr(node, item.name)) for item in fields(node) if not item.metadata.get("execution")}


def execution_keys(node: Any = Config, prefix: str = "") -> Iterator[str]:
    """The dotted keys that change no number of a round (see `digitcmp.config.schema.key`)."""
    hints = get_type_hints(node)
    for item in fields(node):
        if item.metadata.get("execution"):
            yield prefix + item.name
        elif is_dataclass(hints[item.name]):
            yield from execution_keys(hints[item.name], f"{prefix}{item.name}.")


def completed(values: dict[str, Any]) -> dict[str, Any]:
    """A configuration as an earlier version wrote it, with the keys that came later at their defaults: what that version did."""
    return over(defaults(), values)


@cache
def defaults() -> dict[str, Any]:
    """The configuration without any choice: the values of conf/config.yaml, and the schema's own."""
    primary = OmegaConf.to_container(OmegaConf.load(shipped("conf") / "config.yaml"))
    assert isinstance(primary, dict)
    return configuration(Config(**{item.name: primary[item.name] for item in fields(Config) if item.name in primary}))


def over(defaults: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Nested values, and the defaults of keys that they lack; a default that must be given (???) is none."""
    whole = {name: over(value, {}) if isinstance(value, dict) else value for name, value in defaults.items() if value != MISSING}
    for name, value in values.items():
        whole[name] = over(defaults[name], value) if isinstance(defaults.get(name), dict) and isinstance(value, dict) else value
    return whole


def configuration_hash(values: dict[str, Any]) -> str:
    """Twelve hexadecimal digits of the SHA-256 sum of the configuration in canonical JSON."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def differences(before: dict[str, Any], after: dict[str, Any], most: int = 4) -> str:
    """Where two configurations differ, in words: 'epochs 25 -> 60, model.dropout 0.0 -> 0.2'."""
    old, new = flat(before), flat(after)
    found = [
        f"{name} {old.get(name, 'absent')} -> {new.get(name, 'absent')}" for name in sorted({*old, *new}) if old.get(name) != new.get(name)
    ]
    return ", ".join(found[:most]) + (f" and {len(found) - most} more" if len(found) > most else "")


def flat(values: dict[str, Any]) -> dict[str, Any]:
    """Nested values under dotted names; lists stay whole."""
    from pandas import json_normalize

    (leaves,) = json_normalize(values).to_dict("records") or [{}]
    return {str(name): value for name, value in leaves.items()}
