"""Where the jobs of a sweep may go: below its folder, and not where the sweep, its report, or a search has something of its own; and
where no run of others may go."""

import os
import re
from contextlib import suppress
from pathlib import Path, PurePath

from digitcmp.errors import DAMAGED, ConfigError, RunError
from digitcmp.experiment.folders import SKIPPED
from digitcmp.files import read_text
from digitcmp.search.config import TARGET

FOLDERS = ("summary", "finalists", "confirm", "slurm", "records")  # at the top of a sweep's or of a search's folder
FILES = (
    *("multirun.yaml", "planned.json", "preview.json", "auto.json", "run.json", "best.yaml"),
    *("notes.txt", "digitcmp.log", ".lock", ".claims", ".submitit", "optimization_results.yaml"),
)
SWEEPER = re.compile(r"^  sweeper:\n(?: {4}.*\n)*? {4}_target_: (\S+)$", re.MULTILINE)
SEARCHED = re.compile(r"trial_\d+|study\..*")  # of a search


def check_subdir(folder: Path, below: str, searching: bool) -> None:
    """Raise RunError for a job's folder outside the sweep's, and for one with a name that the sweep needs for itself.

    folder: the sweep's, absolute; below: hydra.sweep.subdir; searching: whether it is a search's own.
    """
    inside = os.path.relpath(os.path.normpath(folder / below), os.path.normpath(folder))
    parts = PurePath(inside).parts
    if ".." in parts:
        raise RunError(f"hydra.sweep.subdir={below}: this leads out of the sweep's folder, whose report would be without it")
    if searching or not parts:
        return
    own = parts[0] in (*FOLDERS, *FILES) or SEARCHED.fullmatch(parts[0]) is not None
    if own or SKIPPED & {*parts}:
        name = parts[0] if own else next(part for part in parts if part in SKIPPED)
        raise RunError(
            f"hydra.sweep.subdir={below}: {name} is for the sweep itself, as are {', '.join(FOLDERS)} and trial_0; choose another name"
        )


def check_outside(given: str, folder: Path) -> None:
    """Raise ConfigError for a folder of something new within that of a search, which would no longer be reported as the search that it is.

    given: the key that says the folder.
    """
    for parent in folder.resolve().parents:
        if sweeper_of(parent) == TARGET:
            what = f"this is within {os.path.relpath(parent)}, the folder of a search, whose report is about its trials alone"
            raise ConfigError(f"{given}={folder}: {what}; choose a folder outside it")


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
