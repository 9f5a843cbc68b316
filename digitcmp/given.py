"""What a Python program hands over, where a command line has nothing but text: it is what it should be, or refused in one line."""

import os
from numbers import Integral
from pathlib import Path

from digitcmp.errors import ConfigError
from digitcmp.inert import line, shortened
from digitcmp.passwords import without_passwords

QUOTED = 100  # characters of a value in a message


def shown(value: object) -> str:
    """A value in a message, short and in one line, also where its class cannot say what it is."""
    try:
        return shortened(line(without_passwords(repr(value))), QUOTED)
    except Exception:  # what the code of a class raises that is not ours; values within themselves
        return f"<{type(value).__name__}>"


def folder_of(value: object) -> Path:
    """A folder, with ~ for the home folder as in a shell. Raises ConfigError for what is neither a text nor a path, an empty one, and what
    no system takes."""
    if isinstance(value, str | os.PathLike) and isinstance(path := os.fspath(value), str) and path and "\0" not in path:
        return Path(os.path.expanduser(path))  # noqa: PTH111 (pathlib's raises where no user has the name)
    raise ConfigError(f"{shown(value)}: this is no folder; give a text, as in 'outputs/wsn', or a pathlib.Path")


def whole_of(name: str, value: object) -> int:
    """A whole number, NumPy's too. Raises ConfigError."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ConfigError(f"{name}={shown(value)}: must be a whole number")
    return int(value)


def truth_of(name: str, value: object) -> bool:
    """True or False. Raises ConfigError for what Python only takes for one of them."""
    if isinstance(value, bool):
        return value
    raise ConfigError(f"{name}={shown(value)}: must be True or False")
