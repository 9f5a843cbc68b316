"""An array of Slurm that was submitted: its tasks, the wait for their end, and how they have ended.

Nothing of Slurm's accounting is needed: what a task has come to is in a file beside its log.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from digitcmp.counting import plural
from digitcmp.errors import RunError
from digitcmp.experiment.slurm import FOLDER, ask
from digitcmp.inert import line
from digitcmp.terminal import takes_back

POLL = 5.0  # seconds between looks at an array
PENDING = "PENDING"
ENDED = {  # and not to be begun again
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "REVOKED",
    "TIMEOUT",
}


@dataclass(frozen=True)
class Task:
    """A task of an array as Slurm has it. why: it does not run yet."""

    state: str
    why: str

    @property
    def active(self) -> bool:
        """Whether it runs, or will."""
        return self.state not in ENDED


@dataclass(frozen=True)
class Progress:
    """What an array has done so far, in words, from disk; complete: nothing is left for those of its tasks that have not begun."""

    told: str
    complete: bool = False


@dataclass
class Array:
    """An array that was submitted: the number of its job, or of several, and the sweep's folder."""

    jobs: list[str]
    folder: Path

    @property
    def name(self) -> str:
        """What it is called in a sentence."""
        return f"{plural(len(self.jobs), 'job')} {', '.join(self.jobs)}"

    @property
    def scancel(self) -> str:
        """The command that ends it."""
        return f"scancel {' '.join(self.jobs)}"

    def tasks(self) -> dict[str, Task]:
        """Those that Slurm still knows. Raises RunError when it does not answer."""
        try:
            rows = ask("squeue", "-h", "-r", "-t", "all", "-j", ",".join(self.jobs), "-o", "%F_%K|%T|%r").splitlines()
        except RunError as error:
            if "Invalid job id" in str(error):  # it has ended some minutes ago
                return {}
            raise
        return {name: Task(state, why) for name, state, why in (row.split("|", 2) for row in rows)}

    def wait(self, progress: Callable[[], Progress], console: Console) -> None:
        """Wait until no task of it runs or will; those that have nothing left to do are not waited for, but cancelled: one that is
        requeued begins two minutes later."""
        shown, quiet = "", 0
        with console.status("") as status:
            while quiet < 2:  # a task that is requeued may have ended for a moment
                done = progress()
                try:
                    tasks = self.tasks()
                    active = {task.state for task in tasks.values() if task.active}
                    quiet = 0 if active else quiet + 1
                    if done.complete and active == {PENDING}:
                        ask("scancel", f"--state={PENDING}", *self.jobs)
                    told = f"{self.name}: {done.told}; {states(tasks.values())}"
                except RunError as error:
                    told = f"{self.name}: {done.told}; {error}; still waiting"
                status.update(line(told))
                if told != shown and not takes_back(console):
                    console.print(line(told), soft_wrap=True)
                shown = told
                time.sleep(POLL)

    def codes(self) -> dict[str, int | None]:
        """The exit codes of its tasks, by their names (JOB_TASK), None for one that has left none: it was killed, or never begun."""
        found = {path.stem: path for job in self.jobs for path in (self.folder / FOLDER).glob(f"{job}_*")}
        codes = dict[str, int | None]()
        for task, path in sorted(found.items(), key=lambda named: [int(number) for number in named[0].split("_")]):
            text = path.with_suffix(".exit").read_text().strip() if path.with_suffix(".exit").exists() else ""
            codes[task] = int(text) if text.isdecimal() else None
        return codes

    def endings(self) -> str:
        """How its tasks have ended, in words, with the last words of the first one that has failed."""
        codes = self.codes()
        if not codes:
            return f"no task of {self.name} has left anything in {self.folder / FOLDER}: do its nodes see this folder?"
        counts = Counter(codes.values())
        words = ", ".join(f"{number} with {'none' if code is None else code}" for code, number in counts.items())
        failed = next((task for task, code in codes.items() if code), next(iter(codes)))
        log = self.folder / FOLDER / f"{failed}.log"
        said = [text for text in log.read_text(errors="replace").splitlines() if text.strip()] if log.exists() else []
        return f"exit codes of {self.name}: {words}; {log} ends with: {said[-1] if said else 'nothing'}"


def states(tasks: Iterable[Task]) -> str:
    """How many tasks are in which state, and why some do not run yet."""
    known = Counter(f"{task.state.lower()}{f' ({task.why})' if task.state == PENDING else ''}" for task in tasks)
    return ", ".join(f"{number} {state}" for state, number in known.items()) or "no task is left"
