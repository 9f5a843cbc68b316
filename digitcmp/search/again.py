"""Failed trials of a search whose points are tried again, each point once however many trials of it have failed."""

from collections.abc import Sequence

from optuna.trial import FrozenTrial, TrialState

AGAIN = "tried again"  # the attribute of a trial that tries the point of a failed one again: the number of that


def not_retried(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The failed ones among all trials of a study whose points were not tried again since."""
    again = [(trial.number, first) for trial in trials if (first := trial.user_attrs.get(AGAIN)) is not None]
    tried = [(number, trials[first].params) for number, first in again]  # in the queue, a trial has none of its own yet
    failed = [trial for trial in trials if trial.state == TrialState.FAIL]
    return [one for one in failed if not any(number > one.number and params == one.params for number, params in tried)]


def different(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The first trial of each point."""
    return [trial for place, trial in enumerate(trials) if all(trial.params != other.params for other in trials[:place])]
