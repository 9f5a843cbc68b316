"""Who is dropped from a final: whoever clearly loses against another finalist, pair by pair (`digitcmp.search.finalists`)."""

from collections.abc import Mapping

import numpy as np
from optuna.pruners import BasePruner
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from digitcmp.report.ranks import NEAR, below_zero_p, paired_differences
from digitcmp.search.study import VALUES

FIRST_TEST = 5  # rounds (irace's firstTest)
LEVEL = 0.05  # one-sided, on the side of the loser


class RacePruner(BasePruner):
    """Gives a finalist up that clearly loses against another one, of those that are not given up themselves."""

    def __init__(self, seeds: list[int], sign: int) -> None:
        self.seeds, self.sign = seeds, sign

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        mine = self.values(trial)
        others = study.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.COMPLETE))
        return any(loses(mine, self.values(other), self.sign) for other in others if other.number != trial.number)

    def values(self, trial: FrozenTrial) -> dict[int, float]:
        """The accuracies of a finalist so far, by seed: those on record at its end, else those that were reported."""
        reported = {self.seeds[index]: value for index, value in trial.intermediate_values.items()}
        return reported | seed_values(trial)


def seed_values(trial: FrozenTrial) -> dict[int, float]:
    """The accuracies of the rounds of a trial that has ended, by seed."""
    return {int(seed): value for seed, value in trial.user_attrs.get(VALUES, {}).items()}


def loses(mine: Mapping[int, float], theirs: Mapping[int, float], sign: int = 1) -> bool:
    """Whether the first clearly loses, on the seeds that both have: from the fifth on, one-sided signed-rank p of at most 5 %, and a worse
    mean, by which finalists are picked: one collapse can turn it against the ranks."""
    both = [(mine[seed], theirs[seed]) for seed in mine if seed in theirs]
    if len(both) < FIRST_TEST:
        return False
    differences = sign * paired_differences(*np.array(both).T)
    return bool(differences.mean() < -NEAR) and below_zero_p(differences) <= LEVEL
