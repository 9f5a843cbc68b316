"""How many rounds at a time one command can look after on a Ray cluster: fake rounds, whose nodes cost next to nothing.

examples:
  python -m benchmarks.driver                                  100 to 2,000 one-core nodes with rounds of 4 s
  python -m benchmarks.driver --nodes 1000 --rounds 10000      is the memory flat?

A fake round sleeps on a few processes of a Ray of this machine's own, and says what a round of so many epochs would say; everything else is
as in a real run: claims, tasks, streams of epochs, records on disk. What it does not have: Ray's search for a place for a task, which
an actor needs none of (`benchmarks.ray` has it: what a real tiny round costs the command beyond its training). Bytes are those of the
loopback device, both ways: run it in a network namespace of its own, where nobody else is.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator
from itertools import cycle
from pathlib import Path
from typing import Any

import ray

from benchmarks.common import composed, make_console, make_parser, make_table, print_table, run, whole, write
from benchmarks.machine import describe_machine, in_words
from benchmarks.ray import resident
from digitcmp.config.schema import Config
from digitcmp.experiment.callbacks import Callback, Callbacks
from digitcmp.experiment.executors.base import Task
from digitcmp.experiment.executors.node import Message
from digitcmp.experiment.executors.ray import RayExecutor
from digitcmp.experiment.run import Run
from digitcmp.experiment.scheduler import Scheduler
from digitcmp.train.results import DistanceRow, EpochRow, RoundResult, RoundRow

HOSTS = 2  # processes that fake rounds sleep in


class Host:
    """Sleeps in place of nodes. seconds: of a round."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    async def work(self, task: Task, period: float) -> AsyncIterator[list[Message]]:
        """What `digitcmp.experiment.executors.node.work` yields of one round, in the same batches."""
        epochs, (seed,), told = task.config.epochs, task.seeds, 0
        rows = [EpochRow(seed, epoch, 0.5123456, 0.7512345, 0.7498765, None, None, self.seconds / epochs) for epoch in range(1, epochs + 1)]
        begun = time.monotonic()
        while told < epochs:
            await asyncio.sleep(min(period, max(0.0, begun + self.seconds - time.monotonic())))
            now = min(epochs, max(told + 1, int((time.monotonic() - begun) / self.seconds * epochs)))
            batch: list[Message] = [(0, row) for row in rows[told:now]]
            told = now
            if told == epochs:
                row = RoundRow(
                    seed, "done", epochs, 0.5123456, 0.7512345, 0.7498765, None, None, epochs, 0.7498765, 0.5512345, self.seconds, ""
                )
                batch.append([RoundResult(row, rows, [DistanceRow(seed, distance, 100, 75) for distance in range(10)])])
            yield batch


class Hosts:
    """What stands for the remote function of the executor."""

    def __init__(self, seconds: float, nodes: int) -> None:
        made: Any = ray.remote(Host).options(num_cpus=0, max_concurrency=nodes // HOSTS + 1)
        self.hosts = cycle([made.remote(seconds) for _ in range(HOSTS)])

    def remote(self, task: Task, data: Any, device: str, period: float) -> Any:
        """Begin a fake round."""
        del data, device
        return next(self.hosts).work.options(num_returns="streaming").remote(task, period)


class Simulated(RayExecutor):
    """An executor of so many nodes."""

    def __init__(self, config: Config, nodes: int, seconds: float) -> None:
        super().__init__(config, print)
        self.slots = nodes
        self.work: Any = Hosts(seconds, nodes)

    @property
    def workers(self) -> int:  # type: ignore[override]
        return self.slots


class Watch(Callback):
    """Notes this process's memory at every thousandth round."""

    def __init__(self) -> None:
        self.megabytes: list[float] = []
        self.rounds = 0

    def on_round_end(self, run: Run, result: RoundResult) -> None:
        del run, result
        self.rounds += 1
        if self.rounds % 1000 == 0:
            self.megabytes.append(resident())


def loopback() -> int:
    """Bytes that have gone over the loopback device."""
    line = next(line for line in Path("/proc/net/dev").read_text().splitlines() if line.strip().startswith("lo:"))
    return int(line.split(":")[1].split()[0])


def measure(config: Config, nodes: int, rounds: int, seconds: float) -> dict[str, Any]:
    """Let so many nodes train so many rounds."""
    config.rounds, watch = rounds, Watch()
    with tempfile.TemporaryDirectory() as folder, Simulated(config, nodes, seconds) as executor:
        one = Run(config, Path(folder, "run"), "")
        begun, own, network = time.perf_counter(), time.process_time(), loopback()
        with Scheduler(executor, iter([one]), True, Callbacks([watch])) as scheduler:
            scheduler.loop()
        wall = time.perf_counter() - begun
        return {
            "nodes": nodes,
            "rounds": len(one.rows),
            "per_second": rounds / wall,
            "of_ideal": seconds * rounds / nodes / wall,
            "own": (time.process_time() - own) / rounds,
            "bytes": (loopback() - network) / rounds,
            "megabytes": [*watch.megabytes, resident()],
        }


def main() -> None:
    """Run the benchmark."""
    parser = make_parser(__doc__)
    parser.add_argument("--nodes", type=whole, nargs="+", default=[100, 250, 500, 1000, 2000], help="default: 100 250 500 1000 2000")
    parser.add_argument("--rounds", type=whole, help="of each, default: six times as many as nodes")
    parser.add_argument("--seconds", type=float, default=4.0, help="of a round, default: 4")
    parser.add_argument("--epochs", type=whole, default=60, help="of a round, default: 60")
    options = parser.parse_args()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    config = composed("engine=ray", f"epochs={options.epochs}")
    results = [measure(config, nodes, options.rounds or 6 * nodes, options.seconds) for nodes in options.nodes]
    machine, console = describe_machine(), make_console()
    columns = ["rounds a second", "of what nodes could", "ms of the command's core, each", "kB, each", "MB after 1,000", "at the end"]
    table = make_table(["nodes"], columns)
    for one in results:
        memory = (f"{one['megabytes'][index]:.0f}" for index in (0, -1))
        figures = (f"{one['per_second']:.1f}", f"{one['of_ideal']:.0%}", f"{1000 * one['own']:.2f}", f"{one['bytes'] / 1000:.1f}")
        table.add_row(str(one["nodes"]), *figures, *memory)
    print_table(f"fake rounds of {options.seconds:g} s and {options.epochs} epochs, {in_words(machine)}", table, console)
    write(options.json, "driver", machine, results)


if __name__ == "__main__":
    run(main)
