"""The winner's luck: the best configuration against the one that the search began with, on seeds that no trial has seen."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.utils import JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig

from digitcmp.config.composed import typed
from digitcmp.config.identity import configuration, configuration_hash
from digitcmp.config.messages import one_line
from digitcmp.errors import SearchError
from digitcmp.report.build import Report, make_report
from digitcmp.search.space import Values
from digitcmp.search.spec import Setting, compose
from digitcmp.search.study import Ledger

FOLDER = "confirm"


@dataclass(frozen=True)
class Confirmed:
    """What came of it. table, comparison: rows as `digitcmp.report` has them, None where best and start are the same."""

    seeds: list[int]
    best: dict[Any, Any]
    start: dict[Any, Any]
    comparison: dict[Any, Any] | None
    page: Path


def confirm(setting: Setting, ledger: Ledger, context: HydraContext, config: DictConfig, launcher: Launcher) -> Confirmed:
    """Train both on all training pairs over fresh rounds, test them, and compare them by seed.

    Raises SearchError when no round of one of them was finished.
    """
    best, rounds = ledger.study.best_trial, setting.settings.search.confirm
    first = max(setting.course.seeds) + 1
    points = {f"trial_{best.number:04d}": best.params, "start": setting.start}
    jobs = {name: job(setting, values, first, rounds) for name, values in points.items()}
    hashes = {name: configuration_hash(configuration(typed(compose(context, config, overrides)))) for name, overrides in jobs.items()}
    names = [name for name in jobs if name == "start" or hashes[name] != hashes["start"]]
    returns = launcher.launch([[*jobs[name], f"hydra.sweep.subdir={FOLDER}/{name}"] for name in names], initial_job_idx=0)
    folders = [setting.folder / FOLDER / name for name in names]
    for folder, ended in zip(folders, returns, strict=True):
        if ended.status == JobStatus.FAILED and not (folder / "rounds.csv").exists():
            raise SearchError(f"{folder} could not be trained: {one_line(ended._return_value)}")
    report = make_report(folders, hashes["start"], setting.folder / FOLDER / "summary")
    return result(report, hashes[names[0]], hashes["start"], list(range(first, first + rounds)))


def job(setting: Setting, values: Values, first: int, rounds: int) -> list[str]:
    """The overrides that train a point as a recipe: no validation, full training pairs, tested."""
    return [*setting.space.overrides(values), "data.val_pairs=0", f"seed={first}", f"rounds={rounds}"]


def result(report: Report, best: str, start: str, seeds: list[int]) -> Confirmed:
    """The rows of a report that say it."""
    rows = {row["configuration_hash"]: row for row in report.study.table.to_dict("records")}
    comparisons = report.study.comparisons.to_dict("records")
    return Confirmed(seeds, rows[best], rows[start], comparisons[0] if comparisons else None, report.path)
