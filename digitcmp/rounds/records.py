"""The files of a run's directory. Each is written whole, so that a reader never sees half a file."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from digitcmp.errors import RunError
from digitcmp.rounds.provenance import now
from digitcmp.rounds.round import RoundResult
from digitcmp.rounds.rows import EpochRow, RoundRow, to_csv


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file under a temporary name, make sure that it is on disk, then give it its name.

    Raises RunError when the folder cannot be written or the disk is full; what was there before stays as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise RunError(f"cannot write {path}: {error.strerror}; what was written before is kept") from error


@dataclass
class Records:
    """What a run has on record, in memory and on disk: run.json, epochs.csv, rounds.csv, model.safetensors."""

    directory: Path
    about: dict[str, Any]
    rounds: list[RoundRow] = field(default_factory=list)
    epochs: list[EpochRow] = field(default_factory=list)
    states: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def start(cls, directory: Path, about: dict[str, Any]) -> "Records":
        """Begin a run. Raises RunError when the directory already holds one: results are never written over."""
        if (directory / "run.json").exists():
            raise RunError(f"{directory} already holds a run; choose another folder with hydra.run.dir=FOLDER, or delete it")
        records = cls(directory, {**about, "status": "running", "started": now(), "finished": None})
        records.write_about()
        return records

    def add(self, result: RoundResult) -> None:
        """Put a finished round on disk, in the order of the seeds whatever the order in which rounds finish."""
        self.rounds = sorted([*self.rounds, result.row], key=lambda row: row.seed)
        self.epochs = sorted([*self.epochs, *result.epochs], key=lambda row: (row.seed, row.epoch))
        write_whole(self.directory / "epochs.csv", to_csv(EpochRow, self.epochs))
        if result.state is not None:
            self.states.update({f"{result.row.seed}/{name}": tensor for name, tensor in result.state.items()})
            write_whole(self.directory / "model.safetensors", save(self.states))
        # last: a seed in rounds.csv has everything else on disk
        write_whole(self.directory / "rounds.csv", to_csv(RoundRow, self.rounds))

    def finish(self, status: str) -> None:
        """End the run: done, failed (some rounds did), or interrupted."""
        self.about.update(status=status, finished=now())
        self.write_about()

    def write_about(self) -> None:
        """Write run.json."""
        write_whole(self.directory / "run.json", json.dumps(self.about, indent=2, ensure_ascii=False) + "\n")

    @property
    def failed(self) -> list[RoundRow]:
        """The rounds that failed."""
        return [row for row in self.rounds if row.status == "failed"]
