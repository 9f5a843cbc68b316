"""What rounds=auto says while it trains: its rule, and a line of at most 80 columns for each look."""

import textwrap
from collections.abc import Sequence

from digitcmp.auto.sequential import POINT, Look, Plan
from digitcmp.counting import counted
from digitcmp.report.ranks import Estimate
from digitcmp.runs.names import short_names

WIDTH = 80
NAME = 18  # longest name of a run in a line


def rule_lines(plan: Plan) -> list[str]:
    """What is done, and until when."""
    auto, names = plan.auto, run_names(plan)
    most = f"{auto.batch} to {auto.max} rounds" if auto.batch < auto.max else counted(auto.max, "round")
    if len(plan.runs) == 1:
        rule = f"{most}, until the interval of the median is narrower than {auto.margin:g} points"
    else:
        compared = counted(len(plan.compared), "configuration")
        rule = (
            f"{compared} against {names[plan.baseline]}, {most} each, until the interval of the difference "
            f"is off zero or within ±{auto.margin:g} points"
        )
    return textwrap.wrap(f"rounds=auto: {rule}", WIDTH, subsequent_indent="  ")


def look_line(plan: Plan, taken: Sequence[Look]) -> str:
    """What a look has shown of the configurations that were not decided before: who goes on, and by which interval."""
    rounds = taken[0].rounds
    lead = f"look {plan.looks.index(rounds) + 1}/{len(plan.looks)}, {counted(rounds, 'round')}, "
    if len(plan.runs) == 1:
        (only,) = taken
        return f"{lead}{only.verdict or 'goes on'}: median {only.estimate.value / POINT:.2f} {interval(only.estimate)}"
    names, going_on = run_names(plan), [one for one in taken if not one.verdict]
    lead += f"{len(going_on) or 'none'} {'go' if len(going_on) > 1 else 'goes'} on: "
    parts = [f"{names[one.configuration]} {interval(one.estimate, '+')}" for one in going_on]
    parts += [f"{names[one.configuration]} {one.verdict}" for one in taken if one.verdict]
    return fitted(lead, parts)


def interval(estimate: Estimate, sign: str = "") -> str:
    """low to high, accuracies in per cent, differences in points."""
    return f"({estimate.low / POINT:{sign}.2f} to {estimate.high / POINT:{sign}.2f})"


def fitted(lead: str, parts: Sequence[str]) -> str:
    """As many parts as fit into the line; the others are counted."""
    for kept in range(len(parts), 0, -1):
        line = lead + ", ".join([*parts[:kept], *([f"{len(parts) - kept} more"] if kept < len(parts) else [])])
        if len(line) <= WIDTH:
            return line
    return f"{line[: WIDTH - 1]}…"


def run_names(plan: Plan) -> dict[str, str]:
    """The values in which the names of the runs differ: net1 and net2 of model=net1,epochs=5 and model=net2,epochs=5."""
    names = list(plan.runs.values())
    parts = [name.split(",") for name in names]
    if len(names) > 1 and len({len(one) for one in parts}) == 1:
        varying = [place for place, texts in enumerate(zip(*parts, strict=True)) if len(set(texts)) > 1]
        names = [",".join(one[place].rpartition("=")[2] for place in varying) for one in parts]
    return dict(zip(plan.runs, short_names(names, NAME), strict=True))
