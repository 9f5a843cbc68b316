"""Rounds on a Ray cluster: a task a round, or a stack of them where tasks have GPUs.

Ray places the tasks, starts processes for them that stay, and brings epochs and results back; this process alone writes what is on
record, so that no folder is shared. A task whose process or node is gone is begun again here rather than by Ray: without rounds that
were stopped meanwhile, not endlessly where memory is short, and whoever looks at the screen is told.
"""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import ray
import torch
from ray.exceptions import RayError, RayTaskError

from digitcmp.config.schema import Config
from digitcmp.counting import counted
from digitcmp.errors import DigitcmpError, RunError
from digitcmp.experiment.executors import cluster, node
from digitcmp.experiment.executors.base import Executor, OnCheckpoint, OnEpoch, RoundFuture, Task, not_cancelled, refuse, settle
from digitcmp.experiment.executors.busy import Busy, end_process, reason
from digitcmp.experiment.executors.head import head_silence, own_node_is_there, own_node_lost
from digitcmp.experiment.executors.joining import told
from digitcmp.experiment.executors.probe import Begun, here, make_work
from digitcmp.experiment.executors.stacking import stack_limit
from digitcmp.experiment.provenance import merged
from digitcmp.train.results import Checkpoint, EpochRow
from digitcmp.train.round import crashed_round

PERIOD = 0.1  # seconds: epochs of a task that end within it come together
MESSAGES = 200  # a second, of all tasks together: more would keep this process busy
LOOK = 3.0  # seconds from one look at the nodes to the next
LOST = 15.0  # seconds without a head after which there is no cluster any more
NAMED = 10  # hosts in a message
EMPTY = 120.0  # seconds without any node for the tasks


class RayExecutor(Executor):
    """As many tasks at a time as the nodes take, or `workers`. on_message: is told when a task is begun again; rounds: how many there
    are to be, if anybody knows.

    Raises ConfigError when there is no such cluster, or its nodes are not fit (`digitcmp.experiment.executors.cluster`).
    """

    name = "ray"

    def __init__(self, config: Config, on_message: Callable[[str], None], rounds: int | None = None) -> None:
        self.options, self.limit, self.on_message, self.rounds = config.ray, config.workers, on_message, rounds
        self.device = torch.device(cluster.device_of(self.options))
        self.cluster = cluster.connect(self.options.address)
        self.nodes, self.there = self.cluster.nodes(self.options), self.cluster.there
        self.head_seen = self.looked = self.nodes_seen = time.monotonic()
        self.busy: dict[ray.ObjectRefGenerator, Busy] = {}
        self.work = self.asking()

    def asking(self) -> Any:
        """What gives a task to Ray, as a new function: for an old one, Ray asks for no other place while a node owes it one."""
        how = {"name": "work", "num_cpus": self.options.cpus, "num_gpus": self.options.gpus, "max_retries": 0}
        return ray.remote(make_work(here())).options(**how, num_returns="streaming", scheduling_strategy="SPREAD")

    @property
    def workers(self) -> int:  # type: ignore[override]
        """Tasks at a time, by the nodes that there are now."""
        slots = sum(one.slots for one in self.nodes)
        return slots if self.limit is None else min(self.limit, slots)

    def places(self) -> str:
        """Where tasks go, in words."""
        hosts = Counter[str]()
        for one in self.nodes:
            hosts[one.host] += one.slots
        each = ", ".join(f"{host} {slots}" for host, slots in hosts.most_common(NAMED))
        more = f", {len(hosts) - NAMED} more" if len(hosts) > NAMED else ""
        gpus = f" and {self.options.gpus:g} GPU" if self.options.gpus else ""
        needs = f"{self.options.cpus} CPU{gpus} each"
        return f"engine=ray: {counted(len(self.nodes), 'node')} with room for {counted(self.workers, 'task')} of {needs}: {each}{more}"

    @property
    def platform(self) -> dict[str, Any]:
        return merged([one.about["platform"] for one in self.nodes if one.about])

    def chunk(self, config: Config) -> int:
        if config.stack_size or not self.options.gpus:
            return config.stack_size or 1
        free = min(one.about["memory"] for one in self.nodes if one.about)
        return stack_limit(config, self.options.gpus * free, self.rounds, max(1, self.workers))

    def has_room(self) -> bool:
        return len(self.busy) < self.workers

    def submit(self, task: Task, on_epoch: OnEpoch, on_checkpoint: OnCheckpoint = lambda _: None) -> list[RoundFuture]:
        futures = [RoundFuture() for _ in task.seeds]
        self.begin(Busy(task, futures, on_epoch, on_checkpoint))
        return futures

    def begin(self, busy: Busy) -> None:
        """Give a task to Ray."""
        data, period = self.cluster.put(busy.task.config.data), max(PERIOD, self.workers / MESSAGES)
        self.busy[self.work.remote(busy.task, data, self.device.type, period)] = busy

    def wait(self) -> list[RoundFuture]:
        ended: list[RoundFuture] = []
        before = len(self.busy)
        while not ended and (len(self.busy) == before if before else not self.has_room()):
            ended += self.listen()
        return ended

    def listen(self) -> list[RoundFuture]:
        """Hear what comes next, if something does within some seconds. Returns the futures that have a result now."""
        if ended := self.look():
            return ended
        if not (streams := list(self.busy)):
            time.sleep(LOOK)
            return []
        before = time.monotonic()
        some = ray.wait(streams, timeout=LOOK)[0]
        waited = min(time.monotonic() - before, LOOK)  # this process may have been stopped itself
        come = ray.wait(streams, num_returns=len(streams), timeout=0)[0] if some else []
        self.end_silent([busy for stream, busy in self.busy.items() if stream not in come], waited)
        return [future for stream in come for future in self.receive(stream)]

    def end_silent(self, others: list[Busy], waited: float) -> None:
        """End the processes of those tasks of which nothing was heard for too long, with these seconds more; Ray then says that they are
        gone."""
        for busy in others:
            if busy.silent(waited) and busy.node is not None and busy.process is not None:
                end_process(busy.node, busy.process)

    def receive(self, stream: ray.ObjectRefGenerator) -> list[RoundFuture]:
        """Something of a task has come. Returns the futures that have a result now."""
        busy = self.busy[stream]
        try:
            batch: list[node.Message] = ray.get(next(stream))
        except StopIteration:  # one that was cancelled may end so
            del self.busy[stream]
            return self.begin_again(busy, "its task has ended without a result")
        except RayTaskError as error:
            del self.busy[stream]
            return self.refused(busy, error.cause if isinstance(error.cause, Exception) else error)
        except RayError as error:
            del self.busy[stream]
            return self.begin_again(busy, busy.why or reason(error))
        busy.silence = 0.0
        for message in batch:
            if isinstance(message, list):
                del self.busy[stream]
                return settle(busy.futures, message)
            self.hear(busy, message)
        return []

    def refused(self, busy: Busy, error: Exception) -> list[RoundFuture]:
        """A task has raised this itself. Returns the futures that have it, or a result, now. Raises ConfigError where that comes of a
        node that has joined meanwhile and does not fit."""
        if not isinstance(error, DigitcmpError):
            self.cluster.nodes(self.options)
        if isinstance(error, RayError):  # its object store is full, say
            return self.begin_again(busy, f"Ray has failed it ({told(error)})")
        return refuse(busy.futures, error)

    def hear(self, busy: Busy, message: Begun | node.Beat | tuple[int, EpochRow] | dict[int, Checkpoint] | str) -> None:
        """Where it has begun; an epoch, unless it was told before the task was begun again; checkpoints; or something that the user
        should know."""
        if isinstance(message, Begun):
            busy.node = message.node
            return
        if isinstance(message, node.Beat):
            busy.process, busy.why = message.process, ""
            return
        if isinstance(message, str):
            self.on_message(message)
            return
        if isinstance(message, dict):
            busy.kept |= message
            busy.on_checkpoint(not_cancelled(busy.futures, message))
            return
        index, row = message
        if not busy.futures[index].cancelled() and row.epoch > busy.heard[index]:
            busy.heard[index] = row.epoch
            busy.on_epoch(busy.futures[index], row)

    def begin_again(self, busy: Busy, lost: str) -> list[RoundFuture]:
        """A task is gone, for this reason: those of its rounds that were not stopped are begun again, or have failed. Returns the
        futures that have a result now. Raises RunError where it went with this machine's node."""
        own_node_is_there()
        again = busy.again(busy.tries + 1)
        if not (seeds := again.task.seeds):
            return []
        if busy.tries > self.options.retries:
            tried = f"{lost}, in try {busy.tries} of {busy.tries} (ray.retries={self.options.retries})"
            return settle(again.futures, [crashed_round(busy.task.config, seed, tried) for seed in seeds])
        which = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} … {seeds[-1]}"
        after = f" after epoch {again.task.checkpoints[0].epoch}" if again.task.checkpoints else ""
        self.on_message(f"{counted(len(seeds), 'round')} begun again{after} (seed {which} of {busy.task.config.model.name}): {lost}")
        self.begin(again)
        return []

    def look(self) -> list[RoundFuture]:
        """Look now and then whether the head and nodes are there, this machine's among them. Returns the futures that have a result now.
        Raises RunError when they are not there, ConfigError for a new node that does not fit."""
        now = time.monotonic()
        if now - self.looked < LOOK and not own_node_lost():
            return []
        self.looked = now
        own_node_is_there()
        if silent := head_silence():
            if now - self.head_seen > LOST:
                raise RunError(f"the head of the Ray cluster has not answered for {LOST:.0f} s ({silent}); the same command goes on")
            return []
        self.head_seen = now
        try:
            self.nodes = self.cluster.nodes(self.options, patience=0)
            self.nodes_seen = now
        except cluster.NoNodeError as error:
            self.nodes = []
            if now - self.nodes_seen > EMPTY:
                raise RunError(f"for {EMPTY:.0f} s, {error}; the same command goes on") from error
        lost, self.there = self.there - self.cluster.there, self.cluster.there
        return self.leave(lost)

    def leave(self, lost: set[str]) -> list[RoundFuture]:
        """These nodes are gone: what they have begun is begun again, and what nobody has begun yet is asked for anew, as Ray may have
        asked them for a place; it would wait for one that hangs as long as a connection does, which is minutes. Returns the futures
        that have a result now."""
        if not lost:
            return []
        self.work, ended = self.asking(), list[RoundFuture]()
        for stream, busy in list(self.busy.items()):
            if busy.node is None or busy.node in lost:
                del self.busy[stream]
                ray.cancel(stream, force=False)
                if busy.node is not None:
                    ended += self.begin_again(busy, "its node is gone")
                elif (again := busy.again(busy.tries)).task.seeds:
                    self.begin(again)
        return ended

    def cancel(self, future: RoundFuture) -> None:
        future.cancel()
        for stream, busy in self.busy.items():
            if future in busy.futures and all(one.cancelled() for one in busy.futures):
                ray.cancel(stream, force=False)

    def shutdown(self) -> None:
        for stream in self.busy:
            ray.cancel(stream, force=True)
        self.busy = {}
