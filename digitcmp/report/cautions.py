"""What a reader of the report must know before believing it: a line each."""

import json
from collections.abc import Iterable, Sequence
from math import ceil, log2
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from digitcmp.config.identity import TESTED, TRAINED, data_defaults
from digitcmp.config.network import is_idle
from digitcmp.counting import are, counted, some
from digitcmp.experiment.folders import PREVIEW
from digitcmp.report.frames import Sweep
from digitcmp.report.texts import TEXT

DRAWN = 24  # configurations in a figure
ALPHA = 0.05  # of the tests
SAME = ["digitcmp", "torch", "git_commit", "git_dirty", "engine", "device", "platform"]  # what one report should not mix
CHOSEN = "validation accuracies of the best epoch, chosen on the same pairs (stopping.best, stopping.patience), are too high"
IDLE = "aux_weight=0: parameters count model.digit_head, which nothing trains and nothing reads"
UNFINISHED = {"running": "still running (or killed)", "interrupted": "interrupted", "pruned": "ended early by a search"}


def cautions(sweep: Sweep, rounds: pd.DataFrame, known: pd.DataFrame, table: pd.DataFrame, comparisons: pd.DataFrame) -> list[str]:
    """What reading noted, mixed versions, unfinished runs, failed and too few rounds. known: the configurations."""
    previews = [str(folder) for folder in sweep.runs["sweep"].unique() if (Path(str(folder)) / PREVIEW).is_file()]
    seen = [f"a preview, of two rounds and two epochs: these are no results ({some(previews)})"] if previews else []
    lines = [*seen, *sweep.warnings, *mixtures(sweep, rounds), *about_runs(sweep.runs)]
    for keys, told in ((TESTED, "equal seeds do not have equal test pairs there"), (TRAINED, "they were trained on different pairs")):
        values = data_keys(known, keys)
        if unlike := [str(name) for name in values if values[name].nunique(dropna=False) > 1]:
            lines.append(f"configurations differ in {', '.join(unlike)}: {told}")
    lines += [f"{IDLE}: {some(idle)}"] if (idle := with_idle_head(known)) else []
    return [*lines, *about_rounds(table), *about_comparisons(comparisons)]


def data_keys(frame: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """The columns of a frame, of these keys of `data`, with the defaults where the configuration of an earlier version has no such key."""
    there = frame[[key for key in keys if key in frame]]
    return there.fillna({key: value for key, value in data_defaults().items() if key in there})


def with_best_weights(known: pd.DataFrame) -> list[str]:
    """The labels of the configurations whose rounds end with the weights of their best epoch, by its validation accuracy."""
    none = pd.Series(False, known.index)
    best = known["stopping.best"].fillna(False).astype(bool) if "stopping.best" in known else none
    waiting = known["stopping.patience"].notna() if "stopping.patience" in known else none
    return [str(label) for label in known.loc[best | waiting, "label"]]


def with_idle_head(known: pd.DataFrame) -> list[str]:
    """The labels of the configurations whose parameters are also those of a digit head that does nothing."""
    keys = ["aux_weight", "model.digit_head.reads", "model.comparator.reads"]
    there = known.reindex(columns=["label", *keys]).dropna()  # a run.json that somebody has edited may lack them
    return [str(label) for label, *read in there.itertuples(index=False) if is_idle(*read)]


def about_rounds(table: pd.DataFrame) -> list[str]:
    """Rounds that failed or collapsed, and too few of them. table: as `summarise`."""
    counts = {
        "failed rounds lose every comparison, and means leave them out": with_numbers(table[table["failed"] > 0], "failed"),
        "the mean's interval is not reliable, single rounds are far worse than the others": with_numbers(
            table[table["collapsed"] > 0], "collapsed"
        ),
        "fewer than 2 rounds, so no standard deviation, interval or test": with_numbers(table[table["rounds"] < 2], "rounds"),
    }
    return [f"{what}: {told}" for what, told in counts.items() if told]


def about_comparisons(comparisons: pd.DataFrame) -> list[str]:
    """Comparisons that cannot find anything, and those in which mean and rank difference disagree, one of which is not zero by its
    interval. comparisons: as `compare`.

    The p of n pairs that differ cannot come below 2 / 2^n, and the smallest of m is multiplied by m (Holm 1979).
    """
    family = max(1, int(comparisons["p"].notna().sum()))
    needed = ceil(log2(2 * family / ALPHA))
    untied = comparisons.assign(untied=(comparisons["pairs"] - comparisons["tied"]).astype("int64"))
    signs = np.sign(comparisons[["difference", "difference_low", "difference_high", "mean", "low", "high"]].astype("float64"))
    shown = (signs["difference_low"] * signs["difference_high"] > 0) | (signs["low"] * signs["high"] > 0)
    opposed = comparisons[(signs["difference"] * signs["mean"] < 0) & shown]
    whole = np.isfinite(opposed["difference"].astype("float64"))  # else most rounds failed, and it is these that decide
    lacking, decide = "without the failed rounds, which lose by rank, the mean", "as a few rounds decide the mean"
    # in a family, others with small p leave room for one with fewer pairs
    few = f"fewer than {needed} pairs that differ, too few for a corrected p below {ALPHA:g} in {counted(family, 'comparison')}"
    testable = untied["p"].notna() | (untied["pairs"] < 2)  # of times that are shares of one, there is no p however many there are
    lines = {
        few: with_numbers(untied[testable & (untied["untied"] < needed) & ~(untied["p_holm"] < ALPHA)], "untied", "pair"),
        f"mean and rank difference have opposite signs, {decide}": some(map(str, opposed.loc[whole, "label"])),
        f"{lacking} has the opposite sign of the rank difference": some(map(str, opposed.loc[~whole, "label"])),
    }
    return [f"{what}: {told}" for what, told in lines.items() if told]


def with_numbers(rows: pd.DataFrame, column: str, noun: str = "round") -> str:
    """Labels with how many of these are theirs: net1 (1 round), net2 (3 rounds); empty without rows."""
    return some(f"{label} ({counted(count, noun)})" for label, count in zip(rows["label"], rows[column], strict=True))


def mixtures(sweep: Sweep, rounds: pd.DataFrame) -> list[str]:
    """Different versions, engines, devices or machines in one report, and the configurations within which they are pooled."""
    lines = []
    for name in SAME:
        lines += mixture(name, rounds["run_index"].map(told_apart(sweep.runs, name)), rounds["label"])
    plugins = uses(sweep.runs, "plugins")
    for name in sorted({name for used in plugins for one in used for name in one}):  # runs without it do without
        own = plugins.map(lambda used, name=name: in_words(one[name] for one in used if name in one))
        of_rounds = rounds["run_index"].map(own[own.map(len) > 0]).dropna()
        lines += mixture(name, of_rounds, rounds.loc[of_rounds.index, "label"])
    return lines


def mixture(name: str, values: "pd.Series[Any]", labels: "pd.Series[Any]") -> list[str]:
    """That rounds have different values of what this is, in a line; none where they have not. values: as `told_apart`, of each round;
    labels: their configurations.

    No record says which rounds of a resumed run were trained before that, and by several processes they may be either."""
    counts = values.map(" then ".join).value_counts(sort=False)
    resumed = values.map(len) > 1
    if len(counts) < 2 and not resumed.any():
        return []
    within = values[~resumed].groupby(labels[~resumed], observed=True).nunique()
    pooled = [str(label) for label in within.index[within > 1]]
    perhaps = [label for label in map(str, labels[resumed].unique()) if label not in pooled]
    told = some(f"{value} ({counted(number, 'round')})" for value, number in counts.items())
    where = [f"pooled within {some(pooled)}"] if pooled else []
    where += [f"perhaps pooled within {some(perhaps)}, of which runs were resumed with another"] if perhaps else []
    return [f"different {name} in one report: {told}; {'; '.join(where) or 'never within a configuration'}"]


def uses(runs: pd.DataFrame, name: str) -> "pd.Series[Any]":
    """What run.json says under this name, of each run a list: before each time that it was resumed with anything else, and now."""
    # a list: a column of dictionaries would give each of them the keys of all
    now = [json.loads(text) for text in runs[name]] if name in ("platform", "plugins") else runs[name].astype(TEXT).fillna("unknown")
    before = ([one[name] for one in json.loads(text) if name in one] for text in runs["resumed"])
    if name == "plugins":
        before = ([one for one in used if isinstance(one, dict)] for used in before)
    return pd.Series([[*used, last] for used, last in zip(before, now, strict=True)], index=runs.index, dtype="object")


def told_apart(runs: pd.DataFrame, name: str) -> "pd.Series[Any]":
    """The different ones among these of each run, in words and in their order; machines by what differs between any."""
    found = uses(runs, name)
    return found.map(in_words) if name != "platform" else differing(found)


def in_words(values: Iterable[Any]) -> tuple[str, ...]:
    """The different ones of these, in their order; unknown where one is not on record."""
    return tuple(dict.fromkeys("unknown" if value is None else str(value) for value in values))


def differing(platforms: "pd.Series[Any]") -> "pd.Series[Any]":
    """Machines by what differs between them: cpu_capability AVX512, device_name …; unknown where none is on record."""
    read = [one for used in platforms for one in used]
    keys = [key for key in dict.fromkeys(key for one in read if one for key in one) if len({str(one.get(key)) for one in read if one}) > 1]
    return platforms.map(
        lambda used: in_words((", ".join(f"{key} {one.get(key)}" for key in keys) or "known") if one else None for one in used)
    )


def about_runs(runs: pd.DataFrame) -> list[str]:
    """Runs whose code nobody can get back, or cannot be told for each round; runs that are not finished, or lack rounds."""
    lines = []
    if dirty := int(uses(runs, "git_dirty").map(lambda used: "True" in in_words(used)).sum()):
        lines.append(f"{dirty} of {counted(len(runs), 'run')} made with uncommitted changes in the code (git_dirty)")
    if (resumed := runs["resumed"] != "[]").any():
        lines.append(
            f"{resumed.sum()} resumed with other code, or with another engine or device, than they began with: "
            f"{some(runs.loc[resumed, 'run'])}"
        )
    for status, word in UNFINISHED.items():
        if (found := runs["run_status"] == status).any():
            lines.append(f"{counted(int(found.sum()), 'run')} {are(int(found.sum()))} {word}: {progress(runs[found])}")
    # replicates that were left out are not missing
    short = runs["run_status"].isin(["done", "failed"]) & (runs["recorded"] < runs["seeds"])
    if short.any():
        lines.append(f"{counted(int(short.sum()), 'ended run')} without all rounds: {progress(runs[short])}")
    return lines


def progress(runs: pd.DataFrame) -> str:
    """How many of their rounds these runs have on record: a (6 of 8 rounds)."""
    columns = zip(runs["run"], runs["recorded"], runs["seeds"], strict=True)
    return some(f"{name} ({done} of {counted(seeds, 'round')})" for name, done, seeds in columns)
