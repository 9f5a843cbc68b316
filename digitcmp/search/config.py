"""The schema of `hydra/sweeper=digitcmp_optuna`: every key of a search, its type, default and range."""

from dataclasses import dataclass, fields
from typing import Any

from omegaconf import DictConfig, OmegaConf

from digitcmp.config.identity import TESTED, VALIDATED
from digitcmp.config.schema import MOST_ROUNDS
from digitcmp.config.schema.key import key
from digitcmp.config.values import check_value, walk
from digitcmp.errors import ConfigError

# what a search cannot vary, and what to do instead: of what makes the pairs that trials are compared by, the easiest would win
INSTEAD = {
    **dict.fromkeys(
        ["data", "data.root", "data.folds", *TESTED, *VALIDATED],
        "trials are compared by the same validation pairs, which it would change; give it once, as one value",
    ),
    "data.fold": "every trial is judged on the same part of the pairs; give it once, as in data.fold=0",
    "data.seed": "every trial is trained on the same pairs; give their seed once, as in data.seed=0",
    "seed": "every trial is trained on the same seeds; rounds=R takes R of them",
    "rounds": "every trial is trained on the same seeds; give their number once, as in rounds=3",
    "test": "a search never looks at the test pairs",
}
WARMUP = "epochs at the beginning of each round in which nothing is pruned"
MOST_FINALISTS = 1000
MOST_TRIALS = 100_000  # more than a sampler that models them can take in
RESOURCE = "epochs, counted over the rounds, before the first look"
TARGET = "digitcmp.plugins.sweeper.DigitcmpOptunaSweeper"


@dataclass
class Tpe:
    """Tree-structured Parzen estimator: all parameters together, conditional ones in groups, aware of trials in flight."""

    n_startup_trials: int = key(10, at_least=1, help="drawn at random before the estimator takes over")
    n_ei_candidates: int = key(
        24, at_least=1, at_most=1_000_000, help="points among which the one with the best expected improvement is taken"
    )
    multivariate: bool = key(True, help="all parameters together")
    group: bool = key(True, help="conditional parameters in groups of their own")
    constant_liar: bool = key(True, help="aware of trials in flight")


@dataclass
class Random:
    """Independent draws."""


@dataclass
class Qmc:
    """A low-discrepancy sequence; parameters under a condition are drawn at random."""

    qmc_type: str = key("sobol", choices=("sobol", "halton"), help="which sequence")
    scramble: bool = key(True, help="the sequence is randomised")


@dataclass
class Gp:
    """Gaussian process with expected improvement."""

    n_startup_trials: int = key(10, at_least=1, help="drawn at random before the process takes over")
    deterministic_objective: bool = key(False, help="equal points have equal values")


@dataclass
class CmaEs:
    """Covariance matrix adaptation; categorical parameters are drawn at random. Needs the package cmaes."""

    n_startup_trials: int = key(1, at_least=0, help="drawn at random before the strategy takes over")
    with_margin: bool = key(True, help="whole numbers and steps keep some variance")


@dataclass
class NoPruner:
    """Every trial is trained to its end."""


@dataclass
class Median:
    """A trial ends when its best value so far in this round is below the median of the finished trials at the same step."""

    warmup: int = key(5, at_least=0, help=WARMUP)
    n_startup_trials: int = key(8, at_least=1, help="trials that must be complete before any is pruned")
    n_min_trials: int = key(3, at_least=1, help="trials that must have come to a step before any is pruned there")
    interval_steps: int = key(1, at_least=1, help="epochs from one look to the next")


@dataclass
class SuccessiveHalving:
    """Asynchronous successive halving: the best 1 / reduction_factor go on at min_resource × reduction_factor^k steps."""

    warmup: int = key(0, at_least=0, help=WARMUP)
    min_resource: int = key(5, at_least=1, help=RESOURCE)
    reduction_factor: int = key(3, at_least=2, help="one in so many goes on at every look")
    min_early_stopping_rate: int = key(0, at_least=0, help="looks that are left out at the beginning")
    bootstrap_count: int = key(0, at_least=0, help="trials that must have come to a look before any goes on")


@dataclass
class Hyperband:
    """Successive halving in brackets that begin at different steps; a trial has rounds × epochs steps in all."""

    warmup: int = key(0, at_least=0, help=WARMUP)
    min_resource: int = key(5, at_least=1, help=RESOURCE)
    reduction_factor: int = key(3, at_least=2, help="one in so many goes on at every look")
    bootstrap_count: int = key(0, at_least=0, help="trials that must have come to a look before any goes on")


@dataclass
class Wilcoxon:
    """A trial ends when its finished rounds are significantly worse than the best trial's rounds of the same seeds."""

    p_threshold: float = key(0.1, above=0, at_most=1, help="a trial ends below this p")
    n_startup_steps: int = key(2, at_least=0, help="rounds of each trial before any is pruned")


@dataclass
class Samplers:
    """The options of every sampler; those of the chosen one are used."""

    tpe: Tpe = key(factory=Tpe, help="options of sampler=tpe")
    random: Random = key(factory=Random, help="of sampler=random: none")
    qmc: Qmc = key(factory=Qmc, help="options of sampler=qmc")
    gp: Gp = key(factory=Gp, help="options of sampler=gp")
    cmaes: CmaEs = key(factory=CmaEs, help="options of sampler=cmaes")


@dataclass
class Pruners:
    """The options of every pruner; those of the chosen one are used."""

    none: NoPruner = key(factory=NoPruner, help="of pruner=none: none")
    median: Median = key(factory=Median, help="options of pruner=median")
    successive_halving: SuccessiveHalving = key(factory=SuccessiveHalving, help="options of pruner=successive_halving")
    hyperband: Hyperband = key(factory=Hyperband, help="options of pruner=hyperband")
    wilcoxon: Wilcoxon = key(factory=Wilcoxon, help="options of pruner=wilcoxon")


@dataclass
class SearchConfig:
    """`hydra/sweeper=digitcmp_optuna`."""

    _target_: str = TARGET
    study_name: str | None = key(None, help="the study's name in its storage; null: the name of the sweep's folder")
    storage: str | None = key(
        None, text="url", help="sqlite:///FILE, journal:///FILE, postgresql://USER:PASSWORD@HOST/NAME; null: study.db in the sweep's folder"
    )
    n_trials: int = key(
        20, at_least=1, at_most=MOST_TRIALS, help="complete and pruned trials in all, those of earlier and other processes included"
    )
    timeout: float | None = key(None, above=0, help="seconds after which no trial is begun; those that are running finish")
    max_failed: int | None = key(None, at_least=1, help="the search gives up after so many failed trials; null: n_trials")
    n_jobs: int = key(
        1, at_least=1, help="trials at a time with other launchers; digitcmp's begins one whenever there is room for its rounds"
    )
    direction: str = key("maximize", choices=("maximize", "minimize"), help="of the validation accuracy")
    sampler: str = key("tpe", choices=tuple(item.name for item in fields(Samplers)), help="what suggests the next trial")
    samplers: Samplers = key(factory=Samplers, help="the options of every sampler; those of the chosen one are used")
    seed: int = key(0, at_least=0, at_most=2**32 - 1, help="of the sampler")
    pruner: str = key("median", choices=tuple(item.name for item in fields(Pruners)), help="what gives hopeless trials up")
    pruners: Pruners = key(factory=Pruners, help="the options of every pruner; those of the chosen one are used")
    params: dict[str, Any] = key(factory=dict, help="KEY: SPACE, KEY: {when: KEY=CHOICE, space: SPACE}, or KEY: VALUE")
    enqueue: list[dict[str, Any]] = key(factory=list, help="points to begin with; the first one is what the best is compared with")
    lease: float = key(
        60.0, above=0, at_most=86_400, help="seconds without a sign of life after which a process on another machine is taken for dead"
    )
    finalists: int = key(
        0,
        at_least=0,
        at_most=MOST_FINALISTS,
        help="so many of the best trials, the first starting point among them, meet again on fresh validation seeds before one is picked; "
        "0: the best trial is",
    )
    finalist_rounds: int = key(10, at_least=1, at_most=MOST_ROUNDS, help="fresh rounds of each finalist")
    confirm: int = key(
        0,
        at_least=0,
        at_most=MOST_ROUNDS,
        help="fresh rounds in which the best and the first starting point are compared at the end; 0: none",
    )


def check_settings(sweeper: DictConfig) -> SearchConfig:
    """The typed keys of `hydra.sweeper`. Raises ConfigError for a value out of its range, an unknown choice, and finalists
    that there cannot be."""
    settings = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(SearchConfig), sweeper))
    assert isinstance(settings, SearchConfig)
    for path, value, metadata in walk(settings, "hydra.sweeper."):
        check_value(path, value, metadata)
    if settings.finalists == 1:
        raise ConfigError("hydra.sweeper.finalists=1: nothing to compare; use 2 or more, or 0 for none")
    if settings.finalists > settings.n_trials:
        raise ConfigError(
            f"hydra.sweeper.finalists={settings.finalists}: there are n_trials={settings.n_trials} to choose them from; use at most as many"
        )
    return settings
