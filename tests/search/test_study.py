"""The study's accounts: how many trials may begin, what happens to those of dead processes, whose study it is."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from digitcmp.errors import SearchError
from digitcmp.plugins.private import trial_id_of
from digitcmp.search.algorithms import make_sampler
from digitcmp.search.config import SearchConfig
from digitcmp.search.finalists import Final, Finalist
from digitcmp.search.frames import COLUMNS, OF_FINAL, column_of, full_epochs, lengths, slices, trials, with_final
from digitcmp.search.grammar import make_space
from digitcmp.search.heartbeat import Beat, HeartbeatMonitor
from digitcmp.search.storage import open_storage, storage_url
from digitcmp.search.study import METRIC, OWNER, VALUES, open_study
from digitcmp.search.trial import LENGTH, TrialSpec
from digitcmp.system import host_id, is_stopped, start_time
from tests.search.crashes import check_kills, check_restarts
from tests.search.made import IDENTITY, PARAMS, open_shared

KINDS = ["sqlite", "journal"]


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A storage in a file."""
    return f"{request.param}:///{tmp_path}/study"


def test_where_a_study_is_kept(tmp_path: Path) -> None:
    """In sqlite on one machine, in a journal where several share it, or have; machines cannot share sqlite."""
    assert storage_url(None, tmp_path, shared=False) == f"sqlite:///{tmp_path}/study.db"
    assert storage_url(None, tmp_path, shared=True) == f"journal:///{tmp_path}/study.journal"
    assert storage_url("journal:///a", tmp_path, shared=True) == "journal:///a"
    (tmp_path / "study.journal").touch()
    assert storage_url(None, tmp_path, shared=False) == f"journal:///{tmp_path}/study.journal"
    (tmp_path / "study.db").touch()
    for given, told in (("sqlite:///b", "storage=sqlite:///b: "), (None, rf"storage=sqlite:///{tmp_path}/study\.db: .* another folder")):
        with pytest.raises(SearchError, match=f"{told}.*"):
            storage_url(given, tmp_path, shared=True)


def test_n_trials_is_the_total(url: str) -> None:
    """Complete and pruned trials count, failed ones don't; a later process goes on to the same total."""
    with open_shared(url, 4) as shared:
        for ending, value in (("complete", 0.5), ("failed", None), ("pruned", None)):
            claimed = shared.claim()
            assert claimed is not None
            assert shared.end(claimed[0].number, ending, value, 7, "because" if ending == "failed" else "")
    with open_shared(url, 4) as shared:
        counts = shared.counts()
        assert (counts.complete, counts.pruned, counts.failed) == (1, 1, 1)
        begun = [shared.claim(), shared.claim(), shared.claim()]
        assert [claimed is not None for claimed in begun] == [True, True, False]
        failed = shared.study.get_trials(states=(TrialState.FAIL,))[0]
        assert failed.user_attrs["reason"] == "because"


def test_a_study_explains_itself(url: str) -> None:
    """What dashboards show of it: what is measured, what a trial left where; nothing of the processes that worked on it."""
    with open_shared(url, 2) as shared:
        for ending, value in (("complete", 0.5), ("pruned", None)):
            claimed = shared.claim()
            assert claimed is not None
            notes = {"folder": "out/trial_0000", "mean": 0.5, VALUES: {"0": 0.4, "1": 0.6}, "std": None}
            assert shared.end(claimed[0].number, ending, value, 7, notes=notes)  # type: ignore[arg-type]
    with open_shared(url, 2) as shared:
        assert shared.study.metric_names == [METRIC]
        assert set(shared.study.user_attrs) == {"digitcmp"}
        told = {"folder": "out/trial_0000", "mean": 0.5, VALUES: {"0": 0.4, "1": 0.6}}
        assert [trial.user_attrs for trial in shared.study.trials] == [{**told, "epochs": 7}] * 2
        assert len(shared.beats()) == 2


def test_too_many_failures_end_a_search(url: str) -> None:
    """No trial is begun after as many have failed as the search has trials."""
    with open_shared(url, 2) as shared:
        for _ in range(2):
            claimed = shared.claim()
            assert claimed is not None
            shared.end(claimed[0].number, "failed", None, 0, "because")
        assert shared.claim() is None


def test_two_processes_share_the_total(url: str) -> None:
    """Trials that run in another, living process are not begun again, and count among those that have begun."""
    with open_shared(url, 3) as one, open_shared(url, 3) as two:
        numbers = [shared.claim()[0].number for shared in (one, two, one)]  # type: ignore[index]
        assert numbers == [0, 1, 2]
        assert two.claim() is None
        assert two.counts().others == 2
        assert two.end(1, "complete", 0.5, 1)


def test_a_trial_of_a_dead_process_goes_on_as_itself(url: str) -> None:
    """Its number and parameters stay, its missing parameters are added, and it is taken once."""
    space = make_space(PARAMS, [])
    gone = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    beat = Beat(host_id(), gone.pid, start_time(gone.pid), 60.0)
    with open_shared(url, 3) as shared:
        trial = shared.study.ask()
        trial.suggest_categorical("optimizer", ["sgd", "adam"])
        shared.storage.backend.set_trial_system_attr(trial_id_of(trial), OWNER, "gone")
        shared.publish("gone", asdict(beat))
        first = shared.claim()
        assert first is not None
        assert first[0].number == 1  # the process lives
        gone.kill()
        gone.communicate()
        again = shared.claim()
        assert again is not None
        assert again[0].number == 0
        assert space.suggest(again[0])["optimizer"] == trial.params["optimizer"]
        third = shared.claim()
        assert third is not None
        assert third[0].number == 2


def test_who_was_taken_for_dead_finds_its_trial_taken(url: str) -> None:
    """The trial is ended by its new owner alone."""
    with open_shared(url, 1) as slow, open_shared(url, 1) as quick:
        assert slow.claim() is not None
        slow.release(0)
        slow.held[0] = trial_id_of(quick.study.trials[0])  # as if it had been taken away while it trained
        assert quick.claim() is not None
        assert not slow.end(0, "complete", 0.1, 1)
        assert quick.end(0, "complete", 0.9, 1)
        assert quick.study.best_value == 0.9


def test_a_lease_is_judged_by_the_monitors_own_clock() -> None:
    """On another machine: alive while the count rises, dead when it has stood still for its lease, whatever its clock says."""
    now = [0.0]
    monitor = HeartbeatMonitor(lambda: now[0])
    published: dict[str, Any] = asdict(Beat("elsewhere", 1, "1", 60.0))
    assert monitor.is_dead("unknown", None)
    for count in range(5):
        now[0] += 59
        assert not monitor.is_dead("a", {**published, "count": count})
    now[0] += 60
    assert not monitor.is_dead("a", {**published, "count": 4})
    now[0] += 1
    assert monitor.is_dead("a", {**published, "count": 4})


def test_on_the_same_host_the_system_knows() -> None:
    """A living process is never taken for dead, a reused number never for the living."""
    now = [0.0]
    monitor = HeartbeatMonitor(lambda: now[0])
    mine = asdict(Beat(host_id(), os.getpid(), start_time(os.getpid()), 1.0))
    assert not monitor.is_dead("me", mine)
    now[0] += 1e6
    assert not monitor.is_dead("me", mine)
    assert monitor.is_dead("earlier", {**mine, "start_time": "1"})


def test_a_stopped_process_is_told(url: str) -> None:
    """One of this host that has a trial, while it is stopped: it is alive, so that its trial stays its own, and known by its number."""
    with open_shared(url) as shared:
        with subprocess.Popen(["sleep", "100"]) as process:
            claimed = shared.claim()
            assert claimed is not None
            other = asdict(Beat(host_id(), process.pid, start_time(process.pid), 1.0))
            shared.publish("other", other)
            shared.storage.backend.set_trial_system_attr(trial_id_of(claimed[0]), OWNER, "other")
            shared.held.clear()
            assert shared.stopped() == set()
            process.send_signal(signal.SIGSTOP)
            while not is_stopped(process.pid):
                time.sleep(0.01)
            assert shared.stopped() == {process.pid}
            assert not shared.monitor.is_dead("other", other)
            process.kill()
        assert shared.stopped() == set()


def test_signs_of_life_go_on(url: str) -> None:
    """The count of a process rises while it works."""
    with open_shared(url, lease=0.2) as shared:
        first = shared.beats()[shared.heartbeat.id]["count"]
        end = time.monotonic() + 30
        while shared.beats()[shared.heartbeat.id]["count"] < first + 2:
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
    with open_shared(url):
        pass
    sampler = make_sampler(SearchConfig(sampler="random"), 0)
    with open_storage(url) as storage, pytest.raises(SearchError) as caught:
        open_study(storage, "study", SearchConfig(), {**IDENTITY, **change}, sampler, optuna.pruners.NopPruner())
    assert words in str(caught.value)
    assert "choose another hydra.sweep.dir" in str(caught.value)


SOMETHING_ELSE = {  # what is there, and what is said of it
    "sqlite:///folder": r"storage=sqlite:///folder: .*/folder is a folder; give a file",
    "sqlite:///pipe": r"storage=sqlite:///pipe: .*/pipe is no file; give a file",
    "sqlite:////dev/null": "/dev/null is no file",
    "sqlite:///loop": "storage=sqlite:///loop: unable to open database file",
    "sqlite:///text": "storage=sqlite:///text: file is not a database",
    "sqlite:///other.db": "its tables are of another Optuna version, or of another program",
    "sqlite:///:memory:": "use sqlite:///FILE",
    "sqlite:///a?timeout=abc": "use sqlite:///FILE",
    "sqlite+aiosqlite:///a": "use sqlite:///FILE",
    "postgresql+psycopg2://me:hidden@h/x": "not shown, as it may hold a password",
    "postgres://me@h/x": "storage=postgres://me@h/x: use sqlite:///FILE",
    "postgresql://me:hidden@h/x%00y": "not shown, as it may hold a password",
    "postgresql://me:hidden@h/x?prepare_threshold=a": r"me:\*\*\*@h/x\?prepare_threshold=a: PostgreSQL has no option prepare_threshold; ",
    "postgresql://me:hidden@h/x?PASSWORD=hidden": r"x\?PASSWORD=\*\*\*: PostgreSQL has no option PASSWORD; ",
    f"postgresql://me:hidden@{'x' * 70}/x": "label too long",
    "postgresql://me:hidden@127.0.0.1:99999/x": "invalid port number",
    "journal:///": "storage=journal:///: .* is a folder",
    "journal:///folder": "/folder is a folder",
    "journal:///pipe": "/pipe is no file",
    "journal:////dev/zero": "/dev/zero is no file",
    "journal:///text": "storage=journal:///text: this is no journal of Optuna's, or it is damaged",
    "journal:///lines": "storage=journal:///lines: this is no journal of Optuna's, or it is damaged",
    "journal:///bytes": "storage=journal:///bytes: this is no journal of Optuna's, or it is damaged",
}


@pytest.mark.parametrize(("given", "told"), SOMETHING_ELSE.items(), ids=SOMETHING_ELSE)
def test_what_is_no_storage(given: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is told in one line, at once; nothing is left beside it but a lock."""
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    os.mkfifo("pipe")
    Path("loop").symlink_to("loop")
    Path("text").write_text("hello\nworld\n" * 100)
    Path("lines").write_text('{"a": 1}\n{"b": 2}\n')
    Path("bytes").write_bytes(bytes(range(256)) * 10)
    with closing(sqlite3.connect("other.db")) as database:  # as alembic leaves it, whose program it be
        database.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        database.execute("INSERT INTO alembic_version VALUES ('abc')")
        database.execute("CREATE TABLE studies (a INT)")
        database.commit()
    before = {path.name for path in tmp_path.iterdir()}
    with pytest.raises(SearchError, match=told) as raised, open_storage(given):
        pass
    assert str(raised.value).isprintable()
    assert "hidden" not in str(raised.value)
    assert {path.name.removesuffix(".lock") for path in tmp_path.iterdir()} <= before


def test_starting_points_are_queued_once(url: str) -> None:
    """Those of an earlier command are not queued again; new ones are."""
    sampler = make_sampler(SearchConfig(sampler="random"), 0)
    points = [{"optimizer": "adam", "optimizer.lr": 0.5}, {"optimizer": "adam", "optimizer.lr": 0.1}]
    for upto in (1, 1, 2):
        with open_storage(url) as storage:
            study = open_study(storage, "s", SearchConfig(enqueue=points[:upto]), IDENTITY, sampler, optuna.pruners.NopPruner())
            assert len(study.trials) == upto


def test_killed_processes_lose_no_trial(url: str, tmp_path: Path) -> None:
    """Four processes share a study, two are killed."""
    check_kills(url, tmp_path)


def test_killed_and_started_again(url: str, tmp_path: Path) -> None:
    """One process, killed six times at random moments."""
    check_restarts(url, tmp_path)


def test_a_parameter_called_as_a_column_has_one_of_its_own() -> None:
    """What is the trial's and what was suggested are both there, and the figures have what was suggested."""
    names = [*COLUMNS, *OF_FINAL, "optimizer.lr"]
    given = {name: 10.0 + place for place, name in enumerate(names)}
    study, spec = optuna.create_study(), TrialSpec([0], 3, by_round=False, warmup=0)
    space = {name: FloatDistribution(0, 100) for name in names}
    study.add_trial(create_trial(value=0.5, params=given, distributions=space, user_attrs={"epochs": 3, "reason": "none"}))
    table = with_final(trials(study, spec), Final([7], [Finalist(study.trials[0], "complete", {7: 0.25})], 1))
    known = {"trial": 0, "state": "complete", "value": 0.5, "best": 0.5, "epochs": 3, "reason": "none", "final": "picked"}
    assert table[[*known]].iloc[0].to_dict() == known
    assert table["final_value"][0] == 0.25
    assert {name: table[column_of(name)][0] for name in names} == given
    assert table.columns.is_unique
    assert column_of("optimizer.lr") == "optimizer.lr"
    drawn = slices(table, study)
    assert dict(zip(drawn["parameter"], drawn["at"], strict=True)) == given


def test_epochs_by_the_configuration_of_each_trial() -> None:
    """Those on record; of trials of an earlier version, those that were suggested, or else those of the start. What failed counts for
    nothing."""
    study, spec = optuna.create_study(), TrialSpec([0, 1], 4, by_round=False, warmup=0)
    assert lengths(study, spec) == [4]
    study.add_trial(create_trial(value=0.5, user_attrs={LENGTH: 30}))
    study.add_trial(create_trial(value=0.5, params={"epochs": 7}, distributions={"epochs": IntDistribution(1, 50)}))
    study.add_trial(create_trial(value=0.5))
    study.add_trial(create_trial(state=TrialState.FAIL, user_attrs={LENGTH: 50}))
    assert lengths(study, spec) == [4, 30]
    assert full_epochs(study, spec) == 2 * (30 + 7 + 4)
    assert trials(study, spec)["epochs"].tolist()[:3] == [60, 14, 8]


def test_a_trial_whose_clock_was_set_back() -> None:
    """Takes no negative time: none that is known."""
    study, trial = optuna.create_study(), create_trial(value=0.5)
    assert trial.datetime_complete is not None
    study.add_trial(trial)
    trial.datetime_start = trial.datetime_complete + timedelta(hours=1)
    study.add_trial(trial)
    assert trials(study, TrialSpec([0], 3, by_round=False, warmup=0))["seconds"].isna().tolist() == [False, True]


@pytest.mark.parametrize("scheme", ["sqlite", "journal"])
def test_three_slashes_where_four_were_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """A folder that there is at the root and not here: both ways to write it are told, and work; one that there is here, or in neither
    place, is taken as it is, as is a search's own folder."""
    monkeypatch.chdir(tmp_path)
    url = f"{scheme}:///{str(tmp_path)[1:]}/x/study.log"
    with pytest.raises(SearchError) as refused:
        storage_url(url, tmp_path, shared=False)
    assert str(refused.value).startswith(f"storage={url}: this is {tmp_path}{tmp_path}/x/study.log, as three slashes begin a path")
    assert "\n" not in str(refused.value)
    root, here = re.findall(rf"{scheme}:///+\S+[^,\s]", str(refused.value).partition("; ")[2])
    for given, place in ((root, tmp_path / "x"), (here, Path(f"{tmp_path}{tmp_path}/x"))):
        with open_storage(storage_url(given, tmp_path, shared=False)):
            assert (place / "study.log.lock").exists(), given
    for given in (url, f"{scheme}:///nowhere/study.log", f"{scheme}:///tmp", f"{scheme}:///../study.log"):
        assert storage_url(given, tmp_path, shared=False) == given
    (tmp_path / "x").mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path / "x")
    assert storage_url(None, Path(tmp_path.parts[1], "mine"), shared=False) == f"sqlite:///{tmp_path.parts[1]}/mine/study.db"
