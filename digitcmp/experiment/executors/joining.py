"""Becoming a driver of a Ray cluster, or of a Ray of its own, which leaves nothing behind."""

import atexit
import logging
import os
import re
import shutil
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from tempfile import TemporaryDirectory
from typing import Any

import ray
from ray._private import node, utils, worker

from digitcmp.config.allowed import ALLOWED, files
from digitcmp.entry import ending_signals
from digitcmp.errors import ConfigError
from digitcmp.experiment.executors.head import given_up, head_silence, last_known, look_for, own_node_ended
from digitcmp.experiment.executors.own import NotStartedError, OwnNode, begin, leave
from digitcmp.experiment.executors.server import KEEP_MEMORY, ONE_THREAD
from digitcmp.system import cpu_count

JOINS = 60.0  # seconds in which a cluster lets a machine join: one that hangs would keep it waiting for ever


def join(address: str | None, **environment: Any) -> None:
    """Become a driver of the cluster, or of a Ray of its own. environment: what processes of the nodes need beyond their variables.

    Raises ConfigError, within seconds, when there is no such cluster, or when this machine does not belong to it; within `JOINS` when a
    cluster hangs.
    """
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # as later versions do
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")  # those of tasks behind one whose error is told
    utils.set_sigterm_handler = lambda _: None  # Ray's own, where it starts nodes, would end the command with exit code 1
    node.Node = OwnNode  # type: ignore[misc]
    start: dict[str, Any] = {"address": address}
    if address is None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a Ray of our own tells nobody about itself
        start = {"address": "local", "num_cpus": cpu_count(), "include_dashboard": False}
    elif (known := last_known() if address == "auto" else address) != "auto":
        look_for(known, address)
    atexit.unregister(say_good_bye)
    atexit.register(say_good_bye)
    start |= {
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "runtime_env": {"env_vars": {**ONE_THREAD, **KEEP_MEMORY, **carried()}, **environment},
    }
    try:
        with copied(files()) as folder:
            if folder is not None:
                start["runtime_env"]["working_dir"] = str(folder)
            begin(start) if address is None else in_time(start)
    except Exception as error:  # of its many kinds, one is Exception itself
        if address is None:
            logs = f"; its logs are in {error.folder / 'logs'}" if isinstance(error, NotStartedError) else ""
            raise ConfigError(f"engine=ray: no Ray can be started here ({told(error)}){logs}") from error
        hint = "is this machine a node of it, and are RAY_AUTH_MODE and the token those of its head?"
        raise ConfigError(f"ray.address={address}: the cluster cannot be joined from here ({told(error)}); {hint}") from error
    hear_signals()
    worker.print_to_stdstream = lambda *_, **__: (
        None
    )  # dozens of lines whenever a process dies, for which there is no switch; we tell it in one


def carried() -> dict[str, str]:
    """What tells processes of nodes which files are let in: their working folder has copies of them."""
    return {ALLOWED: ",".join(file.name for file in files())} if files() else {}


@contextmanager
def copied(let_in: Sequence[Path]) -> Iterator[Path | None]:
    """Within the block, a folder with these files and the modules beside them, which Ray takes to the nodes when it is joined; None
    without any."""
    if not let_in:
        yield None
        return
    with TemporaryDirectory(prefix="digitcmp-", ignore_cleanup_errors=True) as folder:
        for file in {path for one in let_in for path in one.parent.glob("*.py")}:
            shutil.copy(file, folder)
        yield Path(folder)


def in_time(start: dict[str, Any]) -> None:
    """Let Ray join a cluster, in a thread, which is left alone when it has not come back in time. Raises what Ray raises, TimeoutError."""
    ended: SimpleQueue[Exception | None] = SimpleQueue()

    def init() -> None:
        try:
            ray.init(**start)
            ended.put(None)
        except Exception as error:
            ended.put(error)

    threading.Thread(target=init, name="digitcmp-ray", daemon=True).start()
    try:
        error = ended.get(timeout=JOINS)
    except Empty:
        raise TimeoutError(f"its head, or its node on this machine, has not answered for {JOINS:.0f} s") from None
    if error is not None:
        raise error


def say_good_bye() -> None:
    """At the end of the program: Ray says good-bye to the head, and waits for its answer for minutes. Without a head, or the node on
    this machine, the program ends at once."""
    if ray.is_initialized() and (own_node_ended() or head_silence() or given_up()):
        leave()


def hear_signals() -> None:
    """Let Python listen again to the signals that end programs: Ray's library listens to SIGTERM, too, once in a process; it would print
    where the process was, and abort it three seconds later, whatever it has to put in order."""
    if threading.current_thread() is threading.main_thread():
        for number in ending_signals():
            if (handler := signal.getsignal(number)) is not None:
                signal.signal(number, handler)


def told(error: BaseException) -> str:
    """An error of Ray's in one line: its first sentence, without colours."""
    lines = [line.strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", str(error)).splitlines()]
    first = next((line for line in lines if line), type(error).__name__)
    return first.partition(". ")[0].removeprefix("Task failed because ").rstrip(".")
