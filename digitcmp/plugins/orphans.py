"""Jobs that a launcher of others has child processes of the command for, as Hydra's joblib launcher: where the command is killed, such a
process would train its job to its end and stay, with the memory of torch, for as long as its library lets it. It ends with the command, as
the program's own workers do (`digitcmp.experiment.executors.worker`); rounds in flight begin again with the same command."""

import os
import select
import threading
import time
from contextlib import suppress
from multiprocessing import parent_process
from typing import Any

from omegaconf import DictConfig

from digitcmp.plugins.sweeps import others
from digitcmp.system import host_id, start_time

VARIABLE = "DIGITCMP_COMMAND"  # in which the processes that a launcher starts find which one has begun the sweep
LOOK = 1.0  # seconds between looks, where the system does not tell of an end

watching: set[int] = set()  # this process, when its thread is there; a fork has a number of its own, and no thread


def mark(hydra: DictConfig) -> None:
    """Say in the environment that this process has begun a sweep for a launcher of others."""
    os.environ.pop(VARIABLE, None)
    if others(hydra):
        os.environ[VARIABLE] = identity(os.getpid())


def watch(hydra: Any) -> None:
    """End this process as soon as the command has ended that has begun this job's sweep: only where it is a child of that command, made
    for a launcher of others. Jobs of a cluster, of Ray or of submitit are children of something else, and outlive the command by design;
    a kernel or a pool that calls `digitcmp.run` itself has begun its own jobs."""
    if not others(hydra) or os.getpid() in watching:
        return
    above = parent_process()
    parents = {os.getppid(), *([above.pid] if above and above.pid else [])}
    command = next((one for one in parents if identity(one) == os.environ.get(VARIABLE)), None)
    if command is None:
        return
    watching.add(os.getpid())
    with suppress(RuntimeError):  # no more threads are allowed here (ulimit -u)
        threading.Thread(target=end_with, args=(command, identity(command)), name="digitcmp-orphans", daemon=True).start()


def identity(process: int) -> str:
    """A process of this host: a number is given again."""
    return f"{process} {start_time(process)} {host_id()}"


def end_with(command: int, known: str) -> None:
    """Wait until the process with this number, which was known so, has ended; then end this one, whatever it is doing. Nothing is done
    where nobody can tell: the process is no parent of this one, and the system does not say which there are."""
    try:
        ended = os.pidfd_open(command)  # not on every system
        if identity(command) == known:
            select.select([ended], [], [])
    except (AttributeError, OSError):
        if not start_time(os.getpid()) and os.getppid() != command:
            return
        while identity(command) == known if start_time(os.getpid()) else os.getppid() == command:
            time.sleep(LOOK)
    os._exit(1)
