"""Text that fits the terminal: lines of at most 80 columns, and of fewer where there are fewer."""

import argparse
import os
import re
import shlex
import shutil
import sys
import textwrap

MOST, LEAST = 80, 20  # columns that help is written for
COLUMNS = re.compile(r"( *\S.*?  +)(\S.*)")  # what is explained, two blanks or more, and what it means
DEEP = 8  # columns from which on an indented line is what goes on from the one before
COMMAND = re.compile(r" (?=python -m )")  # to be copied: it stands in a line of its own, whole
NARROW = 6  # how far it is indented where there are few columns
BESIDE = 0.45  # the share of the width up to which what is explained may stand beside its meaning


def width() -> int:
    """The columns of lines of help here; 80 where there is no terminal."""
    return min(MOST, max(LEAST, shutil.get_terminal_size().columns))


def fit(text: str) -> str:
    """A text whose longer lines are wrapped: what goes on is indented as far as where the meaning begins, after two blanks or more."""
    return "\n".join(fitted(line, width()) for line in text.splitlines())


def fitted(line: str, most: int) -> str:
    """One line, wrapped at so many columns."""
    if len(line) <= most:
        return line
    depth = len(line) - len(line.lstrip())
    indent = " " * (depth if depth <= BESIDE * most else NARROW)
    if (parts := COLUMNS.fullmatch(line)) is None:
        return wrapped(line.strip(), most, indent, indent if depth > DEEP else f"{indent}  ")
    lead, meaning = parts.groups()
    if len(lead) <= BESIDE * most:
        return wrapped(meaning, most, lead, " " * len(lead))
    return wrapped(lead.strip(), most, indent, f"{indent}  ") + "\n" + wrapped(meaning, most, f"{indent}    ", f"{indent}    ")


def wrapped(text: str, most: int, first: str, others: str) -> str:
    """A paragraph; first, others: what its first line and its others begin with."""
    return textwrap.fill(text, most, initial_indent=first, subsequent_indent=others, break_on_hyphens=False)


def sentence(text: str, most: int) -> str:
    """A sentence in lines of at most so many columns that end between words; long ones (paths) stay whole, commands are `continued`."""
    if len(text) <= most:
        return text
    said, *commands = parted(text)
    lines = [textwrap.fill(said, most, break_long_words=False, break_on_hyphens=False)]
    return "\n".join([*lines, *(continued(command, most) for command in commands)])


def parted(text: str) -> list[str]:
    """What a sentence says, and each command that follows: whole, also where `python -m` stands within quotes of its own."""
    said, *parts = COMMAND.split(text)
    commands: list[str] = []
    for part in parts:
        if commands and not is_closed(commands[-1]):
            commands[-1] += f" {part}"
        else:
            commands.append(part)
    return [said, *commands]


def is_closed(command: str) -> bool:
    """Whether each quotation in it has an end."""
    try:
        shlex.split(command)
    except ValueError:
        return False
    return True


def continued(command: str, most: int, lead: int = 0) -> str:
    """A command in lines of at most so many columns, which a shell reads as the one that it is: they end between its arguments. lead:
    columns in front of it, and of what goes on. What a shell would not read as it stands stays whole."""
    try:
        first, *others = map(shlex.quote, shlex.split(command))
    except ValueError:
        return command
    if lead + len(command) <= most or " ".join([first, *others]) != command:
        return command
    lines = [first]
    for word in others:
        if lead + len(f"{lines[-1]} {word} \\") > most:
            lines.append(word)
        else:
            lines[-1] += f" {word}"
    return f" \\\n{'':{lead}}".join(lines)


def complain(text: str) -> None:
    """Lines on stderr, in the name of the program: sentences in a terminal (`sentence`), elsewhere as they are."""
    text = f"digitcmp: {text}"
    if os.isatty(2):
        most = max(LEAST, os.get_terminal_size(2).columns or shutil.get_terminal_size().columns)
        text = "\n".join(sentence(line, most) for line in text.split("\n"))
    print(text, file=sys.stderr)


def row(lead: str, meaning: str, column: int) -> str:
    """What is explained, and its meaning from this column on; in the next line where the lead is too long for that."""
    if not meaning:
        return f"  {lead}"
    here = f"  {lead:<{column - 4}}  "
    return here + meaning if len(here) == column else f"  {lead}\n{'':{column}}{meaning}"


def as_many(names: list[str], room: int) -> str:
    """As many of these names as fit into so many columns, and how many there are where they do not."""
    if len(text := " ".join(names)) <= room:
        return text
    end = f" … {len(names)} in all"
    while names and len(" ".join(names)) + len(end) > room:
        names = names[:-1]
    return (" ".join(names) + end).strip()


class Help(argparse.RawDescriptionHelpFormatter):
    """The help of a command: paragraphs of its description are filled, lines that are indented stay lines."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=width(), max_help_position=26)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        joined = re.sub(r"(?<=\S)\n(?=\S)", " ", text)
        lines = [fitted(line, width) if line.startswith(" ") else textwrap.fill(line, width) for line in joined.splitlines()]
        return "\n".join(indent + line for line in lines)
