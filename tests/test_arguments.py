"""A mistake behind the name of a command is told in one line, with the nearest that there is: for every command and every option of it."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from digitcmp.arguments import Arguments
from tests.conftest import ROOT, Ended

COMMANDS = sorted(
    ".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "digitcmp").rglob("__main__.py") if path.parent.name != "digitcmp"
)
Main = Callable[..., Ended]


def parsers(command: str) -> list[tuple[list[str], Arguments]]:
    """The parser of a command, and those of the commands that it may begin with, with what is typed for them."""
    parser = import_module(f"{command}.cli").parser()
    assert isinstance(parser, Arguments)
    below = [] if parser._subparsers is None else [*parser._subparsers._group_actions[0].choices.items()]  # type: ignore[union-attr]
    return [([], parser), *(([name], one) for name, one in below)]


@pytest.mark.parametrize("command", COMMANDS)
def test_misspelt_options(command: str, run_main: Main) -> None:
    """Are told before anything else, also where something is missing; exit code 1 (2 for verify, whose 1 says something else)."""
    main = import_module(f"{command}.cli").main
    for typed, parser in parsers(command):
        for option in [one for one in parser._option_string_actions if one.startswith("--") and len(one) > 4]:
            wrong = f"--{option[3]}{option[2]}{option[4:]}"  # the first two letters are the other way round
            for given in (wrong, f"{wrong}=3"):
                ended = run_main(main, *typed, given)
                assert (ended.code, ended.out) == (2 if command == "digitcmp.verify" else 1, "")
                assert ended.err.startswith(f"digitcmp: {wrong}: there is no such option (did you mean {option}?); choose one of --help")
                assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("command", "typed", "told"),
    [
        ("schema", ["modle"], "KIND modle: there is no such choice (did you mean model?); choose one of run, model"),
        ("schema", ["--write"], "--write: expected one argument; python -m digitcmp.schema --help says what there is"),
        ("verify", ["x", "--rounds", "many"], "--rounds=many: must be a whole number"),
        ("verify", ["x", "--margin=a\nb\x1b[31m"], r"--margin=a\nb\x1b[31m: must be a number"),
        ("verify", ["x", "--engine", "serail"], "--engine serail: there is no such choice (did you mean serial?); choose one of auto"),
        ("report", [], "the following arguments are required: FOLDER; python -m digitcmp.report --help says what there is"),
        ("report", ["x", "--out", "a", "--serve"], "--serve: not allowed with argument --out; "),
        ("runs", ["lst"], "COMMAND lst: there is no such choice (did you mean ls?); choose one of status, ls"),
        ("runs", [], "the following arguments are required: COMMAND; "),
        ("runs", ["tail", "x", "-n", "few"], "-n/--lines=few: must be a whole number"),
        ("runs", ["show"], "the following arguments are required: RUN; python -m digitcmp.runs show --help says"),
        ("runs", ["show", "-x", "r"], "-x: there is no such option"),
        ("mistakes", ["x", "y"], "unrecognized arguments: y; "),
        ("report", ["--o", "x"], "ambiguous option: --o could match "),
    ],
)
def test_other_mistakes(command: str, typed: list[str], told: str, run_main: Main) -> None:
    """One line each."""
    ended = run_main(import_module(f"digitcmp.{command}.cli").main, *typed)
    assert ended.code in (1, 2)
    assert told in ended.err
    assert len(ended.err.splitlines()) == 1
    assert ended.err.strip().isprintable()


def test_no_mistakes() -> None:
    """A number below zero and a text with blanks are values; options may be shortened, or have their value behind them."""
    parser = import_module("digitcmp.runs.cli").parser()
    assert parser.parse_args(["tail", "r", "-n3"]).lines == 3
    assert parser.parse_args(["tail", "r", "--lin=-3"]).lines == -3
    assert parser.parse_args(["tail", "r", "-n", "-3"]).lines == -3
    assert parser.parse_args(["note", "r", "- it is good"]).text == "- it is good"
    assert parser.parse_args(["note", "--", "r", "--good"]).text == "--good"
    assert parser.parse_args(["show", "a=b"]).run == Path("a=b")
