"""A real PostgreSQL server for tests, in a temporary folder, behind a Unix socket, which is reached from other network namespaces too."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PASSWORD = "a-secret"


def find_programs() -> Path | None:
    """The folder of PostgreSQL's own programs, the newest version."""
    folders = [Path(path).parent for path in [shutil.which("initdb")] if path] + sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), reverse=True
    )
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


def refused() -> str:
    """Why there can be no server here, empty when there can."""
    if find_programs() is None:
        return "PostgreSQL is not installed (apt-get install postgresql)"
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        return f"psycopg cannot be used: {error}"
    try:
        pwd.getpwnam("postgres")
    except KeyError:
        return "" if os.geteuid() else "PostgreSQL does not run as root, and there is no user postgres"
    return ""


@contextmanager
def running() -> Iterator[Path]:
    """The folder of a running server's socket; the server asks for a password."""
    programs = find_programs()
    assert programs is not None
    top = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # a socket's path must be short
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if as_user:
        shutil.chown(top, "postgres")

    def run(program: str, *arguments: str) -> None:
        done = subprocess.run([*as_user, str(programs / program), *arguments], capture_output=True, text=True, check=False, cwd=top)
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"

    (top / "password").write_text(PASSWORD)
    if as_user:
        shutil.chown(top / "password", "postgres")
    data, log = str(top / "data"), str(top / "log")
    run("initdb", "-D", data, "-U", "digitcmp", "--auth=scram-sha-256", f"--pwfile={top / 'password'}", "--no-sync")
    run("pg_ctl", "-D", data, "-l", log, "-w", "-o", f"-k {top} -c listen_addresses='' -c fsync=off", "start")
    try:
        yield top
    finally:
        run("pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(top)


def url_of(server: Path, database: str = "postgres", password: str = PASSWORD) -> str:
    """The URL of a database."""
    return f"postgresql://digitcmp:{password}@/{database}?host={server}"


def new_database(server: Path, name: str) -> str:
    """The URL of a database that is made."""
    import psycopg

    with psycopg.connect(url_of(server), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]
    return url_of(server, name)
