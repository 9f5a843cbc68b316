"""What run.json says: when a run is begun and gone on with, and what it must say before anybody believes it. A file that somebody has
damaged or written by hand is told, and ends nothing."""

import json
import os
from pathlib import Path
from typing import Any

from digitcmp.config.identity import configuration_hash
from digitcmp.config.schema import MOST_ROUNDS, MOST_SEED
from digitcmp.errors import RunError
from digitcmp.experiment.folders import near
from digitcmp.experiment.provenance import now, versions
from digitcmp.files import is_special

NEEDS: dict[str, type] = {"configuration": dict, "configuration_hash": str, "parameters": int, "seeds": list, "status": str, "started": str}
MAY_HAVE = dict.fromkeys(("engine", "device", "torch", "digitcmp", "python", "git_commit", "command", "finished", "data_root"), str) | {
    "platform": dict,
    "plugins": dict,
}
OWN = ("npz", "folder")  # sources that have no usual place
TEXTS = ("tags", "hosts", "changes", "left_out")  # lists to which every command adds
LARGEST = 2**63 - 1  # of whole numbers in tables
DEEPEST = 20  # values within values; a configuration has four
MOST_VALUES = 100_000
LARGEST_ABOUT = 50_000_000  # bytes of a run.json; a million seeds are less


def read_about(directory: Path, hashed: bool = True, networks: bool = False) -> dict[str, Any]:
    """run.json of a run's folder, with all that makes a run. Raises RunError naming what is missing or damaged.

    hashed: whether its configuration has to be that of its hash, which takes most of the time; a list of thousands does without.
    networks: whether one is looked for that has kept its networks.
    """
    path = directory / "run.json"
    try:
        if is_special(path):
            raise OSError("it is no file")
        if path.stat().st_size > LARGEST_ABOUT:
            raise OSError(f"it is larger than {LARGEST_ABOUT:,} bytes")
        about = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise RunError(f"{directory} holds no run (there is no run.json in it){near(directory, networks)}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{directory} holds no run (run.json cannot be read: {error})") from error
    if wrong := wrong_about(about, hashed):
        raise RunError(f"{directory} holds no run (run.json {wrong})")
    return dict(about)


def is_damaged(directory: Path) -> bool:
    """Whether what is in a run.json is no JSON object, or lacks what every one has; not where it cannot be opened, or says more than this
    version knows."""
    path = directory / "run.json"
    if is_special(path) or path.stat().st_size > LARGEST_ABOUT:
        return False
    try:
        about = json.loads(path.read_bytes())
    except OSError:
        return False
    except (ValueError, RecursionError):
        return True
    return not isinstance(about, dict) or not set(NEEDS) <= set(about)


def joined(about: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any]:
    """What run.json says when a run is begun (before: None) or gone on with: seeds of both, and the code that made its first rounds."""
    if before is None:
        return {**about, "status": "running", "started": now(), "finished": None}
    more = [name for name in ("device", "engine", "platform", "plugins") if name != "plugins" or name in {*about, *before}]
    now_used = {**versions(), **{name: about.get(name) for name in more}}
    used, resumed = {name: before.get(name) for name in now_used}, before.get("resumed", [])
    if used != now_used:  # the rounds of one run then come from different code or machines: say so
        resumed = [*resumed, {**used, "until": now(after=before["started"])}]
    seeds = sorted({*before["seeds"], *about["seeds"]})
    # as an earlier version wrote it, perhaps: its hash is that of the records
    jobs = before.get("jobs", [])
    for job in about.get("jobs", []):
        jobs = with_job(jobs, job)
    tasks = before.get("slurm", [])
    if tasks or "slurm" in about:
        about["slurm"] = tasks + [task for task in about.get("slurm", []) if task not in tasks]
    lists = {name: list(dict.fromkeys([*before.get(name, []), *about.get(name, [])])) for name in TEXTS if name in {*before, *about}}
    about = {**about, "configuration": before["configuration"], "jobs": jobs, **lists}
    return {**about, "seeds": seeds, "status": "running", "started": before["started"], "finished": None, "resumed": resumed}


def with_job(jobs: list[list[int]], job: list[int] | None) -> list[list[int]]:
    """The sweeps that a run was a job of, with one more."""
    return jobs if job is None or job in jobs else [*jobs, job]


def data_root(about: dict[str, Any], wanted: str | None) -> str:
    """The data.root with which a run on record is trained or asked again: the one that is wanted, else its own where that is there,
    else the usual one. Raises RunError where data of one's own are no longer where they were, for which there is no usual place."""
    own = about.get("data_root")
    if wanted or (own and Path(own).exists()):
        return str(wanted or own)
    if own and about["configuration"]["data"]["source"] in OWN:
        raise RunError(f"{own}, the data that this run was trained on, is not there any more; say where it is now with --root")
    return os.environ.get("DIGITCMP_DATA", "data")


def wrong_about(about: Any, hashed: bool = True) -> str:
    """What is wrong with the content of run.json, in words; empty for one that is sound."""
    if not isinstance(about, dict):
        return "is no object"
    for name, kind in NEEDS.items():
        if not isinstance(about.get(name), kind):
            return f"has no valid {name!r}"
    for name, kind in MAY_HAVE.items():
        if about.get(name) is not None and not isinstance(about[name], kind):
            return f"has no valid {name!r}"
    if wrong := wrong_lists(about):
        return f"has no valid {wrong!r}"
    if isinstance(about["parameters"], bool) or not 0 <= about["parameters"] <= LARGEST:
        return "has no valid 'parameters'"
    seeds = about["seeds"]
    if len(seeds) > MOST_ROUNDS or not all(type(seed) is int and 0 <= seed <= MOST_SEED + MOST_ROUNDS for seed in seeds):
        return "has no valid 'seeds'"
    return wrong_configuration(about["configuration"], about["configuration_hash"] if hashed else None)


def wrong_lists(about: dict[str, Any]) -> str:
    """The first of its lists, or its flag, that is none; empty where all are sound."""
    jobs, resumed, tasks = about.get("jobs", []), about.get("resumed", []), about.get("slurm", [])
    if not isinstance(jobs, list) or not all(isinstance(job, list) and [type(part) for part in job] == [int, int] for job in jobs):
        return "jobs"
    if not isinstance(resumed, list) or not all(isinstance(one, dict) and isinstance(one.get("platform"), dict | None) for one in resumed):
        return "resumed"
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        return "slurm"
    for name in TEXTS:
        if not isinstance(texts := about.get(name, []), list) or not all(isinstance(text, str) for text in texts):
            return name
    return "" if isinstance(about.get("git_dirty"), bool | None) else "git_dirty"


def wrong_configuration(configuration: dict[str, Any], recorded: str | None) -> str:
    """What is wrong with the configuration in it: values that are none, or others than those of the hash that was recorded (None: any)."""
    waiting: list[tuple[Any, int]] = [(configuration, 0)]
    seen = 0
    while waiting:
        value, depth = waiting.pop()
        seen += 1
        if depth > DEEPEST or seen > MOST_VALUES:
            return "has a configuration with far too much in it"
        if isinstance(value, int) and abs(value) > LARGEST:
            return "has a configuration with a number that is too large"
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        waiting += [(part, depth + 1) for part in inside]
    try:
        same = recorded is None or configuration_hash(configuration) == recorded
    except ValueError:  # not a number, or infinite
        return "has a configuration with a number that is none"
    return "" if same else "has been changed: its configuration is not that of its hash"
