"""Processes that a launcher of others has made end with the command, and nobody else's do."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from digitcmp.plugins import orphans
from digitcmp.plugins.orphans import VARIABLE, identity, mark, watch
from digitcmp.system import host_id, start_time
from tests.experiment.test_resume import PYTHON
from tests.plugins.test_launchers import STOCK, TINY, installed

LONG = ["epochs=2000", *TINY[1:]]
SECONDS = 60.0  # in which something comes about that takes a few
THEIRS, OURS = (OmegaConf.create({"launcher": {"_target_": f"{name}.Launcher"}}) for name in ("hydra_plugins.theirs", "digitcmp"))


def wait_until(done: Callable[[], object]) -> None:
    """Wait for something, for a while."""
    end = time.monotonic() + SECONDS
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)


def children_of(process: int) -> set[int]:
    """The numbers of its processes, and of theirs."""
    own = {int(one) for path in Path(f"/proc/{process}/task").glob("*/children") for one in path.read_text().split()}
    return own.union(*map(children_of, own))


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc")
@pytest.mark.parametrize("backend", ["loky", "multiprocessing"])
def test_workers_of_joblib_end_with_a_command_that_is_killed(tmp_path: Path, backend: str) -> None:
    """In the middle of their jobs; the same command goes on, and leaves nothing either."""
    if not installed(STOCK["joblib"]):
        pytest.skip("needs the package hydra-joblib-launcher")
    launched = ["hydra/launcher=joblib", f"hydra.launcher.backend={backend}", "hydra.launcher.n_jobs=2", "hydra.sweep.dir=out"]
    sweep = [*PYTHON, "--multirun", *LONG, *launched, "model=net1,net2"]
    command = subprocess.Popen(sweep, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: len([*tmp_path.glob("out/*/run.json")]) == 2)
    begun = {one: start_time(one) for one in children_of(command.pid)}
    assert len(begun) > 2  # the workers, and what else joblib has
    command.kill()
    command.wait()
    wait_until(lambda: not [one for one, when in begun.items() if when and start_time(one) == when])


def in_child(hydra: object, told: Sequence[str], variable: str) -> None:
    """Watch, in a process that lives on."""
    os.environ[VARIABLE] = variable
    watch(hydra)
    Path(told[0]).write_text(json.dumps([os.getpid(), start_time(os.getpid()), os.getpid() in orphans.watching]))
    time.sleep(SECONDS)


BEGINNING = """
import os, sys, time
from multiprocessing import get_context
from tests.plugins.test_orphans import OURS, THEIRS, in_child
from digitcmp.plugins.orphans import VARIABLE, mark
if __name__ == "__main__":
    mark(THEIRS)
    variable = {"own": os.environ[VARIABLE], "other": os.environ[VARIABLE] + "0", "none": ""}[sys.argv[3]]
    get_context(sys.argv[1]).Process(target=in_child, args=({"theirs": THEIRS, "ours": OURS}[sys.argv[2]], ["told"], variable)).start()
    while not os.path.exists("told"):
        time.sleep(0.01)
    time.sleep(0.2)
    os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs process file descriptors")
@pytest.mark.parametrize(
    ("method", "launcher", "variable", "ends"),
    [
        *((method, "theirs", "own", True) for method in ("fork", "spawn", "forkserver")),
        *(("spawn", *whose, False) for whose in (("theirs", "other"), ("theirs", "none"), ("ours", "own"))),
    ],
)
def test_who_ends_with_whom(tmp_path: Path, method: str, launcher: str, variable: str, ends: bool) -> None:
    """A process of this command and of a launcher of others, however it was made; not one of another command's, nor of nobody's."""
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    (tmp_path / "beginning.py").write_text(BEGINNING)
    given = [sys.executable, "beginning.py", method, launcher, variable]
    killed = subprocess.run(given, cwd=tmp_path, check=False, env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.DEVNULL)
    assert killed.returncode == -signal.SIGKILL
    process, when, watches = json.loads((tmp_path / "told").read_text())
    assert watches is ends
    if ends:
        wait_until(lambda: start_time(process) != when)
    else:
        time.sleep(0.5)
        assert start_time(process) == when
        os.kill(process, signal.SIGKILL)


def test_a_process_is_its_own_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs in the process that has begun them are nobody's: a launcher of Hydra's own, in a kernel or in somebody's pool. What a sweep has
    told the environment is gone with the next one of ours."""
    monkeypatch.setenv(VARIABLE, "before")
    mark(THEIRS)
    assert os.environ[VARIABLE] == identity(os.getpid())
    watch(THEIRS)
    assert os.getpid() not in orphans.watching
    mark(OURS)
    assert VARIABLE not in os.environ


@pytest.mark.parametrize("told", [True, False], ids=["which there are", "nothing"])
def test_a_system_that_tells_of_no_end(told: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked at whether the process is there, or which one is the parent; where that is another one, nobody can tell."""
    parents, starts, codes = [7, 7, 7, 1], ["then", "then", ""], list[int]()
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    monkeypatch.setattr(orphans, "LOOK", 0.0)
    monkeypatch.setattr(orphans, "start_time", lambda process: (starts.pop(0) if process == 7 else "mine") if told else "")
    monkeypatch.setattr(os, "getppid", lambda: 3 if told else parents.pop(0))
    monkeypatch.setattr(os, "_exit", codes.append)
    known = f"7 then {host_id()}"
    orphans.end_with(7, known)
    assert codes == [1]
    assert (starts if told else parents) == []
    monkeypatch.setattr(os, "getppid", lambda: 3)
    if not told:
        orphans.end_with(7, known)
        assert codes == [1]
