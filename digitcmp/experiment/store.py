"""The records of a run's directory, shared safely by every process that works on it.

run.json says what the run is; rounds.csv, epochs.csv, distances.csv and model.safetensors hold its finished rounds. A
round is claimed with a lock before it is trained; the system gives the lock back when the process that holds it ends,
however it ends, so that nothing stays claimed by the dead.
"""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout
from safetensors.torch import load, save
from torch import Tensor

from digitcmp.config.identity import completed, configuration_hash, differences
from digitcmp.errors import RunError
from digitcmp.experiment.provenance import now, versions
from digitcmp.files import write_whole
from digitcmp.train.results import DistanceRow, EpochRow, RoundRow, read_rows, to_csv
from digitcmp.train.round import RoundResult

Status = Literal["running", "done", "failed", "interrupted", "pruned"]


@dataclass
class Records:
    """What a run has on record. `rounds`, `epochs` and `distances` mirror the files as they were last read or written."""

    directory: Path
    about: dict[str, Any]
    rounds: list[RoundRow] = field(default_factory=list)
    epochs: list[EpochRow] = field(default_factory=list)
    distances: list[DistanceRow] = field(default_factory=list)
    claims: dict[int, FileLock] = field(default_factory=dict)
    version: tuple[int, int] | None = None

    @classmethod
    def open(cls, directory: Path, about: dict[str, Any], retry_failed: bool = False) -> "Records":
        """Begin a run, or go on with the one that the directory holds: its finished rounds stay, its seeds are joined.

        Where nothing is missing, what made the rounds stays on record as it is. Raises RunError when the directory holds
        a run of another configuration (the text shows the difference), or cannot be written.
        """
        records = cls(directory, {**about, "status": "running", "started": now(), "finished": None})
        directory.mkdir(parents=True, exist_ok=True)
        with records.lock():
            records.refresh()
            if (directory / "run.json").exists():
                records.join(read_about(directory), retry_failed)
            records.write_about()
        return records

    def lock(self) -> FileLock:
        """The lock under which files are read and written anew."""
        return FileLock(self.directory / ".lock")

    def join(self, before: dict[str, Any], retry_failed: bool) -> None:
        """Go on with an earlier run of the same configuration. Raises RunError when it had another one."""
        configured, wanted = completed(before["configuration"]), self.about["configuration_hash"]
        if wanted not in (before["configuration_hash"], configuration_hash(configured)):
            difference = differences(configured, self.about["configuration"])
            raise RunError(f"{self.directory} holds a run of another configuration ({difference}); choose another folder, or delete it")
        nothing_to_do = not self.missing(self.about["seeds"], retry_failed)
        used = {name: before.get(name) for name in versions()}
        self.about["seeds"] = sorted({*before["seeds"], *self.about["seeds"]})
        if nothing_to_do:
            self.about = {**before, "seeds": self.about["seeds"]}
            return
        self.about["started"] = before["started"]
        self.about["resumed"] = before.get("resumed", [])
        if used != versions():  # the rounds of one run then come from different code: say so
            self.about["resumed"] = [*self.about["resumed"], {**used, "until": now()}]

    def refresh(self) -> None:
        """Read what other processes have recorded. Epochs of a round that did not get as far as rounds.csv don't count."""
        if (version := version_of(self.directory / "rounds.csv")) == self.version:
            return
        self.version = version
        self.rounds = read_rows(RoundRow, self.directory / "rounds.csv")
        known = {row.seed for row in self.rounds}
        self.epochs = [row for row in read_rows(EpochRow, self.directory / "epochs.csv") if row.seed in known]
        self.distances = [row for row in read_rows(DistanceRow, self.directory / "distances.csv") if row.seed in known]

    def missing(self, seeds: list[int], retry_failed: bool) -> list[int]:
        """The seeds among these that are still to be trained."""
        ended = {row.seed for row in self.rounds if row.status == "done" or not retry_failed}
        return [seed for seed in seeds if seed not in ended]

    def claim(self, seed: int, retry_failed: bool) -> bool:
        """Take the round of this seed for this process, unless another one has it or has finished it."""
        folder = self.directory / ".claims"
        folder.mkdir(exist_ok=True)
        lock = FileLock(folder / f"{seed}.lock", thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return False
        with self.lock():
            self.refresh()
        if not self.missing([seed], retry_failed):
            lock.release()
            return False
        self.claims[seed] = lock
        return True

    def add(self, result: RoundResult) -> None:
        """Put a finished round on disk, in the order of the seeds whatever the order in which rounds finish."""
        seed = result.row.seed
        with self.lock():
            self.refresh()
            self.rounds = sorted([*(row for row in self.rounds if row.seed != seed), result.row], key=lambda row: row.seed)
            self.epochs = sorted([*(row for row in self.epochs if row.seed != seed), *result.epochs], key=lambda row: (row.seed, row.epoch))
            self.distances = [row for row in self.distances if row.seed != seed] + result.distances
            self.distances.sort(key=lambda row: (row.seed, row.distance))
            write_whole(self.directory / "epochs.csv", to_csv(EpochRow, self.epochs))
            write_whole(self.directory / "distances.csv", to_csv(DistanceRow, self.distances))
            if result.state is not None:
                self.write_state(seed, result.state)
            # last: a seed in rounds.csv has everything else on disk
            write_whole(self.directory / "rounds.csv", to_csv(RoundRow, self.rounds))
            self.version = version_of(self.directory / "rounds.csv")
        self.release(seed)

    def write_state(self, seed: int, state: dict[str, Tensor]) -> None:
        """Add a trained network to model.safetensors."""
        path = self.directory / "model.safetensors"
        kept = load(path.read_bytes()) if path.exists() else {}
        write_whole(path, save({**kept, **{f"{seed}/{name}": tensor for name, tensor in state.items()}}))

    def release(self, seed: int) -> None:
        """Give a claim back."""
        if seed in self.claims:
            self.claims.pop(seed).release()

    def finish(self, otherwise: Status = "running") -> None:
        """Say how the run stands: done or failed (some rounds are) when it is complete.

        Otherwise: running (another process has the rest), or interrupted or pruned, as whoever ends it knows.
        """
        for seed in list(self.claims):
            self.release(seed)
        with self.lock():
            self.about = read_about(self.directory)  # another process may have joined
            self.refresh()
            complete = {row.seed for row in self.rounds} >= set(self.about["seeds"])
            status = otherwise
            if complete:
                status = "failed" if self.failed else "done"
                shutil.rmtree(self.directory / ".claims", ignore_errors=True)
            if status != self.about["status"]:
                self.about.update(status=status, finished=None if status == "running" else now())
                self.write_about()

    def write_about(self) -> None:
        """Write run.json."""
        write_whole(self.directory / "run.json", json.dumps(self.about, indent=2, ensure_ascii=False) + "\n")

    @property
    def failed(self) -> list[RoundRow]:
        """The rounds that failed."""
        return [row for row in self.rounds if row.status == "failed"]


def version_of(path: Path) -> tuple[int, int] | None:
    """What changes whenever a file is replaced: its inode and time; None when there is no file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


def read_about(directory: Path) -> dict[str, Any]:
    """run.json of a directory. Raises RunError when it is damaged."""
    try:
        about: dict[str, Any] = json.loads((directory / "run.json").read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise RunError(f"{directory / 'run.json'} cannot be read ({error}); delete the folder to train its rounds again") from error
    return about
