"""Kill a command at its n-th system call that touches a folder: `kill -9` wherever it could hurt. Linux alone (ptrace).

    python -m tests.experiment.tracer FOLDER [--kills N] [--seed N] [--from N]

trains a run, kills it at N random ones of these calls (all of them by default, or all from one of them on), each time in a folder of its
own, gives the same command again, and says which results differ from those of a run that was left alone.
"""

import argparse
import ctypes
import json
import os
import random
import shutil
import signal
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path

TRACE_ME, SYSCALL, OPTIONS, SYSCALL_INFO = 0, 24, 0x4200, 0x420E
MARK_CALLS, END_WITH_TRACER = 0x1, 0x100000
CALL_STOP = signal.SIGTRAP | 0x80
COMMAND = ["engine=serial", "rounds=2", "epochs=1", "batch_size=10", "data.train_pairs=20", "data.test_pairs=20", "save_model=true"]
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request: int, process: int, address: int = 0, data: int = 0) -> int:
    """The system call. Raises OSError."""
    if (result := int(libc.ptrace(request, process, address, data))) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


class Calls:
    """The system calls of a traced process that touch a folder."""

    def __init__(self, process: int, folder: Path) -> None:
        self.process, self.folder = process, os.fsencode(folder)
        self.memory = os.open(f"/proc/{process}/mem", os.O_RDONLY)
        self.info = ctypes.create_string_buffer(128)

    def touches(self) -> bool:
        """Whether the call that is about to be made has a path in the folder, or an open file there, among its arguments."""
        ptrace(SYSCALL_INFO, self.process, len(self.info), ctypes.addressof(self.info))
        if self.info.raw[0] != 1:  # a call that is over
            return False
        one, two, _, four = struct.unpack_from("<4Q", self.info.raw, 32)
        return self.is_open(one) or self.is_path(one) or self.is_path(two) or self.is_path(four)

    def is_open(self, argument: int) -> bool:
        """Whether an argument is the number of an open file in the folder."""
        if not 2 < argument < 1024:
            return False
        try:
            return os.readlink(b"/proc/%d/fd/%d" % (self.process, argument)).startswith(self.folder)  # noqa: PTH115 (called often)
        except OSError:
            return False

    def is_path(self, argument: int) -> bool:
        """Whether an argument is the address of a path in the folder."""
        if not 1 << 16 < argument < 1 << 47:
            return False
        try:
            return os.pread(self.memory, len(self.folder), argument) == self.folder
        except OSError:
            return False


def trace(arguments: Sequence[str], folder: Path, kill_at: int | None = None) -> int:
    """Run a command in a copy of this process, and kill it just before this one of its calls that touch the folder; how many it made."""
    if (process := os.fork()) == 0:
        ptrace(TRACE_ME, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        run(arguments)
    os.waitpid(process, 0)
    ptrace(OPTIONS, process, 0, MARK_CALLS | END_WITH_TRACER)
    calls, count, passed = Calls(process, folder), 0, 0
    try:
        while True:
            ptrace(SYSCALL, process, 0, passed)
            _, status = os.waitpid(process, 0)
            if not os.WIFSTOPPED(status):
                return count
            passed = 0
            if os.WSTOPSIG(status) != CALL_STOP:
                passed = os.WSTOPSIG(status)
            elif calls.touches():
                count += 1
                if count == kill_at:
                    os.kill(process, signal.SIGKILL)
                    os.waitpid(process, 0)
                    return count
    finally:
        os.close(calls.memory)


def run(arguments: Sequence[str], told: Path | None = None) -> None:
    """Run a command in this process, silently, and end it. told: where to write which modules it has imported."""
    code: object = 1
    try:
        from digitcmp import cli

        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        sys.argv = ["digitcmp", *arguments]
        cli.main()
        code = 0
        if told is not None:
            told.write_text("\n".join(sys.modules))
    except SystemExit as end:
        code = end.code
    finally:
        os._exit(code if isinstance(code, int) else 1)


def result(folder: Path) -> dict[str, object]:
    """What a run has come to: all that must be the same, whatever happened on the way, and the names of its files."""
    about = json.loads((folder / "run.json").read_text())
    found: dict[str, object] = {name: about[name] for name in ("status", "seeds", "configuration_hash", "parameters")}
    for name in ("rounds.csv", "epochs.csv", "distances.csv"):
        rows = [line.split(",") for line in (folder / name).read_text().splitlines()]
        timed = [index for index, column in enumerate(rows[0]) if column == "seconds"]
        found[name] = [[cell for index, cell in enumerate(row) if index not in timed] for row in rows]
    networks = sorted((folder / "records" / "networks").iterdir())
    found["networks"] = [(path.name, path.read_bytes()) for path in networks]
    found["files"] = sorted({str(path.relative_to(folder)) for path in folder.rglob("*") if path.suffix != ".jsonl"})
    return found


def again(arguments: Sequence[str], told: Path | None = None) -> int:
    """The exit code of a command that nobody disturbs. told: see `run`."""
    if (process := os.fork()) == 0:
        run(arguments, told)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def main() -> None:
    """See above. Exit code 1 where a result differs."""
    parser = argparse.ArgumentParser("python -m tests.experiment.tracer")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--from", type=int, default=1, dest="first")
    chosen = parser.parse_args()
    from digitcmp import cli  # noqa: F401 (all of them once, for all copies of this process)

    def command(name: str) -> tuple[list[str], Path]:
        target = chosen.folder.resolve() / name
        return [*COMMAND, f"hydra.run.dir={target}"], target

    chosen.folder.mkdir(parents=True, exist_ok=True)
    again(command("first")[0], told := chosen.folder / "modules")
    for name in told.read_text().splitlines():  # once, for all copies of this process
        with suppress(ImportError):
            import_module(name)
    arguments, target = command("whole")
    total = trace(arguments, target)
    expected = result(target)
    numbers = list(range(chosen.first, total + 1))
    if chosen.kills is not None:
        numbers = sorted(random.Random(chosen.seed).sample(numbers, min(chosen.kills, len(numbers))))
    wrong = 0
    for number in numbers:
        arguments, target = command(f"killed_{number}")
        trace(arguments, target, number)
        code = again(arguments)
        found = result(target) if code == 0 else {}
        differ = [name for name in expected if found.get(name) != expected[name]]
        if differ:
            wrong += 1
            print(f"killed at call {number} of {total}: exit code {code}, other {', '.join(differ)}", flush=True)
        else:
            shutil.rmtree(target)
    print(f"{len(numbers)} kills at {total} calls, {wrong} with another result")
    sys.exit(1 if wrong or not numbers else 0)


if __name__ == "__main__":
    main()
