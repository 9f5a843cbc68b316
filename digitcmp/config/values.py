"""The values of a configuration: every leaf of it, and whether it is what its key declares."""

import math
import operator
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from digitcmp.config.blocks import options_of
from digitcmp.config.messages import unknown_key
from digitcmp.config.schema import MOST_SEED, ConvLayer, DenseLayer, limits_in_words
from digitcmp.errors import ConfigError
from digitcmp.names import check_folder, check_name, check_option

LIMITS = {"at_least": operator.ge, "above": operator.gt, "at_most": operator.le, "below": operator.lt}  # see `digitcmp.config.schema.key`
MOST_PARTS = 1000  # of a list: of layers, names, weights


def walk(node: Any, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every leaf: its dotted path, its value, what `key(...)` declared. Raises ConfigError for a key that the schema does not have, and for
    a list that nobody can mean."""
    for unknown in sorted(set(vars(node)) - {item.name for item in fields(node)}):
        raise ConfigError(unknown_key(f"{prefix}{unknown}", f"={getattr(node, unknown)}", type(node)))
    for item in fields(node):
        value, path = getattr(node, item.name), f"{prefix}{item.name}"
        if item.name == "options" and isinstance(node, ConvLayer | DenseLayer):
            value = options_of(node, prefix.rstrip("."))  # whose keys have ranges, too
        if is_dataclass(value):
            yield from walk(value, f"{path}.")
        elif item.metadata.get("takes"):
            yield from ((path, one, item.metadata) for one in ([value] if not isinstance(value, list) else [value, *value]))
        elif isinstance(value, list | tuple):
            if len(value) > MOST_PARTS:
                raise ConfigError(f"{path}: a list of {len(value):,}; at most {MOST_PARTS:,} are read")
            for index, element in enumerate(value):
                leaf = f"{path}[{index}]"
                yield from walk(element, f"{leaf}.") if is_dataclass(element) else [(leaf, element, item.metadata)]
        else:
            yield path, value, item.metadata


def check_value(path: str, value: Any, metadata: Any) -> None:
    """Raise ConfigError unless the value is finite and within the limits or among the choices declared for its key."""
    if takes := metadata.get("takes"):
        check_takes(path, value, takes)
    choices = metadata.get("choices", ())
    if choices and re.sub(r"\bN$|:(\d{1,3})$", lambda number: ":N" if number[1] else "", str(value)) not in map(str, choices):
        raise ConfigError(f"{path}={value}: choose one of {', '.join(map(str, choices))}")
    if (word := metadata.get("word")) and isinstance(value, str) and value != word:
        raise ConfigError(f"{path}={value}: must be a whole number, or {word}")
    if isinstance(value, str) and not choices:
        check_text(path, value, metadata.get("text", "name"))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    limits = metadata.get("limits", {})
    if isinstance(value, int):
        limits = {**limits, "at_most": min(limits.get("at_most", MOST_SEED), MOST_SEED)} if abs(value) > MOST_SEED else limits
    finite = isinstance(value, int) or math.isfinite(value)  # a whole number may be too large for a float
    if not finite or not all(LIMITS[name](value, limit) for name, limit in limits.items()):
        kind = "a whole number" if isinstance(value, int) else "a finite number"  # which -1 becomes as -1.0
        raise ConfigError(f"{path}={str(value).removesuffix('.0')}: must be {', '.join([kind, *limits_in_words(limits)])}")


def check_takes(path: str, value: Any, takes: str) -> None:
    """Raise ConfigError for a value of another kind than its key takes (see `digitcmp.config.schema.key`)."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if takes == "share" and not (number or isinstance(value, bool)):
        raise ConfigError(f"{path}={value}: must be true, false or a number")
    whole = [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, int) and not isinstance(one, bool)]
    if takes != "share" and not (value is None and takes == "pair or null") and len(whole) != (2 if isinstance(value, list) else 1):
        raise ConfigError(f"{path}={value}: must be a whole number, or one for each direction, as in [3,5]")


def check_text(path: str, value: str, kind: str) -> None:
    """Raise ConfigError for a name or a folder that is none (see `digitcmp.names`)."""
    if kind == "name":
        check_name(path, value)
    elif kind == "folder":
        check_folder(path, value)
    elif kind == "option":
        check_option(path, value)
