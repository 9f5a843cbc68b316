"""The jobs of a sweep: how each is composed, and what it has come to. Imports neither torch nor a model."""

import json
import os
import re
import shlex
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from hydra.conf import HydraConf
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from digitcmp.arguments import sources
from digitcmp.config.allowed import code_let_in
from digitcmp.config.composed import official, typed
from digitcmp.config.identity import configuration, configuration_hash, differences, flat
from digitcmp.config.overrides import overrides_of
from digitcmp.config.schema import AUTO, Config
from digitcmp.errors import DigitcmpError, RunError
from digitcmp.experiment.about import read_about
from digitcmp.experiment.folders import run_folders
from digitcmp.experiment.preview import shortened
from digitcmp.experiment.run import Run
from digitcmp.plugins.composing import TemplateLoader
from digitcmp.plugins.named import borrowed_name
from digitcmp.plugins.subdirs import check_subdir, search_around
from digitcmp.search.config import TARGET as SEARCHING

WORDS = ("true", "false", "null", "nan", "inf")  # that are no text unless they are quoted


@dataclass
class Job:
    """One job of a sweep: where it goes, what it trains, and what it has come to.

    compose: gives what Hydra composes for it, to be kept by whoever asks; None for a job that cannot be composed. config is None
    for that and for a job that is refused.
    """

    number: int
    overrides: list[str]
    compose: Callable[[], DictConfig] | None = None
    command: str = ""
    directory: Path = Path()
    config: Config | None = None
    whole: Config | None = None  # what `config` is a preview of; itself where it is none
    error: Exception | None = None
    value: float | None = None  # what it has come to, when all its rounds are through
    ended: bool = False  # it has come to its error
    borrowed: str = ""  # see `borrowed_name`
    moved: bool = False  # its folder is that of another job, or of an earlier run, of the same configuration

    @property
    def settled(self) -> bool:
        """Whether it is known what the job has come to, so that Hydra has only to be told."""
        return self.ended or self.value is not None

    def result(self) -> float:
        """What the job returns. Raises what it has come to instead."""
        if self.error is not None:
            raise self.error
        assert self.value is not None
        return self.value

    def settle(self, run: Run) -> None:
        """Take over what has become of the job's run. Where another process has the rest of it, the job itself looks again."""
        assert self.config is not None
        seeds = run.seeds if self.config.rounds == AUTO else self.config.seeds
        if run.pruned or len(run.rows_of(seeds)) == len(seeds):
            try:
                self.value = run.outcome(seeds)
            except DigitcmpError as error:
                self.error, self.ended = error, True


class Homes:
    """Where the runs of a sweep are: those that are on disk, and those that its jobs are to become. Jobs of the same configuration with
    common seeds share a folder, however they are spelt, so that nothing is trained twice; the trials of a search below are its own."""

    def __init__(self, sweep: Path) -> None:
        self.seeds: defaultdict[str, dict[Path, set[int]]] = defaultdict(dict)  # by configuration and folder
        for folder in (run for run in run_folders(sweep) if search_around(run, sweep) is None):
            with suppress(RunError):  # a damaged one is nobody's
                about = read_about(folder)
                self.seeds[about["configuration_hash"]][folder] = set(about["seeds"])

    def find(self, directory: Path, config: Config) -> Path:
        """The folder for a job that would go into this one: this one, unless another one has most of its rounds."""
        folders, seeds = self.seeds[configuration_hash(configuration(config))], set(config.seeds)
        home = max(folders, key=lambda folder: len(folders[folder] & seeds), default=directory)
        if directory in folders or not folders or not folders[home] & seeds:
            home = directory
        folders.setdefault(home, set()).update(seeds)
        return home


def check_shared(job: Job, other: Config) -> None:
    """Raise RunError where another job of the same sweep, with this configuration, has the job's folder, and they differ."""
    assert job.config is not None
    if told := differences(configuration(other), configuration(job.config)):
        raise RunError(
            f"{job.directory}: two jobs of this sweep would share this folder, though they differ ({told}); give each its own, "
            "as hydra.sweep.subdir does by default"
        )


def make_job(loader: TemplateLoader, sweep: DictConfig, number: int, overrides: Sequence[str]) -> Job:
    """The job that these overrides make of the sweep's configuration. Raises what Hydra raises when they cannot be composed, and
    RunError for a folder outside the sweep's, or one that the sweep needs."""
    found = loader.template(sweep, list(overrides))
    composed = found if isinstance(found, DictConfig) else found.composed

    def compose() -> DictConfig:
        # what many jobs share is composed for this one again, so that a long sweep need not keep a copy for each
        own = composed if isinstance(found, DictConfig) else loader.compose(sweep, overrides)
        if job.moved or job.directory != folder / below:
            own.hydra.sweep.subdir = os.path.relpath(job.directory, str(own.hydra.sweep.dir))
        return numbered(own, number)

    with hydra_config(numbered(composed, number)):
        folder, below = Path(str(composed.hydra.sweep.dir)).absolute(), str(composed.hydra.sweep.subdir)
        directory = Path(os.path.normpath(folder / below))  # one folder has one name, so that jobs that share it are seen
        check_subdir(folder, below, composed.hydra.sweeper._target_ == SEARCHING)
        job = Job(number, list(overrides), compose, command_of(composed.hydra), directory)
        try:
            job.whole = typed(composed)
            job.config = shortened(job.whole)
            job.borrowed = borrowed_name(composed.hydra.runtime, job.config.model.name)
        except (DigitcmpError, OmegaConfBaseException) as refused:
            job.error = refused
    return job


def numbered(composed: DictConfig, number: int) -> DictConfig:
    """What was composed, with the job's number in it."""
    with open_dict(composed):
        composed.hydra.job.id, composed.hydra.job.num = str(number), number
    return composed


@contextmanager
def hydra_config(composed: DictConfig) -> Iterator[None]:
    """What `${hydra:...}` refers to meanwhile. Lighter than `HydraConfig.set_config`, which copies."""
    instance = HydraConfig.instance()
    before, instance.cfg = instance.cfg, cast(HydraConf, composed)
    try:
        yield
    finally:
        instance.cfg = before


def job_of(sweep: Path, number: int) -> list[int]:
    """When the sweep in this folder was begun (ms since 1970), as its process has left it there, and the number of a job of it."""
    try:
        return [(sweep / "multirun.yaml").stat().st_mtime_ns // 10**6, number]
    except OSError:  # a sweeper that leaves none
        return [0, number]


def command_of(hydra: Any, alone: bool = False) -> str:
    """The command that runs the same job again, with the seeds and choices it had, the folders of its YAML files, and the code that was let
    in.

    hydra: Hydra's part of the job's configuration, as `overrides_of` takes it. A file of sweeps is for many runs: what it gives to this
    one stands in its place. alone: it is no job of a sweep, so that the folder that was given is its own.
    """
    overrides, hydras = overrides_of(hydra), overrides_of(hydra, "hydra")
    place = [override for override in hydras if alone and override.lstrip("+").startswith("hydra.run.dir=")]
    folder = sources(sys.argv[1:]) or folders_of(hydra)
    own = [override for override in overrides if not override.startswith("+sweeps=")]
    keys = {override.lstrip("+").split("=")[0] for override in own}
    given = [part for override in overrides if override not in own for part in settings_of(override.partition("=")[2], folder)]
    kept = [part for part in given if part.lstrip("+").split("=")[0] not in keys]
    if official(hydra):  # which is not tested, whatever it was told
        own = [*(override for override in own if override.partition("=")[0] != "test"), "test=false"]
    place += [override for override in hydras if override.lstrip("+").startswith("hydra.job.env_set")]
    return shlex.join(["python", "-m", "digitcmp", *folder, *code_let_in(), *kept, *own, *paths_of(hydra), *place])


def folders_of(hydra: Any) -> list[str]:
    """The option of the command line that adds a folder of YAML files, with its whole path, as Hydra has it on record: a job that another
    launcher has in a process of its own has not been typed. hydra: as `command_of` takes it."""
    found = [str(one.path) for one in hydra.runtime.config_sources if one.provider == "command-line"]
    return [part for one in found for part in ("--config-dir", one)]


def paths_of(hydra: Any) -> list[str]:
    """The overrides that add folders of YAML files (hydra.searchpath). hydra: as `command_of` takes it."""
    return [override for override in overrides_of(hydra, "hydra") if override.lstrip("+").startswith("hydra.searchpath=")]


def settings_of(sweep: str, folder: list[str]) -> list[str]:
    """What a file of sweeps gives to each of its jobs, as overrides. folder: where else than among ours it may be (`sources`)."""
    own = Path(folder[-1].partition("=")[2] or folder[-1], "sweeps", f"{sweep}.yaml") if folder else Path()
    tree = OmegaConf.load(own) if own.is_file() else ConfigStore.instance().load(f"sweeps/{sweep}.yaml").node
    values = OmegaConf.to_container(cast(DictConfig, tree), resolve=False)
    assert isinstance(values, dict)
    given = []
    for entry in values.pop("defaults", []):
        for group, choice in entry.items() if isinstance(entry, dict) else []:
            name = str(group).removeprefix("override ").lstrip("/")
            if not name.startswith("hydra"):
                given.append(f"{'' if str(group).startswith('override') else '+'}{name}={choice}")
    values.pop("hydra", None)
    return [*given, *(f"{name}={as_text(value)}" for name, value in flat({str(key): value for key, value in values.items()}).items())]


def as_text(value: Any) -> str:
    """A plain value as Hydra's command line takes it."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{name}:{as_text(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(as_text, value)) + "]"
    if not isinstance(value, str):
        return json.dumps(value)
    plain = re.fullmatch(r"[A-Za-z_][\w-]*", value, re.ASCII) and value.lower() not in WORDS
    return value if plain else QuotedString(value, Quote.double).with_quotes()
