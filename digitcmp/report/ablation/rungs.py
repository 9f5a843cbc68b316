"""A ladder of runs worked out: from a first configuration to a last one, one change at a time, with side branches.

The folder of a run ends in NN_words for a rung and NNx_words for a side branch, a change that was tried from rung NN;
what stands before the last equals sign does not count: ladder=02_weight_sharing, ladder=15a_averaged_weights.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from digitcmp.errors import RunError
from digitcmp.report.cautions import cautions, with_numbers
from digitcmp.report.comparisons import by_seed, holm, paired
from digitcmp.report.frames import read_sweep
from digitcmp.report.ranks import LEVEL
from digitcmp.report.statistics import summarise
from digitcmp.report.study import labelled
from digitcmp.report.verdicts import CAUTION, read_plans

NAME = re.compile(r"([0-9]{2})([a-z]?)_([^\W_]+(?:_[^\W_]+)*)")
EXPECTED = "a run is named by two digits and words, ladder=02_weight_sharing, or, tried from rung 15, ladder=15a_averaged_weights"
GAIN, LOSS, NOT_SHOWN = "gain", "loss", "not shown"


@dataclass(frozen=True)
class Ladder:
    """The results. table: as `gains`. rounds: every round with its label, the input of the statistics. configurations: a row a
    rung, with its keys. warnings: a line each."""

    table: pd.DataFrame
    rounds: pd.DataFrame
    configurations: pd.DataFrame
    warnings: list[str]


def read_ladder(folder: Path) -> Ladder:
    """Read the runs of a ladder and work everything out.

    Raises RunError when there is no run, a name is not that of a rung, two runs are the same rung or have the same
    configuration, or a side branch has no rung to be compared with.
    """
    sweep = read_sweep([folder], columns=(), for_report=True)
    rungs = read_rungs(sweep.runs["directory"])
    known = sweep.runs.loc[rungs["run_index"], ["configuration_hash", "parameters", *sweep.keys]].reset_index(drop=True)
    known.insert(0, "label", rungs["label"])
    for name, same in known.groupby("configuration_hash", sort=False)["label"]:
        if len(same) > 1:
            told = " and ".join(map(repr, same))
            raise RunError(f"{told} have the same configuration ({name}): a rung is to differ from every other; correct or remove one")
    rounds = labelled(sweep.rounds, sweep, known)
    rungs = with_predecessors(rungs)
    steps = compare_rungs(rounds, rungs)
    table = gains(summarise(rounds, known), steps, rungs)
    plans = read_plans(sweep.runs["directory"], set(known["configuration_hash"]), sweep.warnings)
    warnings = [*cautions(sweep, rounds, known, table, steps), *about_steps(table, steps), *([CAUTION] if plans else [])]
    return Ladder(table, rounds, known, warnings)


def read_rungs(directories: Iterable[str]) -> pd.DataFrame:
    """A row a rung, plain ones by number, then side branches: run_index, number, rung (12a), title, label (12a words), branch.

    Raises RunError for a name that is not that of a rung, and when two are the same.
    """
    rows = []
    for index, folder in enumerate(Path(directory).name for directory in directories):
        # other overrides of the command line stand beside the rung: ladder=01_net1,data=digits
        found = next(filter(None, (NAME.fullmatch(part.rpartition("=")[2]) for part in folder.split(","))), None)
        if not found:
            raise RunError(f"{folder!r} is no rung of a ladder: {EXPECTED}")
        rung, title = found[1] + found[2], found[3].replace("_", " ")
        label = f"{rung} {title}"
        rows.append({"run_index": index, "number": found[1], "rung": rung, "title": title, "label": label, "branch": found[2] != ""})
    rungs = pd.DataFrame(rows).sort_values(["branch", "rung"], ignore_index=True)
    for (rung, label), (following, other) in pairwise(rungs[["rung", "label"]].to_numpy().tolist()):
        if rung == following:
            raise RunError(f"{label!r} and {other!r} are both rung {rung}: give one of them another number or letter")
    return rungs


def with_predecessors(rungs: pd.DataFrame) -> pd.DataFrame:
    """The rungs with one more column, predecessor: the rung that each is compared with, empty for the first.

    Raises RunError for a side branch of no rung.
    """
    numbers = rungs.loc[~rungs["branch"], "number"]
    for side in rungs[rungs["branch"] & ~rungs["number"].isin(numbers)].itertuples():
        there = f"there are {', '.join(numbers)}" if len(numbers) else "there is none"
        raise RunError(f"{side.label!r} was tried from rung {side.number}, but no run is that rung: {there}; {EXPECTED}")
    return rungs.assign(predecessor=rungs["number"].where(rungs["branch"], numbers.shift(fill_value="")))


def compare_rungs(rounds: pd.DataFrame, rungs: pd.DataFrame) -> pd.DataFrame:
    """Every rung that has a predecessor against it: label, p_holm (over all of them), and the columns of `paired`.

    The intervals of the differences are simultaneous, so that all of m hold with 95 % (Bonferroni): each has a level of 1 - 0.05 / m.
    """
    wide, labels = by_seed(rounds), rungs.set_index("rung")["label"]
    before = {labels[rung]: labels[there] for rung, there in zip(rungs["rung"], rungs["predecessor"], strict=True) if there}
    level = 1 - (1 - LEVEL) / max(len(before), 1)
    rows = [{"label": label, **paired(wide[label], wide[there], level=level)} for label, there in before.items()]
    frame = pd.DataFrame(rows, columns=["label", *COMPARED, "tied"])
    return frame.assign(p_holm=holm(frame["p"].astype("float64")))


# what `paired` says, and what it is called in the table, where mean, low and high are those of the accuracy
COMPARED = {"pairs": "pairs", "only_here": "only_here", "only_baseline": "only_predecessor", "p": "p", "better": "better"}
COMPARED |= {"difference": "gain", "difference_low": "gain_low", "difference_high": "gain_high"}
COMPARED |= {"mean": "mean_gain", "low": "mean_gain_low", "high": "mean_gain_high"}


def gains(table: pd.DataFrame, steps: pd.DataFrame, rungs: pd.DataFrame) -> pd.DataFrame:
    """The table of `summarise`, a row a rung, with what each one gains over its predecessor, paired by seed. steps: as `compare_rungs`.

    More columns: rung, title, branch (whether it is a side branch), predecessor (its rung, empty for the first), pairs,
    only_here, only_predecessor (seeds left out), gain, gain_low, gain_high (Hodges-Lehmann, a fraction, with its simultaneous interval),
    p, p_holm, better, mean_gain, mean_gain_low, mean_gain_high (with a paired 95 % t interval), verdict (what the interval of the gain
    shows: gain, all of it above zero; loss, below; not shown, zero is in it). NaN where there is nothing to compare, an empty verdict
    where there is no interval.
    """
    compared = steps.set_index("label")[[*COMPARED, "p_holm"]].astype("float64").rename(columns=COMPARED)
    whole = pd.concat([table, rungs[["rung", "title", "branch", "predecessor"]]], axis="columns").join(compared, on="label")
    low, high = whole["gain_low"], whole["gain_high"]
    return whole.assign(verdict=np.select([low > 0, high < 0, low.notna()], [GAIN, LOSS, NOT_SHOWN], ""))


def about_steps(table: pd.DataFrame, steps: pd.DataFrame) -> list[str]:
    """Rungs with fewer rounds done than the one that has most; gains without rounds that the other side has not of the same seed;
    gaps in the numbers, where what is called one step is several. steps: as `compare_rungs`."""
    most, left_out = table["rounds"].max(), steps["only_here"] + steps["only_baseline"]
    unpaired = steps.assign(left_out=left_out)[left_out > 0]
    counts = {
        f"fewer rounds than the {most} of others": with_numbers(table[table["rounds"] < most], "rounds"),
        "rounds without a partner of the same seed are left out of the gain": with_numbers(unpaired, "left_out"),
    }
    plain = table.loc[~table["branch"], ["rung", "label"]].to_numpy().tolist()
    gaps = [(*one, *other) for one, other in pairwise(plain) if int(other[0]) != int(one[0]) + 1]
    return [
        *(f"{what}: {told}" for what, told in counts.items() if told),
        *(f"no rung between {one} and {other}: {label!r} is compared with {before!r}" for one, before, other, label in gaps),
    ]
