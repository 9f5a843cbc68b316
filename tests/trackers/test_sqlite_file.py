"""The database of MLflow on disk: whole or not there, whoever is killed over it."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from digitcmp.errors import ConfigError
from digitcmp.runs import cli
from digitcmp.trackers import load, sqlite_file
from digitcmp.trackers.sqlite_file import file_of, holds_tables, is_half_made, make_whole
from tests.conftest import Ended
from tests.experiment.made import train_run
from tests.report.made import write_run
from tests.trackers.test_trackers import OF_MLFLOW, Messages, config, in_mlflow

Main = Callable[..., Ended]
pytestmark = pytest.mark.filterwarnings(*OF_MLFLOW)
EXPORT = [sys.executable, "-m", "digitcmp.runs", "export", "a", "--to", "mlflow"]


def begin(folder: Path) -> "subprocess.Popen[bytes]":
    """A process that shows a run there to the database of this folder."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("MLFLOW_TRACKING_URI", None)
    return subprocess.Popen(EXPORT, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def tables(path: Path) -> set[str]:
    """The names of the tables of a database."""
    with closing(sqlite3.connect(path)) as file:
        return {name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


@pytest.mark.parametrize("later", [0.0, 0.1, 0.4])
def test_a_killed_first_command_leaves_nothing_half(tmp_path: Path, later: float) -> None:
    """At whatever moment: the next one goes on. later: seconds after its database was first seen."""
    pytest.importorskip("mlflow")
    write_run(tmp_path / "a", {0: 0.5, 1: 0.75})
    path, first = tmp_path / "mlflow.db", begin(tmp_path)
    until = time.monotonic() + 60
    while not (path.exists() and path.stat().st_size) and first.poll() is None and time.monotonic() < until:
        time.sleep(0.001)
    time.sleep(later)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert path.exists()
    second = begin(tmp_path)
    told, _ = second.communicate(timeout=120)
    assert second.returncode == 0, told
    assert in_mlflow(f"sqlite:///{path}") == {"a": 1, "seed=0": 1, "seed=1": 1}


def test_two_first_commands_at_once(tmp_path: Path) -> None:
    """Make one database; all of it is there, and what belongs to no database is not."""
    pytest.importorskip("mlflow")
    write_run(tmp_path / "a", {0: 0.5})
    both = [begin(tmp_path) for _ in range(2)]
    for one in both:
        told, _ = one.communicate(timeout=120)
        assert one.returncode == 0, told
    assert in_mlflow(f"sqlite:///{tmp_path}/mlflow.db") == {"a": 1, "seed=0": 1}
    assert sorted(path.name for path in tmp_path.iterdir()) == [".mlflow.db.lock", "a", "mlflow.db"]


def test_a_database_is_made_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a file that is new, or empty, or behind a link; what breaks before leaves it as it was, and nothing is made over what is there."""
    pytest.importorskip("mlflow")
    path, link = tmp_path / "new.db", tmp_path / "link.db"
    link.symlink_to("new.db")
    with monkeypatch.context() as patch:
        patch.setattr(sqlite_file.sqlite3, "connect", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            make_whole(path)
    assert not path.exists()
    path.touch()
    make_whole(link.resolve())
    assert link.is_symlink()
    assert {"alembic_version", "experiments", "runs"} <= tables(path)
    assert holds_tables(path)
    assert not is_half_made(path)
    before = path.read_bytes()
    make_whole(path)
    assert path.read_bytes() == before
    (other := tmp_path / "other.db").write_text("no database at all")
    make_whole(other)
    assert other.read_text() == "no database at all"


def test_a_half_made_database_is_told(tmp_path: Path, run_main: Main) -> None:
    """As an earlier version has left one: in a line that says what to do, after which it works. It is not touched, and costs no round."""
    pytest.importorskip("mlflow")
    path = tmp_path / "mlflow.db"
    make_whole(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("DELETE FROM experiments")
        for name in ("alembic_version", "runs"):
            file.execute(f"DROP TABLE {name}")
    messages = Messages()
    train_run(config(1, {"mlflow": {"uri": f"sqlite:///{path}"}}), tmp_path / "a", messages)
    (text,) = messages.texts
    assert f"{path} is half made" in text
    assert "move it away, and it is made anew); training goes on" in text
    export: list[Any] = [cli.main, "export", tmp_path / "a", "--to", "mlflow", "--option"]
    ended = run_main(*export, f"uri=sqlite:///{path}")
    assert (ended.code, ended.err.count("\n")) == (1, 1), ended.err
    assert f"{path} is half made" in ended.err
    path.rename(tmp_path / "away.db")
    ended = run_main(*export, f"uri=sqlite:///{tmp_path}/./mlflow.db")  # mlflow has the other one open in this process
    assert ended.code == 0, ended.err
    assert in_mlflow(f"sqlite:///{tmp_path}/./mlflow.db") == {"a": 1, "seed=0": 1}


def test_the_files_of_uris(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three slashes are for a relative path, four for one from the root; what is no file of its own is left to mlflow."""
    pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    for uri, path in {
        "sqlite:///x/mlflow.db": tmp_path / "x" / "mlflow.db",
        "sqlite:////x/mlflow.db": Path("/x/mlflow.db"),
        "sqlite+pysqlite:///mlflow.db?timeout=3": tmp_path / "mlflow.db",
    }.items():
        assert file_of(uri) == path, uri
    others = ["sqlite://", "sqlite:///:memory:", "sqlite:///file:a.db?uri=true", "postgresql://me@db/a", "http://localhost:5000", "mlruns"]
    assert [file_of(uri) for uri in others] == [None] * len(others)


def test_three_slashes_where_four_were_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is trained: which file this is, and how the other one is written."""
    pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path.parts[1]}/mlflow.db"
    told = f"={uri}: this is {tmp_path}/{tmp_path.parts[1]}/mlflow.db, as three slashes"
    with pytest.raises(ConfigError, match=re.escape(f"callbacks.mlflow.uri{told}")):
        load.check({"mlflow": {"uri": uri}})
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(ConfigError, match=re.escape(f"MLFLOW_TRACKING_URI{told}")):
        load.check({"mlflow": True})
    Path(tmp_path.parts[1]).mkdir()
    load.check({"mlflow": True})
