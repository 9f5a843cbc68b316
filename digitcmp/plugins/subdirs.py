"""Where the jobs of a sweep may go: below its folder, and not where the sweep, its report, or a search has something of its own; and
where no run of others may go."""

import os
import re
from contextlib import suppress
from pathlib import Path, PurePath

from digitcmp.counting import counted
from digitcmp.errors import DAMAGED, ConfigError, RunError
from digitcmp.experiment.folders import SKIPPED, run_folders
from digitcmp.files import read_text
from digitcmp.plugins.composing import SUBDIR
from digitcmp.search.config import TARGET

FOLDERS = ("summary", "finalists", "confirm", "slurm", "records")  # at the top of a sweep's or of a search's folder
FILES = (
    *("multirun.yaml", "planned.json", "preview.json", "auto.json", "run.json", "best.yaml"),
    *("notes.txt", "digitcmp.log", ".lock", ".claims", ".submitit", "optimization_results.yaml"),
)
SWEEPER = re.compile(r"^  sweeper:\n(?: {4}.*\n)*? {4}_target_: (\S+)$", re.MULTILINE)
SEARCHED = re.compile(r"trial_\d+|study\..*")  # of a search


def check_subdir(folder: Path, below: str, searching: bool) -> None:
    """Raise RunError for a job's folder outside the sweep's, for one with a name that the sweep needs for itself, and for one that leads,
    perhaps by a link, into the folder of a search or is that of another sweep.

    folder: the sweep's, absolute; below: hydra.sweep.subdir; searching: whether it is a search's own.
    """
    inside = os.path.relpath(os.path.normpath(folder / below), os.path.normpath(folder))
    parts = PurePath(inside).parts
    if ".." in parts:
        raise RunError(f"{SUBDIR}={below}: this leads out of the sweep's folder, whose report would be without it")
    if searching or not parts:
        return
    check_into(folder, below, below)
    check_other(folder, below)
    own = parts[0] in (*FOLDERS, *FILES) or SEARCHED.fullmatch(parts[0]) is not None
    if own or SKIPPED & {*parts}:
        name = parts[0] if own else next(part for part in parts if part in SKIPPED)
        raise RunError(f"{SUBDIR}={below}: {name} is for the sweep itself, as are {', '.join(FOLDERS)} and trial_0; choose another name")


def check_into(folder: Path, below: str, typed: str) -> None:
    """Raise RunError where a folder below a sweep's, wherever links lead, is that of a search, or in it.

    folder: the sweep's, absolute, which is judged by itself, with what it is in; typed: the hydra.sweep.subdir that leads to `below`.
    """
    if (searched := search_around(Path(os.path.normpath(folder / below)), folder)) is not None:
        raise RunError(f"{SUBDIR}={typed}: this leads into {told(searched)}")


def check_other(folder: Path, below: str) -> None:
    """Raise RunError where a job's folder is that of another sweep. folder, below: as in `check_subdir`."""
    place = Path(os.path.normpath(folder / below))
    if not (place / "multirun.yaml").exists() or (place / "run.json").exists() or place.resolve() == folder.resolve():
        return
    if runs := run_folders(place):
        what = f"{os.path.relpath(place)} is the folder of another sweep, with {counted(len(runs), 'run')} below it"
        raise RunError(f"{SUBDIR}={below}: {what}; choose another folder, which that sweep's report is without")


def literal(below: str) -> str:
    """The folders that a subdir begins with whatever the job, as far as no reference is in them."""
    fixed, reference, _ = below.partition("${")
    return fixed.rpartition("/")[0] if reference else fixed


def check_outside(given: str, folder: Path) -> None:
    """Raise ConfigError for a folder of something new within that of a search, which would no longer be reported as the search that it is.

    given: the key that says the folder.
    """
    if (searched := search_around(folder.resolve().parent)) is not None:
        raise ConfigError(f"{given}={folder}: this is within {told(searched)}")


def told(searched: Path) -> str:
    """What the folder of a search is, and why nothing else may go into it."""
    return f"{os.path.relpath(searched)}, the folder of a search, whose report is about its trials alone; choose a folder outside it"


def search_around(place: Path, sweep: Path | None = None) -> Path | None:
    """The real folder of a search that a place is, or is in, wherever links lead; None where there is none. sweep: a folder that is not
    looked at, nor is what it is in."""
    own, real = sweep.resolve() if sweep else None, place.resolve()
    for folder in (real, *real.parents):
        if folder == own:
            break
        if sweeper_of(folder) == TARGET:
            return folder
    return None


def is_searched(folder: Path) -> bool:
    """Whether a search has this folder: as its file says or, where that is lost or damaged, as there are a study and its trials."""
    trials = (path for path in folder.glob("trial_*/run.json") if SEARCHED.fullmatch(path.parent.name))
    return (told := sweeper_of(folder)) == TARGET or (not told and (folder / "study.db").exists() and any(trials))


def sweeper_of(folder: Path) -> str:
    """The class of the sweeper that a folder's multirun.yaml names; empty where there is none, or it cannot be read."""
    with suppress(OSError, *DAMAGED):
        found = SWEEPER.search(read_text(folder / "multirun.yaml"))
        return found[1] if found else ""
    return ""
