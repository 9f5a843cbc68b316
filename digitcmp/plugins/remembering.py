"""What the compositions of a sweep's jobs have in common: overrides are parsed and files are read once, and what several of them are
merged to is merged once.

Hydra reads every file anew for each job, and merges its own part and the schema, which no job changes, before what a job chooses; the
rest is merged key by key (`digitcmp.plugins.merging`).
"""

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from hydra._internal.config_repository import ConfigRepository, IConfigRepository
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.default_element import ResultDefault
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig

from digitcmp.errors import ConfigError
from digitcmp.plugins.merging import FIRST, Known, Merge, merge_by_key

DEEP, LONG = 20, 1000  # brackets within each other; digits of a number
COMMON = ("hydra/", "schema/config")  # files that come before what jobs choose
parse = OverridesParser.parse_rule
RULE = "override"


@dataclass
class Memory:
    """files: as they were read; first: what the first ones were merged to, by their names; keys: those of the trees that came of them."""

    files: dict[str, ConfigResult | None] = field(default_factory=dict)
    first: dict[str, DictConfig] = field(default_factory=dict)
    keys: dict[str, Known] = field(default_factory=dict)


class Remembering:
    """Hydra's repository of files with a memory, which lasts as long as the loader of a sweep."""

    def __init__(self, files: ConfigRepository, memory: Memory) -> None:
        self.files, self.memory = files, memory

    def __getattr__(self, name: str) -> Any:
        """Everything else is as it was."""
        return getattr(self.files, name)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Remembering":
        """Every composition begins with a copy: of the repository, not of its memory."""
        return Remembering(copy.deepcopy(self.files, memo), self.memory)

    def __reduce__(self) -> tuple[Any, ...]:
        """Launchers that send jobs elsewhere send the repository, without its memory."""
        return copy.copy, (self.files,)

    def initialize_sources(self, config_search_path: ConfigSearchPath) -> None:
        """Look elsewhere from now on, where files are others."""
        self.files.initialize_sources(config_search_path)
        self.memory = Memory()

    def load_config(self, config_path: str) -> ConfigResult | None:
        """A file, not to be changed."""
        if config_path not in self.memory.files:
            self.memory.files[config_path] = self.files.load_config(config_path)
        return self.memory.files[config_path]


class Prefixed:
    """Files, of which one is what others have been merged to."""

    def __init__(self, files: IConfigRepository, merged: DictConfig) -> None:
        self.files, self.merged = files, merged

    def load_config(self, config_path: str) -> ConfigResult | None:
        """A file."""
        if config_path == FIRST:
            return ConfigResult("hydra", "", copy.deepcopy(self.merged), {"package": ""})
        return self.files.load_config(config_path)


def compose(
    merge: Merge, defaults: Sequence[ResultDefault], repo: Any, files: IConfigRepository, left_out: Mapping[str, Sequence[str]]
) -> DictConfig:
    """What the files in this list are merged to. merge: how Hydra does it; repo: where it finds them; files: the same, as they are to be
    merged, which is not to be for those that come first: without the keys in left_out."""
    count = next((index for index, one in enumerate(defaults) if not str(one.config_path).startswith(COMMON)), len(defaults))
    first, rest = list(defaults[:count]), defaults[count:]
    found = getattr(repo, "delegate", None)
    if not isinstance(found, Remembering) or FIRST not in [one.config_path for one in first]:
        return merge(list(defaults), files)
    memory, name = found.memory, repr(first)
    if name not in memory.first:
        memory.first[name] = merge(first, files)
    by_key = merge_by_key(merge, memory.first[name], rest, repo, left_out, memory.keys.setdefault(name, Known()))
    if by_key is not None:
        return by_key
    whole = ResultDefault(config_path=FIRST, package="")
    return merge([whole, *rest], Prefixed(files, memory.first[name]))  # type: ignore[arg-type]


def check_meant(text: str) -> None:
    """Raise ConfigError for an override with more brackets within each other, or digits in a row, than its parser can take: it ends in
    errors that do not say where."""
    depth = deepest = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    key = text.partition("=")[0]
    if deepest > DEEP:
        raise ConfigError(f"{key}: {deepest} brackets within each other; at most {DEEP} are read")
    if digits := re.search(rf"\d{{{LONG + 1},}}", text):
        raise ConfigError(f"{key}: a number of {len(digits[0])} digits; at most {LONG} are read")


@lru_cache(maxsize=4096)
def parsed(text: str) -> Override:
    """An override, not to be changed. Raises what Hydra raises for a text that is none, and ConfigError for what nobody can mean."""
    check_meant(text)
    override: Override = parse(OverridesParser.create(), text, RULE)
    return override


def register() -> None:
    """Let Hydra parse an override that many jobs have only once."""

    def own(self: OverridesParser, s: str, rule_name: str) -> Any:
        # a copy: whoever gets it says which loader it is for
        return copy.deepcopy(parsed(s)) if rule_name == RULE else parse(self, s, rule_name)

    OverridesParser.parse_rule = own  # type: ignore[method-assign]
