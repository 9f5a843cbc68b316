"""From the tree that Hydra composed for a job to the typed configuration of its run."""

import math
import operator
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from digitcmp.config.identity import completed, execution_keys
from digitcmp.config.rules import check_rules
from digitcmp.config.schema import GROUP_SCHEMAS, Config
from digitcmp.config.sizes import check_memory
from digitcmp.errors import ConfigError
from digitcmp.files import shipped
from digitcmp.names import check_folder, check_name

LIMITS = {"at_least": operator.ge, "above": operator.gt, "at_most": operator.le, "below": operator.lt}  # see `digitcmp.config.schema.key`
OFFICIAL = "hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper"


def typed(composed: DictConfig, hydra: Any = None) -> Config:
    """The typed configuration of a job, Hydra's own part left aside. Raises ConfigError.

    hydra: that part, where the tree comes without it (Hydra keeps it from the job's function). A job of the official Optuna sweeper
    is not tested, whatever it was told: a search must not look at the test pairs. (`digitcmp_optuna` says so in the overrides of its jobs.)
    """
    own = without_hydra(composed)
    if official(composed.hydra if hydra is None else hydra):
        check_validated(own)
        own.test = False
    return from_composed(own)


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

    Raises ConfigError when a required key has no value, a value lies outside its range, keys contradict each other, or memory is short.
    """
    config = unchecked(composed)
    for path, value, metadata in walk(config):
        check_value(path, value, metadata)
    check_rules(config)
    check_memory(config)
    return config


def from_recorded(values: dict[str, Any]) -> Config:
    """The typed configuration of a run that is on record (see `digitcmp.config.identity`), checked as a command line is.

    Keys that change no number have their defaults. Raises ConfigError for one that no run can have had.
    """
    tree = {**primary(), "seed": 0, **completed(values)}
    try:
        for group, choices in GROUP_SCHEMAS.items():
            tree[group] = OmegaConf.merge(OmegaConf.structured(schema_of(tree[group], choices)), tree[group])
        return from_composed(OmegaConf.create(tree))
    except (OmegaConfBaseException, TypeError, AttributeError, KeyError, ValueError) as error:
        raise ConfigError(f"its configuration is none ({str(error).splitlines()[0] if str(error) else type(error).__name__})") from error


def schema_of(values: dict[str, Any], choices: dict[str, type]) -> type:
    """The schema of the choice of a group whose values these are: the one with the same first value, as algorithm: SGD."""
    for schema in choices.values():
        first = fields(schema)[0]
        if values[first.name] == first.default:
            return schema
    raise ValueError(f"there is no such choice as {values}")


def primary() -> dict[str, Any]:
    """The keys of conf/config.yaml that change no number, at their values there."""
    values = OmegaConf.to_container(OmegaConf.load(shipped("conf") / "config.yaml"))
    assert isinstance(values, dict)
    return {str(name): values[name] for name in execution_keys() if name in values}


def unchecked(composed: DictConfig) -> Config:
    """As `from_composed`, for a tree that need not make sense as a whole. Raises ConfigError when a required key has no value."""
    tree = OmegaConf.merge(OmegaConf.structured(Config), composed)
    missing = sorted(OmegaConf.missing_keys(tree))
    if missing:
        raise ConfigError(f"{missing[0]} has no value; give it one, as in {missing[0]}=VALUE")
    config = OmegaConf.to_object(tree)
    assert isinstance(config, Config)
    return config


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
    if isinstance(value, str) and not choices:
        check_text(path, value, metadata.get("text", "name"))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    limits = metadata.get("limits", {})
    finite = isinstance(value, int) or math.isfinite(value)  # a whole number may be too large for a float
    if not finite or not all(LIMITS[name](value, limit) for name, limit in limits.items()):
        kind = "a whole number" if isinstance(value, int) else "a finite number"
        words = [kind, *(f"{name.replace('_', ' ')} {limit:,}" for name, limit in limits.items())]
        raise ConfigError(f"{path}={value}: must be {', '.join(words)}")


def check_text(path: str, value: str, kind: str) -> None:
    """Raise ConfigError for a name or a folder that is none (see `digitcmp.names`)."""
    if kind == "name":
        check_name(path, value)
    elif kind == "folder":
        check_folder(path, value)
