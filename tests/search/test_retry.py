"""retry_failed=true in a search: finalists whose rounds failed for a passing reason, and trials that did."""

import re
from collections.abc import Callable
from pathlib import Path

import optuna
import pandas as pd
import pytest
from optuna.trial import TrialState

from digitcmp.config.allowed import ALLOWED
from digitcmp.experiment.store import read_run_records
from digitcmp.search.again import AGAIN
from digitcmp.search.finalists import NUMBER
from digitcmp.search.storage import open_storage
from tests.conftest import Ended
from tests.search.made import open_shared, study_in

FILE = """
from dataclasses import dataclass
from pathlib import Path
import torch
from digitcmp.config.registry import Component
from digitcmp.config.schema import OptimizerConfig, key

@dataclass
class Keys(OptimizerConfig):
    algorithm: str = key("flaky", help="what it is")
    lr: float = key(0.1, help="learning rate")

class Flaky(torch.optim.SGD):
    made = 0  # rounds since something is broken

    def __init__(self, params, **keys):
        super().__init__(params, **keys)
        Flaky.made = Flaky.made + 1 if Path("broken").exists() else 0
        self.number = Flaky.made

    def step(self, closure=None):
        super().step(closure)
        told = Path("broken")  # from which learning rate on, up to which one, and which rounds: every so many
        words = told.read_text().split() if told.exists() else ["inf"]
        low, high, every = map(float, words + ["inf", "3"][len(words) - 1 :])
        if any(low <= group["lr"] < high for group in self.param_groups) and self.number % every == 0:
            for group in self.param_groups:
                for parameter in group["params"]:
                    parameter.data.fill_(float("nan"))

optimizers = {"flaky": Component(Flaky, Keys)}
"""
TINY = ["model=net2", "epochs=1", "batch_size=20", "data.train_pairs=60", "data.val_pairs=20", "data.test_pairs=20", "engine=serial"]
OURS = ["--config-dir", "my", "--allow-code", "my/plugins.py", "--multirun", "hydra/sweeper=digitcmp_optuna", "hydra.sweep.dir=out", *TINY]
SEARCH = [*OURS, "optimizer=flaky", "report=false", "hydra.sweeper.pruner=none", "optimizer.lr=0.01,0.1"]
START = "hydra.sweeper.enqueue=[{optimizer.lr: 0.01},{optimizer.lr: 0.1}]"
FINAL = [START, "hydra.sweeper.n_trials=2", "hydra.sweeper.finalists=2", "hydra.sweeper.finalist_rounds=2"]
Cli = Callable[..., Ended]


@pytest.fixture(autouse=True)
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An optimiser that breaks now and then while a file says so."""
    monkeypatch.setenv(ALLOWED, "")
    monkeypatch.chdir(tmp_path)
    Path("my").mkdir()
    Path("my/plugins.py").write_text(FILE)


def met(rounds: int = 2) -> list[tuple[int, str]]:
    """Which finalists have met, and how each ended, in the order of the study."""
    study = study_in("sqlite:///out/study.db", f"out-final-{rounds}")
    return [(trial.user_attrs[NUMBER], trial.state.name) for trial in study.trials]


def rounds_of(number: int) -> dict[int, tuple[str, str]]:
    """How the rounds of a finalist stand, and when each ended, by its place among the seeds."""
    records = read_run_records(Path(f"out/finalists/trial_{number:04d}")).rounds
    return {seed % 1000: (records[seed].row.status, records[seed].finished) for seed in sorted(records)}


def hold_broken(run_cli: Cli, broken: float) -> Ended:
    """A search, then its final, in which every third round breaks from this learning rate on (a finalist has two, and is tried out before
    them); then nothing breaks any more."""
    ended = run_cli(*SEARCH, START, "hydra.sweeper.n_trials=2")
    assert ended.code == 0, ended.err
    Path("broken").write_text(str(broken))
    ended = run_cli(*SEARCH, *FINAL)
    Path("broken").unlink()
    return ended


def test_finalists_that_all_failed_are_trained_again(run_cli: Cli) -> None:
    """The error says how; what is done stays, and what failed is trained."""
    ended = hold_broken(run_cli, 0)
    assert ended.code == 1
    assert re.fullmatch(
        "digitcmp: all 2 finalists failed, so none is picked: seed 200000[01]: the loss became nan in epoch 1; "
        "the same command with retry_failed=true trains their failed rounds again",
        ended.err.splitlines()[-1],
    )
    before = [rounds_of(number) for number in (0, 1)]
    assert [sorted(status for status, _ in rounds.values()) for rounds in before] == [["done", "failed"]] * 2
    assert run_cli(*SEARCH, *FINAL).code == 1
    assert met() == [(0, "FAIL"), (1, "FAIL")]
    ended = run_cli(*SEARCH, *FINAL, "retry_failed=true")
    assert ended.code == 0, ended.err
    assert "2 finalists that failed are trained again" in ended.out
    assert met() == [(0, "FAIL"), (1, "FAIL"), (0, "COMPLETE"), (1, "COMPLETE")]
    for number in (0, 1):
        rounds = rounds_of(number)
        for place, (status, when) in before[number].items():
            assert (rounds[place] == (status, when)) == (status == "done")
            assert rounds[place][0] == "done"
    assert "## Final" in Path("out/summary/search.md").read_text()
    again = run_cli(*SEARCH, *FINAL, "retry_failed=true")
    assert "trained again" not in again.out
    assert len(met()) == 4


def test_a_finalist_that_failed_is_trained_again(run_cli: Cli) -> None:
    """It is told of where others did not fail; whichever process takes it, one that was not told to, too."""
    ended = hold_broken(run_cli, 0.05)
    assert ended.code == 0, ended.err
    told = "1 of 2 finalists failed; the same command with retry_failed=true trains their failed rounds again"
    assert told in " ".join(ended.out.split())
    assert met() == [(0, "COMPLETE"), (1, "FAIL")]
    with open_storage("sqlite:///out/study.db") as storage:  # as another process with retry_failed=true
        study = optuna.load_study(study_name="out-final-2", storage=storage.backend)
        study.enqueue_trial(study.trials[1].params, user_attrs={NUMBER: 1, AGAIN: 1})
    ended = run_cli(*SEARCH, *FINAL)
    assert ended.code == 0, ended.err
    assert met() == [(0, "COMPLETE"), (1, "FAIL"), (1, "COMPLETE")]
    assert sorted(pd.read_csv("out/summary/trials.csv")["final"]) == ["complete", "picked"]


def test_a_longer_final_trains_what_failed_in_the_last_one(run_cli: Cli) -> None:
    """It is another study, in which nobody has failed yet."""
    assert hold_broken(run_cli, 0.05).code == 0
    longer = [*SEARCH, *FINAL, "hydra.sweeper.finalist_rounds=3"]
    assert run_cli(*longer).code == 0
    assert met(3) == [(0, "COMPLETE"), (1, "FAIL")]
    before = rounds_of(0)
    assert run_cli(*longer, "retry_failed=true").code == 0
    assert met(3) == [(0, "COMPLETE"), (1, "FAIL"), (1, "COMPLETE")]
    assert rounds_of(0) == before
    assert [status for status, _ in rounds_of(1).values()] == ["done"] * 3
    Path("broken").write_text("0.05")
    longest = [*SEARCH, *FINAL, "hydra.sweeper.finalist_rounds=5"]
    assert run_cli(*longest).code == 0
    Path("broken").unlink()
    assert met(5) == [(0, "COMPLETE"), (1, "FAIL")]
    assert run_cli(*SEARCH, *FINAL, "hydra.sweeper.finalist_rounds=6", "retry_failed=true").code == 0
    assert met(6) == [(0, "COMPLETE"), (1, "COMPLETE")]


def test_the_point_of_a_failed_trial_is_tried_again(run_cli: Cli) -> None:
    """As a trial of its own: the study has ended the first one for good. The error says how; the first one does not count any more."""
    Path("broken").write_text("0.05")
    points = "hydra.sweeper.enqueue=[{optimizer.lr: 0.1},{optimizer.lr: 0.01}]"
    search = [*SEARCH, points, "rounds=2", "hydra.sweeper.n_trials=2", "hydra.sweeper.max_failed=1"]
    ended = run_cli(*search)
    assert ended.code == 1
    assert ended.err.splitlines()[-1].startswith("digitcmp: failed: all of 1 trial, so there is no best one: seed ")
    assert ended.err.splitlines()[-1].endswith(
        "; the same command with retry_failed=true tries their points again, with hydra.sweeper.max_failed=2 others"
    )
    Path("broken").unlink()
    assert run_cli(*search).code == 1
    ended = run_cli(*search, "retry_failed=true")
    assert ended.code == 0, ended.err
    assert "1 failed trial tried again, under a new number" in ended.out
    trials = study_in("sqlite:///out/study.db", "out").trials
    assert [(trial.state.name, trial.params["optimizer.lr"], trial.user_attrs.get(AGAIN)) for trial in trials] == [
        ("FAIL", 0.1, None),
        ("COMPLETE", 0.01, None),
        ("COMPLETE", 0.1, 0),
    ]
    assert "Trials: 2 of 2: 2 complete, 0 pruned; 1 failed" in Path("out/summary/search.md").read_text()
    assert "tried again" not in run_cli(*search, "retry_failed=true").out


CONFIRM = [*SEARCH[:-1], "optimizer.lr=0.0001,0.1"]
LOW_FIRST = ["hydra.sweeper.enqueue=[{optimizer.lr: 0.0001},{optimizer.lr: 0.1}]", "hydra.sweeper.n_trials=2"]


def confirmed() -> dict[str, list[str]]:
    """How the rounds of a confirmation stand, by the name of the run."""
    folders = sorted(path.parent for path in Path("out/confirm").glob("*/run.json"))
    return {folder.name: [record.row.status for record in read_run_records(folder).rounds.values()] for folder in folders}


@pytest.mark.parametrize(
    ("points", "broken", "rounds", "failed", "said"),
    [
        pytest.param(
            [LOW_FIRST[0], "hydra.sweeper.n_trials=1"],
            "0 inf 1",
            1,
            "start: 1 of 1 round failed",
            "is the one that",
            id="the same",
        ),
        pytest.param(LOW_FIRST, "0 0.01 1", 2, "start: 2 of 2 rounds failed", "of the start failed", id="the start"),
        pytest.param(LOW_FIRST, "0.01 inf 1", 2, "trial_0001: 2 of 2 rounds failed", "of the best failed", id="the best"),
        pytest.param(LOW_FIRST, "0 inf 1", 2, "trial_0001: 2 of 2 rounds failed", "of the best and the start failed", id="both"),
        pytest.param(LOW_FIRST, "0 0.01 4", 2, "start: 1 of 2 rounds failed", "Paired difference", id="one round"),
    ],
)
def test_rounds_of_a_confirmation_that_failed(run_cli: Cli, points: list[str], broken: str, rounds: int, failed: str, said: str) -> None:
    """Are an error, as those of a sweep are, behind a summary with what there is; and are trained again."""
    assert run_cli(*CONFIRM, *points).code == 0
    Path("broken").write_text(broken)
    asked = [*CONFIRM, *points, f"hydra.sweeper.confirm={rounds}"]
    name, _, words = failed.partition(": ")
    for _ in range(2):  # once more, as they are on record
        ended = run_cli(*asked)
        assert ended.code == 1
        (line,) = [line for line in ended.err.splitlines() if line.startswith("digitcmp: ")]
        assert line.startswith(f"digitcmp: {words} (seed")
        assert f"confirm/{name}/digitcmp.log" in line
        assert line.endswith("; the same command with retry_failed=true trains them again")
        page = Path("out/summary/search.md").read_text()
        assert "## Confirmed" in page
        assert said in page
        assert ("points over the start" in ended.out) == ("Paired difference" in page) == (said == "Paired difference")
    Path("broken").unlink()
    done = [run for run, states in confirmed().items() if states == ["done"] * rounds]
    ended = run_cli(*asked, "retry_failed=true")
    assert ended.code == 0, ended.err
    assert {*done} < {*confirmed()}
    assert {state for states in confirmed().values() for state in states} == {"done"}


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_as_many_points_as_there_is_room_for(kind: str, tmp_path: Path) -> None:
    """Are tried again, each once; failed again, they may be once more."""
    with open_shared(f"{kind}:///{tmp_path}/study", 2) as shared:
        for ending in ("failed", "complete"):
            claimed = shared.claim()
            assert claimed is not None
            claimed[0].suggest_float("optimizer.lr", 0.1, 1.0)
            shared.end(claimed[0].number, ending, 0.5 if ending == "complete" else None, 1, "because")  # type: ignore[arg-type]
        claimed = shared.claim()
        assert claimed is not None
        claimed[0].suggest_float("optimizer.lr", 0.1, 1.0)
        shared.end(claimed[0].number, "failed", None, 1, "because")
        assert shared.claim() is None
        assert shared.retry() == (1, 2)
        assert (shared.counts().failed, shared.counts().lost) == (2, 1)
        assert shared.retry() == (0, 1)
        claimed = shared.claim()
        assert claimed is not None
        failed = shared.study.get_trials(states=(TrialState.FAIL,))
        assert claimed[0].suggest_float("optimizer.lr", 0.1, 1.0) == failed[0].params["optimizer.lr"]
        shared.end(claimed[0].number, "failed", None, 1, "because")
        assert shared.counts().lost == 2
        assert shared.retry() == (1, 2)


def test_a_point_is_tried_again_once(tmp_path: Path) -> None:
    """However many trials of it have failed, which count no more then; failed once more, it counts as one, and may be tried again."""
    with open_shared(f"sqlite:///{tmp_path}/study", 4) as shared:

        def fail(rate: float | None = None) -> float:
            if rate is not None:
                shared.study.enqueue_trial({"optimizer.lr": rate})
            claimed = shared.claim()
            assert claimed is not None
            found = claimed[0].suggest_float("optimizer.lr", 0.1, 1.0)
            shared.end(claimed[0].number, "failed", None, 1, "because")
            return found

        for rate in (0.5, 0.7, 0.5):
            fail(rate)
        assert (shared.counts().failed, shared.counts().lost) == (3, 3)
        assert shared.retry() == (2, 2)
        assert (shared.counts().waiting, shared.counts().retried, shared.counts().lost) == (2, 3, 0)
        assert shared.retry() == (0, 0)
        assert [fail(), fail()] == [0.5, 0.7]
        assert (shared.counts().retried, shared.counts().lost) == (3, 2)
        fail(0.5)
        assert shared.retry() == (2, 2)
        assert (shared.counts().retried, shared.counts().lost) == (6, 0)
