"""What stands behind the name of a command: options and values, whose mistakes are errors in one line like all others."""

import argparse
import re
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

from digitcmp.errors import ConfigError
from digitcmp.screen import Help

KINDS = {"int": "a whole number", "float": "a number"}
SOURCES = ("--config-dir", "-cd", "--config-name", "-cn", "--config-path", "-cp", "--allow-code")  # options that say where things come from
NUMBER = re.compile(r"-\d*\.?\d")  # a value, not an option


class Arguments(argparse.ArgumentParser):
    """The arguments of `python -m digitcmp.NAME`. Reading them raises ConfigError for what there is not, with the nearest that there is."""

    def __init__(self, prog: str, description: str, epilog: str | None = None, **others: Any) -> None:
        super().__init__(prog, description=description, epilog=epilog, formatter_class=Help, **others)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """What argparse does, which calls this for a command and for what it may begin with; but a misspelt option is told before
        something is missed that it was to give."""
        given = list(sys.argv[1:] if args is None else args)
        if self._subparsers is not None:  # the rest is for another one
            given = given[: next((index for index, text in enumerate(given) if not text.startswith("-")), None)]
        for text in given[: given.index("--") if "--" in given else None]:
            self.check_option(text)
        return super().parse_known_args(args, namespace)

    def check_option(self, text: str) -> None:
        """Raise ConfigError for an option that there is not. One may be shortened; -n3 is -n 3."""
        known, name = self._option_string_actions, text.partition("=")[0]
        value = " " in text or text == "-" or NUMBER.match(text) or not text.startswith("-")
        if value or any(option.startswith(name) for option in known) or (text[:2] in known and text[1] != "-"):
            return
        options = [option for option in known if option.startswith("--")]
        close = get_close_matches(f"--{name.lstrip('-')}", options, n=1)
        nearest = f" (did you mean {close[0]}?)" if close else ""
        raise ConfigError(f"{name}: there is no such option{nearest}; choose one of {', '.join(options)}")

    def error(self, message: str) -> NoReturn:
        """Called by argparse: its message in our words."""
        if found := re.match(r"argument (.*?): invalid (\w+) value: (['\"])(.*)\3$", message, re.DOTALL):
            raise ConfigError(f"{found[1]}={found[4]}: must be {KINDS[found[2]]}")
        if found := re.match(r"argument (.*?): invalid choice: (['\"])(.*)\2 \(choose from (.*)\)$", message, re.DOTALL):
            raise ConfigError(f"{found[1]} {found[3]}: there is no such choice{choices(found[3], found[4])}")
        text = message.removeprefix("argument ")
        raise ConfigError(f"{text[:1].lower()}{text[1:]}; {self.prog} --help says what there is")


def sources(words: Sequence[str]) -> list[str]:
    """The options of a command that say where things come from (SOURCES), as they were typed, with their values."""
    found = [index for index, word in enumerate(words) if word.partition("=")[0] in SOURCES]
    return [part for index in found for part in words[index : index + (1 if "=" in words[index] else 2)]]


def choices(wrong: str, listed: str) -> str:
    """The nearest of some choices, if any is near, and all of them. listed: as argparse tells them, with quotes or without."""
    known: Sequence[str] = [one.strip("'\" ") for one in listed.split(",")]
    close = get_close_matches(wrong, known, n=1)
    return (f" (did you mean {close[0]}?)" if close else "") + f"; choose one of {', '.join(known)}"
