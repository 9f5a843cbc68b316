"""Errors in one line: YAML files that cannot be read, and how they are told from faults of the program."""

import errno
import re
from collections.abc import Sequence
from io import IOBase
from traceback import walk_tb
from types import FrameType

import yaml

from digitcmp.errors import shortened

# where ordinary exceptions mean wrong input: Hydra, the official Optuna sweeper, and what they call
READERS = ("hydra.", "hydra_plugins.hydra_optuna_sweeper", "omegaconf.", "optuna.", "sqlalchemy.", "psycopg.", "yaml.")
STORAGE = "hydra.sweeper.storage"
MANY = 50  # frames at the end of a stack without an end: one of what goes round in it is among them


def raised_by_reading(error: BaseException) -> bool:
    """Whether an error comes out of code in which ordinary exceptions mean wrong input."""
    modules = [str(frame.f_globals.get("__name__")) for frame in frames_of(error)]
    last = modules[-MANY:] if isinstance(error, RecursionError) else modules[-1:]  # that one comes wherever the stack ends
    return any(module.startswith(READERS) for module in last)


def frames_of(error: BaseException) -> list[FrameType]:
    """Where an error went through, the frame that raised it at the end."""
    return [frame for frame, _ in walk_tb(error.__traceback__)]


def unreadable(error: BaseException, arguments: Sequence[str]) -> str:
    """What cannot be read, in one line; empty for any other error. arguments: the command line."""
    if isinstance(error, yaml.reader.ReaderError) or "Invalid loaded object type" in str(error):
        return f"{read_last(error)}: this is not YAML of KEY: VALUE lines ({first(str(error))})"
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"{error.problem_mark.name}, line {error.problem_mark.line + 1}: this is not YAML ({error.problem})"
    if isinstance(error, ValueError) and (nodes := [node for frame in frames_of(error) if (node := node_of(frame))]):
        return f"{nodes[-1].start_mark.name}, line {nodes[-1].start_mark.line + 1}: a value cannot be read ({first(str(error))})"
    if isinstance(error, UnicodeDecodeError):
        return f"{read_last(error)}: this is not UTF-8 text ({error.reason})"
    if isinstance(error, RecursionError) and raised_by_reading(error):
        opened = [str(frame.f_locals["path"]) for frame in frames_of(error) if reads_defaults(frame)]
        if len({*opened}) < len(opened):
            return f"{opened[-1]}.yaml: its defaults lead back to itself"
        return f"{read_last(error)}: a value has more lists or keys within each other than can be read"
    if type(error).__module__.startswith("sqlalchemy."):  # of the official sweeper; ours has its own words (`search.storage`)
        said = re.sub(r"^connection failed: ", "", first(str(getattr(error, "orig", None) or error)))
        given = next((one for one in arguments if one.startswith(f"{STORAGE}=") and "${" not in one), STORAGE)  # others hold a password
        return f"{given}: {said}; is it there, and may it be written?"
    return too_long(error, arguments) if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG else ""


def first(text: str) -> str:
    """The first line that says something."""
    return next((part.strip() for part in text.splitlines() if part.strip()), "an error without a text")


def read_last(error: BaseException) -> str:
    """The YAML file that Hydra was reading."""
    opened = [str(frame.f_locals["full_path"]) for frame in frames_of(error) if "full_path" in frame.f_locals]
    return opened[-1] if opened else "a YAML file"


def written_last(error: OSError) -> str:
    """The file that was being written when the system refused more, which it does not name; empty where nobody knows."""
    files = [file for frame in frames_of(error) if isinstance(file := frame.f_locals.get("file"), IOBase)]
    return str(getattr(files[-1], "name", "")) if files else ""


def node_of(frame: FrameType) -> yaml.Node | None:
    """What a frame of PyYAML makes a value of; None for any other frame."""
    node = frame.f_locals.get("node") if str(frame.f_globals.get("__name__")).startswith(("yaml.", "omegaconf.")) else None
    return node if isinstance(node, yaml.Node) else None


def reads_defaults(frame: FrameType) -> bool:
    """Whether a frame is one of Hydra's reading of defaults, and knows of which file."""
    return frame.f_globals.get("__name__") == "hydra._internal.defaults_list" and "path" in frame.f_locals


def too_long(error: OSError, arguments: Sequence[str]) -> str:
    """A choice whose name is too long for a file, or another file of that kind; empty for what is not read but written."""
    path = str(error.filename)
    for argument in arguments:
        key, _, choice = argument.partition("=")
        if choice and path.endswith(f"{key.lstrip('+')}/{choice}.yaml"):
            return f"{key}={shortened(choice)}: there is no such choice: no file has a name of {len(choice)} characters"
    return f"{shortened(path)}: {error.strerror}" if path.endswith((".yaml", ".py")) else ""
