"""``python -m digitcmp.runs COMMAND …``: runs from outside. What a command does is imported when it is asked for."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from digitcmp.arguments import Arguments
from digitcmp.errors import RunError
from digitcmp.report.command import exit_codes

DESCRIPTION = """\
How far runs are, and everything around them: finding, comparing, repeating and removing them. Nothing is trained but by rerun, and torch
is not needed for the rest.
"""
EXAMPLES = """\
examples:
  python -m digitcmp.runs status outputs/table1 --watch
  python -m digitcmp.runs ls --where model.name=wsn --sort test_accuracy
  python -m digitcmp.runs show outputs/table1/experiment=net1
"""
WHERE = "only runs with this value (also !=, <, <=, >, >=; text with * and ?), of a key of the configuration or of the run; repeatable"


def parser() -> Arguments:
    """The command line's arguments."""
    arguments = Arguments("python -m digitcmp.runs", description=DESCRIPTION, epilog=EXAMPLES)
    commands = arguments.add_subparsers(dest="command", required=True, metavar="COMMAND")

    status = add(commands, "status", "how far the runs of a folder are, which rounds are in flight, how long it takes, what is best so far")
    status.add_argument("folder", type=Path, metavar="FOLDER", help="a run's folder, or one that holds runs at any depth")
    status.add_argument("--watch", action="store_true", help="show it again every two seconds, until nothing is trained there")
    status.add_argument("--json", action="store_true", help="for other programs")

    listed = add(commands, "ls", "a table of the runs at or below a folder, filtered and sorted by any key of them")
    listed.add_argument("folder", nargs="?", type=Path, default=Path("outputs"), metavar="FOLDER", help="default: outputs")
    listed.add_argument("--where", action="append", default=[], metavar="KEY=VALUE", help=WHERE)
    listed.add_argument("--status", metavar="STATUS", help="done, running, failed, interrupted, dead, pruned or damaged")
    listed.add_argument("--sort", metavar="KEY", help="by this key, accuracies from the highest, everything else from the lowest")
    listed.add_argument("--reverse", action="store_true", help="the other way round")
    listed.add_argument(
        "--columns", metavar="A,B,…", default="", help="keys that have a column of their own, beside those of --where and --sort"
    )
    listed.add_argument("--json", action="store_true", help="all keys of each run, for other programs")

    one(add(commands, "show", "what a run is, what made it, what it came to, and its files"))
    both = add(commands, "diff", "what differs between two runs: keys, what made them, and their results, paired by seed")
    both.add_argument("first", type=Path, metavar="RUN")
    both.add_argument("second", type=Path, metavar="RUN")
    both.add_argument("--metric", default="test_accuracy", metavar="COLUMN", help="that is compared (default: %(default)s)")
    tail = one(add(commands, "tail", "the end of a run's digitcmp.log"))
    tail.add_argument("-n", "--lines", type=int, default=10, metavar="N", help="how many (default: 10)")
    tail.add_argument("-f", "--follow", action="store_true", help="and what comes, until no process is at work on the run")
    again = one(add(commands, "rerun", "train the finished rounds of a run again in another folder: does each seed come out equal?"))
    again.add_argument(
        "--out", type=Path, metavar="FOLDER", help="where to (default: the folder of the run, or of its sweep, with -again behind it)"
    )
    again.add_argument("--root", metavar="FOLDER", help="data.root (default: that of the run, where it is there; DIGITCMP_DATA, or data)")
    gone = add(commands, "rm", "remove runs, or sweeps with all their runs; asks, and leaves what a process is at work on")
    gone.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    left = add(commands, "gc", "remove what commands have left: folders without a run, damaged runs, pruned trials; asks")
    left.add_argument("folder", nargs="?", type=Path, default=Path("outputs"), metavar="FOLDER", help="default: outputs")
    left.add_argument("--only", choices=("empty", "damaged", "pruned"), metavar="KIND", help="empty, damaged or pruned (default: all)")
    for command in (gone, left):
        command.add_argument("--yes", action="store_true", help="do not ask")
    note = one(add(commands, "note", "write something down about a run, by which ls finds it: --where 'note=*text*'"))
    note.add_argument("text", metavar="TEXT")
    out = add(commands, "export", "show the runs of a folder to a tracker, or write their rounds and epochs as Parquet")
    out.add_argument("folder", type=Path, metavar="FOLDER", help="a run's folder, or one that holds runs at any depth")
    out.add_argument("--to", required=True, choices=("mlflow", "tensorboard", "wandb", "parquet"), help="each needs the extra of its name")
    out.add_argument("--option", action="append", default=[], metavar="KEY=VALUE", help="as in callbacks.NAME.KEY=VALUE; repeatable")
    out.add_argument("--out", type=Path, metavar="FOLDER", help="where Parquet files go, and only these (default: FOLDER)")
    return arguments


def one(command: Arguments) -> Arguments:
    """A command that takes a run."""
    command.add_argument("run", type=Path, metavar="RUN", help="its folder")
    return command


def add(commands: "argparse._SubParsersAction[Arguments]", name: str, what: str) -> Arguments:
    """A command with its help."""
    return commands.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".")


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


def run_ls(arguments: argparse.Namespace) -> None:
    """List runs. Raises RunError where there are none, and for keys that none of them has."""
    from digitcmp.runs.listing import as_json, columns, list_runs, print_runs

    runs = list_runs(arguments.folder, arguments.where, arguments.status, arguments.sort, arguments.reverse)
    if arguments.json:
        print(as_json(runs))
    else:
        print_runs(runs, arguments.folder, columns(runs, arguments.where, arguments.sort, arguments.columns))


def run_show(arguments: argparse.Namespace) -> None:
    """Print a run. Raises RunError where there is none."""
    from digitcmp.runs.show import print_run
    from digitcmp.terminal import Terminal

    print_run(arguments.run, Terminal())


def run_diff(arguments: argparse.Namespace) -> None:
    """Print what differs between two runs. Raises RunError where there are none, and for an unknown metric."""
    from digitcmp.report.metrics import find_metric
    from digitcmp.runs.difference import print_difference
    from digitcmp.terminal import Terminal

    print_difference(arguments.first, arguments.second, find_metric(arguments.metric), Terminal())


def run_tail(arguments: argparse.Namespace) -> None:
    """Print the end of a log. Raises RunError where there is none."""
    from digitcmp.runs.show import tail
    from digitcmp.terminal import Terminal

    if arguments.lines < 0:
        raise RunError(f"--lines={arguments.lines}: must be a whole number, at least 0")
    tail(arguments.run, arguments.lines, arguments.follow, Terminal())


def run_rerun(arguments: argparse.Namespace) -> None:
    """Train a run again; exit code 1 where a seed came out otherwise. Raises what training raises."""
    from digitcmp.runs.rerun import beside, rerun
    from digitcmp.terminal import Terminal

    target = arguments.out or beside(arguments.run)
    if any(again.difference for again in rerun(arguments.run, target, arguments.root, Terminal())):
        sys.exit(1)


def run_rm(arguments: argparse.Namespace) -> None:
    """Remove runs. Raises RunError for what is none, or is in use."""
    from digitcmp.runs.removal import asked, remove, runs_to_remove
    from digitcmp.terminal import Terminal

    remove(runs_to_remove(arguments.folders), (lambda _: True) if arguments.yes else asked, Terminal())


def run_gc(arguments: argparse.Namespace) -> None:
    """Remove what is left of some commands. Raises RunError where there is no such folder."""
    from digitcmp.runs.removal import KINDS, asked, leftovers, remove
    from digitcmp.terminal import Terminal

    found = list(leftovers(arguments.folder, (arguments.only,) if arguments.only else KINDS))
    remove(found, (lambda _: True) if arguments.yes else asked, Terminal())


def run_note(arguments: argparse.Namespace) -> None:
    """Add a note. Raises RunError where there is no run."""
    from digitcmp.runs.notes import write_note

    print(write_note(arguments.run, arguments.text))


def run_export(arguments: argparse.Namespace) -> None:
    """Show runs to another program. Raises RunError and ConfigError."""
    from digitcmp.runs.export import export
    from digitcmp.terminal import Terminal

    if arguments.to == "parquet" and arguments.option:
        raise RunError(f"--option {arguments.option[0]}: parquet takes no option")
    if arguments.to != "parquet" and arguments.out is not None:
        raise RunError(f"--out {arguments.out}: this is for --to parquet; {arguments.to} is told where by --option, or by itself")
    for text in arguments.option:
        if not all(text.partition("=")[::2]):
            raise RunError(f"--option {text}: this is not KEY=VALUE, as in uri=http://localhost:5000")
    export(arguments.folder, arguments.to, dict(text.split("=", 1) for text in arguments.option), arguments.out, Terminal())


COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "status": run_status, "ls": run_ls, "show": run_show, "diff": run_diff, "tail": run_tail, "rerun": run_rerun, "rm": run_rm,
    "gc": run_gc, "note": run_note, "export": run_export,
}  # fmt: skip


@exit_codes("no run was touched")
def main() -> None:
    """Carry out a command. Exit codes: see `exit_codes`."""
    arguments = parser().parse_args()
    COMMANDS[arguments.command](arguments)
