"""Removing runs, and what is left of some: never what a process is at work on, and never without an answer."""

import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from digitcmp.counting import counted
from digitcmp.errors import RunError
from digitcmp.experiment import planned
from digitcmp.experiment.about import is_damaged, read_about
from digitcmp.experiment.beats import age
from digitcmp.experiment.claims import at_work
from digitcmp.experiment.folders import SKIPPED, near
from digitcmp.experiment.log_reader import log_paths, read_from
from digitcmp.experiment.published import is_published
from digitcmp.experiment.records import holds_whole
from digitcmp.files import locked
from digitcmp.inert import line
from digitcmp.terminal import say

KINDS = ("empty", "damaged", "pruned")
SIGNS = (".hydra", ".claims", "multirun.yaml", planned.FILE)  # by which a folder is known as one of ours
WHOLE = ("run.json", "multirun.yaml", planned.FILE)  # one of these is in the folder of each run, sweep and search
LAST = (".hydra", ".claims", "records", *WHOLE)  # what tells what a folder is, in the order in which it goes
OURS = {*SIGNS, ".lock", "digitcmp.log", "records", "summary"}
BY_TIME = re.compile(r"/\d{4}-\d\d-\d\d(/\d\d-\d\d-\d\d)?$")  # the folders that Hydra makes for commands
YOUNG = 3600.0  # seconds; what is younger may be a run that is being begun


@dataclass(frozen=True)
class Removable:
    """A folder that may go, and why. size: bytes."""

    folder: Path
    why: str
    size: int


def check_free(folder: Path) -> None:
    """Raise RunError for a run that a process is at work on, or that is published."""
    if at_work(folder):
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
    """Those of the folders given: runs, or sweeps with all their runs; what lies in another one of them goes with that.

    Raises RunError for what is neither, however many runs it holds, and for what is in use.
    """
    found = []
    for folder in folders:
        check_ours(folder)
        runs = [path for path in folder.rglob("run.json") if path.is_file()]
        for run in {folder, *(path.parent for path in runs)}:
            check_free(run)
        found.append(Removable(folder, "a run" if (folder / "run.json").is_file() else counted(len(runs), "run"), size_of(folder)))
    places = {one.folder.resolve(): one for one in reversed(found)}
    return [one for place, one in reversed(places.items()) if not any(parent in places for parent in place.parents)]


def check_ours(folder: Path) -> None:
    """Raise RunError for what is no run and no sweep or search, by what commands leave in the folder of one; and for what holds more."""
    if folder.is_symlink():
        raise RunError(f"{folder} is a link; remove what it leads to, or the link itself")
    if not folder.is_dir():
        raise RunError(f"{folder}: there is no such folder{near(folder)}")
    removed = all(path.name == ".lock" for path in folder.iterdir())  # but for the folder itself
    if not (removed or log_paths(folder) or any((folder / name).is_file() for name in WHOLE)):
        raise RunError(f"{folder} is no run and no sweep (it has none of {', '.join(WHOLE)}); name the runs or the sweeps in it")
    if Path.cwd().is_relative_to(folder.resolve()) or (folder / ".git").exists():
        raise RunError(f"{folder} holds more than runs (the working folder, or a repository); name the runs or the sweeps in it")


def leftovers(top: Path, kinds: Sequence[str]) -> Iterator[Removable]:
    """What is left at or below a folder: of commands that left nothing, of runs that cannot be read any more, of pruned trials.

    Nothing that is hidden, and nothing in a run. Raises RunError where there is no such folder.
    """
    if not top.is_dir():
        raise RunError(f"{top}: there is no such folder{near(top)}")
    if any((parent / "run.json").is_file() for parent in top.absolute().parents):
        raise RunError(f"{top} lies in a run; name the folder of the run, or one that holds runs")
    for name, folders, files in os.walk(top):
        folder = Path(name)
        inner = "run.json" in files or "records" in folders
        folders[:] = [] if inner else sorted(one for one in folders if not one.startswith(".") and one not in SKIPPED)
        if (kind := kind_of(folder)) in kinds and (folder != top or kind != "empty"):
            yield Removable(folder, kind, size_of(folder))


def kind_of(folder: Path) -> str:
    """Why a folder may go; empty text for one that is to stay, as what is young, or cannot be read."""
    names = {path.name for path in folder.iterdir()}
    if "run.json" in names and is_readable(folder):
        return "pruned" if read_about(folder)["status"] == "pruned" else ""
    if age_of(folder) <= YOUNG:
        return ""
    if "run.json" in names:
        ours = names == {"run.json"} or names & OURS
        return "damaged" if ours and is_damaged(folder) and not holds_rounds(folder) else ""
    if "records" in names:
        return "damaged" if log_paths(folder) and not holds_rounds(folder) else ""  # half deleted
    if not names:
        return "empty" if BY_TIME.search(folder.absolute().as_posix()) else ""
    return "empty" if names <= OURS and names & {*SIGNS} else ""


def holds_rounds(folder: Path) -> bool:
    """Whether there is a round on record in a folder, of any version and configuration; also where nobody can tell."""
    try:
        return any(holds_whole(read_from(path, 0)) for path in log_paths(folder))
    except RunError:
        return True


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
    if not ask(f"remove {counted(len(found), 'folder')}, {sum(one.size for one in found) / 2**20:.1f} MiB?"):
        console.print("nothing was removed")
        return
    gone = 0
    try:
        for one in found:
            for folder in {one.folder, *(path.parent for path in one.folder.rglob("run.json"))}:
                check_free(folder)
            with locked(one.folder / ".lock"):
                remove_folder(one.folder)
            gone += 1
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"{gone} of {len(found)} folders were removed, the next perhaps in part") from None
    console.print(f"removed {len(found)}")


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that is in it, what tells what it is last: where that is cut off, the same command goes on."""
    for path in sorted(folder.iterdir(), key=lambda path: LAST.index(path.name) if path.name in LAST else -1):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    folder.rmdir()


def asked(text: str) -> bool:
    """Ask at the terminal; no is the answer of nobody. Raises RunError where there is no terminal."""
    if not sys.stdin.isatty():
        raise RunError(f"{line(text)} Nobody can be asked here; add --yes")
    try:
        return input(f"{line(text)} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:  # Ctrl-D
        return False
