"""Optuna's samplers and pruners from their checked options."""

import warnings
from collections.abc import Callable
from dataclasses import asdict
from importlib.util import find_spec
from typing import Any

from optuna import pruners, samplers
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler

from digitcmp.errors import ConfigError, SearchError
from digitcmp.search.config import Choice

MADE: dict[str, Callable[..., BaseSampler]] = {
    "tpe": samplers.TPESampler,
    "random": samplers.RandomSampler,
    "qmc": samplers.QMCSampler,
    "gp": samplers.GPSampler,
    "cmaes": samplers.CmaEsSampler,
}
NEEDS = {"gp": "torch", "cmaes": "cmaes"}
QUIET = {"qmc": ["warn_independent_sampling", "warn_asynchronous_seeding"], "gp": ["warn_independent_sampling"]}
QUIET["cmaes"] = ["warn_independent_sampling"]


def make_sampler(choice: Choice, seed: int) -> BaseSampler:
    """The sampler. Raises SearchError where the package that it needs is missing."""
    if (package := NEEDS.get(choice.name)) and find_spec(package) is None:
        raise SearchError(f"hydra.sweeper.sampler={choice.name}: needs the package {package}; pip install {package}, or choose tpe")
    given = {**asdict(choice.options), **dict.fromkeys(QUIET.get(choice.name, []), False), "seed": seed}
    with warnings.catch_warnings():
        # multivariate, group and constant_liar have been experimental since 2021; this is a choice, not an accident
        warnings.simplefilter("ignore", ExperimentalWarning)
        return MADE[choice.name](**given)


def make_pruner(choice: Choice, steps: int) -> BasePruner:
    """The pruner, for trials that have this many steps when they are not pruned. Raises ConfigError when it asks for more."""
    if (least := getattr(choice.options, "min_resource", 1)) > steps:
        path = f"hydra.sweeper.pruners.{choice.name}.min_resource"
        raise ConfigError(f"{path}={least}: a trial has {steps} steps (epochs × rounds); use at most that")
    given: dict[str, Any] = {name: value for name, value in asdict(choice.options).items() if name != "warmup"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        if choice.name == "none":
            return pruners.NopPruner()
        if choice.name == "median":
            return pruners.MedianPruner(n_warmup_steps=0, **given)  # warm-up is counted in each round: see `steps`
        if choice.name == "successive_halving":
            return pruners.SuccessiveHalvingPruner(**given)
        if choice.name == "hyperband":
            return pruners.HyperbandPruner(max_resource=steps, **given)
        return pruners.WilcoxonPruner(**given)
