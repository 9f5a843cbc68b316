"""Trains the rounds of a run anew, into another folder, and says of each seed whether it came out as on record."""

import shlex
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from digitcmp.config.identity import differences
from digitcmp.config.taken import other_code
from digitcmp.counting import counted
from digitcmp.errors import RunError
from digitcmp.experiment import planned
from digitcmp.experiment.log import RunLog
from digitcmp.experiment.progress import ProgressDisplay
from digitcmp.experiment.provenance import checkout, commits_between
from digitcmp.experiment.published import read_records
from digitcmp.experiment.records import Record
from digitcmp.experiment.run import Run
from digitcmp.experiment.scheduler import train
from digitcmp.runs.show import read_one
from digitcmp.terminal import say, tell
from digitcmp.verify.retrain import config_of

PLATFORM = ("torch", "engine", "device", "platform")


@dataclass(frozen=True)
class SeedAgain:
    """A round that was trained anew. difference: the first thing that is not as on record, in words; empty where all is."""

    seed: int
    difference: str


def rerun(directory: Path, target: Path, root: str | None, console: Console) -> list[SeedAgain]:
    """Train the finished rounds of a run again in another folder, print how each came out. What was interrupted there goes on.

    root: the folder of the data set, where it is not the run's own. Raises RunError where there is no run or no round, for a folder that
    is in use for something else or holds rounds that would not be trained by this code now, and what training raises.
    """
    old = read_one(directory)
    seeds = sorted(row.seed for row in old.rows if row.status == "done")
    if not seeds:
        raise RunError(f"{directory} has no finished round to be trained again")
    if target.exists() and target.resolve() == directory.resolve():
        raise RunError(f"{target}: a run is trained again into another folder; name one with --out")
    config = config_of(directory, old.about, seeds[0], None, root)
    from digitcmp.experiment.executors.choose import preflight  # imports torch

    preflight(config)
    run = Run(replace(config, rounds=len(seeds)), target, without_folder(str(old.about.get("command") or "unknown")))
    run.seeds = seeds
    run.missing = deque(run.store.missing(seeds, retry_failed=False))
    check_new(run)
    with ProgressDisplay.of([run], console) as display:
        train([run], [display, RunLog()])
    before, after = read_records(directory, old.about).rounds, read_records(target, run.store.about or {}).rounds
    found = [SeedAgain(seed, different(before[seed], after[seed])) for seed in seeds if seed in after]  # others are left to another process
    report(found, old.about, run.store.about or {}, target, console)
    return found


def beside(directory: Path) -> Path:
    """Where a run is trained again, if nobody says where: a folder with -again behind its name; of a run in a sweep, it is the sweep's
    folder that has this behind its name, as the sweep is to stay what it is."""
    whole = directory.absolute()
    sweeps = [parent for parent in whole.parents if any((parent / name).is_file() for name in ("multirun.yaml", planned.FILE))]
    top = sweeps[-1] if sweeps else whole
    return top.with_name(f"{top.name}-again") / whole.relative_to(top)


def check_new(run: Run) -> None:
    """Raise RunError for a folder in which nothing is left to be trained, or whose rounds are of other code: these are no news."""
    about, now = run.store.about, checkout()
    if not run.store.rows or about is None:
        return
    if not run.missing:
        raise RunError(f"{run.directory} has these rounds on record already; name another folder with --out, or remove it")
    then = about.get("git_commit"), about.get("git_dirty")
    if then != ((now or {}).get("git_commit"), (now or {}).get("git_dirty")):
        raise RunError(f"{run.directory} has rounds of other code ({str(then[0])[:12]}); name another folder with --out, or remove it")


def different(before: Record, after: Record) -> str:
    """What differs first between two records of a seed, times aside; empty where nothing does."""
    for old, new in zip(before.epochs, after.epochs, strict=False):
        for name, value in vars(old).items():
            if name != "seconds" and value != getattr(new, name):
                return f"{name} of epoch {old.epoch}: {value} on record, {getattr(new, name)} now"
    if len(before.epochs) != len(after.epochs):
        return f"{counted(len(before.epochs), 'epoch')} on record, {len(after.epochs)} now"
    for name, value in vars(before.row).items():
        if name != "seconds" and value != getattr(after.row, name):
            return f"{name}: {value} on record, {getattr(after.row, name)} now"
    return ""


def report(found: Sequence[SeedAgain], old: dict[str, Any], new: dict[str, Any], target: Path, console: Console) -> None:
    """Say how every seed came out, and what is not as it was."""
    for one in found:
        say(console, one.difference or "equal", f"seed {one.seed:<8}", "yellow" if one.difference else "green")
    equal = sum(not one.difference for one in found)
    console.print(f"{equal} of {counted(len(found), 'round')} equal to the last digit, times aside", style="bold")
    now = {name: new.get(name) for name in PLATFORM}
    if told := differences({name: old.get(name) for name in PLATFORM}, now):
        tell(console, f"the platform is another one, so that last digits may differ: {told}")
    # no record says which seeds are those
    earlier = [differences({name: value for name, value in used.items() if name in PLATFORM}, now) for used in old.get("resumed", [])]
    for told in dict.fromkeys(filter(None, earlier)):
        tell(console, f"before it was resumed, rounds of it were trained on another platform, so that last digits may differ: {told}")
    for text in [*code_difference(old), *filter(None, [other_code(old)])]:
        say(console, text, "code     ")
    say(console, str(target), "run      ")


def code_difference(about: dict[str, Any]) -> list[str]:
    """What has become of the code since a run was trained, in lines."""
    then, now = about.get("git_commit"), checkout()
    if not then or not now:
        return ["it is not on record for both, which commit trained them"]
    dirty = [name for name, flag in (("then", about.get("git_dirty")), ("now", now["git_dirty"])) if flag]
    changed = f", with changes that are in no commit ({' and '.join(dirty)})" if dirty else ""
    if then == now["git_commit"]:
        return [f"the same commit, {then[:12]}{changed}"]
    return [f"commit {then[:12]} then, {now['git_commit'][:12]} now{changed}", *commits_between(then, now["git_commit"])]


def without_folder(command: str) -> str:
    """A command without the folder that it gives, which is that of the run that is trained again."""
    try:
        words = shlex.split(command)
    except ValueError:  # somebody else's
        return command
    kept = [word for word in words if not word.startswith("hydra.run.dir=")]
    return shlex.join(kept) if len(kept) < len(words) else command
