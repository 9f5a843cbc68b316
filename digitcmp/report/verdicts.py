"""What rounds=auto has decided, worked out again from what is on record. See `digitcmp.auto.sequential` for the method."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import pandas as pd

from digitcmp.auto import plan_file
from digitcmp.auto.sequential import Look, Plan, follow
from digitcmp.counting import counted
from digitcmp.errors import RunError
from digitcmp.report.metrics import TEST_ACCURACY, is_untrained
from digitcmp.report.statistics import ranked
from digitcmp.report.tables import Column

OPEN = "open"  # it is still trained, or was stopped
COLUMNS = ["label", "baseline", "verdict", "rounds", "value", "low", "high", "lost", "baseline_lost", "level"]
CAUTION = (
    "rounds=auto decided from the results how many rounds there are: the verdicts allow for that, all other intervals and p do not; "
    "there, rounds after the verdict count too"
)


def plan_paths(runs: Iterable[str | Path]) -> list[Path]:
    """The plans that these runs belong to: in their own folders, in those of their sweeps, or in a published result's."""
    places = (place for run in runs for place in (Path(run), Path(run).parent, Path(run).parent.parent))
    return [path for path in dict.fromkeys(Path(place, plan_file.FILE) for place in places) if path.exists()]


def read_plans(runs: Iterable[str | Path], known: Collection[str], warnings: list[str]) -> list[Plan]:
    """The plans that these runs belong to, of those that are about one of the known configurations (hashes). A damaged one is told of
    in the warnings."""
    plans = []
    for path in plan_paths(runs):
        try:
            plan = plan_file.read(path)
            plans += [plan] if set(plan.runs) & set(known) else []
        except RunError as error:
            warnings.append(f"{error}; verdicts are left out")
    return plans


def verdicts(plans: Sequence[Plan], known: pd.DataFrame, rounds: pd.DataFrame) -> pd.DataFrame:
    """One row a compared configuration of each plan: COLUMNS.

    known: the configurations of the report; rounds: with their labels. value, low, high: Hodges-Lehmann's difference and its repeated
    interval at the last look (of a single configuration, which is its own baseline: those of the median), NaN before the first. lost: how
    many of the rounds that it took failed or are untrained; level: of the interval.
    """
    labels = dict(zip(known["configuration_hash"], known["label"].astype(str), strict=True))
    there = rounds.assign(value=ranked(rounds), lost=(rounds["status"] == "failed") | is_untrained(rounds)).dropna(subset="value")
    groups = {str(label): group for label, group in there.groupby("label", observed=True)}
    rows = []
    for plan in plans:
        of_plan = {name: groups[labels[name]] for name in plan.runs if labels.get(name) in groups}
        found = {name: dict(zip(group["seed"].tolist(), group["value"].tolist(), strict=True)) for name, group in of_plan.items()}
        taken = {one.configuration: one for one in follow(plan, found)}
        rows += [row(plan, name, taken.get(name), labels, of_plan) for name in plan.compared]
    return pd.DataFrame(rows, columns=COLUMNS)


def row(plan: Plan, name: str, look: Look | None, labels: dict[str, str], groups: dict[str, pd.DataFrame]) -> dict[str, object]:
    """How a configuration stands."""
    rounds = look.rounds if look else 0
    value, low, high = look.estimate if look else [float("nan")] * 3

    def lost(side: str) -> int:
        group = groups.get(side)
        return 0 if group is None else int(group["lost"][group["seed"].between(plan.seed, plan.seed + rounds - 1)].sum())

    return {
        "label": labels.get(name, plan.runs[name]),
        "baseline": labels.get(plan.baseline, plan.runs[plan.baseline]),
        "verdict": (look.verdict if look else "") or OPEN,
        "rounds": rounds,
        "value": value,
        "low": low,
        "high": high,
        "lost": lost(name),
        "baseline_lost": lost(plan.baseline),
        "level": 1 - plan.nominal,
    }


def verdict_heading(frame: pd.DataFrame) -> str:
    """What stands above `verdicts`, with the baseline of the comparison, which need not be that of the report."""
    baselines = list(dict.fromkeys(frame["baseline"][frame["baseline"] != frame["label"]]))
    return "Verdicts of rounds=auto" + (f", against {' and '.join(baselines)}" if baselines else "")


def verdict_columns(frame: pd.DataFrame) -> list[Column]:
    """The columns of `verdicts` as tables have them."""
    single = bool((frame["label"] == frame["baseline"]).all())
    several = frame["baseline"].nunique() > 1  # comparisons, each with a baseline of its own
    name, unit, sign = ("median", "%", "") if single else ("difference", "points", "+")
    suffix = "_percent" if single else "_points"
    return [
        Column("label", "configuration", "configuration"),
        Column("baseline", "baseline", "against" if several else ""),
        Column("verdict", "verdict", "verdict"),
        Column("rounds", "rounds", "after rounds"),
        Column("value", name + suffix, f"{name} [{unit}]", lambda one: TEST_ACCURACY.show(one["value"], sign), 100),
        Column("low", "interval_low" + suffix, "repeated interval", lambda one: TEST_ACCURACY.span(one["low"], one["high"], sign), 100),
        Column("high", "interval_high" + suffix, scale=100),
        Column("lost", "failed_or_untrained", "failed or untrained", lambda one: f"{one['lost']}/{one['rounds']}"),
        Column(
            "baseline_lost",
            "baseline_failed_or_untrained",
            "" if single else "the baseline's",
            lambda one: f"{one['baseline_lost']}/{one['rounds']}",
        ),
        Column("level", "interval_level"),
    ]


def verdict_notes(plans: Sequence[Plan]) -> list[str]:
    """How verdicts come about, a line each plan."""
    lines = []
    for plan in plans:
        auto, share = plan.auto, f"{100 * (1 - plan.nominal):.2f} %"
        if len(plan.runs) == 1:
            rule = f"narrow: the interval of the median is narrower than {auto.margin:g} points"
        else:
            rule = f"better, worse: the interval of the Hodges-Lehmann difference is off zero; equivalent: within ±{auto.margin:g} points"
        lines.append(
            f"Verdicts of rounds=auto ({rule}; undecided: neither after {counted(auto.max, 'round')}): repeated confidence intervals "
            f"(Jennison and Turnbull 1989) of {share} at each of {len(plan.looks)} looks, by Pocock's boundary (1977), so that all of "
            f"{max(1, len(plan.runs) - 1)} comparisons at all looks are right together with a probability of at least "
            f"{100 * (1 - auto.level):g} % (Bonferroni). A round that failed lost against every other."
        )
    return lines
