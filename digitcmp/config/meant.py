"""The command that was meant by what was typed."""

import re
import shlex
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from typing import get_type_hints

from hydra.errors import OverrideParseException

from digitcmp.config.allowed import code_let_in
from digitcmp.config.schema import Config

SWITCHES = [name for name, hint in get_type_hints(Config).items() if hint is bool]  # keys that are true or false
COMMAND = ("python", "-m", "digitcmp")

# words of other programs' command lines, and the command that is meant; what else was typed follows it
MEANT = {
    "help": "python -m digitcmp --help",
    "list": "python -m digitcmp --help",
    "version": "python -m digitcmp --version",
    "train": "python -m digitcmp",
    "run": "python -m digitcmp",
    "sweep": "python -m digitcmp --multirun",
    "multirun": "python -m digitcmp --multirun",
    "search": "python -m digitcmp --multirun +sweeps=search_smoke",
    **{name: f"python -m digitcmp.{name}" for name in ("report", "runs", "draw", "verify", "mistakes", "predict", "demo", "schema")},
    **{name: f"python -m digitcmp.runs {name}" for name in ("status", "ls", "show", "diff", "tail", "rerun", "rm", "gc", "note")},
}


def word(error: BaseException, arguments: Sequence[str]) -> str:
    """The command that was meant by a word such as `help`; empty for any other error."""
    given = error.override if isinstance(error, OverrideParseException) else ""
    if given not in MEANT:
        return ""
    rest = [argument for argument in arguments if argument != given]
    return f"{given}: this is not KEY=VALUE; did you mean: {shlex.join([*shlex.split(MEANT[given]), *rest])}"


def apart(error: BaseException, arguments: Sequence[str]) -> str:
    """The command that was meant by `model= wsn`, 'model=wsn epochs=3' in one word, and `model==wsn`; empty for any other error."""
    given = error.override if isinstance(error, OverrideParseException) else ""
    if given not in arguments:
        return ""
    before, after = list(arguments[: arguments.index(given)]), list(arguments[arguments.index(given) + 1 :])
    parts = given.split()
    if before and re.fullmatch(r"\+?[\w.]+=", before[-1]) and re.fullmatch(r"[\w.+-]+", given):
        what, meant = f"{before[-1]} {given}: a key and its value are one word", [*before[:-1], before[-1] + given, *after]
    elif len(parts) > 1 and all(re.fullmatch(r"\+?[\w.]+=[\w.,+-]+", part) for part in parts):
        what, meant = f"{given}: each key with its value is a word of its own", [*before, *parts, *after]
    elif doubled := re.fullmatch(r"(\+?[\w.]+)==([\w.,+-]+)", given):
        what, meant = f"{given}: one equals sign is enough", [*before, f"{doubled[1]}={doubled[2]}", *after]
    else:
        return ""
    return f"{what}; did you mean: {whole(meant)}"


def blank(error: BaseException, arguments: Sequence[str], known: Collection[str]) -> str:
    """The command that was meant by `model wsn` and `model = wsn`; empty for any other error. known: all keys."""
    given = error.override if isinstance(error, OverrideParseException) else ""
    if given not in arguments or given.lstrip("+") not in known:
        return ""
    before, after = list(arguments[: arguments.index(given)]), list(arguments[arguments.index(given) + 1 :])
    value = after.pop(0) if after and not after[0].startswith(("-", "+")) else ""
    if value == "=" and after:
        value = after.pop(0)
    value = value.removeprefix("=")
    if not value or "=" in value:
        return f"{given}: a key needs a value, as in {given}={'true' if given in SWITCHES else 'VALUE'}"
    return f"{given}: a key and its value are one word; did you mean: {whole([*before, f'{given}={value}', *after])}"


def colon(error: BaseException, arguments: Sequence[str], known: Collection[str]) -> str:
    """The command that was meant by `model:wsn`; empty for any other error. known: all keys."""
    given = error.override if isinstance(error, OverrideParseException) else ""
    key, _, value = given.partition(":")
    if given not in arguments or key.lstrip("+") not in known or not value or "=" in value:
        return ""
    meant = [f"{key}={value}" if one == given else one for one in arguments]
    return f"{given}: a key and its value have an equals sign between them; did you mean: {whole(meant)}"


def option(wrong: str, arguments: Sequence[str], options: Collection[str], known: Collection[str]) -> str:
    """An option that there is not, as it was typed, and the command that was meant: `--mutlirun`, `-multirun`, `--seed 3`. options: those
    that there are; known: all keys."""
    name, _, value = wrong.partition("=")
    key = name.lstrip("-").replace("-", "_")
    before, after = list(arguments[: arguments.index(wrong)]), list(arguments[arguments.index(wrong) + 1 :])
    if key in known:
        if not value and after and not after[0].startswith(("-", "+")) and "=" not in after[0]:
            value = after.pop(0)
        meant = f"{key}={value or ('true' if key in SWITCHES else 'VALUE')}"
        return f"{name}: a key is written without dashes; did you mean: {whole([*before, meant, *after])}"
    if close := get_close_matches(f"--{name.lstrip('-')}", options, n=1):
        nearest = close[0] + wrong.removeprefix(name)
        return f"{name}: there is no such option; did you mean: {whole([*before, nearest, *after])}"
    return f"{name}: there is no such option; choose one of {', '.join(sorted(options))}"


def switch(given: str, arguments: Sequence[str]) -> str:
    """The command that was meant by `--multirun=true`: an option that takes no value."""
    meant = [one.partition("=")[0] if one == given else one for one in arguments]
    return f"{given}: this option takes no value; did you mean: {whole(meant)}"


def whole(words: Sequence[str]) -> str:
    """A command with these arguments, as a shell takes it, with the code of one's own that was let in."""
    return shlex.join([*COMMAND, *words, *code_let_in()])


def of_one(said: str, command: str = "") -> str:
    """An error's line, for a command that composes one configuration and trains nothing: it means that command, or names none without."""
    said = re.sub(r"(did you mean|for a run( of)? each): (python -m digitcmp )?--multirun .*", "give it one", said)
    before, meant, typed = said.partition(f"did you mean: {shlex.join(COMMAND)} ")
    return f"{before}did you mean: {command} {typed}" if meant and command else before.removesuffix("; ")
