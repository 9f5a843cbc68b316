"""Nodes of a Ray cluster on loopback, each started by the command of docs/cluster.md; stopped by their process numbers."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tests.test_commands import lines_of

PAGE = lines_of("docs/cluster.md")
HEAD, NODE = (line.removeprefix("ray ") for line in PAGE if line.startswith("ray start"))
(TOKEN,) = (line.removeprefix("ray ") for line in PAGE if line.startswith("ray get-auth-token"))
COMMANDS = [line for line in PAGE if line.startswith("python -m digitcmp")]
ADDRESS = "127.0.0.1:6379"
HERE = ["--block", "--node-ip-address=127.0.0.1", "--object-store-memory=100000000"]  # loopback, and not much of it
TASK = "ray::work"  # what a process is called that has a task of engine=ray


class Raylet:
    """A node, and all the processes that it starts: they are of one session."""

    def __init__(
        self, command: str, log: Path, *options: str, before: Sequence[str] = (), variables: Mapping[str, str] | None = None
    ) -> None:
        """before: a command that runs `ray start`."""
        self.log = log
        start = [*before, sys.executable, "-m", "ray.scripts.scripts", *command.replace("HEAD:6379", ADDRESS).split(), *HERE, *options]
        end = time.monotonic() + 480
        given = {"stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL, "env": {**os.environ, **(variables or {})}}
        while True:
            with log.open("w") as out:
                self.process = subprocess.Popen(start, start_new_session=True, stdout=out, **given)  # type: ignore[call-overload]
            while "Ray runtime started" not in (text := log.read_text()) and self.process.poll() is None and time.monotonic() < end:
                time.sleep(0.1)
            if "Ray runtime started" in text:
                return
            self.kill()
            # Ray gives a node half a minute to come up, and its agent a quarter, whatever else the machine does
            assert time.monotonic() < end, text
            assert "timed out during startup" in log.read_text(), text

    def processes(self, name: str = "") -> list[int]:
        """The numbers of its processes whose command has this in it."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                session = int((path / "stat").read_text().rpartition(")")[2].split()[3])
                if session == self.process.pid and name in (path / "cmdline").read_bytes().replace(b"\0", b" ").decode():
                    found.append(int(path.name))
        return found

    def send(self, number: signal.Signals, name: str = "") -> None:
        """A signal to all processes, or to those whose command has this in it."""
        for process in self.processes(name):
            with suppress(ProcessLookupError):
                os.kill(process, number)

    def kill(self, name: str = "") -> None:
        """As when the power fails: all processes, or those whose command has this in it."""
        self.send(signal.SIGKILL, name)
        if not name:
            self.process.wait()
