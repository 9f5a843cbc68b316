"""What a recipe (an experiment, a rung of a ladder, a sweep's file) says about a choice belongs to that choice: where the command line
chooses otherwise, `+experiment=net1 optimizer=adam`, the recipe's learning rate for SGD is left out, and a line says so.

Of recipes that build on others, each has the choices that it makes itself; where it makes none, the one that stands when all of them are
composed. So `optimizer=sgd` on a recipe that makes Adam of `net1` is the SGD of `net1`. As long as the command line chooses nothing else,
what a recipe says goes on in those that are built on it, whatever they choose (`best_small` has the dropout of `best`) - but for a network
of its own (`override /model: null`), which is nothing but what its file says.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
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
        made = {group: str(one.config_path) for one in defaults if (group := group_of(one))}
        self.chosen: dict[str, str | None] = {group: path.removeprefix(f"{group}/") for group, path in made.items()}
        whole = [one for one in defaults if one.package == "" and not one.primary]
        recipes = [one for one in whole if not str(one.config_path).startswith(("schema/", "hydra/"))]
        self.recipes = [str(one.config_path) for one in recipes]
        self.own = {path: choices_of(files.load_config(path)) for path in self.recipes}
        self.standing: dict[str, str | None] = {}  # what they choose together
        for path in last_first({str(one.config_path): str(one.parent) for one in recipes}):
            self.standing = {**self.own[path], **self.standing}
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
        for group, standing in self.standing.items():
            chosen, own = self.chosen.get(group), self.own[path].get(group, standing)
            said = found.config.get(group)
            kept = chosen == own or (chosen == standing and None not in (chosen, own))
            if not kept and isinstance(said, DictConfig) and len(said):
                keys = ", ".join(f"{group}.{name}" for name in map(str, said))
                what = f"what +{path.replace('/', '=', 1)} says for {group}={own or 'null'} is left out ({keys})"
                tell(f"{group}={chosen or 'null'}: {what}")
                strange.append(group)
        return strange


def group_of(default: ResultDefault) -> str:
    """The group of which a file is the choice; empty for any other file, as one that a choice builds on."""
    group, path = str(default.package), str(default.config_path)
    own = group in GROUPS and path.startswith(f"{group}/")
    return group if own and not str(default.parent).startswith(f"{group}/") else ""


def choices_of(recipe: ConfigResult | None) -> dict[str, str | None]:
    """What a recipe chooses itself, by group: None for a choice of nothing."""
    entries = [one for one in getattr(recipe, "defaults_list", None) or [] if isinstance(one, GroupDefault) and one.override]
    named = {str(one.group).lstrip("/"): one.value for one in entries}
    # a choice that is a reference is whatever it refers to
    texts = {group: value for group, value in named.items() if group in GROUPS and "${" not in str(value)}
    return {group: None if value is None else str(value) for group, value in texts.items()}


def last_first(parents: Mapping[str, str]) -> list[str]:
    """Recipes in the order in which their choices count: each before those that it builds on, of which the last counts most.

    parents: where each is built on, in the order of merging.
    """
    below = {path: [one for one in parents if parents[one] == path] for path in parents}

    def walk(path: str) -> Iterator[str]:
        yield path
        for one in reversed(below[path]):
            yield from walk(one)

    return [one for path in reversed(list(parents)) if parents[path] not in parents for one in walk(path)]


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
