"""How a space is written: Hydra's own override grammar, understood as the official Optuna sweeper understands it.

`interval(0,1)`, `tag(log,interval(0.01,1))`, `int(interval(1,5))`, `range(1,5)`, `choice(a,b)` or `a,b`. What a sweep file says
under `hydra.sweeper.params` comes first; the command line adds to it and overrides it, key by key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, Sweep
from hydra.errors import HydraException
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from digitcmp.config.known import no_null
from digitcmp.errors import ConfigError
from digitcmp.plugins.private import choice_of, distribution_of
from digitcmp.search.config import INSTEAD
from digitcmp.search.space import Condition, Dimension, Space, as_text

# what Hydra's parser and the sweeper raise for numbers and nestings that nobody means
UNREADABLE = (ValueError, AssertionError, NotImplementedError, TypeError, ArithmeticError, RecursionError, AttributeError, KeyError)
LARGEST = {IntDistribution: 2**53, FloatDistribution: 1e300}  # Optuna keeps all numbers as floats


def make_space(params: Mapping[str, Any], arguments: Sequence[str]) -> Space:
    """The space of a sweep file's params and the command line's arguments. Raises ConfigError for what makes no sense."""
    found: dict[str, Dimension] = {}
    verbatim: list[str] = []
    for text, when in [*map(entry, params.items()), *((argument, None) for argument in arguments)]:
        override = parse(text)
        if override.is_delete() or override.key_or_group.startswith("hydra"):
            verbatim.append(text)
            continue
        dimension = make_dimension(override, text)
        before = found.get(dimension.name)
        # a condition belongs to the key: it stays when the command line gives another space or value
        conditions = before.when if before is not None and when is None else conditions_of(dimension.name, when)
        found[dimension.name] = replace(dimension, when=conditions)
    check_conditions(found)
    space = Space(tuple(in_order(found)), tuple(verbatim))
    if not space.searched:
        raise ConfigError("there is nothing to search; give a key a space, as in 'optimizer.lr=tag(log,interval(0.01,1))'")
    return space


def entry(item: tuple[Any, Any]) -> tuple[str, Any]:
    """One of the params as an override and its condition (None: none)."""
    key, value = item
    if not isinstance(value, Mapping):
        return f"{key}={as_text(value)}", None
    if sorted(value) != ["space", "when"]:
        raise ConfigError(f"hydra.sweeper.params.{key}={dict(value)}: write {{when: KEY=CHOICE, space: SPACE}}")
    return f"{key}={as_text(value['space'])}", value["when"]


def parse(text: str) -> Override:
    """One override. Raises ConfigError with the reason that Hydra has."""
    try:
        return OverridesParser.create().parse_override(text)
    except (HydraException, *UNREADABLE) as error:
        if told := no_null(text, str(error)):
            raise ConfigError(told) from error
        reasons = [line.split(": ", 1)[-1] for line in str(error).splitlines() if "while evaluating" in line]
        reason = reasons[0] if reasons else "it cannot be read"
        raise ConfigError(f"{text}: this is neither a space nor a value ({reason}); write it as docs/searching.md shows") from error


def make_dimension(override: Override, text: str) -> Dimension:
    """The dimension that an override describes. Raises ConfigError for one that cannot be searched."""
    key = override.get_key_element()
    if (name := key.lstrip("+")) in INSTEAD and (override.is_sweep_override() or name == "test"):
        raise ConfigError(f"{text}: {INSTEAD[name]}")
    try:
        made = distribution_of(override)
        check_numbers(made)
    except UNREADABLE as error:
        raise ConfigError(f"{text}: this space cannot be searched ({str(error).rstrip('.') or 'list its values'})") from error
    return Dimension(key, made, "") if isinstance(made, BaseDistribution) else Dimension(key, None, str(made))


def check_numbers(made: Any) -> None:
    """Raise ValueError for a distribution with numbers that nothing can be drawn from."""
    if isinstance(made, IntDistribution | FloatDistribution) and not max(abs(made.low), abs(made.high)) <= LARGEST[type(made)]:
        raise ValueError(f"its numbers must be finite, and within ±{LARGEST[type(made)]:g}")
    if isinstance(made, CategoricalDistribution) and any(choice != choice for choice in made.choices):
        raise ValueError("nan is no choice")


def conditions_of(name: str, when: Any) -> tuple[Condition, ...]:
    """`when: KEY=A,B` or a list of such, as conditions. Raises ConfigError for anything else."""
    made = []
    for text in [] if when is None else [when] if isinstance(when, str) else list(when):
        key, equals, values = str(text).partition("=")
        wanted = parse(f"{key.strip()}={values.strip()}").value() if equals and values else None
        if wanted is None or (isinstance(wanted, Sweep) and not isinstance(wanted, ChoiceSweep)):
            raise ConfigError(f"hydra.sweeper.params.{name}: when: {text} is no condition; write when: KEY=CHOICE")
        elements = wanted.list if isinstance(wanted, ChoiceSweep) else [wanted]
        made.append(Condition(key.strip().lstrip("+"), tuple(as_text(choice_of(element)) for element in elements)))
    return tuple(made)


def check_conditions(dimensions: Mapping[str, Dimension]) -> None:
    """Raise ConfigError for a condition on a key that is not in the space or never has one of the values."""
    for dimension in dimensions.values():
        for condition in dimension.when:
            where = f"{dimension.name}: when: {condition}"
            if (parent := dimensions.get(condition.key)) is None:
                raise ConfigError(f"{where}: {condition.key} is neither searched nor given a value here")
            if parent.distribution is None:
                continue
            if not isinstance(parent.distribution, CategoricalDistribution):
                raise ConfigError(f"{where}: {condition.key} is no choice; a condition needs one, as in choice(a,b)")
            if not set(condition.values) & {as_text(choice) for choice in parent.distribution.choices}:
                raise ConfigError(f"{where}: {condition.key} is never that")


def in_order(dimensions: Mapping[str, Dimension]) -> list[Dimension]:
    """Every dimension after those that its conditions name, else as they were written. Raises ConfigError for a circle."""
    ordered: dict[str, Dimension] = {}
    while len(ordered) < len(dimensions):
        ready = [item for name, item in dimensions.items() if name not in ordered and all(part.key in ordered for part in item.when)]
        if not ready:
            names = ", ".join(name for name in dimensions if name not in ordered)
            raise ConfigError(f"the conditions of {names} wait for each other; leave one of them out")
        ordered[ready[0].name] = ready[0]
    return list(ordered.values())
