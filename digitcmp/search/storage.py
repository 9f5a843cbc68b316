"""Where a study is kept: one sqlite file, a journal, or PostgreSQL; and turns, in which a single process looks and acts."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
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

PATIENCE = 60  # seconds that a process waits for the others to finish writing
Turn = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Place:
    """A storage, what it is called (without password), and its turns.

    What is read and written within a turn happens as a whole: no other process has a turn at the same time. The system ends
    the turn of a process that dies. (Optuna's own changes of state are not atomic in sqlite.)
    """

    storage: BaseStorage
    name: str
    turn: Turn


@contextmanager
def told(name: str) -> Iterator[None]:
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
def open_place(url: str) -> Iterator[Place]:
    """The storage of a URL. Raises SearchError, in one line, when it cannot be reached, read or written, also while it is open."""
    name = without_password(url)
    with told(name):
        if url.startswith("journal:///"):
            yield journal(Path(url.removeprefix("journal:///")).absolute(), name)
            return
        parsed = sqlalchemy.make_url(url)
        if parsed.drivername == "sqlite" and parsed.database:
            # absolute: a job may change the working directory
            path = Path(parsed.database).absolute()
            with sqlite(parsed.set(database=str(path)), path, name) as place:
                yield place
        else:
            with postgres(parsed, name) as place:
                yield place


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
        self.lock = FileLock(f"{path}.lock", thread_local=False)

    def acquire(self) -> bool:
        self.lock.acquire()
        return True

    def release(self) -> None:
        self.lock.release()


def journal(path: Path, name: str) -> Place:
    """A journal file."""
    turn = file_turn(path, name)
    with turn():
        return Place(JournalStorage(JournalFileBackend(str(path), lock_obj=SystemLock(path))), name, turn)


@contextmanager
def sqlite(url: sqlalchemy.URL, path: Path, name: str) -> Iterator[Place]:
    """One sqlite file."""
    turn = file_turn(path, name)
    with turn():  # the tables are made once
        made = RDBStorage(url.render_as_string(hide_password=False), engine_kwargs={"connect_args": {"timeout": PATIENCE}})
    try:
        yield Place(get_storage(made), name, turn)
    finally:
        close(made)


def close(made: RDBStorage) -> None:
    """Close all connections of a storage."""
    made.remove_session()
    made.engine.dispose()


def file_turn(path: Path, name: str) -> Turn:
    """Turns by a lock beside a file. Raises SearchError where none can be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        Path(f"{path}.turn").touch()
    except OSError as error:
        raise SearchError(f"storage={name}: cannot write {path.parent}: {error.strerror}; choose a folder that can be written") from error
    lock = FileLock(f"{path}.turn", thread_local=False)
    return lambda: lock


@contextmanager
def closing_engine(engine: sqlalchemy.Engine) -> Iterator[None]:
    """Close an engine's connections at the end, which must be after they have been given back."""
    try:
        yield
    finally:
        engine.dispose()


@contextmanager
def postgres(url: sqlalchemy.URL, name: str) -> Iterator[Place]:
    """A PostgreSQL database. Its turns are an advisory lock, which the server releases when the connection ends."""
    driven = url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url
    text = driven.render_as_string(hide_password=False)
    engine = sqlalchemy.create_engine(text, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 10})
    number = int.from_bytes(sha256(b"digitcmp").digest()[:8], signed=True)
    guard = threading.Lock()
    with closing_engine(engine), engine.connect() as connection:

        @contextmanager
        def turn() -> Iterator[None]:
            with guard:
                connection.execute(sqlalchemy.text("SELECT pg_advisory_lock(:number)"), {"number": number})
                try:
                    yield
                finally:
                    connection.execute(sqlalchemy.text("SELECT pg_advisory_unlock(:number)"), {"number": number})

        with turn():
            made = RDBStorage(text, engine_kwargs={"connect_args": {"connect_timeout": 10}})
        try:
            yield Place(get_storage(made), name, turn)
        finally:
            close(made)
