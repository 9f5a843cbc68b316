"""What made a result: versions, checkout, command."""

import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from digitcmp import __version__


@cache
def versions() -> dict[str, Any]:
    """Versions of what computes, and the commit where the package runs from a checkout; as they were when first asked for.

    A checkout may change while a sweep is running; the code that runs does not.
    """
    import torch

    return {"torch": torch.__version__, "digitcmp": __version__, "python": platform.python_version(), **checkout()}


def checkout() -> dict[str, Any]:
    """`git_commit` and `git_dirty` (changes in tracked files) of the checkout that holds this package, empty where there is none."""
    top = Path(__file__).resolve().parents[2]
    if not (top / ".git").exists():
        return {}
    commit, changes = git(top, "rev-parse", "HEAD"), git(top, "status", "--porcelain", "--untracked-files=no")
    return {} if commit is None or changes is None else {"git_commit": commit, "git_dirty": bool(changes)}


def git(top: Path, *arguments: str) -> str | None:
    """What git prints, None where it is missing or refuses."""
    try:
        done = subprocess.run(["git", "-C", str(top), *arguments], capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def now(precision: str = "seconds") -> str:
    """The time in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec=precision)
