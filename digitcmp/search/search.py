"""A search from beginning to end: asked of Optuna trial by trial, trained by the launcher, reported to Optuna."""

import math
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf
from optuna.trial import TrialState
from rich.console import Console
from yaml import YAMLError

from digitcmp.config.allowed import code_let_in
from digitcmp.counting import counted
from digitcmp.errors import DAMAGED, ConfigError, SearchError
from digitcmp.experiment import planned, preview
from digitcmp.experiment.pace import ShortRoundError, measure
from digitcmp.experiment.plan import at_a_time, in_all, left_out_of, print_left_out
from digitcmp.passwords import without_passwords
from digitcmp.plugins.launcher import DigitcmpLauncher
from digitcmp.plugins.slurm import SlurmLauncher
from digitcmp.plugins.sweeper import make_folder
from digitcmp.search.algorithms import make_pruner, make_sampler
from digitcmp.search.config import SearchConfig
from digitcmp.search.grammar import make_space
from digitcmp.search.loop import Search
from digitcmp.search.preview import few_of, whole_of
from digitcmp.search.space import shown
from digitcmp.search.spec import SearchSpec, make_spec
from digitcmp.search.storage import check_url, open_storage, storage_url
from digitcmp.search.study import Counts, SharedStudy, open_study
from digitcmp.terminal import Terminal, say, tell

RETRY = "the same command with retry_failed=true tries their points again"
FINALISTS = "finalists"  # the study's attribute: how many it was to have when it was first given any


def search(settings: SearchConfig, context: HydraContext, config: DictConfig, launcher: Launcher, arguments: list[str]) -> None:
    """Run the search that the settings and the command line's arguments describe, up to its summary and confirmation.

    Raises DigitcmpError for bad input, when all trials have failed, and when too many have. On Ctrl-C, the trials that are running
    are put back into the queue.
    """
    if settings.pruner != "none" and not isinstance(launcher, DigitcmpLauncher):
        raise ConfigError(
            f"hydra.sweeper.pruner={settings.pruner}: pruning needs hydra/launcher=digitcmp; use it, or hydra.sweeper.pruner=none"
        )
    if settings.n_jobs > 1 and isinstance(launcher, DigitcmpLauncher):
        raise ConfigError(f"hydra.sweeper.n_jobs={settings.n_jobs}: digitcmp's launcher begins trials as there is room; leave it out")
    spec = make_spec(settings, make_space(settings.params, arguments), context, config)
    console, whole = Terminal(), spec
    if whole.base.preview:
        spec = few_of(whole)
    settings = spec.settings
    print_left_out(left_out_of(spec.base.data), console, getattr(launcher, "told", set()))
    away = launcher if isinstance(launcher, SlurmLauncher) else None
    checked_url(whole, away)  # a preview tells nothing of a search that would be refused
    url = checked_url(spec, away)
    pruner, sampler = make_pruner(settings, spec.trial.steps), make_sampler(settings, settings.seed)
    name = settings.study_name or spec.folder.absolute().name
    check_folder(spec.folder, name)
    if spec.base.dry_run:
        show_space(spec, console, away)
        if away:
            away.show_script()
        return
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with open_storage(url) as storage:
        shared = SharedStudy(storage, open_study(storage, name, settings, spec.identity(), sampler, pruner), settings)
        spec.folder.mkdir(parents=True, exist_ok=True)
        if whole.base.preview:
            preview.write(whole_of(whole), spec.folder)
        make_folder(config)
        if away:
            away.search_elsewhere()
        with shared.join() as before:
            note_finalists(shared, console)
            retry(spec, shared, console)
            if before:  # the same seed again would give the points that it gave before
                seed = int(np.random.SeedSequence((settings.seed, before)).generate_state(1)[0])
                shared.study.sampler = make_sampler(settings, seed)
            rounds = settings.n_trials * len(spec.trial.seeds)
            planned.write(spec.folder.absolute(), planned.Planned(rounds=rounds, epochs=spec.base.epochs))
            Search(spec, shared, launcher, console).run()
        conclude(spec, shared, context, config, launcher, console)
    if whole.base.preview:
        preview.tell(spec.folder, console)


def checked_url(spec: SearchSpec, away: SlurmLauncher | None) -> str:
    """Where the study of a search is kept. Raises SearchError where that says so itself that it cannot be."""
    url = storage_url(spec.settings.storage, spec.folder, shared=away is not None)
    check_url(url)
    return url


def note_finalists(shared: SharedStudy, console: Console) -> None:
    """Put on record that a study has finalists; say so where it was begun without them."""
    if shared.settings.finalists and FINALISTS not in shared.study.user_attrs:
        shared.study.set_user_attr(FINALISTS, shared.settings.finalists)
        if any(trial.state != TrialState.WAITING for trial in shared.study.get_trials(deepcopy=False)):
            name = shared.study.study_name
            tell(console, f"the study {name} was begun without finalists; its trials stay, and its final is held when they are through")


def retry(spec: SearchSpec, shared: SharedStudy, console: Console) -> None:
    """With retry_failed=true, try the points of failed trials again, and say so; or why not."""
    queued, failed = shared.retry() if spec.base.retry_failed else (0, 0)
    if queued:
        tell(console, f"{counted(queued, 'failed trial')} tried again, under {'a new number' if queued == 1 else 'new numbers'}")
    if left := failed - queued:
        counts = shared.counts()
        wanted = counts.counted + counts.running + counts.waiting + left
        tell(console, f"{counted(left, 'failed trial')} not tried again, as others take up n_trials; hydra.sweeper.n_trials={wanted} does")


def check_folder(folder: Path, name: str) -> None:
    """Raise SearchError when a folder holds the trials of another study, whose best.yaml and summary/ this one would overwrite; or when its
    file does not say of which."""
    if not (folder / "multirun.yaml").is_file() or not any(folder.glob("trial_*")):
        return
    try:
        written: Any = OmegaConf.to_container(OmegaConf.load(folder / "multirun.yaml"), resolve=False)
        before = str(written["hydra"]["sweeper"].get("study_name") or Path(written["hydra"]["sweep"]["dir"]).name)
    except (OSError, *DAMAGED, YAMLError) as error:
        raise SearchError(
            f"{folder / 'multirun.yaml'} does not say of which study the trials beside it are; choose another hydra.sweep.dir, or remove "
            "that file where they are of this one"
        ) from error
    if "${" not in before and before != name:
        raise SearchError(
            f"{folder} holds the trials of the study {before}, not of {name}; choose another hydra.sweep.dir, "
            f"or hydra.sweeper.study_name={before} to go on with it"
        )


def conclude(
    spec: SearchSpec, shared: SharedStudy, context: HydraContext, config: DictConfig, launcher: Launcher, console: Console
) -> None:
    """Hold the final, write best.yaml, summarise, confirm. Raises SearchError when there is no best, too many trials have failed, or rounds
    of the confirmation have."""
    from digitcmp.search.best import confirm, write_best
    from digitcmp.search.finalists import complete_trials, hold
    from digitcmp.search.summary import Summary

    counts, settings = shared.counts(), spec.settings
    failed = shared.study.get_trials(deepcopy=False, states=(TrialState.FAIL,))
    reason = failed[-1].user_attrs.get("reason", "for a reason that is not on record") if failed else ""
    if not counts.complete:
        raise SearchError(without_best(counts, shared, reason))
    command = shlex.join(["python", "-m", "digitcmp", *code_let_in(), *map(without_passwords, sys.argv[1:])])
    finished = counts.counted >= settings.n_trials
    if finished:  # also where folders of trials have been removed
        planned.write(spec.folder.absolute(), planned.Planned(rounds=0, epochs=spec.base.epochs))
    final = hold(spec, shared, launcher, console) if finished else None
    best = final.winner.trial if final else complete_trials(spec, shared)[0]
    write_best(spec, shared, best, final, context, config, command)
    summary, confirmed = Summary(spec, shared, best, final, command), None
    path = summary.write(confirmed)  # of the same best as best.yaml, also where the confirmation fails
    if finished and settings.confirm:
        confirmed = confirm(spec, best, context, config, launcher)
        path = summary.write(confirmed)
    summary.show(confirmed, path, console)
    if confirmed and confirmed.error:
        raise SearchError(confirmed.error)
    if counts.lost >= shared.max_failed and not finished:
        raise SearchError(
            f"{counted(counts.lost, 'trial')} failed, so the search was given up before n_trials={settings.n_trials}: "
            f"{reason}; {RETRY}, {more_of(shared)}"
        )


def without_best(counts: Counts, shared: SharedStudy, reason: str) -> str:
    """Why there is no best trial, and what helps. reason: why the last trial that failed did."""
    settings, more = shared.settings, "so there is no best one; the same command goes on with"
    if counts.pruned >= settings.n_trials or (counts.pruned and counts.lost >= shared.max_failed):
        helps = [f"hydra.sweeper.n_trials={2 * counts.pruned}"] * (counts.pruned >= settings.n_trials)
        helps += [f"hydra.sweeper.max_failed={2 * counts.lost}"] * (counts.lost >= shared.max_failed)
        *others, last = [*helps, "hydra.sweeper.pruner=none"]
        if not counts.failed:
            return f"all of {counted(counts.pruned, 'trial')} were pruned, {more} {', '.join(others)} and {last}"
        told = f"none of {counted(counts.pruned + counts.failed, 'trial')} is complete, {counts.pruned} pruned and {counts.failed} failed"
        return f"{told}, {more} {', '.join(others)} and {last}; the last one failed: {reason}"
    if counts.failed and not counts.pruned:
        return f"failed: all of {counted(counts.failed, 'trial')}, so there is no best one: {reason}; {RETRY}, {more_of(shared)}"
    some = f" ({counts.pruned} pruned, {counts.failed} failed: {reason})" if counts.failed else ""
    return f"no trial is complete yet{some}, so there is no best one; the same command goes on"


def more_of(shared: SharedStudy) -> str:
    """How a search goes on that has as many failed trials as it may have."""
    return f"with hydra.sweeper.max_failed={2 * shared.max_failed} others"


def show_space(spec: SearchSpec, console: Console, away: SlurmLauncher | None) -> None:
    """What would be searched, and about how long it would take: dry_run=true. Raises DigitcmpError where it could not be trained."""
    from digitcmp.experiment.executors.choose import check_data, preflight

    for dimension in spec.space.searched:
        when = f" (when {' and '.join(map(str, dimension.when))})" if dimension.when else ""
        say(console, f"{dimension.name}: {shown(dimension.distribution)}{when}")
    trial, settings = spec.trial, spec.settings
    check_data(spec.base) if away else preflight(spec.base)
    epochs, seeds = counted(trial.epochs, "epoch"), f"seeds {trial.seeds[0]} to {trial.seeds[-1]}"
    size = f"{counted(settings.n_trials, 'trial')} of {len(trial.seeds)} × {epochs} ({seeds})"
    rounds = settings.n_trials * len(trial.seeds) + settings.finalists * settings.finalist_rounds + 2 * settings.confirm
    workers = away.side_by_side(rounds) if away else at_a_time(spec.base, rounds, console)
    seconds, why = math.nan, ""
    with console.status("training a short round"):
        try:
            seconds = rounds * measure(spec.base, rounds).seconds(trial.epochs)
        except ShortRoundError as error:
            why = str(error)
    time = in_all(seconds, workers, "a short round of its start", why)
    final = f", {counted(settings.finalists, 'finalist')} × {counted(settings.finalist_rounds, 'round')}" if settings.finalists else ""
    pruned = ", less what is pruned" if settings.pruner != "none" else ""
    confirmed = f", {settings.confirm} × 2 rounds to confirm" if settings.confirm else ""
    tell(console, f"{size}{final}{confirmed}; {time}{pruned}; nothing was trained (dry_run=true)")
