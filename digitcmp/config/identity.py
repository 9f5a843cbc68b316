"""What makes a run itself: its configuration and the hash of it. Runs with equal hashes are replicates."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import fields, is_dataclass
from functools import cache, lru_cache
from typing import Any, get_args, get_origin, get_type_hints

import yaml

from digitcmp.config.schema import CHOSEN_BY, GROUP_SCHEMAS, Config, DataConfig
from digitcmp.config.schema.key import MISSING
from digitcmp.files import shipped

ASKED = ["data.source", "data.fingerprint", "data.target"]  # keys that say of which images what is asked
TESTED = [*ASKED, "data.test_pairs", "data.seed"]  # keys that make the test pairs of a seed
TRAINED = ["data.source", "data.fingerprint", "data.train_pairs", "data.val_pairs", "data.seed", "data.fold", "data.imbalance"]
TRAINED += ["data.label_noise"]  # its training pairs
VALIDATED = [*ASKED, "data.train_pairs", "data.val_pairs", "data.seed", "data.fold", "data.imbalance"]  # its validation pairs
MEASURED_BY = {"train_": (ASKED, "data"), "val_": (VALIDATED, "validation pairs"), "seconds": ([], "")}  # by how a column begins


def pairs_of(column: str) -> tuple[list[str], str]:
    """The keys that make what a column of the rounds is measured on for a seed, and what that is, in words: rounds of equal seeds that
    differ in one of them cannot be compared by it."""
    return next((found for begin, found in MEASURED_BY.items() if column.startswith(begin)), (TESTED, "test pairs"))


@cache
def data_defaults() -> dict[str, Any]:
    """The keys of `data`, in full, with their defaults, where they have one: what configurations of earlier versions mean without them."""
    return {f"data.{item.name}": item.default for item in fields(DataConfig) if item.default not in (None, NO_DEFAULT, MISSING)}


def configuration(config: Config) -> dict[str, Any]:
    """Everything that can change a round's numbers, except the seed, as plain nested values: all but the execution keys."""
    values: dict[str, Any] = json.loads(json.dumps(plain(config), allow_nan=False))  # as it is read back from disk: no tuples
    del values["seed"]
    return values


def plain(node: Any) -> Any:
    """A configuration object as nested values without its execution keys."""
    if isinstance(node, list | tuple):
        return [plain(item) for item in node]
    if isinstance(node, dict):
        return {name: plain(value) for name, value in node.items()}
    if not is_dataclass(node):
        return node
    return {item.name: plain(getattr(node, item.name)) for item in fields(node) if not item.metadata.get("execution")}


@cache
def execution_keys() -> tuple[str, ...]:
    """The dotted keys that change no number of a round (see `digitcmp.config.schema.key`)."""
    return tuple(execution_keys_of(Config))


def execution_keys_of(node: Any, prefix: str = "") -> Iterator[str]:
    """Those of a dataclass."""
    hints = get_type_hints(node)
    for item in fields(node):
        if item.metadata.get("execution"):
            yield prefix + item.name
        if is_dataclass(hints[item.name]):
            yield from execution_keys_of(hints[item.name], f"{prefix}{item.name}.")


def schema_key(key: str) -> str:
    """The key of the schema that a dotted key belongs to: callbacks for what each of them takes, itself for any other."""
    return "callbacks" if key.startswith("callbacks.") else key


def completed(values: dict[str, Any]) -> dict[str, Any]:
    """A configuration as an earlier version wrote it, with the keys that came later at their defaults: what that version did."""
    return dict(over(defaults(Config, values), values))


def configuration_hash(values: dict[str, Any]) -> str:
    """Twelve hexadecimal digits of the SHA-256 sum of the configuration in canonical JSON, without what is at its default.

    So a key that a later version brings, in a layer too, changes the hash of nothing that was trained before.
    """
    like = json.dumps(outline(values), sort_keys=True)
    text = json.dumps(beyond(defaults_like(like), values), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def outline(values: Any, name: str = "") -> Any:
    """What the defaults of nested values depend on: how they are nested, and what was chosen from groups."""
    if isinstance(values, dict):
        return {str(key): outline(value, str(key)) for key, value in values.items()}
    if isinstance(values, list):
        return [outline(value) for value in values]
    return str(values) if name in CHOSEN_BY.values() else None


@lru_cache(maxsize=1000)
def defaults_like(text: str) -> dict[str, Any]:
    """The defaults of a configuration with this outline, which are not to be changed: those of a long sweep have few."""
    return defaults(Config, json.loads(text))


def defaults(kind: Any, values: Any) -> dict[str, Any]:
    """The defaults of a dataclass of the schema, nested as these values are: with those of the choices and of each layer that
    they have. A key that must be given has none, and so has one of a choice of another package: a hash is the same without it."""
    own = primary() if kind is Config else {item.name: item.default for item in fields(kind)}
    hints, found = get_type_hints(kind), dict[str, Any]()
    for item in fields(kind):
        value, hint = values.get(item.name) if isinstance(values, dict) else None, hints[item.name]
        if item.metadata.get("execution") or (kind is Config and item.name == "seed"):
            continue
        if is_dataclass(hint):
            found[item.name] = defaults(own_choice(item.name, value) or hint, value)
            found[item.name].pop(CHOSEN_BY.get(item.name), None)  # it says whose defaults these are
        elif get_origin(hint) is list and is_dataclass(layer := get_args(hint)[0]):
            found[item.name] = [defaults(layer, one) for one in value] if isinstance(value, list) else []
        elif own.get(item.name, NO_DEFAULT) not in (NO_DEFAULT, MISSING):
            found[item.name] = own[item.name]
    return plain(found)  # type: ignore[no-any-return]


def choice(group: str, values: Any) -> type | None:
    """The dataclass of what was chosen from a group, by its algorithm, shape or kind. Raises ConfigError for one of a package that cannot
    be imported."""
    if group not in GROUP_SCHEMAS or not isinstance(values, dict):
        return None
    name = values.get(CHOSEN_BY[group])
    return own_choice(group, values) or (GROUP_SCHEMAS[group][name] if name in GROUP_SCHEMAS[group].offered() else None)


def own_choice(group: str, values: Any) -> type | None:
    """As `choice`, of our own ones alone."""
    for schema in GROUP_SCHEMAS[group].own.values() if group in GROUP_SCHEMAS else ():
        if isinstance(values, dict) and values.get(CHOSEN_BY[group]) == getattr(schema, CHOSEN_BY[group]):
            return schema
    return None


@cache
def primary() -> dict[str, Any]:
    """The values that conf/config.yaml gives to keys that every run has."""
    return dict(yaml.safe_load((shipped("conf") / "config.yaml").read_text(encoding="utf-8")))


def over(defaults: Any, values: Any) -> Any:
    """Nested values, and the defaults of keys that they lack."""
    if isinstance(defaults, dict) and isinstance(values, dict):
        return {**defaults, **{name: over(defaults.get(name), value) for name, value in values.items()}}
    if isinstance(defaults, list) and isinstance(values, list) and len(defaults) == len(values):
        return [over(*both) for both in zip(defaults, values, strict=True)]
    return values


def beyond(defaults: Any, values: Any) -> Any:
    """Nested values without the keys that are at their default; what is left of a layer stays in its place."""
    if isinstance(values, dict) and isinstance(defaults, dict):
        left = {name: beyond(defaults.get(name), value) for name, value in values.items() if value != defaults.get(name, NO_DEFAULT)}
        return {name: value for name, value in left.items() if value != {}}
    if isinstance(values, list) and isinstance(defaults, list) and len(defaults) == len(values):
        return [beyond(*both) for both in zip(defaults, values, strict=True)]
    return 0.0 if values == 0 and isinstance(values, float) else values  # -0.0 computes what 0.0 does


LONGEST = 60  # characters of a difference that is told whole


def differences(before: dict[str, Any], after: dict[str, Any], most: int = 4) -> str:
    """Where two configurations differ, in words: 'epochs 25 -> 60, model.dropout 0.0 -> 0.2'; the network's name first, what takes many
    words last, as 'another model.tower'."""
    old, new = flat(before), flat(after)
    other = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    told = {name: f"{name} {old.get(name, 'absent')} -> {new.get(name, 'absent')}" for name in other}
    long = [name for name in other if len(told[name]) > LONGEST]
    found = sorted((told[name] for name in other if name not in long), key=lambda text: not text.startswith("model.name "))
    found += [f"another {name}" for name in long]
    return ", ".join(found[:most]) + (f" and {len(found) - most} more" if len(found) > most else "")


def flat(values: dict[str, Any]) -> dict[str, Any]:
    """Nested values under dotted names, those that are not nested first; lists stay whole."""
    inner = {name: value for name, value in values.items() if isinstance(value, dict)}
    return {str(name): value for name, value in values.items() if name not in inner} | dict(leaves(inner))


def leaves(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested values, each with its dotted name, in their order."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
