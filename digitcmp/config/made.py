"""From trees of keys to the dataclasses that they are of, some of which are somebody's own; and from one process to another."""

from dataclasses import dataclass
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from digitcmp.config.registry import Registry
from digitcmp.config.schema import Config
from digitcmp.errors import ConfigError, DigitcmpError


def object_of(where: str, tree: Any) -> Any:
    """The objects of a tree. Raises what OmegaConf raises; and ConfigError, which begins with `where`, for a dataclass of somebody's own
    that fails while it is made (`__post_init__`)."""
    try:
        return OmegaConf.to_object(tree)
    except (OmegaConfBaseException, DigitcmpError):
        raise
    except Exception as error:
        raise ConfigError(f"{where}: its keys cannot be taken ({type(error).__name__}: {error})") from error


@dataclass(frozen=True)
class Plain:
    """The keys of a choice that a package offers, on their way to another process: a class that was made in a function could not be found
    there by its name. values: as a YAML file would have them."""

    choice: str
    values: Any


def plain(registry: Registry[type], chosen: str, keys: Any) -> Any:
    """An object of a choice's keys as `Plain`, where its class is what a package offers; else itself. chosen: the key that names it."""
    choice = str(getattr(keys, chosen))
    if choice in registry.own or choice not in registry or registry[choice] is not type(keys):
        return keys
    return Plain(choice, OmegaConf.to_container(OmegaConf.structured(keys)))


def rebuilt(group: str, registry: Registry[type], keys: Any) -> Any:
    """The object again. Raises ConfigError where this process has no such choice, or its class fails."""
    if not isinstance(keys, Plain):
        return keys
    if keys.choice not in registry:
        raise ConfigError(f"{group}={keys.choice}: what offers it is not there in the process that it was sent to")
    return object_of(group, OmegaConf.merge(OmegaConf.structured(registry[keys.choice]), keys.values))


def in_order(config: Config) -> Config:
    """The configuration itself, with lists whose order means nothing in one order: however they were written, it is one configuration, of
    which every number is the same."""
    config.optimizer.groups.sort(key=lambda group: group.part)
    config.loss.terms.sort(key=lambda term: (term.loss, term.weight))
    return config
