"""Against a number that is swept: the means, a line for whatever else differs, and how far the lines are apart, paired by seed."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from digitcmp.report.cautions import DRAWN
from digitcmp.report.chance import draw_chance
from digitcmp.report.comparisons import by_seed, paired
from digitcmp.report.drawing import (
    INK,
    Values,
    column_figure,
    cut_off,
    dress,
    entitle,
    left_out,
    legend_below,
    number_differences,
    on_intervals,
    style,
    styled,
    tidy,
    wrapped,
)
from digitcmp.report.labels import label_all
from digitcmp.report.lines import draw_intervals
from digitcmp.report.metrics import TEST_ACCURACY, Metric, with_unit
from digitcmp.report.ranks import LEVEL
from digitcmp.report.rows import within
from digitcmp.report.tables import Column, single_columns

NAN = float("nan")
APART = 0.016  # of an axis's length: from a line's intervals to the next one's
ENLARGE = 4  # times higher than the nearer half of the intervals is an axis on which they are too small


def find_swept(table: pd.DataFrame, configurations: pd.DataFrame, keys: list[str]) -> pd.DataFrame | None:
    """The means against the one number that varies, beside whatever else does: key, value, line (what else differs, empty where nothing
    does), label, mean, low, high, rounds; sorted by line, in the order of the report, and by value.

    None unless exactly one of the `keys` (columns of `configurations`) holds numbers only, once each in a line. Where something else
    varies, a line has all of them, and the others at least three: a sweep that has not come to its end is a curve as far as it is.
    """
    varying = [key for key in keys if configurations[key].nunique(dropna=False) > 1]
    found = [key for key in varying if is_grid(configurations, key, [other for other in varying if other != key])]
    if len(found) != 1:
        return None
    (key,) = found
    lines = name_lines(configurations, [other for other in varying if other != key])
    values = configurations.set_index("label")[key].astype("float64")
    frame = table[["label", "mean", "low", "high", "rounds"]].assign(
        key=key, value=table["label"].map(values), line=table["label"].map(lines)
    )
    order = {line: at for at, line in enumerate(dict.fromkeys(lines.values()))}
    return frame.sort_values(["line", "value"], key=lambda one: one.map(order) if one.name == "line" else one, ignore_index=True)


def name_lines(configurations: pd.DataFrame, keys: list[str]) -> dict[str, str]:
    """What tells configurations apart in these keys, by their labels; empty texts where there are none."""
    plain = configurations[keys].astype("object")
    found = [tuple(row) for row in plain.where(plain.notna(), None).to_numpy().tolist()]
    distinct = {str(at): dict(zip(keys, one, strict=True)) for at, one in enumerate(dict.fromkeys(found))}
    names = dict(zip(dict.fromkeys(found), label_all(distinct).values() if keys else [""], strict=True))
    return {str(label): names[one] for label, one in zip(configurations["label"], found, strict=True)}


def is_grid(configurations: pd.DataFrame, key: str, others: list[str]) -> bool:
    """Whether the key holds numbers only, all of them for a combination of the others, and some for every one that there is."""
    values = configurations[key]
    if values.dtype.kind not in "if" or values.isna().any():
        return False
    count = values.nunique()
    if not others:
        return bool(count == len(values))
    groups = configurations.groupby(others, dropna=False)[key]
    each = groups.nunique()
    return bool(each.max() == count and each.min() > 2 and (groups.size() == each).all())


def difference_columns(metric: Metric) -> list[Column]:
    """The columns of `line_differences` as CSV files have them."""
    return [Column("key", "key"), Column("value", "value"), *single_columns(metric)]


def line_differences(rounds: pd.DataFrame, swept: pd.DataFrame, baseline: str, metric: Metric = TEST_ACCURACY) -> pd.DataFrame:
    """How far each line is from the baseline's at every value that both have, paired by seed: key, value, line, position (of the line,
    in `swept`), label, against (the baseline's line), baseline, and the columns of `comparisons.paired`: the intervals of `difference`
    hold together with a probability of at least 95 % (Bonferroni over all rows), the others each by itself. No rows
    where there is one line, or the baseline is on none.

    rounds: as in `digitcmp.report.statistics`; swept: as `find_swept`; baseline: a label.
    """
    labels = swept["label"].astype(str)
    own = swept.loc[labels == baseline, "line"].unique()
    there = dict(zip(swept.loc[swept["line"].isin(own), "value"], labels[swept["line"].isin(own)], strict=True))
    others = swept[~swept["line"].isin(own) & swept["value"].isin(list(there))]
    if others.empty:
        return pd.DataFrame()
    wide, level = by_seed(rounds, metric), 1 - (1 - LEVEL) / len(others)
    compared = [there[value] for value in others["value"]]
    pairs = zip(others["label"].astype(str), compared, strict=True)
    found = pd.DataFrame([paired(wide[one], wide[other], metric, level) for one, other in pairs], index=others.index)
    order = {line: at for at, line in enumerate(swept["line"].unique())}
    named = others[["key", "value", "line", "label"]].assign(position=others["line"].map(order), against=own[0], baseline=compared)
    return named.join(found).reset_index(drop=True)


@styled
def draw_swept(statistics: pd.DataFrame, metric: Metric = TEST_ACCURACY, chance: float = NAN, failed: int = 0) -> Figure:
    """The mean with 95 % intervals against the swept number, a line for whatever else differs, side by side. statistics: as `find_swept`;
    failed: rounds that are in no mean."""
    figure = column_figure(2.1)
    axes = figure.subplots()
    key, names = str(statistics["key"].iloc[0]), list(statistics["line"].unique())[:DRAWN]
    draw_lines(axes, statistics, {name: style(at) for at, name in enumerate(names)})
    dress(axes, metric)
    tidy(axes, "both")
    axes.set(xlabel=along(key, names), ylabel=metric.title)
    far = draw_chance(axes, chance)
    if len(names) > 1:
        legend_below(figure, axes)
    entitle(
        figure,
        f"{metric.title.capitalize()} by {key}",
        "mean over rounds, a 95 % interval each by itself",
        left_out(failed),
        cut_off(statistics, "line"),
        far,
    )
    return figure


@styled
def draw_differences(differences: pd.DataFrame, metric: Metric = TEST_ACCURACY) -> Figure:
    """How far each line is from the baseline's, with intervals that hold together, against the swept number, side by side; where that
    leaves some too small to be seen, once more enlarged. differences: as `line_differences`. What is infinite, of rounds that failed, is
    at the edge."""
    names, columns = list(differences["line"].unique())[:DRAWN], ["difference", "difference_low", "difference_high"]
    first = differences[differences["line"].isin(names)]
    ends = (metric.scale * first[columns].astype("float64")).set_axis(["mean", "low", "high"], axis=1)
    inside, infinite = within(ends.to_numpy())
    shown = first[["value", "line"]].join(pd.DataFrame(inside, index=ends.index, columns=ends.columns))
    looks = {name: style(int(first.loc[first["line"] == name, "position"].iloc[0])) for name in names}
    near = enlarged(ends)
    figure = column_figure(2.1 if near is None else 3.6)
    panels = figure.subplots(1 if near is None else 2, 1, sharex=True, squeeze=False).ravel()
    for axes in panels:
        axes.axhline(0, color=INK, linewidth=0.8)
        draw_lines(axes, shown, looks, clip_on=axes is not panels[0])
        tidy(axes, "both")
        number_differences(axes.yaxis)
        axes.set_ylabel(with_unit("difference", metric.difference_unit))
    if near is not None:
        panels[1].set_ylim(*near)
        panels[1].set_title("enlarged: the half of the intervals that is nearest to zero")
    panels[-1].set_xlabel(along(str(first["key"].iloc[0]), names))
    legend_below(figure, panels[0])
    entitle(
        figure,
        f"{metric.title.capitalize()} beside {first['against'].iloc[0]}",
        "Hodges-Lehmann, paired by seed",
        on_intervals(ends[["low", "high"]], f"the {len(differences)} intervals hold together at 95 %"),
        "at the edge: infinite" if infinite else "",
        cut_off(differences, "line"),
    )
    return figure


def along(key: str, names: list[str]) -> str:
    """What stands below the axis of the swept number."""
    return wrapped(key, 60) + " (lines side by side)" * (len(names) > 1)


def enlarged(ends: pd.DataFrame) -> tuple[float, float] | None:
    """Where an axis ends on which the half of these intervals that is nearest to zero can be seen; None where it can on one that has all,
    and where there is no interval.

    ends: mean, low and high; NaN where there is none.
    """
    if (ends := ends.dropna()).empty:
        return None
    values, reach = ends.to_numpy(dtype="float64"), ends.abs().max(axis=1)
    near = values[(reach <= reach.median()).to_numpy()]
    whole, part = (np.append(one[np.isfinite(one)], 0.0) for one in (values, near))
    margin = 0.05 * np.ptp(part)
    return (float(part.min() - margin), float(part.max() + margin)) if 0 < ENLARGE * np.ptp(part) < np.ptp(whole) else None


def draw_lines(axes: Axes, statistics: pd.DataFrame, looks: dict[str, dict[str, Any]], **more: Any) -> None:
    """A line with its intervals for each of these names, beside each other where they have the same value, on an axis for the values.

    statistics: value, line, mean, low, high.
    """
    values = np.sort(statistics["value"].unique())
    number_axis(axes, statistics["value"])
    scale = axes.xaxis.get_transform()
    step = between(scale.transform(values), len(looks))
    for index, (name, look) in enumerate(looks.items()):
        part = statistics[statistics["line"] == name]
        if step:
            places = scale.transform(part["value"].to_numpy(dtype="float64")) + step * (index - (len(looks) - 1) / 2)
            part = part.assign(value=scale.inverted().transform(places))
        draw_intervals(axes, part, {**look, **more, "label": wrapped(name, 45)}, "value")
    beyond = step * (len(looks) - 1) / 2
    low, high = scale.transform(axes.get_xlim())
    axes.set_xlim(*scale.inverted().transform([low - beyond, high + beyond]))


def between(places: Values, count: int) -> float:
    """How far each of so many lines is from the next, so that intervals at the same place of an axis lie beside each other: all of them
    within half of the way to another place."""
    if count < 2 or len(places) < 2:
        return 0.0
    return float(min(APART * np.ptp(places), 0.5 * np.diff(places).min() / (count - 1)))


def number_axis(axes: Axes, values: "pd.Series[float]") -> None:
    """An x axis for these numbers: logarithmic where they are far apart, with room for 0."""
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7))
    positive = values[values > 0]
    if len(positive) and positive.max() / positive.min() >= 50:
        axes.set_xscale("symlog", linthresh=positive.min(), linscale=0.5)
        axes.xaxis.set_minor_locator(NullLocator())
    if values.nunique() <= 12:
        axes.set_xticks(sorted(values.unique()))
    scale = axes.xaxis.get_transform()
    low, high = scale.transform([values.min(), values.max()])
    axes.set_xlim(*scale.inverted().transform([low - 0.04 * (high - low), high + 0.04 * (high - low)]))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
