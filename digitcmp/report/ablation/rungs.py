"""A ladder of runs worked out: from a first configuration to a last one, one change at a time, with side branches.

The folder of a run ends in NN_words for a rung and NNx_words for a side branch, a change that was tried from rung NN;
what stands before the last equals sign does not count: ladder=02_weight_sharing, ladder=15a_averaged_weights.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from digitcmp.errors import RunError
from digitcmp.report.cautions import cautions, counted
from digitcmp.report.comparisons import by_seed, holm, paired
from digitcmp.report.frames import Sweep, read_sweep
from digitcmp.report.statistics import summarise
from digitcmp.report.study import labelled

NAME = re.compile(r"([0-9]{2})([a-z]?)_([^\W_]+(?:_[^\W_]+)*)")
EXPECTED = "a run is named by two digits and words, ladder=02_weight_sharing, or, tried from rung 15, ladder=15a_averaged_weights"
GAIN, LOSS, NOT_SHOWN = "gain", "loss", "not shown"


@dataclass(frozen=True)
class Rung:
    """One run of a ladder. number: two digits; letter: empty but for a side branch; words: those of its name."""

    number: str
    letter: str
    words: str
    run_index: int

    @property
    def rung(self) -> str:
        """01, 12a."""
        return self.number + self.letter

    @property
    def label(self) -> str:
        """02 weight sharing."""
        return f"{self.rung} {self.words}"


@dataclass(frozen=True)
class Ladder:
    """The results. table: as `gains`. rounds: every round with its label, the input of the statistics. warnings: a line each."""

    name: str
    table: pd.DataFrame
    rounds: pd.DataFrame
    warnings: list[str]


def read_ladder(folder: Path) -> Ladder:
    """Read the runs of a ladder and work everything out.

    Raises RunError when there is no run, a name is not that of a rung, two runs are the same rung or have the same
    configuration, or a side branch has no rung to be compared with.
    """
    sweep = read_sweep([folder], columns=(), for_report=True)
    rungs = in_order(sweep.runs["directory"])
    known = configurations(sweep, rungs)
    rounds = labelled(sweep.rounds, sweep, known)
    table = gains(summarise(rounds, known), rounds, rungs)
    steps = table[table["predecessor"] != ""].astype({"pairs": "int64"})
    warnings = [*cautions(sweep, rounds, known, table, steps), *unlike(table, steps), *skipped(rungs)]
    return Ladder(folder.resolve().name, table, rounds, warnings)


def in_order(directories: Iterable[str]) -> list[Rung]:
    """The rungs that the runs are: plain ones by number, then side branches.

    Raises RunError for a name that is not that of a rung, and when two are the same.
    """
    rungs = []
    for index, folder in enumerate(Path(directory).name for directory in directories):
        # other overrides of the command line stand beside the rung: ladder=01_net1,data=digits
        found = next(filter(None, (NAME.fullmatch(part.rpartition("=")[2]) for part in folder.split(","))), None)
        if not found:
            raise RunError(f"{folder!r} is no rung of a ladder: {EXPECTED}")
        rungs.append(Rung(found[1], found[2], found[3].replace("_", " "), index))
    rungs.sort(key=lambda one: (one.letter != "", one.rung))
    for one, other in pairwise(rungs):
        if one.rung == other.rung:
            raise RunError(f"{one.label!r} and {other.label!r} are both rung {one.rung}: give one of them another number or letter")
    return rungs


def predecessors(rungs: Sequence[Rung]) -> dict[str, str]:
    """The label that each label is compared with; the first rung has none. Raises RunError for a side branch of no rung."""
    plain = [one for one in rungs if not one.letter]
    numbers = {one.number: one.label for one in plain}
    before = {one.label: previous.label for previous, one in pairwise(plain)}
    for one in rungs[len(plain) :]:
        if one.number not in numbers:
            there = f"there are {', '.join(numbers)}" if numbers else "there is none"
            raise RunError(f"{one.label!r} was tried from rung {one.number}, but no run is that rung: {there}; {EXPECTED}")
        before[one.label] = numbers[one.number]
    return before


def skipped(rungs: Sequence[Rung]) -> list[str]:
    """A line for every gap in the numbers: what is then called one step is several."""
    plain = [one for one in rungs if not one.letter]
    gaps = [(one, other) for one, other in pairwise(plain) if int(other.number) != int(one.number) + 1]
    return [f"no rung between {one.number} and {other.number}: {other.label!r} is compared with {one.label!r}" for one, other in gaps]


def configurations(sweep: Sweep, rungs: Sequence[Rung]) -> pd.DataFrame:
    """One row a rung: label, configuration_hash, parameters and the configuration's columns. Raises RunError when two are equal."""
    runs = sweep.runs.iloc[[one.run_index for one in rungs]]
    frame = runs[["configuration_hash", "parameters", *sweep.keys]].reset_index(drop=True)
    frame.insert(0, "label", [one.label for one in rungs])
    for name, same in frame.groupby("configuration_hash", sort=False)["label"]:
        if len(same) > 1:
            told = " and ".join(map(repr, same))
            raise RunError(f"{told} have the same configuration ({name}): a rung is to differ from every other; correct or remove one")
    return frame


# what `paired` says, and what it is called here, where mean, low and high are those of the accuracy
COMPARED = {"pairs": "pairs", "only_here": "only_here", "only_baseline": "only_predecessor"}
COMPARED |= {"mean": "gain", "low": "gain_low", "high": "gain_high", "p": "p"}


def gains(table: pd.DataFrame, rounds: pd.DataFrame, rungs: Sequence[Rung]) -> pd.DataFrame:
    """The table of `summarise`, a row a rung, with what each one gains over its predecessor, paired by seed.

    More columns: rung, title, branch (whether it is a side branch), predecessor (its rung, empty for the first), pairs,
    only_here, only_predecessor (seeds left out), gain, gain_low, gain_high (a fraction with its paired 95 % t interval),
    p (Wilcoxon), p_holm (over all rungs), verdict (what the interval shows: gain, all of it above zero; loss, below; not shown, zero
    is in it). NaN where there is nothing to compare, an empty verdict where there is no interval.
    """
    wide, before, names = by_seed(rounds), predecessors(rungs), {one.label: one.rung for one in rungs}
    found = {label: paired(wide[label], wide[there]) for label, there in before.items()}
    compared = pd.DataFrame.from_dict(found, orient="index", columns=list(COMPARED), dtype="float64").rename(columns=COMPARED)
    columns = {
        "rung": [one.rung for one in rungs],
        "title": [one.words for one in rungs],
        "branch": [one.letter != "" for one in rungs],
        "predecessor": [names.get(before.get(one.label, ""), "") for one in rungs],
    }
    whole = pd.concat([table, pd.DataFrame(columns)], axis="columns").join(compared, on="label")
    low, high = whole["gain_low"], whole["gain_high"]
    verdicts = np.select([low > 0, high < 0, low.notna()], [GAIN, LOSS, NOT_SHOWN], "")
    return whole.assign(p_holm=holm(whole["p"]), verdict=verdicts)


def unlike(table: pd.DataFrame, steps: pd.DataFrame) -> list[str]:
    """Rungs with fewer rounds done than the one that has most; gains without rounds that the other side has not of the same seed."""
    most, left_out = table["rounds"].max(), (steps["only_here"] + steps["only_predecessor"]).astype("int64")
    counts = {
        f"fewer rounds than the {most} of others": counted(table[table["rounds"] < most], "rounds"),
        "rounds without a partner of the same seed are left out of the gain": counted(
            steps.assign(left_out=left_out)[left_out > 0], "left_out"
        ),
    }
    return [f"{what}: {told}" for what, told in counts.items() if told]
