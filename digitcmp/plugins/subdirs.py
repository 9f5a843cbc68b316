"""Where the jobs of a sweep may go: below its folder, and not where the sweep, its report, or a search has something of its own."""

import os
import re
from pathlib import Path, PurePath

from digitcmp.errors import RunError
from digitcmp.experiment.folders import SKIPPED

FOLDERS = ("summary", "finalists", "confirm", "slurm", "records")  # at the top of a sweep's or of a search's folder
FILES = (
    *("multirun.yaml", "planned.json", "preview.json", "auto.json", "run.json", "best.yaml"),
    *("notes.txt", "digitcmp.log", ".lock", ".claims", ".submitit", "optimization_results.yaml"),
)
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
