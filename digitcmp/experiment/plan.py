"""What would be trained, and about how long it would take: dry_run=true; and what is on record already."""

from collections.abc import Iterable, Sequence
from importlib.metadata import version
from math import isnan
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from digitcmp.config.network import untrained_part
from digitcmp.config.schema import AUTO, Config, DataConfig
from digitcmp.config.taken import other_code
from digitcmp.counting import are, counted
from digitcmp.data.classes import left_out
from digitcmp.experiment.pace import Paces
from digitcmp.experiment.run import Run
from digitcmp.inert import line
from digitcmp.terminal import Name, tell, words


def in_all(seconds: float, workers: int, by_what: str, why: str = "") -> str:
    """How long it takes, in words. seconds: of work, NaN where nobody knows; by_what: rounds with its pace; why: how some failed."""
    if isnan(seconds):
        return f"for how long cannot be told: short rounds of it fail{why and f' ({why})'}"
    return f"about {words(seconds / workers)} with {workers} at a time, at the pace of {by_what}{why and f'; some fail ({why})'}"


def print_plan(runs: Sequence[Run], workers: int, console: Console) -> None:
    """The table of a dry run."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("run")
    for column in ("parameters", "finished", "failed", "to train"):
        table.add_column(column, justify="right")
    for run in runs:
        counts = (run.parameters, len(run.rows) - len(run.failed), len(run.failed), len(run.missing))
        table.add_row(Name(run.name), *(f"{count:,}" for count in counts))
    console.print(table)
    paces = Paces(runs, console)
    time = in_all(sum(len(run.missing) * paces.seconds(run) for run in runs if run.missing), workers, paces.by_what(), paces.why)
    missing = counted(sum(len(run.missing) for run in runs), "round")
    console.print(f"{missing} to train, {time}; nothing was trained (dry_run=true)", highlight=False)


def show_plan(runs: Sequence[Run], folder: Path, console: Console, workers: int | None = None) -> None:
    """What a dry run shows: the places where rounds would go, where that is not this machine; how the runs stand; how long it would take.

    folder: of the sweep, or of the run. workers: how many rounds would be trained at a time, where the places are known; None: as the
    configuration says, here or on the cluster that it names. Raises what `places` raises.
    """
    config = runs[0].config
    if workers is None:
        workers = at_a_time(config, sum(len(run.seeds) for run in runs), console)
    if config.rounds == AUTO:
        from digitcmp.auto.expected import print_expected

        print_expected(runs, folder, workers, console)
    else:
        print_plan(runs, workers, console)


def at_a_time(config: Config, rounds: int, console: Console) -> int:
    """How many of these rounds would be trained at a time; says where, if that is not this machine. Raises what `places` raises."""
    from digitcmp.experiment.executors.choose import choose, places  # imports torch

    if told := places(config):
        tell(console, told)
    return choose(config, rounds)[1]


def print_unused(runs: Sequence[Run], console: Console, told: set[str] | None = None) -> None:
    """Say which part of the networks nothing trains, and which files nothing reads: it is no fault, and should surprise nobody. told: see
    `print_left_out`."""
    found = [part for run in runs if (part := untrained_part(run.config))]
    if found:
        where = f" in {len(found)} of {counted(len(runs), 'run')}" if len(runs) > 1 else ""
        tell(console, f"aux_weight=0: nothing trains {found[0]}, nor does anything read it{where}")
    print_left_out(note_left_out(runs), console, set() if told is None else told)


def left_out_of(data: DataConfig) -> dict[str, list[str]]:
    """What of a folder of pictures takes no part, by its path; nothing of other data."""
    return {data.root: left_out(data.root)} if data.source == "folder" and data.root is not None else {}


def note_left_out(runs: Iterable[Run]) -> dict[str, list[str]]:
    """Have runs with pictures of one's own know what of their folder takes no part; that of each folder, by its path."""
    found = dict[str, list[str]]()
    for run in runs:
        if (root := run.config.data.root) not in found:
            found |= left_out_of(run.config.data)
        run.left_out = found.get(root, []) if root is not None and run.config.data.source == "folder" else []
    return found


def print_left_out(found: dict[str, list[str]], console: Console, told: set[str]) -> None:
    """Say what of folders of pictures takes no part, a line each. told: those of which it has been said, to which these come."""
    for root, texts in found.items():
        if texts and root not in told:
            tell(console, f"data.root={root}: {', '.join(texts)}")
        told.add(root)


def print_resumed(runs: Sequence[Run], console: Console) -> None:
    """Say what is on disk already, if anything is, and what of it is damaged."""
    for run in runs:
        for text in run.store.records.damaged:
            console.print(Text(line(f"{run.directory}: {text}"), "yellow"), soft_wrap=True)
    auto = any(run.config.rounds == AUTO for run in runs)  # nobody knows yet how many are to be trained
    rows = [row for run in runs for row in (run.store.rows.values() if auto else run.rows)]
    failed = sum(row.status == "failed" for row in rows)
    if rows:
        broken = f" and {failed} failed (retry_failed=true trains them again)" if failed else ""
        missing = "" if auto else f", {sum(len(run.missing) for run in runs)} to train"
        finished = f"{counted(len(rows) - failed, 'round')} {are(len(rows) - failed)} finished already"
        console.print(f"{finished}{broken}{missing}", highlight=False)
    if unsaved := sum(run.unsaved for run in runs):
        lost = f"save_model=true: {unsaved} of them were trained without it, or their networks have been removed"
        tell(console, f"{lost}; a new folder trains them again")
    abouts = [run.store.about for run in runs if run.rows and run.missing and run.store.about]
    for text in dict.fromkeys(found for about in abouts for found in (other_code(about), other_torch(about)) if found):
        tell(
            console, f"the rounds to come are trained with other code than those on record: {text}; a new folder trains all of them with it"
        )


def other_torch(about: dict[str, Any]) -> str:
    """That a run was begun with another version of torch, in words; empty where it was not. about: its run.json."""
    was, now = str(about.get("torch")), version("torch")  # without importing it, and so without what it was built for
    return "" if was.partition("+")[0] == now.partition("+")[0] else f"torch ({was} on record, {now} now)"
