"""Who has given a command: somebody at a shell, who reads its results, or a program (`digitcmp.run`), which is told where they are."""

import sys
from contextvars import ContextVar
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path


@dataclass
class Session:
    """A command that a program has given. progress: whether it is shown how far it is; folder: of its run or sweep, when that is known."""

    progress: bool = True
    folder: Path | None = None


given: ContextVar[Session | None] = ContextVar("given", default=None)


def goes_to(folder: str | Path) -> None:
    """Tell the program that has given the command, if it was one, where its results will be."""
    if (session := given.get()) is not None:
        session.folder = Path(folder).absolute()


def from_shell() -> bool:
    """Whether results are printed, for somebody who has typed a command; a program has them as frames."""
    return given.get() is None


def in_notebook() -> bool:
    """Whether a cell of a notebook waits, in which there is room for a bar."""
    session = given.get()
    if session is None or not session.progress or "IPython" not in sys.modules:
        return False
    return hasattr(import_module("IPython").get_ipython(), "kernel")
