"""What a recipe (an experiment, a rung of a ladder, a sweep's file) says about a choice belongs to that choice: where the command line
chooses otherwise, `+experiment=net1 optimizer=adam`, the recipe's learning rate for SGD is left out, and a line says so."""

import copy
from collections import defaultdict
from collections.abc import Sequence
from functools import cache, partial
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import IConfigRepository
from hydra.core.default_element import GroupDefault, ResultDefault
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, open_dict

from digitcmp.config.schema import GROUP_SCHEMAS
from digitcmp.plugins import remembering
from digitcmp.screen import complain

GROUPS = ("model", *GROUP_SCHEMAS)  # those whose choices bring keys of their own
compose = ConfigLoaderImpl._compose_config_from_defaults_list


class Recipes:
    """The files that Hydra is about to merge, without what belongs to choices that were not made."""

    def __init__(self, defaults: Sequence[ResultDefault], files: IConfigRepository) -> None:
        self.files = files
        primary = next((str(one.config_path) for one in defaults if one.primary), "config")
        made = {one.package: str(one.config_path) for one in defaults if one.parent == primary and one.package in GROUPS}
        self.chosen = {group: path.removeprefix(f"{group}/") for group, path in made.items()}
        whole = [str(one.config_path) for one in defaults if one.package == "" and not one.primary]
        self.recipes = [path for path in whole if not path.startswith(("schema/", "hydra/"))]
        self.own: defaultdict[str, list[str]] = defaultdict(list)  # what the recipes choose by themselves
        for path in self.recipes:
            for entry in getattr(files.load_config(path), "defaults_list", None) or []:
                if isinstance(entry, GroupDefault) and entry.override and isinstance(entry.value, str):
                    self.own[str(entry.group).lstrip("/")].append(entry.value)
        self.left_out = {path: self.strangers(path) for path in self.recipes}

    def __getattr__(self, name: str) -> Any:
        """Everything else is as it was."""
        return getattr(self.files, name)

    def load_config(self, config_path: str) -> ConfigResult | None:
        """A file, without what it says about choices that were not made."""
        found = copy.copy(self.files.load_config(config_path))
        if found is None:
            return None
        found.config = copy.deepcopy(found.config)  # what is merged becomes part of the whole, and a file may be read once for many jobs
        for group in self.left_out.get(config_path, ()):
            with open_dict(found.config):
                del found.config[group]
        return found

    def strangers(self, path: str) -> list[str]:
        """The groups of which a recipe says something about a choice that was not made."""
        found, strange = self.files.load_config(path), list[str]()
        if found is None or not isinstance(found.config, DictConfig):
            return strange
        for group, own in self.own.items():
            chosen, said = self.chosen.get(group, own[-1]), found.config.get(group)
            if chosen not in own and isinstance(said, DictConfig) and len(said):
                keys = ", ".join(f"{group}.{name}" for name in map(str, said))
                tell(f"{group}={chosen}: what +{path.replace('/', '=', 1)} says for {group}={own[-1]} is left out ({keys})")
                strange.append(group)
        return strange


@cache
def tell(line: str) -> None:
    """Say it on stderr, once."""
    complain(line)


def register() -> None:
    """Let Hydra merge files as `Recipes` has them."""

    def without_strangers(self: ConfigLoaderImpl, defaults: list[ResultDefault], repo: IConfigRepository) -> DictConfig:
        recipes = Recipes(defaults, repo)
        return remembering.compose(partial(compose, self), defaults, repo, recipes, recipes.left_out)  # type: ignore[arg-type]

    ConfigLoaderImpl._compose_config_from_defaults_list = without_strangers  # type: ignore[method-assign]
