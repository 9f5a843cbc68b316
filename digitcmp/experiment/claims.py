"""Who trains which round of a run, among the processes that share its folder: a lock for each round that is claimed.

The system gives a lock back when the process that holds it ends, however it ends, so that nothing stays claimed by the dead.
"""

from collections.abc import Iterable
from contextlib import nullcontext, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from digitcmp.experiment.beats import is_dead, read_beats
from digitcmp.files import file_lock
from digitcmp.system import holders, is_stopped

FOLDER = ".claims"


class Claims:
    """The claims on the rounds of the run in a folder, known by their seeds. held: the locks of this process."""

    def __init__(self, directory: Path) -> None:
        self.folder = directory / FOLDER
        self.held: dict[int, FileLock] = {}

    def path(self, seed: int) -> Path:
        """The lock of who has the round of this seed."""
        return self.folder / f"{seed}.lock"

    def take(self, seed: int) -> bool:
        """Claim the round of this seed for this process, unless another one has it."""
        self.folder.mkdir(exist_ok=True)
        lock = file_lock(self.path(seed))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return False
        self.held[seed] = lock
        return True

    def release(self, *seeds: int) -> None:
        """Give claims back."""
        for seed in seeds:
            if seed in self.held:
                self.held.pop(seed).release()

    def settle(self, seed: int) -> None:
        """The round is on record: whoever has opened its lock meanwhile will see that."""
        if seed in self.held:
            self.path(seed).unlink(missing_ok=True)
            self.release(seed)

    def elsewhere(self, seed: int) -> bool:
        """Whether another process has the round of this seed."""
        path = self.path(seed)
        try:
            with file_lock(path).acquire(timeout=0) if path.exists() else nullcontext():
                return False
        except Timeout:
            return True

    def stopped(self, seeds: Iterable[int]) -> set[int]:
        """The processes that have claimed rounds of these seeds, and are stopped."""
        return set(filter(is_stopped, holders(map(self.path, seeds))))

    def clear(self) -> None:
        """Remove the locks of a run that is complete, but for those that somebody holds to train a failed round again."""
        for path in self.folder.glob("*.lock"):
            with suppress(Timeout), file_lock(path).acquire(timeout=0):
                path.unlink(missing_ok=True)
        with suppress(OSError):
            self.folder.rmdir()


def in_use(directory: Path) -> bool:
    """Whether a process has rounds of the run in this folder in flight."""
    for path in (directory / FOLDER).glob("*.lock"):
        try:
            with file_lock(path).acquire(timeout=0):
                continue
        except Timeout:
            return True
    return False


def at_work(directory: Path) -> bool:
    """Whether a process, of this machine or another one, trains the run in this folder: between rounds, too."""
    return in_use(directory) or any(not is_dead(path, beat) for path, beat in read_beats(directory).items())
