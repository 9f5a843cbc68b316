"""What the page's script draws and shows: plain values of a report, rounded to what an eye can tell apart, configurations by number."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from digitcmp.config.identity import flat
from digitcmp.report.labels import shown
from digitcmp.report.metrics import Metric
from digitcmp.report.runs import as_text
from digitcmp.report.study import Study

MOST_POINTS = 60_000  # of all curves; of longer ones, epochs are left out
BEYOND = 2  # decimals more than tables have
CURVES = ["mean", "std", "q1", "median", "q3"]
INTERVALS = ["mean", "low", "high"]
BOXES = ["q1", "median", "q3", "low", "high"]
DIFFERENCES = ["difference", "difference_low", "difference_high"]


def page_data(results: Study) -> dict[str, Any]:
    """Plain values for JSON. Values of the metric are as tables show them (per cent), None where there are none.

    configurations: label, hash, and the keys in which they differ, as text; common: the keys in which they agree. Everything else points
    to a configuration by its position there (`of`): curves (by epoch), boxes, rounds (seeds, values; failed: seeds), differences to the
    baseline, distances.
    """
    metric, positions = results.metric, {str(label): at for at, label in enumerate(results.configurations["label"])}
    own, common = configurations(results)
    return {
        "metric": about_metric(metric, results.chance),
        "baseline": positions[results.baseline],
        "configurations": own,
        "common": common,
        "curves": series(thinned(results.curves), "epoch", CURVES, metric, positions),
        "boxes": [{"of": positions[str(row["label"])], **values(row, BOXES, metric)} for row in records(results.spread)],
        "rounds": rounds(results, positions),
        "differences": [
            {"of": positions[str(row["label"])], **values(row, DIFFERENCES, metric), "sure": bool(row["p_holm"] < 0.05)}
            for row in records(results.comparisons)
            if not math.isnan(row["difference"])
        ],
        "distances": series(results.distances, "distance", INTERVALS, metric, positions),
    }


def about_metric(metric: Metric, chance: float) -> dict[str, Any]:
    """How its values are shown, and which of two is better. limits: between which they lie; chance: of one that has learnt nothing."""
    told = {"title": metric.title, "unit": metric.unit, "points": metric.difference_unit, "decimals": metric.decimals}
    told |= {"limits": [number(limit, metric) for limit in metric.limits], "chance": number(chance, metric)}
    return told | {"worst": number(metric.worst, metric)}


def configurations(results: Study) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Each configuration with what it has of its own, and what all have."""
    hashes = [str(name) for name in results.configurations["configuration_hash"]]
    told = [
        {key: shown(as_text(value)) for key, value in flat(results.sweep.configurations[name]).items() if value is not None}
        for name in hashes
    ]
    first = told[0]
    common = {key: text for key, text in first.items() if all(one.get(key) == text for one in told)}
    labels = map(str, results.configurations["label"])
    return [
        {"label": label, "hash": name, "values": {key: text for key, text in one.items() if key not in common}}
        for label, name, one in zip(labels, hashes, told, strict=True)
    ], common


def series(frame: pd.DataFrame, across: str, columns: list[str], metric: Metric, positions: dict[str, int]) -> list[dict[str, Any]]:
    """A line per label: x, and each of the columns, as lists."""
    return [
        {"of": positions[str(label)], "x": part[across].tolist(), **{name: numbers(part[name], metric) for name in columns}}
        for label, part in frame.groupby("label", observed=True)
    ]


def thinned(curves: pd.DataFrame) -> pd.DataFrame:
    """Curves of at most so many points in all: where there are more, each keeps every second, third … epoch, its first and its last."""
    step = math.ceil(len(curves) / MOST_POINTS)
    if step < 2:
        return curves
    last = curves.groupby("label", observed=True)["epoch"].transform("max")
    return curves[(curves["epoch"] % step == 0) | (curves["epoch"] == 1) | (curves["epoch"] == last)]


def rounds(results: Study, positions: dict[str, int]) -> list[dict[str, Any]]:
    """Every round of each configuration: its seed and its value, those without one left out; and the seeds of those that failed."""
    found = []
    for label, part in results.rounds.sort_values("seed").groupby("label", observed=True):
        done = part[part["status"] == "done"].dropna(subset=results.metric.column)
        told = {"seeds": done["seed"].tolist(), "values": numbers(done[results.metric.column], results.metric)}
        found.append({"of": positions[str(label)], **told, "failed": part.loc[part["status"] == "failed", "seed"].tolist()})
    return found


def records(frame: pd.DataFrame) -> list[dict[Any, Any]]:
    """The rows of a frame."""
    return frame.to_dict("records")


def values(row: dict[Any, Any], names: Iterable[str], metric: Metric) -> dict[str, Any]:
    """These values of a row."""
    return {name: number(row[name], metric) for name in names}


def numbers(column: "pd.Series[float]", metric: Metric) -> list[Any]:
    """A column of values, as shown."""
    return [
        None if math.isnan(one) else one for one in np.round(metric.scale * column.to_numpy("float64"), metric.decimals + BEYOND).tolist()
    ]


def number(value: float, metric: Metric) -> float | str | None:
    """A value, as shown; what is infinite is a word that JavaScript knows, as JSON has no number for it."""
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return round(metric.scale * float(value), metric.decimals + BEYOND)
