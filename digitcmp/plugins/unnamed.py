"""Folders that nobody has named: each command has one of its own, also where another was begun in the same second."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, Literal, cast

from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from digitcmp.plugins.sweeps import told

SECOND = "%S}"  # the end of a name by date and time, in conf/config.yaml

claimed: list[Path] = []  # folders that this process has made, each before the one that it is in


def claim(config: DictConfig, kind: Literal["run", "sweep"]) -> None:
    """Make the folder of a run or a sweep that is named by the time; where another process has it, the one with -2 behind the time, and so
    on. A folder that was named is shared with whoever names it, too. Raises OSError."""
    where = config.hydra[kind]
    pattern = str(cast(dict[str, Any], OmegaConf.to_container(where, resolve=False))["dir"])
    if SECOND not in pattern or config.dry_run or any(argument.startswith("--experimental-rerun") for argument in sys.argv):
        return
    for number in count(1):
        if number > 1:
            with read_write(config.hydra):
                where.dir = pattern.replace(SECOND, f"{SECOND}-{number}")
        folder = Path(str(where.dir))
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        claimed.extend(missing)
        break
    if number > 1 and kind == "sweep":
        with read_write(config.hydra), open_dict(config.hydra):
            config.hydra.overrides.hydra.append(told(str(where.dir)))


@contextmanager
def claims() -> Iterator[None]:
    """Folders that are claimed meanwhile are removed at the end, where nothing was written into them."""
    try:
        yield
    finally:
        while claimed:
            with suppress(OSError):
                claimed.pop(0).rmdir()
