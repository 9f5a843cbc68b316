"""What makes a run itself: its configuration and the hash of it. Runs with equal hashes are replicates."""

import hashlib
import json
from dataclasses import asdict
from typing import Any

from omegaconf import MISSING

from digitcmp.config.schema import Config

# where and how a run is executed, not what it computes
PLACE = ("seed", "rounds", "device", "engine", "workers", "stack_size", "save_model", "retry_failed", "dry_run", "report")


def configuration(config: Config) -> dict[str, Any]:
    """Everything that can change a round's numbers, except the seed, as plain nested values."""
    values = {name: value for name, value in asdict(config).items() if name not in PLACE}
    del values["data"]["root"]  # the same files elsewhere are the same data
    plain: dict[str, Any] = json.loads(json.dumps(values, allow_nan=False))  # as it is read back from disk: no tuples
    return plain


def completed(values: dict[str, Any]) -> dict[str, Any]:
    """A configuration as an earlier version wrote it, with the keys that came later at their defaults: what that version did."""
    return over(configuration(Config()), values)


def over(defaults: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Nested values, and the defaults of keys that they lack; a default that must be given (???) is none."""
    whole = {name: value for name, value in defaults.items() if value != MISSING}
    for name, value in values.items():
        default = defaults.get(name)
        whole[name] = over(default, value) if isinstance(default, dict) and isinstance(value, dict) else value
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


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values under dotted names; lists stay whole."""
    leaves: dict[str, Any] = {}
    for name, value in values.items():
        leaves.update(flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value})
    return leaves
