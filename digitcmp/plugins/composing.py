"""Composing the jobs of a sweep: those that differ in nothing but their seed are composed once and copied.

Hydra composes every job twice (once to see whether that is possible, once to run it), at some 40 ms each. A hundred
seeds of one configuration differ in two places only, the key `seed` and their list of overrides. Everything else is the
same text: what depends on the seed is an interpolation, which is resolved in the copy as it would be in the original.
"""

import copy
import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf

from digitcmp.config.composed import typed
from digitcmp.config.schema import Config

SEED = re.compile(r"seed=(0|[1-9]\d*)")
KEPT = 100  # compositions; each is some 160 KB


@dataclass
class Template:
    """What was composed for one seed, and where that seed stands in hydra.overrides.task."""

    composed: DictConfig
    index: int
    config: Config | None = None

    def reseed(self, seed: int) -> DictConfig:
        """What would have been composed for another seed: the template itself, until it gets the next one."""
        OmegaConf.update(self.composed, "seed", seed, merge=True)
        self.composed.hydra.overrides.task[self.index] = f"seed={seed}"
        return self.composed

    def typed(self, seed: int) -> Config:
        """The typed configuration for this seed; checked once. Raises what `digitcmp.config.composed.typed` raises."""
        if self.config is None:
            config = typed(self.composed)
            if has_interpolations(self.composed):
                return typed(self.reseed(seed))  # something may depend on the seed
            self.config = config
        return replace(self.config, seed=seed)


def has_interpolations(composed: DictConfig) -> bool:
    """Whether a value of the job's own part (not `hydra`) is worked out from others."""
    own = OmegaConf.masked_copy(composed, [str(name) for name in composed if name != "hydra"])
    return "${" in repr(OmegaConf.to_container(own, resolve=False))


class SeedLoader:
    """Hydra's loader of configurations, with a memory for jobs that differ in their seed alone."""

    def __init__(self, loader: ConfigLoader) -> None:
        self.loader = loader
        self.templates: OrderedDict[tuple[Any, ...], Template] = OrderedDict()

    def __getattr__(self, name: str) -> Any:
        """Everything else is as it was."""
        return getattr(self.loader, name)

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: Sequence[str]) -> DictConfig:
        """The composed configuration of one job, good until the next is asked for: a sweeper only looks whether there is one.

        Raises what Hydra raises when it cannot be composed.
        """
        template = self.template(master_config, list(sweep_overrides))
        return template if isinstance(template, DictConfig) else template.composed

    def compose(self, master_config: DictConfig, sweep_overrides: Sequence[str]) -> tuple[DictConfig, Template | None]:
        """The composed configuration of one job, to be kept, and the template that it shares with others, if it does."""
        template = self.template(master_config, list(sweep_overrides))
        return (template, None) if isinstance(template, DictConfig) else (copy.deepcopy(template.composed), template)

    def template(self, master_config: DictConfig, overrides: list[str]) -> Template | DictConfig:
        """The template of these overrides, with their seed in it; what Hydra composes where there can be none."""
        if (seed := only_seed(overrides)) is None:
            return self.loader.load_sweep_config(master_config, overrides)
        key = (id(master_config), *("seed=" if SEED.fullmatch(override) else override for override in overrides))
        if key in self.templates:
            self.templates.move_to_end(key)
            self.templates[key].reseed(seed)
            return self.templates[key]
        composed = self.loader.load_sweep_config(master_config, overrides)
        if "seed" in composed.hydra.runtime.choices:  # there is a group of that name, and seed=1 chooses from it
            return composed
        index = list(composed.hydra.overrides.task).index(f"seed={seed}")
        template = self.templates[key] = Template(composed, index)
        if len(self.templates) > KEPT:
            self.templates.popitem(last=False)
        return template


def only_seed(overrides: list[str]) -> int | None:
    """The seed, where it is set once, as a plain number; None otherwise."""
    found = [override for override in overrides if override.lstrip("+~").partition("=")[0] == "seed"]
    plain = SEED.fullmatch(found[0]) if len(found) == 1 else None
    return int(plain[1]) if plain else None
