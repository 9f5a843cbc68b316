"""Processes that die, are stopped or hang: workers, and the server that they are forked from. And systems that are short of something."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from digitcmp.config.schema import Config
from digitcmp.errors import ConfigError, RunError
from digitcmp.experiment.executors import server
from digitcmp.experiment.executors.base import RoundFuture
from digitcmp.experiment.executors.choose import choose_device, preflight
from digitcmp.experiment.executors.processes import ProcessExecutor
from digitcmp.experiment.executors.server import servers
from digitcmp.train.results import EpochRow
from tests.conftest import ROOT, compose_config
from tests.experiment.made import children, workers
from tests.experiment.test_executors import finish, submit

TINY = ("epochs=2", "batch_size=25", "data.train_pairs=50", "data.test_pairs=40", "rounds=3", "engine=processes", "workers=2")
CPU = choose_device("cpu")


def config(*overrides: str) -> Config:
    """A configuration whose rounds take a moment."""
    return compose_config(*TINY, *overrides)


def statuses(executor: ProcessExecutor, seeds: list[int], one: Config) -> list[str]:
    """How rounds end."""
    futures = submit(executor, seeds, lambda *_: None, one)
    finish(executor, futures)
    return [future.result().row.status for future in futures]


@pytest.fixture
def _new_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server of its own, for a test that ends it; the others keep theirs."""
    monkeypatch.setattr(servers, "server", None)


@pytest.mark.usefixtures("_new_server")
def test_a_server_that_is_killed_or_stopped_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """As soon as it is there, and when it has workers, which are not concerned; no process is left."""
    with ProcessExecutor(CPU, 2) as executor:
        assert servers.server is not None
        first, one = servers.server.process, config("epochs=20")
        os.kill(first.pid, signal.SIGKILL)
        assert statuses(executor, [1], one) == ["done"]
        second, (worker,) = servers.server.process, workers()
        monkeypatch.setattr(server, "SILENCE", 5.0)
        os.kill(second.pid, signal.SIGSTOP)
        assert statuses(executor, [2, 3, 4], one) == ["done"] * 3
        assert len({first.pid, second.pid, servers.server.process.pid}) == 3
    assert [first.returncode, second.returncode] == [-signal.SIGKILL, -signal.SIGKILL]
    assert not workers()
    wait_for([worker])


def wait_for(processes: list[int]) -> None:
    """Wait until all of them have ended: the system ends, in its own time, those whose parent has gone."""
    end = time.monotonic() + 60
    while any(map(alive, processes)):
        assert time.monotonic() < end
        time.sleep(0.05)


def alive(process: int) -> bool:
    """Whether there is a process with this number that has not ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_workers_end_with_a_program_that_has_not_read_an_answer(tmp_path: Path) -> None:
    """Which the system tells the server otherwise than the end of one that has; also a worker that is stopped ends."""
    code = """
import os, signal, socket, time
from multiprocessing import Pipe
from digitcmp.experiment.executors.server import ForkServer
server, (_, theirs) = ForkServer(), Pipe()
socket.send_fds(server.ours, [b"fork cpu 5"], [theirs.fileno()])
answer = b""
while b"\\n" not in answer:  # looked at, and left where it is
    answer = server.ours.recv(1000, socket.MSG_PEEK)
    time.sleep(0.05)
worker = int(answer.strip(b".\\n").split()[1])
os.kill(worker, signal.SIGSTOP)
print(server.process.pid, worker, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    killed = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False, env=env)
    assert (killed.returncode, killed.stderr) == (-signal.SIGKILL, "")  # a server that fails leaves a trace, and its workers
    wait_for([int(number) for number in killed.stdout.split()])


@pytest.mark.usefixtures("_new_server")
def test_a_server_that_cannot_be_started_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the reason: a program that ends, a module that cannot be imported."""
    monkeypatch.setattr(server, "WORKER", "digitcmp.nothing")
    with ProcessExecutor(CPU, 2) as executor, pytest.raises(RunError, match=r"^no worker process can be started \(ModuleNotFoundError: "):
        submit(executor, [1], lambda *_: None, config())
    monkeypatch.setattr(servers, "server", None)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with ProcessExecutor(CPU, 2) as executor, pytest.raises(RunError, match=r"ended with exit code 1\); engine=serial needs none"):
        submit(executor, [1], lambda *_: None, config())


def test_a_worker_that_is_stopped_costs_its_own_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ended when it has not been heard of for a time, and says so; the others are trained."""
    monkeypatch.setattr(server, "SILENCE", 3.0)

    def stop(_: RoundFuture, row: EpochRow) -> None:
        if (row.seed, row.epoch) == (1, 2):
            (busy,) = [busy for busy in executor.busy.values() if busy.task.seeds == (1,)]
            os.kill(busy.worker.process, signal.SIGSTOP)

    with ProcessExecutor(CPU, 2) as executor:
        futures = submit(executor, [1, 2, 3], stop, config("epochs=200"))
        finish(executor, futures)
        rows = [future.result().row for future in futures]
    assert [row.status for row in rows] == ["failed", "done", "done"]
    assert (
        rows[0].error == "its worker process gave no sign of life for 3 s (stopped, or hung: no CPU time for minutes before), and was ended"
    )
    assert not workers()


@pytest.mark.usefixtures("_new_server")
def test_a_worker_that_hangs_costs_its_own_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though its sign of life is a thread's, which goes on: a worker that takes no CPU time is silent."""
    monkeypatch.setattr(server, "WORKER", "tests.experiment.hung")
    with ProcessExecutor(CPU, 2) as executor:
        assert statuses(executor, [2], config()) == ["done"]  # the server has imported everything
        (worker,) = executor.free
        executor.free.clear()
        worker.end()
        monkeypatch.setattr(server, "SILENCE", 8.0)
        futures = submit(executor, [1, 2, 3], lambda *_: None, config())
        finish(executor, futures)
        rows = [future.result().row for future in futures]
    assert [row.status for row in rows] == ["failed", "done", "done"]
    assert (
        rows[0].error == "its worker process gave no sign of life for 8 s (stopped, or hung: no CPU time for minutes before), and was ended"
    )
    assert not workers()


def test_a_long_epoch_is_not_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker says that it is alive, however long it takes to an epoch's end."""
    with ProcessExecutor(CPU, 1) as executor:
        assert statuses(executor, [1], config()) == ["done"]  # what is used for the first time has been
        (worker,) = executor.free
        executor.free.clear()
        worker.end()
        monkeypatch.setattr(server, "SILENCE", 1.0)
        (future,) = submit(executor, [2], lambda *_: None, config("epochs=1", "data.train_pairs=16000", "model=net1"))
        finish(executor, [future])
    assert (future.result().row.status, future.result().row.error) == ("done", "")
    assert future.result().row.seconds > 1.0


@pytest.mark.usefixtures("_new_server")
def test_everything_stopped_is_ended_all_the_same() -> None:
    """Who leaves an executor does not wait for processes that do nothing."""
    with ProcessExecutor(CPU, 2) as executor:
        submit(executor, [1, 2], lambda *_: None, config("epochs=2000"))
        assert servers.server is not None
        processes = [*workers(), servers.server.process.pid]
        assert len(processes) == 3
        for process in processes:
            os.kill(process, signal.SIGSTOP)
    wait_for(processes)


def test_workers_and_server_end_with_the_program(tmp_path: Path) -> None:
    """Which is killed; one of them is stopped."""
    command = [sys.executable, "-m", "digitcmp", *TINY, "epochs=5000", f"hydra.run.dir={tmp_path}/run"]
    program = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end, found = time.monotonic() + 100, list[int]()
    while len(found) < 3:
        assert time.monotonic() < end
        time.sleep(0.05)
        found = [one for child in children(program.pid) if len(below := children(child)) == 2 for one in (child, *below)]
    os.kill(found[1], signal.SIGSTOP)
    program.kill()
    program.wait()
    wait_for(found)


def test_a_system_without_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    """Says what to use instead."""
    monkeypatch.delattr(os, "fork")
    with pytest.raises(ConfigError, match="engine=serial"):
        preflight(config())


def test_a_system_that_is_short_of_everything(tmp_path: Path) -> None:
    """A folder for temporary files whose path no socket can have, another that is not there, sixteen files, no home, files in the way of
    modules: all the same."""
    script = f"""
        mkdir {"x" * 200}; export TMPDIR="$PWD/{"x" * 200}"; unset HOME XDG_CACHE_HOME; ulimit -n 16
        for name in selectors socket torch random; do echo 1/0 >$name.py; done
        "$@" hydra.run.dir=one && rmdir "$TMPDIR" && TMPDIR=/proc/nowhere "$@" hydra.run.dir=one rounds=4
    """
    command = [sys.executable, "-m", "digitcmp", *TINY]
    done = subprocess.run(["bash", "-c", script, "bash", *command], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=200)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_system_without_files(tmp_path: Path) -> None:
    """Nine are not enough: one line."""
    command = [sys.executable, "-m", "digitcmp", *TINY, "hydra.run.dir=run"]
    script = 'ulimit -n 9; exec "$@"'
    done = subprocess.run(["bash", "-c", script, "bash", *command], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 1
    assert "Too many open files" in done.stderr
    assert done.stderr.count("\n") == 1
