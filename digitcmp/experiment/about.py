"""What run.json must say before anybody believes it: a file that somebody has damaged or written by hand is told, and ends nothing."""

from typing import Any

from digitcmp.config.identity import configuration_hash
from digitcmp.config.schema import MOST_ROUNDS, MOST_SEED

NEEDS: dict[str, type] = {"configuration": dict, "configuration_hash": str, "parameters": int, "seeds": list, "status": str, "started": str}
MAY_HAVE = dict.fromkeys(("engine", "device", "torch", "digitcmp", "python", "git_commit", "command", "finished", "data_root"), str) | {
    "platform": dict
}
LARGEST = 2**63 - 1  # of whole numbers in tables
DEEPEST = 20  # values within values; a configuration has four
MOST_VALUES = 100_000


def wrong_about(about: Any) -> str:
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
    return wrong_configuration(about["configuration"], about["configuration_hash"])


def wrong_lists(about: dict[str, Any]) -> str:
    """The first of its lists, or its flag, that is none; empty where all are sound."""
    jobs, resumed, tasks = about.get("jobs", []), about.get("resumed", []), about.get("slurm", [])
    if not isinstance(jobs, list) or not all(isinstance(job, list) and [type(part) for part in job] == [int, int] for job in jobs):
        return "jobs"
    if not isinstance(resumed, list) or not all(isinstance(one, dict) and isinstance(one.get("platform"), dict | None) for one in resumed):
        return "resumed"
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        return "slurm"
    return "" if isinstance(about.get("git_dirty"), bool | None) else "git_dirty"


def wrong_configuration(configuration: dict[str, Any], recorded: str) -> str:
    """What is wrong with the configuration in it: values that are none, or others than those that were recorded."""
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
        same = configuration_hash(configuration) == recorded
    except ValueError:  # not a number, or infinite
        return "has a configuration with a number that is none"
    return "" if same else "has been changed: its configuration is not that of its hash"
