"""What a reader of the report must know before believing it: a line each."""

from collections.abc import Iterable

import pandas as pd

from digitcmp.report.frames import Sweep

NAMED = 5  # so many things are named in a line, the rest is counted
DRAWN = 24  # configurations in a figure
PAIRS = 6  # below that the Wilcoxon test is blind at 5 %: its p cannot come below 2 / 2^n for n pairs
SAME = ["digitcmp", "torch", "git_commit", "git_dirty", "engine", "device"]  # what one report should not mix
TESTED = ["data.source", "data.fingerprint", "data.target", "data.test_pairs"]  # what makes the test pairs of a seed
UNFINISHED = {"running": "still running (or killed)", "interrupted": "interrupted", "pruned": "ended early by a search"}


def cautions(sweep: Sweep, rounds: pd.DataFrame, known: pd.DataFrame, table: pd.DataFrame, comparisons: pd.DataFrame) -> list[str]:
    """What reading noted, mixed versions, unfinished runs, failed and too few rounds. known: the configurations."""
    lines = [*sweep.warnings, *mixtures(sweep, rounds), *about_runs(sweep.runs)]
    if differing := [name for name in TESTED if name in known and known[name].nunique(dropna=False) > 1]:
        lines.append(f"configurations differ in {', '.join(differing)}: equal seeds do not have equal test pairs there")
    counts = {
        "failed rounds are left out": counted(table[table["failed"] > 0], "failed"),
        "fewer than 2 rounds, so no standard deviation, interval or test": counted(table[table["rounds"] < 2], "rounds"),
        f"fewer than {PAIRS} pairs, too few for the Wilcoxon test to find anything": counted(
            comparisons[comparisons["pairs"] < PAIRS], "pairs"
        ),
    }
    return lines + [f"{what}: {told}" for what, told in counts.items() if told]


def some(items: Iterable[str]) -> str:
    """a, b, c and 2 more."""
    names = list(items)
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def counted(rows: pd.DataFrame, column: str) -> str:
    """Labels with a number of theirs: net1 (1), net2 (3); empty without rows."""
    return some(f"{label} ({count})" for label, count in zip(rows["label"], rows[column], strict=True))


def mixtures(sweep: Sweep, rounds: pd.DataFrame) -> list[str]:
    """Different versions, engines or devices in one report, and the configurations within which they are pooled."""
    lines = []
    for name in SAME:
        values = rounds["run_index"].map(sweep.runs[name].astype("string").fillna("unknown"))
        counts = values.value_counts(sort=False)
        if len(counts) > 1:
            within = values.groupby(rounds["label"], observed=True).nunique()
            pooled = some(str(label) for label in within.index[within > 1])
            told = some(f"{value} ({count} rounds)" for value, count in counts.items())
            lines.append(
                f"different {name} in one report: {told}; " + (f"pooled within {pooled}" if pooled else "never within a configuration")
            )
    return lines


def about_runs(runs: pd.DataFrame) -> list[str]:
    """Runs whose code nobody can get back, or cannot be told for each round; runs that are not finished, or lack rounds."""
    lines = []
    if dirty := int(runs["git_dirty"].fillna(False).sum()):
        lines.append(f"{dirty} of {len(runs)} runs were made with uncommitted changes in the code (git_dirty)")
    if (resumed := runs["resumed"] > 0).any():
        lines.append(
            f"{resumed.sum()} resumed with other code, or on another device, than they began with: {some(runs.loc[resumed, 'run'])}"
        )
    for status, word in UNFINISHED.items():
        if (found := runs["run_status"] == status).any():
            lines.append(f"{found.sum()} {'run is' if found.sum() == 1 else 'runs are'} {word}: {progress(runs[found])}")
    # replicates that were left out are not missing
    short = runs["run_status"].isin(["done", "failed"]) & (runs["recorded"] < runs["seeds"])
    if short.any():
        lines.append(f"{short.sum()} ended {'run lacks' if short.sum() == 1 else 'runs lack'} rounds: {progress(runs[short])}")
    return lines


def progress(runs: pd.DataFrame) -> str:
    """How many of their rounds these runs have on record: a (6 of 8 rounds)."""
    columns = zip(runs["run"], runs["recorded"], runs["seeds"], strict=True)
    return some(f"{name} ({done} of {seeds} rounds)" for name, done, seeds in columns)
