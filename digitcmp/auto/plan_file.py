"""auto.json in the folder of a sweep, or of a single run: what rounds=auto will do, on record before the first round."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digitcmp.auto.sequential import Plan, make_plan
from digitcmp.config.identity import differences
from digitcmp.config.schema import Auto
from digitcmp.errors import DAMAGED, ConfigError, RunError
from digitcmp.experiment.provenance import now
from digitcmp.files import read_text, write_whole

if TYPE_CHECKING:
    from digitcmp.experiment.run import Run  # which imports hydra; reports only read the plan

FILE = "auto.json"
BOUNDARY = "Pocock, Bonferroni; repeated confidence intervals of the Hodges-Lehmann difference (of the median, for one configuration)"


def make(runs: "Sequence[Run]", folder: Path) -> Plan:
    """The plan for these runs, the first one being the baseline. Raises ConfigError when they cannot be compared, and RunError when
    another plan is on record in the folder, or a damaged one."""
    names: dict[str, str] = {}
    for run in runs:
        if (other := names.setdefault(run.store.configuration_hash, run.name)) != run.name:
            raise ConfigError(f"rounds=auto: {other} and {run.name} have the same configuration; leave one out")
    plan, path = make_plan(names, runs[0].config.seed, runs[0].config.auto), folder / FILE
    if path.exists() and (told := differences(in_short(read(path)), in_short(plan))):
        raise RunError(
            f"{path} holds another plan ({told}), and looks that were taken cannot be taken back; choose another folder, or delete the file"
        )
    return plan


def write(plan: Plan, folder: Path) -> None:
    """Put a plan on record, unless it is. Raises RunError when it cannot be written."""
    if not (folder / FILE).exists():
        write_whole(folder / FILE, json.dumps({**describe(plan), "boundary": BOUNDARY, "made": now()}, indent=2) + "\n")


def in_short(plan: Plan) -> dict[str, Any]:
    """The plan as plain values that a message can show: runs by their names."""
    return {**describe(plan), "baseline": plan.runs[plan.baseline], "runs": ", ".join(plan.runs.values())} | {
        f"configuration of {name}": configuration for configuration, name in plan.runs.items()
    }


def describe(plan: Plan) -> dict[str, Any]:
    """The plan as plain values."""
    return {
        "baseline": plan.baseline,
        "runs": [{"run": name, "configuration_hash": configuration} for configuration, name in plan.runs.items()],
        "comparisons": len(plan.runs) - 1,
        "seed": plan.seed,
        "auto": asdict(plan.auto),
        "looks": plan.looks,
        "level_of_each_interval": 1 - plan.nominal,
    }


def read(path: Path) -> Plan:
    """The plan on record. Raises RunError when it is damaged."""
    try:
        found = json.loads(read_text(path))
        runs = {str(one["configuration_hash"]): str(one["run"]) for one in found["runs"]}
        return Plan(runs, int(found["seed"]), Auto(**found["auto"]), 1 - float(found["level_of_each_interval"]))
    except (OSError, *DAMAGED) as error:
        raise RunError(f"{path} holds no plan of rounds=auto ({type(error).__name__}: {error}); restore it, or delete it") from error
