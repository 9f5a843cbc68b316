"""Which rounds come next: those of runs that want the same executor, claimed one task after the other."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from digitcmp.config.schema import Config
from digitcmp.experiment.run import Run


class Round(NamedTuple):
    """A round of a run."""

    run: Run
    seed: int


class RoundQueue:
    """The rounds that are to be submitted. claimed: those that this process has claimed, which come next.

    Configurations take turns, so that neither a machine that grows slower nor an early end favours any.
    """

    def __init__(
        self,
        coming: Iterator[Run],
        known: bool,
        chunk: Callable[[Config], int],
        begin: Callable[[Run], None],
        left: Callable[[Run, int], None],
    ) -> None:
        """known: whether all runs are known in advance, so that configurations can take turns and rounds of several runs be stacked.
        chunk: how many rounds of a configuration a task has. begin: called with a run before its first round is claimed; left: with a run
        and a seed that another process has."""
        self.coming, self.chunk, self.begin, self.left = coming, chunk, begin, left
        self.queues: deque[deque[Run]] = deque()  # runs that may have rounds to be submitted, a queue a configuration
        if known:
            alike: defaultdict[str, deque[Run]] = defaultdict(deque)
            for run in coming:
                alike[one_task(run.config)].append(run)
            self.queues.extend(alike.values())
        self.claimed: deque[Round] = deque()

    def next_rounds(self) -> list[Round]:
        """The rounds of the next task, claimed for this process, all of one configuration; none when there are no more."""
        if self.claimed:
            rounds = [self.claimed.popleft()]
            size = self.chunk(rounds[0].run.config)
            while len(rounds) < size and self.claimed and one_task(self.claimed[0].run.config) == one_task(rounds[0].run.config):
                rounds.append(self.claimed.popleft())
            return rounds
        while queue := self.next_queue():
            if (first := self.next_round(queue)) is not None:
                rounds, size = [first], self.chunk(first.run.config)
                while len(rounds) < size and (more := self.next_round(queue)):
                    rounds.append(more)
                return rounds
        return []

    def next_queue(self) -> deque[Run]:
        """Runs of one configuration that may have rounds to be submitted. Empty when there is none, or none that may be asked for."""
        while self.queues:
            queue = self.queues.popleft()
            if queue:
                self.queues.append(queue)
                return queue
        # a search has to hear of a trial before it is asked for the next one, so its trials come one by one
        self.queues.extend([deque([run]) for run in islice(self.coming, 1)])
        return self.queues[0] if self.queues else deque()

    def next_round(self, queue: deque[Run]) -> Round | None:
        """The next round of these runs that no other process has."""
        while queue:
            run = queue[0]
            if not run.begun:
                self.begin(run)
            if not run.missing:
                queue.popleft()
                continue
            seed = run.missing.popleft()
            if run.claim(seed):
                return Round(run, seed)
            self.left(run, seed)
        return None


def one_task(config: Config) -> str:
    """Equal for configurations whose rounds can be trained together: they differ in nothing but their seeds."""
    return repr(replace(config, seed=0, rounds=1))
