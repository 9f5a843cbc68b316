"""The Hydra sweeper `digitcmp_optuna`, and the official one with accuracy as what it maximises. Imports Optuna only to search."""

from pathlib import Path
from typing import Any

import yaml
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from digitcmp.inert import line
from digitcmp.search.config import SearchConfig, check_settings


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
    store.store(group="hydra/sweeper", name="digitcmp_optuna", node=SearchConfig, provider="digitcmp", replace=True)
    # the objective is an accuracy: the official sweeper, left to itself, would look for the worst
    official = OptunaSweeperConf(direction=Direction.maximize)
    store.store(group="hydra/sweeper", name="optuna", node=official, provider="digitcmp", replace=True)


def print_found(directory: Path) -> None:
    """Print what a search of the official sweeper has found, where it has left its results in this folder."""
    results = directory / "optimization_results.yaml"
    if results.exists():
        found = yaml.safe_load(results.read_text(encoding="utf-8"))
        values = " ".join(f"{name}={value}" for name, value in found.get("best_params", {}).items())
        print(line(f"best validation accuracy {found.get('best_value', float('nan')):.2%}: {values}; see {results}"))
