"""The study of a search: how it is made; who may begin which trial, and how each one ended.

A trial counts when it is complete or pruned. A process begins a trial only when those that count and those that run are fewer
than `n_trials`; it looks and begins under the storage's lock, so that several processes together never begin too many. A trial
whose process died is put back into the queue by whoever notices first, and is then taken from there, with its number, its
parameters and its folder; a process that was taken for dead and is not finds that the trial is not its own any more.
"""

import json
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from digitcmp.config.identity import defaults, differences, flat
from digitcmp.config.schema import Config
from digitcmp.errors import SearchError
from digitcmp.plugins.private import study_id_of, trial_id_of
from digitcmp.search.again import AGAIN, different, not_retried
from digitcmp.search.config import SearchConfig
from digitcmp.search.heartbeat import Heartbeat, HeartbeatMonitor
from digitcmp.search.storage import StudyStorage

IDENTITY = "digitcmp"  # the study's attribute that says what must be the same for its trials to be compared
OTHER = {"space": "another search space", "configuration": "another configuration", "seeds": "other seeds", "steps": "other steps"}
HEARTBEAT = "digitcmp heartbeat "  # an attribute that dashboards do not show, followed by the id of a process: its last beat
VALUES = "values"  # the trial's attribute with the validation accuracies of its rounds, by seed
OWNER = "digitcmp owner"  # the trial's attribute, one of those, that says which process has it
METRIC = "validation accuracy"  # what dashboards call the objective
Ending = Literal["complete", "pruned", "failed"]


@dataclass(frozen=True)
class Counts:
    """Trials by state; `waiting`: in the queue; `others`: running in another process, as far as anybody knows; `retried`: failed ones whose
    points were tried again, or will be."""

    complete: int
    pruned: int
    failed: int
    running: int
    waiting: int
    others: int
    retried: int = 0

    @property
    def counted(self) -> int:
        """Trials that count towards n_trials."""
        return self.complete + self.pruned

    @property
    def lost(self) -> int:
        """Trials that count towards max_failed."""
        return self.failed - self.retried


class SharedStudy:
    """A study that several processes work on, as this one sees it. closed: nothing is asked of its sampler, the queue is all there is."""

    def __init__(self, storage: StudyStorage, study: Study, settings: SearchConfig, closed: bool = False) -> None:
        self.storage, self.study, self.settings, self.closed = storage, study, settings, closed
        self.monitor = HeartbeatMonitor()
        self.heartbeat = Heartbeat(settings.lease, self.publish)
        self.held: dict[int, int] = {}  # trials of this process: number to id
        self.max_failed = settings.n_trials if settings.max_failed is None else settings.max_failed

    @contextmanager
    def join(self) -> Iterator[int]:
        """Take part, with a heartbeat, for the time being; gives how many processes have taken part before."""
        with self.storage.lock():
            before = len(self.beats())
            self.heartbeat.send()
        with self.heartbeat:
            yield before

    def publish(self, process_id: str, beat: dict[str, Any]) -> None:
        """Put a process's beat where others see it."""
        self.storage.backend.set_study_system_attr(study_id_of(self.study), HEARTBEAT + process_id, beat)

    def beats(self) -> dict[str, dict[str, Any]]:
        """The last beats of all processes that have ever taken part, by their ids."""
        attributes = self.storage.backend.get_study_system_attrs(study_id_of(self.study))
        return {name.removeprefix(HEARTBEAT): beat for name, beat in attributes.items() if name.startswith(HEARTBEAT)}

    def claim(self) -> tuple[Trial, set[int]] | None:
        """The next trial, from the queue or a new one, and the steps that are reported already.

        None when enough trials count or run, or too many have failed.
        """
        with self.storage.lock():
            trials = self.study.get_trials(deepcopy=False)
            self.requeue(trials)
            if not self.has_room(self.counts()):
                return None
            trial = self.study.ask()
            self.storage.backend.set_trial_system_attr(trial_id_of(trial), OWNER, self.heartbeat.id)
        self.held[trial.number] = trial_id_of(trial)
        before = trials[trial.number : trial.number + 1]  # Optuna numbers without gaps; a new trial is not among them
        return trial, set(before[0].intermediate_values) if before else set()

    def has_room(self, counts: Counts) -> bool:
        """Whether a trial may begin."""
        if self.closed:
            return counts.waiting > 0
        return counts.counted + counts.running < self.settings.n_trials and counts.lost < self.max_failed

    def is_over(self, counts: Counts) -> bool:
        """Whether none will begin any more, whatever becomes of those that run."""
        if self.closed:
            return counts.waiting + counts.running == 0
        return counts.counted >= self.settings.n_trials or counts.lost >= self.max_failed

    def requeue(self, trials: list[FrozenTrial]) -> None:
        """Put the trials of dead processes back into the queue. Under the lock."""
        others = [trial for trial in trials if trial.state == TrialState.RUNNING and trial.number not in self.held]
        beats = self.beats() if others else {}
        for trial in others:
            # a trial without an owner: its process died while it had the lock
            owner = trial.system_attrs.get(OWNER)
            if owner is None or self.monitor.is_dead(owner, beats.get(owner)):
                self.storage.backend.set_trial_state_values(trial_id_of(trial), TrialState.WAITING)

    def stopped(self) -> set[int]:
        """The processes of this host that have trials and are stopped: they keep them, and the folders of their runs."""
        owners = {trial.system_attrs.get(OWNER) for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))}
        beats = [beat for process_id, beat in self.beats().items() if process_id in owners]
        return {process for beat in beats if (process := self.monitor.stopped(beat)) is not None}

    def counts(self) -> Counts:
        """How the trials stand."""
        trials = self.study.get_trials(deepcopy=False)
        states = Counter(trial.state for trial in trials)
        others = sum(trial.state == TrialState.RUNNING and trial.number not in self.held for trial in trials)
        return Counts(
            states[TrialState.COMPLETE],
            states[TrialState.PRUNED],
            states[TrialState.FAIL],
            states[TrialState.RUNNING],
            states[TrialState.WAITING],
            others,
            states[TrialState.FAIL] - len(not_retried(trials)),
        )

    def retry(self) -> tuple[int, int]:
        """Queue the points of failed trials once more, as trials of their own, since none that has ended begins again: as many as n_trials
        has room for, those that failed first in front; each point once. Gives how many these are, and of how many points."""
        with self.storage.lock():
            failed, counts = different(not_retried(self.study.get_trials(deepcopy=False))), self.counts()
            room = max(0, self.settings.n_trials - counts.counted - counts.running - counts.waiting)
            for trial in failed[:room]:
                self.study.enqueue_trial(trial.params, user_attrs={AGAIN: trial.number})
        return len(failed[:room]), len(failed)

    def end(
        self, number: int, ending: Ending, value: float | None, epochs: int, reason: str = "", notes: Mapping[str, Any] | None = None
    ) -> bool:
        """Put on record how a trial of this process ended; False when another process has taken it over meanwhile.

        value: the objective; of a pruned trial what it has reached, where that is not what was reported last, which Optuna takes. epochs:
        how many were trained, over all rounds; reason: why it failed; notes: other attributes.
        """
        trial_id = self.held[number]
        with self.storage.lock():
            trial = self.storage.backend.get_trial(trial_id)
            if trial.state != TrialState.RUNNING or trial.system_attrs.get(OWNER) != self.heartbeat.id:
                del self.held[number]
                return False
            told = {"epochs": epochs, "reason": reason[:500], **(notes or {})}
            for name, said in told.items():
                if said not in (None, ""):
                    self.storage.backend.set_trial_user_attr(trial_id, name, said)
            if ending == "pruned" and value is not None:
                self.storage.backend.set_trial_intermediate_value(trial_id, max(trial.intermediate_values, default=-1) + 1, value)
                value = None
            state = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}[ending]
            self.study.tell(number, value, state=state)
        del self.held[number]  # not before: an interrupt in between releases it
        return True

    def release(self, *numbers: int) -> None:
        """Put trials of this process back into the queue: whoever asks next goes on with them."""
        with self.storage.lock():
            for number in numbers:
                trial_id = self.held.pop(number)
                trial = self.storage.backend.get_trial(trial_id)
                if trial.state == TrialState.RUNNING and trial.system_attrs.get(OWNER) == self.heartbeat.id:
                    self.storage.backend.set_trial_state_values(trial_id, TrialState.WAITING)


def open_study(
    storage: StudyStorage, name: str, settings: SearchConfig, identity: dict[str, Any], sampler: BaseSampler, pruner: BasePruner
) -> Study:
    """The study of this name, made if there is none. identity: its space, configuration, seeds and steps (`SearchSpec.identity`).

    Raises SearchError when it has another direction or identity, several objectives, or was not made by this sweeper: nothing is written
    to it then.
    """
    wanted = json.loads(json.dumps(identity))  # as it is read back
    with storage.lock():
        study = optuna.create_study(
            study_name=name,
            storage=storage.backend,
            direction=StudyDirection[settings.direction.upper()],
            load_if_exists=True,
            sampler=sampler,
            pruner=pruner,
        )
        where, advice = f"the study {name} in {storage.name}", "choose another hydra.sweep.dir"
        if settings.study_name:
            advice = "choose another hydra.sweeper.study_name, and another hydra.sweep.dir where that is given"
        if len(study.directions) > 1:
            raise SearchError(f"{where} has {len(study.directions)} objectives; {advice}")
        if (direction := study.direction.name.lower()) != settings.direction:
            raise SearchError(f"hydra.sweeper.direction={settings.direction}: {where} is to {direction}; {advice}")
        if IDENTITY not in (known := study.user_attrs):
            if study.get_trials(deepcopy=False):
                raise SearchError(f"{where} was not made by hydra/sweeper=digitcmp_optuna; {advice}")
            study.set_user_attr(IDENTITY, wanted)
        elif (before := as_of_now(known[IDENTITY], wanted)) != wanted:
            kind = next(kind for kind in OTHER if before.get(kind) != wanted[kind])
            was, is_ = (part[kind] if isinstance(part[kind], dict) else {kind: part[kind]} for part in (before, wanted))
            raise SearchError(f"{where} has {OTHER[kind]} ({differences(was, is_)}); {advice}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # of naming what is measured, since 2023
            study.set_metric_names([METRIC])
        for point in settings.enqueue:
            study.enqueue_trial(point, skip_if_exists=True)
    return study


def as_of_now(known: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """What a study is on record as, with the keys that came later at their defaults."""
    later = {name: value for name, value in flat(defaults(Config, {})).items() if name in wanted["configuration"]}
    return {**known, "configuration": {**later, **known.get("configuration", {})}}
