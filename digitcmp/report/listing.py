"""A list of runs that nobody has asked to compare: of a folder that holds several experiments."""

from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.text import Text

from digitcmp.files import write_whole
from digitcmp.inert import line
from digitcmp.report.cautions import about_runs
from digitcmp.report.frames import Sweep
from digitcmp.report.labels import configurations
from digitcmp.report.metrics import Metric
from digitcmp.report.tables import CSV_SUFFIXES, csv_text
from digitcmp.terminal import Terminal, say

MOST = 50  # runs in the terminal


def runs_listed(sweep: Sweep, metric: Metric) -> pd.DataFrame:
    """One row a run: name (what tells its configuration from the others'), rounds (done), seeds, mean and std of the metric over them
    (NaN where there are none), command, folder."""
    known = configurations(sweep)
    labels = dict(zip(known["configuration_hash"], known["label"], strict=True))
    done = sweep.rounds[sweep.rounds["status"] == "done"].groupby("run_index")[metric.column]
    frame = pd.DataFrame(
        {
            "name": sweep.runs["configuration_hash"].map(labels),
            "rounds": done.size().reindex(sweep.runs.index, fill_value=0),
            "seeds": sweep.runs["seeds"],
            "mean": done.mean().reindex(sweep.runs.index),
            "std": done.std().reindex(sweep.runs.index),
            "command": sweep.runs["command"].astype("string").fillna("unknown"),
            "folder": sweep.runs["directory"].astype(str),
        }
    )
    return frame.reset_index(drop=True)


def write_list(frame: pd.DataFrame, metric: Metric, target: Path) -> Path:
    """Write runs.csv, in which accuracies are in per cent. Raises RunError when it cannot be written."""
    suffix = CSV_SUFFIXES.get(metric.unit, "")
    scaled = frame.assign(**{name: metric.scale * frame[name] for name in ("mean", "std")})
    return write_whole(target / "runs.csv", csv_text(scaled.rename(columns={"mean": metric.column + suffix, "std": "std" + suffix})))


def print_list(sweep: Sweep, frame: pd.DataFrame, metric: Metric, path: Path, console: Console | None = None) -> None:
    """Print the list, why it is no comparison, and what makes one."""
    where = console or Terminal()
    say(where, "a list, not a comparison, as nobody has begun them together", f"{len(frame)} runs: ", "bold")
    for row in frame.head(MOST).to_dict("records"):
        accuracy = metric.show(row["mean"]) + ("" if pd.isna(row["std"]) else f" ± {metric.show(row['std'])}")
        where.print()
        where.print(Text.assemble((f"{accuracy} {metric.unit}".rstrip(), "bold"), f"  {row['rounds']} of {row['seeds']} rounds  "), end="")
        say(where, line(str(row["name"])))
        say(where, str(row["command"]), "  ")
        say(where, str(row["folder"]), "  ")
    if len(frame) > MOST:
        say(where, f"and {len(frame) - MOST} more", "\n")
    where.print()
    for text in [*sweep.warnings, *about_runs(sweep.runs)]:
        say(where, text, "warning: ", "yellow")
    say(where, "python -m digitcmp.report FOLDER FOLDER … (each a run or a sweep), or --compare for all of them", "compare  ")
    say(where, str(path), "list     ")
