"""Records on disk as pandas frames: all runs below some folders, replicates pooled, nothing counted twice."""

import json
import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from digitcmp.counting import counted
from digitcmp.errors import RunError
from digitcmp.experiment.about import read_about
from digitcmp.experiment.folders import natural, runs_and_others
from digitcmp.given import folder_of
from digitcmp.inert import line
from digitcmp.report.origins import in_order, last_begun, not_begun, sweep_of
from digitcmp.report.runs import EPOCH_COLUMNS, about_pictures, flatten, read_frames, typed, was_tested
from digitcmp.report.snapshot import Snapshot
from digitcmp.report.texts import TEXT

VERSIONS = ["digitcmp", "torch", "python", "git_commit", "git_dirty"]
ABOUT = ["configuration_hash", "parameters", "engine", "device", "platform", "plugins", *VERSIONS]
RUN_COLUMNS = ["run", "directory", "run_status", "resumed", "seeds", "recorded", "damaged", "started", "command", "sweep", "begun"]


@dataclass(frozen=True)
class Sweep:
    """What is on record below some folders. Rows of the frames point to their run by its position, in the column `run_index`.

    runs: one row a run, in the order in which they were asked for: RUN_COLUMNS (run: path relative to the folder; resumed: as in
    run.json, as JSON; seeds, recorded: how many it has, and has rounds of; damaged: what of it cannot be read; sweep, begun: as
    `origins.sweep_of`, `origins.last_begun`), ABOUT, and the configuration as dotted columns, named in `keys`. rounds: the columns of
    `RoundRow` (`epochs` as `epochs_trained`), each (configuration, seed) once unless all were asked for. epochs, distances: rows of the
    same rounds.
    warnings: a line each. configurations: nested, by hash.
    """

    runs: pd.DataFrame
    rounds: pd.DataFrame
    epochs: pd.DataFrame
    distances: pd.DataFrame
    keys: list[str]
    warnings: list[str]
    configurations: dict[str, dict[str, Any]]


def read_sweep(
    folders: Iterable[str | Path],
    columns: Sequence[str] = EPOCH_COLUMNS,
    for_report: bool = False,
    distinct: bool = True,
    snapshot: Snapshot | None = None,
) -> Sweep:
    """Read all runs at or below the folders.

    columns: those of the epochs that are wanted; none: neither epochs nor distances. for_report: leave out runs that were not tested
    (test=false), and the epochs of rounds that failed. distinct: leave out rounds that another run has, too. snapshot: where what is read
    is kept, and what is there is not read again. Damaged runs and records are left out and named in `warnings`. Raises RunError when there
    is no readable run.
    """
    tops = [folder_of(folder) for folder in folders]
    notes: list[str] = []
    kept = snapshot or Snapshot()
    directories, abouts = zip(*kept.runs_of(notes, partial(read_abouts, tops, for_report)), strict=True)
    frames = [read_frames(directory, about, columns, kept.records_of) for directory, about in zip(directories, abouts, strict=True)]
    notes += [text for one in frames for text in one.damaged]
    notes += about_pictures(directories, abouts) if for_report else []
    damaged = ["; ".join(text.removeprefix(f"{path}: ") for text in one.damaged) for path, one in zip(directories, frames, strict=True)]
    runs = run_frame(tops, directories, abouts).assign(recorded=[len(one.rounds) for one in frames], damaged=damaged)
    notes += not_begun(map(Path, runs["sweep"]), tops) if for_report else []
    rounds = stack([one.rounds for one in frames]).rename(columns={"epochs": "epochs_trained"})
    rounds = distinct_rounds(rounds, runs, notes) if distinct else rounds
    finished = rounds[rounds["status"] == "done"] if for_report else rounds
    wanted = pd.MultiIndex.from_frame(finished[["run_index", "seed"]])
    epochs, distances = (of_rounds(stack(tables), wanted) for tables in zip(*((one.epochs, one.distances) for one in frames), strict=True))
    keys = [name for name in runs.columns if name not in {*RUN_COLUMNS, *ABOUT}]
    configurations = {about["configuration_hash"]: about["configuration"] for about in abouts}
    return Sweep(runs, rounds, epochs, distances, keys, notes, configurations)


def read_abouts(tops: list[Path], for_report: bool, notes: list[str]) -> list[tuple[Path, dict[str, Any]]]:
    """The readable runs in the order of the report, each once: their folders and their run.json. for_report: those alone that were tested.

    The order is that in which they were asked for: by folder as given, by sweep (the older one first), by the job's number in it.

    Others are told of in the notes. Raises RunError when there is none.
    """
    found, damaged, top_of = [], [], dict[Path, int]()
    for index, top in enumerate(tops):
        runs, others = runs_and_others(top)
        damaged += [f"{directory} holds rounds.csv, and no run.json that says of what; it is left out" for directory in others]
        for directory in runs:
            if directory.resolve() in top_of:
                continue
            top_of[directory.resolve()] = index
            try:
                found.append((directory, read_about(directory)))
            except RunError as error:
                damaged.append(f"{error}; it is left out")
    if not found:
        raise RunError(f"{tops[0]} holds no readable run, {len(damaged)} damaged: {damaged[0]}")
    notes += damaged

    def begun(item: tuple[Path, dict[str, Any]]) -> tuple[Any, ...]:
        return item[1]["started"], natural(str(item[0]))

    found.sort(key=begun)
    sweeps: dict[Path, list[tuple[Path, dict[str, Any]]]] = {}  # in the order in which they were begun
    for item in found:
        sweeps.setdefault(item[0].parent, []).append(item)
    found = [item for runs in sweeps.values() for item in in_order(runs)]
    found.sort(key=lambda item: top_of[item[0].resolve()])
    kept = [(directory, about) for directory, about in found if was_tested(about) or not for_report]
    if not kept:
        raise RunError(f"{tops[0]} holds no tested run: all {len(found)} have test=false (as in a search), so there is nothing to report")
    if len(kept) < len(found):
        notes.append(f"not tested (test=false), and left out: {counted(len(found) - len(kept), 'run')}")
    return kept


def run_frame(tops: list[Path], directories: Sequence[Path], abouts: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """One row a run, as `Sweep` describes it."""
    base = Path(os.path.commonpath([top.resolve() for top in tops]))
    base = base.parent if base in {directory.resolve() for directory in directories} else base
    rows = []
    for directory, about in zip(directories, abouts, strict=True):
        own = {"run": os.path.relpath(directory.resolve(), base), "directory": str(directory), "run_status": about["status"]}
        own |= {"resumed": json.dumps(about.get("resumed", [])), "seeds": len(about["seeds"])}
        own |= {"sweep": str(sweep_of(directory, about)), "begun": last_begun(about)}
        own |= {name: about.get(name) for name in ("started", "command", *ABOUT)}
        # as text; runs of earlier versions have none
        own |= {name: json.dumps(about.get(name) or {}, sort_keys=True, ensure_ascii=False) for name in ("platform", "plugins")}
        rows.append({**own, **flatten(about["configuration"]), **own})  # no key of a configuration hides what the run itself is
    names = dict.fromkeys(name for row in rows for name in row)
    frame = pd.DataFrame({name: typed([row.get(name) for row in rows]) for name in names})
    frame["directory"] = pd.Series(list(map(str, directories)), dtype="object")  # as it is: it is opened again
    return frame.astype({"git_commit": TEXT, "git_dirty": "boolean"})  # also where no run has any


def of_rounds(rows: pd.DataFrame, wanted: pd.MultiIndex) -> pd.DataFrame:
    """The rows of these rounds, given as (run_index, seed)."""
    kept = pd.MultiIndex.from_frame(rows[["run_index", "seed"]]).isin(wanted)
    return rows if kept.all() else rows[kept].reset_index(drop=True)


def stack(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tables of several runs in one, with a column `run_index`: their positions in the list."""
    whole = pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)
    whole["run_index"] = np.repeat(np.arange(len(tables), dtype="int32"), [len(table) for table in tables])
    return whole


def distinct_rounds(rounds: pd.DataFrame, runs: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Each (configuration, seed) once: a round that is done before one that failed, then that of the oldest run. Notes tell what is left
    out."""
    if rounds.empty:
        raise RunError(f"{runs['directory'][0]}: no round is on record yet" + (f"; {notes[0]}" if notes else ""))
    hashes = rounds["run_index"].map(runs["configuration_hash"])
    failed = rounds["status"] == "failed"
    started = rounds["run_index"].map(runs["started"])
    ordered = rounds.assign(hash=hashes, failed=failed, started=started).sort_values(["failed", "started"], kind="stable")
    again = ordered.duplicated(["hash", "seed"])
    done_elsewhere = ordered["failed"] & ~ordered.groupby(["hash", "seed"])["failed"].transform("first")
    for left_out, told in (
        (again & ~done_elsewhere, "on record more than once: {}; each is counted once, the later ones are left out ({})"),
        (done_elsewhere, "failed in one run and done in another: {}; counted as done, the failed ones are left out ({})"),
    ):
        if len(rows := ordered[left_out]):
            what = f"{counted(len(rows), 'round')} (same configuration and seed, as seed {rows['seed'].iloc[0]})"
            notes.append(told.format(what, ", ".join(sorted({str(runs["run"][index]) for index in rows["run_index"]})[:3])))
    return rounds.loc[ordered.index[~again].sort_values()].reset_index(drop=True)


def load_rounds(folder: str | Path, *more: str | Path) -> pd.DataFrame:
    """All rounds at or below the folders as a tidy frame, one row a round. What differs comes first. In this order:

    - `run` (string): its path relative to the folder;
    - the configuration keys in which the runs differ, dotted (`model.name`, `optimizer.lr`): bool, int64, float64 or string, and boolean
      or Int64 where some have no value; lists as compact text;
    - `seed` (int64), `status` (string: done, failed), `epochs_trained` (int64);
    - `train_loss` (float64, nats, mean over the batches of the last epoch); `train_accuracy`, `test_accuracy`, `digit_accuracy`,
      `val_accuracy` (float64, fractions), NaN where there are none;
    - `best_epoch` (Int64, from 1) and `best_accuracy` (float64, a fraction): the epoch with the best validation accuracy (test accuracy
      where there is none), and that;
    - `majority_accuracy` (float64, a fraction: always giving the more frequent answer to the test pairs);
    - `seconds` (float64, of the round alone), `error` (string);
    - the configuration keys that all runs have in common;
    - `configuration_hash` (string), `parameters` (int64), `engine`, `device` (string), `platform`, `plugins` (string, JSON), `digitcmp`,
      `torch`, `python`, `git_commit` (string), `git_dirty` (boolean).

    What is damaged or on record twice is left out and told in a UserWarning. Raises RunError when there is no run.
    """
    sweep = read_sweep([folder, *more], columns=())
    warn(sweep)
    return tidy(sweep, sweep.rounds)


def load_epochs(folder: str | Path, *more: str | Path) -> pd.DataFrame:
    """All epochs of the rounds of `load_rounds`, one row a (round, epoch): as there, with these in place of the columns of a round.

    `seed`, `epoch` (int64, from 1); `train_loss` (float64, nats), the accuracies (float64, fractions), NaN where an epoch was not tested;
    `seconds` (float64, of the epoch's training); `status` (string, of the round).
    """
    sweep = read_sweep([folder, *more])
    warn(sweep)
    return tidy_epochs(sweep)


def warn(sweep: Sweep) -> None:
    """What was noted while reading, as warnings to whoever has called a function of this module."""
    for note in sweep.warnings:
        warnings.warn(line(note), UserWarning, stacklevel=3)


def tidy_epochs(sweep: Sweep) -> pd.DataFrame:
    """The epochs, with the status of their round, as `load_epochs` gives them."""
    status = sweep.rounds[["run_index", "seed", "status"]]
    return tidy(sweep, sweep.epochs.merge(status, on=["run_index", "seed"], how="left"))


def tidy(sweep: Sweep, rows: pd.DataFrame) -> pd.DataFrame:
    """Rows between the columns of their runs, those that differ in front."""
    about = sweep.runs[["run", *sweep.keys, *ABOUT]].iloc[rows["run_index"].to_numpy()].reset_index(drop=True)
    differing = ["run", *(key for key in sweep.keys if sweep.runs[key].nunique(dropna=False) > 1)]
    return pd.concat([about[differing], rows.drop(columns="run_index").reset_index(drop=True), about.drop(columns=differing)], axis=1)
