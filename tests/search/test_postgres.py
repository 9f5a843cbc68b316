"""A study in a real PostgreSQL server, which these tests start (postgres.py)."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest

from digitcmp.errors import SearchError
from digitcmp.search.storage import open_storage
from tests.search.crashes import check_accounts, check_kills, check_restarts
from tests.search.made import open_shared
from tests.search.postgres import PASSWORD, new_database, refused, running, url_of

pytestmark = pytest.mark.skipif(bool(refused()), reason=refused() or "it can be used")


@pytest.fixture(scope="module")
def server() -> Iterator[Path]:
    """The folder of a running server's socket."""
    with running() as started:
        yield started


@pytest.fixture
def url(server: Path, request: pytest.FixtureRequest) -> str:
    """The URL of a database of the test's own."""
    return new_database(server, f"t{abs(hash(request.node.name))}")


def test_four_processes_two_killed(url: str, tmp_path: Path) -> None:
    """Every trial is accounted for, none is lost, none is counted twice."""
    check_kills(url, tmp_path)


def test_killed_and_started_again(url: str, tmp_path: Path) -> None:
    """One process, killed six times at random moments."""
    check_restarts(url, tmp_path)


def test_the_command_line_shares_a_study(url: str, tmp_path: Path) -> None:
    """Two commands, one of them killed while it trains: together they train n_trials, and the study is of use afterwards."""
    options = ["model=net2", "epochs=2", "batch_size=20", "data.train_pairs=60", "data.val_pairs=20", "data.test_pairs=20", "engine=serial"]
    sweeper = ["hydra/sweeper=digitcmp_optuna", f"hydra.sweeper.storage='{url}'", "hydra.sweeper.n_trials=8", "hydra.sweeper.study_name=s"]
    sweeper += ["hydra.sweeper.finalists=3", "hydra.sweeper.finalist_rounds=2"]
    command = [sys.executable, "-m", "digitcmp", "--multirun", *sweeper, *options, "report=false", "optimizer.lr=interval(0.001,0.01)"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2]), "OMP_NUM_THREADS": "1"}
    folders = [f"hydra.sweep.dir={tmp_path / name}" for name in ("one", "two")]
    victim = subprocess.Popen([*command, folders[0]], env=environment, stdout=subprocess.PIPE, text=True)
    assert victim.stdout is not None
    assert any("trial" in line for line in victim.stdout)  # the first trial has ended
    victim.kill()
    victim.communicate()
    done = subprocess.run([*command, folders[1]], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Trials: 8 of 8" in done.stdout
    assert "final: 3 finalists, 2 rounds each" in done.stdout
    with open_storage(url) as storage:
        met = optuna.load_study(study_name="s-final-2", storage=storage.backend).trials
    assert [(one.state.name, len(one.user_attrs["values"])) for one in met] == [("COMPLETE", 2)] * 3
    assert PASSWORD not in done.stdout + done.stderr
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"multirun.yaml", "hydra.yaml", "overrides.yaml", "best.yaml", "search.md"} <= {path.name for path in files}
    assert not [path for path in files if PASSWORD.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    ("database", "password", "words"),
    [("postgres", "wrong", "password authentication failed"), ("nowhere", PASSWORD, 'database "nowhere" does not exist')],
)
def test_a_refusal_is_told_without_the_password(server: Path, database: str, password: str, words: str) -> None:
    """One line, with what the server said."""
    with pytest.raises(SearchError) as caught, open_storage(url_of(server, database, password)):
        pass
    assert words in str(caught.value)
    assert password not in str(caught.value).replace(words, "")
    assert "\n" not in str(caught.value)


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    """One line."""
    with pytest.raises(SearchError, match=r"storage=postgresql://.*\*\*\*.*: .*(No such file|refused)"), open_storage(url_of(tmp_path)):
        pass


def test_studies_in_one_database_keep_apart(url: str) -> None:
    """Two studies, each with its own total."""
    for name in ("one", "two"):
        with open_shared(url, 1, name=name) as shared:
            assert shared.claim() is not None
            assert shared.end(0, "complete", 0.5, 1)
            assert shared.claim() is None


def test_accounts_notice_what_is_missing(url: str, tmp_path: Path) -> None:
    """The check of these tests itself fails for a study that lacks a trial."""
    (tmp_path / "log").write_text("ended 0\n")
    with pytest.raises(AssertionError):
        check_accounts(url, tmp_path / "log", 1)
