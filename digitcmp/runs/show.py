"""One run in words: what it is, what made it, what it came to, what it left; and the end of its log."""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import fmean, stdev

from rich.console import Console

from digitcmp.config.identity import beyond, defaults, flat
from digitcmp.config.schema import Config
from digitcmp.counting import counted, in_bytes
from digitcmp.errors import RunError
from digitcmp.experiment.about import read_about
from digitcmp.experiment.published import is_published
from digitcmp.files import is_special
from digitcmp.inert import visible
from digitcmp.runs.facts import MEASURED, made_by
from digitcmp.runs.listing import shown
from digitcmp.runs.notes import read_notes
from digitcmp.runs.status import RunStatus, read_run
from digitcmp.runs.status_view import at_work
from digitcmp.terminal import say, say_parts

PLACE = ["hosts", "device", "engine", "workers", "torch", "digitcmp", "python", "git_commit", "git_dirty", "changes", "plugins"]
PLACE += ["started", "finished"]
INTERVAL = 1.0  # seconds from one look at a log to the next
LARGEST = 1_000_000  # bytes from the end of a log that are looked at


def read_one(directory: Path) -> RunStatus:
    """A run by its folder. Raises RunError where there is none, or its run.json is damaged, or the rounds of a published one are gone."""
    read_about(directory)
    run = read_run(directory, None)
    if run.state == "damaged":
        raise RunError(run.note)
    return run


def print_run(directory: Path, console: Console) -> None:
    """Print a run. Raises RunError where there is none."""
    run = read_one(directory)
    about, values = run.about, flat(run.about["configuration"])
    changed = flat(beyond(defaults(Config, about["configuration"]), about["configuration"]))  # of a layer, too
    for label, text in lines_about(run):
        (say if label in ("run", "command") else say_parts)(console, text, f"{label:<14}")
    headed(console, "results", (f"{name:<16}{text}" for name, text in results(run)))
    headed(console, "configuration", (f"{key}={shown(value)}" for key, value in changed.items()))
    usual = [f"{key}={shown(value)}" for key, value in values.items() if key not in changed]
    headed(console, "and as usual", in_lines(usual, console.width - 4))
    told = {**about, **made_by(about)}
    headed(console, "made by", (f"{name:<16}{shown(told[name])}" for name in PLACE if told.get(name) is not None))
    for name, value in {**(about.get("hardware") or {}), **(about.get("platform") or {})}.items():
        say_parts(console, f"{name:<16}{shown(value)}", "  ")
    headed(console, "files", (f"{in_bytes(size):>8}  {name}" for name, size in files(directory)))


def headed(console: Console, title: str, texts: Iterator[str]) -> None:
    """Lines of text under a heading."""
    console.print(title, style="bold")
    for text in texts:
        say_parts(console, text, "  ")


def in_lines(items: Iterable[str], most: int) -> Iterator[str]:
    """These with commas between them, in lines of at most so many columns, which none of them is broken by."""
    text = ""
    for item in items:
        if text and len(f"{text}, {item},") > most:
            yield f"{text},"
            text = ""
        text += f", {item}" if text else item
    if text:
        yield text


def lines_about(run: RunStatus) -> Iterator[tuple[str, str]]:
    """What comes first."""
    counts = ", ".join(f"{number} {kind}" for kind, number in run.counts.items() if number)
    yield "run", str(run.folder)
    yield "status", f"{run.state}: {counts or 'no rounds'}" + (f" ({at_work(run)})" if run.running or run.dead else "")
    yield "command", str(run.about.get("command") or "unknown")
    yield "hash", f"{run.about['configuration_hash']}, {run.about['parameters']:,} parameters"
    if tags := run.about.get("tags"):
        yield "tags", " ".join(tags)
    for note in read_notes(run.folder):
        yield "note", note
    if run.note:
        yield "damaged", run.note


def results(run: RunStatus) -> Iterator[tuple[str, str]]:
    """Mean and standard deviation of each figure over the rounds that are done."""
    for name in MEASURED:
        values = [value for row in run.rows if row.status == "done" and (value := getattr(row, name)) is not None]
        if values:
            scale, digits, unit = (100, 2, " %") if name.endswith("accuracy") else (1, 4, "")
            deviation = f" ± {scale * stdev(values):.{digits}f}" if len(values) > 1 else ""
            yield name, f"{scale * fmean(values):.{digits}f}{deviation}{unit}"
    for row in run.rows:
        if row.status == "failed":
            yield f"seed {row.seed}", f"failed: {row.error}"


def files(directory: Path) -> Iterator[tuple[str, int]]:
    """The files of a run with their bytes, but for its locks; what lies in its folders together."""
    for path in sorted(one for one in directory.iterdir() if not one.name.endswith(".lock")):
        if path.is_dir() and not path.is_symlink():
            inner = [one.lstat().st_size for one in path.rglob("*") if one.is_file()]
            yield f"{path.name}/ ({counted(len(inner), 'file')})", sum(inner)
        else:
            yield path.name, path.lstat().st_size


def tail(directory: Path, lines: int, follow: bool, console: Console) -> None:
    """Print the end of a run's log; with follow, what comes, until no process is at work on the run. Raises RunError."""
    run, path = read_one(directory), directory / "digitcmp.log"
    if not path.is_file() or is_special(path):
        why = "a published run has none" if is_published(run.about) else "a round writes its line when it has ended"
        raise RunError(f"{path}: there is no such file; {why}")
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - LARGEST))
        for text in (file.read().splitlines()[-lines:]) if lines else []:
            console.print(visible(text.decode(errors="replace")), soft_wrap=True)
        file.seek(0, 2)
        while follow and run.beats:
            time.sleep(INTERVAL)
            run = read_one(directory)  # first: what it wrote before it ended is then read below
            for text in file.read().splitlines():
                console.print(visible(text.decode(errors="replace")), soft_wrap=True)
