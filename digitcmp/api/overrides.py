"""What a command line would say, from what Python has: a mapping of keys and values becomes Hydra's KEY=VALUE."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Integral, Real
from pathlib import PurePath
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString

from digitcmp.arguments import SOURCES
from digitcmp.config.sizes import MOST_JOBS as MOST
from digitcmp.errors import ConfigError, DigitcmpError
from digitcmp.given import shown
from digitcmp.plugins.jobs import as_text

Overrides = Mapping[str, Any] | Sequence[str]
DEEPEST = 20  # dictionaries within each other
SCALARS = (str, bool, Integral, Real, PurePath, type(None))


def arguments_of(overrides: Overrides, several: bool) -> list[str]:
    """The arguments of a command line. several: a list of values is a run each, where it is one value otherwise.

    A list of strings is taken as it is. In a mapping, a key is dotted or holds a mapping, a string is what would stand behind the equals
    sign, and everything else is written as Hydra reads it. Raises ConfigError for what no command line could say.
    """
    if isinstance(overrides, Mapping):
        arguments = [argument(key, value, several) for key, value in leaves(overrides)]
    elif isinstance(overrides, list | tuple) and all(isinstance(text, str) for text in overrides):
        arguments = [str.__str__(text) for text in overrides]
    else:
        raise ConfigError(f"{shown(overrides)}: give a dictionary, as in {{'model': 'wsn'}}, or a list of texts, as in ['model=wsn']")
    check_options(arguments)
    return arguments


def argument(key: str, value: Any, several: bool) -> str:
    """A key and its value. Raises ConfigError, also for what the value's own class raises when it is looked at."""
    try:
        return f"{key}={text_of(key, value, several)}"
    except DigitcmpError:
        raise
    except Exception as error:  # nested within itself, a number of more digits than Python prints, a tensor without data
        raise ConfigError(f"{key}={shown(value)}: this cannot be written as a value ({type(error).__name__}: {error})") from error


def check_options(arguments: Iterable[str]) -> None:
    """Raise ConfigError for an option that makes no run, or another kind of run."""
    for argument in arguments:
        option = argument.partition("=")[0]
        if option in ("--multirun", "-m", "--run", "-r"):
            raise ConfigError(f"{argument}: this is said by the call: digitcmp.run for one run, digitcmp.sweep for many")
        if option.startswith("-") and option not in SOURCES:
            raise ConfigError(f"{argument}: this is for the command line; a call takes overrides, and {', '.join(SOURCES)}")


def leaves(overrides: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and their values. Raises ConfigError for a key that is none, and for mappings in mappings that nobody means."""
    if prefix.count(".") > DEEPEST:
        raise ConfigError(f"{prefix}: more than {DEEPEST} dictionaries within each other, or one within itself")
    for key, value in overrides.items():
        if not isinstance(key, str) or not key or "=" in key:
            raise ConfigError(f"{prefix}{shown(key)}: a key is a text, as in 'model.dropout'")
        name = prefix + str.__str__(key)
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{name}.")
        else:
            yield name, value


def text_of(key: str, value: Any, several: bool = False) -> str:
    """A value as Hydra's command line takes it; several: those of a list, with commas between them. Raises ConfigError."""
    value = value.tolist() if hasattr(value, "tolist") else value  # an array, or a number of its own kind
    if isinstance(value, list | tuple | range) and len(value) > MOST:
        raise ConfigError(
            f"{key}={shown(value)}: these are {len(value):,} values, and there may be {MOST:,}; rounds=N trains N seeds in one run"
        )
    if several and isinstance(value, list | tuple | range):
        if not value:
            raise ConfigError(f"{key}=[]: there are no values, so there is nothing to run")
        return ",".join(text_of(key, one) for one in value)
    if isinstance(value, str):
        return str.__str__(value)
    return quoted(value) if isinstance(value, PurePath) else as_text(plain_of(key, value))


def plain_of(key: str, value: Any) -> Any:
    """A value made of None, bools, numbers, strings, lists and dictionaries alone: NumPy's and torch's numbers and arrays, ranges, tuples
    and paths become these. Raises ConfigError for anything else."""
    if isinstance(value, SCALARS):
        return convert(value)
    if hasattr(value, "tolist"):
        return plain_of(key, value.tolist())
    if isinstance(value, Mapping):
        return {str(name): plain_of(f"{key}.{name}", one) for name, one in value.items()}
    if isinstance(value, list | tuple | range):
        return [plain_of(key, one) for one in value]
    raise ConfigError(f"{key}={shown(value)}: a {type(value).__name__} is no value; give a text, a number, true or false, None, or a list")


def convert(value: Any) -> Any:
    """A plain value in Python's own type."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)  # also of an enumeration, or another kind of text
    if isinstance(value, PurePath):
        return str(value)
    return int(value) if isinstance(value, Integral) else float(value)


def quoted(path: str | PurePath) -> str:
    """A path as Hydra's command line takes it, whatever is in it."""
    return QuotedString(str(path), Quote.single).with_quotes()
