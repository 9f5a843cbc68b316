"""From the tree that Hydra composed for a job to the typed configuration of its run."""

from typing import Any

from omegaconf import DictConfig, OmegaConf

from digitcmp.config import Config, from_composed
from digitcmp.errors import ConfigError

OFFICIAL = "hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper"


def typed(composed: DictConfig, hydra: Any = None) -> Config:
    """The typed configuration of a job, Hydra's own part left aside. Raises ConfigError.

    hydra: that part, where the tree comes without it (Hydra keeps it from the job's function).

    A job of the official Optuna sweeper is not tested, whatever it was told: a search must not look at the test pairs.
    (`digitcmp_optuna` says so in the overrides of its jobs.)
    """
    own = OmegaConf.masked_copy(composed, [str(name) for name in composed if name != "hydra"])
    if official(composed.hydra if hydra is None else hydra):
        check_validated(own)
        own.test = False
    return from_composed(own)


def check_validated(composed: DictConfig) -> None:
    """Raise ConfigError when a search would have nothing to compare."""
    if composed.data.val_pairs == 0:
        raise ConfigError("data.val_pairs=0: a search compares validation accuracies; hold pairs out for that, as in data.val_pairs=200")


def official(hydra: Any) -> bool:
    """Whether a job belongs to a search of the official sweeper."""
    return hydra.mode is not None and hydra.mode.name == "MULTIRUN" and hydra.sweeper._target_ == OFFICIAL
