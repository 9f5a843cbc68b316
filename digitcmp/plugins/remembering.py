"""What the compositions of a sweep's jobs have in common: files are read once, and what comes first in all of them is merged once.

Hydra reads every file anew for each job, and merges its own part and the schema, which no job changes, before what a job chooses.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

from hydra._internal.config_repository import ConfigRepository, IConfigRepository
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.default_element import ResultDefault
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig

COMMON = ("hydra/", "schema/config")  # files that come before what jobs choose
MERGED = "hydra/config"  # the one file that may have what they have together (hydra.searchpath)
Compose = Callable[[list[ResultDefault], IConfigRepository], DictConfig]


class Remembering:
    """Hydra's repository of files with a memory, which lasts as long as the loader of a sweep."""

    def __init__(self, files: ConfigRepository, known: dict[str, ConfigResult | None], merged: dict[str, DictConfig]) -> None:
        self.files, self.known, self.merged = files, known, merged

    def __getattr__(self, name: str) -> Any:
        """Everything else is as it was."""
        return getattr(self.files, name)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Remembering":
        """Every composition begins with a copy: of the repository, not of its memory."""
        return Remembering(copy.deepcopy(self.files, memo), self.known, self.merged)

    def initialize_sources(self, config_search_path: ConfigSearchPath) -> None:
        """Look elsewhere from now on, where files are others."""
        self.files.initialize_sources(config_search_path)
        self.known, self.merged = {}, {}

    def load_config(self, config_path: str) -> ConfigResult | None:
        """A file, not to be changed."""
        if config_path not in self.known:
            self.known[config_path] = self.files.load_config(config_path)
        return self.known[config_path]


class Prefixed:
    """Files, of which one is what others have been merged to."""

    def __init__(self, files: IConfigRepository, merged: DictConfig) -> None:
        self.files, self.merged = files, merged

    def load_config(self, config_path: str) -> ConfigResult | None:
        """A file."""
        if config_path == MERGED:
            return ConfigResult("hydra", "", copy.deepcopy(self.merged), {"package": ""})
        return self.files.load_config(config_path)


def compose(merge: Compose, defaults: Sequence[ResultDefault], repo: Any, files: IConfigRepository) -> DictConfig:
    """What the files in this list are merged to. merge: how Hydra does it; repo: where it finds them; files: the same, as they are to be
    merged, which is not to be for those that come first."""
    count = next((index for index, one in enumerate(defaults) if not str(one.config_path).startswith(COMMON)), len(defaults))
    first = list(defaults[:count])
    memory = getattr(repo, "delegate", None)
    if not isinstance(memory, Remembering) or MERGED not in [one.config_path for one in first]:
        return merge(list(defaults), files)
    name = repr(first)
    if name not in memory.merged:
        memory.merged[name] = merge(first, files)
    whole = ResultDefault(config_path=MERGED, package="")
    return merge([whole, *defaults[count:]], Prefixed(files, memory.merged[name]))  # type: ignore[arg-type]
