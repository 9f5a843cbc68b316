"""Files that are written whole or appended to, so that a reader never takes half of something for the whole; locks; and where the
shipped YAML files are."""

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock

from digitcmp.errors import RunError

WITHOUT_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP}
LEFTOVER = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")  # the name of a file that is being written, or was
TEXTS = (".json", ".yaml", ".log")  # which are written in place, or read, by us and by Hydra
NO_FILE = "this is a pipe or a device, and no file"
PACKAGE = Path(__file__).resolve().parent


def shipped(folder: str) -> Path:
    """conf/ or sweeps/: inside the package when it was installed from a wheel, beside it in a checkout."""
    inside = PACKAGE / folder
    return inside if inside.is_dir() else PACKAGE.parent / folder


def write_whole(path: Path, content: str | bytes) -> Path:
    """Write a file under a temporary name, make sure that it is on disk, then give it its name; makes its folder, too.

    Raises RunError when the folder cannot be written or the disk is full; what was there before stays as it was.
    """
    # a name that nobody else has, also not a process of another machine or container with the same number
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            if not hold(file):
                return write_whole(path, content)
            file.write(content if isinstance(content, bytes) else content.encode(errors="backslashreplace"))
            file.flush()
            os.fsync(file.fileno())
            temporary.replace(path)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}; what was written before is kept") from error
    finally:
        remove(temporary)  # also after Ctrl-C
    return path


def hold(temporary: BinaryIO) -> bool:
    """Mark a file as one that is being written, for as long as it is open: `remove_leftovers` knows by that what a dead process has left.
    False when it has been removed before it could be marked."""
    with suppress(ImportError, OSError):  # a system or a file system without such locks: what is left there stays
        from fcntl import LOCK_EX, flock

        flock(temporary, LOCK_EX)
    return os.fstat(temporary.fileno()).st_nlink > 0


def remove_leftovers(folder: Path) -> None:
    """Remove what processes were writing in a folder when they were killed."""
    for path in folder.glob(".*.tmp"):
        if LEFTOVER.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            with suppress(ImportError, OSError), path.open("rb") as file:
                from fcntl import LOCK_EX, LOCK_NB, flock

                flock(file, LOCK_EX | LOCK_NB)  # OSError when somebody is writing it
                path.unlink()


def is_special(path: Path) -> bool:
    """Whether a path is a pipe, a socket or a device, which would keep a reader waiting or never end."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # whoever opens it will say so
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def read_text(path: Path) -> str:
    """The text of a file, in UTF-8, with the mark in front that some programs write, or without. Raises OSError, also for what
    `is_special`."""
    if is_special(path):
        raise OSError(errno.EINVAL, NO_FILE, str(path))
    return path.read_text(encoding="utf-8-sig")


def check_results_folder(folder: Path) -> None:
    """Raise RunError where a folder of results cannot be made, or where something else than a file has the name of one that is going to be
    read or written in it, or in its .hydra/: whoever opens a pipe waits for ever."""
    place = next((path for path in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(path)), folder)
    refused = 0
    if not os.path.isdir(place):  # noqa: PTH112 (pathlib's raises where a folder above may not be entered)
        refused = errno.ENOTDIR
    elif place != folder.absolute() and not os.access(place, os.W_OK | os.X_OK):
        refused = errno.EACCES
    if refused:
        raise RunError(
            f"cannot write or read {folder}: {os.strerror(refused)}; choose another folder with hydra.run.dir or hydra.sweep.dir"
        )
    for place in (folder, folder / ".hydra"):
        with suppress(OSError, ValueError), os.scandir(place) as entries:  # there is no such folder yet, or none that can be read
            for entry in entries:
                if entry.name.endswith(TEXTS) and is_special(Path(entry.path)):
                    raise RunError(f"{entry.path}: {NO_FILE}; remove it, or choose another folder")


def misread(scheme: str, text: str) -> str:
    """What was probably meant by a URL with a relative path that begins with a folder that there is at the root and not here, in words;
    empty for any other. text: the path, as in sqlite:///tmp/study.db, whose scheme is sqlite."""
    first, below, _ = text.partition("/")
    if not below or first in ("", ".", "..") or os.path.lexists(first) or not os.path.isdir(f"/{first}"):  # noqa: PTH112
        return ""
    means = f"this is {Path(text).absolute()}, as three slashes begin a path from the working folder"
    return f"{means}; for one from the root give {scheme}:////{text}, for this one {scheme}:///./{text}"


def remove(temporary: Path) -> None:
    """Remove what was half written, where there is anything."""
    try:
        temporary.unlink(missing_ok=True)
    except OSError:
        return  # its folder is not even a folder


def append(path: Path, line: bytes, sync: bool, kept: str = "what was written before is kept") -> None:
    """Append a line, and see the file onto the disk where that is asked for; where it does not fit, nothing of it stays.

    Raises RunError, which ends with what is kept then.
    """
    try:
        path.parent.mkdir(exist_ok=True)
        if is_special(path):
            raise OSError(errno.EINVAL, NO_FILE)
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            size = os.fstat(file).st_size
            try:
                while line:
                    line = line[os.write(file, line) :]
                if sync:
                    os.fsync(file)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(file, size)
                raise
        finally:
            os.close(file)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}; {kept}") from error


class NoLocksError(RunError):
    """A folder on a file system without locks."""


def file_lock(path: Path) -> FileLock:
    """A lock that the system releases when its holder ends; never one that a killed process would leave behind."""
    return FileLock(path, thread_local=False, fallback_to_soft=False)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock. Raises NoLocksError where the file system has none; the lock's file is removed then."""
    try:
        lock = file_lock(path)
        lock.acquire()
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise
        path.unlink(missing_ok=True)
        raise NoLocksError(
            f"{path.parent}: this file system has no locks, so that runs cannot be kept there; choose another folder"
        ) from error
    try:
        yield
    finally:
        lock.release()
