"""The terminal that results and progress are printed to."""

import os
import re
import signal
import sys
from collections.abc import Iterable
from typing import Any, TextIO

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.containers import Lines
from rich.segment import Segment
from rich.text import Text

from digitcmp.counting import counted
from digitcmp.inert import line, visible
from digitcmp.screen import continued, sentence
from digitcmp.session import in_notebook

PIPE_CLOSED = 128 + signal.SIGPIPE if hasattr(signal, "SIGPIPE") else 1  # the exit code of a program that a closed pipe ends


class Terminal(Console):
    """rich's console, to which text is text: no markup, no emoji, no control sequence but those of its own styles.

    Whoever stops reading (`| head`) ends the program quietly, with the exit code that shells know for that.
    """

    def __init__(self, **options: Any) -> None:
        if in_notebook():  # whose kernel asks for colours
            options = {"force_jupyter": False, "force_terminal": False, **options}
        super().__init__(**{"markup": False, "emoji": False, "highlight": False, **options})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What is printed, in pieces; called by rich."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else "\n".join(map(visible, text.split("\n"))), style, control)

    def on_broken_pipe(self) -> None:
        """Called by rich when nobody reads any more."""
        self.quiet = True
        end_quietly()


class Name(Text):
    """The name of a run or of a row, however it came about; where it is too long for a line, that ends after a comma or a blank, but for
    one behind a colon."""

    def __init__(self, text: str, style: str = "") -> None:
        super().__init__(line(text), style)

    def wrap(self, console: Console, width: int, **options: Any) -> Lines:
        """Its lines, of at most so many columns; called by rich. A part that is longer than a line by itself is folded."""
        ends, start, end = list[int](), 0, 0
        for part in re.findall(r"(?:[^,\s]|(?<=:)\s)*(?:[,\s]+|$)", self.plain):
            if end > start and cell_len(self.plain[start:end] + part.rstrip()) > width:
                ends.append(start := end)
            end += len(part)
        found = Lines()
        for piece in self.divide(ends):
            piece.rstrip()
            found.extend(Text.wrap(piece, console, width, **{**options, "overflow": "fold"}))
        return found


def takes_back(console: Console) -> bool:
    """Whether lines that were printed can be taken back: for what is shown while something is on its way."""
    return console.is_terminal and not console.is_dumb_terminal


def say(console: Console, text: str, lead: str = "", style: str = "dim") -> None:
    """A line of text from outside, however long the terminal's lines are, after a word of ours in this style; in a terminal, a command is
    `continued`."""
    whole = line(text)
    if console.is_terminal and whole.startswith("python -m "):
        whole = continued(whole, console.width, len(lead))
    console.print(Text.assemble((lead, style), whole), soft_wrap=True)


def say_parts(console: Console, text: str, lead: str = "", style: str = "dim") -> None:
    """As `say`, for what may be long: in a terminal, its lines end after a comma or a blank, and what goes on is indented."""
    shown: Text = Name(text)
    if console.is_terminal:
        parts = shown.wrap(console, max(1, console.width - len(lead) - 2))
        shown = Text("\n" + " " * (len(lead) + 2)).join(parts)
    console.print(Text.assemble((lead, style), shown), soft_wrap=True)


def tell(console: Console, text: str, lead: str = "", style: str = "yellow") -> None:
    """A sentence, after a word of ours in this style: its lines end between words in a terminal, in which long ones (paths) stay whole;
    elsewhere it is one line. Commands, which are to be copied, are for `say`, but for one at the end of a sentence."""
    whole = line(f"{lead}{text}")
    if console.is_terminal:
        whole = sentence(whole, console.width)
    shown = Text(whole)
    shown.stylize(style, 0, len(lead))
    console.print(shown, soft_wrap=True)


def words(seconds: float) -> str:
    """A duration as people say it."""
    for unit, size in (("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return counted(round(seconds), "second")


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
