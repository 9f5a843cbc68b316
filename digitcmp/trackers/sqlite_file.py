"""The file of a MLflow database on disk: whole, or not there. MLflow makes its tables, and changes them, in hundreds of steps, and where
that is cut off, nothing goes on from there; so they are made in memory, and come to the file in one transaction of SQLite's."""

import secrets
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, cast

from sqlalchemy import make_url

from digitcmp.errors import ConfigError
from digitcmp.files import misread
from digitcmp.passwords import without_passwords


def file_of(uri: str) -> Path | None:
    """The file that a tracking URI means, absolute, wherever links lead; None where it is none of SQLite's, and for names that SQLite has
    of its own (:memory:, file:…)."""
    url = make_url(uri) if uri.startswith("sqlite") else None
    if url is None or not url.database or url.database.startswith((":memory:", "file:")):
        return None
    return Path(url.database).resolve()


def check_uri(key: str, uri: str) -> None:
    """Raise ConfigError for a path from the working folder where one from the root was probably meant. key: says the URI."""
    scheme, slashes, path = uri.partition(":///")
    if slashes and scheme.startswith("sqlite") and (told := misread(scheme, path)):
        raise ConfigError(f"{key}={without_passwords(uri)}: {told}")


def make_whole(path: Path) -> None:
    """Make the database where there is none yet; one process at a time. A process that is killed meanwhile leaves none: what it has begun,
    SQLite takes back for the next one. Raises what sqlite3 and mlflow raise."""
    if holds_tables(path):
        return
    from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    memory = f"sqlite:///file:{secrets.token_hex(8)}?mode=memory&uri=true"  # mlflow keeps what it has made, by the URI
    store = cast(Any, SqlAlchemyStore)(memory, DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH)
    made = store.engine.raw_connection()
    try:
        with closing(sqlite3.connect(path)) as file:
            made.driver_connection.backup(file)
    finally:
        made.close()
        store.engine.dispose()


def holds_tables(path: Path) -> bool:
    """Whether there is anything in a file: another program may have made it, or an earlier version. One that is no database is left to
    whoever opens it."""
    try:
        return path.exists() and bool(count(path, "sqlite_master"))
    except sqlite3.Error:
        return True


def is_half_made(path: Path) -> bool:
    """Whether there are tables in a file, and no experiment: MLflow makes the first one as soon as its tables are whole."""
    try:
        return bool(count(path, "sqlite_master")) and not count(path, "experiments")
    except sqlite3.Error as error:
        return "no such table" in str(error)


def count(path: Path, table: str) -> int:
    """How many rows a table of a database has. Raises sqlite3.Error."""
    with closing(sqlite3.connect(path)) as file:
        (found,) = file.execute(f"SELECT count(*) FROM {table}").fetchone()
        return int(found)
