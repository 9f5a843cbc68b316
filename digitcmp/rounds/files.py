"""Files that are written whole, so that a reader never sees half of one."""

import os
from pathlib import Path

from digitcmp.errors import RunError
from digitcmp.rounds.rows import Row, from_csv


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


def read_rows(kind: type[Row], path: Path) -> list[Row]:
    """The rows of a file, none when there is no file yet. Raises RunError when it is damaged."""
    try:
        return from_csv(kind, path.read_text())
    except FileNotFoundError:
        return []
    except (ValueError, OSError) as error:
        raise RunError(f"{path} cannot be read ({error}); delete it to train its rounds again") from error
