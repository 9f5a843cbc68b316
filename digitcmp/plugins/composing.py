"""Composing the jobs of a sweep: those that differ in nothing but plain values are composed once and copied.

Hydra needs some 40 ms for each job (less with `digitcmp.plugins.remembering`). The jobs of a sweep mostly have the same choices, and
other values of the same keys: `seed=3`, `optimizer.lr=0.1`. What is composed for one is what is composed for the next but for these
values and the list of overrides; what depends on them is an interpolation, which is resolved in the copy as it would be in the original.
"""

import copy
import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from digitcmp.config.overrides import overrides_of
from digitcmp.plugins.remembering import Memory, Remembering, parsed

PLAIN = re.compile(r"([A-Za-z_]\w*(?:\.\w+)*)=([-+.\w]+)")  # a key, and a value in which nothing is quoted, listed or called
SUBDIR = "hydra.sweep.subdir"  # the one of Hydra's own keys that jobs differ in
KEPT = 100  # compositions; each is some 160 KB


@dataclass
class Template:
    """What was composed for some values. places: the overrides that give them, by their keys: the list of overrides, and where in it."""

    composed: DictConfig
    places: dict[str, tuple[str, int]]
    given: list[str] = field(default_factory=list)  # the overrides that it stands for at the moment

    def fill(self, overrides: Sequence[str]) -> DictConfig:
        """What would have been composed for these values: the template itself, until it gets the next ones.

        Raises what OmegaConf raises for a value that its key does not take.
        """
        for text in overrides:
            if (key := key_of(text)) in self.places and text not in self.given:
                OmegaConf.update(self.composed, key, value_of(text), merge=True)
                name, index = self.places[key]
                self.composed.hydra.overrides[name][index] = text
        self.given = list(overrides)
        return self.composed


def overlap(one: str, other: str) -> bool:
    """Whether dotted keys are equal, or one lies below the other."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


def key_of(override: str) -> str:
    """What an override is for."""
    return override.lstrip("+~").partition("=")[0]


def value_of(override: str) -> Any:
    """The value that Hydra reads in it."""
    return parsed(override).value()


class TemplateLoader:
    """Hydra's loader of configurations, with a memory for jobs that differ in plain values alone."""

    def __init__(self, loader: ConfigLoader) -> None:
        self.loader = loader
        if isinstance(loader, ConfigLoaderImpl) and not isinstance(loader.repository, Remembering):
            loader.repository = cast(ConfigRepository, Remembering(loader.repository, Memory()))
        self.templates: OrderedDict[tuple[Any, ...], Template] = OrderedDict()
        self.groups = set(loader.list_groups(""))

    def __getattr__(self, name: str) -> Any:
        """Everything else is as it was."""
        return getattr(self.loader, name)

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: Sequence[str]) -> DictConfig:
        """The composed configuration of one job, good until the next is asked for: a sweeper only looks whether there is one.

        Raises what Hydra raises when it cannot be composed.
        """
        template = self.template(master_config, list(sweep_overrides))
        return template if isinstance(template, DictConfig) else template.composed

    def compose(self, master_config: DictConfig, sweep_overrides: Sequence[str]) -> DictConfig:
        """The composed configuration of one job, to be kept."""
        template = self.template(master_config, list(sweep_overrides))
        return template if isinstance(template, DictConfig) else copy.deepcopy(template.composed)

    def template(self, master_config: DictConfig, overrides: list[str]) -> Template | DictConfig:
        """The template of these overrides, with their values in it; what Hydra composes where there can be none."""
        if not (keys := self.plain_keys(overrides)):
            return self.loader.load_sweep_config(master_config, overrides)
        name = (id(master_config), *(f"{key}=" if (key := key_of(override)) in keys else override for override in overrides))
        if name in self.templates:
            self.templates.move_to_end(name)
            try:
                self.templates[name].fill(overrides)
            except OmegaConfBaseException:
                del self.templates[name]  # Hydra itself says what is wrong
            else:
                return self.templates[name]
        composed = self.loader.load_sweep_config(master_config, overrides)
        lists = {kind: overrides_of(composed.hydra, kind) for kind in ("task", "hydra")}
        given = {key: ("hydra" if key == SUBDIR else "task", text) for text in overrides if (key := key_of(text)) in keys}
        places = {key: (kind, len(lists[kind]) - 1 - lists[kind][::-1].index(text)) for key, (kind, text) in given.items()}
        self.templates[name] = Template(composed, places, given=overrides)
        if len(self.templates) > KEPT:
            self.templates.popitem(last=False)
        return self.templates[name]

    def plain_keys(self, overrides: Sequence[str]) -> set[str]:
        """The keys that get a plain value, and that nothing else is said about; none of a group, whose choice brings other keys."""
        named = [key_of(override) for override in overrides]
        found = [key for key, override in zip(named, overrides, strict=True) if PLAIN.fullmatch(override) and key not in self.groups]
        own = [key for key in found if key == SUBDIR or not key.startswith("hydra.")]
        values = [key for key in named if key not in self.groups]
        return {key for key in own if sum(overlap(key, other) for other in values) == 1}
