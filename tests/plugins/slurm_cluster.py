"""A Slurm of one machine with three nodes of one core, for tests: its own daemons, as root without systemd, in a network namespace of its
own, since they listen to the network. As root: python -m tests.plugins.slurm_cluster FOLDER starts one, and a shell on it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

COMMANDS = ("sbatch", "scancel", "scontrol", "sinfo", "squeue")
DAEMONS = ("munged", "slurmctld", "slurmd")
NODES = ("n1", "n2", "n3")
CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=17000
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={top}/munge.socket,cred_expire=2
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1
ReturnToService=2
MaxArraySize=50
MessageTimeout=5
StateSaveLocation={top}/state
SlurmdSpoolDir={top}/spool-%n
SlurmctldPidFile={top}/slurmctld.pid
SlurmdPidFile={top}/slurmd-%n.pid
SlurmctldLogFile={top}/slurmctld.log
SlurmdLogFile={top}/slurmd-%n.log
AccountingStorageType=accounting_storage/none
NodeName=n[1-3] NodeHostname={host} NodeAddr=127.0.0.1 Port=[17001-17003] CPUs=1 RealMemory=4000
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=main Nodes=ALL Default=YES PriorityTier=1
PartitionName=first Nodes=ALL PriorityTier=10
"""
NETWORK = "ip link set lo up && ip addr add 127.0.0.2/8 dev lo && echo up && exec sleep infinity"  # without the second, no name is found


def refused() -> str:
    """Why there can be no cluster here; empty where there can."""
    if missing := [name for name in (*DAEMONS, *COMMANDS, "unshare", "nsenter", "ip") if shutil.which(name) is None]:
        return f"Slurm is not installed: no {', '.join(missing)} (apt-get install slurmctld slurmd slurm-client munge)"
    if os.geteuid():
        return "Slurm's daemons need root"
    tried = subprocess.run(["unshare", "-n", "ip", "link", "set", "lo", "up"], capture_output=True, text=True, check=False)
    return f"no network namespace can be made: {tried.stderr.strip()}" if tried.returncode else ""


def parent_of(process: int) -> int:
    """The parent of a process."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


class Cluster:
    """A running cluster. top: its folder; bin: the commands, which reach it from anywhere with `environment`."""

    def __init__(self, top: Path) -> None:
        self.top, self.bin = top, top / "bin"
        self.network = subprocess.Popen(["unshare", "-n", "bash", "-c", NETWORK], stdout=subprocess.PIPE, text=True)
        assert self.network.stdout is not None
        assert self.network.stdout.readline() == "up\n"
        self.inside = ["nsenter", f"--net=/proc/{self.network.pid}/ns/net"]
        self.bin.mkdir()
        for name in COMMANDS:
            (self.bin / name).write_text(f'#!/bin/sh\nexec {" ".join(self.inside)} {shutil.which(name)} "$@"\n')
            (self.bin / name).chmod(0o755)
        self.environment = {"SLURM_CONF": str(top / "slurm.conf"), "PATH": f"{self.bin}:{os.environ['PATH']}"}

    def start(self) -> None:
        """Start the daemons, and wait for the nodes."""
        (self.top / "state").mkdir()
        (self.top / "slurm.conf").write_text(CONF.format(host=socket.gethostname(), top=self.top))
        (self.top / "munge.key").write_bytes(os.urandom(128))
        (self.top / "munge.key").chmod(0o600)
        files = [f"--{name}-file={self.top}/munge.{name}" for name in ("key", "pid", "log", "seed")]
        self.run("munged", "--force", f"--socket={self.top}/munge.socket", *files)
        self.run("slurmctld", "-f", self.environment["SLURM_CONF"])
        for node in NODES:
            self.run("slurmd", "-f", self.environment["SLURM_CONF"], "-N", node)
        self.until(lambda: self.ask("sinfo", "-h", "-p", "main", "-t", "idle", "-o", "%D").strip() == "3")

    def run(self, *command: str) -> str:
        """What a command prints that is run inside."""
        where = {**os.environ, "SLURM_CONF": self.environment["SLURM_CONF"]}
        done = subprocess.run([*self.inside, *command], env=where, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    ask = run

    def until(self, happened: object, seconds: float = 240) -> None:
        """Wait for something."""
        end = time.monotonic() + seconds
        assert callable(happened)
        while not happened():
            assert time.monotonic() < end, self.ask("squeue", "-r", "-t", "all") + self.ask("sinfo", "-N", "-l")
            time.sleep(0.5)

    def states(self, job: str) -> dict[str, str]:
        """The states of an array's tasks."""
        return dict(line.split() for line in self.ask("squeue", "-h", "-r", "-t", "all", "-j", job, "-o", "%K %T").splitlines())

    def processes(self, node: str) -> list[int]:
        """What runs on a node for jobs."""
        found, wanted = [], {f"SLURM_CONF={self.environment['SLURM_CONF']}", f"SLURMD_NODENAME={node}"}
        for path in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                if wanted <= set(path.read_bytes().decode(errors="replace").split("\0")):
                    found.append(int(path.parent.name))
        return found

    def lose(self, node: str) -> None:
        """A node that loses its power."""
        tasks = self.processes(node)
        watchers = {parent for task in tasks if Path(f"/proc/{(parent := parent_of(task))}/comm").read_text().startswith("slurmstepd")}
        # whoever could still tell of the others' end goes first
        for process in [int((self.top / f"slurmd-{node}.pid").read_text()), *watchers, *tasks]:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.run("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=power")

    def bring_back(self, node: str) -> None:
        """Start a node again that was lost."""
        self.run("slurmd", "-f", self.environment["SLURM_CONF"], "-N", node)
        self.until(lambda: "idle" in self.ask("sinfo", "-h", "-n", node, "-o", "%T"))

    def end(self) -> None:
        """End everything that it has started."""
        with suppress(AssertionError):
            self.run("scancel", "--user=root")
        for node in NODES:
            for process in self.processes(node):
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
        for file in sorted(self.top.glob("*.pid"), reverse=True):
            with suppress(ProcessLookupError, ValueError):
                os.kill(int(file.read_text()), signal.SIGKILL)
        self.network.kill()
        self.network.communicate()


@contextmanager
def cluster(top: Path) -> Iterator[Cluster]:
    """A cluster, for as long as it is needed. top: an empty folder with a short name, as it holds a socket."""
    made = Cluster(top)
    try:
        made.start()
        yield made
    finally:
        made.end()


if __name__ == "__main__":
    with cluster(Path(sys.argv[1]).resolve()) as found:
        subprocess.run(["bash"], env={**os.environ, **found.environment}, check=False)
