"""A Ray of the command's own: how it is begun, and how it ends, whatever of it hangs."""

import atexit
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from typing import Any, NoReturn

import ray
from ray._private import node

from digitcmp.entry import interrupts
from digitcmp.experiment.executors.head import own_node_ended
from digitcmp.experiment.executors.leftovers import end_writers, remove

STARTS = 3  # at most
ENDS = 4.0  # seconds in which it ends by itself; then its processes are killed
HURRY = 1.5  # the same after Ctrl-C, which ends a command within five


class NotStartedError(Exception):
    """A node that has not come up, with the reason. folder: of its session, where its logs are."""

    def __init__(self, reason: str, folder: Path) -> None:
        super().__init__(reason)
        self.folder = folder


class OwnNode(node.Node):
    """A node as Ray begins it, which leaves nothing where it starts processes: its folder goes with this process, and those of one that
    does not come up end at once, where Ray would let them run as long as this one does.

    Raises NotStartedError.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.all_processes: dict[str, Any] = {}
        try:
            super().__init__(*arguments, **options)
        except BaseException as error:
            if not self.all_processes:
                raise
            self.kill_all_processes(check_alive=False, wait=True)
            end_writers(self.folder)
            if isinstance(error, Exception):
                raise NotStartedError(str(error), self.folder) from error
            remove(self.folder)  # Ctrl-C
            raise
        if self.all_processes:
            Ending(self)

    @property
    def folder(self) -> Path:
        """Of its session."""
        return Path(self.get_session_dir_path())  # type: ignore[no-untyped-call]


class Ending:
    """The end of a Ray of its own, at the end of the program: Ray itself would wait for ever for a node that hangs. (Its thread is there
    from the beginning: from Python 3.12 on, none can be begun at that end.)"""

    def __init__(self, started: OwnNode) -> None:
        self.node, self.begun, self.over = started, threading.Event(), threading.Event()
        (self.raylet,) = (one.process for one in started.all_processes["raylet"])
        threading.Thread(target=self.watch, name="digitcmp-ray-end", daemon=True).start()
        atexit.register(self.end)

    def end(self) -> None:
        """End it, and remove its folder. Ray's own way ends this program where the node is gone."""
        if ray.is_initialized() and own_node_ended():
            self.cut()
        self.begun.set()
        ray.shutdown()
        self.over.set()
        remove(self.node.folder)

    def watch(self) -> None:
        """Kill what has not ended in time, and end the program, which waits for it."""
        self.begun.wait()
        if not self.over.wait(HURRY if interrupts.seen else ENDS):
            self.cut()

    def cut(self) -> NoReturn:
        """Kill its processes, those that are stopped, too, remove its folder, and end the program. The node is the last of them, and
        stopped till then: whoever waits for it wakes up when it is gone, and Ray may then end the program itself."""
        self.raylet.send_signal(signal.SIGSTOP)
        end_writers(self.node.folder, spared=self.raylet.pid)
        rmtree(self.node.folder, ignore_errors=True)
        self.raylet.kill()
        leave()


def begin(start: dict[str, Any]) -> None:
    """Let Ray begin; again where a node of its own has not come up in the half a minute that Ray waits for it, as on a busy machine.
    start: what `ray.init` takes. Raises NotStartedError, and what Ray raises."""
    for left in reversed(range(STARTS)):
        try:
            ray.init(**start)
            return
        except NotStartedError as error:
            if not left or "timed out during startup" not in str(error):
                raise
            remove(error.folder)


def leave() -> NoReturn:
    """End the program at once, with the exit code that it has; it has failed where nobody knows that."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(interrupts.code)
