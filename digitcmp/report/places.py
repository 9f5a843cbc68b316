"""Where a report may be written: not among the files of runs, whose own would be taken for its, and its for theirs."""

from collections.abc import Sequence
from pathlib import Path

from digitcmp.errors import RunError
from digitcmp.experiment import planned
from digitcmp.report.origins import FILE

SUMMARY = "summary"  # where no runs are looked for: a report may be there in any folder
SWEEPS = (FILE, planned.FILE)  # one of them is in the folder of each sweep and search


def check_report_folder(option: str, target: Path, folders: Sequence[Path], summaries: bool = False) -> None:
    """Raise RunError for a target, given by this option, that is the folder of a run or of a sweep, lies in that of a run, or is one of the
    folders that are reported on. summaries: whether it is for a summary alone, which may lie in summary/ of a run, too; else it is for runs
    that are read from there, and lies neither in nor around those folders."""
    place = target.resolve()
    above = [place, *place.parents]
    if summaries:
        above = above[: next((index for index, one in enumerate(above) if one.name == SUMMARY), None)]
    if above and (place / "run.json").exists():
        raise RunError(f"{option} {target}: this is the folder of a run; choose another folder")
    if runs := [one for one in above if (one / "run.json").exists()]:
        raise RunError(f"{option} {target}: this lies in the folder of a run ({runs[0]}); choose another folder")
    for folder in map(Path.resolve, folders):
        if place == folder or (not summaries and (folder.is_relative_to(place) or folder in above)):
            raise RunError(f"{option} {target}: the runs themselves are there ({folder}); choose another folder")
    if any((place / name).exists() for name in SWEEPS):
        raise RunError(f"{option} {target}: this is the folder of a sweep; choose another folder")
