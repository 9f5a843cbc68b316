"""The files in which processes say what rounds they have in flight (`digitcmp.experiment.heartbeat`): written, read, dead."""

import json
import os
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from digitcmp.errors import DAMAGED
from digitcmp.files import hold
from digitcmp.system import host_id, is_stopped, start_time

SUFFIX = ".heartbeat.json"
LARGEST = 10_000_000  # bytes of a file that can be one of these
MOST = 2**64  # of a seed, and of all that is counted


@dataclass(frozen=True)
class Beat:
    """What a process has said last of one run. id: its own; node: the host's name; rounds: the epoch that each of its rounds in flight is
    through with, by seed; slow: since when those of them that take much too long have come to no epoch (`digitcmp.experiment.slow`);
    epochs, seconds: how many epochs it has trained in how long, of all its runs, over the last ten minutes."""

    id: str
    host: str
    node: str
    process: int
    start_time: str
    lease: float
    epochs: int
    seconds: float
    rounds: dict[int, int] = field(default_factory=dict)
    slow: dict[int, str] = field(default_factory=dict)

    @property
    def is_here(self) -> bool:
        """Whether this host knows its process."""
        return self.host == host_id() and bool(self.start_time)

    @property
    def is_stopped(self) -> bool:
        """Whether its process is one of this host, and stopped."""
        return self.is_here and start_time(self.process) == self.start_time and is_stopped(self.process)


def write(path: Path, content: dict[str, Any]) -> None:
    """Write a file in place of the one before it, at once for every reader. Raises OSError."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    path.parent.mkdir(exist_ok=True)
    try:
        with temporary.open("xb") as file:
            if not hold(file):
                return write(path, content)
            file.write(json.dumps(content).encode())
            file.flush()
            temporary.replace(path)
    finally:
        remove(temporary)


def remove(path: Path) -> None:
    """Remove a file, where that can be done."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


def read_beats(directory: Path) -> dict[Path, Beat]:
    """What processes have said of the run in this folder, the dead among them; files that are none of these are nobody's."""
    found = {}
    try:
        paths = [path for path in (directory / "records").iterdir() if path.name.endswith(SUFFIX)]
    except OSError:
        return {}
    for path in paths:
        with suppress(OSError, *DAMAGED):
            if path.is_file() and path.stat().st_size <= LARGEST:
                found[path] = to_beat(json.loads(path.read_text(encoding="utf-8")))
    return found


def to_beat(told: dict[str, Any]) -> Beat:
    """What a file says. Raises ValueError or TypeError where it is none of these."""
    rounds = {int(seed): int(epoch) for seed, epoch in told["rounds"].items()}
    beat = Beat(**{**told, "rounds": rounds, "slow": {int(seed): str(since) for seed, since in told["slow"].items()}})
    kinds = {str: ("id", "host", "node", "start_time"), int: ("process", "epochs"), float: ("lease", "seconds")}
    if not all(0 <= number <= MOST for number in (*rounds, *rounds.values(), beat.epochs)):
        raise ValueError(told)
    if not all(isinstance(asdict(beat)[name], (kind, int) if kind is float else kind) for kind, names in kinds.items() for name in names):
        raise ValueError(told)
    return beat


def is_dead(path: Path, beat: Beat) -> bool:
    """Whether the process that wrote this file is gone."""
    if beat.is_here:
        return start_time(beat.process) != beat.start_time
    return age(path) > beat.lease


def age(path: Path) -> float:
    """Seconds since a file was touched, by the clock of its file system: that of a file made now; 0 where none can be made there."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with path.open("rb") as file, temporary.open("xb") as now:
            return os.fstat(now.fileno()).st_mtime - os.fstat(file.fileno()).st_mtime
    except OSError:
        return 0.0
    finally:
        remove(temporary)


def remove_dead(directory: Path) -> None:
    """Remove what dead processes have left of a run."""
    for path, beat in read_beats(directory).items():
        if is_dead(path, beat):
            remove(path)
