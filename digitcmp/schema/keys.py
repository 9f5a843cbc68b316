"""The keys of dataclasses as JSON schema: types, ranges, choices, meanings."""

from collections.abc import Iterator
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import Field, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from digitcmp.config.blocks import LAYERS
from digitcmp.config.schema import AuxHead, Comparator, ConvLayer, DenseLayer, DigitHead, ParameterGroup
from digitcmp.config.schema.key import MISSING
from digitcmp.config.schema.loss import LossTerm
from digitcmp.schema.blocks import by_kind, names

Node = dict[str, Any]
LIMITS = {"at_least": "minimum", "above": "exclusiveMinimum", "at_most": "maximum", "below": "exclusiveMaximum"}
SHARED: tuple[type, ...] = (ConvLayer, DenseLayer, DigitHead, AuxHead, Comparator, ParameterGroup, LossTerm)  # once in a schema
REFERENCE: Node = {"$ref": "#/definitions/reference"}  # what stands for a value that another file gives
DEFINED: dict[str, Node] = {
    "reference": {
        "description": "The value of another key, of the environment, or ??? for one that must be given.",
        "type": "string",
        "pattern": r"^\?\?\?$|\$\{.+\}",
    }
}
PLAIN: dict[Any, str] = {bool: "boolean", int: "integer", float: "number", str: "string", NoneType: "null"}


def properties(node: Any) -> Node:
    """The keys of a dataclass."""
    hints = get_type_hints(node)
    return {item.name: described(item, hints[item.name]) for item in fields(node) if not item.name.startswith("_")}


def merged(nodes: list[type]) -> Node:
    """The keys of several dataclasses; one that differs between them takes what any of them takes."""
    found: dict[str, list[Node]] = {}
    for node in nodes:
        for name, one in properties(node).items():
            known = found.setdefault(name, [])
            if without_default(one) not in map(without_default, known):
                known.append(one)
    return {name: several[0] if len(several) == 1 else {"anyOf": several} for name, several in found.items()}


def without_default(node: Node) -> Node:
    """What a key takes."""
    return {name: value for name, value in node.items() if name != "default"}


def described(item: "Field[Any]", hint: Any) -> Node:
    """A key: what it means, its default in the program where it has one, and what it takes."""
    told: Node = {"description": item.metadata["help"]}
    if item.default is not NO_DEFAULT and item.default != MISSING:
        told["default"] = list(item.default) if isinstance(item.default, tuple) else item.default
    return {**told, **value_of(hint, item.metadata)}


def value_of(hint: Any, metadata: Any) -> Node:
    """What a key takes, a reference included."""
    if is_dataclass(hint):
        return nested(hint)
    if takes := metadata.get("takes"):
        return {"anyOf": [*taken(takes, metadata), REFERENCE]}
    return {"anyOf": [*kinds(hint, metadata), REFERENCE]}


def nested(node: Any) -> Node:
    """A part with keys of its own; by its name where several parts are of its kind."""
    return {"$ref": f"#/definitions/{node.__name__}"} if node in SHARED else whole(node)


def whole(node: Any) -> Node:
    """A dataclass as it is; one of layers with what follows from their kind."""
    found: Node = {"type": "object", "properties": properties(node), "additionalProperties": False}
    if node in LAYERS.values():
        found["properties"]["kind"]["examples"] = names(node)
        found["allOf"] = by_kind(node, whole, REFERENCE)
    return found


def kinds(hint: Any, metadata: Any) -> Iterator[Node]:
    """What values of a type are like."""
    if get_origin(hint) in (UnionType, Union):
        members = get_args(hint)
        if metadata.get("choices"):
            yield from kinds(str, metadata)
            yield from ({"type": "null"} for one in members if one is NoneType)
        else:
            for one in members:
                yield from kinds(one, metadata)
    elif get_origin(hint) in (list, tuple):
        yield listed(hint, metadata)
    elif get_origin(hint) is dict:
        yield {"type": "object"}
    elif metadata.get("choices") and hint is not NoneType:
        yield from chosen(metadata["choices"])
    elif metadata.get("word") and hint is str:
        yield {"const": metadata["word"]}
    else:
        yield {"type": PLAIN[hint], **(limits(metadata) if hint in (int, float) else {})}


def listed(hint: Any, metadata: Any) -> Node:
    """A list, or a tuple of so many values."""
    inner = [one for one in get_args(hint) if one is not Ellipsis]
    items = nested(inner[0]) if is_dataclass(inner[0]) else {"anyOf": [*kinds(inner[0], metadata), REFERENCE]}
    size = {"minItems": len(inner), "maxItems": len(inner)} if get_origin(hint) is tuple and Ellipsis not in get_args(hint) else {}
    return {"type": "array", "items": items, **size}


def chosen(choices: tuple[Any, ...]) -> Iterator[Node]:
    """One of some values; N stands for a number."""
    yield {"enum": [one for one in choices if not str(one).endswith(":N")]}
    yield from ({"type": "string", "pattern": rf"^{str(one)[:-1]}\d{{1,3}}$"} for one in choices if str(one).endswith(":N"))


def taken(takes: str, metadata: Any) -> list[Node]:
    """What a key takes that is of no one type (`digitcmp.config.schema.key`)."""
    if takes == "share":
        return [{"type": "boolean"}, {"type": "number", **limits(metadata)}]
    whole_number = {"type": "integer", **limits(metadata)}
    pair = [whole_number, {"type": "array", "items": whole_number, "minItems": 2, "maxItems": 2}]
    return [*pair, {"type": "null"}] if takes == "pair or null" else pair


def limits(metadata: Any) -> Node:
    """The range of a number."""
    return {LIMITS[name]: limit for name, limit in metadata.get("limits", {}).items()}


def definitions(schema: Node) -> Node:
    """What a schema refers to by name, and what that refers to."""
    known = {**DEFINED, **{one.__name__: whole(one) for one in SHARED}}
    found: Node = {}
    waiting = [schema]
    while waiting:
        for name in sorted(references(waiting.pop()) & set(known) - set(found)):
            found[name] = known[name]
            waiting.append(known[name])
    return dict(sorted(found.items()))


def references(node: Any) -> set[str]:
    """The names that a schema refers to."""
    if isinstance(node, dict):
        own = {str(node["$ref"]).rpartition("/")[2]} if "$ref" in node else set()
        return own.union(*map(references, node.values()))
    return set[str]().union(*map(references, node)) if isinstance(node, list) else set()
