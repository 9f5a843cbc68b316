"""What is reported to pruners, and that each of them ends hopeless trials and leaves promising ones alone."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import optuna
import pytest
from optuna.study import Study
from optuna.trial import TrialState

from digitcmp.search.algorithms import make_pruner
from digitcmp.search.config import Pruners, SearchConfig
from digitcmp.search.trial import RunningTrial, TrialSpec
from digitcmp.train.results import EpochRow

EPOCHS = 6


def row(seed: int, epoch: int, accuracy: float, loss: float = 1.0) -> EpochRow:
    """An epoch with this validation accuracy."""
    return EpochRow(seed, epoch, loss, 0.5, None, None, accuracy, 0.1)


def begin(study: Study, spec: TrialSpec) -> RunningTrial:
    """A trial that is about to be trained."""
    return RunningTrial(study, study.ask(), spec, set())


def make_study(pruner: str, rounds: int = 2, **options: Any) -> tuple[Study, TrialSpec]:
    """A study with this pruner."""
    checked = replace(getattr(Pruners(), pruner), **options)
    spec = TrialSpec(list(range(rounds)), EPOCHS, pruner == "wilcoxon", getattr(checked, "warmup", 0))
    settings = SearchConfig(pruner=pruner, pruners=replace(Pruners(), **{pruner: checked}))
    return optuna.create_study(direction="maximize", pruner=make_pruner(settings, spec.steps)), spec


def train(study: Study, spec: TrialSpec, curves: Sequence[Sequence[float]]) -> int | None:
    """Train a trial, round by round, with these validation accuracies; how many epochs it had when it was pruned, None when it was not."""
    running = begin(study, spec)
    for seed, curve in zip(spec.seeds, curves, strict=True):
        for epoch, accuracy in enumerate(curve, 1):
            if not running.on_epoch(row(seed, epoch, accuracy)):
                study.tell(running.trial, state=TrialState.PRUNED)
                return running.epochs
    study.tell(running.trial, sum(curve[-1] for curve in curves) / len(curves))
    return None


def flat(accuracy: float, rounds: int = 2) -> list[list[float]]:
    """Rounds that have the same accuracy in all their epochs."""
    return [[accuracy] * EPOCHS] * rounds


def test_values_of_the_steps() -> None:
    """Earlier rounds with their last accuracy, the running one with its current one; the last value is the objective."""
    study, spec = make_study("none", 3)
    curves = [[0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0.2, 0.4, 0.4, 0.4, 0.4, 0.8], [0.0, 0.1, 0.3, 0.5, 0.7, 0.7]]
    assert train(study, spec, curves) is None
    reported = study.trials[0].intermediate_values
    assert list(reported) == list(range(1, 19))
    assert [reported[step] for step in (1, 6, 7, 12, 13, 18)] == pytest.approx([0.1, 0.6, 0.4, 0.7, 1.4 / 3, 0.7])
    assert reported[18] == pytest.approx(study.trials[0].value)


def test_rounds_side_by_side_report_the_same() -> None:
    """Whichever round is ahead, the steps come in the same order with the same values."""
    curves = [[0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0.2, 0.4, 0.4, 0.4, 0.4, 0.8]]
    study, spec = make_study("none")
    train(study, spec, curves)
    running = begin(study, spec)
    orders = [(1, 1), (1, 2), (0, 1), (1, 3), (1, 4), (0, 2), (1, 5), (1, 6), (0, 3), (0, 4), (0, 5), (0, 6)]
    for seed, epoch in orders:
        running.on_epoch(row(seed, epoch, curves[seed][epoch - 1]))
    first, second = (trial.intermediate_values for trial in study.trials)
    assert list(second.items()) == list(first.items())


def test_a_trial_that_goes_on_reports_only_what_is_new() -> None:
    """Rounds on record and steps in the storage are taken as they are."""
    study, spec = make_study("none")
    one = begin(study, spec)
    for epoch in range(1, EPOCHS + 1):
        one.on_epoch(row(0, epoch, 0.5))
    again = RunningTrial(study, one.trial, spec, set(study.trials[0].intermediate_values))
    again.restore([row(0, epoch, 0.5) for epoch in range(1, EPOCHS + 1)])
    for epoch in range(1, EPOCHS + 1):
        assert again.on_epoch(row(1, epoch, 0.7))  # a step that is reported twice would warn, and warnings are errors here
    assert study.trials[0].intermediate_values[12] == pytest.approx(0.6)
    assert again.epochs == 12


def test_rounds_that_end_early_are_compared_to_the_end() -> None:
    """By stopping.patience: the last value stands for the epochs that a round no longer has; those that were trained are counted."""
    study, spec = make_study("median", warmup=2, n_startup_trials=3)
    for _ in range(3):
        train(study, spec, flat(0.7))
    running = begin(study, spec)
    assert [running.on_epoch(row(0, epoch, 0.8 - 0.01 * epoch), patience=2) for epoch in (1, 2, 3)] == [True] * 3
    assert running.values == {0: pytest.approx(0.77)}
    assert study.trials[-1].intermediate_values[EPOCHS] == pytest.approx(0.77)
    assert [running.on_epoch(row(1, epoch, 0.3), patience=2) for epoch in (1, 2, 3)] == [True, True, False]
    assert running.epochs == 6
    again = RunningTrial(study, study.ask(), spec, set())
    again.restore([row(0, 1, 0.7), row(0, 2, 0.8)])  # another process has seen it end
    assert (again.values, again.epochs) == ({0: 0.8}, 2)
    again.on_epoch(row(1, 1, 0.6))
    assert study.trials[-1].intermediate_values[EPOCHS + 1] == pytest.approx(0.7)


def test_rounds_that_end_early_are_compared_by_round() -> None:
    """Their last values are what is reported, at once."""
    study, spec = make_study("wilcoxon")
    running = begin(study, spec)
    for epoch in (1, 2, 3):
        running.on_epoch(row(0, epoch, 0.8 - 0.01 * epoch), patience=2)
    assert study.trials[0].intermediate_values == {0: pytest.approx(0.77)}


@pytest.mark.parametrize("length", [EPOCHS - 3, EPOCHS + 5])
def test_rounds_have_the_epochs_of_their_own_trial(length: int) -> None:
    """Where the length is searched, a round is judged by its last epoch, whether it has fewer than the start or more; by epoch, the last
    step is the objective too. One that waited long enough ends before that."""
    curves = [[0.1 * seed + 0.01 * epoch for epoch in range(1, length + 1)] for seed in range(3)]
    for pruner, steps in (("wilcoxon", [0, 1, 2]), ("none", [length, 2 * length, 3 * length])):
        study, spec = make_study(pruner, 3)
        running = begin(study, spec)
        for epoch in range(1, length + 1):  # side by side
            for seed, curve in enumerate(curves):
                assert running.values == {one: curves[one][-1] for one in range(seed) if epoch == length}
                assert running.on_epoch(row(seed, epoch, curve[epoch - 1]), epochs=length)
        reported = study.trials[0].intermediate_values
        ends = [curve[-1] for curve in curves]
        known = ends if pruner == "wilcoxon" else [sum(ends[: number + 1]) / (number + 1) for number in range(3)]
        assert [reported[step] for step in steps] == pytest.approx(known)
        assert len(reported) == (3 if pruner == "wilcoxon" else 3 * length)
    early = begin(study, spec)
    for epoch, accuracy in enumerate((0.8, 0.7, 0.6), 1):
        early.on_epoch(row(0, epoch, accuracy), patience=2, epochs=length + 1)
    assert early.values == {0: 0.6}


def test_median() -> None:
    """Below the median after the warm-up: ended. Above it: not. Before enough trials are complete: nobody."""
    study, spec = make_study("median", warmup=2, n_startup_trials=3)
    assert train(study, spec, flat(0.3)) is None
    assert [train(study, spec, flat(accuracy)) for accuracy in (0.7, 0.8)] == [None, None]
    assert train(study, spec, flat(0.6)) == 3
    assert train(study, spec, flat(0.75)) is None
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 3 + ["PRUNED", "COMPLETE"]


def test_median_warms_up_in_each_round() -> None:
    """A slow start does not end a trial, neither in the first round nor in the second."""
    study, spec = make_study("median", warmup=2, n_startup_trials=3)
    for _ in range(3):
        train(study, spec, flat(0.7))
    slow = [0.1, 0.1, 0.8, 0.8, 0.8, 0.8]
    assert train(study, spec, [slow, slow]) is None


def test_median_compares_like_with_like() -> None:
    """A good first round does not hide a bad second one: the best value so far is that of the same seeds."""
    study, spec = make_study("median", warmup=2, n_startup_trials=3)
    for _ in range(3):
        train(study, spec, [[0.9] * EPOCHS, [0.5] * EPOCHS])  # the second seed is the harder one
    assert train(study, spec, [[0.9] * EPOCHS, [0.4] * EPOCHS]) == EPOCHS + 3
    assert train(study, spec, [[0.9] * EPOCHS, [0.5] * EPOCHS]) is None


def test_successive_halving() -> None:
    """At the first rung, those that are not among the best third go."""
    study, spec = make_study("successive_halving", min_resource=2, reduction_factor=3)
    assert [train(study, spec, flat(accuracy)) for accuracy in (0.9, 0.5, 0.4)] == [None, 2, 2]
    assert train(study, spec, flat(0.95)) is None


def test_hyperband() -> None:
    """The steps of all rounds are its resource; hopeless trials end early, each in its bracket, and the best one does not."""
    study, spec = make_study("hyperband", min_resource=2, reduction_factor=3)
    ended = [train(study, spec, flat(accuracy)) for accuracy in (0.9, *(0.5 - 0.01 * number for number in range(12)), 0.95)]
    assert ended[0] is None
    assert ended[-1] is None
    assert sum(epochs is not None and epochs <= 6 for epochs in ended) >= 8


def test_wilcoxon() -> None:
    """After a few rounds that are all worse than those of the best trial, reported round by round."""
    study, spec = make_study("wilcoxon", 8)
    good = [[0.8 + 0.01 * seed] * EPOCHS for seed in range(8)]
    assert train(study, spec, good) is None
    assert list(study.trials[0].intermediate_values) == list(range(8))
    worse = [[0.7 + 0.005 * seed] * EPOCHS for seed in range(8)]
    assert train(study, spec, worse) in (4 * EPOCHS + 1, 5 * EPOCHS + 1)  # the round that decides is on record
    mixed = [[accuracy[0] + (0.02 if seed % 2 else -0.02)] * EPOCHS for seed, accuracy in enumerate(good)]
    assert train(study, spec, mixed) is None


def test_a_diverged_round_ends_its_trial() -> None:
    """As a failure with its reason, whatever the pruner thinks."""
    study, spec = make_study("none")
    running = begin(study, spec)
    assert running.on_epoch(row(0, 1, 0.5))
    assert not running.on_epoch(row(0, 2, 0.5, float("nan")))
    assert running.failure == "seed 0: the loss became nan in epoch 2"
