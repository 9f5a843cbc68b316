"""Draw what a command prints into an 80-column terminal: ``python docs/terminal.py``, in an environment with the test extra.

The command really runs, in a terminal of its own (a pseudoterminal, with pyte as its screen); what is on the screen at its end is drawn
as an SVG that needs no font from anywhere. README shows docs/terminal.svg.
"""

import io
import os
import pty
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import pyte
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

COLUMNS, ROWS = 80, 60
COMMAND = "python -m digitcmp model=wsn aux_weight=0.5 hydra.run.dir=outputs/first"
PICTURE = Path(__file__).with_name("terminal.svg")
FRAME = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: {char_height}px; line-height: {line_height}px;
}}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def screen_after(command: str) -> pyte.Screen:
    """The screen when the command has ended. Raises CalledProcessError when that is not well."""
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "LINES": str(ROWS), "TERM": "xterm-256color"}
    words = [sys.executable, *shlex.split(command)[1:]]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env=environment) as process,
    ):
        os.close(theirs)
        while part := read(ours):
            stream.feed(part)
    os.close(ours)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, output="\n".join(screen.display))
    return screen


def read(number: int) -> bytes:
    """What has come; nothing when the other end is closed."""
    try:
        return os.read(number, 65536)
    except OSError:  # Linux says so instead of an end of file
        return b""


def text_of(screen: pyte.Screen) -> list[Text]:
    """The lines of a screen, with their colours."""
    lines = []
    for row in range(screen.cursor.y):
        line = Text()
        for column in range(COLUMNS):
            char = screen.buffer[row][column]
            colour = {"default": None, "brown": "yellow"}.get(char.fg, char.fg)
            hexadecimal = colour is not None and len(colour) == 6 and all(digit in "0123456789abcdef" for digit in colour)
            line.append(char.data, Style(color=f"#{colour}" if hexadecimal else colour, bold=char.bold))
        line.rstrip()
        lines.append(line)
    return lines


def draw(command: str, picture: Path) -> None:
    """Run the command, and write the picture of what it prints."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.assemble(("$ ", "dim"), (command, "bold")))
    for line in text_of(screen_after(command)):
        console.print(line)
    console.print()  # room for what hangs below the last line
    console.save_svg(str(picture), title="digitcmp", theme=DIMMED_MONOKAI, code_format=FRAME, unique_id="digitcmp")


if __name__ == "__main__":
    draw(COMMAND, PICTURE)
