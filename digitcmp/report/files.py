"""Writing files whole."""

import os
from pathlib import Path

from digitcmp.errors import RunError


def write_whole(path: Path, content: str | bytes) -> Path:
    """Write a file under a temporary name, then give it its name. Raises RunError when the folder cannot be written."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content if isinstance(content, bytes) else content.encode())
        temporary.replace(path)
    except OSError as error:
        remove(temporary)
        raise RunError(f"cannot write {path}: {error.strerror}; choose another folder with --out FOLDER") from error
    return path


def remove(temporary: Path) -> None:
    """Remove what was half written, where there is anything."""
    try:
        temporary.unlink(missing_ok=True)
    except OSError:
        return  # its folder is not even a folder
