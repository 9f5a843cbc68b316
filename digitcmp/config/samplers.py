"""What is said of a key that a sampler of the official Optuna sweeper does not have, which Hydra tells before anything can be checked."""

from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

GROUP, NODE = "hydra/sweeper/sampler", "hydra.sweeper.sampler"


def of_samplers(path: str, value: str) -> str:
    """Why a sampler does not take a key, and what would be right; empty for any other key. value: what it was to get, with its equals
    sign, if that is known."""
    above, _, name = path.rpartition(".")
    if above != NODE:
        return ""
    shown, owners = path + value, [choice for choice in choices() if name in keys_of(choice)]
    if owners and value.startswith("={"):  # a key without a value yet takes keys of its own so alone
        return f"{shown}: this is added with a plus sign: +{shown}"
    if owners:
        return f"{shown}: the chosen sampler has no such key; it belongs to {', '.join(f'{GROUP}={choice}' for choice in owners)}"
    close = get_close_matches(name, sorted({one for choice in choices() for one in keys_of(choice)}), n=1)
    near = f" (did you mean {NODE}.{close[0]}?)" if close else ""
    return f"{shown}: there is no such key{near}; --cfg hydra -p {NODE} shows those of the chosen sampler"


def choices() -> list[str]:
    """The samplers that Hydra knows without files of anybody's own."""
    return [name.removesuffix(".yaml") for name in ConfigStore.instance().list(GROUP)]


def schema_of(choice: str) -> Any:
    """The dataclass of a sampler's keys; None for one of somebody's own."""
    if choice not in choices():
        return None
    return OmegaConf.get_type(ConfigStore.instance().load(f"{GROUP}/{choice}.yaml").node)


def keys_of(choice: str) -> list[str]:
    """The keys of a sampler."""
    kind = schema_of(choice)
    return [item.name for item in fields(kind) if not item.name.startswith("_")] if is_dataclass(kind) else []
