"""What a search of the official Optuna sweeper may ask for: found out before anything is trained, as the sweeper itself finds some of it
only after its first trials, or does with it what nobody means."""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf

from digitcmp.config.composed import OFFICIAL
from digitcmp.config.messages import unknown_key
from digitcmp.config.overrides import overrides_of
from digitcmp.config.samplers import GROUP, schema_of
from digitcmp.config.schema.key import key
from digitcmp.config.unread import first
from digitcmp.config.values import check_value
from digitcmp.errors import ConfigError
from digitcmp.search.config import INSTEAD, MOST_TRIALS

SWEEPER, SAMPLER = "hydra.sweeper", "hydra.sweeper.sampler"
MADE_BY = ("hydra_plugins.hydra_optuna_sweeper.*", "optuna.samplers.*")  # what the sweeper lets Hydra make its sampler of
NEEDS = {"CmaEsSampler": "cmaes", "GPSampler": "torch"}  # which a sampler imports when its first trials are through
OBJECTS = {  # keys that take no text and no number, but what Hydra makes of something like this
    "independent_sampler": "optuna.samplers.RandomSampler",
    "crossover": "optuna.samplers.nsgaii.UniformCrossover",
    "mutation": "optuna.samplers.nsgaii.PolynomialMutation",
    "constraints_func": "",
    "source_trials": "",
}
URLS = "use sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE, or null"


@dataclass
class Settings:
    """The ranges of keys of the sweeper that take anything of their type. See `digitcmp.search.config` for those of the program's own."""

    direction: str = key("maximize", choices=("maximize", "minimize"), help="of the validation accuracy")
    study_name: str | None = key(None, help="the study's name in its storage")
    n_trials: int = key(20, at_least=1, at_most=MOST_TRIALS, help="trials of this command")
    n_jobs: int = key(2, at_least=1, help="trials at a time")
    max_failure_rate: float = key(0.0, at_least=0, at_most=1, help="share of the trials at a time that may fail")


@dataclass
class SamplerSettings:
    """The ranges of the keys of its samplers, by their names."""

    seed: int | None = key(None, at_least=0, at_most=2**32 - 1, help="of the sampler")
    n_startup_trials: int = key(10, at_least=0, help="drawn at random before the sampler takes over")
    n_ei_candidates: int = key(24, at_least=1, at_most=1_000_000, help="points among which one is taken")
    prior_weight: float | None = key(None, above=0, help="of the prior")
    qmc_type: str = key("sobol", choices=("sobol", "halton"), help="which sequence")
    sigma0: float | None = key(None, above=0, help="the first standard deviation")
    popsize: int | None = key(None, at_least=2, help="points of a generation")
    population_size: int = key(50, at_least=2, help="trials of a generation")
    mutation_prob: float | None = key(None, help="how often a parameter changes", at_least=0, at_most=1)
    crossover_prob: float = key(0.9, help="how often two trials are mixed", at_least=0, at_most=1)
    swapping_prob: float = key(0.5, help="how often a parameter is that of the other one", at_least=0, at_most=1)
    dividing_parameter: int = key(3, at_least=1, help="steps between reference points")


def check_official(config: DictConfig) -> None:
    """Raise ConfigError for what the official sweeper would do, and what makes no sense: searching for luck, several directions, values
    that its keys do not take, a space of which nothing can be drawn."""
    sweeper = config.hydra.sweeper
    if sweeper._target_ != OFFICIAL:
        return
    params = [f"{name}={value}" for name, value in (sweeper.params or {}).items()]
    given = OverridesParser.create().parse_overrides([*params, *overrides_of(config.hydra)])
    for override in filter(Override.is_sweep_override, given):
        if (name := override.get_key_element().lstrip("+")) in INSTEAD:
            raise ConfigError(f"{override.input_line}: {INSTEAD[name]}")
    check_keys(sweeper)
    fixed = {one.get_key_element() for one in given if not one.is_sweep_override()}  # a value counts, wherever it stands
    space = {name: one for one in given if (name := one.get_key_element()) not in fixed}
    if not space and not sweeper.custom_search_space:
        raise ConfigError("there is nothing to search; give a key a space, as in 'optimizer.lr=tag(log,interval(0.01,1))'")
    check_storage(sweeper.storage)
    choice = str(config.hydra.runtime.choices.get(GROUP))
    check_sampler(sweeper.sampler, choice)
    check_space(list(space.values()), choice)
    check_direction(sweeper)


def check_keys(sweeper: DictConfig) -> None:
    """Raise ConfigError for keys that the sweeper does not have, and values that it does not take."""
    if isinstance(sweeper.direction, ListConfig):
        raise ConfigError(f"{SWEEPER}.direction={as_given(sweeper.direction)}: a run has one objective; give one direction")
    check_known(sweeper, SWEEPER, OmegaConf.get_type(sweeper))
    for item in fields(Settings):
        value = sweeper.get(item.name)
        check_value(f"{SWEEPER}.{item.name}", as_given(value) if item.name == "direction" else value, item.metadata)
    if given := sweeper.custom_search_space:
        try:
            instantiate({"_target_": given, "_partial_": True})
        except Exception as error:
            told = "its code must be let in by Hydra; conditions and points to begin with are those of hydra/sweeper=digitcmp_optuna"
            raise ConfigError(f"{SWEEPER}.custom_search_space={given}: {first(str(error)).rstrip('.')}; {told}") from error


def check_known(node: DictConfig, path: str, kind: Any) -> None:
    """Raise ConfigError for a key that was added to those that there are. kind: the dataclass that has them."""
    if is_dataclass(kind) and (unknown := sorted({str(name) for name in node} - {item.name for item in fields(kind)})):
        raise ConfigError(unknown_key(f"{path}.{unknown[0]}", f"={as_given(node[unknown[0]])}", kind))


def as_given(value: Any) -> str:
    """A value as it is written on the command line."""
    if isinstance(value, ListConfig):
        return f"[{','.join(map(as_given, value))}]"
    if isinstance(value, DictConfig):
        return f"{{{','.join(f'{name!s}:{as_given(one)}' for name, one in value.items())}}}"
    return str(value).lower() if isinstance(value, bool) else "null" if value is None else str(getattr(value, "name", value))


def check_storage(url: Any) -> None:
    """Raise ConfigError for what is no URL of a database, and for one whose package is missing."""
    if url is None or (isinstance(url, DictConfig) and "_target_" in url):
        return
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    given = f"{SWEEPER}.storage={as_given(url)}"
    if not isinstance(url, str):
        raise ConfigError(f"{given}: {URLS}")
    if url.startswith("journal:"):
        raise ConfigError(f"{given}: a journal is for hydra/sweeper=digitcmp_optuna; here, {URLS}")
    try:
        make_url(url).get_dialect().import_dbapi()
    except (ArgumentError, ValueError) as error:  # ValueError: a port that is no number
        raise ConfigError(f"{given}: {URLS}") from error
    except ModuleNotFoundError as error:
        raise ConfigError(f"{given}: needs the package {error.name}; install it, or {URLS}") from error


def check_sampler(sampler: DictConfig, choice: str) -> None:
    """Raise ConfigError for values that a sampler does not take, whenever it would say so. choice: of the group hydra/sweeper/sampler."""
    check_known(sampler, SAMPLER, schema_of(choice))
    package = NEEDS.get(str(sampler._target_).rpartition(".")[2])
    if package and find_spec(package) is None:
        raise ConfigError(f"{GROUP}={choice}: needs the package {package}; pip install {package}, or choose tpe")
    for item in fields(SamplerSettings):
        if item.name in sampler:
            check_value(f"{SAMPLER}.{item.name}", sampler[item.name], item.metadata)
    for name, example in OBJECTS.items():
        if not (sampler.get(name) is None or isinstance(sampler[name], DictConfig)):
            made = f", or say what it is made of, as in '{SAMPLER}.{name}={{_target_: {example}}}'" if example else ""
            raise ConfigError(f"{SAMPLER}.{name}={as_given(sampler[name])}: must be null{made}")
    try:
        with warnings.catch_warnings(action="ignore"):  # the sweeper makes another one, and tells of them
            instantiate(sampler, _execution_whitelist_=MADE_BY)
    except Exception as error:
        raise ConfigError(refusal(sampler, choice, first(str(error)).rstrip("."))) from error


def refusal(sampler: DictConfig, choice: str, said: str) -> str:
    """What a sampler has said of its keys, behind the first of them that it names."""
    if (target := str(sampler._target_)) in said:
        return f"{SAMPLER}._target_={target}: Hydra makes no sampler of this; leave it out, and choose one by {GROUP}"
    at = {str(name): found.start() for name in sampler if (found := re.search(rf"\b{name!s}\b", said))}
    about = min(at, key=at.__getitem__, default=None)
    return f"{SAMPLER}.{about}={as_given(sampler[about])}: {said}" if about else f"{GROUP}={choice}: {said}"


def check_space(space: Sequence[Override], choice: str) -> None:
    """Raise ConfigError for a key of whose space nothing can be drawn, or no grid be made. choice: as for `check_sampler`."""
    from optuna.distributions import FloatDistribution

    from digitcmp.plugins.private import made_by_the_official
    from digitcmp.search.grammar import UNREADABLE, check_numbers

    for override in space:
        try:
            check_numbers(made := made_by_the_official(override))
        except UNREADABLE as error:
            reason = str(error).rstrip(".") or "list its values"
            raise ConfigError(f"{override.input_line}: this space cannot be searched ({reason})") from error
        if choice == "grid" and isinstance(made, FloatDistribution) and made.step is None:
            name = override.get_key_element()
            listed = f"a grid has values that are listed, as in '{name}=choice(0.1,0.2)' or '{name}=range(0,1,0.1)'"
            raise ConfigError(f"{override.input_line}: {listed}")


def check_direction(sweeper: DictConfig) -> None:
    """Raise ConfigError for a study on record that has another direction, which the sweeper would follow without a word."""
    if not isinstance(sweeper.storage, str) or sweeper.study_name is None:
        return
    from optuna.exceptions import StorageInternalError
    from optuna.storages import RDBStorage
    from sqlalchemy import make_url
    from sqlalchemy.exc import SQLAlchemyError

    url = make_url(sweeper.storage)
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).is_file():
        return
    try:
        storage = RDBStorage(sweeper.storage, skip_compatibility_check=True, skip_table_creation=True)
    except (SQLAlchemyError, StorageInternalError):  # the sweeper says what is wrong with it
        return
    try:
        found = storage.get_study_directions(storage.get_study_id_from_name(sweeper.study_name))
    except (KeyError, SQLAlchemyError, StorageInternalError):  # there is none
        return
    finally:
        storage.remove_session()
        storage.engine.dispose()
    wanted = getattr(sweeper.direction, "name", str(sweeper.direction))
    if (has := ",".join(one.name.lower() for one in found)) != wanted:
        told = f"the study {sweeper.study_name} of this storage is to {has}; give it that direction, or another hydra.sweeper.study_name"
        raise ConfigError(f"{SWEEPER}.direction={wanted}: {told}")
