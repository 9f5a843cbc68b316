"""What lies at or below a folder: runs, and what is planned there; each once, whatever links lead to it."""

import os
from pathlib import Path

from digitcmp.errors import RunError
from digitcmp.experiment import planned
from digitcmp.experiment.folders import is_superseded, near, walk


def look(folder: Path) -> tuple[list[Path], dict[Path, planned.Planned]]:
    """The folders of runs at or below this one, and the plans, by the folders of their sweeps, but for earlier confirmations of a search.
    Raises RunError where there is no folder."""
    if not folder.is_dir():
        raise RunError(f"{folder}: there is no such folder{near(folder)}")
    found, sweeps = list[Path](), list[Path]()
    for place, files in walk(folder):
        found += [place] if "run.json" in files and not is_superseded(place, folder) else []
        sweeps += [place] if planned.FILE in files else []
    plans = {sweep: planned.read(sweep) for sweep in sweeps}
    for plan in plans.values():
        plan.runs = {run: one for run, one in plan.runs.items() if not is_superseded(run, folder)}
    return found, plans


def is_below(directory: Path, folder: Path) -> bool:
    """Whether a folder that need not be there yet is this one, or in it, by their names."""
    return Path(os.path.normpath(directory.absolute())).is_relative_to(os.path.normpath(folder.absolute()))


def seen_from(directory: Path, folder: Path) -> str:
    """The folder of a run as seen from the one that was asked about, in which runs of different sweeps may have one name."""
    return str(directory.relative_to(folder)) if directory != folder else directory.resolve().name
