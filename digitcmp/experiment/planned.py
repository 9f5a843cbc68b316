"""planned.json in the folder of a sweep or a search: what its jobs are to train, known before their runs are begun."""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digitcmp.errors import DAMAGED, RunError
from digitcmp.files import locked, read_text, write_whole

if TYPE_CHECKING:
    from digitcmp.experiment.run import Run

FILE = "planned.json"
MOST = 1_000_000  # rounds of a run that anybody can have planned
MOST_COUNTED = 10**12  # rounds of a search, or epochs of a round


@dataclass
class Planned:
    """runs: the seeds and the epochs of each, by its folder. rounds, epochs: of a search, how many rounds its trials have in all, and
    how long each is; 0 where all trials are through, None for a sweep."""

    runs: dict[Path, tuple[list[int], int]] = field(default_factory=dict)
    rounds: int | None = None
    epochs: int = 0


def plan_of(runs: "Iterable[Run]") -> Planned:
    """What is planned for these runs of a sweep."""
    return Planned({run.directory: (run.seeds, run.config.epochs) for run in runs})


def write(folder: Path, plan: Planned) -> None:
    """Put on record what a sweep or a search is to train, with what an earlier command has planned in this folder.

    A folder that cannot be written is met by the runs themselves.
    """
    plan = replace(plan, runs=dict(plan.runs))
    with suppress(RunError, OSError):
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / ".lock"):
            before = read(folder)
            for directory, (seeds, length) in before.runs.items():
                own, now = plan.runs.get(directory, ([], length))
                plan.runs[directory] = sorted({*seeds, *own}), now
            if plan.rounds is None:  # runs that are trained in the folder of a search
                plan.rounds, plan.epochs = before.rounds, before.epochs
            if plan != before:
                write_whole(folder / FILE, json.dumps(describe(plan, folder)) + "\n")


def describe(plan: Planned, folder: Path) -> dict[str, Any]:
    """The plan as plain values: folders as seen from that of the sweep, seeds as spans."""
    runs = {
        os.path.relpath(directory, folder): {"seeds": spans(seeds), "epochs": epochs} for directory, (seeds, epochs) in plan.runs.items()
    }
    return {"rounds": plan.rounds, "epochs": plan.epochs, "runs": runs}


def spans(seeds: list[int]) -> list[list[int]]:
    """Seeds, in their order, as first and last of each stretch."""
    found: list[list[int]] = []
    for seed in seeds:
        if found and seed == found[-1][1] + 1:
            found[-1][1] = seed
        else:
            found.append([seed, seed])
    return found


def read(folder: Path) -> Planned:
    """What was planned in this folder; nothing where nobody knows, as where the file is damaged."""
    with suppress(OSError, *DAMAGED):
        told = json.loads(read_text(folder / FILE))
        runs = {}
        for name, one in told["runs"].items():
            if any(last < first for first, last in one["seeds"]) or sum(last - first for first, last in one["seeds"]) > MOST:
                raise ValueError(name)
            seeds = [seed for first, last in one["seeds"] for seed in range(first, last + 1)]
            runs[folder / name] = seeds, counted_of(one["epochs"])
        return Planned(runs, None if told["rounds"] is None else counted_of(told["rounds"]), counted_of(told["epochs"]))
    return Planned()


def counted_of(value: object) -> int:
    """A number of rounds or epochs. Raises ValueError for what is none."""
    if not isinstance(value, int) or not 0 <= value <= MOST_COUNTED:
        raise ValueError(value)
    return value
