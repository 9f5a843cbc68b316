"""A process that outlives a command with a Ray: Ray ends a program without a word where its node is gone, in the middle of whatever it
does, and lets it wait for ever, with Python's lock, for one that hangs while they meet. This process then says why, and removes what is
left of a Ray of the command's own. Imports nothing that takes time, and nothing of Ray's."""

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from typing import Any

from digitcmp.experiment.executors.leftovers import end_writers
from digitcmp.system import is_stopped

FROM_RAY = (
    b"Terminate the process",
    b"Exiting because",
    b"Failed to register worker",
    b"Worker will terminate",
)  # before it ends a program
LAST = 10_000  # bytes of a log in which one of them stands
DIES = 5.0  # seconds in which Ray ends a program whose node is gone while they meet
SLICE = 1.0  # seconds that count at most, whatever the clock says: all may have been stopped meanwhile
CODE = "import sys; sys.path[:] = {path!r}; from digitcmp.experiment.executors.guardian import serve; serve({process})"


class Guardian:
    """The process from the outside, which is there as soon as it is told something."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None

    def tell(self, session: Path, own: bool, line: str, seconds: float = float("inf"), vital: Sequence[int] = ()) -> None:
        """What to do where this program ends, whatever ends it. session: the folder of the Ray's logs; own: whether it is removed then,
        with the processes that write there; line: what is said where Ray has ended this program; seconds: that it has at most until the
        next telling; vital: the processes of its node, its head, and what the node ends with (see `silence`)."""
        if self.process is None or self.process.poll() is not None:
            self.begin()
        assert self.process is not None
        assert self.process.stdin is not None
        said = {"session": str(session), "own": own, "line": line, "seconds": seconds, "vital": list(vital)}
        with suppress(OSError):
            self.process.stdin.write(json.dumps(said).encode() + b"\n")
            self.process.stdin.flush()

    def begin(self) -> None:
        """Start it, where the signals that end a command do not come to it."""
        package = str(Path(__file__).resolve().parents[3])
        code = CODE.format(path=[package, *sys.path], process=os.getpid())
        streams: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL}
        self.process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True, **streams)
        atexit.register(self.end)

    def end(self) -> None:
        """This program ends in order."""
        atexit.unregister(self.end)
        if self.process is not None and self.process.stdin is not None:
            with suppress(OSError):
                self.process.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(DIES)
        self.process = None


guardian = Guardian()


# ---- in the process ----


def serve(process: int) -> None:
    """Hear what there is to do until the program with this number has ended, or its time is over; then do it."""
    said: dict[str, Any] = {"seconds": float("inf"), "vital": []}
    while heard := hear(process, **said):
        said = json.loads(heard.splitlines()[-1])
    if "session" not in said:
        return
    session = Path(said["session"])
    late = heard is None
    if late:
        end_writers(session, spared=process)
        if select.select([0], [], [], DIES)[0] == []:
            os.kill(process, signal.SIGKILL)
    if said["line"] and (late or ended_by_ray(session, process)):
        lead = b"\r\x1b[K\x1b[?25h" if os.isatty(2) else b""  # a bar goes, and the cursor that it hides comes again
        with suppress(OSError):
            os.write(2, lead + f"digitcmp: {said['line']}\n".encode())
    if said["own"]:
        end_writers(session, spared=process)
        rmtree(session, ignore_errors=True)


def hear(process: int, seconds: float, vital: Sequence[int], **_: Any) -> bytes | None:
    """What the program with this number says next; nothing when it has ended, None when it has said nothing for so long, in which it was
    not stopped."""
    watched = endings([vital[0], *vital[2:]] if vital else [])
    while seconds > 0:
        before = time.monotonic()
        ready = select.select([0, *watched], [], [], SLICE)[0]
        if 0 in ready:
            return os.read(0, 100_000)
        if ready:
            silence(*vital[:2])
            watched = []
        if not is_stopped(process):
            seconds -= min(time.monotonic() - before, SLICE)
    return None


def endings(processes: Sequence[int]) -> list[int]:
    """File numbers that can be read when these processes have ended; none where the system has no such."""
    found = list[int]()
    for one in processes if hasattr(os, "pidfd_open") else ():
        with suppress(OSError):
            found.append(os.pidfd_open(one))
    return found


def silence(node: int, head: int) -> None:
    """Stop a node that is about to end, or has ended, and end its head. Ray ends a program as soon as it hears from the head that its node
    has ended, and writes into the node's object store: a node that is stopped is still written to, and a head that is gone says nothing.
    The program hears of it in its own time."""
    for process, number in ((node, signal.SIGSTOP), (head, signal.SIGKILL)):
        with suppress(OSError):
            os.kill(process, number)


def ended_by_ray(session: Path, process: int) -> bool:
    """Whether the program with this number was ended by Ray, by what it has said last in its log."""
    for log in (session / "logs").glob(f"python-core-driver-*_{process}.log"):
        with suppress(OSError):
            return any(words in log.read_bytes()[-LAST:] for words in FROM_RAY)
    return False
