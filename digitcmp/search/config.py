"""The schema of `hydra/sweeper=digitcmp_optuna`: every key of a search, its type, default and range."""

from dataclasses import dataclass, field, fields
from typing import Any

from omegaconf import DictConfig, OmegaConf

from digitcmp.config.composed import check_value, walk
from digitcmp.config.schema import MOST_ROUNDS, key

# what a search cannot vary, and what to do instead
INSTEAD = {
    "seed": "every trial is trained on the same seeds; rounds=R takes R of them",
    "rounds": "every trial is trained on the same seeds; give their number once, as in rounds=3",
    "test": "a search never looks at the test pairs",
}
TARGET = "digitcmp.plugins.sweeper.DigitcmpOptunaSweeper"


@dataclass
class Tpe:
    """Tree-structured Parzen estimator: all parameters together, conditional ones in groups, aware of trials in flight."""

    n_startup_trials: int = key(10, at_least=1)  # drawn at random before the estimator takes over
    n_ei_candidates: int = key(24, at_least=1, at_most=1_000_000)
    multivariate: bool = True
    group: bool = True
    constant_liar: bool = True


@dataclass
class Random:
    """Independent draws."""


@dataclass
class Qmc:
    """A low-discrepancy sequence; parameters under a condition are drawn at random."""

    qmc_type: str = key("sobol", choices=("sobol", "halton"))
    scramble: bool = True


@dataclass
class Gp:
    """Gaussian process with expected improvement."""

    n_startup_trials: int = key(10, at_least=1)
    deterministic_objective: bool = False


@dataclass
class CmaEs:
    """Covariance matrix adaptation; categorical parameters are drawn at random. Needs the package cmaes."""

    n_startup_trials: int = key(1, at_least=0)
    with_margin: bool = True


@dataclass
class NoPruner:
    """Every trial is trained to its end."""


@dataclass
class Median:
    """A trial ends when its best value so far in this round is below the median of the finished trials at the same step."""

    warmup: int = key(5, at_least=0)  # epochs at the beginning of each round in which nothing is pruned
    n_startup_trials: int = key(8, at_least=1)  # trials that must be complete before any is pruned
    n_min_trials: int = key(3, at_least=1)
    interval_steps: int = key(1, at_least=1)


@dataclass
class SuccessiveHalving:
    """Asynchronous successive halving: the best 1 / reduction_factor go on at min_resource × reduction_factor^k steps."""

    warmup: int = key(0, at_least=0)
    min_resource: int = key(5, at_least=1)  # steps: epochs, counted over the rounds
    reduction_factor: int = key(3, at_least=2)
    min_early_stopping_rate: int = key(0, at_least=0)
    bootstrap_count: int = key(0, at_least=0)


@dataclass
class Hyperband:
    """Successive halving in brackets that begin at different steps; a trial has rounds × epochs steps in all."""

    warmup: int = key(0, at_least=0)
    min_resource: int = key(5, at_least=1)
    reduction_factor: int = key(3, at_least=2)
    bootstrap_count: int = key(0, at_least=0)


@dataclass
class Wilcoxon:
    """A trial ends when its finished rounds are significantly worse than the best trial's rounds of the same seeds."""

    p_threshold: float = key(0.1, above=0, at_most=1)
    n_startup_steps: int = key(2, at_least=0)  # rounds


@dataclass
class Samplers:
    """The options of every sampler; those of the chosen one are used."""

    tpe: Tpe = field(default_factory=Tpe)
    random: Random = field(default_factory=Random)
    qmc: Qmc = field(default_factory=Qmc)
    gp: Gp = field(default_factory=Gp)
    cmaes: CmaEs = field(default_factory=CmaEs)


@dataclass
class Pruners:
    """The options of every pruner; those of the chosen one are used."""

    none: NoPruner = field(default_factory=NoPruner)
    median: Median = field(default_factory=Median)
    successive_halving: SuccessiveHalving = field(default_factory=SuccessiveHalving)
    hyperband: Hyperband = field(default_factory=Hyperband)
    wilcoxon: Wilcoxon = field(default_factory=Wilcoxon)


@dataclass
class SearchConfig:
    """`hydra/sweeper=digitcmp_optuna`."""

    _target_: str = TARGET
    study_name: str | None = None  # null: the name of the sweep's folder
    # null: study.db in the sweep's folder; sqlite:///FILE, journal:///FILE, postgresql://USER:PASSWORD@HOST/NAME
    storage: str | None = key(None, text="url")
    n_trials: int = key(20, at_least=1)  # complete and pruned trials in all, those of earlier and other processes included
    timeout: float | None = key(None, above=0)  # seconds after which no trial is begun; those that are running finish
    max_failed: int | None = key(None, at_least=1)  # the search gives up after so many failed trials; null: n_trials
    direction: str = key("maximize", choices=("maximize", "minimize"))
    sampler: str = key("tpe", choices=tuple(item.name for item in fields(Samplers)))
    samplers: Samplers = field(default_factory=Samplers)
    seed: int = key(0, at_least=0, at_most=2**32 - 1)  # of the sampler
    pruner: str = key("median", choices=tuple(item.name for item in fields(Pruners)))
    pruners: Pruners = field(default_factory=Pruners)
    params: dict[str, Any] = field(default_factory=dict)  # KEY: SPACE, KEY: {when: KEY=CHOICE, space: SPACE}, or KEY: VALUE
    enqueue: list[dict[str, Any]] = field(default_factory=list)  # points to begin with; the first one is what the best is compared with
    lease: float = key(
        60.0, above=0, at_most=86_400
    )  # seconds without a sign of life after which a process on another machine is taken for dead
    confirm: int = key(
        0, at_least=0, at_most=MOST_ROUNDS
    )  # fresh rounds in which the best and the first starting point are compared at the end; 0: none


def check_settings(sweeper: DictConfig) -> SearchConfig:
    """The typed keys of `hydra.sweeper`. Raises ConfigError for a value out of its range and for an unknown choice."""
    settings = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(SearchConfig), sweeper))
    assert isinstance(settings, SearchConfig)
    for path, value, metadata in walk(settings, "hydra.sweeper."):
        check_value(path, value, metadata)
    return settings
