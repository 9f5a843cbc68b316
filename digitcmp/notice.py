"""What a terminal shows until there is something to print. Imports nothing that takes time: it is there before anything else."""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO


def takes_back() -> bool:
    """Whether errors go to a terminal that can take back what stands in a line."""
    return os.isatty(2) and sys.stderr.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


class Notice:
    """What a command is busy with until it prints something: importing libraries takes seconds, on a busy machine ten. On a terminal
    that can take it back; there it is gone when the next text comes, on whichever stream."""

    def __init__(self) -> None:
        self.streams: list[TextIO] = []  # those whose first text takes it back

    def show(self, text: str) -> None:
        """Print it, where there is a terminal; in place of what it was busy with before."""
        self.clear()
        if not takes_back():
            return
        sys.stderr.write(text)
        sys.stderr.flush()
        self.streams = [sys.stdout, sys.stderr]
        for stream in self.streams:
            stream.write = self.first(stream)  # type: ignore[method-assign]

    def first(self, stream: "TextIO") -> "Callable[[str], int]":
        """What a stream writes with until it has written something."""

        def write(text: str) -> int:
            self.clear()
            return stream.write(text)  # its own method again

        return write

    def clear(self) -> None:
        """Take it back, if it is still there."""
        streams, self.streams = self.streams, []
        for stream in streams:
            del stream.write
        if streams:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


notice = Notice()
