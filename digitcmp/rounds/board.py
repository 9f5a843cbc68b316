"""A board on which rounds, in whichever process, note how far they are: for display only."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from digitcmp.rounds.rows import EpochRow, accuracy_of

COLUMNS = 3  # epochs done, last training loss, last test accuracy (validation accuracy where the test pairs stay unseen)


class Board:
    """A small file that all processes of a run map into memory: a row per round, written by its worker, read by the display.

    It needs no server process and no lock: a row has one writer, and a display may well read a mixture of two epochs.
    """

    def __init__(self, path: Path, rounds: int) -> None:
        self.path, self.rounds = path, rounds
        self.cells: np.memmap[Any, Any] = np.memmap(path, dtype=np.float64, mode="r+", shape=(rounds, COLUMNS))

    @classmethod
    def create(cls, rounds: int) -> "Board":
        """A board of zeros in the folder for temporary files; `close` removes it."""
        with tempfile.NamedTemporaryFile(prefix="digitcmp-board-", delete=False) as file:
            file.truncate(rounds * COLUMNS * 8)
        return cls(Path(file.name), rounds)

    def watch(self, place: int) -> Callable[[EpochRow], None]:
        """A function that notes an epoch of the round at this place."""

        def note(row: EpochRow) -> None:
            self.cells[place] = (row.epoch, row.train_loss, accuracy_of(row)[1])

        return note

    def standing(self) -> tuple[int, float, float]:
        """Epochs done by all rounds together, and means of the last loss and accuracy of the rounds that have begun."""
        cells = np.array(self.cells)
        begun = cells[cells[:, 0] > 0]
        if not len(begun):
            return 0, float("nan"), float("nan")
        return int(cells[:, 0].sum()), float(begun[:, 1].mean()), float(begun[:, 2].mean())

    def close(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)
