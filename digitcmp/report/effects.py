"""The tables and figures of a full factorial: effects together and apart, and all cells at a glance."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from digitcmp.counting import counted
from digitcmp.report.chance import draw_chance
from digitcmp.report.drawing import (
    COLOURS,
    DISTANCE,
    GREY,
    INK,
    broad_figure,
    column_figure,
    dress,
    entitle,
    jitter,
    legend_below,
    number_differences,
    on_intervals,
    style,
    styled,
    tidy,
    wrapped,
)
from digitcmp.report.factorial import ROBUST, Design, Effects, off_zero
from digitcmp.report.lines import draw_intervals
from digitcmp.report.metrics import TEST_ACCURACY, Metric, with_unit
from digitcmp.report.rows import draw_bar, draw_rounds, tell_beside, within
from digitcmp.report.tables import CSV_SUFFIXES, Column, single_columns

NAN = float("nan")
MOST_REACH = 4  # times the largest effect, to either side


def effect_columns(metric: Metric) -> list[Column]:
    """The columns of `factorial.average_effects` as tables have them."""
    unit, scale, suffix = metric.difference_unit, metric.scale, CSV_SUFFIXES.get(metric.difference_unit, "")
    return [
        Column("label", "effect", "effect"),
        Column("order", "factors"),
        Column("levels", "levels", "levels"),
        Column("mean", "mean" + suffix, with_unit("mean effect", unit), lambda row: metric.show(row["mean"], "+"), scale),
        Column("mean_low", "mean_low" + suffix, "its interval", lambda row: metric.span(row["mean_low"], row["mean_high"], "+"), scale),
        Column("mean_high", "mean_high" + suffix, scale=scale),
        Column("interquartile", "interquartile" + suffix, "interquartile", lambda row: metric.estimate(row, ROBUST, "+"), scale),
        Column("interquartile_low", "interquartile_low" + suffix, scale=scale),
        Column("interquartile_high", "interquartile_high" + suffix, scale=scale),
        Column("seeds", "seeds", "seeds"),
    ]


def apart_columns(metric: Metric) -> list[Column]:
    """The columns of `factorial.effects_apart` as CSV files have them."""
    return [Column("factor", "factor", "factor"), *single_columns(metric)]


def near_columns(metric: Metric) -> list[Column]:
    """The columns of `factorial.effects_by_distance` as CSV files have them."""
    return [Column("distance", "distance"), *effect_columns(metric)]


def about_effects(effects: Effects, metric: Metric) -> list[str]:
    """How effects are worked out, a line each."""
    tuned = f" Each of them has a value of its own of {', '.join(effects.design.tuned)}." if effects.design.tuned else ""
    count, failed = len(effects.together), "counts as always giving the more frequent answer" if metric.on_pairs else "leaves its seed out"
    broken = f" By distance, seeds with a failed round are left out ({effects.broken})." if effects.broken and len(effects.near) else ""
    return [
        f"Effects of the full factorial are contrasts of cell means (Yates 1937) over {counted(effects.seeds, 'seed')} that all "
        f"{len(effects.design.upper)} configurations have, paired by seed; a round that failed {failed}.{broken} An interaction is how "
        f"much larger the effect of the one factor is where the other is at its upper level.{tuned}",
        f"The {count} intervals of a column hold together with a probability of at least 95 % (Bonferroni): each is Student's, of "
        f"{100 * (1 - 0.05 / count):.4g} %. Interquartile effects are those of the cells' interquartile means, which a few rounds that "
        "collapse do not carry away, with winsorised standard errors (Yuen 1974; Wilcox 2012, section 5.9.5).",
    ]


@styled
def draw_cells(rounds: pd.DataFrame, table: pd.DataFrame, design: Design, metric: Metric, chance: float = NAN) -> Figure:
    """All cells, best median first: which factors are at their upper level, every round, the median with its interval, lost rounds.

    rounds, table: as in `digitcmp.report.statistics`.
    """
    order = table.sort_values("median", ascending=not metric.higher_is_better, kind="stable")
    figure = broad_figure(0.6 + 0.21 * len(order))
    switches, values = figure.subplots(1, 2, sharey=True, width_ratios=[0.42 * len(design.factors), 5])
    draw_switches(switches, [str(label) for label in order["label"]], design)
    done = rounds[rounds["status"] == "done"]
    for row, cell in enumerate(order.to_dict("records")):
        points = done.loc[done["label"] == cell["label"], metric.column]
        draw_rounds(values, row, points, 0.6, s=5, alpha=0.35, color=COLOURS[0], clip_on=False)
        ends = [cell["median_low"], cell["median_high"]]
        draw_bar(values, row, ends, cell["median"], color=INK, linewidth=1.6, markersize=3.5, markerfacecolor=INK)
        if cell["lost"]:
            tell_beside(values, row, f"{cell['lost']}/{cell['all']}")
    values.set_xlabel(metric.title)
    values.tick_params(axis="y", length=0)
    tidy(values, "x")
    dress(values, metric, "x")
    values.set_ylim(len(order) - 0.4, -0.6)
    far = draw_chance(values, chance, "x")
    lost = "at the right: rounds that failed or are untrained" if order["lost"].any() else ""
    notes = ["points: rounds; bars: medians, a 95 % interval each by itself", lost, far]
    entitle(figure, f"{metric.title.capitalize()} of all {len(order)} cells", *notes)
    return figure


def draw_switches(axes: Axes, labels: list[str], design: Design) -> None:
    """A dot a row and factor: filled at its upper level. The names stand above."""
    upper = design.upper.loc[labels].to_numpy(dtype=bool)
    for column in range(upper.shape[1]):
        axes.axvline(column, color=GREY, linewidth=0.4, zorder=0)
        for filled, look in ((True, {"color": COLOURS[0]}), (False, {"facecolor": "white", "edgecolor": GREY, "linewidth": 0.6})):
            at = np.flatnonzero(upper[:, column] == filled)
            axes.scatter(np.full(len(at), column), at, s=22, zorder=2, **look)
    names = [wrapped(f"{one.name}: {one.levels[1]}" if one.levels[1] != "true" else one.name, 22) for one in design.factors]
    axes.xaxis.tick_top()
    axes.set_xticks(range(len(names)), names, rotation=40, ha="left", rotation_mode="anchor")
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.tick_params(length=0, labelleft=False)
    axes.spines[:].set_visible(False)


@styled
def draw_effects(effects: Effects, metric: Metric) -> Figure:
    """Effects with simultaneous intervals, the main ones first, a line at zero; faint points: what a factor buys in each setting of the
    others. What is infinite, of rounds that failed, is at the edge."""
    together, names = effects.together, list(effects.design.upper.columns)
    figure = column_figure(0.5 + 0.32 * len(together))
    axes = figure.subplots()
    axes.axvline(0, color=INK, linewidth=0.8)
    keys = [ROBUST[at] for at in (1, 0, 2)]
    apart = {name: rows["difference"].to_numpy(dtype="float64") for name, rows in effects.apart.groupby("factor", sort=False)}
    shown = metric.scale * np.concatenate([together[keys].to_numpy(dtype="float64").ravel(), *(apart[name] for name in names)])
    inside, infinite = within(shown)
    bars, points = inside[: 3 * len(together)].reshape(-1, 3), np.split(inside[3 * len(together) :], len(names))
    certain = off_zero(together).to_numpy()
    for row, (low, middle, high) in enumerate(bars):
        if row < len(names):
            axes.scatter(points[row], row + 0.55 * jitter(len(points[row])), s=9, color=GREY, alpha=0.7, linewidth=0, zorder=2)
        filled = COLOURS[0] if certain[row] else "white"
        draw_bar(axes, row, [low, high], middle, color=COLOURS[0], markerfacecolor=filled, linewidth=1.8, markersize=5)
    texts = [f"{wrapped(label, 24)}\n{wrapped(levels, 24)}".strip() for label, levels in together[["label", "levels"]].to_numpy()]
    axes.set_yticks(range(len(texts)), texts)
    axes.axhline(len(names) - 0.5, color=GREY, linewidth=0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(texts) - 0.4, -0.6)
    axes.set_xlabel(with_unit(f"effect on {metric.title}", metric.difference_unit))
    number_differences(axes.xaxis)
    tidy(axes, "x")
    told = on_intervals(bars[:, [0, 2]], f"bars: the {len(texts)} intervals hold together at 95 %")
    notes = ["paired by seed", told, "filled: bar clear of zero"]
    notes += ["grey: the other factors fixed"] + ["at the edge: infinite"] * infinite
    entitle(figure, "Effects on interquartile means", *notes)
    return figure


@styled
def draw_near(near: pd.DataFrame) -> Figure:
    """What each factor buys by the distance of the digits: a line each, interquartile means with intervals. near: as
    `factorial.effects_by_distance`."""
    figure = column_figure(2.3)
    axes = figure.subplots()
    axes.axhline(0, color=INK, linewidth=0.8)
    names = list(near["label"].unique())
    ends = TEST_ACCURACY.scale * near[list(ROBUST)].set_axis(["mean", "low", "high"], axis=1)
    reach = MOST_REACH * max(ends["mean"].abs().max(), 1.0)  # intervals of a few seeds would leave nothing else to be seen
    shown = near[["label", "levels", "distance"]].join(ends.clip(-reach, reach))
    for index, name in enumerate(names):
        part = shown[shown["label"] == name]
        apart = 0.08 * (index - (len(names) - 1) / 2)  # so that intervals don't hide each other
        draw_intervals(
            axes, part.assign(distance=part["distance"] + apart), {**style(index), "label": f"{name} {part['levels'].iloc[0]}".strip()}
        )
    axes.set(xlabel=DISTANCE, ylabel=with_unit("effect on test accuracy", TEST_ACCURACY.difference_unit))
    axes.set_xticks(sorted(near["distance"].unique()))
    number_differences(axes.yaxis)
    tidy(axes, "both")
    legend_below(figure, axes)
    bars = on_intervals(ends[["low", "high"]], f"bars: all {len(near)} intervals hold together at 95 %")
    beyond = "some are cut off" if (ends.abs() > reach).any(axis=None) else ""
    entitle(figure, "Effects by distance of the digits", "paired by seed", bars, beyond)
    return figure
