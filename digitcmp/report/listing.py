"""A list of runs that nobody has asked to compare: of a folder that holds several experiments."""

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.text import Text

from digitcmp.counting import counted
from digitcmp.experiment.folders import is_preview
from digitcmp.files import write_whole
from digitcmp.inert import line
from digitcmp.report.cautions import about_runs
from digitcmp.report.frames import Sweep
from digitcmp.report.labels import configurations
from digitcmp.report.metrics import Metric
from digitcmp.report.tables import CSV_SUFFIXES, csv_text
from digitcmp.report.texts import TEXT
from digitcmp.terminal import Terminal, say, tell

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
            "command": sweep.runs["command"].astype(TEXT).fillna("unknown"),
            "folder": sweep.runs["directory"].astype(TEXT),
        }
    )
    return frame.reset_index(drop=True)


def write_list(frame: pd.DataFrame, metric: Metric, target: Path) -> Path:
    """Write runs.csv, in which accuracies are in per cent. Raises RunError when it cannot be written."""
    suffix = CSV_SUFFIXES.get(metric.unit, "")
    scaled = frame.assign(**{name: metric.scale * frame[name] for name in ("mean", "std")})
    return write_whole(target / "runs.csv", csv_text(scaled.rename(columns={"mean": metric.column + suffix, "std": "std" + suffix})))


def measured(row: Mapping[Hashable, Any], metric: Metric) -> str:
    """What a run has come to: the mean over its rounds ± their standard deviation, in the metric's unit."""
    if not row["rounds"]:
        return "nothing yet"
    if pd.isna(row["mean"]):
        return f"no {metric.title}"
    deviation = "" if pd.isna(row["std"]) else f" ± {metric.show(row['std'])}"
    return f"{metric.show(row['mean'])}{deviation} {metric.unit}".rstrip()


def print_list(sweep: Sweep, frame: pd.DataFrame, metric: Metric, path: Path, console: Console | None = None) -> None:
    """Print the list, why it is no comparison, and what makes one."""
    where = console or Terminal()
    say(where, "a list, not a comparison, as nobody has begun them together", f"{counted(len(frame), 'run')}: ", "bold")
    for row in frame.head(MOST).to_dict("records"):
        where.print()
        rounds = f"{row['rounds']} of {counted(row['seeds'], 'round')}"
        shortened = ", a preview, which is no result" if is_preview(Path(row["folder"])) else ""
        where.print(Text.assemble((measured(row, metric), "bold"), f"  {rounds}{shortened}  "), end="")
        say(where, line(str(row["name"])))
        say(where, str(row["command"]), "  ")
        say(where, str(row["folder"]), "  ")
    if len(frame) > MOST:
        say(where, f"and {len(frame) - MOST} more", "\n")
    where.print()
    for text in [*sweep.warnings, *about_runs(sweep.runs)]:
        tell(where, text, "warning: ")
    tell(where, "name runs or sweeps, or add --compare for all of them: python -m digitcmp.report FOLDER FOLDER …", "compare  ", "dim")
    say(where, str(path), "list     ")
