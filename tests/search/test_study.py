"""The study's accounts: how many trials may begin, what happens to those of dead processes, whose study it is."""

import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from digitcmp.errors import SearchError
from digitcmp.search.config import Choice, Random, SearchConfig
from digitcmp.search.grammar import make_space
from digitcmp.search.heartbeat import Observer, Signature, began, place
from digitcmp.search.samplers import make_sampler
from digitcmp.search.storage import open_place
from digitcmp.search.study import OWNER, WORKER, open_study
from tests.search.crashes import check_kills, check_restarts
from tests.search.made import ABOUT, PARAMS, open_ledger

KINDS = ["sqlite", "journal"]


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A storage in a file."""
    return f"{request.param}:///{tmp_path}/study"


def test_n_trials_is_the_total(url: str) -> None:
    """Complete and pruned trials count, failed ones don't; a later process goes on to the same total."""
    with open_ledger(url, 4) as ledger:
        for ending, value in (("complete", 0.5), ("failed", None), ("pruned", None)):
            claimed = ledger.claim()
            assert claimed is not None
            assert ledger.end(claimed[0].number, ending, value, 7, "because" if ending == "failed" else "")
    with open_ledger(url, 4) as ledger:
        counts = ledger.counts()
        assert (counts.complete, counts.pruned, counts.failed) == (1, 1, 1)
        begun = [ledger.claim(), ledger.claim(), ledger.claim()]
        assert [claimed is not None for claimed in begun] == [True, True, False]
        failed = ledger.study.get_trials(states=(TrialState.FAIL,))[0]
        assert failed.user_attrs["reason"] == "because"


def test_too_many_failures_end_a_search(url: str) -> None:
    """No trial is begun after as many have failed as the search has trials."""
    with open_ledger(url, 2) as ledger:
        for _ in range(2):
            claimed = ledger.claim()
            assert claimed is not None
            ledger.end(claimed[0].number, "failed", None, 0, "because")
        assert ledger.claim() is None


def test_two_open_ledgers_share_the_total(url: str) -> None:
    """Trials that run in another, living process are not begun again, and take up their place."""
    with open_ledger(url, 3) as one, open_ledger(url, 3) as two:
        numbers = [ledger.claim()[0].number for ledger in (one, two, one)]  # type: ignore[index]
        assert numbers == [0, 1, 2]
        assert two.claim() is None
        assert two.counts().others == 2
        assert two.end(1, "complete", 0.5, 1)


def test_a_trial_of_a_dead_process_goes_on_as_itself(url: str) -> None:
    """Its number and parameters stay, its missing parameters are added, and it is taken once."""
    space = make_space(PARAMS, [])
    gone = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    signature = Signature(place(), gone.pid, began(gone.pid), 60.0)
    with open_ledger(url, 3) as ledger:
        trial = ledger.study.ask()
        trial.suggest_categorical("optimizer", ["sgd", "adam"])
        trial.set_user_attr(OWNER, "gone")
        ledger.study.set_user_attr(f"{WORKER}gone", asdict(signature))
        first = ledger.claim()
        assert first is not None
        assert first[0].number == 1  # the process lives
        gone.kill()
        gone.communicate()
        again = ledger.claim()
        assert again is not None
        assert again[0].number == 0
        assert space.suggest(again[0])["optimizer"] == trial.params["optimizer"]
        third = ledger.claim()
        assert third is not None
        assert third[0].number == 2


def test_who_was_taken_for_dead_finds_its_trial_taken(url: str) -> None:
    """The trial is ended by its new owner alone."""
    with open_ledger(url, 1) as slow, open_ledger(url, 1) as quick:
        assert slow.claim() is not None
        slow.give_back(0)
        slow.held[0] = quick.study.trials[0]._trial_id  # as if it had been taken away while it trained
        assert quick.claim() is not None
        assert not slow.end(0, "complete", 0.1, 1)
        assert quick.end(0, "complete", 0.9, 1)
        assert quick.study.best_value == 0.9


def test_a_lease_is_judged_by_the_observers_own_clock() -> None:
    """On another machine: alive while the beat moves, dead when it has stood still for its lease, whatever its clock says."""
    now = [0.0]
    observer = Observer(lambda: now[0])
    signed: dict[str, Any] = asdict(Signature("elsewhere", 1, "1", 60.0))
    assert observer.dead("unknown", None)
    for beat in range(5):
        now[0] += 59
        assert not observer.dead("a", {**signed, "beat": beat})
    now[0] += 60
    assert not observer.dead("a", {**signed, "beat": 4})
    now[0] += 1
    assert observer.dead("a", {**signed, "beat": 4})


def test_at_the_same_place_the_system_knows() -> None:
    """A living process is never taken for dead, a reused number never for the living."""
    now = [0.0]
    observer = Observer(lambda: now[0])
    mine = asdict(Signature(place(), os.getpid(), began(os.getpid()), 1.0))
    assert not observer.dead("me", mine)
    now[0] += 1e6
    assert not observer.dead("me", mine)
    assert observer.dead("earlier", {**mine, "began": "1"})


def test_signs_of_life_go_on(url: str) -> None:
    """The beat of a process rises while it works."""
    with open_ledger(url, lease=0.2) as ledger:
        name = f"{WORKER}{ledger.worker.id}"
        first = ledger.study.user_attrs[name]["beat"]
        end = time.monotonic() + 30
        while ledger.study.user_attrs[name]["beat"] < first + 2:
            assert time.monotonic() < end
            time.sleep(0.02)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"space": make_space({"aux_weight": "interval(0,1)"}, []).describe()}, "has another search space"),
        ({"configuration": {"epochs": 3}}, "has another configuration (epochs 2 -> 3)"),
        ({"seeds": [0]}, "has other seeds"),
        ({"steps": "rounds"}, "has other steps"),
    ],
)
def test_a_study_of_something_else_is_refused(url: str, change: dict[str, Any], words: str) -> None:
    """The error says in what it differs and what to do."""
    with open_ledger(url):
        pass
    sampler = make_sampler(Choice("random", Random()), 0)
    with open_place(url) as where, pytest.raises(SearchError) as caught:
        open_study(where, "study", SearchConfig(), {**ABOUT, **change}, sampler, optuna.pruners.NopPruner())
    assert words in str(caught.value)
    assert "choose another hydra.sweeper.study_name" in str(caught.value)


def test_starting_points_are_queued_once(url: str) -> None:
    """Those of an earlier command are not queued again; new ones are."""
    sampler = make_sampler(Choice("random", Random()), 0)
    points = [{"optimizer": "adam", "optimizer.lr": 0.5}, {"optimizer": "adam", "optimizer.lr": 0.1}]
    for upto in (1, 1, 2):
        with open_place(url) as where:
            study = open_study(where, "s", SearchConfig(enqueue=points[:upto]), ABOUT, sampler, optuna.pruners.NopPruner())
            assert len(study.trials) == upto


def test_killed_processes_lose_no_trial(url: str, tmp_path: Path) -> None:
    """Four processes share a study, two are killed."""
    check_kills(url, tmp_path)


def test_killed_and_started_again(url: str, tmp_path: Path) -> None:
    """One process, killed six times at random moments."""
    check_restarts(url, tmp_path)
