"""Where a study is kept: one sqlite file, a journal, or PostgreSQL; and the lock under which one process at a time reads and writes it."""

import re
import shlex
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import sqlalchemy
from filelock import FileLock
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage, get_storage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from digitcmp.errors import DAMAGED, SearchError
from digitcmp.files import is_special, misread
from digitcmp.passwords import holds_password, without_passwords

SQLITE_TIMEOUT = 60  # seconds that a process waits for the others to finish writing
JOURNAL = "journal:///"
POSTGRES = ("postgresql", "postgresql+psycopg")
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
        upgrade = shlex.join(["optuna", "storage", "upgrade", "--storage", name])
        advice = f"run {upgrade}" if older else "install a newer Optuna: pip install -U optuna"
        raise SearchError(f"storage={name}: its tables are of another Optuna version, or of another program; {advice}") from error
    except (SQLAlchemyError, StorageInternalError) as error:
        raise SearchError(f"storage={name}: {reason(error)}; is it there, and may it be written?") from error


def reason(error: Exception) -> str:
    """What the database itself said, in one line."""
    cause: BaseException = error
    while (behind := getattr(cause, "orig", None) or cause.__cause__) is not None:
        cause = behind
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    said = next((line for line in lines if "FATAL" in line or "refused" in line), lines[0] if lines else type(cause).__name__)
    return without_passwords(re.sub(r"^connection failed: ", "", said))


@contextmanager
def open_storage(url: str) -> Iterator[StudyStorage]:
    """The storage of a URL. Raises SearchError, in one line, when it cannot be reached, read or written, also while it is open."""
    if url.startswith(JOURNAL):
        path = Path(url.removeprefix(JOURNAL)).absolute()
        lock = file_lock(path, url)
        # the system releases this one when its process dies; Optuna's own would stay, and hold all others up
        appending = cast(JournalFileOpenLock, FileLock(f"{path}.append.lock", thread_local=False))
        with clear_errors(url):
            with lock():
                try:
                    made = JournalStorage(JournalFileBackend(str(path), lock_obj=appending))
                except DAMAGED as error:  # what it finds in another kind of file
                    raise SearchError(f"storage={url}: this is no journal of Optuna's, or it is damaged; give another file") from error
            yield StudyStorage(made, url, lock)
        return
    parsed = parse(url)
    name = without_passwords(parsed.render_as_string(hide_password=True))
    with clear_errors(name), ExitStack() as stack:
        if parsed.get_backend_name() == "sqlite":
            path = Path(str(parsed.database)).absolute()  # a job may change the working directory
            parsed, lock, options = parsed.set(database=str(path)), file_lock(path, name), {"timeout": SQLITE_TIMEOUT}
        else:
            parsed = parsed.set(drivername="postgresql+psycopg") if parsed.drivername == "postgresql" else parsed
            check_options(parsed, name)
            lock, options = stack.enter_context(advisory_lock(parsed)), {"connect_timeout": 10}
        database = RDBStorage.__new__(RDBStorage)
        stack.callback(close, database)  # also where what it finds makes it raise
        with lock():  # the tables are made once
            database.__init__(parsed.render_as_string(hide_password=False), {"connect_args": options})  # type: ignore[misc]
        yield StudyStorage(get_storage(database), name, lock)


def close(database: RDBStorage) -> None:
    """Give back the connections of a storage that may not be whole."""
    if hasattr(database, "scoped_session"):
        database.remove_session()
    if hasattr(database, "engine"):
        database.engine.dispose()


def storage_url(given: str | None, folder: Path, shared: bool) -> str:
    """Where a study is kept: where it is told, or in a file of its search's folder; in a journal where other machines are to share it, or
    have. Raises SearchError for sqlite, whose locks do not work between machines, where they are, and for a path from the working folder
    where one from the root was probably meant."""
    kept, journal = folder / "study.db", folder.absolute() / "study.journal"
    if shared and ((given or "").startswith("sqlite") or (not given and kept.exists())):
        raise SearchError(
            f"storage={given or f'sqlite:///{kept}'}: machines cannot share sqlite; use journal:///FILE or postgresql://USER:PASSWORD@HOST/"
            "DATABASE" + ("" if given else ", and another folder (hydra.sweep.dir)")
        )
    scheme, slashes, path = (given or "").partition(":///")
    if slashes and scheme in ("sqlite", "journal") and (told := misread(scheme, path)):
        raise SearchError(f"storage={given}: {told}")
    return given or (f"{JOURNAL}{journal}" if shared or journal.exists() else f"sqlite:///{kept}")


def parse(url: str) -> sqlalchemy.URL:
    """The URL of a database. Raises SearchError for one that no storage here understands."""
    try:
        parsed = sqlalchemy.make_url(url)
    except (ArgumentError, ValueError):  # the latter for a port that is no number
        parsed = None
    if parsed is not None and parsed.database and url.isprintable() and "%00" not in url:  # what follows would be left out
        driver, rest = parsed.drivername, f"{parsed.host}{parsed.database}"
        plain = driver == "sqlite" and not parsed.query and parsed.database != ":memory:"
        if plain or (driver in POSTGRES and "@" not in rest):  # such an @ belongs to a password
            return parsed
    hidden = holds_password(url) or ("://" not in url and re.search(r"[:@\s]", url))  # what is no URL may hold one anywhere
    told = "(not shown, as it may hold a password; there, @ is written %40)" if hidden else url
    raise SearchError(f"storage={told}: use sqlite:///FILE, journal:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE")


def check_url(url: str) -> None:
    """Raise SearchError for one that `open_storage` would not open, as far as it says so itself."""
    if not url.startswith(JOURNAL) and (parsed := parse(url)).drivername in POSTGRES:
        check_options(parsed, without_passwords(parsed.render_as_string(hide_password=True)))


def check_options(url: sqlalchemy.URL, name: str) -> None:
    """Raise SearchError for what is no option of PostgreSQL's own: psycopg would take some for arguments of Python."""
    from psycopg.pq import Conninfo

    known = {option.keyword.decode() for option in Conninfo.get_defaults()}
    if others := sorted(set(url.query) - known):
        raise SearchError(f"storage={name}: PostgreSQL has no option {others[0]}; leave it out, or give one as in ?sslmode=require")


def file_lock(path: Path, name: str) -> StudyLock:
    """A lock beside a file. Raises SearchError where none can be written, and for what is no file."""
    try:
        if path.is_dir() or is_special(path):
            raise SearchError(
                f"storage={name}: {path} is {'a folder' if path.is_dir() else 'no file'}; give a file, new or an earlier study's"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        Path(f"{path}.lock").touch()
    except OSError as error:
        raise SearchError(f"storage={name}: cannot write {path}: {error.strerror}; choose a folder that can be written") from error
    lock = FileLock(f"{path}.lock", thread_local=False)
    return lambda: lock


@contextmanager
def advisory_lock(url: sqlalchemy.URL) -> Iterator[StudyLock]:
    """A lock in a PostgreSQL database, which the server releases when the connection ends."""
    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 10})
    number = int.from_bytes(sha256(b"digitcmp").digest()[:8], signed=True)
    guard = threading.Lock()
    with ExitStack() as stack:
        stack.callback(engine.dispose)  # after its connections have been given back
        try:
            connection = stack.enter_context(engine.connect())
        except UnicodeError as error:  # no host has such a name
            raise StorageInternalError from error

        @contextmanager
        def lock() -> Iterator[None]:
            with guard:
                connection.execute(sqlalchemy.text("SELECT pg_advisory_lock(:number)"), {"number": number})
                try:
                    yield
                finally:
                    connection.execute(sqlalchemy.text("SELECT pg_advisory_unlock(:number)"), {"number": number})

        yield lock
