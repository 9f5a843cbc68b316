"""What is on disk already, for other programs: trackers, each with the same file that follows training, and Parquet."""

from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from digitcmp.counting import counted
from digitcmp.errors import RunError
from digitcmp.experiment.folders import find_runs
from digitcmp.files import write_whole
from digitcmp.inert import line
from digitcmp.passwords import without_passwords
from digitcmp.terminal import takes_back, tell
from digitcmp.trackers.load import make_one
from digitcmp.trackers.tracker import Tracker, show_folder

OPTIONS = {"mlflow": ("uri", "experiment"), "wandb": ("mode", "project", "entity"), "tensorboard": ()}
FORMATS = (*OPTIONS, "parquet")


def export(folder: Path, to: str, options: dict[str, str], out: Path | None, console: Console) -> None:
    """Show all runs at or below a folder to a tracker, or write their rounds and epochs. What is there already is not there twice.

    out: where Parquet files go. Raises RunError where there is no run, ConfigError for a missing extra, and RunError for what the other
    program raises.
    """
    runs = find_runs(folder)
    if to == "parquet":
        write_parquet(folder, out or folder, console)
        return
    if wrong := sorted(set(options) - set(OPTIONS[to])):
        raise RunError(f"--option {wrong[0]}: {to} takes {', '.join(OPTIONS[to]) or 'no option'}")
    tracker: Any = make_one(to, dict(options))
    assert isinstance(tracker, Tracker)
    tracker.tell = partial(tell, console)
    rounds = 0
    for run in track(runs, f"exporting to {to}", console=console, transient=True, disable=not takes_back(console)):
        try:
            rounds += show_folder(tracker, run)
        except RunError:
            raise
        except Exception as error:  # whatever a library raises for a server that is down
            what = line(without_passwords(f"{type(error).__name__}: {error}"))
            raise RunError(f"{run}: {to} failed ({what}); once that is mended, the same command exports what is missing") from error
    console.print(f"{counted(len(runs), 'run')} with {counted(rounds, 'round')} are in {to}", soft_wrap=True)


def write_parquet(folder: Path, out: Path, console: Console) -> None:
    """Write rounds.parquet and epochs.parquet, typed as `digitcmp.load_rounds` and `load_epochs` give them. Raises RunError."""
    from digitcmp.report.frames import read_sweep, tidy, tidy_epochs

    sweep = read_sweep([folder])
    for text in sweep.warnings:
        tell(console, text, "warning: ")
    for name, frame in (("rounds", tidy(sweep, sweep.rounds)), ("epochs", tidy_epochs(sweep))):
        made = BytesIO()  # a file that cannot be written is then told as all are, and half of it stays nowhere
        try:
            frame.to_parquet(made, index=False)
        except ImportError as error:
            raise RunError("--to parquet needs the extra parquet: pip install 'digitcmp[parquet]'") from error
        path = write_whole(out / f"{name}.parquet", made.getvalue())
        console.print(f"{path}: {counted(len(frame), 'row')}", soft_wrap=True)
