"""What the system tells about cores and processes."""

import os
from pathlib import Path

import pytest

from digitcmp import system

CPU_1, CPU_2 = "3:cpu,cpuacct:/docker/a", "0::/slurm/job_1/step_0"
QUOTAS: list[tuple[dict[str, str], int]] = [
    ({"cpu.max": "150000 100000"}, 2),
    ({"cpu.max": "50000 100000"}, 1),
    ({"cpu.max": "max 100000"}, 8),
    ({"cpu.max": "9000000 100000"}, 8),
    ({"cpu.max": "700000 100000", "slurm/job_1/cpu.max": "400000 100000", "slurm/job_1/step_0/cpu.max": "max 100000"}, 4),
    ({"slurm/job_1/step_0/cpu.max": "300000 100000", "slurm/job_2/cpu.max": "100000 100000"}, 3),
    ({"cpu,cpuacct/cpu.cfs_quota_us": "300000", "cpu,cpuacct/cpu.cfs_period_us": "100000"}, 3),
    ({"cpu,cpuacct/docker/a/cpu.cfs_quota_us": "90000", "cpu,cpuacct/docker/a/cpu.cfs_period_us": "50000"}, 2),
    ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
    ({"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}, 2),
    ({"cpu.max": "nonsense"}, 8),
]


@pytest.fixture
def eight(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Eight cores, and no Slurm."""
    monkeypatch.setattr(os, "process_cpu_count", lambda: 8, raising=False)
    for name in ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize(("found", "cores"), QUOTAS)
def test_cores_that_control_groups_leave(eight: pytest.MonkeyPatch, found: dict[str, str], cores: int) -> None:
    """Of eight: of both versions, the narrowest of those that the process lies in; none, and no more than there are."""
    files = {f"/sys/fs/cgroup/{name}": text + "\n" for name, text in found.items()}
    files["/proc/self/cgroup"] = f"9:name=systemd:/\n{CPU_1}\n2:cpuset:/other\n{CPU_2}\n"

    def read(path: Path) -> str:
        if str(path) not in files:
            raise FileNotFoundError(2, "No such file or directory")
        return files[str(path)]

    eight.setattr(Path, "read_text", read)
    assert system.cpu_count() == cores


@pytest.mark.parametrize(
    ("told", "cores"),
    [
        ({"PER_TASK": "3", "ON_NODE": "6"}, 3),
        ({"ON_NODE": "2"}, 2),
        ({"PER_TASK": "16"}, 8),
        ({"PER_TASK": "0"}, 1),
        ({"ON_NODE": "2(x3)"}, 8),
    ],
)
def test_cores_that_slurm_grants(eight: pytest.MonkeyPatch, told: dict[str, str], cores: int) -> None:
    """Those of a task; on a node where Slurm says no number, those that there are."""
    eight.setattr(system, "quotas", lambda: [])
    for name, text in told.items():
        eight.setenv(f"SLURM_CPUS_{name}", text)
    assert system.cpu_count() == cores


def test_cores_that_a_process_is_bound_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before Python 3.13, too."""
    monkeypatch.delattr(os, "process_cpu_count", raising=False)
    monkeypatch.setattr(system, "granted", lambda: [])
    monkeypatch.setattr(system, "quotas", lambda: [])
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 5, 7})
    assert system.cpu_count() == 3


def test_nothing_is_known_of_what_is_not_there(tmp_path: Path) -> None:
    """A process that is gone, a lock that nobody holds, one that is not there."""
    (tmp_path / "lock").write_text("")
    assert not system.is_stopped(2**22 + 1)
    assert system.holders([tmp_path / "lock", tmp_path / "none"]) == set()
    assert system.advice([]) == ""
