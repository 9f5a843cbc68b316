"""Accuracy and loss per epoch: the statistics, and the figure that only draws them."""

from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from digitcmp.files import write_whole
from digitcmp.report.runs import read_rows, read_run

# Okabe and Ito's colours, told apart by colour-blind readers; line styles tell them apart in grey
STYLES: dict[str, dict[str, Any]] = {
    "train_accuracy": {"label": "training pairs", "color": "#0072B2", "linestyle": "--"},
    "test_accuracy": {"label": "test pairs", "color": "#D55E00", "linestyle": "-"},
    "val_accuracy": {"label": "validation pairs", "color": "#009E73", "linestyle": "-."},
    "digit_accuracy": {"label": "digits (test)", "color": "#999999", "linestyle": ":"},
    "train_loss": {"label": "training loss", "color": "#0072B2", "linestyle": "--"},
}


def curve_statistics(epochs: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over rounds, a row per epoch and figure: columns epoch, figure, mean, std, rounds.

    Figures that no round has (no digit head, no validation pairs) are left out; std (of the sample) is NaN for one round.
    """
    long = epochs.melt(id_vars="epoch", value_vars=list(STYLES), var_name="figure").dropna(subset="value")
    return long.groupby(["epoch", "figure"])["value"].agg(["mean", "std", "count"]).rename(columns={"count": "rounds"}).reset_index()


def draw_curves(statistics: pd.DataFrame, title: str) -> Figure:
    """Two panels, accuracies and loss: a line for the mean over rounds, a band of one standard deviation around it."""
    figure = Figure(figsize=(9, 3.6), layout="constrained", dpi=150)
    FigureCanvasAgg(figure)
    accuracy, loss = figure.subplots(1, 2)
    for name, style in STYLES.items():
        part = statistics[statistics["figure"] == name]
        if not part.empty:
            draw_line(loss if name == "train_loss" else accuracy, part, style)
    accuracy.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    accuracy.set(xlabel="epoch", ylabel="accuracy")
    loss.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
    for axes in (accuracy, loss):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.lines:  # a round may have broken before there was anything to draw
            axes.legend(frameon=False)
    figure.suptitle(title, fontsize="medium")
    return figure


def draw_line(axes: Axes, part: pd.DataFrame, style: dict[str, Any]) -> None:
    """One mean with its band; a marker where there is a single epoch, which no line can show."""
    axes.plot(part["epoch"], part["mean"], marker="o" if len(part) == 1 else None, **style)
    if (part["rounds"] > 1).any():
        axes.fill_between(
            part["epoch"], part["mean"] - part["std"], part["mean"] + part["std"], color=style["color"], alpha=0.18, linewidth=0
        )


def write_curves(directory: Path) -> Path:
    """Draw curves.png of a run from its records. Raises RunError when they cannot be read."""
    about, epochs = read_run(directory), read_rows(directory / "epochs.csv")
    rounds = epochs["seed"].nunique()
    title = f"{about['configuration']['model']['name']} on {about['configuration']['data']['source']}"
    title += f", seed {about['seeds'][0]}" if rounds == 1 else f", mean ± standard deviation over {rounds} rounds"
    figure = draw_curves(curve_statistics(epochs), title)
    picture = BytesIO()
    FigureCanvasAgg(figure).print_png(picture)  # type: ignore[no-untyped-call]  # savefig would draw it twice
    return write_whole(directory / "curves.png", picture.getvalue())
