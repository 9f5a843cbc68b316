"""A run: one configuration, trained over one or more rounds, in one directory. Imports no torch."""

from collections import deque
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

from digitcmp.config.identity import configuration
from digitcmp.config.schema import Config
from digitcmp.config.taken import plugins_of
from digitcmp.counting import counted
from digitcmp.errors import Pruned
from digitcmp.experiment.failed import failed_rounds
from digitcmp.experiment.provenance import allocation, machine, versions
from digitcmp.experiment.store import Status, Store, network_path
from digitcmp.experiment.surroundings import surroundings, write_changes
from digitcmp.files import check_results_folder
from digitcmp.names import check_folder
from digitcmp.train.results import RoundResult, RoundRow


class Run:
    """One configuration, the seeds that are asked for, and how far this process is with them."""

    def __init__(self, config: Config, directory: Path, command: str, job: list[int] | None = None) -> None:
        """Look at what is on record; nothing is written. command: the one that runs it again; job: see `Store`.

        Raises RunError when the directory holds a run of another configuration or cannot be read, ConfigError for a name that no
        folder should have.
        """
        check_folder("a run's folder", directory)
        check_results_folder(directory)
        self.config, self.directory, self.command = config, directory, command
        self.store = Store(directory, configuration(config), job)
        self.seeds = config.seeds
        self.missing = deque(self.store.missing(self.seeds, config.retry_failed))
        self.in_flight = 0
        self.elsewhere: list[int] = []  # seeds that another process has claimed
        self.begun = False
        self.pruned = False  # ended early
        self.broken = False  # because a round of it fails
        self.reason = ""  # for that, as whoever ended it has said
        self.left_out: list[str] = []  # what takes no part of the pictures that it is trained on
        self.status: Status = "running"

    @property
    def name(self) -> str:
        """The name of its directory."""
        return self.directory.name

    def join(self, seeds: Sequence[int]) -> None:
        """Ask for more rounds of the same configuration, before any is trained."""
        self.seeds = sorted({*self.seeds, *seeds})
        self.missing = deque(self.store.missing(self.seeds, self.config.retry_failed))

    @property
    def rows(self) -> list[RoundRow]:
        """The finished rounds among those that are asked for, in the order of their seeds."""
        return self.rows_of(self.seeds)

    def rows_of(self, seeds: Sequence[int]) -> list[RoundRow]:
        """The finished rounds of these seeds."""
        rounds = self.store.records.rounds
        return [rounds[seed].row for seed in seeds if seed in rounds]

    @property
    def failed(self) -> list[RoundRow]:
        """The rounds among them that failed."""
        return [row for row in self.rows if row.status == "failed"]

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do: all rounds are on record, and so is what the run is."""
        return not self.missing and self.store.about is not None

    def extend(self, rounds: int) -> None:
        """Ask for so many rounds, where there are fewer so far: a run that has ended is begun again."""
        more = range(self.config.seed + len(self.seeds), self.config.seed + rounds)
        self.seeds = [*self.seeds, *more]
        self.missing.extend(self.store.missing(more, self.config.retry_failed))
        self.begun = False

    def look_again(self) -> bool:
        """Look for rounds that another process had; whether it has let go of some, so that they are missing here."""
        self.store.refresh()
        waiting = self.store.missing(self.elsewhere, self.config.retry_failed)
        free = [seed for seed in waiting if self.store.claim(seed, self.config.retry_failed)]
        for seed in free:
            self.store.claims.release(seed)  # whoever trains it claims it
        self.missing.extend(free)
        self.begun = False
        self.elsewhere = [seed for seed in waiting if seed not in free]
        return bool(free)

    def look_after_others(self) -> None:
        """Take over what other processes have made of the run, which was theirs alone; rounds that have failed there stay so."""
        self.config.retry_failed = False
        self.store.look()
        self.missing = deque(self.store.missing(self.seeds, retry_failed=False))

    @property
    def unsaved(self) -> int:
        """How many rounds are done without keeping the network that is asked for now."""
        if not self.config.save_model:
            return 0
        return sum(row.status == "done" and not network_path(self.directory, row.seed).exists() for row in self.rows)

    @cached_property
    def parameters(self) -> int:
        """How many parameters a round trains, of all networks of an ensemble together."""
        from digitcmp.model.network import count_parameters

        return self.config.ensemble * count_parameters(self.config.model, self.config.data.size)

    def begin(self, executor: str, workers: int, device: str, platform: dict[str, Any] | None = None) -> None:
        """Say on disk that the run is under way, and by what. platform: of what trains it, None for this machine.

        Raises RunError when the directory cannot be used.
        """
        how = {"engine": executor, "workers": workers, "device": device, "platform": platform or machine(device)}
        how |= surroundings(device)
        how["tags"] = list(self.config.tags)
        how |= {"left_out": self.left_out} if self.left_out else {}
        how["data_root"] = None if self.config.data.root is None else str(Path(self.config.data.root).absolute())
        how |= {"plugins": plugins} if (plugins := plugins_of(self.store.configuration)) else {}
        if (task := allocation()) is not None:
            how["slurm"] = [task]
        self.begun = True
        self.store.begin({"parameters": self.parameters, "seeds": self.seeds, **how, **versions(), "command": self.command})
        write_changes(self.directory)

    @property
    def over(self) -> bool:
        """Whether this process is through with it: nothing is in flight or to be begun, and no other process has rounds of it."""
        return not self.in_flight and (self.pruned or not (self.missing or self.elsewhere))

    def claim(self, seed: int) -> bool:
        """Take a round for this process; False when another one has it, or has finished it."""
        if self.store.claim(seed, self.config.retry_failed):
            self.in_flight += 1
            return True
        self.elsewhere += self.store.missing([seed], self.config.retry_failed)
        return False

    def record(self, result: RoundResult) -> None:
        """Put a round that has ended on record. Raises RunError when it cannot be written."""
        self.in_flight -= 1
        self.store.add(result)

    def stop(self, seed: int) -> None:
        """A round was stopped: nothing of it counts."""
        self.in_flight -= 1
        self.store.checkpoints.remove([seed])
        self.store.claims.release(seed)

    def end(self, otherwise: Status = "running") -> None:
        """End this process's work on the run, and say on disk how it stands."""
        if self.pruned:
            otherwise = "pruned" if not self.broken else "failed" if self.failed else otherwise
        self.status = self.store.end(otherwise)

    def outcome(self, seeds: Sequence[int] | None = None) -> float:
        """What a job that asked for these seeds (None: all) returns to Hydra (see `objective`). Raises RunError when rounds have failed,
        and Pruned where the run was ended early, without some of them."""
        seeds = self.seeds if seeds is None else seeds
        rows = self.rows_of(seeds)
        failed = [row for row in rows if row.status == "failed"]
        if self.pruned and len(rows) < len(seeds) and not (self.broken and failed):
            there = f"{self.name} was ended early, with {len(rows)} of {counted(len(seeds), 'round')}"
            raise Pruned(f"{there}: {self.reason}" if self.reason else there)
        if failed:
            raise failed_rounds([row.seed for row in failed], len(seeds), failed[0].error, self.directory)
        return objective(rows)


def objective(rows: Sequence[RoundRow]) -> float:
    """What a search maximises: the mean validation accuracy of these rounds (test accuracy where there is none), NaN without rounds."""
    scores = [row.test_accuracy if row.val_accuracy is None else row.val_accuracy for row in rows if row.status == "done"]
    return fmean(score for score in scores if score is not None) if scores else float("nan")
