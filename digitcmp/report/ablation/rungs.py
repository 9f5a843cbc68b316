"""A ladder of runs worked out: from a first configuration to a last one, one change at a time, with side branches.

The folder of a run ends in NN_words for a rung and NNx_words for a side branch, a change that was tried from rung NN;
what stands before the last equals sign does not count: ladder=02_weight_sharing, ladder=15a_averaged_weights.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pandas as pd

from digitcmp.errors import RunError
from digitcmp.report.cautions import cautions, some
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
    rungs = in_order([parse(index, Path(directory).name) for index, directory in enumerate(sweep.runs["directory"])])
    known = configurations(sweep, rungs)
    before = predecessors(rungs)
    rounds = labelled(sweep.rounds, sweep, known)
    table = gains(summarise(rounds, known), rounds, rungs, before)
    steps = table[table["predecessor"] != ""].astype({"pairs": "int64"})
    warnings = [*cautions(sweep, rounds, known, table, steps), *fewer_rounds(table), *unpaired(steps), *skipped(rungs)]
    return Ladder(folder.resolve().name, table, rounds, warnings)


def parse(run_index: int, folder: str) -> Rung:
    """The rung that a run is, from its folder's name. Raises RunError for a name that is not that of a rung."""
    # other overrides of the command line stand beside the rung: ladder=01_net1,data=digits
    found = next(filter(None, (NAME.fullmatch(part.rpartition("=")[2]) for part in folder.split(","))), None)
    if not found:
        raise RunError(f"{folder!r} is no rung of a ladder: {EXPECTED}")
    return Rung(found[1], found[2], found[3].replace("_", " "), run_index)


def in_order(rungs: Sequence[Rung]) -> list[Rung]:
    """Plain rungs by number, then side branches. Raises RunError when two are the same."""
    ordered = sorted(rungs, key=lambda one: (one.letter != "", one.rung))
    for one, other in pairwise(ordered):
        if one.rung == other.rung:
            raise RunError(f"{one.label!r} and {other.label!r} are both rung {one.rung}: give one of them another number or letter")
    return ordered


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


def gains(table: pd.DataFrame, rounds: pd.DataFrame, rungs: Sequence[Rung], before: dict[str, str]) -> pd.DataFrame:
    """The table of `summarise`, a row a rung, with what each one gains over its predecessor, paired by seed.

    More columns: rung, title, branch (whether it is a side branch), predecessor (its rung, empty for the first), pairs,
    only_here, only_predecessor (seeds left out), gain, gain_low, gain_high (a fraction with its paired 95 % t interval),
    p (Wilcoxon), p_holm (over all rungs), verdict (as `verdict`). NaN where there is nothing to compare.
    """
    wide, names = by_seed(rounds), {one.label: one.rung for one in rungs}
    found = {label: paired(wide[label], wide[there]) for label, there in before.items()}
    compared = pd.DataFrame.from_dict(found, orient="index", columns=list(COMPARED), dtype="float64").rename(columns=COMPARED)
    columns = {
        "rung": [one.rung for one in rungs],
        "title": [one.words for one in rungs],
        "branch": [one.letter != "" for one in rungs],
        "predecessor": [names.get(before.get(one.label, ""), "") for one in rungs],
    }
    whole = pd.concat([table, pd.DataFrame(columns)], axis="columns").join(compared, on="label")
    verdicts = [verdict(low, high) for low, high in zip(whole["gain_low"], whole["gain_high"], strict=True)]
    return whole.assign(p_holm=holm(whole["p"]), verdict=verdicts)


# what `paired` says, and what it is called here, where mean, low and high are those of the accuracy
COMPARED = {"pairs": "pairs", "only_here": "only_here", "only_baseline": "only_predecessor"}
COMPARED |= {"mean": "gain", "low": "gain_low", "high": "gain_high", "p": "p"}


def verdict(low: float, high: float) -> str:
    """What an interval of a gain shows: gain (all above zero), loss (all below), not shown (zero is in it); empty without one."""
    if math.isnan(low) or math.isnan(high):
        return ""
    return GAIN if low > 0 else LOSS if high < 0 else NOT_SHOWN


def fewer_rounds(table: pd.DataFrame) -> list[str]:
    """Rungs with fewer rounds done than the one that has most."""
    most = table["rounds"].max()
    fewer = table[table["rounds"] < most]
    told = some(f"{label} ({count})" for label, count in zip(fewer["label"], fewer["rounds"], strict=True))
    return [f"fewer rounds than the {most} of others: {told}"] if len(fewer) else []


def unpaired(steps: pd.DataFrame) -> list[str]:
    """Gains for which rounds had to be left out, because the other side has none of the same seed."""
    left_out = (steps["only_here"] + steps["only_predecessor"]).astype("int64")
    told = some(f"{label} ({count})" for label, count in zip(steps["label"], left_out, strict=True) if count)
    return [f"rounds without a partner of the same seed are left out of the gain: {told}"] if told else []
