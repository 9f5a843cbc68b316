"""Which data a data set is: a fingerprint of its arrays, remembered by the sizes and times of its files. Imports no
torch for that.

What comes in published files that are verified whenever they are read (`PINNED`) needs none.
"""

import hashlib
import json
import os
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from digitcmp.config.offered import offers
from digitcmp.errors import DAMAGED, RunError
from digitcmp.files import read_text, write_whole

PINNED = {"digits", "mnist"}
SHALLOW = {"qmnist", "emnist_digits", "usps", "fashion_mnist", "kmnist", "npz", "folder"}  # have their files so many levels below a root:
LEVELS = 2
CODE = Path(__file__).parent


def fingerprint_of(source: str, root: str | None) -> str | None:
    """Twelve hexadecimal digits of the arrays of this data set as they are now; None for one that is pinned.

    Reads it, which imports torch, only when its files, or the code that reads them, are not those of the last time. Raises what
    `digitcmp.data.sources.load` raises.
    """
    if source in PINNED:
        return None
    state, memory = state_of(source, root), memory_of(source, root)
    if memory is not None and state and (known := recall(memory)) and known["state"] == state:
        return str(known["fingerprint"])
    from digitcmp.data.sources import read

    found = read(source, root).fingerprint
    if memory is not None and state == state_of(source, root):  # they have not changed meanwhile
        with suppress(RunError):  # a home that cannot be written costs time, no result
            write_whole(memory, json.dumps({"state": state, "fingerprint": found}))
    return found


def state_of(source: str, root: str | None) -> list[list[Any]]:
    """What there is at or below a data set's root (see `contents_of`), and the code that reads it; empty without a root, as then nobody
    knows what is read."""
    if root is None:
        return []
    others = [offer.package.code for offer in offers()["data"].get(source, []) if offer.package.code is not None]
    code = [*CODE.glob("*.py"), *(path for place in others for path in ([place] if place.is_file() else place.rglob("*.py")))]
    place = Path(os.path.expanduser(root))  # noqa: PTH111 (pathlib's raises where no user has the name, of which whoever reads it tells)
    found = sorted(contents_of(place.absolute(), LEVELS if source in SHALLOW else None), key=lambda row: (row[0], len(row)))
    return [*found, *(row_of(str(path.absolute()), path.stat()) for path in sorted(code))]


def contents_of(root: Path, levels: int | None) -> Iterator[list[Any]]:
    """What somebody who follows links sees at or below a root: of every file path, size, times and number; of every folder and link path,
    and where it really is. A folder that is there twice, or contains itself, is entered once.

    levels: of folders below the root that are entered; None: all.
    """
    yield [str(root), os.path.realpath(root)]
    if root.is_file():
        yield row_of(str(root), root.stat())
    waiting, entered = deque([(str(root), 0)]), set[str]()
    while waiting:
        folder, level = waiting.popleft()
        if (real := os.path.realpath(folder)) in entered or not (levels is None or level <= levels):
            continue
        entered.add(real)
        for path, linked in entries_of(folder):
            one = stat_of(path)
            is_folder = one is not None and stat.S_ISDIR(one.st_mode)
            if linked or is_folder:
                yield [path, os.path.realpath(path)]
            if is_folder:
                waiting.append((path, level + 1))
            elif one is not None and stat.S_ISREG(one.st_mode):
                yield row_of(path, one)


def entries_of(folder: str) -> list[tuple[str, bool]]:
    """What is in a folder: paths, and whether each is a link; nothing where it cannot be read, of which whoever reads it tells."""
    try:
        with os.scandir(folder) as entries:
            return [(entry.path, entry.is_symlink()) for entry in entries]
    except OSError:
        return []


def stat_of(path: str) -> os.stat_result | None:
    """Of what a path leads to; None where that is nothing, or a link to itself."""
    try:
        return Path(path).stat()
    except OSError:
        return None


def row_of(path: str, one: os.stat_result) -> list[Any]:
    """A file's path, size, times and number."""
    return [path, one.st_size, one.st_mtime_ns, one.st_ctime_ns, one.st_ino]


def memory_of(source: str, root: str | None) -> Path | None:
    """Where it is remembered; None where there is no such place."""
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # nobody knows where this user's home is
        return None
    where = hashlib.sha256(json.dumps([source, str(Path(root or "").absolute())]).encode()).hexdigest()[:16]
    return base / "digitcmp" / f"data-{where}.json"


def recall(memory: Path) -> dict[str, Any] | None:
    """What is remembered, None where there is nothing that can be read."""
    try:
        known = json.loads(read_text(memory))
    except (OSError, *DAMAGED):
        return None
    return known if isinstance(known, dict) and {"state", "fingerprint"} <= set(known) else None


def forget(source: str, root: str | None, wrong: str) -> str:
    """Forget that a data set has this fingerprint, and say what helps, where that is what was remembered; empty where it was not."""
    memory = memory_of(source, root)
    if memory is None or (recall(memory) or {}).get("fingerprint") != wrong:
        return ""
    try:
        memory.unlink(missing_ok=True)
    except OSError:
        return f"remove {memory}, which remembers the former"
    return "the same command goes by what is there now"
