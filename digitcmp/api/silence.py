"""Standard output while a call in a program says nothing."""

import threading
from typing import Any, TextIO


class WithoutThis:
    """A stream without what this thread writes: the program's other threads go on writing."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.silent = stream, threading.get_ident()

    @property
    def is_silent(self) -> bool:
        """Whether it is the silent thread that asks."""
        return threading.get_ident() == self.silent

    def write(self, text: str) -> int:
        """Returns how many characters were taken."""
        return len(text) if self.is_silent else self.stream.write(text)

    def flush(self) -> None:
        """What the others have written."""
        if not self.is_silent:
            self.stream.flush()

    def isatty(self) -> bool:
        """Whether what is written is shown in a terminal."""
        return not self.is_silent and self.stream.isatty()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)
