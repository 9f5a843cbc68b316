"""Where runs come from: which of them were begun together, by one command or by several of one sweep, and what was typed."""

import os
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from digitcmp import inert
from digitcmp.arguments import sources
from digitcmp.counting import are, part_of, some
from digitcmp.errors import DAMAGED, RunError
from digitcmp.experiment import planned
from digitcmp.experiment.published import is_published
from digitcmp.files import read_text
from digitcmp.passwords import without_passwords
from digitcmp.report.metrics import TEST_ACCURACY, Metric
from digitcmp.report.texts import TEXT

FILE = "multirun.yaml"  # where Hydra says what a sweep was told
COMMAND = ["python", "-m", "digitcmp"]
UNNAMED = re.compile(r"\d\d-\d\d-\d\d")  # as conf/config.yaml calls the folder of a sweep that nobody has named
LONGEST = 100  # characters of a name
UNTYPED = ("hydra.mode=MULTIRUN", "++hydra.sweep.dir=")  # what Hydra and the program add (digitcmp.plugins.sweeps)


@dataclass(frozen=True)
class Typed:
    """The last command of a sweep. folders: of YAML files, given on the command line, in full; overrides: as typed, those of Hydra's own
    keys first; sweeper: the settings of its sweeper. How folders were typed, and which code was let in, the commands of its jobs say."""

    folders: list[str]
    overrides: list[str]
    sweeper: dict[str, Any]

    def command(self, job: str = "") -> str:
        """As it was typed, but for the order. job: the command of one of its jobs."""
        try:
            given = sources(shlex.split(job))
        except ValueError:  # somebody else's
            given = []
        folders = [part for folder in self.folders for part in ("--config-dir", folder)]
        return shlex.join([*COMMAND, *(given or folders), "--multirun", *map(without_passwords, self.overrides)])


def sweep_of(directory: Path, about: dict[str, Any]) -> Path:
    """The folder of the sweep that a run was a job of, or of what it was published with; the run's own where it was begun alone."""
    if is_published(about):
        return next((parent.parent for parent in directory.parents if parent.name == "runs"), directory.parent)
    if not about.get("jobs"):
        return directory
    # at any depth, as hydra.sweep.subdir has it; hydra.sweep.subdir=. is the sweep's own folder
    return next((above for above in (directory, *directory.parents) if (above / FILE).is_file()), directory.parent)


def last_begun(about: dict[str, Any]) -> int:
    """When the last command that has had a run among its jobs was given (ms since 1970); 0 for one that was begun alone."""
    return max((began for began, _ in about.get("jobs") or []), default=0)


def in_order(runs: list[tuple[Path, dict[str, Any]]]) -> list[tuple[Path, dict[str, Any]]]:
    """The runs of a sweep in the order in which commands have asked for them. runs: those that were begun first come first.

    A command that names known runs as they were puts new ones in front of the known one that follows them; one that names them in
    another order is right; others stay where they are.
    """
    commands: dict[int, list[tuple[int, int]]] = {}
    for index, (_, about) in enumerate(runs):
        for began, number in about.get("jobs") or [[0, index]]:  # a run that was no job, or is older than these numbers
            commands.setdefault(began, []).append((number, index))
    order: list[int] = []
    for began in sorted(commands):
        asked = list(dict.fromkeys(index for _, index in sorted(commands[began])))
        if [index for index in asked if index in order] != [index for index in order if index in asked]:
            order = [*asked, *(index for index in order if index not in asked)]
            continue
        place, known = len(order), set(order)
        for index in reversed(asked):
            if index in known:
                place = order.index(index)
            else:
                order.insert(place, index)
    return [runs[index] for index in order]


def read_typed(folder: Path) -> Typed | None:
    """What the sweep in this folder was told; None where that cannot be read."""
    try:
        read = yaml.load(read_text(folder / FILE), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        told, sweeper = read["hydra"]["overrides"], read["hydra"]["sweeper"]
        overrides = [str(one) for one in [*told["hydra"], *told["task"]] if not str(one).startswith(UNTYPED)]
        places = (read["hydra"].get("runtime") or {}).get("config_sources") or []
        folders = [str(one["path"]) for one in places if one["provider"] == "command-line"]
        return Typed(folders, overrides, dict(sweeper))
    except (OSError, *DAMAGED, yaml.YAMLError):
        return None


def name_of(folder: Path) -> str:
    """What a report of this folder is called: as the folder is; where that is a time alone, what its sweep was told."""
    name = folder.resolve().name
    if not UNNAMED.fullmatch(name) or (typed := read_typed(folder)) is None:
        return name
    told = [without_passwords(one) for one in typed.overrides if not one.lstrip("+").startswith(("hydra.", "hydra/"))]
    return inert.shortened(" ".join(told), LONGEST) or name


def commands(runs: pd.DataFrame) -> list[tuple[str, str]]:
    """What was typed, with the folder that it made: a line a sweep, and one for every run that is none's, or that only an earlier command
    of its sweep has asked for (sweeps keep the last one). runs: as in `Sweep`."""
    found = []
    for folder, group in runs.groupby("sweep", sort=False):
        typed = read_typed(Path(str(folder)))
        latest = (group["begun"] == group["begun"].max()) & (group["begun"] > 0) if typed else pd.Series(False, index=group.index)
        if typed and latest.any():
            found.append((str(folder), typed.command(str(group.loc[latest, "command"].iloc[0]))))
        found += list(zip(map(str, group["directory"][~latest]), group["command"][~latest].astype(TEXT).fillna("unknown"), strict=True))
    return found


def are_unrelated(runs: Sequence[tuple[Path, dict[str, Any]]], tops: Sequence[Path]) -> bool:
    """Whether one of the folders holds runs of several configurations that were not begun together: nobody has asked for their
    comparison. Folders that are named side by side are meant to be compared. runs: their folders and their run.json."""
    for top in {top.resolve() for top in tops}:
        below = [(directory, about) for directory, about in runs if directory.resolve().is_relative_to(top)]
        if len({sweep_of(*run) for run in below}) > 1 and len({about["configuration_hash"] for _, about in below}) > 1:
            return True
    return False


def check_data(sweeps: "pd.Series[str]", data: pd.DataFrame) -> None:
    """Raise RunError where runs that were not begun together have other data. sweeps: of each run, the folder; data: of each run, what
    makes its training and test pairs.

    A sweep may vary its data: that is then what it is about.
    """
    if sweeps.nunique() < 2:
        return
    for key in data:
        values = data[key].astype(TEXT).fillna("none")
        if values.nunique() > 1:
            named = "; ".join(f"{value} in {sweeps[values == value].iloc[0]}" for value in values.unique()[:3])
            raise RunError(
                f"not compared, as {key} differs ({named}): accuracies on other data say nothing about each other; "
                "add --different-data to compare them all the same"
            )


def not_begun(sweeps: Iterable[Path], tops: Sequence[Path]) -> list[str]:
    """A line for each of these sweeps, at or below the folders that are reported on, of which planned runs are not there."""
    lines = []
    for sweep in dict.fromkeys(sweeps):
        plan = planned.read(sweep) if any(sweep.resolve().is_relative_to(top.resolve()) for top in tops) else planned.Planned()
        gone = [os.path.relpath(run, sweep) for run in plan.runs if not (run / "run.json").is_file()]
        if gone and plan.rounds is None:  # of a search, nobody knows which of its trials go on
            count = part_of(len(gone), len(plan.runs), "planned run")
            lines.append(f"{count} of {sweep} {are(len(gone))} not there (not begun, or removed): {some(gone)}")
    return lines


def summary_of(folders: Sequence[str | Path], metric: Metric) -> Path:
    """Where a report is written unasked: the summary of the first folder; what compares it with other folders, and what has another metric,
    in a folder of its own there, so that it does not take the place of a report on the first one alone."""
    _, *rest = dict.fromkeys(Path(folder).resolve() for folder in folders)  # one that is named twice is no other one
    others = [folder.name for folder in rest]
    told = [*others[:2], *([f"{len(others) - 2}-more"] if len(others) > 2 else [])]
    return Path(folders[0], "summary", *([f"with-{'-'.join(told)}"] if told else []), *([metric.column] if metric != TEST_ACCURACY else []))
