"""``python -m digitcmp.runs COMMAND …``: runs from outside. Each command is a module of its own, imported when it is asked for."""

import argparse
from collections.abc import Callable
from pathlib import Path

from digitcmp.report.command import exit_codes
from digitcmp.screen import Help

DESCRIPTION = """\
How far runs are, and everything around them: finding, comparing, repeating and removing them. Nothing is trained but by rerun, and torch
is not needed for the rest.
"""
EXAMPLES = """\
examples:
  python -m digitcmp.runs status outputs/table1 --watch
"""


def parser() -> argparse.ArgumentParser:
    """The command line's arguments."""
    arguments = argparse.ArgumentParser("python -m digitcmp.runs", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=Help)
    commands = arguments.add_subparsers(dest="command", required=True, metavar="COMMAND")

    status = add(commands, "status", "how far the runs of a folder are, which rounds are in flight, how long it takes, what is best so far")
    status.add_argument("folder", type=Path, metavar="FOLDER", help="a run's folder, or one that holds runs at any depth")
    status.add_argument("--watch", action="store_true", help="show it again every two seconds, until nothing is trained there")
    status.add_argument("--json", action="store_true", help="for other programs")
    return arguments


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, what: str) -> argparse.ArgumentParser:
    """A command with its help."""
    return commands.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".", formatter_class=Help)


def run_status(arguments: argparse.Namespace) -> None:
    """Print how far the runs are. Raises RunError where there are none."""
    from digitcmp.runs.status import read_status
    from digitcmp.runs.status_view import as_json, render, watch
    from digitcmp.terminal import Terminal

    if arguments.watch and not arguments.json:
        watch(lambda: read_status(arguments.folder), Terminal())
        return
    status = read_status(arguments.folder)
    if arguments.json:
        print(as_json(status))
    else:
        Terminal().print(render(status))


COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {"status": run_status}


@exit_codes("no run was touched")
def main() -> None:
    """Carry out a command. Exit codes: see `exit_codes`."""
    arguments = parser().parse_args()
    COMMANDS[arguments.command](arguments)
