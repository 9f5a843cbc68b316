"""The final of a search: its best trials meet again on fresh validation seeds, and one of them is picked.

The best of many trials, each judged by a few rounds, is mostly a lucky one. So the trials with the best validation accuracies, and
with them the point that the search began with (the incumbent: where nothing is better, it stays), are trained on seeds that no trial
has seen, the same for all, again without a look at the test pairs. Whoever has the best mean over these seeds, pair by pair, is
picked. A finalist is dropped early when it clearly loses against another one on the seeds that both have had: the one-sided
signed-rank test at 5 %, from the fifth round on, after each.

Sources: the races of irace (López-Ibáñez et al. 2016, The irace package: iterated racing for automatic algorithm configuration), of
F-Race (Birattari et al. 2002), with common instances (here seeds), a first test after five, and candidates dropped by a test on
paired values; the intensification of SMAC (Hutter, Hoos and Leyton-Brown 2011; Lindauer et al. 2022), in which challengers meet the
incumbent on the same seeds. The trials were picked on other seeds, so that their luck there counts for nothing. That of the final
itself does: its winner is the best of these rounds, so that its mean and its leads in them are too good on average. A fair estimate
takes yet other seeds (`confirm`).

A final is a study of its own beside the search's, with a trial a finalist: it goes on, and is shared, as a search is. Its rounds are
in the sweep's folder, `finalists/trial_NNNN`; `finalists/final.json` says whose final it is now, and on which seeds.
"""

import json
import math
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean
from typing import Any, Literal

import pandas as pd
from hydra.plugins.launcher import Launcher
from optuna.pruners import BasePruner, NopPruner
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState
from rich.console import Console

from digitcmp.counting import are, counted
from digitcmp.errors import SearchError
from digitcmp.experiment import planned
from digitcmp.files import write_whole
from digitcmp.plugins.launcher import DigitcmpLauncher
from digitcmp.report.comparisons import paired
from digitcmp.report.metrics import DECIMALS, METRICS
from digitcmp.report.searching import FINAL, FINALISTS
from digitcmp.search.again import AGAIN
from digitcmp.search.algorithms import make_sampler
from digitcmp.search.loop import Search
from digitcmp.search.race import RacePruner, seed_values
from digitcmp.search.space import Values
from digitcmp.search.spec import BEYOND, SearchSpec
from digitcmp.search.study import SharedStudy, open_study
from digitcmp.search.trial import TrialSpec
from digitcmp.terminal import tell

FOLDER = FINALISTS
NUMBER = "trial"  # the attribute of a finalist that says which trial of the search it is
RETRY = "the same command with retry_failed=true trains their failed rounds again"
State = Literal["complete", "dropped", "failed"]
STATES: dict[TrialState, State] = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "dropped", TrialState.FAIL: "failed"}


@dataclass(frozen=True)
class FinalSpec(SearchSpec):
    """A final as a search whose trials are the finalists: known by their numbers in the search, never anything new."""

    noun = "finalist"
    title = "final"

    @property
    def trial(self) -> TrialSpec:
        """Compared round by round."""
        return TrialSpec(self.base.seeds, self.base.epochs, True, 0)

    def overrides(self, values: Values) -> list[str]:
        """Those of the trial, with other seeds."""
        return [*super().overrides(values), *seed_overrides(self)]

    def number_of(self, trial: Trial) -> int:
        return int(trial.user_attrs[NUMBER])

    def trial_folder(self, number: int) -> str:
        return f"{FOLDER}/{super().trial_folder(number)}"


def final_of(spec: SearchSpec, finalists: int) -> FinalSpec:
    """The final of a search, with so many finalists. It ends when they have, whatever the search's timeout."""
    settings = replace(spec.settings, n_trials=finalists, timeout=None, enqueue=[])
    base = replace(spec.base, seed=spec.base.seed + BEYOND, rounds=settings.finalist_rounds)
    return FinalSpec(settings, spec.space, spec.start, base, spec.folder)


def seed_overrides(final: SearchSpec) -> list[str]:
    """What makes the seeds of a final."""
    return [f"seed={final.base.seed}", f"rounds={final.base.rounds}"]


@dataclass(frozen=True)
class Finalist:
    """A trial of the search in its final. values: validation accuracies of its rounds there, by seed; reason: why it failed."""

    trial: FrozenTrial
    state: State
    values: dict[int, float]
    reason: str = ""

    @property
    def mean(self) -> float:
        """Over its rounds; NaN without any."""
        return fmean(self.values.values()) if self.values else math.nan


@dataclass(frozen=True)
class Final:
    """A final that is over. finalists: as they met, the incumbent first; wanted: how many there should have been; sign: -1 where less is
    better."""

    seeds: list[int]
    finalists: list[Finalist]
    wanted: int
    sign: int = 1

    @cached_property
    def ranking(self) -> list[Finalist]:
        """The finalists, the best in front: those with all rounds by their means, equal ones as they met; then those that were dropped, and
        those that failed."""
        order = ["complete", "dropped", "failed"]
        return sorted(self.finalists, key=lambda one: (order.index(one.state), badness(one.mean, self.sign) if one.values else math.inf))

    @property
    def winner(self) -> Finalist:
        """Whom the search picks."""
        return self.ranking[0]

    def table(self) -> pd.DataFrame:
        """One row a finalist, the best in front: trial, state, rounds, mean, search (its value in the search), reason, and of the winner
        less it, paired by seed, the columns of `digitcmp.report.comparisons.paired`."""
        rows: list[dict[str, Any]] = []
        for one in self.ranking:
            row = {"trial": one.trial.number, "state": one.state, "rounds": len(one.values), "mean": one.mean}
            values = pd.DataFrame({"winner": self.winner.values, "other": one.values}, dtype="float64")
            metric = replace(METRICS["val_accuracy"], higher_is_better=self.sign > 0)
            compared = {} if one is self.winner else paired(values["winner"], values["other"], metric)
            rows.append({**compared, **row, "search": one.trial.value, "reason": one.reason})  # the mean is its own
        return pd.DataFrame(rows)


def choose(spec: SearchSpec, shared: SharedStudy) -> list[FrozenTrial]:
    """The finalists: the first starting point, where there is one that did not fail, and the best complete trials, different ones."""
    trials = shared.study.get_trials(deepcopy=False)
    begun = [trial for trial in trials if spec.settings.enqueue and trial.params == spec.start]
    incumbent = [trial for trial in begun if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)][:1]
    chosen = list[FrozenTrial]()
    for trial in [*incumbent, *complete_trials(spec, shared)]:
        if all(trial.params != other.params for other in chosen):
            chosen.append(trial)
    return chosen[: spec.settings.finalists]


def complete_trials(spec: SearchSpec, shared: SharedStudy) -> list[FrozenTrial]:
    """Those of a search, the best in front; of equal ones the earlier."""
    complete, sign = shared.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)), sign_of(spec)
    return sorted(complete, key=lambda trial: badness(trial.value or 0.0, sign))


def badness(mean: float, sign: int) -> float:
    """What means are sorted by, the best in front. Rounded: those of the same rounds in another order can differ in their last digit."""
    return -sign * round(mean, DECIMALS)


def sign_of(spec: SearchSpec) -> int:
    """-1 where less is better."""
    return -1 if spec.less_is_better else 1


def hold(spec: SearchSpec, shared: SharedStudy, launcher: Launcher, console: Console) -> Final | None:
    """Train the finalists of a search whose trials are through, as far as they are not, together with other processes.

    None where the search wants none, or has only one trial to choose. Raises SearchError when all of them fail.
    """
    chosen = choose(spec, shared) if spec.settings.finalists else []
    if len(chosen) < 2:
        return None
    final, sign = final_of(spec, len(chosen)), sign_of(spec)
    seeds = final.trial.seeds
    tell(console, f"final: {counted(len(chosen), 'finalist')}, {counted(len(seeds), 'round')} each (seeds {seeds[0]} to {seeds[-1]})")
    pruner = RacePruner(seeds, sign) if isinstance(launcher, DigitcmpLauncher) else NopPruner()
    study = open_final(final, shared, pruner, {trial.number for trial in chosen})
    race = SharedStudy(shared.storage, study, final.settings, closed=True)
    if retried := queue(race, chosen, spec.base.retry_failed):
        tell(console, f"{counted(retried, 'finalist')} that failed {are(retried)} trained again")
    write_whole(spec.folder.absolute() / FOLDER / FINAL, json.dumps({"trials": [trial.number for trial in chosen], "seeds": seeds}) + "\n")
    folders = [spec.folder.absolute() / final.trial_folder(trial.number) for trial in chosen]
    lengths = [(seeds, spec.trial.length_of(trial)) for trial in chosen]
    planned.write(spec.folder.absolute(), planned.Planned(dict(zip(folders, lengths, strict=True))))
    with race.join():
        Search(final, race, launcher, console).run()
    met = {trial.user_attrs[NUMBER]: trial for trial in study.get_trials(deepcopy=False, states=tuple(STATES))}  # the last one of each
    finalists = [finalist(trial, met[trial.number]) for trial in chosen]
    failed = [one for one in finalists if one.state == "failed"]
    if len(failed) == len(finalists):
        raise SearchError(f"all {len(failed)} finalists failed, so none is picked: {failed[0].reason}; {RETRY}")
    if failed:
        tell(console, f"{len(failed)} of {len(finalists)} finalists failed; {RETRY}")
    return Final(seeds, finalists, spec.settings.finalists, sign)


def queue(race: SharedStudy, chosen: list[FrozenTrial], retry: bool) -> int:
    """Let the finalists meet that have not, and with retry those that failed once more. Gives how many these are."""
    with race.storage.lock():
        met = {trial.user_attrs[NUMBER]: trial for trial in race.study.get_trials(deepcopy=False)}  # the last one of each
        failed = {number: trial.number for number, trial in met.items() if retry and trial.state == TrialState.FAIL}
        for trial in chosen:
            if trial.number not in met or trial.number in failed:
                # also one that is new to this study may have failed rounds, of an earlier final
                again = {AGAIN: failed.get(trial.number)} if retry else {}
                race.study.enqueue_trial(trial.params, user_attrs={NUMBER: trial.number, **again})
        return sum(trial.number in failed for trial in chosen)


def open_final(final: FinalSpec, shared: SharedStudy, pruner: BasePruner, numbers: set[int], again: int = 1) -> Study:
    """The study of the final of these trials. One of more rounds, or without some of those that met before, who may have dropped others,
    is another study, which finds the rounds of the first in their folders."""
    name = f"{shared.study.study_name}-final-{final.base.rounds}" + f"-{again}" * (again > 1)
    study = open_study(shared.storage, name, final.settings, final.identity(), make_sampler(final.settings, 0), pruner)
    met = {trial.user_attrs[NUMBER] for trial in study.get_trials(deepcopy=False)}
    return study if met <= numbers else open_final(final, shared, pruner, numbers, again + 1)


def finalist(trial: FrozenTrial, met: FrozenTrial) -> Finalist:
    """How a trial of the search fared. met: its trial in the final."""
    return Finalist(trial, STATES[met.state], seed_values(met), met.user_attrs.get("reason", ""))
