"""Two runs side by side: the keys in which they differ, what made them, and the difference of their results, paired by seed."""

from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from digitcmp.config.identity import completed, flat, pairs_of
from digitcmp.counting import counted
from digitcmp.inert import line
from digitcmp.report.comparisons import paired
from digitcmp.report.metrics import METRICS, Metric
from digitcmp.runs.facts import made_by
from digitcmp.runs.listing import shown
from digitcmp.runs.show import read_one
from digitcmp.runs.status import RunStatus
from digitcmp.terminal import say

TIMES = ("started", "finished", "command", "tags")


def changed(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """The keys in which two flat dictionaries differ, with both values; None where one has none."""
    return [(key, before.get(key), after.get(key)) for key in sorted({*before, *after}) if before.get(key) != after.get(key)]


def made(run: RunStatus) -> dict[str, Any]:
    """What made a run, but for its times and its command."""
    platform = {f"platform.{name}": value for name, value in (run.about.get("platform") or {}).items()}
    return {name: value for name, value in made_by(run.about).items() if name not in TIMES} | platform


def values(run: RunStatus, metric: Metric) -> "pd.Series[float]":
    """A metric by seed, infinitely bad where a round failed; rounds that lack it are left out."""
    found = {row.seed: metric.worst if row.status == "failed" else getattr(row, metric.column) for row in run.rows}
    return pd.Series({seed: value for seed, value in found.items() if value is not None}, dtype="float64")


def print_difference(first: Path, second: Path, metric: Metric, console: Console) -> None:
    """Print what is different in the second run. Raises RunError where one of them is none."""
    here, there = read_one(first), read_one(second)
    keys = {
        "configuration": [flat(completed(run.about["configuration"])) for run in (here, there)],
        "made by": [made(run) for run in (here, there)],
    }
    for title, (before, after) in keys.items():
        found = changed(before, after)
        console.print(f"{title}: {'the same' if not found else f'{len(found)} different'}", style="bold")
        if found:
            table = Table(box=None, padding=(0, 2, 0, 2), show_header=False)
            for key, old, new in found:
                table.add_row(Text(line(key)), Text(line(shown(old))), Text("->"), Text(line(shown(new))))
            console.print(table)
    console.print(f"{metric.title}: the second minus the first, paired by seed", style="bold")
    measured, on = pairs_of(metric.column)
    unlike = [key for key, *_ in changed(*keys["configuration"]) if key in measured]
    if not (told := not_on_record(here, there, metric)) and unlike:
        told = f"not compared: they differ in {', '.join(unlike)}, so that equal seeds do not have equal {on}"
    for text in [told] if told else compared(values(here, metric), values(there, metric), metric):
        say(console, text, "  ")


def not_on_record(first: RunStatus, second: RunStatus, metric: Metric) -> str:
    """Which of two runs has none of a metric though it has finished rounds, and what both have in its place; empty where neither lacks it.

    A trial of a search was never tested, and without validation pairs or a digit head there are no such accuracies.
    """
    lacking = [run for run in (first, second) if run.done and not has(run, metric)]
    if not lacking:
        return ""
    others = [column for column, one in METRICS.items() if has(first, one) and has(second, one)]
    # what says most about a network that was not tested
    others.sort(key=lambda column: (column != "val_accuracy", not column.endswith("_accuracy")))
    who = "neither run has" if len(lacking) > 1 else f"{lacking[0].folder} has"
    advice = f"; both have {', '.join(others)}: --metric {others[0]} compares them" if others else ""
    article = "a" if len(lacking) > 1 else "no"
    return f"not compared: {who} {article} {metric.title}{advice}"


def has(run: RunStatus, metric: Metric) -> bool:
    """Whether a finished round of a run has a metric on record."""
    return any(row.status == "done" and getattr(row, metric.column) is not None for row in run.rows)


def compared(first: "pd.Series[float]", second: "pd.Series[float]", metric: Metric) -> list[str]:
    """The difference in words."""
    index = first.index.union(second.index)
    told = paired(second.reindex(index), first.reindex(index), metric)
    if not told["pairs"]:
        return [f"no seed has a {metric.title} in both, so there is nothing to compare"]
    texts = [f"{metric.show(told['difference'], '+')} {metric.difference_unit} (Hodges-Lehmann) over {counted(int(told['pairs']), 'seed')}"]
    if told["pairs"] > 1:
        span = metric.span(told["difference_low"], told["difference_high"], "+")
        texts.append(f"95 % interval {span}; p = {told['p']:.2g} (signed ranks)")
    texts.append(f"better in {told['won']}, equal in {told['tied']}, worse in {told['lost']} (a failed round loses)")
    if apart := told["only_here"] + told["only_baseline"]:
        texts.append(f"trained in one of them alone, and left out: {counted(int(apart), 'seed')}")
    return texts
