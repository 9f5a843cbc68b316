"""The private parts of Hydra and Optuna that a search needs. tests/plugins/test_private.py says which of them a new version has changed."""

from typing import Any, cast

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, Quote, QuotedString, RangeSweep, Sweep, Transformer
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
from hydra_plugins.hydra_optuna_sweeper._impl import create_optuna_distribution_from_override
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial

from digitcmp.config.sizes import count

MOST_CHOICES = 10_000  # of one parameter; all of them are kept


def error_of(ended: JobReturn) -> Any:
    """The error of a job that has failed, None for one that has not."""
    # JobReturn.return_value raises it, and prints a line of its own before
    return ended._return_value if ended.status == JobStatus.FAILED else None


def made_by_the_official(override: Override) -> Any:
    """The Optuna distribution that the official sweeper makes of an override, as it is. Raises what `distribution_of` raises."""
    return create_optuna_distribution_from_override(override)


def distribution_of(override: Override) -> Any:
    """The Optuna distribution that the official sweeper makes of an override; its text where it is a plain value.

    Other than there, a choice is the text that an override takes: quoted where it would be something else without its quotes; and
    tag(log, …) makes a whole range logarithmic. Raises ValueError, AssertionError, NotImplementedError or TypeError for one that
    cannot be searched.
    """
    value = override.value()
    if isinstance(value, Sweep) and (value.tags - {"log"} or (value.tags and isinstance(value, ChoiceSweep))):
        raise ValueError(f"tag({','.join(sorted(value.tags))},…) means nothing to it; log is for numbers")
    if isinstance(value, ChoiceSweep):
        return CategoricalDistribution([choice_of(element) for element in value.list])
    if isinstance(value, RangeSweep):
        value.shuffle = False  # a search has an order of its own
        if value.transformers and count(override) > MOST_CHOICES:
            raise ValueError(f"it has {count(override):,} values; at most {MOST_CHOICES:,} can be listed")
    # the sweeper does this within `sweep` only
    made = made_by_the_official(override)
    return logarithmic(made) if isinstance(value, RangeSweep) and value.tags else made


def logarithmic(made: Any) -> IntDistribution:
    """A range of whole numbers on a logarithmic scale. Raises ValueError for any other: such a scale has no steps."""
    if not isinstance(made, IntDistribution) or made.step != 1:
        raise ValueError("a logarithmic range has whole numbers and no step; use tag(log,interval(LOW,HIGH))")
    return IntDistribution(made.low, made.high, log=True)


def choice_of(element: Any) -> str | int | float | bool:
    """An element of a choice: numbers as they are, anything else as the text that an override takes, in quotes only where they matter."""
    if not isinstance(element, str):
        return cast("int | float | bool | str", Transformer.encode(element))
    try:
        plain = OverridesParser.create().parse_override(f"key={element}")
        same = not plain.is_sweep_override() and plain.value() == element and isinstance(plain.value(), str)
    except HydraException:
        same = False
    return element if same else QuotedString(element, Quote.single).with_quotes()


def value_of_choice(choice: str | int | float | bool | None) -> Any:
    """What an override gives a key with this choice, as `choice_of` has made it: a text, null, a list or a mapping is written as text."""
    return OverridesParser.create().parse_override(f"key={choice}").value() if isinstance(choice, str) else choice


def study_id_of(study: Study) -> int:
    """A study's id in its storage."""
    # as below: what dashboards do not show goes through the storage, which takes ids
    return study._study_id


def trial_id_of(trial: Trial | FrozenTrial) -> int:
    """A trial's id in its storage, which is not its number."""
    # Optuna's storages take ids, and no public call of a study or a trial gives one
    return trial._trial_id
