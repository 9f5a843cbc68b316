"""Which overrides change the configurations of a named sweep: found by what is composed with them and without, not by their text."""

from collections.abc import Collection, Hashable, Sequence
from contextlib import suppress

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from digitcmp.config.identity import configuration, configuration_hash, execution_keys, schema_key
from digitcmp.config.overrides import overrides_of
from digitcmp.data.fingerprint import PINNED
from digitcmp.errors import ConfigError, DigitcmpError
from digitcmp.plugins.checking import compose_jobs
from digitcmp.plugins.composing import TemplateLoader, key_of
from digitcmp.plugins.jobs import as_text
from digitcmp.plugins.remembering import parsed
from digitcmp.search.config import TARGET

MANY = 10**15  # below it, whole numbers are written with all their digits
MOST = 500  # jobs that are composed for a comparison; a sweep that is given more of them is changed


def changes(config: DictConfig) -> list[str]:
    """The overrides that change configurations of a named sweep: not rounds and seeds, which only add to what it has, unless it is a
    search, whose trials all have the same; nor where and how they are trained; nor what the sweep has without them, too. In one order and
    spelling, as far as that means nothing (`spelt`)."""
    searching, pinned = config.hydra.sweeper._target_ == TARGET, OmegaConf.select(config, "data.source") in PINNED
    same = {"sweeps", "seed", *execution_keys()} - ({"seed", "rounds"} if searching else set()) - (set() if pinned else {"data.root"})
    typed, hydras = overrides_of(config.hydra), overrides_of(config.hydra, "hydra")
    own = [text for text in typed if schema_key(key_of(text)) not in same]
    found = [*own, *(text for text in hydras if key_of(text).startswith("hydra.sweeper.params"))]
    if config.hydra.runtime.choices.get("sweeps"):
        given = [*hydras, *(text for text in typed if text in own or key_of(text) == "sweeps")]  # others need not be composed
        found = needed(str(config.hydra.job.config_name), given, found)
    known = dict(
        zip([*hydras, *typed], [*overrides_of(config.hydra, "hydra", True), *overrides_of(config.hydra, resolve=True)], strict=True)
    )
    keys = [key_of(text) for text in found]
    apart = not any(f"{one}.".startswith(f"{other}.") for one in keys for other in keys if one is not other)
    return [spelt(known[text]) for text in (sorted(found, key=key_of) if apart else found)]


def spelt(text: str) -> str:
    """An override as all spellings of its numbers are written: 2e-1 and 0.20 as 0.2, 1.0 as 1. What is no number stays as it was typed."""
    with suppress(ConfigError, HydraException):
        one = parsed(text)
        values = list(one.sweep_iterator()) if one.is_choice_sweep() else [one.value()]
        if all(isinstance(value, float | int) for value in values):
            whole = [int(value) if isinstance(value, float) and value == int(value) < MANY else value for value in values]
            return f"{one.get_key_element()}={','.join(map(as_text, whole))}"
    return text


def needed(name: str, given: Sequence[str], found: Sequence[str]) -> list[str]:
    """Those of the overrides found without which another sweep would be composed; all of them where that cannot be told.

    name: of the primary configuration; given: all overrides that matter.
    """
    kept, rest = list(found), list(given)
    with suppress(DigitcmpError, HydraException, OmegaConfBaseException):
        loader = GlobalHydra.instance().config_loader()
        whole = sweep_of(loader, name, rest)
        for text in found if whole is not None else ():
            without = [one for index, one in enumerate(rest) if index != rest.index(text)]
            with suppress(DigitcmpError, HydraException, OmegaConfBaseException):
                if sweep_of(loader, name, without) == whole:
                    rest = without
                    kept.remove(text)
    return kept


def own_folder(config: DictConfig, places: Collection[str]) -> str:
    """The folder that a named sweep's file gives it; empty where that cannot be told. places: the keys that say another one."""
    given = [text for kind in ("hydra", "task") for text in overrides_of(config.hydra, kind) if key_of(text) not in places]
    with suppress(HydraException, OmegaConfBaseException):
        loader = GlobalHydra.instance().config_loader()
        name = str(config.hydra.job.config_name)
        return str(loader.load_configuration(config_name=name, overrides=given, run_mode=RunMode.MULTIRUN).hydra.sweep.dir)
    return ""


def sweep_of(loader: ConfigLoader, name: str, overrides: list[str]) -> Hashable:
    """What a sweep with these overrides comes to: the hashes of its configurations, in no order; of a search, whose jobs are not known,
    those of each choice from groups, and what it searches. None for more jobs than are compared.

    Raises what Hydra and OmegaConf raise for overrides that cannot be composed, and the error of a job that is refused.
    """
    master = loader.load_configuration(config_name=name, overrides=overrides, run_mode=RunMode.MULTIRUN)
    searching = master.hydra.sweeper._target_ == TARGET
    typed = {key_of(text): text for text in overrides_of(master.hydra)}
    params = {str(key): value for key, value in (master.hydra.sweeper.get("params") or {}).items()}
    # a key of a search may have a condition beside its space
    space = {key: repr(value) for key, value in params.items() if not isinstance(value, str | int | float | bool) and key not in typed}
    said = {key.lstrip("+"): f"{key}={value}" for key, value in params.items() if key not in space} | typed
    read = {key: parsed(text) for key, text in said.items()}
    if searching:
        space |= {key: repr(one.value()) for key, one in read.items() if is_searched(loader, one)}
    batches = BasicSweeper.split_arguments([one for key, one in read.items() if key not in space], None)[0]
    if len(batches) > MOST:
        return None
    jobs = compose_jobs(TemplateLoader(loader), master, batches, 0)
    if refused := next((job.error for job in jobs if job.error is not None), None):
        raise refused
    whole = [job.whole for job in jobs if job.whole is not None]
    seeds = {(config.seed, config.rounds) for config in whole if searching}
    return frozenset(configuration_hash(configuration(config)) for config in whole), frozenset(seeds), frozenset(space.items())


def is_searched(loader: ConfigLoader, override: Override) -> bool:
    """Whether a search looks for the best of these values with other keys as they are: a choice from a group brings keys of its own."""
    of_group = override.get_key_element().lstrip("+") in loader.list_groups("") and override.is_discrete_sweep()
    return bool(override.is_sweep_override()) and not of_group
