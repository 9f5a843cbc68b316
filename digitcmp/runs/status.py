"""How far the runs of a folder are, from what is on disk: records, what processes say of their rounds in flight, and what is planned."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from digitcmp.config.identity import TRAINED, data_defaults, flat, pairs_of
from digitcmp.errors import RunError
from digitcmp.experiment.about import read_about
from digitcmp.experiment.beats import Beat, is_dead, read_beats
from digitcmp.experiment.folders import is_preview, natural
from digitcmp.experiment.published import read_records
from digitcmp.runs.found import is_below, look
from digitcmp.train.results import RoundRow, accuracy_of

State = Literal["done", "failed", "pruned", "interrupted", "running", "waiting", "dead", "damaged"]
VALIDATED = " val"  # behind an accuracy on validation pairs, in a column of those on test pairs
KINDS = ("done", "running", "failed", "missing", "dead")  # of rounds
AGAIN = ("finalists", "confirm")  # folders of a search, of trials that are trained again


@dataclass(frozen=True)
class ActiveRound:
    """A round in flight: the epochs it is through with, and the process that has it (host:number). slow: since when it has come to no
    epoch, where that is much longer than an epoch takes."""

    seed: int
    epoch: int
    process: str
    slow: str = ""


@dataclass
class RunStatus:
    """A run as it is on disk. epochs: of a round; asked: rounds in all; done, failed: the rounds that have ended; running, dead: those in
    flight, of live processes and of those that are gone; missing: seeds of the others; accuracy: the mean over the rounds that are done,
    None without any, and what it is measured on; note: what is wrong with its folder."""

    folder: Path
    state: State
    epochs: int = 0
    asked: int = 0
    done: int = 0
    failed: int = 0
    running: list[ActiveRound] = field(default_factory=list)
    dead: list[ActiveRound] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)
    accuracy: float | None = None
    measured: str = "test"
    beats: list[Beat] = field(default_factory=list)  # of the processes that are at work on it
    note: str = ""
    about: dict[str, Any] = field(default_factory=dict)  # its run.json
    rows: list[RoundRow] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """How many of its rounds are of each kind."""
        return dict(zip(KINDS, (self.done, len(self.running), self.failed, len(self.missing), len(self.dead)), strict=True))

    @property
    def epochs_left(self) -> int:
        """Epochs that are still to be trained, but for those of rounds that will not be."""
        begun = sum(self.epochs - one.epoch for one in self.running)
        return begun + self.epochs * (len(self.missing) + len(self.dead))


@dataclass
class FolderStatus:
    """All runs at or below a folder. unbegun: rounds of the trials of a search that nobody has begun, epochs: of each of them."""

    folder: Path
    runs: list[RunStatus]
    unbegun: int = 0
    epochs: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """How many rounds are of each kind."""
        counts = {kind: sum(run.counts[kind] for run in self.runs) for kind in KINDS}
        return counts | {"missing": counts["missing"] + self.unbegun}

    @property
    def processes(self) -> dict[str, Beat]:
        """What each live process has said last, by its id."""
        found: dict[str, Beat] = {}
        for beat in (beat for run in self.runs for beat in run.beats):
            if beat.id not in found or beat.seconds > found[beat.id].seconds:
                found[beat.id] = beat
        return found

    @property
    def pace(self) -> float:
        """Epochs a second, of all live processes together; 0 before the first epoch."""
        return sum(beat.epochs / beat.seconds for beat in self.processes.values() if beat.epochs and beat.seconds > 0)

    @property
    def epochs_left(self) -> int:
        """Epochs that are still to be trained."""
        return sum(run.epochs_left for run in self.runs if run.state != "pruned") + self.unbegun * self.epochs

    @property
    def seconds_left(self) -> float | None:
        """How long that takes at this pace; None where nothing is trained, or the pace is not known yet."""
        return self.epochs_left / self.pace if self.pace else None

    @property
    def rounds_per_minute(self) -> float | None:
        """Rounds as those that are left (of those in flight: whole ones), at this pace; None as above."""
        lengths = [run.epochs for run in self.runs for _ in range(len(run.running) + len(run.missing) + len(run.dead))]
        lengths += [self.epochs] * min(self.unbegun, 1)
        return 60 * self.pace / fmean(lengths) if self.pace and lengths else None

    @cached_property
    def ranked(self) -> list[RunStatus]:
        """The runs that have come to an accuracy, the highest first, or the lowest where searches want that. No previews, which are no
        results; no runs with failed rounds: these lose, and the mean is without them; no pruned trials, which are none in their search
        either; of a search, its trials alone, and not what its final and its confirmation train with other seeds and pairs."""
        own = [run for run in self.runs if run.folder.parent == self.folder or run.folder.parent.name not in AGAIN]
        whole = [run for run in own if run.accuracy is not None and not run.failed and run.state != "pruned"]
        rated = [run for run in whole if not is_preview(run.folder)]
        return sorted(rated, key=lambda run: run.accuracy or 0.0, reverse=not minimise(rated))

    @cached_property
    def unlike(self) -> list[str]:
        """In what the data of these runs differ, so that none of them is the best: keys, or the pairs that accuracies are measured on."""
        if len({run.measured for run in self.ranked}) > 1:
            return ["the pairs that accuracies are measured on"]
        keys = dict.fromkeys(key for run in self.ranked[:1] for key in (*pairs_of(f"{run.measured}_accuracy")[0], *TRAINED))
        data = [data_defaults() | flat(run.about["configuration"]) for run in self.ranked]
        return [key for key in keys if len({repr(one.get(key)) for one in data}) > 1]

    @property
    def best(self) -> RunStatus | None:
        """The first of these so far; None before any, and where they are not of the same data."""
        return self.ranked[0] if self.ranked and not self.unlike else None


def minimise(runs: list[RunStatus]) -> bool:
    """Whether all of these are of searches for the lowest accuracy."""
    if not runs or any(run.measured != "val" for run in runs):
        return False
    from digitcmp.report.origins import read_typed, sweep_of  # imports pandas, which few need

    told = [read_typed(sweep) for sweep in {sweep_of(run.folder, run.about) for run in runs}]
    return all(typed is not None and typed.sweeper.get("direction") == "minimize" for typed in told)


def read_status(folder: Path) -> FolderStatus:
    """How the runs at or below a folder stand. Raises RunError where there is no folder, or nothing in it that was begun or planned."""
    found, plans = look(folder)
    if not found and not plans:
        raise RunError(f"{folder} holds no run (there is no run.json in it or below it)")
    # by their real places: what was asked about, a sweep and its plan may each be seen through a link
    known = {directory.resolve(): (directory, *one) for plan in plans.values() for directory, one in plan.runs.items()}
    places = {directory.resolve(): directory for directory in found}
    runs = [read_run(directory, known[place][1:] if place in known else None) for place, directory in places.items()]
    runs += [
        RunStatus(directory, "waiting", epochs, len(seeds), missing=seeds)
        for place, (directory, seeds, epochs) in known.items()
        if place not in places and is_below(directory, folder)
    ]
    status = FolderStatus(folder, sorted(runs, key=lambda run: natural(str(run.folder))))
    for top, plan in plans.items():
        if plan.rounds is not None:
            inside = {path.resolve() for path in top.iterdir()} - {*known}
            trials = [run for run in runs if run.folder.resolve() in inside]
            had = sum(run.asked for run in trials if run.state != "failed")  # another trial takes the place of one that has failed
            status.unbegun, status.epochs = status.unbegun + max(0, plan.rounds - had), plan.epochs
    return status


def read_run(directory: Path, plan: tuple[list[int], int] | None) -> RunStatus:
    """How a run stands. plan: the seeds that were planned for it, and its epochs, where anybody knows."""
    try:
        beats = read_beats(directory)  # first: a round that ends meanwhile is then on record
        about = read_about(directory, hashed=False)
        records = read_records(directory, about)
    except RunError as error:
        return RunStatus(directory, "damaged", note=str(error))
    rows = {seed: record.row for seed, record in records.rounds.items()}
    epochs = int(about["configuration"].get("epochs", 0))
    live = [beat for path, beat in beats.items() if not is_dead(path, beat)]
    gone = [beat for path, beat in beats.items() if beat not in live]
    running = flights(live, taken=set())
    # a round that is trained again (retry_failed) has failed before
    rows = {seed: row for seed, row in rows.items() if row.status == "done" or seed not in {one.seed for one in running}}
    running = [one for one in running if one.seed not in rows]
    dead = flights(gone, taken={*rows, *(one.seed for one in running)})
    had = {*rows, *(one.seed for one in (*running, *dead))}
    done = [row for row in rows.values() if row.status == "done"]
    # nobody trains the rest of a trial that was ended early, also where that is because a round of it has failed; but what came later
    given_up = set(about["seeds"]) if about["status"] == "failed" else set()
    missing = sorted({*about["seeds"], *(plan[0] if plan else ())} - had - given_up) if about["status"] != "pruned" else []
    state = state_of(about["status"], bool(live), bool(dead), bool(missing or dead), len(done) < len(rows))
    status = RunStatus(directory, state, epochs, len(about["seeds"]), len(done), len(rows) - len(done), running, dead, missing)
    status.accuracy, status.measured = mean_accuracy(done)
    status.beats, status.note = live, "; ".join(records.damaged)
    status.about, status.rows = about, list(rows.values())
    return status


def flights(beats: Iterable[Beat], taken: set[int]) -> list[ActiveRound]:
    """The rounds in flight of these processes, in the order of their seeds, each once and without those that are taken."""
    each = ((beat, seed, epoch) for beat in beats for seed, epoch in beat.rounds.items())
    found = {seed: ActiveRound(seed, epoch, f"{beat.node}:{beat.process}", beat.slow.get(seed, "")) for beat, seed, epoch in each}
    return [found[seed] for seed in sorted(found) if seed not in taken]


def state_of(said: str, live: bool, dead: bool, unfinished: bool, failed: bool) -> State:
    """How a run stands: as run.json says, unless whoever said so is gone or has come back, or more rounds are planned."""
    if live:
        return "running"
    if said == "pruned":
        return "pruned"
    if unfinished:
        return "dead" if dead or said == "running" else "interrupted"
    return "failed" if failed else "done"


def mean_accuracy(done: list[RoundRow]) -> tuple[float | None, str]:
    """The mean accuracy of rounds, None without any, and what it is measured on."""
    found = [accuracy_of(row) for row in done]
    values = [value for _, value in found if value == value]
    return (fmean(values) if values else None), (found[0][0] if found else "test")
