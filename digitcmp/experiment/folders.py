"""Where runs are."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

from digitcmp.counting import counted
from digitcmp.errors import DAMAGED, RunError, shortened
from digitcmp.experiment.records import FOLDER
from digitcmp.files import read_text

SKIPPED = {"summary", ".hydra"}  # folders that hold no runs
OF_A_RUN = {"records", ".claims"}  # nor do these, in that of a run
PREVIEW = "preview.json"  # in the folder of one, which is of a run or of a sweep (digitcmp.experiment.preview)
CONFIRMED = "confirm"  # the folder of the runs of a search's confirmation
PRESENT = "confirm.json"  # there: which runs are of the present one; those of earlier ones stay


def find_runs(folder: Path) -> list[Path]:
    """Every folder at or below `folder` that holds a run.json, behind symbolic links too, in natural order, but for those of earlier
    confirmations of a search. Raises RunError when there is none."""
    return runs_and_others(folder)[0]


def runs_and_others(folder: Path) -> tuple[list[Path], list[Path]]:
    """The runs, as `find_runs` finds them, and folders with the tables of a run, of which no run.json says what they are."""
    try:
        if not folder.is_dir():
            raise RunError(f"{folder}: there is no such folder{near(folder)}")
    except OSError as error:  # a name that is too long, or a folder that nobody may look into
        raise RunError(f"{shortened(folder)}: {error.strerror}; give the folder of a run, or one that holds runs") from error
    found, others = list[Path](), list[Path]()
    for place, files in walk(folder):
        if "run.json" in files:
            found += [] if is_superseded(place, folder) else [place]
        elif {"rounds.csv", "distances.csv"} <= {*files}:  # the first alone may be somebody's own table
            others.append(place)
    if not found:
        raise RunError(f"{folder} holds no run (there is no run.json in it or below it)")
    return sorted(found, key=lambda path: natural(str(path))), others


def run_folders(folder: Path) -> list[Path]:
    """The folders of all runs at or below this one, in natural order: those of a sweep, as hydra.sweep.subdir has them. None where there is
    no such folder."""
    return sorted((place for place, files in walk(folder) if "run.json" in files), key=lambda path: natural(str(path)))


def walk(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Every folder at or below this one that may hold runs or what is planned, with the names of its files; behind symbolic links, too, but
    for those that lead up. Each once, whatever links lead to it: by the name with the fewest of them, the first in natural order."""
    seen, coming = set[Path](), [folder]
    above = {folder.resolve(), *folder.resolve().parents}
    while coming:
        links = list[Path]()
        for start in coming:
            target = start.resolve()
            for top, folders, files in os.walk(start):
                place = Path(top)
                real = target / place.relative_to(start)
                skipped = {*SKIPPED, *OF_A_RUN} if "run.json" in files else SKIPPED
                folders[:] = [] if real in seen else [name for name in folders if name not in skipped]
                if real not in seen:
                    seen.add(real)
                    links += [link for name in folders if leads_on(link := place / name, real, above)]
                    yield place, files
        coming = sorted(links, key=lambda path: natural(str(path)))


def leads_on(path: Path, inside: Path, above: set[Path]) -> bool:
    """Whether a folder is a link that leads to anything new. inside: the real path of the folder that it is in; above: other folders that
    hold, or are, what is looked through."""
    return path.is_symlink() and (target := path.resolve()) not in above and target != inside and target not in inside.parents


def near(folder: Path, networks: bool = False) -> str:
    """What may have been meant by a folder that holds no run: the runs below it, or, where it is not there, one beside it whose name is
    nearly the same; else nothing. networks: whether one is looked for that has kept its networks."""
    if folder.is_dir() and (below := sorted((str(path.parent) for path in folder.glob("*/run.json")), key=natural)):
        keeping = [run for run in below if networks and any(Path(run, FOLDER, "networks").glob("*.safetensors"))]
        what = f"; it is a folder of {counted(len(below), 'run')}"
        if networks and not keeping:
            return f"{what}, and none has kept its networks: save_model=true keeps those of finished rounds, in a new folder"
        return f"{what}: name one of them, {[*keeping, *below][0]} for example"
    if folder.exists() or not folder.parent.is_dir():
        return ""
    with suppress(OSError):
        beside = [path.name for path in folder.parent.iterdir() if path.is_dir()]
        begun = sorted((name for name in beside if folder.name and name.startswith(folder.name)), key=natural)
        for name in [*begun, *get_close_matches(folder.name, beside, n=1)]:
            return f"; did you mean {folder.parent / name}?"
    return ""


def is_superseded(run: Path, asked: Path) -> bool:
    """Whether a run is of an earlier confirmation of its search, that of another best or start: it says nothing about the present one.
    asked: the folder that was asked about; a run that was asked about itself is what is wanted."""
    place = run.absolute().parent
    if place.name != CONFIRMED or run == asked:
        return False
    try:
        return run.absolute().name not in json.loads(read_text(place / PRESENT))["runs"]
    except (OSError, *DAMAGED):  # nobody knows, as in a search of an earlier version
        return False


def is_preview(run: Path) -> bool:
    """Whether a run is a preview, or one of its runs, which are no results."""
    return any((folder / PREVIEW).is_file() for folder in (run.absolute(), *run.absolute().parents))


def natural(text: str) -> list[tuple[int, float | str]]:
    """Sort key in which run10 comes after run9, and weight=0.1 after weight=0.03."""
    parts = re.split(r"(\d+(?:\.\d+)?)", text)  # texts and numbers in turn
    return [(0, float(part)) if index % 2 else (1, part) for index, part in enumerate(parts) if part]
