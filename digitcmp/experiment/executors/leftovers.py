"""What a Ray of the command's own leaves where it ran: processes, and the folder of its session. Imports nothing of Ray's."""

import os
import shutil
import signal
import stat
import time
from contextlib import suppress
from pathlib import Path

REMOVES = 5.0  # seconds, at most, in which the processes of a session end after its node


def remove(folder: Path) -> None:
    """Remove the folder of a session, and before it what still writes there."""
    end_writers(folder)
    shutil.rmtree(folder, ignore_errors=True)


def end_writers(folder: Path, spared: int | None = None) -> None:
    """End the processes of a session whose node has ended: those that it began itself would end some time after it, and never where they
    are stopped. spared: one that is not ended."""
    ends = time.monotonic() + REMOVES
    while (found := writers(folder) - {spared}) and time.monotonic() < ends:
        for process in found:
            with suppress(OSError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.05)


def writers(folder: Path) -> set[int]:
    """The processes of this machine, this one apart, that have files in a folder open to write them; none where the system does not say.
    (Their commands would not tell: Ray's agents have titles instead.)"""
    found = set()
    for path in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            if path.lstat().st_mode & stat.S_IWUSR and path.readlink().is_relative_to(folder):
                found.add(int(path.parts[2]))
    return found - {os.getpid()}
