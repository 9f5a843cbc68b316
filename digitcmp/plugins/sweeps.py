"""Where a sweep goes, and what it may ask for: found out before Hydra writes anything."""

import re
import shlex
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from digitcmp.config.overrides import overrides_of
from digitcmp.config.several import WHOLE, for_many
from digitcmp.counting import counted
from digitcmp.errors import ConfigError, RunError
from digitcmp.experiment.folders import run_folders
from digitcmp.files import check_results_folder
from digitcmp.names import check_folder, check_name
from digitcmp.plugins.changed import own_folder
from digitcmp.plugins.composing import key_of
from digitcmp.plugins.subdirs import check_into, check_outside, is_searched, literal, sweeper_of
from digitcmp.search.config import TARGET

DIR, OF_ONE = "hydra.sweep.dir", "hydra.run.dir"
PLACES = (DIR, "hydra.sweep", "hydra")  # keys that say where a sweep goes
BESIDE = {"ray": ("engine", "ray"), "auto": ("rounds", "auto")}  # groups of keys, and what they mean something beside


def give_folder(config: DictConfig, changed: Callable[[], str]) -> str:
    """Give a named sweep whose configurations were changed on the command line, and a study that was given a name, a folder of its own:
    the sweep's own folder, its report and its tests stay those of the sweep. Returns the folder, empty where nothing was changed.

    changed: gives the end of its name, which says what was changed; empty where nothing was. A sweep that was told where to go goes there.
    """
    hydra = config.hydra
    if not hydra.runtime.choices.get("sweeps"):
        return ""
    if any(key_of(text) in PLACES for text in overrides_of(hydra, "hydra")):
        check_not_its_own(config, changed)
        return ""
    searching, what = hydra.sweeper._target_ == TARGET, changed()
    if searching and hydra.sweeper.study_name:
        name = str(hydra.sweeper.study_name)
        plain = re.sub(r"[^\w-]", "-", name, flags=re.ASCII)
        what = f"-{plain}" if plain == name else f"-{plain}-{sha256(name.encode()).hexdigest()[:8]}"  # w.i.d is not w-i-d
    elif searching and what:  # the folder's name is also the study's, and part of a command in best.yaml
        what = f"-{sha256(what.encode()).hexdigest()[:8]}"
    if not what:
        return ""
    folder = f"{hydra.sweep.dir}{what}"
    with read_write(hydra), open_dict(hydra):
        hydra.sweep.dir = folder
        hydra.overrides.hydra.append(told(folder))
    return folder


def check_not_its_own(config: DictConfig, changed: Callable[[], str]) -> None:
    """Raise ConfigError for a named sweep that is changed and was told to go into the sweep's own folder, with whose runs it would be
    reported and tested. changed: as for `give_folder`."""
    folder, own = str(config.hydra.sweep.dir), own_folder(config, PLACES)
    if own and Path(folder).resolve() == Path(own).resolve() and changed():
        what = f"this is the folder of +sweeps={config.hydra.runtime.choices['sweeps']} as it is, and here it is changed"
        raise ConfigError(f"{DIR}={folder}: {what}; leave this out, or give another folder, as in {DIR}={own}-changed")


def check_many(config: DictConfig) -> None:
    """Raise ConfigError for many runs that were told the folder of one, where nothing of them would go."""
    if given := next((text for text in overrides_of(config.hydra, "hydra") if key_of(text) == OF_ONE), ""):
        raise ConfigError(f"{given}: this is the folder of one run; did you mean: {for_many(sys.argv[1:])}")


def check_kind(config: DictConfig) -> None:
    """Raise ConfigError for a sweep into the folder of a search, or below it, for a search into that of a sweep or above other runs, and
    for either into that of a run: each would take the other's file for its own. Raises RunError where the jobs of a sweep would go there,
    whoever launches them, as far as that is known before there are any."""
    folder, searching = Path(str(config.hydra.sweep.dir)), config.hydra.sweeper._target_ == TARGET
    check_outside(DIR, folder)
    if (folder / "run.json").exists() and not (folder / "multirun.yaml").exists():
        raise ConfigError(f"{DIR}={folder}: this is the folder of a run; choose another one for many")
    if not searching and is_searched(folder):
        raise ConfigError(f"{DIR}={folder}: this is the folder of a search; choose another one for a sweep")
    if searching and not is_searched(folder) and run_folders(folder):
        what = "this is the folder of a sweep" if sweeper_of(folder) else "there are runs of others below this folder"
        raise ConfigError(f"{DIR}={folder}: {what}; choose another one for a search")
    given = OmegaConf.to_container(config.hydra.sweep)  # unresolved: what refers to a job has no value yet
    assert isinstance(given, dict)
    if not searching and (begin := literal(typed := str(given["subdir"]))):
        check_into(folder.absolute(), begin, typed)


def make_absolute(config: DictConfig) -> None:
    """Give a launcher of others the whole path of the sweep's folder: its jobs may run in other working folders (those of Hydra's Ray
    launcher do where `ray start` was called)."""
    hydra = config.hydra
    if others(hydra) and not Path(str(hydra.sweep.dir)).is_absolute():
        folder = str(Path(str(hydra.sweep.dir)).absolute())
        with read_write(hydra), open_dict(hydra):
            hydra.sweep.dir = folder
            hydra.overrides.hydra.append(told(folder))


def check_arrived(ended: JobReturn) -> None:
    """Raise RunError where a job of another launcher has ended, and nothing of it is in its folder as it is seen from here."""
    if ended.status == JobStatus.COMPLETED and ended.hydra_cfg and others(hydra := ended.hydra_cfg.hydra):
        folder = Path(str(hydra.runtime.output_dir))
        if not (folder / "run.json").exists():
            raise nothing_of(hydra, folder)


def check_any_arrived(hydra: DictConfig) -> None:
    """Raise RunError where another launcher's jobs have ended, and there is nothing of them in the sweep's folder."""
    if others(hydra) and not run_folders(Path(str(hydra.sweep.dir))):
        raise nothing_of(hydra, Path(str(hydra.sweep.dir)))


def nothing_of(hydra: DictConfig, folder: Path) -> RunError:
    """The error of results that are elsewhere."""
    launcher = hydra.runtime.choices.get("hydra/launcher")
    return RunError(f"nothing has arrived in {folder}: the jobs of hydra/launcher={launcher} must see this folder")


def others(hydra: DictConfig) -> bool:
    """Whether the launcher is none of digitcmp's."""
    return not str(hydra.launcher._target_).startswith("digitcmp.")


def told(folder: str) -> str:
    """How the jobs of a sweep are told of another folder than the one that was typed; nobody types it so (`digitcmp.report.origins`)."""
    return f"++{DIR}={QuotedString(folder, Quote.single).with_quotes()}"


def check_whole(config: DictConfig) -> None:
    """Raise ConfigError for the folder of one run, several values, or a search, of what is for a whole sweep, batches of no job, and a dry
    run of what would be trained."""
    check_many(config)
    if (most := config.hydra.sweeper.get("max_batch_size")) is not None and most < 1:
        raise ConfigError(f"hydra.sweeper.max_batch_size={most}: must be a whole number, at least 1")
    params = [f"{key}={value}" for key, value in (config.hydra.sweeper.get("params") or {}).items()]
    for text in [*params, *overrides_of(config.hydra)]:
        if (key := key_of(text)) not in WHOLE:
            continue
        (override,) = OverridesParser.create().parse_overrides([text])
        if text in params or override.is_sweep_override():
            raise ConfigError(f"{text}: this is for a whole sweep; give it one value, as in {key}=true")
    if config.dry_run:
        check_ours(config, "dry_run=true", ("digitcmp", "slurm"))
    if (given := config.hydra.job.env_set) and not others(config.hydra):
        first, value = next(iter(given.items()))
        raise ConfigError(
            f"hydra.job.env_set.{first}={value}: the rounds of a sweep are trained together, in one environment; set variables in front of "
            f"the command, as in: {first}={shlex.quote(str(value))} python -m digitcmp --multirun …"
        )


def check_names(config: DictConfig, folder: str) -> None:
    """Raise ConfigError for a job's name or a folder that nobody should give, RunError for a folder that cannot be made or has pipes in
    place of files."""
    check_name("hydra.job.name", str(config.hydra.job.name))
    if config.hydra.job.chdir:
        raise ConfigError(
            "hydra.job.chdir=true: relative paths, as of data, would lead elsewhere; leave it out: a run's files are in its folder anyway"
        )
    check_folder(OF_ONE if folder == config.hydra.run.dir else DIR, folder)
    check_results_folder(Path(folder))


def check_single(config: DictConfig) -> None:
    """Raise ConfigError for a single run that was given what makes a sweep (a search would even look at the test pairs), and for one in the
    folder of a sweep, whose report would have it too."""
    given = [
        text
        for text in overrides_of(config.hydra, "hydra")
        if text.lstrip("+~").startswith(("hydra.sweep", "hydra/sweeper", "hydra/launcher"))
    ]
    if any(argument.startswith("--experimental-rerun") for argument in sys.argv):
        return  # a job of a sweep, in its own folder
    if name := config.hydra.runtime.choices.get("sweeps"):
        given.append(f"+sweeps={name}")
    if given:
        place = next((f"; the folder of one run is {OF_ONE}={text.partition('=')[2]}" for text in given if key_of(text) == DIR), "")
        raise ConfigError(f"{' '.join(given)}: this is for many runs{place}; add --multirun, as in: {for_many(sys.argv[1:])}")
    folder = Path(str(config.hydra.run.dir))
    if (folder / "run.json").exists():  # also that of a trial, which goes on
        return
    check_outside(OF_ONE, folder)
    if (folder / "multirun.yaml").exists() and (runs := run_folders(folder)):
        what = f"it is the folder of a sweep, with {counted(len(runs), 'run')} below it"
        raise ConfigError(f"{OF_ONE}={folder}: {what}; choose another folder, which the sweep's report is without")


def check_beside(config: DictConfig) -> None:
    """Raise ConfigError for keys that were typed and mean nothing beside what was chosen."""
    typed, params = overrides_of(config.hydra), config.hydra.sweeper.get("params") or {}
    for group, (key, value) in BESIDE.items():
        given = [text for text in typed if key_of(text).startswith(f"{group}.")]
        # values of a sweep are not composed yet
        chosen = [*(text for text in typed if key_of(text) == key), f"{key}={config[key]}", f"{key}={params.get(key)}"]
        if given and not any(value in text for text in chosen):
            raise ConfigError(f"{given[0]}: this is for {key}={value}; add it, or leave this out")


def check_ours(config: DictConfig, what: str, launchers: tuple[str, ...]) -> None:
    """Raise ConfigError for what another launcher or sweeper than the program's own would not heed: it trains what it is given."""
    for part, known in (("sweeper", ("basic", "digitcmp_optuna")), ("launcher", launchers)):
        if (chosen := config.hydra.runtime.choices.get(f"hydra/{part}")) not in known:
            use = f"hydra/{part}={known[0] if part == 'launcher' else known[-1]}"
            raise ConfigError(f"{what} with hydra/{part}={chosen}: it trains everything that it is given; use {use}")
