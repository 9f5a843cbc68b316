"""Nodes of a Ray cluster on loopback, each started by the command of docs/cluster.md; stopped by their process numbers."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

PORT = 6399
MEMORY = 100_000_000  # bytes of the object store
RAY = [str(Path(sys.executable).parent / "ray"), "start", "--block", "--node-ip-address=127.0.0.1", f"--object-store-memory={MEMORY}"]
HEAD = ["--head", f"--port={PORT}", "--include-dashboard=false", "--disable-usage-stats"]
NODE = [f"--address=127.0.0.1:{PORT}"]


class Raylet:
    """A node, and all the processes that it starts: they are of one session."""

    def __init__(self, options: Sequence[str], cpus: int, log: Path, before: Sequence[str] = ()) -> None:
        """before: a command that runs `ray start`."""
        with log.open("w") as out:
            command = [*before, *RAY, *options, f"--num-cpus={cpus}"]
            self.process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True)
        self.log = log
        self.wait()

    def wait(self) -> None:
        """Until it is up."""
        end = time.monotonic() + 60
        while "Ray runtime started" not in (text := self.log.read_text()):
            assert self.process.poll() is None, text
            assert time.monotonic() < end, text
            time.sleep(0.1)

    def processes(self, name: str = "") -> list[int]:
        """The numbers of its processes whose command has this in it."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                session = int((path / "stat").read_text().rpartition(")")[2].split()[3])
                if session == self.process.pid and name in (path / "cmdline").read_bytes().replace(b"\0", b" ").decode():
                    found.append(int(path.name))
        return found

    def kill(self) -> None:
        """As when the power fails."""
        for process in self.processes():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.process.wait()
