"""The Hydra sweepers: `basic`, whose jobs our launchers have; `digitcmp_optuna`; and the official one of Optuna with accuracy as what it
maximises. Imports Optuna only to search."""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper, BasicSweeperConf
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from digitcmp.errors import RunError
from digitcmp.files import read_text, write_whole
from digitcmp.inert import line
from digitcmp.plugins.checking import EMPTY, check_jobs, compose_jobs, give_folders, print_moved
from digitcmp.plugins.composing import TemplateLoader
from digitcmp.plugins.launcher import DigitcmpLauncher
from digitcmp.search.config import SearchConfig, check_settings
from digitcmp.terminal import Terminal

TYPED = "DIGITCMP_TYPED"  # the variable in which a task of an array finds what the command that has submitted it was given


class JobSweeper(BasicSweeper):
    """Hydra's own sweeper, without composing every job once more. All jobs are checked before the first one is launched: by our launchers,
    which also make the sweep's folder when something is to be trained in it; for others, here."""

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        assert self.hydra_context is not None
        assert self.config is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        batches = self.split_arguments(parser.parse_overrides([*self._parse_config(), *arguments]), self.max_batch_size)
        everything = [overrides for batch in batches for overrides in batch]
        returns, number = list[Sequence[JobReturn]](), 0
        if not isinstance(self.launcher, DigitcmpLauncher):
            self.check_all(everything)
            make_folder(self.config)
        else:
            self.launcher.make_folder = partial(make_folder, self.config)
            if len(batches) > 1:
                self.launcher.check(everything)
        for batch in batches:
            assert self.launcher is not None
            returns.append(ended := self.launcher.launch(batch, initial_job_idx=number))
            for one in ended:
                _ = one.return_value  # raises the error of a job that has failed
            number += len(batch)
        return returns

    def check_all(self, everything: list[list[str]]) -> None:
        """Check jobs for a launcher that trains each by itself, and let those meet that would train the same rounds; whether there are data
        and a device, each finds out where it is. Raises what they are refused for."""
        assert self.hydra_context is not None
        assert self.config is not None
        if not everything:
            raise RunError(EMPTY)
        jobs = compose_jobs(TemplateLoader(self.hydra_context.config_loader), self.config, everything, 0)
        check_jobs(jobs)
        give_folders(jobs, Path(str(self.config.hydra.sweep.dir)).absolute())
        print_moved(jobs, Terminal())
        for overrides, job in zip(everything, jobs, strict=True):
            overrides[:] = job.overrides


def make_folder(config: DictConfig) -> None:
    """Make the folder of a sweep, with what the sweep was told: whole, as others may read it meanwhile. Raises RunError.

    The file's time is that of the command (`digitcmp.plugins.jobs.job_of`), by which commands are ordered: it never goes back.
    """
    path, before = Path(str(config.hydra.sweep.dir)) / "multirun.yaml", 0
    with suppress(OSError):
        before = path.stat().st_mtime_ns + 10**6
    write_whole(path, OmegaConf.to_yaml(as_typed(config)))
    if (now := path.stat()).st_mtime_ns < before:  # the clock was set back
        os.utime(path, ns=(now.st_atime_ns, before))


def as_typed(config: DictConfig) -> DictConfig:
    """The configuration of a sweep with the overrides that somebody has typed: in a task of an array, those of the command that has
    submitted it. Raises RunError where that command is not told as `digitcmp.plugins.slurm` tells it."""
    if not (told := os.environ.get(TYPED)):
        return config
    try:
        given = json.loads(told)
        overrides = {name: [str(one) for one in given[name]] for name in ("hydra", "task")}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise RunError(f"{TYPED}={line(told)}: this is for the tasks of an array that hydra/launcher=slurm has made; unset it") from error
    typed = config.copy()
    OmegaConf.set_readonly(typed.hydra, False)
    typed.hydra.overrides.update(overrides)
    return typed


@dataclass
class JobSweeperConfig(BasicSweeperConf):
    """`hydra/sweeper=basic`."""

    _target_: str = "digitcmp.plugins.sweeper.JobSweeper"


class DigitcmpOptunaSweeper(Sweeper):
    """Asks Optuna for trials, lets the launcher run them, and reports to Optuna how they ended. See docs/searching.md."""

    def __init__(self, **keys: Any) -> None:
        del keys  # the same values are in the configuration that `setup` gets, with their types

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(hydra_context=hydra_context, task_function=task_function, config=config)

    def sweep(self, arguments: list[str]) -> None:
        assert self.hydra_context is not None
        assert self.config is not None
        assert self.launcher is not None
        settings = check_settings(self.config.hydra.sweeper)
        from digitcmp.search.search import search

        search(settings, self.hydra_context, self.config, self.launcher, arguments)


def register() -> None:
    """Make the sweepers known to Hydra."""
    from hydra_plugins.hydra_optuna_sweeper.config import Direction, OptunaSweeperConf

    store = ConfigStore.instance()
    Plugins.instance().register(DigitcmpOptunaSweeper)
    Plugins.instance().register(JobSweeper)
    store.store(group="hydra/sweeper", name="basic", node=JobSweeperConfig, provider="digitcmp", replace=True)
    store.store(group="hydra/sweeper", name="digitcmp_optuna", node=SearchConfig, provider="digitcmp", replace=True)
    # the objective is an accuracy: the official sweeper, left to itself, would look for the worst
    official = OptunaSweeperConf(direction=Direction.maximize)
    store.store(group="hydra/sweeper", name="optuna", node=official, provider="digitcmp", replace=True)


def print_found(directory: Path, direction: Any) -> None:
    """Print what a search of the official sweeper has found, where it has left its results in this folder. direction: as it was told,
    a text or its own kind."""
    results = directory / "optimization_results.yaml"
    if results.exists():
        found = yaml.safe_load(read_text(results))
        values = " ".join(f"{name}={value}" for name, value in found.get("best_params", {}).items())
        which = "lowest" if getattr(direction, "name", direction) == "minimize" else "best"
        print(line(f"{which} validation accuracy {found.get('best_value', float('nan')):.2%}: {values}; see {results}"))
