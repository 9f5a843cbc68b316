"""Merging the files of a job, of which each top-level key is merged once: jobs that choose other models share their optimizers.

What a top-level key is merged to depends on the files that say something of it, in their order, and on nothing else, but for references
to other keys: a reference to a mapping is replaced by the mapping when something is merged into it. So a key is remembered by these files,
and by those of the keys that they refer to. Hydra merges what is not known yet, and the root, which is nothing but its keys; where a
file refers to something that cannot be told from its text, it merges everything.
"""

import copy
import pickle
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

from hydra._internal.config_repository import IConfigRepository
from hydra.core.default_element import ResultDefault
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, OmegaConf
from omegaconf._utils import split_key
from omegaconf.base import Node

FIRST = "hydra/config"  # stands for the first files: the one that may have what they have together (hydra.searchpath)
REFERENCE = re.compile(r"\$\{([^{}]*)\}")
TEXTS = ("oc.env:", "hydra:", "now:", "digitcmp.run_name:")  # resolvers that give no mapping
MOST = 1000  # keys that are remembered; each is some 10 KB at most
Merge = Callable[[list[ResultDefault], IConfigRepository], DictConfig]
File = tuple[str, str]  # where it is, and the package it is for


@dataclass
class Known:
    """What is remembered. keys: as they were merged; files: the keys of each, and the keys that these refer to (`references`)."""

    keys: dict[tuple[Any, ...], bytes] = field(default_factory=dict)
    files: dict[File, dict[str, set[str] | None]] = field(default_factory=dict)


@dataclass
class Said:
    """Which files say something of each top-level key; which keys these refer to, None where it cannot be told."""

    files: dict[str, list[File]]
    refers: defaultdict[str, set[str] | None] = field(default_factory=lambda: defaultdict(set))

    def add(self, file: File, key: str, refers: set[str] | None) -> None:
        """Take in that a file says something of a key, and what it refers to."""
        self.files.setdefault(key, []).append(file)
        before = self.refers[key]
        self.refers[key] = None if before is None or refers is None else before | refers

    def needed(self, key: str) -> list[str]:
        """A key, and all that it refers to."""
        found = [key]
        for one in found:
            found += [other for other in sorted(self.refers.get(one) or ()) if other not in found]
        return found

    def name(self, key: str) -> tuple[Any, ...]:
        """What a key is merged from."""
        return (key, *((one, *self.files.get(one, ())) for one in self.needed(key)))


class Masked:
    """Files, of which those at the root have nothing but the wanted keys, and one is what the first ones have been merged to."""

    def __init__(self, files: IConfigRepository, first: DictConfig, wanted: Mapping[str, set[str]]) -> None:
        self.files, self.first, self.wanted = files, first, wanted

    def load_config(self, config_path: str) -> ConfigResult | None:
        """A file, which may be changed."""
        if config_path == FIRST:
            return ConfigResult("hydra", "", masked(self.first, self.wanted[FIRST]), {"package": ""})
        found = copy.copy(self.files.load_config(config_path))
        assert found is not None
        tree = cast(DictConfig, found.config)
        found.config = masked(tree, self.wanted[config_path]) if config_path in self.wanted else copy.deepcopy(tree)
        return found


def merge_by_key(
    merge: Merge,
    first: DictConfig,
    defaults: Sequence[ResultDefault],
    files: IConfigRepository,
    left_out: Mapping[str, Sequence[str]],
    known: Known,
) -> DictConfig | None:
    """What these files are merged to, after those that have been merged to `first`; None where Hydra has to merge them as a whole.

    left_out: keys of a file that are not to be merged. known: what has been merged before, which gets what is new.
    """
    said, found = Said({str(key): [] for key in first}), [file_of(default, files) for default in defaults]
    given = [file for file in found if file is not None]
    if len({path for path, _ in given}) < len(found):  # one is no mapping, or in two places
        return None
    for file in given:
        for key, refers in keys_of(file, files, known).items():
            if key not in left_out.get(file[0], ()):
                said.add(file, key, refers)
    if None in said.refers.values():
        return None
    names = {key: said.name(key) for key in said.files}
    wanted = {needed for key in names if names[key] not in known.keys for needed in said.needed(key)}
    kept = [one for one, (_, package) in zip(defaults, given, strict=True) if not package or top(package) in wanted]
    masks = {path: wanted - set(left_out.get(path, ())) for path, package in [(FIRST, ""), *given] if not package}
    root = merge([ResultDefault(config_path=FIRST, package=""), *kept], cast(IConfigRepository, Masked(files, first, masks)))
    nodes, new = dict[str, Node](), root.keys()  # asked for by itself, OmegaConf makes an error of each that is not there
    for key, name in names.items():
        if key in new:
            nodes[key] = cast(Node, root._get_node(key))
            remember(known, name, nodes[key])
        elif name in known.keys:
            nodes[key] = pickle.loads(known.keys[name])
    fill(root, nodes)
    if len(known.keys) > MOST:
        known.keys.clear()
    return root


def file_of(default: ResultDefault, files: IConfigRepository) -> File | None:
    """A file of a list of defaults; None where it is no mapping."""
    path = str(default.config_path)
    found = files.load_config(path)
    if found is None or not is_mapping(found.config):
        return None
    return path, str((found.header["package"] if default.package is None else default.package) or "")


def keys_of(file: File, files: IConfigRepository, known: Known) -> dict[str, set[str] | None]:
    """The top-level keys that a file says something of, and what they refer to."""
    if file not in known.files:
        path, package = file
        tree: Any = getattr(files.load_config(path), "config", None)
        parts = {top(package): tree} if package else {str(key): tree._get_node(key) for key in tree}
        known.files[file] = {key: references(part) for key, part in parts.items()}
    return known.files[file]


def top(package: str) -> str:
    """The top-level key that a package is below."""
    return str(split_key(package)[0])


def is_mapping(tree: Any) -> bool:
    """Whether a file is a mapping that has its keys."""
    return isinstance(tree, DictConfig) and isinstance(tree._content, dict)


def references(node: Any) -> set[str] | None:
    """The top-level keys that a part of a file refers to; None where this cannot be told from its text."""
    text = repr(OmegaConf.to_container(node, resolve=False) if OmegaConf.is_config(node) else node)
    found = [name for name in REFERENCE.findall(text) if not name.startswith(TEXTS)]
    if text.count("${") != len(REFERENCE.findall(text)) or not all(re.fullmatch(r"\w+(\.\w+)*", name) for name in found):
        return None
    return {name.partition(".")[0] for name in found}


def masked(tree: DictConfig, keys: set[str]) -> DictConfig:
    """A copy with nothing but these keys."""
    root = DictConfig({})
    root.__dict__["_metadata"] = copy.deepcopy(tree._metadata)
    fill(root, {str(key): copy.deepcopy(tree._get_node(key)) for key in tree if key in keys})
    return root


def fill(root: DictConfig, nodes: Mapping[str, Any]) -> None:
    """Make these all that there is in a tree."""
    root.__dict__["_content"] = dict(nodes)
    for node in nodes.values():
        node._set_parent(root)


def remember(known: Known, name: tuple[Any, ...], node: Node) -> None:
    """Keep a key as it was merged, without the tree around it; not where a package has given it a value that cannot be kept."""
    around = node._get_parent()
    node._set_parent(None)
    try:
        with suppress(pickle.PicklingError, AttributeError, TypeError):
            known.keys[name] = pickle.dumps(node)
    finally:
        node._set_parent(around)
