"""What is reported of a trial to its pruner, and when: the epochs of several rounds as Optuna's steps.

The rounds of a trial are taken in the order of their seeds, whichever order they are trained in. After epoch e (1 … E) of round
r (0 … R - 1) the step is r E + e, and its value

    (v_0 + … + v_{r-1} + v_r(e)) / (r + 1)

where E is the number of epochs that the trial's own configuration has, v_r(e) the validation accuracy of round r after epoch e, and v_s
that of an earlier round after its last epoch: the mean over the rounds so far, of which only the running one is not finished. At one
step, all trials have had the same seeds and, as no pruner that compares epochs goes with trials of different length, the same number of
epochs; the value of the last step, R E, is the objective. Where rounds are trained side by side, those that are ahead wait. A round that
has ended early (stopping.patience) keeps its last value for the epochs that it no longer has. A pruner sees the steps of the running
round only, so that the best value so far, which the median pruner compares, comes from the same seeds, too.

The Wilcoxon pruner, and the final, compare rounds, of whatever length: their step is r, reported when round r has ended, and its value
v_r. A trial that is given up then ends with its next epoch, when that round is on record.
"""

import copy
import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from optuna.pruners import NopPruner
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial

from digitcmp.plugins.private import trial_id_of
from digitcmp.train.results import EpochRow, has_waited

LENGTH = "epochs of each round"  # the trial's attribute that says how many its configuration has


@dataclass(frozen=True)
class TrialSpec:
    """What all trials of a study have in common: their seeds, and when they may be pruned. epochs: of each round of the study's start,
    which is as long as the others unless their length is searched."""

    seeds: list[int]
    epochs: int
    by_round: bool  # Wilcoxon
    warmup: int  # epochs of each round

    @property
    def steps(self) -> int:
        """The last step of a trial that is not pruned and is as long as the start."""
        return len(self.seeds) * self.epochs

    def length_of(self, trial: FrozenTrial) -> int:
        """The epochs of each round of a trial that has ended, when nothing ends it early: those of its own configuration."""
        # what earlier versions have put on record has them among the parameters, where they were searched under this name
        return int(trial.user_attrs.get(LENGTH, trial.params.get("epochs", self.epochs)))


@dataclass
class RunningTrial:
    """A trial that is being trained: what it has shown so far."""

    study: Study
    trial: Trial
    spec: TrialSpec
    stored: set[int]  # steps that are in the storage already, from an earlier process
    curves: dict[int, list[float]] = field(default_factory=dict)  # validation accuracies per epoch, by seed
    ended: set[int] = field(default_factory=set)  # the seeds of rounds that have ended, perhaps before their last epoch
    reported: int = 0  # epochs seen in order so far, over all rounds
    length: int = 0  # epochs of each of its rounds; those of the start until its configuration is known
    hopeless: bool = False  # as its pruner found when the last round ended
    failure: str = ""

    def __post_init__(self) -> None:
        self.length = self.length or self.spec.epochs

    def on_epoch(self, row: EpochRow, patience: int | None = None, epochs: int | None = None) -> bool:
        """Take an epoch in; False when the trial should end, because the pruner says so or because it has diverged. patience, epochs: of
        its rounds (stopping.patience, epochs); by default, none and those of the start."""
        self.length = epochs or self.length
        if not math.isfinite(row.train_loss) or row.val_accuracy is None:
            self.failure = f"seed {row.seed}: the loss became {row.train_loss} in epoch {row.epoch}"
            return False
        curve = self.curves.setdefault(row.seed, [])
        if row.epoch == len(curve) + 1:
            curve.append(row.val_accuracy)
        if len(curve) == self.length or has_waited(curve, patience):
            self.ended.add(row.seed)
        if self.hopeless:
            return False
        found = any(self.should_prune(step, value, within) for step, value, within in self.reportable())
        self.hopeless = found and self.spec.by_round
        return self.hopeless or not found

    def restore(self, rows: Iterable[EpochRow]) -> None:
        """Take in the epochs of rounds that were finished before, by another process."""
        for row in rows:
            if row.val_accuracy is not None:
                self.curves.setdefault(row.seed, []).append(row.val_accuracy)
                self.ended.add(row.seed)

    @property
    def values(self) -> dict[int, float]:
        """The last validation accuracy of the rounds that are through, by seed."""
        return {seed: curve[-1] for seed, curve in self.curves.items() if seed in self.ended}

    @property
    def epochs(self) -> int:
        """Epochs trained so far, over all rounds."""
        return sum(len(curve) for curve in self.curves.values())

    def reportable(self) -> Iterable[tuple[int, float, int]]:
        """What can be reported now, in order: step, value, epoch within its round."""
        seeds, epochs = self.spec.seeds, self.length
        while self.reported < len(seeds) * epochs:
            index, epoch = divmod(self.reported, epochs)
            curve = self.curves.get(seeds[index], [])
            if len(curve) <= epoch and seeds[index] not in self.ended:
                return
            self.reported += 1
            if not self.spec.by_round:
                before = [self.curves[seed][-1] for seed in seeds[:index]]
                yield self.reported, (sum(before) + curve[min(epoch, len(curve) - 1)]) / (index + 1), epoch + 1
            elif epoch + 1 == epochs:
                yield index, curve[-1], epochs

    def should_prune(self, step: int, value: float, within: int) -> bool:
        """Report a step; whether the pruner gives the trial up on it."""
        if step not in self.stored:
            self.trial.report(value, step)
            self.stored.add(step)
        if within <= self.spec.warmup or isinstance(self.study.pruner, NopPruner):
            return False
        frozen = self.trial.storage.get_trial(trial_id_of(self.trial))
        if not self.spec.by_round:
            # a copy: Optuna keeps the trial itself
            frozen = copy.copy(frozen)
            frozen.intermediate_values = {at: seen for at, seen in frozen.intermediate_values.items() if step - within < at <= step}
        return self.study.pruner.prune(self.study, frozen)
