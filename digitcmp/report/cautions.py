"""What a reader of the report must know before believing it: a line each."""

from collections.abc import Iterable

import pandas as pd

from digitcmp.report.frames import Sweep
from digitcmp.report.metrics import Metric

NAMED = 5  # so many things are named in a line, the rest is counted
DRAWN = 24  # configurations in a figure
PAIRS = 6  # below that the Wilcoxon test is blind at 5 %
SAME = ["digitcmp", "torch", "git_commit", "git_dirty", "engine", "device"]  # what one report should not mix
TESTED = ["data.source", "data.target", "data.test_pairs"]  # what makes the test pairs of a seed


def cautions(sweep: Sweep, rounds: pd.DataFrame, known: pd.DataFrame, table: pd.DataFrame, comparisons: pd.DataFrame) -> list[str]:
    """What reading noted, mixed versions, unfinished runs, failed and too few rounds. known: the configurations."""
    code = [*mixtures(sweep, rounds), *uncommitted(sweep), *resumed(sweep)]
    own = [*code, *unfinished(sweep), *short_of_rounds(sweep), *other_pairs(known)]
    return [*sweep.warnings, *own, *failures(table), *too_few(table), *few_pairs(comparisons)]


def some(items: Iterable[str]) -> str:
    """a, b, c and 2 more."""
    names = list(items)
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


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


def uncommitted(sweep: Sweep) -> list[str]:
    """Runs of a checkout with changes: nobody can get their code back."""
    count = int(sweep.runs["git_dirty"].fillna(False).sum())
    return [f"{count} of {len(sweep.runs)} runs were made with uncommitted changes in the code (git_dirty)"] if count else []


def resumed(sweep: Sweep) -> list[str]:
    """Runs that were begun with one version of the code and finished with another: their rounds cannot be told apart."""
    runs = sweep.runs[sweep.runs["resumed"] > 0]
    return [f"{len(runs)} resumed with other code than they began with: {some(runs['run'])}"] if len(runs) else []


def unfinished(sweep: Sweep) -> list[str]:
    """Runs that are still running or were ended before their last round, with how far they are."""
    lines = []
    for status, word in (("running", "still running (or killed)"), ("interrupted", "interrupted"), ("pruned", "ended early by a search")):
        runs = sweep.runs[sweep.runs["run_status"] == status]
        if len(runs):
            lines.append(f"{len(runs)} {'run is' if len(runs) == 1 else 'runs are'} {word}: {some(progress(runs))}")
    return lines


def short_of_rounds(sweep: Sweep) -> list[str]:
    """Runs that ended with fewer rounds on record than they have seeds (replicates left out are not missing)."""
    ended = sweep.runs[sweep.runs["run_status"].isin(["done", "failed"])]
    short = ended[ended["recorded"] < ended["seeds"]]
    return [f"{len(short)} ended {'run lacks' if len(short) == 1 else 'runs lack'} rounds: {some(progress(short))}"] if len(short) else []


def progress(runs: pd.DataFrame) -> list[str]:
    """How many of their rounds these runs have on record: a (6 of 8 rounds)."""
    return [f"{name} ({done} of {seeds} rounds)" for name, done, seeds in zip(runs["run"], runs["recorded"], runs["seeds"], strict=True)]


def other_pairs(configurations: pd.DataFrame) -> list[str]:
    """Configurations that are tested on other pairs: differences paired by seed then mean less."""
    names = [name for name in TESTED if name in configurations and configurations[name].nunique(dropna=False) > 1]
    return [f"configurations differ in {', '.join(names)}: equal seeds do not have equal test pairs there"] if names else []


def failures(table: pd.DataFrame) -> list[str]:
    """Failed rounds, which no average contains."""
    failed = table[table["failed"] > 0]
    told = some(f"{label} ({count})" for label, count in zip(failed["label"], failed["failed"], strict=True))
    return [f"failed rounds are left out: {told}"] if len(failed) else []


def not_measured(table: pd.DataFrame, metric: Metric) -> list[str]:
    """Configurations whose rounds have no value of the metric: no digit head, no validation pairs."""
    without = table.loc[table["mean"].isna() & (table["rounds"] > 0), "label"]
    return [f"no {metric.title} on record: {some(without)}"] if len(without) else []


def too_few(table: pd.DataFrame) -> list[str]:
    """Configurations for which there is no deviation."""
    few = [f"{label} ({count})" for label, count in zip(table["label"], table["rounds"], strict=True) if count < 2]
    return [f"fewer than 2 rounds, so no standard deviation, interval or test: {some(few)}"] if few else []


def few_pairs(comparisons: pd.DataFrame) -> list[str]:
    """Comparisons whose p cannot come below 5 %, whatever the rounds say: 2 / 2^n for n pairs."""
    few = comparisons[comparisons["pairs"] < PAIRS]
    told = some(f"{label} ({pairs})" for label, pairs in zip(few["label"], few["pairs"], strict=True))
    return [f"fewer than {PAIRS} pairs, too few for the Wilcoxon test to find anything: {told}"] if len(few) else []


def not_drawn(table: pd.DataFrame) -> list[str]:
    """Configurations that no figure has room for."""
    return [f"figures show the first {DRAWN} of {len(table)} configurations"] if len(table) > DRAWN else []
