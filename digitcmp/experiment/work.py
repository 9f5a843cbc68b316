"""The rounds that several runs lack: which comes next, where each result goes, and when a run is through."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import torch

from digitcmp.config.schema import Config
from digitcmp.experiment.audience import Audience
from digitcmp.experiment.engines import ENGINES
from digitcmp.experiment.log import note
from digitcmp.experiment.progress import Display, counted
from digitcmp.experiment.store import Records
from digitcmp.train.results import EpochRow
from digitcmp.train.round import RoundResult, Task


@dataclass
class Run:
    """One configuration and where its records go."""

    config: Config
    directory: Path
    command: str


Watcher = Callable[[Run, EpochRow], bool]


@dataclass
class Open:
    """A run that is being worked on: its records, the seeds that it lacks and that have not been begun, the rounds in flight."""

    run: Run
    records: Records
    missing: list[int]
    flying: int = 0
    left: int = 0  # rounds that another process has claimed
    pruned: bool = False

    def close(self) -> tuple[Run, Records]:
        """End this process's work on the run."""
        self.records.finish("pruned" if self.pruned else "running")
        return self.run, self.records


class Work:
    """The rounds that runs lack, in the order in which they are trained. source: the runs that come when there is room for them."""

    def __init__(self, source: Iterator[Run | None], opening: Callable[[Run], Open], watcher: Watcher | None) -> None:
        self.source, self.opening, self.watcher = source, opening, watcher
        self.opened: list[Open] = []  # runs that have not been closed
        self.waiting: deque[Open] = deque()  # those among them that have rounds to be begun
        self.flying: dict[int, Open] = {}  # those that have rounds in flight, by the places of these
        self.places = count()
        self.ended = False  # no more runs will come
        self.left = 0  # rounds that another process has claimed
        self.kept = 0  # rounds on record of the runs that have been closed
        self.folders: list[Path] = []  # the first two, to tell where the records are

    def begin(self, runs: list[Run]) -> None:
        """Open these runs, and expect no others."""
        self.ended = True
        for run in runs:
            self.open(run)

    def open(self, run: Run) -> Open:
        """Open a run; its rounds come after those of the others."""
        item = self.opening(run)
        self.folders = [*self.folders, run.directory][:2]
        self.opened.append(item)
        self.waiting.append(item)
        return item

    def close(self, item: Open) -> tuple[Run, Records]:
        """This process is through with a run."""
        self.opened.remove(item)
        self.kept += len(item.records.rounds)
        return item.close()

    def size(self) -> tuple[int, int]:
        """Rounds and epochs that the opened runs lack."""
        sizes = [(len(item.missing), item.run.config.epochs) for item in self.opened]
        return sum(rounds for rounds, _ in sizes), sum(rounds * epochs for rounds, epochs in sizes)

    def train(self, engine: str, device: torch.device, workers: int, display: Display) -> Iterator[tuple[Run, Records] | None]:
        """Train the rounds; closes and yields each run when its last round is on record."""
        with closing(ENGINES[engine](self.tasks(), device, workers, Audience(display, self.judge if self.watcher else None))) as results:
            for ended in results:
                yield from self.next_run() if ended is None else self.settle(*ended, display)

    def next_run(self) -> Iterator[tuple[Run, Records] | None]:
        """Take the next run; yields it when it lacks nothing, and the None that stands for no run at all."""
        try:
            run = next(self.source)
        except StopIteration:
            self.ended = True
            return
        if run is None:
            yield None
        elif not (item := self.open(run)).missing:
            yield self.close(item)

    def tasks(self) -> Iterator[Task | None]:
        """The rounds that no other process has claimed, each claimed when it is taken; None where another run is to be taken first."""
        while True:
            while self.waiting:
                item = self.waiting[0]
                if item.pruned or not item.missing:
                    self.waiting.popleft()
                elif item.records.claim(seed := item.missing.pop(0), item.run.config.retry_failed):
                    item.flying += 1
                    self.flying[place := next(self.places)] = item
                    yield Task(item.run.config, seed, place)
                else:
                    item.left, self.left = item.left + 1, self.left + 1
            if self.ended:
                return
            yield None

    def judge(self, task: Task, row: EpochRow) -> bool:
        """Ask the watcher about an epoch; once it has ended a run, that run's rounds in flight are stopped unasked."""
        assert self.watcher is not None
        item = self.flying[task.place]
        item.pruned = item.pruned or not self.watcher(item.run, row)
        return not item.pruned

    def settle(self, task: Task, result: RoundResult | None, display: Display) -> Iterator[tuple[Run, Records]]:
        """Record a round that has ended, unless its run was ended early; close the run if nothing of it is left to do."""
        item = self.flying.pop(task.place)
        item.flying -= 1
        if item.pruned or result is None:
            display.drop(task.place, task.config.epochs)
        else:
            item.records.add(result)
            note(result, item.run.directory)
            display.finish(task.place, result.row, item.run.directory.name if len(self.folders) > 1 else "")
        if not item.flying and (item.pruned or not (item.missing or item.left)):
            for _ in item.missing:
                display.drop(task.place, task.config.epochs)
            yield self.close(item)

    def rest(self) -> Iterator[tuple[Run, Records]]:
        """Close the runs that lacked nothing, or of which another process has rounds."""
        yield from [self.close(item) for item in list(self.opened)]

    def interrupt(self) -> str:
        """End everything at once; returns what is kept, in words."""
        for item in self.opened:
            item.records.finish("interrupted")
        finished = self.kept + sum(len(item.records.rounds) for item in self.opened)
        return f"{counted(finished, 'finished round')} kept in {self.folders[0] if len(self.folders) == 1 else self.folders[0].parent}"
