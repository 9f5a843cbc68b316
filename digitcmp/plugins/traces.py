"""What a dry run of a sweep leaves: nothing. Hydra makes the sweep's folder, and writes there what the sweep was told, before it launches
anything; a sweep that is there already would say that its last command was the dry run."""

import os
from contextlib import suppress
from pathlib import Path

from digitcmp.files import write_whole

FILE = "multirun.yaml"


class Before:
    """A sweep's folder as it was: what it was told, and which of the folders above it there were."""

    def __init__(self, sweep: Path) -> None:
        self.path = sweep.absolute() / FILE
        self.missing = [folder for folder in self.path.parents if not folder.exists()]
        self.told = (self.path.read_bytes(), self.path.stat().st_mtime_ns) if self.path.is_file() else None

    def restore(self) -> None:
        """Make it so again; folders in which something else has appeared meanwhile stay. Raises RunError, OSError where that cannot be."""
        if self.told is None:
            self.path.unlink(missing_ok=True)
        else:
            content, changed = self.told
            write_whole(self.path, content)
            os.utime(self.path, ns=(changed, changed))
        with suppress(OSError):
            for folder in self.missing:
                folder.rmdir()
