"""The one loop that submits missing rounds to an executor and records what comes back: for a run, a sweep and a search.

Imports torch only when there is something to train.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain, groupby
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from digitcmp.config.schema import Config
from digitcmp.errors import Pruned, RunError
from digitcmp.experiment.callbacks import Callback, Callbacks
from digitcmp.experiment.executors.base import Executor, RoundFuture, Task
from digitcmp.experiment.progress import counted
from digitcmp.experiment.run import Run
from digitcmp.system import advice
from digitcmp.train.results import EpochRow


def train(runs: Iterable[Run], callbacks: Iterable[Callback] = (), rounds: int | None = None) -> None:
    """Train what is missing of runs, their rounds side by side, and tell the callbacks what happens.

    runs: a sequence, or an iterator, which is asked for the next run only when there is room for its rounds; rounds: how many
    rounds an iterator will give in all, if anybody knows. A round that another process is training is left to it.
    Raises RunError when a directory cannot be used, and what rounds raise that the user can mend (DigitcmpError). Whatever ends it
    early, Ctrl-C too: finished rounds are kept, and the runs that were begun are marked interrupted.
    """
    callback, known = Callbacks(callbacks), isinstance(runs, Sequence)
    if isinstance(runs, Sequence):
        rounds = sum(len(run.missing) for run in runs)
    for _, group in groupby(unfinished(runs, callback), lambda run: (run.config.engine, run.config.device, run.config.workers)):
        from digitcmp.experiment.executors.choose import make_executor  # imports torch

        first = next(group)
        with (
            make_executor(first.config, rounds, callback.on_message) as executor,
            Scheduler(executor, chain([first], group), known, callback) as scheduler,  # noqa: B031 (the rest of it)
        ):
            scheduler.loop()


def unfinished(runs: Iterable[Run], callback: Callback) -> Iterator[Run]:
    """The runs that have something to be trained; the others are ended on the way."""
    for run in runs:
        if not run.complete:
            yield run
        else:
            run.end()
            callback.on_run_end(run)


class Round(NamedTuple):
    """A round of a run."""

    run: Run
    seed: int


class Scheduler:
    """Trains runs that want the same executor (see `train`). known: whether all of them are known in advance, so that rounds of
    several runs can be stacked. Left as a context manager, it ends the runs that have not been ended."""

    def __init__(self, executor: Executor, coming: Iterator[Run], known: bool, callback: Callback) -> None:
        self.executor, self.coming, self.known, self.callback = executor, coming, known, callback
        self.waiting: deque[Run] = deque()  # runs with rounds to be submitted
        self.begun: list[Run] = []  # runs that have not been ended
        self.taken_over: deque[Round] = deque()  # rounds that another process had claimed before
        self.in_flight: dict[RoundFuture, Round] = {}
        self.finished, self.left = 0, 0  # rounds of the runs that have been ended: on record, left to another process
        self.stopped = set[int]()  # the processes among those others that are stopped
        self.folders: list[Path] = []  # the first two

    def __enter__(self) -> "Scheduler":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            kept = self.interrupt()
            if issubclass(kind, KeyboardInterrupt):
                raise KeyboardInterrupt(kept) from None
            return
        for run in list(self.begun):  # others have rounds of these
            self.end(run)
        if self.left:
            left = f"{counted(self.left, 'round')} left to another process that is training in the same folder"
            self.callback.on_message(left + advice(self.stopped))

    def loop(self) -> None:
        """Submit rounds while there is room; wait; record what has ended."""
        while True:
            while self.executor.has_room() and (rounds := self.next_rounds()):
                task = Task(rounds[0].run.config, tuple(seed for _, seed in rounds))
                self.in_flight |= zip(self.executor.submit(task, self.on_epoch), rounds, strict=True)
            if not self.in_flight and self.executor.has_room() and not self.take_over():
                return
            for future in self.executor.wait():
                run, _ = self.in_flight.pop(future)
                run.record(result := future.result())
                self.callback.on_round_end(run, result)
            for run in [run for run in self.begun if run.over]:
                self.end(run)

    def take_over(self) -> bool:
        """Claim rounds that another process had claimed before and has neither finished nor kept: it was stopped or has died."""
        for run in self.begun:
            waiting, run.elsewhere = run.elsewhere, []
            self.taken_over += [Round(run, seed) for seed in waiting if run.claim(seed)]
        return bool(self.taken_over)

    def next_rounds(self) -> list[Round]:
        """The rounds of the next task, claimed for this process; none when there are no more."""
        if (first := self.next_round(None)) is None:
            return []
        rounds, size = [first], self.executor.chunk(first.run.config)
        while len(rounds) < size and (more := self.next_round(first.run.config)):
            rounds.append(more)
        return rounds

    def next_round(self, like: Config | None) -> Round | None:
        """The next round that no other process has; one of this configuration where that is given."""
        if self.taken_over and (like is None or one_task(self.taken_over[0].run.config, like)):
            return self.taken_over.popleft()
        while (run := self.next_run(like)) is not None:
            seed = run.missing.popleft()
            if run.claim(seed):
                return Round(run, seed)
            self.callback.on_round_stop(run, seed)
        return None

    def next_run(self, like: Config | None) -> Run | None:
        """The first run that has rounds to be submitted; a new one is begun only where it is needed, and may be asked for."""
        while not self.waiting or not self.waiting[0].missing:
            if self.waiting:
                self.waiting.popleft()
            # a search has to hear of a trial before it is asked for the next one
            elif (like is not None and not self.known) or (run := next(self.coming, None)) is None:
                return None
            else:
                self.begin(run)
        run = self.waiting[0]
        return run if like is None or one_task(run.config, like) else None

    def begin(self, run: Run) -> None:
        """Begin a run."""
        run.begin(self.executor.name, self.executor.workers, self.executor.device.type)
        self.folders = [*self.folders, run.directory][:2]
        self.waiting.append(run)
        self.begun.append(run)
        self.callback.on_run_begin(run)

    def on_epoch(self, future: RoundFuture, row: EpochRow) -> None:
        """An epoch of a round in flight is through; a callback may end its run."""
        run = self.in_flight[future].run
        try:
            self.callback.on_epoch(run, row)
        except Pruned:
            self.prune(run)

    def prune(self, run: Run) -> None:
        """End a run early: rounds in flight are stopped, the others not begun."""
        # a round that has ended meanwhile is kept
        for future in [future for future, one in self.in_flight.items() if one.run is run and not future.done()]:
            self.executor.cancel(future)
            seed = self.in_flight.pop(future).seed
            run.stop(seed)
            self.callback.on_round_stop(run, seed)
        for one in [one for one in self.taken_over if one.run is run]:
            self.taken_over.remove(one)
            run.stop(one.seed)
        while run.missing:
            self.callback.on_round_stop(run, run.missing.popleft())
        run.pruned = True

    def end(self, run: Run) -> None:
        """This process is through with a run."""
        run.end()
        self.begun.remove(run)
        self.stopped |= run.store.stopped(run.elsewhere)
        self.finished, self.left = self.finished + len(run.store.records.rounds), self.left + len(run.elsewhere)
        self.callback.on_run_end(run)

    def interrupt(self) -> str:
        """Record what has ended, mark the runs that were begun as interrupted; what is kept, in words."""
        with suppress(RunError, OSError):  # the first error is the one to be told
            for future, (run, _) in self.in_flight.items():
                if future.done() and not future.cancelled() and future.exception() is None:
                    run.record(future.result())
        for run in self.begun:
            with suppress(RunError, OSError):
                run.end("interrupted")
        finished = self.finished + sum(len(run.store.records.rounds) for run in self.begun)
        where = self.folders[0] if len(self.folders) == 1 else self.folders[0].parent if self.folders else "no folder"
        return f"{counted(finished, 'finished round')} kept in {where}"


def one_task(config: Config, other: Config) -> bool:
    """Whether rounds of both can be trained together: they differ in nothing but their seeds."""
    return replace(config, seed=0, rounds=1) == replace(other, seed=0, rounds=1)
