"""The space of a search: what is searched, within what, under which condition, and what stays fixed.

How spaces are written: `digitcmp.search.grammar`.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution, distribution_to_json
from optuna.trial import Trial, create_trial

from digitcmp.errors import ConfigError
from digitcmp.plugins.private import value_of_choice

Values = dict[str, Any]


@dataclass(frozen=True)
class Condition:
    """Holds when this key has one of these values, given as text."""

    key: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.key}={','.join(self.values)}"


@dataclass(frozen=True)
class Dimension:
    """One key: a distribution to search, or a fixed value (as text); used only when all conditions hold. `key` has its plus sign."""

    key: str
    distribution: BaseDistribution | None
    fixed: str
    when: tuple[Condition, ...] = ()

    @property
    def name(self) -> str:
        """The key without the plus sign."""
        return self.key.lstrip("+")


@dataclass(frozen=True)
class Space:
    """All dimensions, each after those that its conditions name, and what Hydra gets as it is (deletions, keys of Hydra itself)."""

    dimensions: tuple[Dimension, ...]
    verbatim: tuple[str, ...]

    @property
    def searched(self) -> list[Dimension]:
        """The dimensions that have something to search."""
        return [dimension for dimension in self.dimensions if dimension.distribution is not None]

    def active(self, choose: Callable[[Dimension], Any]) -> Iterator[tuple[Dimension, Any]]:
        """The dimensions whose conditions hold, with their values: `choose` is called with those that are searched."""
        texts: dict[str, str] = {}
        for dimension in self.dimensions:
            if all(texts.get(condition.key) in condition.values for condition in dimension.when):
                value = dimension.fixed if dimension.distribution is None else choose(dimension)
                texts[dimension.name] = as_text(value)
                yield dimension, value

    def suggest(self, trial: Trial) -> Values:
        """The values that a trial gets for what is active in it; those that it has already stay."""
        chosen = self.active(lambda dimension: suggest(trial, dimension))
        return {dimension.name: value for dimension, value in chosen if dimension.distribution is not None}

    def complete(self, point: Values) -> Values:
        """A point with the first choice or the lowest number of everything that is active and that it does not name."""
        chosen = self.active(lambda dimension: point.get(dimension.name, first(dimension.distribution)))
        return {dimension.name: value for dimension, value in chosen if dimension.distribution is not None}

    def overrides(self, values: Values) -> list[str]:
        """A point as the overrides of a job, what is fixed included. values: of everything that is active in it."""
        active = self.active(lambda dimension: values[dimension.name])
        return [*(f"{dimension.key}={as_text(value)}" for dimension, value in active), *self.verbatim]

    def samples(self) -> Iterator[Values]:
        """Points that between them take every choice and use every dimension."""
        for dimension in self.searched:
            made = dimension.distribution
            for choice in made.choices if isinstance(made, CategoricalDistribution) else [first(made)]:
                yield self.complete({**self.needed(dimension), dimension.name: choice})

    def needed(self, dimension: Dimension) -> Values:
        """Values for which all conditions of a dimension hold."""
        found: Values = {}
        for condition in dimension.when:
            (parent,) = (other for other in self.dimensions if other.name == condition.key)
            found.update(self.needed(parent))
            if isinstance(parent.distribution, CategoricalDistribution):
                found[parent.name] = next(choice for choice in parent.distribution.choices if as_text(choice) in condition.values)
        return found

    def point(self, given: Mapping[str, Any]) -> Values:
        """A starting point as its trial has it. Raises ConfigError unless it has only searched keys, with values of the space."""
        known = {dimension.name: dimension.distribution for dimension in self.searched}
        found: Values = {}
        for name, value in given.items():
            if (distribution := known.get(name)) is None:
                raise ConfigError(f"enqueue {name}={as_text(value)}: this key is not searched; searched are {', '.join(known)}")
            try:
                found[name] = value_of(value, distribution)
                create_trial(value=0.0, params={name: found[name]}, distributions={name: distribution})  # which checks its parameters
            except (ValueError, TypeError) as error:
                raise ConfigError(f"enqueue {name}={as_text(value)}: this is outside its space, {shown(distribution)}") from error
        return found

    def describe(self) -> dict[str, Any]:
        """What makes the space itself, as plain values."""
        return {
            dimension.name: {"space": json.loads(distribution_to_json(dimension.distribution)), "when": [*map(str, dimension.when)]}
            for dimension in self.dimensions
            if dimension.distribution is not None
        }


def suggest(trial: Trial, dimension: Dimension) -> Any:
    """The trial's value for a dimension."""
    made = dimension.distribution
    if isinstance(made, FloatDistribution):
        return trial.suggest_float(dimension.name, made.low, made.high, step=made.step, log=made.log)
    if isinstance(made, IntDistribution):
        return trial.suggest_int(dimension.name, made.low, made.high, step=made.step, log=made.log)
    assert isinstance(made, CategoricalDistribution)
    return trial.suggest_categorical(dimension.name, made.choices)


def value_of(given: Any, distribution: BaseDistribution) -> Any:
    """What a file or a command line says, as a value of a dimension: null, true, a list, a text as the choice that is the same; also the
    text of a choice or of a number. Raises ValueError or TypeError for what is none; 1 is not true."""
    if not isinstance(distribution, CategoricalDistribution):
        if isinstance(given, bool):
            raise TypeError(given)
        number = float(given)
        whole = isinstance(distribution, IntDistribution) and number.is_integer()
        return int(number) if whole else number if isinstance(given, str) else given
    for choice in distribution.choices:
        if is_same(given, value_of_choice(choice)):
            return given if isinstance(given, float) else choice
    for choice in distribution.choices:
        if given == as_text(choice):
            return choice
    raise ValueError(given)


def is_same(one: Any, other: Any) -> bool:
    """Whether two plain values are the same: null, truth values, numbers, texts, lists, mappings. 1 and 1.0 are, 1 and true are not."""
    if isinstance(one, float) or isinstance(other, float):
        return not isinstance(one, bool) and not isinstance(other, bool) and bool(one == other)
    return json.dumps(one) == json.dumps(other)


def first(distribution: BaseDistribution | None) -> Any:
    """The first choice or the lowest number."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[0]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return distribution.low


def shown(distribution: BaseDistribution | None) -> str:
    """A distribution for people to read."""
    if isinstance(distribution, CategoricalDistribution):
        return ", ".join(map(as_text, distribution.choices))
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return f"{distribution.low:g} to {distribution.high:g}" + (", logarithmic" if distribution.log else "")


def short(value: Any) -> str:
    """A value for people to read, with four significant digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def in_words(params: Values) -> str:
    """A point for people to read."""
    return " ".join(f"{name}={short(value)}" for name, value in params.items())


def as_text(value: Any) -> str:
    """A value as Hydra's command line takes it."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
