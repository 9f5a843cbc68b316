"""Runs as they were when they were first read, whoever asks for them again: what is published is what its figures were made from."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from digitcmp.experiment.published import read_records
from digitcmp.experiment.records import Records

Found = list[tuple[Path, dict[str, Any]]]


@dataclass
class Snapshot:
    """runs: the folder and the run.json of each; notes: a line for each that could not be read; records: of each, by its folder.

    All that is on record stays in memory.
    """

    runs: Found = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    records: dict[Path, Records] = field(default_factory=dict)

    def runs_of(self, notes: list[str], read: Callable[[list[str]], Found]) -> Found:
        """The runs, which are read where nobody has asked before. Raises what that raises."""
        if not self.runs:
            self.runs = read(self.notes)
        notes += self.notes
        return self.runs

    def records_of(self, directory: Path, about: dict[str, Any]) -> Records:
        """The records of a run, which are read where nobody has asked before. Raises RunError."""
        if directory not in self.records:
            self.records[directory] = read_records(directory, about)
        return self.records[directory]
