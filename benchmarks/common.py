"""What the benchmarks share: composing a published recipe, options, and how results are shown and written."""

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from hydra import compose, initialize_config_dir
from rich.console import Console
from rich.table import Table

from digitcmp.config.composed import from_composed
from digitcmp.config.schema import Config
from digitcmp.errors import DigitcmpError
from digitcmp.files import shipped
from digitcmp.plugins import resolvers

PLAIN = {"wsn": ["aux_weight=0"]}  # the variants that the reference loop has


def composed(*overrides: str) -> Config:
    """The configuration of these overrides. Raises DigitcmpError for those that make no sense."""
    resolvers.register()
    with initialize_config_dir(str(shipped("conf"))):
        return from_composed(compose("config", overrides=list(overrides)))


def configuration(network: str, data: str, *overrides: str) -> Config:
    """The published recipe of a network, with other data, and overrides. Raises DigitcmpError for those that make no sense."""
    return composed(f"+experiment={network}", f"data={data}", *PLAIN.get(network, []), *overrides)


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser with the options that every benchmark has."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measurements to this file")
    return parser


def add_data(parser: argparse.ArgumentParser) -> None:
    """--data, for benchmarks that train."""
    parser.add_argument("--data", default="mnist", choices=["mnist", "digits"], help="default: mnist")


def whole(text: str) -> int:
    """A whole number that is at least 1, from the command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number, at least 1")
    return int(text)


def make_console() -> Console:
    """Tables keep their columns when they are written to a file."""
    return Console(width=None if sys.stdout.isatty() else 140)


def make_table(left: Sequence[str], right: Sequence[str]) -> Table:
    """An empty table: columns of words, then columns of numbers."""
    table = Table()
    for column in left:
        table.add_column(column)
    for column in right:
        table.add_column(column, justify="right")
    return table


def print_table(title: str, table: Table, console: Console) -> None:
    """Print a table under its title, which may be wider than the table."""
    console.print(f"\n{title}", style="bold", highlight=False)
    console.print(table)


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """median (lowest to highest)."""
    return f"{median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def write(path: Path | None, benchmark: str, machine: dict[str, Any], results: Any) -> None:
    """Write measurements as JSON, with the machine and the command, if a file was asked for."""
    if path:
        command = shlex.join(["python", "-m", f"benchmarks.{benchmark}", *sys.argv[1:]])
        path.write_text(json.dumps({"benchmark": benchmark, "command": command, "machine": machine, "results": results}, indent=2) + "\n")


def run(main: Callable[[], None]) -> None:
    """Run a benchmark; a problem that the user can mend ends it with one line and exit code 1."""
    try:
        main()
    except (DigitcmpError, OSError) as error:
        sys.exit(f"benchmarks: {error}")
