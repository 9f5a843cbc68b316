"""The status of a folder's runs: a table for a terminal, live or once, and JSON for other programs."""

import json
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console, Group, OverflowMethod, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from digitcmp.counting import counted
from digitcmp.inert import line, visible
from digitcmp.runs.found import seen_from
from digitcmp.runs.names import cut, short_names
from digitcmp.runs.status import KINDS, VALIDATED, ActiveRound, FolderStatus, RunStatus, State
from digitcmp.terminal import Name, takes_back, words

ORDER: list[State] = ["running", "dead", "damaged", "failed", "interrupted", "waiting", "pruned", "done"]  # what one looks for first
STYLES: dict[str, str] = {"running": "green", "dead": "red", "damaged": "red", "failed": "red", "interrupted": "yellow"}
MOST = 50  # runs in a terminal
INTERVAL = 2.0  # seconds from one look to the next
LEFT = 3  # rounds in flight that a row has room for


def as_json(status: FolderStatus) -> str:
    """All of it as one JSON object in one text; every character of it is ASCII."""
    best = status.best
    whole: dict[str, Any] = {
        "folder": str(status.folder),
        "rounds": status.counts,
        "rounds_per_minute": status.rounds_per_minute,
        "seconds_left": status.seconds_left,
        "epochs_left": status.epochs_left,
        "best": None if best is None else str(best.folder),
        "processes": [
            {"host": beat.node, "process": beat.process, "stopped": beat.is_stopped, "rounds": sorted(beat.rounds)}
            for beat in status.processes.values()
        ],
        "runs": [run_as_json(run) for run in status.runs],
    }
    return json.dumps(whole, indent=2)


def run_as_json(run: RunStatus) -> dict[str, Any]:
    """A run as plain values."""
    flights = {kind: [vars(one) for one in found] for kind, found in (("running", run.running), ("dead", run.dead))}
    about = {"folder": str(run.folder), "state": run.state, "epochs": run.epochs, "rounds": run.counts, "in_flight": flights}
    return {**about, "accuracy": run.accuracy, "measured": run.measured, "note": run.note}


def render(status: FolderStatus, most: int = MOST, now: str = "", width: int = 80) -> RenderableType:
    """What a terminal shows. now: when it was looked at, for a table that is live, with a line a run, of so many columns."""
    counts = status.counts
    total = sum(counts.values())
    told = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS[1:] if counts[kind] or kind == "failed")
    parts: list[RenderableType] = [labelled("rounds   ", f"{counts['done']} of {total} done, {told}{now}")]
    parts.append(labelled("folder   ", str(status.folder)))
    if time_left := left(status):
        parts.append(labelled("time     ", time_left))
    if best := status.best:
        measured = {"test": "test", "val": "validation"}[best.measured]
        of = f"mean of {best.done} rounds" if best.done > 1 else "one round"
        parts.append(labelled("best     ", f"{best.accuracy:.2%} {measured} accuracy, {of}: {seen_from(best.folder, status.folder)}"))
    elif status.unlike:
        parts.append(labelled("best     ", f"none is named, as the runs differ in {', '.join(status.unlike)}", ""))
    stopped = sorted(beat.process for beat in status.processes.values() if beat.is_stopped)
    parts += [labelled("stopped  ", f"process {number} (kill -CONT {number}: goes on)", "yellow") for number in stopped]
    slow = [(seen_from(run.folder, status.folder), one) for run in status.runs for one in run.running if one.slow]
    for name, one in slow[:LEFT]:
        parts.append(
            labelled("slow     ", f"{name} seed {one.seed}: no epoch after {one.epoch} since {one.slow} ({one.process})", "yellow")
        )
    if len(slow) > LEFT:
        parts.append(labelled("slow     ", f"and {counted(len(slow) - LEFT, 'more round')} (--json has all)", "yellow"))
    if any(run.dead or run.state == "dead" for run in status.runs):
        parts.append(labelled("dead     ", "their process is gone; the command that began them trains them again", "red"))
    parts += [Text(), table(status, most, width if now else None)]
    if len(status.runs) > most:
        parts.append(Text(f"and {counted(len(status.runs) - most, 'more run')} (--json has all)", "dim"))
    return Group(*parts)


def labelled(label: str, text: str, style: str = "bold") -> Text:
    """A line of text after a word of ours."""
    return Text.assemble((label, style), line(text))


def left(status: FolderStatus) -> str:
    """How fast rounds are trained, and how long the rest takes, in words."""
    processes = len(status.processes)
    if not processes:
        return "nobody trains anything here" if status.epochs_left else ""
    by = "one process" if processes == 1 else f"{processes} processes"
    seconds, pace = status.seconds_left, status.rounds_per_minute
    if seconds is None or pace is None:
        return f"{by}, no epoch through yet" if status.epochs_left else by
    return f"about {words(seconds)} left, {pace:.3g} rounds a minute by {by}"


COLUMNS = ("run", "state", "done", "now", "accuracy")
Row = tuple[str, str, str, str, str]  # their texts
GAP = 2  # columns of a terminal behind each of these


def table(status: FolderStatus, most: int, width: int | None) -> Table:
    """A row a run, those first that one looks for; the columns of states and figures give no way to names, and to what is wrong. width:
    that of the terminal where each row is one line, in which names stay apart; None: what is too long is folded."""
    shown, rows = Table(box=None, padding=(0, GAP, 0, 0)), rows_of(status, most)
    for column in COLUMNS:
        long, right = column in ("run", "now"), column in ("done", "accuracy")
        fold: OverflowMethod = "fold" if long and width is None else "ellipsis"
        shown.add_column(column, justify="right" if right else "left", no_wrap=not long, overflow=fold)
    for name, state, done, now, accuracy in rows if width is None else narrowed(rows, width):
        one_line = width is not None
        named = Text(name, no_wrap=True) if one_line else Name(name)
        shown.add_row(named, Text(state, STYLES.get(state, "")), done, Text(now, no_wrap=one_line), accuracy)
    return shown


def narrowed(rows: list[Row], width: int) -> list[Row]:
    """These rows for a terminal of so many columns: what is too long for it is short, and names differ where they did."""
    longest = [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
    room = width - GAP * len(COLUMNS) - longest[1] - longest[2] - longest[4]  # for names, and for what is at work
    names = short_names([row[0] for row in rows], max(8, room - longest[3], 2 * room // 3))
    rest = max(4, room - max(map(len, ("run", *names))))
    return [(name, state, done, cut(now, rest), accuracy) for name, (_, state, done, now, accuracy) in zip(names, rows, strict=True)]


def rows_of(status: FolderStatus, most: int) -> list[Row]:
    """The texts of the rows: COLUMNS."""
    rows = list[Row]()
    for run in sorted(status.runs, key=lambda run: ORDER.index(run.state))[:most]:
        mark, total = VALIDATED if run.measured == "val" else "", sum(run.counts.values())
        accuracy = "" if run.accuracy is None else f"{100 * run.accuracy:.2f} %{mark}"
        name, done = visible(seen_from(run.folder, status.folder)), f"{run.done}/{total}" if total else ""
        rows.append((name, run.state, done, line(at_work(run)), accuracy))
    return rows


def at_work(run: RunStatus) -> str:
    """Its rounds in flight with their epochs, or what is wrong with it."""
    texts = [shown_round(one, run.epochs) for one in run.running] or [f"{shown_round(one, run.epochs)} died" for one in run.dead]
    more = f" +{len(texts) - LEFT}" if len(texts) > LEFT else ""
    failed = f"{run.failed} failed" if run.failed else ""
    return ", ".join([*texts[:LEFT], failed] if failed else texts[:LEFT]) + more or run.note


def shown_round(one: ActiveRound, epochs: int) -> str:
    """A round in flight: its seed, and how far it is."""
    return f"{one.seed}: {one.epoch}/{epochs}"


def watch(look: Callable[[], FolderStatus], console: Console) -> None:
    """Show the status again and again until nothing is trained there any more; in place, where the terminal takes lines back."""
    if not takes_back(console):
        while True:
            console.print(render(status := look()))
            if not status.processes:
                return
            time.sleep(INTERVAL)
    with Live(console=console, auto_refresh=False, transient=False) as live:
        while True:
            room = max(3, console.height - 9)
            live.update(render(status := look(), room, f" ({time.strftime('%H:%M:%S')})", console.width), refresh=True)
            if not status.processes:
                return
            time.sleep(INTERVAL)
