"""The winner's luck: the best configuration against the one that the search began with, on seeds that no trial has seen."""

from dataclasses import dataclass
from typing import Any

from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig

from digitcmp.config.composed import typed
from digitcmp.config.identity import configuration, configuration_hash
from digitcmp.config.messages import one_line
from digitcmp.errors import SearchError
from digitcmp.experiment.store import read_run_records
from digitcmp.plugins.private import error_of
from digitcmp.report.build import make_report
from digitcmp.search.spec import SearchSpec, compose
from digitcmp.search.study import SharedStudy

FOLDER = "confirm"


@dataclass(frozen=True)
class Confirmed:
    """What came of it. table, comparison: rows as `digitcmp.report` has them, None where best and start are the same."""

    seeds: list[int]
    best: dict[Any, Any]
    start: dict[Any, Any]
    comparison: dict[Any, Any] | None


def confirm(spec: SearchSpec, shared: SharedStudy, context: HydraContext, config: DictConfig, launcher: Launcher) -> Confirmed:
    """Train both on all training pairs over fresh rounds, test them, and compare them by seed.

    Raises SearchError when no round of one of them was finished.
    """
    best, rounds = shared.study.best_trial, spec.settings.confirm
    first = max(spec.trial.seeds) + 1
    points = {spec.trial_folder(best.number): best.params, "start": spec.start}
    recipe = ["data.val_pairs=0", f"seed={first}", f"rounds={rounds}"]  # no validation, all training pairs, tested
    jobs = {name: [*spec.space.overrides(values), *recipe] for name, values in points.items()}
    hashes = {name: configuration_hash(configuration(typed(compose(context, config, overrides)))) for name, overrides in jobs.items()}
    names = [name for name in jobs if name == "start" or hashes[name] != hashes["start"]]
    returns = launcher.launch([[*jobs[name], f"hydra.sweep.subdir={FOLDER}/{name}"] for name in names], initial_job_idx=0)
    folders = [spec.folder / FOLDER / name for name in names]
    for folder, ended in zip(folders, returns, strict=True):
        if (error := error_of(ended)) is not None and not read_run_records(folder).rounds:
            raise SearchError(f"{folder} could not be trained: {one_line(error)}")
    report = make_report(folders, hashes["start"], spec.folder / FOLDER / "summary")
    rows = {row["configuration_hash"]: row for row in report.study.table.to_dict("records")}
    comparisons = report.study.comparisons.to_dict("records")
    seeds = list(range(first, first + rounds))
    return Confirmed(seeds, rows[hashes[names[0]]], rows[hashes["start"]], comparisons[0] if comparisons else None)
