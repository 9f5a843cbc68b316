"""The alphabet and length of names, checked where they enter.

A name (of a network, a study, a job) has at most 100 characters: letters and digits of any script, blanks inside, and _-.,=+:@%()[].
It begins with a letter, a digit or an underscore. A folder has any characters that can be seen, and at most 255 bytes between two
slashes.
"""

import os
import re
import unicodedata
from pathlib import PurePath

from digitcmp.errors import ConfigError
from digitcmp.inert import visible

SIGNS = "_-.,=+:@%()[] "
LENGTH = 100  # characters of a name
PART = 255  # bytes of a folder's name, as file systems have it
WHOLE = 2000  # characters of a path; systems end at 4,096 bytes, and files are still to come below it
UNREAD = re.compile("[\udc80-\udcff]")  # bytes that a locale could not read
UNREADABLE = "this locale cannot read its letters; set LC_ALL=C.UTF-8, or PYTHONUTF8=1"
SHOWN = 40  # characters of a wrong name that are quoted


def check_name(key: str, name: str) -> None:
    """Raise ConfigError for what is no name."""
    foreign = next((letter for letter in name if letter not in SIGNS and unicodedata.category(letter)[0] not in "LMN"), "")
    if not name or len(name) > LENGTH:
        wrong = f"it has {len(name):,} characters" if name else "it is empty"
    elif foreign:
        wrong = f"it has a {foreign!r}"
    elif name != name.strip() or not (name[0].isalnum() or name[0] == "_"):
        wrong = f"it begins with {name[0]!r}" if name == name.strip() else "it begins or ends with a blank"
    else:
        return
    raise ConfigError(
        f"{key}={quoted(name)}: {wrong}; a name has at most {LENGTH} characters: letters, digits, blanks and {SIGNS.strip()}, "
        "and begins with a letter or a digit"
    )


def check_folder(key: str, path: str | PurePath) -> None:
    """Raise ConfigError for a path that no folder should have."""
    text = str(path)
    hidden = next((letter for letter in text if not letter.isprintable()), "")
    longest = max((len(os.fsencode(part)) for part in PurePath(text).parts), default=0) if not hidden else 0
    if UNREAD.match(hidden):
        raise ConfigError(f"{key}={quoted(text)}: {UNREADABLE}")
    if not text:
        raise ConfigError(f"{key}=: a folder needs a name; the working folder itself is {key}=.")
    if hidden:
        wrong = f"it has a {hidden!r}, which nobody can see"
    elif longest > PART or len(text) > WHOLE:
        wrong = f"it has {len(text):,} characters, {longest:,} bytes of them in one name"
    else:
        return
    raise ConfigError(f"{key}={quoted(text)}: {wrong}; choose a folder of at most {PART} bytes a name and {WHOLE:,} characters in all")


def check_option(key: str, text: str) -> None:
    """Raise ConfigError for what cannot be a value, or a whole option, of another program in a line of a script."""
    wrong = next((letter for letter in text if letter in " '\"\\" or not letter.isprintable()), "")
    if not text or wrong:
        what = f"it has a {wrong!r}" if text else "it is empty"
        raise ConfigError(f"{key}={quoted(text)}: {what}; this goes to another program as it is, without blanks, quotes or backslashes")


def quoted(text: str) -> str:
    """The beginning of a wrong name."""
    return visible(text[:SHOWN]) + (" …" if len(text) > SHOWN else "")
