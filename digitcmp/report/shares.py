"""Times of rounds that were trained in stacks: equal shares of the time of a stack, which is one measurement for all of them."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pandas as pd

from digitcmp.counting import some
from digitcmp.report.comparisons import holm
from digitcmp.report.factorial import Effects
from digitcmp.report.metrics import Metric

TIME = "seconds"
# what says how far other measurements may be from these, or counts rounds as if each were one
UNCERTAIN = ["std", "low", "high", "median_low", "median_high", "mean_low", "mean_high", "interquartile_low", "interquartile_high"]
UNCERTAIN += ["difference_low", "difference_high", "p", "p_holm", "better", "better_low", "better_high", "d_z", "rank_biserial"]


def sharing(rounds: pd.DataFrame, metric: Metric) -> dict[str, tuple[int, int]]:
    """By label, how many times were measured for how many rounds that are done, where a run has stacks, and the report is on times.

    rounds: label, run_index, status, seconds. By what is on record, as other executors than engine=stacked have stacks, too: where half of
    the rounds of a run have the time of another to the last digit, that is no chance.
    """
    if metric.column != TIME:
        return {}
    done = rounds[rounds["status"] == "done"]
    stacked = done.duplicated(["run_index", TIME], keep=False).groupby(done["run_index"]).mean() >= 1 / 2
    there = done[done["label"].isin(done.loc[done["run_index"].map(stacked).astype(bool), "label"])]
    return {
        str(label): (len(rows.drop_duplicates(["run_index", TIME])), len(rows)) for label, rows in there.groupby("label", observed=True)
    }


def about_shares(shared: dict[str, tuple[int, int]]) -> list[str]:
    """A warning about them, as of `sharing`; none where there are none."""
    told = some(f"{label} ({measured} of {count})" for label, (measured, count) in shared.items())
    what = (
        "rounds of a stack have equal shares of its time, so that fewer times were measured than there are rounds, and intervals and tests"
    )
    return [f"{what} are left out: {told}"] if shared else []


def without_tests(frame: pd.DataFrame, labels: Collection[str]) -> pd.DataFrame:
    """A table or comparisons without what `UNCERTAIN` names in rows that are about one of these labels; Holm's p are those of the rest."""
    about = frame["label"].isin(labels) | (frame["baseline"].isin(labels) if "baseline" in frame else False)
    if not about.any():
        return frame
    found = frame.assign(**{name: frame[name].astype("float64").mask(about, np.nan) for name in UNCERTAIN if name in frame})
    return found.assign(p_holm=holm(found["p"])) if "p_holm" in frame else found


def effects_without_tests(effects: Effects | None, labels: Collection[str]) -> Effects | None:
    """Effects without them, if any of the cells that all of them are made of is one of these."""
    if effects is None or not labels:
        return effects
    together = effects.together.assign(**{name: np.nan for name in UNCERTAIN if name in effects.together})
    return replace(effects, together=together, apart=without_tests(effects.apart, labels))
