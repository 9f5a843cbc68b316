"""Files that are written whole, so that a reader never sees half of one."""

import os
from pathlib import Path

from digitcmp.errors import RunError


def write_whole(path: Path, content: str | bytes) -> Path:
    """Write a file under a temporary name, make sure that it is on disk, then give it its name; makes its folder, too.

    Raises RunError when the folder cannot be written or the disk is full; what was there before stays as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        remove(temporary)
        raise RunError(f"cannot write {path}: {error.strerror}; what was written before is kept") from error
    return path


def remove(temporary: Path) -> None:
    """Remove what was half written, where there is anything."""
    try:
        temporary.unlink(missing_ok=True)
    except OSError:
        return  # its folder is not even a folder
