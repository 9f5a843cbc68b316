"""Removing runs, and what is left of some: never what a process is at work on, and never without an answer."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from digitcmp.errors import RunError
from digitcmp.experiment import planned
from digitcmp.experiment.about import read_about
from digitcmp.experiment.folders import SKIPPED, find_runs
from digitcmp.experiment.heartbeat import age, is_dead, read_beats
from digitcmp.experiment.published import is_published
from digitcmp.experiment.records import log_paths
from digitcmp.experiment.store import in_use
from digitcmp.files import locked
from digitcmp.inert import line
from digitcmp.terminal import say

KINDS = ("empty", "damaged", "pruned")
SIGNS = (".hydra", ".claims", "multirun.yaml", planned.FILE)  # by which a folder is known as one of ours
OURS = {*SIGNS, ".lock", "digitcmp.log", "records", "summary"}
YOUNG = 3600.0  # seconds; what is younger may be a run that is being begun


@dataclass(frozen=True)
class Removable:
    """A folder that may go, and why. size: bytes."""

    folder: Path
    why: str
    size: int


def check_free(folder: Path) -> None:
    """Raise RunError for a run that a process is at work on, or that is published."""
    if in_use(folder) or any(not is_dead(path, beat) for path, beat in read_beats(folder).items()):
        raise RunError(f"{folder}: a process is training rounds of it; end it first, or wait")
    if (folder / "run.json").is_file() and is_readable(folder) and is_published(read_about(folder)):
        raise RunError(f"{folder} holds a published run, which is to stay as it is")


def is_readable(folder: Path) -> bool:
    """Whether there is a sound run.json in a folder."""
    try:
        read_about(folder)
    except RunError:
        return False
    return True


def size_of(folder: Path) -> int:
    """The bytes of all files in a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def runs_to_remove(folders: Sequence[Path]) -> list[Removable]:
    """Those of the folders given: runs, or sweeps with all their runs. Raises RunError for what holds no run, or one in use."""
    found = []
    for folder in folders:
        runs = find_runs(folder)
        for run in runs:
            check_free(run)
        if folder.is_symlink():
            raise RunError(f"{folder} is a link; remove what it leads to, or the link itself")
        found.append(Removable(folder, "a run" if runs == [folder] else f"{len(runs)} runs", size_of(folder)))
    return found


def leftovers(top: Path, kinds: Sequence[str]) -> Iterator[Removable]:
    """What is left at or below a folder: of commands that left nothing, of runs that cannot be read any more, of pruned trials.

    Raises RunError where there is no such folder.
    """
    if not top.is_dir():
        raise RunError(f"{top}: there is no such folder")
    for folder in sorted(path for path in [top, *top.rglob("*")] if path.is_dir() and not path.is_symlink()):
        if any(part in (*SKIPPED, "records", ".claims") for part in folder.relative_to(top).parts):
            continue
        if (kind := kind_of(folder)) in kinds and (folder != top or kind != "empty"):
            yield Removable(folder, kind, size_of(folder))


def kind_of(folder: Path) -> str:
    """Why a folder may go; empty text for one that is to stay."""
    if (folder / "run.json").is_file():
        if not is_readable(folder):
            return "damaged"
        return "pruned" if read_about(folder)["status"] == "pruned" else ""
    if log_paths(folder):
        return "damaged"  # half deleted
    names = {path.name for path in folder.iterdir()}
    whole = not names or (names <= OURS and names & {*SIGNS})
    return "empty" if whole and age_of(folder) > YOUNG else ""


def age_of(folder: Path) -> float:
    """Seconds since something was last made or written in a folder, by the clock of its file system; of an empty one, by this machine's."""
    return min((age(path) for path in folder.rglob("*") if path.is_file()), default=time.time() - folder.stat().st_mtime)


def remove(found: Sequence[Removable], ask: Callable[[str], bool], console: Console) -> None:
    """Remove folders, where the answer is yes; those that a process has begun to use meanwhile stay. Raises RunError for these."""
    if not found:
        console.print("nothing to be removed")
        return
    for one in found:
        say(console, str(one.folder), f"{one.why:<10} {one.size / 2**20:8.1f} MiB  ")
    if not ask(f"remove {len(found)} folder{'s' * (len(found) != 1)}, {sum(one.size for one in found) / 2**20:.1f} MiB?"):
        console.print("nothing was removed")
        return
    for one in found:
        for folder in {one.folder, *(path.parent for path in one.folder.rglob("run.json"))}:
            check_free(folder)
        with locked(one.folder / ".lock"):
            shutil.rmtree(one.folder)
    console.print(f"removed {len(found)}")


def asked(text: str) -> bool:
    """Ask at the terminal; no is the answer of nobody. Raises RunError where there is no terminal."""
    if not sys.stdin.isatty():
        raise RunError(f"{line(text)} Nobody can be asked here; add --yes")
    return input(f"{line(text)} [y/N] ").strip().lower() in ("y", "yes")
