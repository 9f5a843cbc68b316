"""Help for terminals of any width."""

import argparse
import fcntl
import os
import shlex
import struct
import subprocess
import sys
import termios

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitcmp import screen

WORDS = st.lists(st.text("abcdef=.-+×", min_size=1, max_size=12), min_size=1, max_size=30).map(" ".join)
LINES = st.tuples(st.integers(0, 4), WORDS, st.integers(0, 6), WORDS).map(
    lambda parts: " " * parts[0] + parts[1] + " " * parts[2] + parts[3]
)


@given(LINES, st.integers(20, 80))
def test_a_wrapped_line_loses_nothing_and_fits(line: str, most: int) -> None:
    """Words of up to twelve characters are kept whole, in their order, whatever the width."""
    wrapped = screen.fitted(line, most)
    assert wrapped.replace("\n", " ").split() == line.split() or any(len(word) > most - 8 for word in line.split())
    assert "".join(wrapped.split()) == "".join(line.split())
    assert max(map(len, wrapped.split("\n"))) <= most or len(line) <= most


COMMANDS = ["model=net1,net2 hydra.sweep.dir=outputs/a_folder_of_mine", "model=net1 'hydra.run.dir=runs by python -m digitcmp '\"'\"'s'"]


@given(WORDS, st.integers(20, 80), st.booleans(), st.sampled_from(COMMANDS))
def test_a_sentence_ends_its_lines_between_words(words: str, most: int, commanded: bool, typed: str) -> None:
    """Whatever is longer than a line stays whole; a command has lines of its own, which a shell joins, whatever its values quote."""
    command = f"python -m digitcmp --multirun {typed}"
    folded = screen.sentence(f"{words}, as in: {command}" if commanded else words, most)
    lines = folded.split("\n")
    if commanded:
        place = next(index for index, line in enumerate(lines) if line.startswith("python"))
        assert "\n".join(lines[place:]).replace(" \\\n", " ") == command
        lines = lines[:place]
    assert " ".join(lines) == (f"{words}, as in:" if commanded else words)
    assert max(map(len, lines)) <= most


@given(st.lists(st.text("ab1=,' \"\\[{é", max_size=12), max_size=12), st.integers(20, 80), st.integers(0, 15))
def test_a_command_is_broken_between_arguments(words: list[str], most: int, lead: int) -> None:
    """A shell reads the same from the lines; only an argument that is too long by itself makes one longer than the terminal."""
    arguments = ["python", "-m", "digitcmp", *words]
    folded = screen.continued(shlex.join(arguments), most, lead)
    assert shlex.split(folded.replace("\\\n", "")) == arguments
    first, *others = folded.split("\n")
    for line in [" " * lead + first, *others]:
        assert len(line) <= most or len(shlex.split(line.removesuffix("\\"))) == 1
        assert line.startswith(" " * lead)


@pytest.mark.parametrize("text", ["python -m digitcmp model='net1", "python -m digitcmp x=1  (in outputs/a folder; that of the sweep)"])
def test_what_no_shell_would_read_stays_whole(text: str) -> None:
    """Words around a command, quotes that end nowhere."""
    assert screen.continued(text, 20) == text


@pytest.mark.parametrize(("columns", "expected"), [(30, "digitcmp: model=wns: there is\r\nno such choice\r\n"), (0, "choice\r\n")])
def test_errors_end_their_lines_between_words_in_a_terminal(columns: int, expected: str) -> None:
    """As wide as it is; 80 columns where it does not say. Elsewhere, they are one line."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    complaint = [sys.executable, "-c", "from digitcmp.screen import complain; complain('model=wns: there is no such choice')"]
    subprocess.run(complaint, stderr=theirs, check=True)
    assert os.read(ours, 1000).decode().endswith(expected)
    piped = subprocess.run(complaint, capture_output=True, text=True, check=True)
    assert piped.stderr == "digitcmp: model=wns: there is no such choice\n"


def test_what_goes_on_stands_below_the_meaning() -> None:
    """In a second column that begins where the first line's did; in a narrow terminal, below what is explained."""
    line = "  seed=0    everything random derives from it"
    assert screen.fitted(line, 40) == "  seed=0    everything random derives\n            from it"
    assert screen.fitted(line, 20) == "  seed=0\n      everything\n      random derives\n      from it"


def test_a_long_lead_has_a_line_of_its_own() -> None:
    """And its meaning stands in its column all the same."""
    assert screen.row("seed=0", "randomness", 12) == "  seed=0    randomness"
    assert screen.row("a.long.key=1", "randomness", 12) == "  a.long.key=1\n            randomness"
    assert screen.row("name", "", 12) == "  name"


def test_as_many_names_as_there_is_room_for() -> None:
    """And how many there are, where not all are shown."""
    names = ["net1", "net2", "net3", "net4"]
    assert screen.as_many(names, 19) == "net1 net2 net3 net4"
    assert screen.as_many(names, 18) == "net1 … 4 in all"
    assert screen.as_many(names, 3) == "… 4 in all"


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_help_of_a_command_fits(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its description is one paragraph, however its lines were broken; at most 80 columns are easily read."""
    monkeypatch.setenv("COLUMNS", str(columns))
    parser = argparse.ArgumentParser("name", description="words\n" * 40, epilog="example  " + "word " * 40, formatter_class=screen.Help)
    parser.add_argument("--out", help="word " * 40)
    shown = parser.format_help()
    assert max(map(len, shown.splitlines())) <= min(columns, 80)
    assert "words words words words" in shown
