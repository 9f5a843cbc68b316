"""From the tree that Hydra composed for a job to the typed configuration of its run."""

from dataclasses import fields
from functools import cache
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from digitcmp.config.allowed import ALLOWED
from digitcmp.config.identity import choice, completed, execution_keys, primary
from digitcmp.config.known import check_one_choice
from digitcmp.config.made import in_order, object_of
from digitcmp.config.messages import unknown_key
from digitcmp.config.network import layers
from digitcmp.config.overrides import overrides_of
from digitcmp.config.rules import check_rules
from digitcmp.config.schema import AUTO, CHOSEN_BY, GROUP_SCHEMAS, Config, DataConfig
from digitcmp.config.sizes import check_memory
from digitcmp.config.values import check_value, walk
from digitcmp.data.fingerprint import fingerprint_of
from digitcmp.errors import ConfigError

PAIRS = ("kernel", "padding", "pool", "stride", "pool_stride")  # keys of layers that take [H,W], or one number for both
OFFICIAL = "hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper"


def typed(composed: DictConfig, hydra: Any = None) -> Config:
    """The typed configuration of a job, Hydra's own part left aside, with the fingerprint of its data. Raises ConfigError, and
    DataError for data whose fingerprint is wanted and that cannot be read.

    hydra: that part, where the tree comes without it (Hydra keeps it from the job's function). A job of the official Optuna sweeper
    is not tested, whatever it was told: a search must not look at the test pairs. (`digitcmp_optuna` says so in the overrides of its jobs.)
    """
    hydra = composed.hydra if hydra is None else hydra
    check_one_choice(overrides_of(hydra))
    check_auto(composed, hydra)
    config = unchecked(composed)
    if official(hydra):
        check_validated(config)
        config.test = False
    return check(config)


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
        what = f"data.fingerprint={asked}: data={data.source} at data.root={data.root} {found}"
        raise ConfigError(f"{what}; leave it out, or give those data")


def without_hydra(composed: DictConfig) -> DictConfig:
    """A composed tree without Hydra's own part."""
    return OmegaConf.masked_copy(composed, [str(name) for name in composed if name != "hydra"])


def check_validated(config: Config) -> None:
    """Raise ConfigError when a search would have nothing to compare."""
    if config.data.val_pairs == 0:
        raise ConfigError("data.val_pairs=0: a search compares validation accuracies; hold pairs out for that, as in data.val_pairs=200")


def check_auto(composed: DictConfig, hydra: Any) -> None:
    """Raise ConfigError where nobody could say how many rounds rounds=auto takes: the launcher of a sweep compares all its runs."""
    if composed.rounds != AUTO or not is_multirun(hydra):
        return
    for part, known, why in (
        ("sweeper", ("basic",), "a search trains the same rounds for every trial"),
        (
            "launcher",
            ("digitcmp", "slurm"),
            "the runs of a sweep are compared while they are trained, and this launcher trains each by itself",
        ),
    ):
        if (chosen := hydra.runtime.choices.get(f"hydra/{part}")) not in known:
            raise ConfigError(f"rounds=auto with hydra/{part}={chosen}: {why}; give a number, as in rounds=10")


def is_multirun(hydra: Any) -> bool:
    """Whether a job is one of many."""
    return hydra.mode is not None and hydra.mode.name == "MULTIRUN"


def official(hydra: Any) -> bool:
    """Whether a job belongs to a search of the official sweeper."""
    return is_multirun(hydra) and hydra.sweeper._target_ == OFFICIAL


def from_composed(composed: DictConfig) -> Config:
    """The typed configuration of a composed YAML tree.

    Raises ConfigError when a required key has no value, a value lies outside its range, keys contradict each other, or memory is short.
    """
    config = unchecked(composed)
    check_values(config)
    return config


def check_values(config: Config) -> None:
    """Raise ConfigError when a value lies outside its range, keys contradict each other, or memory is short."""
    for path, value, metadata in walk(config):
        check_value(path, value, metadata)
    check_rules(config)
    check_memory(config)


def from_record(configuration: dict[str, Any], execution: dict[str, Any] | None = None) -> Config:
    """The typed configuration of a run as it is on record, checked as a command line is; nothing of conf/ but its defaults is needed.

    execution: the seed, and the execution keys that are not to have their defaults, some of them nested. Raises ConfigError for one
    that no run of this version can have had.
    """
    try:
        whole = {"seed": 0, **completed(configuration)}
        chosen = {group: schema for group in GROUP_SCHEMAS if (schema := choice(group, whole.get(group)))}
        own = {name: primary()[name] for name in execution_keys() if name in primary()}
        merged = OmegaConf.merge(OmegaConf.create(chosen), own, whole, execution or {})
        assert isinstance(merged, DictConfig)
        return from_composed(merged)
    except (OmegaConfBaseException, TypeError, AttributeError, KeyError, ValueError) as error:
        where = f"{key}: " if (key := getattr(error, "full_key", None)) else ""
        for group, key in CHOSEN_BY.items():
            if isinstance(part := configuration.get(group), dict) and isinstance(part.get(key), str) and not choice(group, part):
                made = (
                    "no installed package offers it; install the one that the run was made with, or let in its file of code "
                    f"({ALLOWED}=FOLDER/plugins.py in the environment)"
                )
                raise ConfigError(f"{group}.{key}={part[key]}: {made}") from error
        raise ConfigError(where + (str(error).splitlines() or [type(error).__name__])[0]) from error


def unchecked(composed: DictConfig) -> Config:
    """As `from_composed`, for a tree that need not make sense as a whole; folds say how many pairs are held out. Raises ConfigError when a
    required key has no value, and for a key that there is not."""
    whole = OmegaConf.get_type(composed) is Config  # as Hydra's trees are
    tree = composed if whole else OmegaConf.merge(empty(), *untyped(composed), composed)
    assert isinstance(tree, DictConfig)
    missing, values = [], dict[str, Any]()
    for name in [str(name) for name in tree if name != "hydra"]:
        value = None
        try:
            value = tree[name]
            values[name] = object_of(name, value) if OmegaConf.is_config(value) else value
        except MissingMandatoryValue:
            missing += [name] if value is None else sorted(OmegaConf.missing_keys(value)) or [name]
    if missing:
        first = min(missing)
        chosen = next((group for group, key in CHOSEN_BY.items() if first == f"{group}.{key}"), None)  # ~augment leaves it without
        raise ConfigError(f"{chosen or first} has no value; give it one, as in {chosen or first}={'CHOICE' if chosen else 'VALUE'}")
    for unknown in sorted(set(values) - {item.name for item in fields(Config)}):
        raise ConfigError(unknown_key(unknown, f"={values[unknown]}", Config))
    config = Config(**values)
    for layer in layers(config.model):  # one configuration, however it is spelt
        if layer.norm == "none":
            layer.norm = False
        for name in PAIRS:
            if isinstance(pair := getattr(layer, name, None), list) and len(pair) == 2 and pair[0] == pair[1]:
                setattr(layer, name, pair[0])
    data = config.data
    if data.folds and data.val_pairs == 0:
        data.val_pairs = max(0, data.train_pairs // data.folds)
    return in_order(config)


def untyped(composed: DictConfig) -> list[DictConfig]:
    """The schemas of the choices in a tree that was read as a whole, and not composed from groups: that of a run's .hydra/config.yaml."""
    plain = {group: composed.get(group) for group in GROUP_SCHEMAS}
    read = {group: node for group, node in plain.items() if isinstance(node, DictConfig) and OmegaConf.get_type(node) is dict}
    chosen = {group: schema for group, node in read.items() if (schema := choice(group, OmegaConf.to_container(node, resolve=False)))}
    return [OmegaConf.create(chosen)] if chosen else []


@cache
def empty() -> DictConfig:
    """The schema as a tree, which is not to be changed."""
    return OmegaConf.structured(Config)  # type: ignore[no-any-return]
