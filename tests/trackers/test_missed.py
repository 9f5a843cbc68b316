"""What is said when a tracker breaks is a command that runs as it stands, and mends it."""

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from digitcmp.config.allowed import ALLOWED
from tests.conftest import Ended
from tests.trackers.test_trackers import OF_MLFLOW, TINY, Messages, config, in_mlflow, train_run

Main = Callable[..., Ended]
SMALL = [*TINY, "engine=serial", "report=false", "rounds=2"]
OWN = '''"""A tracker of one's own, which is down as long as a file says so."""
from pathlib import Path
from digitcmp.trackers.tracker import Tracker


class Mine(Tracker):
    def __init__(self, there):
        super().__init__()
        self.there = Path(there)

    def show_run(self, run):
        if Path("down").exists():
            raise ConnectionError("down")
        return False

    def held(self, run):
        return {}

    def show_round(self, run, row, epochs, mark):
        with self.there.open("a") as file:
            file.write(f"{run.name} {row.seed}\\n")

    def show_end(self, run, rows):
        pass
'''


def advised(ended: Ended, end: str = "") -> list[str]:
    """The words of the command that is said to add what a tracker misses."""
    (command,) = re.findall(rf"; training goes on; python -m (.*) adds what it misses{end}$", ended.out + ended.err, re.MULTILINE)
    return shlex.split(command)


@pytest.mark.filterwarnings(*OF_MLFLOW)
@pytest.mark.parametrize(
    ("mode", "rounds"),
    [
        (["hydra.run.dir='the run'"], {"the run": 1, "seed=0": 1, "seed=1": 1}),
        (
            ["--multirun", "model=net2,wsn", "hydra.sweep.dir='the sweep'", "hydra.sweep.subdir=deep/${model.name}"],
            {"net2": 1, "wsn": 1, "seed=0": 2, "seed=1": 2},
        ),
    ],
    ids=["run", "sweep"],
)
def test_an_export_that_is_advised_mends(run_cli: Main, tmp_path: Path, mode: list[str], rounds: dict[str, int]) -> None:
    """Of all runs that the command has trained, to where they were to be shown."""
    pytest.importorskip("mlflow")
    path = tmp_path / "my runs.db"
    path.write_text("no database")
    ended = run_cli(*SMALL, "+callbacks=mlflow", f"callbacks.mlflow.uri='sqlite:///{path}'", *mode)
    assert ended.code == 0, ended.err
    path.unlink()
    again = subprocess.run([sys.executable, "-m", *advised(ended)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr  # in another process: mlflow has the broken file open in this one
    assert in_mlflow(f"sqlite:///{tmp_path}/./{path.name}") == rounds


@pytest.mark.parametrize("mode", [["hydra.run.dir='the run'"], ["--multirun", "hydra.sweep.dir=out", "hydra.sweep.subdir='the run'"], []])
def test_an_own_tracker_is_mended_by_the_run(run_cli: Main, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: list[str]) -> None:
    """Which goes on in its folder, with the code that was let in, and the YAML files."""
    monkeypatch.delenv(ALLOWED, raising=False)
    (tmp_path / "plugins.py").write_text(OWN)
    (tmp_path / "conf" / "callbacks").mkdir(parents=True)
    (tmp_path / "conf" / "callbacks" / "mine.yaml").write_text(
        "# @package callbacks\nmine: {target: digitcmp.own.plugins:Mine, there: shown}\n"
    )
    (tmp_path / "down").touch()
    ended = run_cli("--allow-code", "plugins.py", "--config-dir", "conf", *SMALL, "+callbacks=mine", *mode)
    assert ended.code == 0, ended.err
    words = advised(ended, " of [^/]*")
    assert words[0] == "digitcmp"
    assert not Path("shown").exists()
    (tmp_path / "down").unlink()
    monkeypatch.delenv(ALLOWED, raising=False)
    ended = run_cli(*words[1:])
    assert ended.code == 0, ended.err
    assert "2 rounds are finished already, 0 to train" in ended.out
    (run,) = (path.parent.name for path in tmp_path.rglob("run.json"))
    assert Path("shown").read_text() == f"{run} 0\n{run} 1\n"


def test_a_run_that_no_command_has_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is exported from the folder that it has here; nothing is said in a command that has a password in it."""
    pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    messages = Messages()
    train_run(config(1, {"mlflow": {"uri": "http://127.0.0.1:9"}}), tmp_path / "-a", messages)
    train_run(config(1, {"mlflow": {"uri": "http://me:s3cr3t@127.0.0.1:9"}}), tmp_path / "b", messages)
    first, second = messages.texts
    assert first.endswith("; python -m digitcmp.runs export ./-a --to mlflow --option uri=http://127.0.0.1:9 adds what it misses")
    assert second.endswith("; whoever goes on with the run, in its folder, adds what it misses")
    assert "s3cr3t" not in second
