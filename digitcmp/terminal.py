"""The terminal that results and progress are printed to."""

import os
import signal
import sys
from typing import TextIO

from rich.console import Console

PIPE_CLOSED = 128 + signal.SIGPIPE if hasattr(signal, "SIGPIPE") else 1  # the exit code of a program that a closed pipe ends


class Terminal(Console):
    """rich's console; whoever stops reading (`| head`) ends the program quietly, with the exit code that shells know for that."""

    def on_broken_pipe(self) -> None:
        """Called by rich when nobody reads any more."""
        self.quiet = True
        end_quietly()


def writable(stream: TextIO) -> bool:
    """Whether what is printed arrives anywhere; where it does not, it goes nowhere from now on."""
    try:
        stream.write("\n")  # what could not be written before has been forgotten
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return False
    return True


def end_quietly() -> None:
    """End the program; what is still in the buffers goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(PIPE_CLOSED)
