"""Records on disk as pandas frames: all runs below some folders, replicates pooled, nothing counted twice."""

import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pandas as pd

from digitcmp.config.identity import completed
from digitcmp.errors import RunError
from digitcmp.report.runs import checked_run, find_runs, flatten, natural, read_rounds, read_whole, typed, was_tested
from digitcmp.report.runs import read_rows as read_rows
from digitcmp.report.runs import read_run as read_run

VERSIONS = ["digitcmp", "torch", "python", "git_commit", "git_dirty"]
ABOUT = ["configuration_hash", "parameters", "engine", "device", *VERSIONS]
DISTANCES = ["seed", "distance", "pairs", "right"]


@dataclass(frozen=True)
class Sweep:
    """What is on record below some folders. Rows of the frames point to their run by its position, in the column `run_index`.

    runs: one row a run, oldest first: run (path relative to the folder), directory, ABOUT, run_status, seeds, started, command,
    and the configuration as dotted columns, named in `keys`. rounds: the columns of rounds.csv (its `epochs` as
    `epochs_trained`), each (configuration, seed) once. epochs, distances: rows of the same rounds. recorded: how many rounds
    each readable rounds.csv has, by position of the run. warnings: a line each.
    """

    runs: pd.DataFrame
    rounds: pd.DataFrame
    epochs: pd.DataFrame
    distances: pd.DataFrame
    recorded: "pd.Series[int]"
    keys: list[str]
    warnings: list[str]


def read_sweep(folders: Iterable[str | Path], detail: Literal["rounds", "report", "all"] = "all") -> Sweep:
    """Read all runs at or below the folders.

    detail: rounds alone; for a report, with the test accuracy per epoch and the distances of the rounds that are done; or
    all that is on record. A report leaves out runs that were not tested (test=false). Damaged files are left out and named in
    `warnings`. Raises RunError when there is no readable run.
    """
    tops = [Path(folder) for folder in folders]
    notes: list[str] = []
    found = read_abouts(tops, notes)
    directories, abouts = zip(*(tested_runs(found, tops, notes) if detail == "report" else found), strict=True)
    tables = [rounds_of(directory, about, notes) for directory, about in zip(directories, abouts, strict=True)]
    recorded = pd.Series({index: len(table) for index, table in enumerate(tables) if len(table)}, dtype="int64")
    runs = run_frame(tops, directories, abouts)
    rounds = distinct_rounds(stack(tables), runs, notes)
    wanted = {"rounds": rounds[:0], "report": rounds[rounds["status"] == "done"], "all": rounds}[detail]
    kept = {cast(int, index): part for index, part in wanted.groupby("run_index")}
    columns = None if detail == "all" else ["seed", "epoch", "test_accuracy"]
    every = {index: int(completed(about["configuration"])["test_every"]) for index, about in enumerate(abouts)}
    epochs = stack([epochs_of(runs["directory"][index], part, columns, every[index], notes) for index, part in kept.items()], kept)
    distances = stack([distances_of(runs["directory"][index], part, notes) for index, part in kept.items()], kept)
    keys = [name for name in runs.columns if name not in {*RUN_COLUMNS, *ABOUT}]
    return Sweep(runs, rounds, epochs, distances, recorded, keys, notes)


def read_abouts(tops: list[Path], notes: list[str]) -> list[tuple[Path, dict[str, Any]]]:
    """The readable runs, oldest first, each once: their folders and their run.json. Raises RunError when there is none."""
    found, damaged = [], []
    for directory in {path.resolve(): path for top in tops for path in find_runs(top)}.values():
        try:
            found.append((directory, checked_run(directory)))
        except RunError as error:
            damaged.append(f"{error}; it is left out")
    if not found:
        raise RunError(f"{tops[0]} holds no readable run, {len(damaged)} damaged: {damaged[0]}")
    notes += damaged
    found.sort(key=lambda item: (str(item[1].get("started") or ""), natural(str(item[0]))))
    return found


def tested_runs(found: list[tuple[Path, dict[str, Any]]], tops: list[Path], notes: list[str]) -> list[tuple[Path, dict[str, Any]]]:
    """The runs that were tested, the others counted in a note. Raises RunError when none was."""
    tested = [(directory, about) for directory, about in found if was_tested(about)]
    if not tested:
        raise RunError(f"{tops[0]} holds no tested run: all {len(found)} have test=false (as in a search), so there is nothing to report")
    if len(tested) < len(found):
        notes.append(f"{len(found) - len(tested)} runs were not tested (test=false); they are left out")
    return tested


RUN_COLUMNS = ["run", "directory", "run_status", "resumed", "seeds", "started", "command"]


def run_frame(tops: list[Path], directories: Sequence[Path], abouts: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """One row a run, as `Sweep` describes it."""
    base = Path(os.path.commonpath([top.resolve() for top in tops]))
    base = base.parent if base in {directory.resolve() for directory in directories} else base
    rows = []
    for directory, about in zip(directories, abouts, strict=True):
        own = {
            "run": str(directory.resolve().relative_to(base)),
            "directory": str(directory),
            "run_status": about["status"],
            "resumed": len(about.get("resumed", [])),
        }
        rest = {name: about.get(name) for name in ("started", "command", *ABOUT)}
        rows.append({**own, **rest, "seeds": len(about["seeds"]), **flatten(about["configuration"])})
    names = dict.fromkeys(name for row in rows for name in row)
    frame = pd.DataFrame({name: typed([row.get(name) for row in rows]) for name in names})
    return frame.astype({"git_commit": "string", "git_dirty": "boolean"})  # also where no run has any


def rounds_of(directory: Path, about: dict[str, Any], notes: list[str]) -> pd.DataFrame:
    """The rounds of a run; none, and a note, where the file is damaged or a finished run lacks it."""
    empty = pd.DataFrame()
    if not (directory / "rounds.csv").exists() and about["status"] in ("running", "interrupted", "pruned"):
        return empty
    try:
        return read_rounds(directory, was_tested(about)).rename(columns={"epochs": "epochs_trained"})
    except RunError as error:
        notes.append(f"{error}; its {len(about['seeds'])} rounds are left out")
        return empty


def epochs_of(directory: str, rounds: pd.DataFrame, columns: list[str] | None, every: int, notes: list[str]) -> pd.DataFrame:
    """The epochs of the rounds that count (a writer puts a round's epochs on disk before the round itself).

    every: how many epochs lie between two looks at the test pairs.
    """
    path, done = Path(directory) / "epochs.csv", rounds[rounds["status"] == "done"]
    try:
        frame = of_seeds(read_whole(path, columns, ["seed", "epoch"] + ["train_accuracy"] * (columns is None)), rounds)
        found, expected = len(of_seeds(frame, done)), int(done["epochs_trained"].sum())
        if columns is not None and frame.loc[frame["epoch"] % every == 0, "test_accuracy"].isna().any():
            raise RunError(f"{path} cannot be read: it has gaps")
        if found < expected:
            raise RunError(f"{path} cannot be read: it has {found} of {expected} epochs")
    except RunError as error:
        notes.append(f"{error}; its epochs are left out of the curves")
        return pd.DataFrame()
    return frame


def distances_of(directory: str, rounds: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """distances.csv of the rounds that count; older runs have none."""
    path = Path(directory) / "distances.csv"
    if not path.exists():
        return pd.DataFrame()
    try:
        frame = of_seeds(read_whole(path, DISTANCES, DISTANCES), rounds)
        pairs = frame.groupby("seed")["pairs"].sum()  # every round has the same number of test pairs
        if pairs.nunique() > 1 or not rounds.loc[rounds["status"] == "done", "seed"].isin(pairs.index).all():
            raise RunError(f"{path} cannot be read: it lacks rounds or distances")
    except RunError as error:
        notes.append(f"{error}; its distances are left out")
        return pd.DataFrame()
    return frame


def of_seeds(frame: pd.DataFrame, rounds: pd.DataFrame) -> pd.DataFrame:
    """The rows of these rounds' seeds."""
    kept = np.isin(frame["seed"].to_numpy(), rounds["seed"].to_numpy())
    return frame if kept.all() else frame[kept]


def stack(tables: list[pd.DataFrame], indices: Iterable[int] | None = None) -> pd.DataFrame:
    """Tables of several runs in one, with a column `run_index`: their positions in the list unless others are given."""
    pairs = [pair for pair in zip(range(len(tables)) if indices is None else indices, tables, strict=True) if len(pair[1])]
    if not pairs:
        return pd.DataFrame({"run_index": pd.Series(dtype="int32"), "seed": pd.Series(dtype="int64")})
    whole = pd.concat([table for _, table in pairs], ignore_index=True)
    whole["run_index"] = np.repeat(np.array([index for index, _ in pairs], dtype="int32"), [len(table) for _, table in pairs])
    return whole


def distinct_rounds(rounds: pd.DataFrame, runs: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Each (configuration, seed) once: a round that is done before one that failed, then that of the oldest run."""
    if "status" not in rounds:
        raise RunError(f"{runs['directory'][0]}: no round is on record yet" + (f"; {notes[0]}" if notes else ""))
    hashes = rounds["run_index"].map(runs["configuration_hash"])
    failed = rounds["status"] == "failed"
    ordered = rounds.assign(hash=hashes, failed=failed).sort_values("failed", kind="stable")
    again = ordered.duplicated(["hash", "seed"])
    twice = ordered[again & ~ordered["failed"]]
    if len(twice):
        where = ", ".join(sorted({str(runs["run"][index]) for index in twice["run_index"]})[:3])
        notes.append(
            f"{len(twice)} rounds are on record more than once (same configuration and seed, for one seed {twice['seed'].iloc[0]}); "
            f"each is counted once, the later ones are left out ({where})"
        )
    return rounds.loc[ordered.index[~again].sort_values()].reset_index(drop=True)


def load_rounds(folder: str | Path, *more: str | Path) -> pd.DataFrame:
    """All rounds at or below the folders as a tidy frame, one row a round.

    Columns: run (path relative to the folder), configuration_hash, parameters, engine, device, digitcmp, torch, python,
    git_commit, git_dirty, the configuration as typed dotted columns (`aux_weight`, `model.name`, `optimizer.lr`; lists as
    compact text), and those of rounds.csv (its `epochs` as `epochs_trained`). Accuracies are fractions, times seconds.
    What is damaged or on record twice is left out and told in a UserWarning. Raises RunError when there is no run.
    """
    sweep = read_sweep([folder, *more], "rounds")
    return tidy(sweep, sweep.rounds)


def load_epochs(folder: str | Path, *more: str | Path) -> pd.DataFrame:
    """All epochs of the rounds of `load_rounds`, one row a (round, epoch): the same columns, then those of epochs.csv."""
    sweep = read_sweep([folder, *more])
    status = sweep.rounds[["run_index", "seed", "status"]]
    return tidy(sweep, sweep.epochs.merge(status, on=["run_index", "seed"], how="left") if len(sweep.epochs) else sweep.epochs)


def tidy(sweep: Sweep, rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with the columns of their runs in front; what was noted while reading becomes warnings."""
    for note in sweep.warnings:
        warnings.warn(note, UserWarning, stacklevel=3)
    about = sweep.runs[["run", *ABOUT, *sweep.keys]].iloc[rows["run_index"].to_numpy()].reset_index(drop=True)
    return pd.concat([about, rows.drop(columns="run_index").reset_index(drop=True)], axis=1)
