"""What one run has on disk, shared safely by every process that works on it.

    run.json    what the run is: configuration, seeds, status, versions
    records/    the logs (`digitcmp.experiment.records`), and a network per seed where they are kept; checkpoints of rounds in flight
    *.csv       views of the logs

A round is claimed (`digitcmp.experiment.claims`) before it is trained. Every process appends to a log of its own.
"""

import json
import secrets
import shutil
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, Literal

from digitcmp.config.identity import completed, configuration_hash, differences
from digitcmp.errors import RunError
from digitcmp.experiment import beats
from digitcmp.experiment.about import joined, read_about, with_job
from digitcmp.experiment.checkpoints import Checkpoints
from digitcmp.experiment.claims import Claims
from digitcmp.experiment.log_reader import LogReader, read_logs
from digitcmp.experiment.provenance import now
from digitcmp.experiment.published import is_published, read_records
from digitcmp.experiment.records import FOLDER, Records, to_record
from digitcmp.experiment.views import are_current, write_views
from digitcmp.files import NoLocksError, append, locked, remove_leftovers, write_whole
from digitcmp.train.results import RoundResult, RoundRow

Status = Literal["running", "done", "failed", "interrupted", "pruned"]
SYNC_INTERVAL = 1.0  # seconds; a power cut may cost the rounds of the last one, a process that is killed costs none
LOST = "its round is not on record, those before it are kept"  # of a log that cannot be written
VIEW_INTERVAL = 5.0  # seconds from one writing of the views to the next, at least
VIEW_GROWTH = 1.5  # times as many rounds as the last time, so that all writings together are at most 3 times as long as the last one


class Store:
    """A run's folder, as one process works on it. `records` mirrors the logs, without the epochs and distances."""

    def __init__(self, directory: Path, configuration: dict[str, Any], job: list[int] | None = None) -> None:
        """Look at what is there; nothing is written. job: when a sweep was begun, and the run's number in it, by which reports order runs.

        Raises RunError when the folder holds a run of another configuration.
        """
        self.directory, self.configuration, self.job = directory, configuration, job
        self.configuration_hash = configuration_hash(configuration)
        self.about = read_about(directory) if (directory / "run.json").exists() else None
        if self.about is not None:
            if is_published(self.about):
                raise RunError(f"{directory} holds a published run, which is to stay as it is; choose another folder")
            self.configuration_hash = self.same_configuration(self.about)
        self.log = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(4)}.jsonl"
        self.records, self.reader = Records(), LogReader(directory, self.configuration_hash)
        self.refresh()
        if self.about is None and self.reader.others:
            raise RunError(f"{directory} holds rounds of another configuration, and no run.json; choose another folder, or delete it")
        self.claims = Claims(directory)
        self.checkpoints = Checkpoints(directory, configuration, self.configuration_hash)
        self.next_view, self.next_size = time.monotonic() + VIEW_INTERVAL, VIEW_GROWTH * len(self.records.rounds)
        self.added, self.next_sync = False, 0.0

    def same_configuration(self, about: dict[str, Any]) -> str:
        """The hash under which a run of this configuration is on record. Raises RunError when it is another configuration's."""
        recorded = str(about["configuration_hash"])
        if self.configuration_hash != recorded:
            theirs, ours = completed(about["configuration"]), completed(self.configuration)
            if theirs != ours:
                told = differences(theirs, ours)
                raise RunError(f"{self.directory} holds a run of another configuration ({told}); choose another folder")
        return recorded

    def look(self) -> None:
        """Read what other processes have made of the folder, where none was before. Raises RunError when that cannot be read."""
        if (self.directory / "run.json").exists():
            self.about = read_about(self.directory)
        self.refresh()

    def refresh(self) -> None:
        """Read what other processes have recorded."""
        self.reader.read(self.records, skip=self.log)

    @property
    def rows(self) -> dict[int, RoundRow]:
        """The finished rounds by seed."""
        return {seed: record.row for seed, record in self.records.rounds.items()}

    def missing(self, seeds: Iterable[int], retry_failed: bool) -> list[int]:
        """The seeds among these that are still to be trained."""
        rounds = self.records.rounds
        return [seed for seed in seeds if seed not in rounds or (retry_failed and rounds[seed].row.status == "failed")]

    def begin(self, about: dict[str, Any]) -> None:
        """Begin the run, or go on with the one that the folder holds: its finished rounds stay, its seeds are joined.

        about: what run.json says of the run, its times and its configuration aside. Raises RunError when nothing can be written or locked.
        """
        about = {"configuration": self.configuration, "configuration_hash": self.configuration_hash, **about}
        about["jobs"] = [self.job] if self.job else []
        existed = self.directory.exists()
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            with self.lock():
                before = read_about(self.directory) if (self.directory / "run.json").exists() else None
                if before is not None:
                    self.same_configuration(before)  # another process may have been first
                self.about = joined(about, before)
                self.write_about()
        except NoLocksError:
            if not existed:
                shutil.rmtree(self.directory, ignore_errors=True)
            raise
        except OSError as error:
            raise RunError(f"cannot write {error.filename or self.directory}: {error.strerror}; nothing was trained") from error

    def ask(self, job: list[int]) -> None:
        """Let the run be this job from now on, also on record where it has been begun before: a sweep asks for all its runs at once, and
        comes to them one by one. What cannot be written is met where the run goes on."""
        self.job = job
        with suppress(RunError, OSError):
            if (self.directory / "run.json").exists():
                with self.lock():
                    self.about = read_about(self.directory)
                    self.about["jobs"] = with_job(self.about.get("jobs", []), job)
                    self.write_about()

    @property
    def heartbeat(self) -> Path:
        """Where this process says which rounds it has in flight (`digitcmp.experiment.heartbeat`)."""
        return self.directory / FOLDER / f"{self.log.removesuffix('.jsonl')}{beats.SUFFIX}"

    def lock(self) -> AbstractContextManager[None]:
        """The lock under which run.json and the views are written."""
        return locked(self.directory / ".lock")

    def claim(self, seed: int, retry_failed: bool) -> bool:
        """Take the round of this seed for this process, unless another one has it or has finished it."""
        if not self.claims.take(seed):
            return False
        self.refresh()
        if not self.missing([seed], retry_failed):
            self.claims.release(seed)
            return False
        return True

    def add(self, result: RoundResult) -> None:
        """Put a finished round on record. Costs the same however many there are. Raises RunError when the disk is full."""
        seed = result.row.seed
        if result.network is not None:
            write_whole(network_path(self.directory, seed), result.network)
        before = self.records.rounds.get(seed)  # a round that failed is trained again
        finished = now("microseconds", after=before.finished if before else "")
        record, line = to_record(result, self.configuration_hash, finished, self.log)
        sync = time.monotonic() >= self.next_sync
        append(self.directory / FOLDER / self.log, line, sync, LOST)
        self.records.add(record)
        self.added = True
        self.checkpoints.remove([seed])
        if sync:
            self.next_sync = time.monotonic() + SYNC_INTERVAL
        self.claims.settle(seed)
        if time.monotonic() >= self.next_view and len(self.records.rounds) >= self.next_size:
            self.write_views()

    def write_views(self) -> None:
        """Write the CSV files anew; not again before some seconds have passed and there are half as many rounds more."""
        with self.lock():
            write_views(self.directory, list(read_logs(self.directory, self.configuration_hash).rounds.values()))
        self.next_view, self.next_size = time.monotonic() + VIEW_INTERVAL, VIEW_GROWTH * len(self.records.rounds)
        self.added = False

    def end(self, otherwise: Status = "running") -> Status:
        """End this process's work: bring the views up to date, and say how the run stands.

        done or failed (some rounds are) when it is complete; otherwise running (another process has the rest), or
        interrupted or pruned, as whoever ends it knows.
        """
        self.claims.release(*self.claims.held)
        for folder in (self.directory, self.directory / FOLDER, network_path(self.directory, 0).parent):
            remove_leftovers(folder)
        beats.remove_dead(self.directory)
        self.checkpoints.clean([seed for seed, row in self.rows.items() if row.status == "done" or not self.claims.path(seed).exists()])
        try:
            if self.added:
                append(self.directory / FOLDER / self.log, b"", sync=True, kept=LOST)
            if self.added or not are_current(self.directory, self.records):
                self.write_views()
        finally:
            status = self.write_status(otherwise)
        return status

    def write_status(self, otherwise: Status) -> Status:
        """Put on disk how the run stands."""
        with self.lock():
            about = self.about = read_about(self.directory)  # another process may have joined
            self.refresh()
            status: Status = otherwise
            if not self.missing(about["seeds"], False):
                status = "failed" if any(row.status == "failed" for row in self.rows.values()) else "done"
                self.claims.clear()
            elif otherwise == "running" and not any(map(self.claims.elsewhere, self.missing(about["seeds"], False))):
                status = "interrupted"  # rounds that an earlier command asked for, and that nobody has any more
            jobs = with_job(about.get("jobs", []), self.job)
            if status != about["status"] or jobs != about.get("jobs", []):
                if status != about["status"]:
                    about.update(finished=None if status == "running" else now(after=about["started"]))
                about.update(status=status, jobs=jobs)
                self.write_about()
        return status

    def write_about(self) -> None:
        """Write run.json."""
        write_whole(self.directory / "run.json", json.dumps(self.about, indent=2, ensure_ascii=False) + "\n")


def network_path(directory: Path, seed: int) -> Path:
    """Where the trained network of this seed is kept."""
    return directory / FOLDER / "networks" / f"{seed}.safetensors"


def read_run_records(directory: Path) -> Records:
    """What is on record in a run's folder; nothing where no run was begun. Raises RunError for a damaged run.json."""
    if not (directory / "run.json").exists():
        return Records()
    return read_records(directory, read_about(directory))
