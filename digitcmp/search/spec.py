"""What all trials of a search share, found out before the first one: that everything composes, and what is the same in each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from hydra.types import HydraContext
from omegaconf import DictConfig
from optuna.trial import Trial

from digitcmp.config.composed import check_validated, typed, unchecked
from digitcmp.config.identity import configuration, flat
from digitcmp.config.schema import MOST_ROUNDS, MOST_SEED, Config
from digitcmp.errors import ConfigError
from digitcmp.search.config import SearchConfig
from digitcmp.search.space import Space, Values
from digitcmp.search.trial import TrialSpec

BY_ROUND = "wilcoxon"
BEYOND = 2 * MOST_ROUNDS  # from the first seed of the trials to that of the final: neither they nor a confirmation come so far


@dataclass(frozen=True)
class SearchSpec:
    """A search that makes sense. start: the point that it begins with, `base` its configuration; folder: the sweep's."""

    settings: SearchConfig
    space: Space
    start: Values
    base: Config
    folder: Path
    noun: ClassVar[str] = "trial"
    title: ClassVar[str] = "search"

    @property
    def trial(self) -> TrialSpec:
        """What its trials have in common."""
        pruner = self.settings.pruner
        warmup = getattr(getattr(self.settings.pruners, pruner), "warmup", 0)
        return TrialSpec(self.base.seeds, self.base.epochs, pruner == BY_ROUND, warmup)

    @property
    def less_is_better(self) -> bool:
        """Whether the lowest validation accuracy is the best."""
        return self.settings.direction == "minimize"

    def identity(self) -> dict[str, Any]:
        """What must be the same for trials to be compared: space, seeds, steps, and the configuration but for what is searched."""
        searched = [dimension.name for dimension in self.space.searched]
        given = {name: value for name, value in flat(configuration(self.base)).items() if not under(name, searched)}
        steps = "rounds" if self.trial.by_round else "epochs"
        return {"space": self.space.describe(), "configuration": given, "seeds": self.base.seeds, "steps": steps}

    def overrides(self, values: Values) -> list[str]:
        """The overrides of the trial at this point: validated, and never tested."""
        return [*self.space.overrides(values), "test=false"]

    def number_of(self, trial: Trial) -> int:
        """The number that a trial is known by."""
        return trial.number

    def trial_folder(self, number: int) -> str:
        """The folder of a trial below the sweep's."""
        return f"trial_{number:04d}"


def under(name: str, keys: Sequence[str]) -> bool:
    """Whether a dotted name is one of the keys or lies below one."""
    return any(name == key or name.startswith(f"{key}.") for key in keys)


def make_spec(settings: SearchConfig, space: Space, context: HydraContext, config: DictConfig) -> SearchSpec:
    """Check the space against the configuration, the starting points against the space.

    Raises what composing raises for a key or choice that does not exist, and ConfigError for what makes no sense.
    """
    settings = replace(settings, enqueue=[space.point(given) for given in settings.enqueue])
    start = space.complete(settings.enqueue[0] if settings.enqueue else {})
    if settings.enqueue:  # the first one is tried as it is compared; what others leave out is the sampler's
        settings = replace(settings, enqueue=[start, *settings.enqueue[1:]])
    compose = partial(context.config_loader.load_sweep_config, config)
    composed = compose([*space.overrides(start), "test=false"])
    check_validated(unchecked(composed))
    points = [*space.samples(), *map(space.complete, settings.enqueue)]
    lengths = {composed.epochs, *(compose(space.overrides(point)).epochs for point in points)}
    spec = SearchSpec(settings, space, start, typed(composed), Path(str(config.hydra.sweep.dir)))
    if settings.finalists:
        check_fresh(spec)
    varies = len(lengths) > 1 or "epochs" in {dimension.name for dimension in space.searched}  # of a range, samples have one value
    if varies and settings.pruner != "none" and not spec.trial.by_round:
        raise ConfigError(
            f"epochs: trials of different length cannot be compared epoch by epoch, as pruner={settings.pruner} does; "
            "use hydra.sweeper.pruner=none or wilcoxon"
        )
    return spec


def check_fresh(spec: SearchSpec) -> None:
    """Raise ConfigError where the finalists could not have fresh validation pairs."""
    seed, pairs = spec.base.seed, spec.base.data.seed
    if pairs is not None:
        raise ConfigError(
            f"data.seed={pairs}: all rounds have the same pairs, so that finalists would meet on the validation pairs of the trials, not "
            "on fresh ones; leave it out, or use hydra.sweeper.finalists=0"
        )
    if (most := MOST_SEED - BEYOND - spec.settings.finalist_rounds) < seed:
        raise ConfigError(f"seed={seed}: the finalists' seeds begin {BEYOND:,} further, beyond the largest; use at most {most}")
