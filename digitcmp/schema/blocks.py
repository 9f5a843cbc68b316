"""What a layer takes that is made of some block: the keys that this block reads, and of the others nothing but their defaults."""

from collections.abc import Callable
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import fields
from typing import Any

from digitcmp.config.blocks import BLOCKS, LAYERS, Block

Node = dict[str, Any]
EITHER = ("norm", "drop")  # a mark that the network has not switched on is no mistake
NONE: Node = {"maxProperties": 0}  # no options


def names(layer: type) -> list[str]:
    """The blocks that such a layer can be made of, those of installed packages included."""
    return [name for name, block in BLOCKS.usable() if LAYERS[block.of] is layer]


def by_kind(layer: type, whole: Callable[[type], Node], reference: Node) -> list[Node]:
    """What follows from a layer's kind, a rule for each. Where a file does not name it, it is the default one. whole: makes a schema of a
    dataclass; reference: what stands for a value that another file gives."""
    default = layer().kind
    rules = []
    for name in names(layer):
        condition: Node = {"properties": {"kind": {"const": name}}, **({} if name == default else {"required": ["kind"]})}
        block = BLOCKS[name]
        options = NONE if block.options is None else whole(block.options)
        rules.append({"if": condition, "then": {"properties": {**unread(block, layer, reference), "options": options}}})
    return rules


def unread(block: Block, layer: type, reference: Node) -> Node:
    """The keys of a layer that a block does not read: their defaults alone."""
    others = [item for item in fields(layer) if item.name not in (*block.read, *EITHER) and item.default is not NO_DEFAULT]
    return {item.name: {"anyOf": [{"const": item.default}, reference]} for item in others}
