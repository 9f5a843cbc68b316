"""The command that was meant by what was typed."""

import re
import shlex
from collections.abc import Sequence

from hydra.errors import OverrideParseException

COMMAND = ("python", "-m", "digitcmp")

# words of other programs' command lines, and the command that is meant; what else was typed follows it
MEANT = {
    "help": "python -m digitcmp --help",
    "list": "python -m digitcmp --help",
    "version": "python -m digitcmp --version",
    "train": "python -m digitcmp",
    "run": "python -m digitcmp",
    "sweep": "python -m digitcmp --multirun",
    "search": "python -m digitcmp --multirun +sweeps=search_smoke",
    **{name: f"python -m digitcmp.{name}" for name in ("report", "runs", "draw", "verify", "mistakes", "predict", "demo", "schema")},
}


def word(error: BaseException, arguments: Sequence[str]) -> str:
    """The command that was meant by a word such as `help`; empty for any other error."""
    given = error.override if isinstance(error, OverrideParseException) else ""
    if given not in MEANT:
        return ""
    rest = [argument for argument in arguments if argument != given]
    return f"{given}: this is not KEY=VALUE; did you mean: {shlex.join([*shlex.split(MEANT[given]), *rest])}"


def comma(error: BaseException, arguments: Sequence[str]) -> str:
    """The command that was meant by `model=net2,` and `model=net1, net2`, of which a shell makes two words; empty for any other error."""
    given = error.override if isinstance(error, OverrideParseException) else ""
    key, _, values = given.partition("=")
    if given not in arguments or not re.fullmatch(r"[\w.+-]*,[\w.,+-]*", values):
        return ""
    before, after = list(arguments[: arguments.index(given)]), list(arguments[arguments.index(given) + 1 :])
    while after and values.endswith(",") and re.fullmatch(r"[\w.,+-]+", after[0]) and not after[0].startswith("-"):
        values += after.pop(0)
    whole = ",".join(filter(None, values.split(",")))
    again = [*before, f"{key}={whole}", *after]
    command = for_many(again) if "," in whole else shlex.join([*COMMAND, *again])
    return f"{given}: a value is missing beside a comma; did you mean: {command}"


def for_many(arguments: Sequence[str]) -> str:
    """The command of a sweep."""
    more = [] if {"-m", "--multirun"} & {*arguments} else ["--multirun"]
    return shlex.join([*COMMAND, *more, *arguments])
