"""The private parts of Optuna that a search needs. tests/plugins/test_private.py says which of them a new version has changed."""

from optuna.trial import FrozenTrial, Trial


def trial_id_of(trial: Trial | FrozenTrial) -> int:
    """A trial's id in its storage, which is not its number."""
    # Optuna's storages take ids, and no public call of a study or a trial gives one
    return trial._trial_id
