"""The best configuration of a search: as an `experiment` file, best.yaml, and against the one that the search began with, on seeds
that no trial has seen (the winner's luck)."""

import json
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf
from optuna.trial import FrozenTrial

from digitcmp.arguments import sources
from digitcmp.config.composed import typed, unchecked, without_hydra
from digitcmp.config.identity import completed, configuration, configuration_hash, flat
from digitcmp.config.messages import one_line
from digitcmp.config.rules import by_validation
from digitcmp.config.schema import Config
from digitcmp.counting import counted
from digitcmp.errors import RunError, SearchError
from digitcmp.experiment.about import read_about
from digitcmp.experiment.claims import in_use
from digitcmp.experiment.folders import CONFIRMED, PRESENT
from digitcmp.experiment.preview import shortened
from digitcmp.experiment.provenance import now, versions
from digitcmp.experiment.store import read_run_records
from digitcmp.files import write_whole
from digitcmp.inert import visible
from digitcmp.plugins.jobs import paths_of
from digitcmp.plugins.private import error_of
from digitcmp.report.build import make_report
from digitcmp.search.finalists import Final
from digitcmp.search.spec import SearchSpec, under
from digitcmp.search.study import SharedStudy
from digitcmp.search.use import how_to_use

FOLDER = CONFIRMED
CONFIRM = "hydra.sweeper.confirm=N gives"
RETRY = "the same command with retry_failed=true trains them again"
POLL = 0.5  # seconds between looks at what other processes are doing
VALIDATED = {"data.val_pairs": "0", "data.folds": "null", "data.fold": "0"}  # what is held out, and what says that nothing is
HELD_OUT = ("test", "data.fingerprint")  # what belongs to a search, and not to a recipe
TRAINING = ("epochs", "batch_size", "aux_weight")  # what a recipe says even where it is the default


def write_best(
    spec: SearchSpec, shared: SharedStudy, best: FrozenTrial, final: Final | None, context: HydraContext, config: DictConfig, command: str
) -> Path:
    """Write best.yaml into the sweep's folder, where it comes from in its comments. Raises RunError when it cannot be written."""
    counts, seeds, used = shared.counts(), spec.trial.seeds, versions()
    composed = context.config_loader.load_sweep_config(config, spec.overrides(best.params))
    lines = [
        f"Trial {best.number} of {counts.counted} ({counts.pruned} of them pruned) of the study {shared.study.study_name}:",
        *won_lines(final),
        f"validation accuracy {best.value:.4f}, mean over {counted(len(seeds), 'round')} (seeds {seeds[0]} to {seeds[-1]}) "
        f"with {spec.base.data.val_pairs} of {spec.base.data.train_pairs} training pairs held out. Not tested.",
        *filter(None, [picked_lines(counts.complete, final, spec.settings.confirm)]),
        f"Made by: {command}",
        f"{now()}, digitcmp {used['digitcmp']}" + (f", commit {used['git_commit']}" if "git_commit" in used else ""),
        how_to_use(spec.folder, sources(sys.argv[1:]), [str(one) for one in config.hydra.searchpath]),
    ]
    comments = "".join(f"# {visible(line)}\n" for line in lines)
    # the first line makes it an experiment
    return write_whole(spec.folder / "best.yaml", "# @package _global_\n" + comments + recipe(spec, composed, context, config))


def won_lines(final: Final | None) -> list[str]:
    """How it won its final."""
    if final is None:
        return []
    winner, seeds = final.winner, final.seeds
    told = (
        f"validation accuracy {winner.mean:.4f}, mean over {counted(len(winner.values), 'fresh round')} (seeds {seeds[0]} to {seeds[-1]})"
    )
    return [f"the winner of {len(final.finalists)} finalists, {told}; before that,"]


def picked_lines(complete: int, final: Final | None, confirm: int) -> str:
    """A sentence on what the best one owes to being picked; empty where there was only one trial to pick. confirm: the rounds of its
    confirmation, 0 where none was asked for."""
    if final is None and complete < 2:
        return ""
    among, shown = ("its fresh rounds", "their mean") if final else (f"these rounds out of {complete} complete trials", "its accuracy")
    return f"Picked by {among}, so that {shown} is too good on average; {fairer(confirm)} a fair estimate."


def fairer(confirm: int) -> str:
    """What gives a fair estimate: the confirmation of so many rounds that was asked for, or that could be."""
    return f"the confirmation (hydra.sweeper.confirm={confirm}), once all trials are through, gives" if confirm else CONFIRM


def recipe(spec: SearchSpec, composed: DictConfig, context: HydraContext, config: DictConfig) -> str:
    """The choice of every group, then what differs from these choices by themselves."""
    chosen_from = composed.hydra.runtime.choices
    choices = {item.name: str(chosen_from[item.name]) for item in fields(Config) if item.name in chosen_from}  # of the groups
    chosen = [f"{group}={choice}" for group, choice in choices.items()]
    plain = context.config_loader.load_configuration(config.hydra.job.config_name, [*chosen, *paths_of(config.hydra)], run_mode=RunMode.RUN)
    # the choices alone need not make a recipe: decoder, for one, wants a weight for its digit loss
    found = typed(composed)
    before, after = flat(configuration(unchecked(without_hydra(plain)))), flat(configuration(found))
    left_out = HELD_OUT if by_validation(found) else (*HELD_OUT, *VALIDATED)
    searched = [dimension.name for dimension in spec.space.searched if dimension.name not in choices]
    kept = OmegaConf.create()
    for name, value in after.items():
        if name not in left_out and (name in TRAINING or under(name, searched) or before.get(name, "absent") != value):
            OmegaConf.update(kept, name, value)
    defaults = [{f"override /{group}": choice} for group, choice in choices.items()]
    return yaml.safe_dump({"defaults": defaults}) + OmegaConf.to_yaml(kept)


@dataclass(frozen=True)
class Confirmed:
    """Rows as `digitcmp.report` has them; comparison: None where best and start are the same, where one has no finished round, and where
    they have other test pairs, as recipes that a search chooses from may have. same: whether they are. seeds: of all rounds of either
    that are on record; held_out: whether validation pairs were held out of the training pairs, as in the trials; pairs_of: the seed of the
    pairs of all rounds (data.seed), None where each has its own. failed: which of the two have no finished round; error: what the first
    of them that lacks rounds has come to, in a line, empty where both have all."""

    seeds: list[int]
    held_out: bool
    pairs_of: int | None
    best: dict[Any, Any]
    start: dict[Any, Any]
    comparison: dict[Any, Any] | None
    same: bool
    failed: list[str] = field(default_factory=list)
    error: str = ""


def confirm(spec: SearchSpec, best: FrozenTrial, context: HydraContext, config: DictConfig, launcher: Launcher) -> Confirmed:
    """Train both on all training pairs over fresh rounds, test them, and compare them by seed. Where one of them goes by its validation
    accuracy, both are trained as the trials were.

    Raises SearchError where one of them has no round on record, not even a failed one.
    """
    rounds = spec.settings.confirm
    first = max(spec.trial.seeds) + 1
    points = {spec.trial_folder(best.number): best.params, "start": spec.start}
    compose = context.config_loader.load_sweep_config
    held_out = any(by_validation(typed(compose(config, spec.space.overrides(values)))) for values in points.values())
    recipe = [*([] if held_out else [f"{key}={value}" for key, value in VALIDATED.items()]), f"seed={first}", f"rounds={rounds}"]
    jobs = {name: [*spec.space.overrides(values), *recipe] for name, values in points.items()}
    found = {name: configuration(shortened(typed(compose(config, overrides)))) for name, overrides in jobs.items()}
    hashes = {name: configuration_hash(one) for name, one in found.items()}
    names = [name for name in jobs if name == "start" or hashes[name] != hashes["start"]]
    folders = [folder_of(name, found[name], spec.folder / FOLDER) for name in names]
    given = [[*jobs[name], f"hydra.sweep.subdir={FOLDER}/{folder.name}"] for name, folder in zip(names, folders, strict=True)]
    write_whole(spec.folder.absolute() / FOLDER / PRESENT, json.dumps({"runs": [folder.name for folder in folders]}) + "\n")
    returns = launcher.launch(given, initial_job_idx=0)
    while any(map(in_use, folders)):  # another process has rounds of them
        while any(map(in_use, folders)):
            time.sleep(POLL)
        returns = launcher.launch(given, initial_job_idx=0)
    error = check_confirmed(folders, list(map(error_of, returns)))
    hashes |= {name: read_about(folder)["configuration_hash"] for name, folder in zip(names, folders, strict=True)}  # as on record
    report = make_report(folders, hashes["start"], spec.folder / FOLDER / "summary")
    rows = {row["configuration_hash"]: row for row in report.study.table.to_dict("records")}
    comparisons = report.study.comparisons.to_dict("records")
    seeds = sorted({seed for folder in folders for seed in read_run_records(folder).rounds})  # also those of an earlier, longer one
    best_row, start_row, pairs_of = rows[hashes[names[0]]], rows[hashes["start"]], spec.base.data.seed
    failed = [name for name, row in (("best", best_row), ("start", start_row)) if not row["rounds"]]
    comparison = comparisons[0] if comparisons and not failed else None
    return Confirmed(seeds, held_out, pairs_of, best_row, start_row, comparison, len(names) == 1, failed, error)


def check_confirmed(folders: list[Path], errors: list[Any]) -> str:
    """What the first of these runs that lacks rounds has come to, as a sweep ends with it, and what helps; empty where none does. errors:
    of their jobs. Raises SearchError where one has no round on record."""
    told = list[str]()
    for folder, error in zip(folders, errors, strict=True):
        rounds = read_run_records(folder).rounds.values()
        if error is not None and not rounds:
            raise SearchError(f"{folder} could not be trained: {one_line(error)}")
        if error is not None:
            told.append(one_line(error) + f"; {RETRY}" * any(record.row.status == "failed" for record in rounds))
    return told[0] if told else ""


def folder_of(name: str, found: dict[str, Any], place: Path) -> Path:
    """Where a configuration is confirmed below this folder: where it has been, else under its name, or, where that has another one, under
    its name and hash. A search that goes on may have another best or start, or train the same ones otherwise."""
    own, others = configuration_hash(found), False
    for folder in [place / name, *sorted(path.parent for path in place.glob("*/run.json"))]:
        with suppress(RunError):  # what is damaged, or no run yet
            about = read_about(folder)
            if about["configuration_hash"] == own or completed(about["configuration"]) == completed(found):
                return folder
            others = others or folder.name == name
    return place / (f"{name}-{own[:8]}" if others else name)
