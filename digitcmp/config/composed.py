"""From the tree that Hydra composed for a job to the typed configuration of its run."""

import math
import operator
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from omegaconf import DictConfig, OmegaConf

from digitcmp.config.rules import check_rules
from digitcmp.config.schema import Config, DataConfig
from digitcmp.data.fingerprint import fingerprint_of
from digitcmp.errors import ConfigError

LIMITS = {"at_least": operator.ge, "above": operator.gt, "at_most": operator.le, "below": operator.lt}  # see `digitcmp.config.schema.key`
OFFICIAL = "hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper"


def typed(composed: DictConfig, hydra: Any = None) -> Config:
    """The typed configuration of a job, Hydra's own part left aside, with the fingerprint of its data. Raises ConfigError, and
    DataError for data whose fingerprint is wanted and that cannot be read.

    hydra: that part, where the tree comes without it (Hydra keeps it from the job's function). A job of the official Optuna sweeper
    is not tested, whatever it was told: a search must not look at the test pairs. (`digitcmp_optuna` says so in the overrides of its jobs.)
    """
    own = without_hydra(composed)
    if official(composed.hydra if hydra is None else hydra):
        check_validated(own)
        own.test = False
    return check(unchecked(own))


def check(config: Config) -> Config:
    """The configuration itself, with the fingerprint of its data. Raises ConfigError where it makes no sense, and DataError."""
    check_values(config)
    identify(config.data)
    return config


def identify(data: DataConfig) -> None:
    """Fill in which data these are. Raises ConfigError when they are not those that were asked for, DataError when they cannot be read."""
    asked, data.fingerprint = data.fingerprint, fingerprint_of(data.source, data.root)
    if asked not in (None, data.fingerprint):
        found = "is known by published sums and has none" if data.fingerprint is None else f"has {data.fingerprint}"
        raise ConfigError(
            f"data.fingerprint={asked}: data={data.source} at data.root={data.root} {found}; leave it out, or give those data"
        )


def without_hydra(composed: DictConfig) -> DictConfig:
    """A composed tree without Hydra's own part."""
    return OmegaConf.masked_copy(composed, [str(name) for name in composed if name != "hydra"])


def check_validated(composed: DictConfig) -> None:
    """Raise ConfigError when a search would have nothing to compare."""
    if composed.data.val_pairs == 0:
        raise ConfigError("data.val_pairs=0: a search compares validation accuracies; hold pairs out for that, as in data.val_pairs=200")


def official(hydra: Any) -> bool:
    """Whether a job belongs to a search of the official sweeper."""
    return hydra.mode is not None and hydra.mode.name == "MULTIRUN" and hydra.sweeper._target_ == OFFICIAL


def from_composed(composed: DictConfig) -> Config:
    """The typed configuration of a composed YAML tree.

    Raises ConfigError when a required key has no value, a value lies outside its range or keys contradict each other.
    """
    config = unchecked(composed)
    check_values(config)
    return config


def check_values(config: Config) -> None:
    """Raise ConfigError when a value lies outside its range or keys contradict each other."""
    for path, value, metadata in walk(config):
        check_value(path, value, metadata)
    check_rules(config)


def unchecked(composed: DictConfig) -> Config:
    """As `from_composed`, for a tree that need not make sense as a whole. Raises ConfigError when a required key has no value."""
    tree = OmegaConf.merge(empty(), composed)
    missing = sorted(OmegaConf.missing_keys(tree))
    if missing:
        raise ConfigError(f"{missing[0]} has no value; give it one, as in {missing[0]}=VALUE")
    config = OmegaConf.to_object(tree)
    assert isinstance(config, Config)
    return config


@cache
def empty() -> DictConfig:
    """The schema as a tree, which is not to be changed."""
    return OmegaConf.structured(Config)  # type: ignore[no-any-return]


def walk(node: Any, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every leaf: its dotted path, its value, what `key(...)` declared. Raises ConfigError for a key that the schema does not have."""
    for unknown in sorted(set(vars(node)) - {item.name for item in fields(node)}):
        raise ConfigError(f"{prefix}{unknown}={getattr(node, unknown)}: there is no such key; --cfg job shows all keys")
    for item in fields(node):
        value, path = getattr(node, item.name), f"{prefix}{item.name}"
        if is_dataclass(value):
            yield from walk(value, f"{path}.")
        elif isinstance(value, list):
            for index, element in enumerate(value):
                leaf = f"{path}[{index}]"
                yield from walk(element, f"{leaf}.") if is_dataclass(element) else [(leaf, element, item.metadata)]
        else:
            yield path, value, item.metadata


def check_value(path: str, value: Any, metadata: Any) -> None:
    """Raise ConfigError unless the value is finite and within the limits or among the choices declared for its key."""
    choices = metadata.get("choices", ())
    if choices and value not in choices:
        raise ConfigError(f"{path}={value}: choose one of {', '.join(map(str, choices))}")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    limits = metadata.get("limits", {})
    if not math.isfinite(value) or not all(LIMITS[name](value, limit) for name, limit in limits.items()):
        kind = "a whole number" if isinstance(value, int) else "a finite number"
        words = [kind, *(f"{name.replace('_', ' ')} {limit}" for name, limit in limits.items())]
        raise ConfigError(f"{path}={value}: must be {', '.join(words)}")
