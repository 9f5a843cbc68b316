"""How a search stands, while it runs and after it, from the folders of its trials: no test pair has been seen there."""

import json
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from digitcmp.counting import counted
from digitcmp.errors import DAMAGED
from digitcmp.files import read_text
from digitcmp.report.metrics import DECIMALS
from digitcmp.report.origins import Typed, read_typed, sweep_of
from digitcmp.report.runs import read_frames, was_tested
from digitcmp.terminal import Terminal, say

State = Literal["complete", "pruned", "failed", "running", "waiting"]
STATES: dict[str, State] = {"done": "complete", "pruned": "pruned", "failed": "failed", "running": "running"}
FINALISTS = "finalists"  # the folder of the runs of a final
FINAL = "final.json"  # there: which trials are in the present final, and on which seeds they meet; those of earlier ones stay
SUMMARY = Path("summary", "search.md")  # what a search writes at its end


@dataclass(frozen=True)
class SearchTrial:
    """A trial: its folder's name, its state, the values that were suggested, its seeds, and the mean validation accuracy over them,
    None before it is complete."""

    name: str
    state: State
    values: dict[str, str]
    seeds: list[int]
    accuracy: float | None


@dataclass(frozen=True)
class SearchStatus:
    """A search as it is on disk."""

    folder: Path
    typed: Typed
    command: str
    trials: list[SearchTrial]
    finalists: list[SearchTrial]

    @property
    def best(self) -> SearchTrial | None:
        """The complete finalist, where there is one, or else the complete trial, with the best validation accuracy; of equal ones the
        first, as the search has it: finalists as they met, trials by their numbers."""
        complete = [trial for trial in self.finalists or self.trials if trial.accuracy is not None]
        complete = complete or [trial for trial in self.trials if trial.accuracy is not None]
        sign = -1 if self.typed.sweeper.get("direction") == "minimize" else 1
        return max(complete, key=lambda trial: sign * round(trial.accuracy or 0.0, DECIMALS), default=None)


def read_searches(runs: Sequence[tuple[Path, dict[str, Any]]]) -> list[SearchStatus]:
    """The searches among these runs, given by their folders and their run.json: sweeps with trials that were not tested."""
    trials: dict[Path, list[tuple[Path, dict[str, Any]]]] = {}
    for directory, about in runs:
        if about.get("jobs") and not was_tested(about):
            trials.setdefault(sweep_of(directory, about), []).append((directory, about))
    searches = []
    for folder, found in trials.items():
        if typed := read_typed(folder):
            found.sort(key=lambda one: one[0])
            own = {directory.name: read_trial(directory, about, typed) for directory, about in found if directory.parent == folder}
            met = in_final(folder, [one for one in found if one[0].parent.name == FINALISTS], typed)
            # a finalist has the values of its trial, and seeds of its own
            finalists = [replace(trial, values=own[trial.name].values) if trial.name in own else trial for trial in met]
            command = typed.command(str(found[-1][1].get("command", "")))
            searches.append(SearchStatus(folder, typed, command, list(own.values()), finalists))
    return searches


def in_final(folder: Path, found: list[tuple[Path, dict[str, Any]]], typed: Typed) -> list[SearchTrial]:
    """Those of the present final, on its seeds: a search that goes on, or has other keys, holds another one, and runs of earlier ones stay.
    In the order in which they met. All of them where nobody knows, as in a search of an earlier version."""
    try:
        told = json.loads(read_text(folder / FINALISTS / FINAL))
        numbers, seeds = [int(number) for number in told["trials"]], [int(seed) for seed in told["seeds"]]
    except (OSError, *DAMAGED):
        return [read_trial(directory, about, typed) for directory, about in found]
    there = {directory.name: read_trial(directory, about, typed, seeds) for directory, about in found}
    return [there[name] for number in numbers if (name := f"trial_{number:04d}") in there]


def read_trial(directory: Path, about: dict[str, Any], typed: Typed, seeds: Sequence[int] | None = None) -> SearchTrial:
    """A trial from its folder; only a complete one has a value. seeds: those that count, its own by default: how its run stands is then
    told by these alone, as an earlier final may have asked for more."""
    rounds, wanted = read_frames(directory, about, ()).rounds, list(about["seeds"] if seeds is None else seeds)
    rounds = rounds[rounds["seed"].isin(wanted)]
    values = rounds.loc[rounds["status"] == "done", "val_accuracy"].dropna()
    state = STATES.get(about["status"], "waiting")
    if state == "complete" and len(values) < len(wanted):
        state = "waiting"
    if seeds is not None and state != "running" and len(values) == len(wanted):
        state = "complete"
    if seeds is not None and state == "waiting" and (rounds["status"] == "failed").any():
        state = "failed"
    accuracy = float(values.mean()) if state == "complete" else None
    return SearchTrial(directory.name, state, suggested(about, typed), wanted, accuracy)


def suggested(about: dict[str, Any], typed: Typed) -> dict[str, str]:
    """The values of a trial for which the search has a space: those that are not what was typed, or what its file says."""
    spaces = {str(key): str(space) for key, space in (typed.sweeper.get("params") or {}).items()}
    spaces |= dict(override.split("=", 1) for override in typed.overrides if "=" in override)
    try:
        given = [part.split("=", 1) for part in shlex.split(str(about.get("command"))) if "=" in part]
    except ValueError:  # not a command line
        return {}
    return {key.lstrip("+"): value for key, value in given if key in spaces and spaces[key].lower() != value.lower()}  # false is False


def print_search(search: SearchStatus, console: Console | None = None) -> None:
    """Print how many trials have ended and how, and the best so far with its values."""
    where, counts = console or Terminal(), Counter(trial.state for trial in search.trials)
    ended, wanted = counts["complete"] + counts["pruned"], search.typed.sweeper.get("n_trials")
    others = "".join(f", {counts[state]} {state}" for state in ("failed", "running", "waiting") if counts[state])
    count = f"{ended} of {counted(wanted, 'trial')}" if isinstance(wanted, int) else counted(ended, "trial")
    say(where, f"{search.folder}: {count} ({counts['complete']} complete, {counts['pruned']} pruned){others}", "search  ", "bold")
    if search.finalists:
        met, asked = Counter(trial.state for trial in search.finalists), search.typed.sweeper.get("finalists")
        over, failed = met["complete"] + met["pruned"] + met["failed"], f", {met['failed']} failed" if met["failed"] else ""
        through = f"{over} of {asked} finalists are through ({met['pruned']} of them dropped{failed})"
        say(where, through, "final   ", "bold")
    finished = isinstance(wanted, int) and ended >= wanted and not (search.finalists and {"running", "waiting"} & {*met})
    lead = "best    " if finished else "best so far  "
    if best := search.best:
        seeds = f"mean over {len(best.seeds)} seeds" if len(best.seeds) > 1 else f"seed {best.seeds[0]}"
        name = best.name.removeprefix("trial_").lstrip("0") or "0"
        say(where, f"trial {name}, validation accuracy {100 * (best.accuracy or 0):.2f} %, {seeds}", lead, "bold")
        if best.values:
            say(where, " ".join(f"{key}={value}" for key, value in best.values.items()), " " * len(lead))
    else:
        say(where, "no trial is complete yet", lead, "bold")
    say(where, search.command, "command ")
    if (search.folder / SUMMARY).is_file():
        say(where, str(search.folder / SUMMARY), "summary ")
