"""`kill -9` at system calls that touch a run's folder, and what the next command makes of it."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from digitcmp.files import remove_leftovers, write_whole
from tests.conftest import ROOT
from tests.experiment.made import ROUND, RoundResult, write_run

KILLS = 40  # `python -m tests.experiment.tracer FOLDER` does all of them
WRITER = """
import os, sys, time
from pathlib import Path
from digitcmp import files
def wait(_):
    print("writing", flush=True)
    time.sleep(100)
files.os.fsync = wait
files.write_whole(Path(sys.argv[1]), "text")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the tracer needs ptrace as Linux has it")
@pytest.mark.timeout(600)
def test_kill_9_at_system_calls_changes_no_result(tmp_path: Path) -> None:
    """Random ones of all calls that touch the run's folder: after the same command again, all files are those of an undisturbed run."""
    seed = random.randrange(10**6)
    command = [sys.executable, "-m", "tests.experiment.tracer", str(tmp_path), "--kills", str(KILLS), "--seed", str(seed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"seed {seed}: {done.stdout}{done.stderr}"
    assert f"{KILLS} kills at " in done.stdout


def test_what_a_killed_process_was_writing_is_removed(tmp_path: Path) -> None:
    """Not while it is written; afterwards by the next command. Other files stay, whatever they are called."""
    path, others = tmp_path / "table.csv", [".table.csv.tmp", ".hidden.0123456789.tmp", "table.csv.12345678.tmp"]
    for name in others:
        (tmp_path / name).write_text("")
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        remove_leftovers(tmp_path)
        assert len(list(tmp_path.iterdir())) == len(others) + 1
        process.kill()
    write_whole(path, "whole")
    assert len(list(tmp_path.iterdir())) == len(others) + 2
    remove_leftovers(tmp_path)
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted([*others, "table.csv"])


def test_leftovers_of_a_run_are_removed_by_the_next_command(tmp_path: Path) -> None:
    """In its folder and where its networks are; a symbolic link and a pipe of such a name are left alone."""
    store = write_run(tmp_path / "run", [RoundResult(ROUND)], {"seeds": [0]})
    networks = tmp_path / "run" / "records" / "networks"
    networks.mkdir()
    for path in (tmp_path / "run" / ".run.json.01234567.tmp", networks / ".0.safetensors.89abcdef.tmp"):
        path.write_text("half")
    os.mkfifo(tmp_path / "run" / ".pipe.01234567.tmp")
    (tmp_path / "run" / ".link.01234567.tmp").symlink_to(tmp_path / "run" / "run.json")
    store.end()
    assert sorted(path.name for path in (tmp_path / "run").rglob(".*.tmp")) == [".link.01234567.tmp", ".pipe.01234567.tmp"]


def test_ctrl_c_while_a_file_is_written_leaves_nothing_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was there before stays."""
    path = write_whole(tmp_path / "table.csv", "before")

    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, "after")
    assert [one.name for one in tmp_path.iterdir()] == ["table.csv"]
    assert path.read_text() == "before"
