"""What a recipe (an experiment, a rung of a ladder, a sweep's file) says about a choice belongs to that choice: where the command line
chooses otherwise, `+experiment=net1 optimizer=adam`, the recipe's learning rate for SGD is left out, and a line says so.

Of recipes that build on others, each has the choices that it makes itself, or those that it builds on make; where there are none, what
stands when all of them are composed. So `optimizer=sgd` on a recipe that makes Adam of `net1` is the SGD of `net1`, and a recipe that makes
Adam of `net1` has Adam's own learning rate. What a recipe says of networks, data and augmentation goes on in those that are built on it,
whatever they choose (`best_small` has the dropout of `best`), as long as the command line chooses nothing else - but for a network of its
own (`override /model: null`), which is nothing but what its file says.
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
TUNED = ("optimizer", "scheduler")  # those whose numbers are nothing for another choice, whoever makes it
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
        self.parents = {str(one.config_path): str(one.parent) for one in recipes}
        self.standing: dict[str, str | None] = {}  # what they choose together
        for path in last_first(self.parents):
            self.standing = {**self.own[path], **self.standing}
        self.left_out = {path: self.strangers(path) for path in self.recipes}
        self.tell_left_out()

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

    def strangers(self, path: str) -> dict[str, str | None]:
        """The groups of which a recipe says something about a choice that was not made, and these choices."""
        strange: dict[str, str | None] = {}
        for group, standing in self.standing.items():
            made = (self.own[one][group] for one in built_on(path, self.parents) if group in self.own[one])
            chosen, own = self.chosen.get(group), next(made, standing)
            kept = chosen == own or (chosen == standing and group not in TUNED and None not in (chosen, own))
            if not kept and self.said(path, group):
                strange[group] = own
        return strange

    def tell_left_out(self) -> None:
        """Say what is left out, but for keys of which a recipe behind it says something that stands."""
        for place, (path, strange) in enumerate(self.left_out.items()):
            for group, own in strange.items():
                others = [other for other in self.recipes[place:] if group not in self.left_out[other]]
                stands = {key for other in others for key in self.said(other, group)}
                if keys := [f"{group}.{key}" for key in self.said(path, group) if key not in stands]:
                    what = f"what +{path.replace('/', '=', 1)} says for {group}={own or 'null'} is left out ({', '.join(keys)})"
                    tell(f"{group}={self.chosen.get(group) or 'null'}: {what}")

    def said(self, path: str, group: str) -> list[str]:
        """The keys of a group of which a recipe says something."""
        found = self.files.load_config(path)
        values = found.config.get(group) if found is not None and isinstance(found.config, DictConfig) else None
        return list(map(str, values)) if isinstance(values, DictConfig) else []


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
    return [one for path in reversed(list(parents)) if parents[path] not in parents for one in built_on(path, parents)]


def built_on(path: str, parents: Mapping[str, str]) -> Iterator[str]:
    """A recipe and those that it builds on, in the order of `last_first`."""
    yield path
    for one in reversed([other for other in parents if parents[other] == path]):
        yield from built_on(one, parents)


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
