"""The private parts of Hydra and Optuna that a search needs. tests/plugins/test_private.py says which of them a new version has changed."""

from typing import Any

from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn, JobStatus
from hydra_plugins.hydra_optuna_sweeper._impl import create_optuna_distribution_from_override
from optuna.trial import FrozenTrial, Trial


def error_of(ended: JobReturn) -> Any:
    """The error of a job that has failed, None for one that has not."""
    # JobReturn.return_value raises it, and prints a line of its own before
    return ended._return_value if ended.status == JobStatus.FAILED else None


def distribution_of(override: Override) -> Any:
    """The Optuna distribution that the official sweeper makes of an override; its text where it is a plain value.

    Raises ValueError, AssertionError, NotImplementedError or TypeError for one that it cannot search.
    """
    # the sweeper does this within `sweep` only
    return create_optuna_distribution_from_override(override)


def trial_id_of(trial: Trial | FrozenTrial) -> int:
    """A trial's id in its storage, which is not its number."""
    # Optuna's storages take ids, and no public call of a study or a trial gives one
    return trial._trial_id
