"""What the system tells about cores and processes."""

import os
from pathlib import Path

import pytest

from digitcmp import system

QUOTAS = {
    "cpu.max": [("150000 100000", 2), ("50000 100000", 1), ("max 100000", 8), ("9000000 100000", 8)],
    "cpu/cpu.cfs_quota_us": [("300000", 3), ("-1", 8)],
}


@pytest.mark.parametrize(("file", "text", "cores"), [(file, text, cores) for file, found in QUOTAS.items() for text, cores in found])
def test_cores_that_a_control_group_leaves(monkeypatch: pytest.MonkeyPatch, file: str, text: str, cores: int) -> None:
    """Of eight; both versions of control groups; none, and no more than there are."""
    files = {f"/sys/fs/cgroup/{file}": text, "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}

    def read(path: Path) -> str:
        if str(path) not in files:
            raise FileNotFoundError(2, "No such file or directory")
        return files[str(path)]

    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(Path, "read_text", read)
    assert system.cpu_count() == cores


def test_nothing_is_known_of_what_is_not_there(tmp_path: Path) -> None:
    """A process that is gone, a lock that nobody holds, one that is not there."""
    (tmp_path / "lock").write_text("")
    assert not system.is_stopped(2**22 + 1)
    assert system.holders([tmp_path / "lock", tmp_path / "none"]) == set()
    assert system.advice([]) == ""
