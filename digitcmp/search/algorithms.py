"""The samplers and pruners of Optuna that a search can have, made of its settings."""

import warnings
from collections.abc import Callable
from dataclasses import asdict
from importlib.util import find_spec

from optuna import pruners, samplers
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler

from digitcmp.errors import ConfigError, SearchError
from digitcmp.search.config import SearchConfig

SAMPLERS: dict[str, Callable[..., BaseSampler]] = {
    "tpe": samplers.TPESampler,
    "random": samplers.RandomSampler,
    "qmc": samplers.QMCSampler,
    "gp": samplers.GPSampler,
    "cmaes": samplers.CmaEsSampler,
}
PRUNERS: dict[str, Callable[..., BasePruner]] = {
    "none": pruners.NopPruner,
    "median": pruners.MedianPruner,
    "successive_halving": pruners.SuccessiveHalvingPruner,
    "hyperband": pruners.HyperbandPruner,
    "wilcoxon": pruners.WilcoxonPruner,
}
NEEDS = {"gp": "torch", "cmaes": "cmaes"}
QUIET = {
    "qmc": ["warn_independent_sampling", "warn_asynchronous_seeding"],
    "gp": ["warn_independent_sampling"],
    "cmaes": ["warn_independent_sampling"],
}


def make_sampler(settings: SearchConfig, seed: int) -> BaseSampler:
    """The chosen sampler. Raises SearchError where the package that it needs is missing."""
    name = settings.sampler
    if (package := NEEDS.get(name)) and find_spec(package) is None:
        raise SearchError(f"hydra.sweeper.sampler={name}: needs the package {package}; pip install {package}, or choose tpe")
    given = {**asdict(settings.samplers)[name], **dict.fromkeys(QUIET.get(name, []), False), "seed": seed}
    with warnings.catch_warnings():
        # multivariate, group and constant_liar have been experimental since 2021; this is a choice, not an accident
        warnings.simplefilter("ignore", ExperimentalWarning)
        return SAMPLERS[name](**given)


def make_pruner(settings: SearchConfig, steps: int) -> BasePruner:
    """The chosen pruner, for trials that have this many steps when they are not pruned. Raises ConfigError when it asks for more."""
    name, given = settings.pruner, asdict(settings.pruners)[settings.pruner]
    if (least := given.get("min_resource", 1)) > steps:
        path = f"hydra.sweeper.pruners.{name}.min_resource"
        raise ConfigError(f"{path}={least}: a trial has {steps} steps (epochs × rounds); use at most that")
    given.pop("warmup", 0)  # it is counted in each round, by RunningTrial
    if name == "hyperband":
        given["max_resource"] = steps
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return PRUNERS[name](**given)
