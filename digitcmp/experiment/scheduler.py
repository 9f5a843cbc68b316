"""The one loop that submits missing rounds to an executor and records what comes back: for a run, a sweep and a search.

Imports torch only when there is something to train.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from itertools import chain, groupby
from pathlib import Path
from types import TracebackType
from typing import Any

from digitcmp.config.allowed import ended_by_others
from digitcmp.config.schema import Config
from digitcmp.counting import counted
from digitcmp.errors import Broken, Pruned, RunError
from digitcmp.experiment.callbacks import Callback, Callbacks
from digitcmp.experiment.checkpoints import keep, left_out, starts
from digitcmp.experiment.executors.base import Executor, RoundFuture, Task
from digitcmp.experiment.heartbeat import Heartbeat
from digitcmp.experiment.queue import Round, RoundQueue
from digitcmp.experiment.run import Run
from digitcmp.system import advice
from digitcmp.trackers.attached import Attached
from digitcmp.train.results import Checkpoint, EpochRow


def train(runs: Iterable[Run], callbacks: Iterable[Callback] = (), rounds: int | None = None, lent: Attached | None = None) -> None:
    """Train what is missing of runs, their rounds side by side, and tell the callbacks what happens.

    runs: a sequence, or an iterator, which is asked for the next run only when there is room for its rounds; rounds: how many
    rounds an iterator will give in all, if anybody knows; lent: the callbacks of their configurations, where whoever calls trains them
    several times, and ends these. A round that another process is training is left to it.
    Raises RunError when a directory cannot be used, and what rounds raise that the user can mend (DigitcmpError). Whatever ends it
    early, Ctrl-C too: finished rounds are kept, and the runs that were begun are marked interrupted.
    """
    known = isinstance(runs, Sequence)
    if isinstance(runs, Sequence):
        rounds = sum(len(run.missing) for run in runs)
    told = Callbacks(callbacks)
    with Heartbeat(told.on_message) as heartbeat, told as shown, nullcontext(lent) if lent else Attached(shown.on_message) as attached:
        callback = Callbacks([heartbeat, attached, shown])
        for _, group in groupby(unfinished(runs, callback), lambda run: means(run.config)):
            from digitcmp.experiment.executors.choose import make_executor  # imports torch

            first = next(group)
            with (
                make_executor(first.config, rounds, callback.on_message) as executor,
                Scheduler(executor, chain([first], group), known, callback) as scheduler,  # noqa: B031 (the rest of it)
            ):
                scheduler.loop()


def means(config: Config) -> tuple[Any, ...]:
    """What an executor is made by."""
    return config.engine, config.device, config.workers, config.ray


def unfinished(runs: Iterable[Run], callback: Callback) -> Iterator[Run]:
    """The runs that have something to be trained; the others are ended on the way."""
    for run in runs:
        if not run.complete:
            yield run
        else:
            run.end()
            callback.on_run_end(run)


class Scheduler:
    """Trains runs that want the same executor (see `train`). known: whether all of them are known in advance, so that configurations
    can take turns and rounds of several runs be stacked. Left as a context manager, it ends the runs that have not been ended."""

    def __init__(self, executor: Executor, coming: Iterator[Run], known: bool, callback: Callback) -> None:
        self.executor, self.callback = executor, callback
        self.queue = RoundQueue(coming, known, executor.chunk, self.begin, callback.on_round_stop)
        self.begun: list[Run] = []  # runs that have not been ended
        self.in_flight: dict[RoundFuture, Round] = {}
        self.finished, self.left = 0, 0  # rounds of the runs that have been ended: on record, left to another process
        self.stopped = set[int]()  # the processes among those others that are stopped
        self.told = set[str]()  # what is not said again
        self.unkept = False  # a checkpoint could not be written, and that was said
        self.folders: list[Path] = []  # the first two

    def __enter__(self) -> "Scheduler":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            kept = self.interrupt()
            if issubclass(kind, KeyboardInterrupt):
                raise KeyboardInterrupt(kept) from None
            if isinstance(error, SystemExit) and (what := ended_by_others(error)):
                raise RunError(f"{what}; {kept}") from error
            return
        for run in list(self.begun):  # others have rounds of these
            self.end(run)
        if self.left:
            left = f"{counted(self.left, 'round')} left to another process that is training in the same folder"
            self.callback.on_message(left + advice(self.stopped))

    def loop(self) -> None:
        """Submit rounds while there is room; wait; record what has ended."""
        while True:
            while self.executor.has_room() and (rounds := self.queue.next_rounds()):
                rounds, checkpoints = self.together(rounds)
                task = Task(rounds[0].run.config, tuple(seed for _, seed in rounds), checkpoints)
                self.in_flight |= zip(self.executor.submit(task, self.on_epoch, self.on_checkpoint), rounds, strict=True)
                for run, seed in rounds:
                    self.callback.on_round_begin(run, seed, checkpoints[0].epoch if checkpoints else 0)
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
            self.queue.claimed += [Round(run, seed) for seed in waiting if run.claim(seed)]
        return bool(self.queue.claimed)

    def together(self, rounds: list[Round]) -> tuple[list[Round], tuple[Checkpoint, ...]]:
        """Those of these rounds that begin after the same epoch as the first one does, which can be trained together, and their
        checkpoints, if they have some. The others come next."""
        found = [run.store.checkpoints.find(seed) for run, seed in rounds]
        for line in left_out(found):
            self.tell(line)
        alike: defaultdict[int, list[tuple[Round, Checkpoint | None]]] = defaultdict(list)
        for one, start in zip(rounds, starts(found), strict=True):
            alike[start.epoch if start else 0].append((one, start))
        (epoch, chosen), *others = alike.items()
        self.queue.claimed.extendleft(one for one, _ in reversed([each for _, ones in others for each in ones]))
        if epoch:
            self.tell(f"{counted(len(chosen), 'round')} going on after epoch {epoch} (seed {chosen[0][0].seed}{' …' * (len(chosen) > 1)})")
        return [one for one, _ in chosen], tuple(start for _, start in chosen if start)

    def tell(self, line: str) -> None:
        """Say something, once."""
        if line not in self.told:
            self.told.add(line)
            self.callback.on_message(line)

    def begin(self, run: Run) -> None:
        """Begin a run."""
        run.begin(self.executor.name, self.executor.workers, self.executor.device.type, self.executor.platform)
        self.folders = [*self.folders, run.directory][:2]
        self.begun.append(run)
        self.callback.on_run_begin(run)

    def on_epoch(self, future: RoundFuture, row: EpochRow) -> None:
        """An epoch of a round in flight is through; a callback may end its run."""
        run = self.in_flight[future].run
        try:
            self.callback.on_epoch(run, row)
        except Pruned as ended:
            run.reason = str(ended)
            self.prune(run, future if isinstance(ended, Broken) else None)

    def on_checkpoint(self, checkpoints: Mapping[RoundFuture, Checkpoint]) -> None:
        """Rounds of a task have come to a checkpoint. Where it cannot be written, they go on without."""
        try:
            keep((self.in_flight[future].run.store.checkpoints, checkpoint) for future, checkpoint in checkpoints.items())
        except RunError as error:
            if not self.unkept:
                self.callback.on_message(f"training goes on without this checkpoint, and perhaps others: {error}")
            self.unkept = True

    def prune(self, run: Run, failing: RoundFuture | None = None) -> None:
        """End a run early: rounds in flight are stopped, but for the one that fails, if that is why; the others are not begun."""
        # a round that has ended meanwhile is kept
        stopped = [future for future, one in self.in_flight.items() if one.run is run and future is not failing and not future.done()]
        for future in stopped:
            self.executor.cancel(future)
            seed = self.in_flight.pop(future).seed
            run.stop(seed)
            self.callback.on_round_stop(run, seed)
        for one in [one for one in self.queue.claimed if one.run is run]:
            self.queue.claimed.remove(one)
            run.stop(one.seed)
        while run.missing:
            self.callback.on_round_stop(run, run.missing.popleft())
        run.pruned, run.broken = True, run.broken or failing is not None

    def end(self, run: Run) -> None:
        """This process is through with a run."""
        run.end()
        self.begun.remove(run)
        self.stopped |= run.store.claims.stopped(run.elsewhere)
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
        more = "; the same command into this folder goes on" if finished else ""  # unless it was given, its name has the time in it
        return f"{counted(finished, 'finished round')} kept in {where}{more}"
