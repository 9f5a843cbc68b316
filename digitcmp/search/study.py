"""The study of a search: who may begin which trial, and how each one ended.

A trial counts when it is complete or pruned. A process begins a trial only when those that count and those that run are fewer
than `n_trials`; it looks and begins in one turn (`Place`), so that several processes together never begin too many. A trial
whose process died is put back into the queue by whoever notices first, and is then taken from there, with its number, its
parameters and its folder; a process that was taken for dead and is not finds that the trial is not its own any more.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import optuna
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from digitcmp.config.identity import differences
from digitcmp.errors import SearchError
from digitcmp.search.config import SearchConfig
from digitcmp.search.heartbeat import Observer, Worker
from digitcmp.search.storage import Place

ABOUT = "digitcmp"  # the study's attribute that says what it is about
ENQUEUED = "digitcmp enqueued"
WORKER = "digitcmp worker "  # followed by the worker's id: its signature
OWNER = "worker"  # the trial's attribute that says who has it
DIRECTIONS = {"maximize": StudyDirection.MAXIMIZE, "minimize": StudyDirection.MINIMIZE}
Ending = Literal["complete", "pruned", "failed"]


@dataclass(frozen=True)
class Counts:
    """Trials by state; `others`: running in another process, as far as anybody knows."""

    complete: int
    pruned: int
    failed: int
    running: int
    others: int

    @property
    def counted(self) -> int:
        """Trials that count towards n_trials."""
        return self.complete + self.pruned


class Ledger:
    """A study that is open, as this process works on it."""

    def __init__(self, place: Place, study: Study, search: SearchConfig) -> None:
        self.place, self.study, self.search = place, study, search
        self.observer = Observer()
        self.worker = Worker(search.lease, lambda name, signature: study.set_user_attr(WORKER + name, signature))
        self.held: dict[int, int] = {}  # trials of this process: number to id
        self.limit = search.n_trials if search.max_failed is None else search.max_failed

    @contextmanager
    def join(self) -> Iterator[int]:
        """Take part, and show signs of life, for the time being; gives how many processes have taken part before."""
        with self.place.turn():
            before = sum(name.startswith(WORKER) for name in self.study.user_attrs)
            self.worker.show()
        with self.worker:
            yield before

    def claim(self) -> tuple[Trial, set[int]] | None:
        """The next trial, from the queue or a new one, and the steps that it has told already.

        None when enough trials count or run, or too many have failed.
        """
        with self.place.turn():
            trials = self.study.get_trials(deepcopy=False)
            self.requeue(trials)
            counts = self.counts()
            if counts.counted + counts.running >= self.search.n_trials or counts.failed >= self.limit:
                return None
            trial = self.study.ask()
            trial.set_user_attr(OWNER, self.worker.id)
        self.held[trial.number] = trial._trial_id
        before = trials[trial.number : trial.number + 1]  # Optuna numbers without gaps; a new trial is not among them
        return trial, set(before[0].intermediate_values) if before else set()

    def requeue(self, trials: list[FrozenTrial]) -> None:
        """Put the trials of dead processes back into the queue. Within a turn."""
        others = [trial for trial in trials if trial.state == TrialState.RUNNING and trial.number not in self.held]
        signatures = self.study.user_attrs if others else {}
        for trial in others:
            # a trial without an owner was begun in a turn that its process did not survive
            owner = trial.user_attrs.get(OWNER)
            if owner is None or self.observer.dead(owner, signatures.get(WORKER + owner)):
                self.place.storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)

    def counts(self) -> Counts:
        """How the trials stand."""
        trials = self.study.get_trials(deepcopy=False)
        states = [trial.state for trial in trials]
        running = [trial.number for trial in trials if trial.state == TrialState.RUNNING]
        others = len(set(running) - set(self.held))
        complete, pruned, failed = (states.count(state) for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL))
        return Counts(complete, pruned, failed, len(running), others)

    def end(self, number: int, ending: Ending, value: float | None, epochs: int, reason: str = "") -> bool:
        """Put on record how a trial of this process ended; False when another process has taken it over meanwhile.

        epochs: how many were trained, over all rounds (a complete trial has them all); reason: why it failed.
        """
        trial_id = self.held[number]
        with self.place.turn():
            trial = self.place.storage.get_trial(trial_id)
            if trial.state != TrialState.RUNNING or trial.user_attrs.get(OWNER) != self.worker.id:
                del self.held[number]
                return False
            if ending != "complete":
                self.place.storage.set_trial_user_attr(trial_id, "epochs", epochs)
            if reason:
                self.place.storage.set_trial_user_attr(trial_id, "reason", reason[:500])
            state = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}[ending]
            self.study.tell(number, value, state=state)
        del self.held[number]  # not before: an interrupt in between gives it back
        return True

    def give_back(self, *numbers: int) -> None:
        """Put trials of this process back into the queue: whoever asks next goes on with them."""
        with self.place.turn():
            for number in numbers:
                trial_id = self.held.pop(number)
                trial = self.place.storage.get_trial(trial_id)
                if trial.state == TrialState.RUNNING and trial.user_attrs.get(OWNER) == self.worker.id:
                    self.place.storage.set_trial_state_values(trial_id, TrialState.WAITING)


def open_study(place: Place, name: str, search: SearchConfig, about: dict[str, Any], sampler: BaseSampler, pruner: BasePruner) -> Study:
    """The study of this name, made if there is none. about: what it must be about: space, configuration, seeds, steps.

    Raises SearchError when it has another direction, is about something else, or was not made by this sweeper.
    """
    made = json.loads(json.dumps(about))  # as it is read back
    with place.turn():
        study = optuna.create_study(
            study_name=name,
            storage=place.storage,
            direction=DIRECTIONS[search.direction],
            load_if_exists=True,
            sampler=sampler,
            pruner=pruner,
        )
        where, advice = f"the study {name} in {place.name}", "choose another hydra.sweeper.study_name"
        if (before := study.direction.name.lower()) != search.direction:
            raise SearchError(f"hydra.sweeper.direction={search.direction}: {where} is to {before}; {advice}")
        if ABOUT not in (known := study.user_attrs):
            if study.get_trials(deepcopy=False):
                raise SearchError(f"{where} was not made by hydra/sweeper=digitcmp_optuna; {advice}")
            study.set_user_attr(ABOUT, made)
        elif known[ABOUT] != made:
            raise SearchError(f"{where} has {other(known[ABOUT], made)}; {advice}")
        enqueue(study, known.get(ENQUEUED, []), search.enqueue)
    return study


def other(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Where a study differs from what is asked for now, in words."""
    kinds = {"space": "another search space", "configuration": "another configuration", "seeds": "other seeds", "steps": "other steps"}
    kind = next(kind for kind in kinds if before.get(kind) != now[kind])
    was, is_ = (part[kind] if isinstance(part[kind], dict) else {kind: part[kind]} for part in (before, now))
    return f"{kinds[kind]} ({differences(was, is_)})"


def enqueue(study: Study, before: list[dict[str, Any]], points: list[dict[str, Any]]) -> None:
    """Put the starting points into the queue that were not put there before. Within a turn."""
    new = [point for point in points if point not in before]
    for point in new:
        study.enqueue_trial(point)
    if new:
        study.set_user_attr(ENQUEUED, [*before, *new])
