"""Which of the rounds on record are trained again. Imports no torch."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from digitcmp.counting import counted
from digitcmp.errors import RunError
from digitcmp.experiment.about import read_about
from digitcmp.experiment.folders import runs_and_others
from digitcmp.report.frames import Sweep, read_sweep
from digitcmp.report.labels import configurations
from digitcmp.report.study import labelled
from digitcmp.verify.reported import reported_contradictions
from digitcmp.verify.tables import table_contradictions

FIGURES = ["train_loss", "train_accuracy", "test_accuracy", "digit_accuracy", "val_accuracy"]  # of an epoch, and of a round's last


@dataclass(frozen=True)
class Drawn:
    """What is on record, and what of it was drawn.

    rounds: those drawn, with the columns of `Sweep.rounds` and their label; epochs: theirs. counts: a row a configuration, with its
    label, and how many of its rounds are on record, broken (before their first epoch, so that there is nothing to compare), drawn.
    contradictions: of rounds, drawn or not, with their own epochs and with what is published of them, as in `contradictions`,
    `tables.table_contradictions` and `reported.reported_contradictions`. seed: of the draw. reasons: by label, why rounds cannot be read,
    or cannot be trained again here though they were drawn; these are not in rounds, epochs and counts["drawn"] any more.
    """

    folder: Path
    sweep: Sweep
    rounds: pd.DataFrame
    epochs: pd.DataFrame
    counts: pd.DataFrame
    contradictions: dict[str, str]
    seed: int
    reasons: dict[str, str] = field(default_factory=dict)

    @property
    def unread(self) -> int:
        """How many runs could not be read, so that nothing of them is verified."""
        runs, others = runs_and_others(self.folder)
        return len({path.resolve() for path in [*runs, *others]}) - len(self.sweep.runs)

    def without(self, reasons: dict[int, str]) -> "Drawn":
        """What is left without these runs, which cannot be trained again. reasons: why, by run_index."""
        out = self.rounds["run_index"].isin(reasons)
        lost = dict(zip(self.rounds.loc[out, "label"].astype(str), self.rounds.loc[out, "run_index"].map(reasons), strict=True))
        rounds = self.rounds[~out].reset_index(drop=True)
        drawn = self.counts["label"].map(rounds["label"].astype(str).value_counts()).fillna(0).astype("int64")
        epochs = self.epochs[~self.epochs["run_index"].isin(reasons)].reset_index(drop=True)
        return replace(self, rounds=rounds, epochs=epochs, counts=self.counts.assign(drawn=drawn), reasons=self.reasons | lost)

    def about(self, run: int) -> dict[str, Any]:
        """run.json of the run at this position of `sweep.runs`."""
        return read_about(self.directory(run))

    def directory(self, run: int) -> Path:
        """The folder of the run at this position of `sweep.runs`."""
        return Path(str(self.sweep.runs["directory"][run]))


def draw(folder: Path, count: int, seed: int) -> Drawn:
    """Draw so many rounds of each configuration at or below the folder, all of one that has no more; also of rounds that diverged.

    seed: equal ones draw equal rounds. Raises RunError for folders without runs, without rounds, or without epochs;
    for a table of no such rounds.
    """
    sweep = read_sweep([folder])
    known = configurations(sweep)
    rounds = labelled(sweep.rounds, sweep, known)
    begun = rounds[rounds["epochs_trained"] > 0]
    if begun.empty:
        raise RunError(
            f"{folder}: all of its {counted(len(rounds), 'round')} failed before their first epoch, so that there is nothing to verify"
        )
    if sweep.epochs.empty:
        raise RunError(f"{folder} has rounds on record, but no epochs of them, so that there is nothing to compare with")
    random = np.random.default_rng(seed)
    chosen = [
        group.index[random.choice(len(group), size=min(count, len(group)), replace=False)]
        for _, group in begun.groupby("label", observed=True)
    ]
    drawn = begun.loc[np.concatenate(chosen)].sort_values(["label", "seed"], ignore_index=True)
    counts = pd.DataFrame({"label": known["label"].astype(str)})
    for name, some in {"recorded": begun, "broken": rounds[rounds["epochs_trained"] == 0], "drawn": drawn}.items():
        counts[name] = some.groupby("label", observed=False).size().to_numpy()
    epochs = sweep.epochs.merge(drawn[["run_index", "seed"]], on=["run_index", "seed"])
    ended = set(sweep.runs.loc[sweep.runs["run_status"] != "pruned", "configuration_hash"])
    counts = counts[known["configuration_hash"].isin(ended) | (counts[["recorded", "broken"]].sum(axis=1) > 0)].reset_index(drop=True)
    published = {**table_contradictions(folder, rounds, known), **reported_contradictions(folder, known)}
    wrong = {**lacking(sweep, known), **published, **contradictions(begun, sweep.epochs)}
    return Drawn(folder, sweep, drawn, epochs, counts, wrong, seed, unreadable(sweep, known))


def lacking(sweep: Sweep, known: pd.DataFrame) -> dict[str, str]:
    """By label, what its ended runs lack of the rounds that their run.json names, in words: whoever publishes may not leave any out."""
    runs = incomplete(sweep, known)
    return {run["label"]: run["told"] for run in runs[runs["damaged"] == ""].to_dict("records")}


def unreadable(sweep: Sweep, known: pd.DataFrame) -> dict[str, str]:
    """By label, which rounds of its ended runs cannot be read, in words: none of them can be verified, and none is known to differ."""
    runs = incomplete(sweep, known)
    return {run["label"]: f"{run['told']}; {run['damaged']}" for run in runs[runs["damaged"] != ""].to_dict("records")}


def incomplete(sweep: Sweep, known: pd.DataFrame) -> pd.DataFrame:
    """The ended runs without a record of each of their seeds, with label, and told: how many there are, in words."""
    runs = sweep.runs[sweep.runs["run_status"].isin(["done", "failed"]) & (sweep.runs["recorded"] < sweep.runs["seeds"])]
    told = [f"{recorded} of {counted(seeds, 'round')} on record" for recorded, seeds in zip(runs["recorded"], runs["seeds"], strict=True)]
    labels = dict(zip(known["configuration_hash"], known["label"].astype(str), strict=True))
    return runs.assign(label=runs["configuration_hash"].map(labels), told=told)


def contradictions(rounds: pd.DataFrame, epochs: pd.DataFrame) -> dict[str, str]:
    """By label, the first of its rounds whose figures are not those of its last epoch, or whose best is not the best of its
    epochs, in words. Whoever alters one must alter both."""
    last = epochs.sort_values("epoch", kind="stable").drop_duplicates(["run_index", "seed"], keep="last")
    # as `digitcmp.train.round.round_row` has it
    measured = epochs.assign(highest=epochs["val_accuracy"].fillna(epochs["test_accuracy"]))
    highest = measured.groupby(["run_index", "seed"], as_index=False)["highest"].max()
    both = rounds.merge(last, on=["run_index", "seed"], how="left", suffixes=("", "_last")).merge(
        highest, on=["run_index", "seed"], how="left"
    )
    found: dict[str, str] = {}
    for row in both.to_dict("records"):
        where = f"seed {row['seed']}: its record says"
        if pd.isna(row["epoch"]) or row["epoch"] != row["epochs_trained"]:
            there = "none" if pd.isna(row["epoch"]) else f"epoch {row['epoch']:.0f} last"
            found.setdefault(str(row["label"]), f"{where} {counted(row['epochs_trained'], 'epoch')}, its epochs have {there}")
        for name in FIGURES:
            if not equal(row[name], row[f"{name}_last"]):
                found.setdefault(str(row["label"]), f"{where} {name} {row[name]:.8g}, its last epoch {row[f'{name}_last']:.8g}")
        if not equal(row["best_accuracy"], row["highest"]):
            found.setdefault(
                str(row["label"]), f"{where} best_accuracy {row['best_accuracy']:.8g}, the best of its epochs {row['highest']:.8g}"
            )
    return found


def equal(one: float, other: float) -> bool:
    """Whether two figures are the same, also where there is none."""
    return one == other or bool(np.isnan(one) and np.isnan(other))
