"""preview=true: any run, sweep or search with two rounds of two epochs, in a folder of its own; and what the whole would take.

preview.json, in that folder, says what the whole is. It is written before the first round, and read when the preview is through.
"""

import json
import shlex
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from math import nan
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from digitcmp import terminal
from digitcmp.config.allowed import code_let_in
from digitcmp.config.composed import from_record
from digitcmp.config.schema import AUTO, Config
from digitcmp.counting import counted, in_bytes
from digitcmp.experiment.about import read_about
from digitcmp.experiment.folders import PREVIEW
from digitcmp.experiment.pace import Pace, ShortRoundError, measure
from digitcmp.experiment.plan import in_all
from digitcmp.experiment.records import Record
from digitcmp.experiment.store import network_path, read_run_records
from digitcmp.files import read_text, write_whole
from digitcmp.passwords import without_passwords

SUFFIX = "-preview"
ROUNDS, EPOCHS, TRIALS = 2, 2, 4


@dataclass(frozen=True)
class Part:
    """Rounds of the whole that are alike: how many runs and rounds they are, of how many epochs. folders: where the preview has some."""

    folders: list[str]
    runs: int
    rounds: int
    epochs: int


@dataclass(frozen=True)
class Whole:
    """What a preview is a preview of. workers: rounds at a time; most: whether it may be less (rounds=auto, pruning)."""

    command: str
    parts: list[Part]
    workers: int
    most: bool

    @property
    def rounds(self) -> int:
        """Of all its parts."""
        return sum(part.rounds for part in self.parts)


@dataclass(frozen=True)
class Size:
    """Bytes that a run takes on disk: beside its rounds, for each round beside its epochs, and for each epoch."""

    beside: float
    round: float
    epoch: float

    def bytes(self, part: Part) -> float:
        """Of so many runs, rounds and epochs."""
        return part.runs * self.beside + part.rounds * (self.round + part.epochs * self.epoch)


def typed_command(arguments: Sequence[str]) -> str:
    """The command of the whole: the one that was typed, without what makes it a preview, and without passwords; with
    the code that was let in, of which the arguments that Hydra gets say nothing."""
    kept = [one for one in arguments if one.partition("=")[0].lstrip("+") != "preview"]
    more = [] if len(kept) < len(arguments) else ["preview=false"]  # where a file says so
    return shlex.join(["python", "-m", "digitcmp", *code_let_in(), *map(without_passwords, kept), *more])


def shortened(config: Config) -> Config:
    """The configuration as a preview trains it; itself where none was asked for."""
    if not config.preview:
        return config
    return replace(config, rounds=min(ROUNDS, rounds_of(config)), epochs=min(EPOCHS, config.epochs))


def rounds_of(config: Config) -> int:
    """How many rounds there are, at most."""
    return config.auto.max if isinstance(config.rounds, str) else config.rounds


def make_whole(command: str, configs: Sequence[Config], parts: Iterable[Part], most: bool = False) -> Whole:
    """The whole that these configurations, as they were asked for, are all part of."""
    from digitcmp.experiment.executors.choose import choose

    parts, first = list(parts), configs[0]
    _, workers = choose(first, sum(part.rounds for part in parts))
    return Whole(command, parts, workers, most or any(config.rounds == AUTO for config in configs))


def write(whole: Whole, folder: Path) -> None:
    """Put it on record in the preview's folder. Raises RunError when it cannot be written."""
    write_whole(folder / PREVIEW, json.dumps(asdict(whole), indent=2) + "\n")


def read(folder: Path) -> Whole:
    """What is on record there."""
    found: dict[str, Any] = json.loads(read_text(folder / PREVIEW))
    return Whole(**{**found, "parts": [Part(**part) for part in found["parts"]]})


def tell(folder: Path, console: Console) -> None:
    """Say what the whole will take, as far as the preview shows, and the command that starts it. Raises RunError for a damaged run."""
    whole, seconds, size = read(folder), 0.0, 0.0
    for part in whole.parts:
        records = {folder / name: done_records(folder / name) for name in part.folders if (folder / name / "run.json").exists()}
        pace, each = pace_of(records, part), size_of(records)
        seconds += part.rounds * pace.seconds(part.epochs) if pace else nan
        size += each.bytes(part) if each else nan
    at_most, runs = "at most " if whole.most else "", sum(part.runs for part in whole.parts)
    what = f"{counted(runs, 'run')}, {at_most}{counted(whole.rounds, 'round')}, {epochs_of(whole)}"
    disk = "" if size != size else f", about {in_bytes(size)} on disk"
    terminal.tell(console, f"the whole: {what}: {in_all(seconds, whole.workers, 'this preview')}{disk}")
    terminal.say(console, whole.command, "start it with  ")


def done_records(folder: Path) -> list[Record]:
    """The rounds of a run that are on record and done."""
    return [record for record in read_run_records(folder).rounds.values() if record.row.status == "done"]


def epochs_of(whole: Whole) -> str:
    """How many epochs a round has."""
    fewest, most = min(part.epochs for part in whole.parts), max(part.epochs for part in whole.parts)
    return f"{counted(most, 'epoch')} each" if fewest == most else f"{fewest} to {most} epochs each"


def pace_of(records: dict[Path, list[Record]], part: Part) -> Pace | None:
    """The pace of a part's rounds, by those of its preview; None where none is done. A stack of two says nothing about a larger one,
    so that a short one of the right size is trained for it."""
    done = [record for of_run in records.values() for record in of_run]
    if not done:
        return None
    about = read_about(next(iter(records)))
    if about["engine"] == "stacked":
        with suppress(ShortRoundError):
            return measure(from_record(about["configuration"], {"engine": "stacked", "device": about["device"]}), part.rounds)
        return None
    spent = [(record.row.seconds, [row.seconds for row in record.epochs]) for record in done]
    return Pace(median(max(0.0, seconds - sum(epochs)) for seconds, epochs in spent), median(epochs[-1] for _, epochs in spent))


def size_of(records: dict[Path, list[Record]]) -> Size | None:
    """What runs like these take on disk; None where no round is done."""
    done = [record for of_run in records.values() for record in of_run]
    if not done:
        return None
    epochs = sum(record.row.epochs for record in done)
    in_epochs = sum(len(json.dumps(record.columns("epochs"), separators=(",", ":"))) for record in done)
    by_round = sum(len(record.text) for record in done) - in_epochs
    in_epochs += sum(bytes_of(run / "epochs.csv") for run in records)
    by_round += sum(bytes_of(run / name) for run in records for name in ("rounds.csv", "distances.csv"))
    by_round += sum(bytes_of(network_path(run, record.row.seed)) for run, of_run in records.items() for record in of_run)
    everything = sum(bytes_of(path) for run in records for path in run.rglob("*"))
    return Size((everything - in_epochs - by_round) / len(records), by_round / len(done), in_epochs / epochs)


def bytes_of(path: Path) -> int:
    """The size of a file; 0 where there is none."""
    return path.stat().st_size if path.is_file() else 0
