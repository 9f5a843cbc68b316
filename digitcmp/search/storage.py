"""Where a study is kept: one sqlite file, a journal, or PostgreSQL; and the lock under which one process at a time reads and writes it."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import sqlalchemy
from filelock import FileLock
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage, get_storage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from digitcmp.errors import SearchError

SQLITE_TIMEOUT = 60  # seconds that a process waits for the others to finish writing
StudyLock = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True)
class StudyStorage:
    """Optuna's storage, its name (the URL without password), and its lock.

    What is read and written under the lock happens as a whole: no other process has it at the same time. The system releases
    the lock of a process that dies. (Optuna's own changes of state are not atomic in sqlite.)
    """

    backend: BaseStorage
    name: str
    lock: StudyLock


@contextmanager
def clear_errors(name: str) -> Iterator[None]:
    """Turn whatever a storage raises into a SearchError of one line, without passwords."""
    try:
        yield
    except ModuleNotFoundError as error:
        if "psycopg" not in str(error):
            raise
        raise SearchError(f"storage={name}: needs psycopg; pip install 'digitcmp[postgres]'") from error
    except RuntimeError as error:
        if "table schema" not in str(error):
            raise
        older = "optuna storage upgrade" in str(error)
        advice = "run optuna storage upgrade --storage URL" if older else "install a newer Optuna: pip install -U optuna"
        raise SearchError(f"storage={name}: its tables are of another Optuna version; {advice}") from error
    except (SQLAlchemyError, StorageInternalError) as error:
        raise SearchError(f"storage={name}: {reason(error)}; is it there, and may it be written?") from error


def reason(error: Exception) -> str:
    """What the database itself said, in one line."""
    cause: BaseException = error
    while (behind := getattr(cause, "orig", None) or cause.__cause__) is not None:
        cause = behind
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    said = next((line for line in lines if "FATAL" in line or "refused" in line), lines[0] if lines else type(cause).__name__)
    return re.sub(r"^connection failed: ", "", said)


@contextmanager
def open_storage(url: str) -> Iterator[StudyStorage]:
    """The storage of a URL. Raises SearchError, in one line, when it cannot be reached, read or written, also while it is open."""
    name = without_password(url)
    with clear_errors(name):
        if url.startswith("journal:///"):
            yield journal(Path(url.removeprefix("journal:///")).absolute(), name)
            return
        parsed = sqlalchemy.make_url(url)
        if parsed.drivername == "sqlite" and parsed.database:
            # absolute: a job may change the working directory
            path = Path(parsed.database).absolute()
            with sqlite(parsed.set(database=str(path)), path, name) as storage:
                yield storage
        else:
            with postgres(parsed, name) as storage:
                yield storage


def without_passwords(text: str) -> str:
    """A text, such as a command, in which the passwords of URLs are hidden."""
    return re.sub(r"(://[^:/@\s]+:)[^@/\s]+@", r"\1***@", text)


def without_password(url: str) -> str:
    """A URL that may be shown. Raises SearchError for one that no storage here understands."""
    if url.startswith("journal:///"):
        return url
    try:
        parsed = sqlalchemy.make_url(url)
    except ArgumentError:
        parsed = None
    if parsed is None or parsed.get_backend_name() not in ("sqlite", "postgresql") or not parsed.database:
        raise SearchError(
            f"storage={url if parsed is None else parsed.render_as_string()}: use sqlite:///FILE, journal:///FILE or "
            "postgresql://USER:PASSWORD@HOST/DATABASE"
        )
    return parsed.render_as_string(hide_password=True)


class SystemLock(JournalFileOpenLock):
    """The journal's lock as one that the system releases when its process dies; Optuna's own would stay, and hold all others up."""

    def __init__(self, path: Path) -> None:
        self.lock = FileLock(f"{path}.append.lock", thread_local=False)

    def acquire(self) -> bool:
        self.lock.acquire()
        return True

    def release(self) -> None:
        self.lock.release()


def journal(path: Path, name: str) -> StudyStorage:
    """A journal file."""
    lock = file_lock(path, name)
    with lock():
        return StudyStorage(JournalStorage(JournalFileBackend(str(path), lock_obj=SystemLock(path))), name, lock)


@contextmanager
def sqlite(url: sqlalchemy.URL, path: Path, name: str) -> Iterator[StudyStorage]:
    """One sqlite file."""
    lock = file_lock(path, name)
    with lock():  # the tables are made once
        made = RDBStorage(url.render_as_string(hide_password=False), engine_kwargs={"connect_args": {"timeout": SQLITE_TIMEOUT}})
    try:
        yield StudyStorage(get_storage(made), name, lock)
    finally:
        close(made)


def close(made: RDBStorage) -> None:
    """Close all connections of a storage."""
    made.remove_session()
    made.engine.dispose()


def file_lock(path: Path, name: str) -> StudyLock:
    """A lock beside a file. Raises SearchError where none can be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        Path(f"{path}.lock").touch()
    except OSError as error:
        raise SearchError(f"storage={name}: cannot write {path.parent}: {error.strerror}; choose a folder that can be written") from error
    lock = FileLock(f"{path}.lock", thread_local=False)
    return lambda: lock


@contextmanager
def postgres(url: sqlalchemy.URL, name: str) -> Iterator[StudyStorage]:
    """A PostgreSQL database. Its lock is an advisory one, which the server releases when the connection ends."""
    driven = url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url
    text = driven.render_as_string(hide_password=False)
    engine = sqlalchemy.create_engine(text, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 10})
    number = int.from_bytes(sha256(b"digitcmp").digest()[:8], signed=True)
    guard = threading.Lock()
    with ExitStack() as stack:
        stack.callback(engine.dispose)  # after its connections have been given back
        connection = stack.enter_context(engine.connect())

        @contextmanager
        def lock() -> Iterator[None]:
            with guard:
                connection.execute(sqlalchemy.text("SELECT pg_advisory_lock(:number)"), {"number": number})
                try:
                    yield
                finally:
                    connection.execute(sqlalchemy.text("SELECT pg_advisory_unlock(:number)"), {"number": number})

        with lock():
            made = RDBStorage(text, engine_kwargs={"connect_args": {"connect_timeout": 10}})
        stack.callback(close, made)
        yield StudyStorage(get_storage(made), name, lock)
