"""A Ray of the command's own: how it is begun, and how it ends, whatever of it hangs."""

import atexit
import os
import select
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from typing import Any, NoReturn

import ray
from ray._private import node, worker

from digitcmp.entry import interrupts
from digitcmp.experiment.executors.guardian import endings, guardian
from digitcmp.experiment.executors.head import ENDED, own_node_ended
from digitcmp.experiment.executors.leftovers import end_writers, remove

STARTS = 3  # at most
CONNECTS = 60.0  # seconds in which it takes this program, once it is there
LEAVES = 20.0  # seconds in which this program ends where its node has ended
ENDS = 4.0  # seconds in which it ends by itself; then its processes are killed
HURRY = 1.5  # the same after Ctrl-C, which ends a command within five
SILENT = f"engine=ray: no Ray can be started here (its node has ended, or has not answered for {CONNECTS:.0f} s)"


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

    lost = False  # whether its processes have ended, or will within a moment

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.all_processes: dict[str, Any] = {}
        try:
            super().__init__(*arguments, **options)
        except BaseException as error:
            if not self.all_processes:
                raise
            self.kill_all_processes(check_alive=False, wait=True)
            end_writers(self.folder)
            guardian.tell(self.folder, own=False, line="")
            if isinstance(error, Exception):
                raise NotStartedError(str(error), self.folder) from error
            remove(self.folder)  # Ctrl-C
            raise
        if self.all_processes:
            guardian.tell(self.folder, own=True, line=SILENT, seconds=CONNECTS)
            self.vital = vital(self)
            Ending(self)
            threading.Thread(target=self.watch, name="digitcmp-ray-node", daemon=True).start()

    def start_head_processes(self) -> None:
        """As Ray does."""
        guardian.tell(self.folder, own=True, line=SILENT)
        super().start_head_processes()  # type: ignore[no-untyped-call]

    def watch(self) -> None:
        """Know at once where it has ended, or one of its agents, with which it does: this program has some time to end by itself then."""
        node_, _, *agents = self.vital
        if watched := endings([node_, *agents]):
            select.select(watched, [], [])
            if ray.is_initialized() and worker.global_worker.node is self:  # it was not to end
                self.lost = True
                guardian.tell(self.folder, own=True, line=ENDED, seconds=LEAVES)

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
        guardian.tell(self.node.folder, own=True, line="")
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
            started: OwnNode = worker.global_worker.node  # type: ignore[assignment]
            guardian.tell(started.folder, own=True, line=ENDED, vital=started.vital)
            return
        except NotStartedError as error:
            if not left or "timed out during startup" not in str(error):
                raise
            remove(error.folder)


def vital(started: OwnNode) -> list[int]:
    """The processes that a Ray of its own needs to go on: its node, its head, and the node's agents, with which the node ends."""
    node_, head = (one.process.pid for name in ("raylet", "gcs_server") for one in started.all_processes[name])
    found = [node_, head]
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == node_ and b"agent" in b" ".join((path / "cmdline").read_bytes().split(b"\0")[:3]).lower():
                found.append(int(path.name))
    return found


def leave() -> NoReturn:
    """End the program at once, with the exit code that it has; it has failed where nobody knows that."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(interrupts.code)
