"""One-core nodes of a Ray cluster on this machine: two against one, and a sweep that loses one of two after a third of its rounds.

examples:
  python -m benchmarks.nodes                          net2, 20 rounds: a task at a time, and two
  python -m benchmarks.nodes --lost 100 --epochs 2    4 x 100 rounds of Table 1, shortened, with and without the loss of a node

Run it in a network namespace of its own: Ray listens to the network. A machine of two cores has the command on one of the nodes' cores.
"""

import os
import signal
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import ray
from ray.cluster_utils import Cluster

from benchmarks.common import configuration, make_console, make_parser, run, spread, whole, write
from benchmarks.machine import describe_machine, in_words
from digitcmp.config.schema import Config
from digitcmp.experiment.callbacks import Callback
from digitcmp.experiment.run import Run
from digitcmp.experiment.scheduler import train
from digitcmp.train.results import EpochRow, RoundResult

TABLE1 = ("net1", "net2", "net3", "net4")
NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 100_000_000}


def lose(cluster: Cluster, node: Any) -> None:
    """As when a node loses its power: Ray's own processes would let a task come to its end."""
    raylet = node.all_processes["raylet"][0].process.pid
    for process in [*map(int, Path(f"/proc/{raylet}/task/{raylet}/children").read_text().split()), raylet]:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    cluster.remove_node(node, allow_graceful=False)


class Watch(Callback):
    """Counts epochs, which are heard once, and those who are begun again; removes a node when so many rounds have ended."""

    def __init__(self, cluster: Cluster, node: Any, after: int | None) -> None:
        self.cluster, self.node, self.after = cluster, node, after
        self.rounds, self.told = 0, list[str]()

    def on_message(self, text: str) -> None:
        self.told.append(text)

    def on_epoch(self, run: Run, row: EpochRow) -> None:
        del run, row
        if self.after is not None and self.rounds >= self.after:
            lose(self.cluster, self.node)
            self.after = None

    def on_round_end(self, run: Run, result: RoundResult) -> None:
        del run, result
        self.rounds += 1


def trained(configs: list[Config], folder: Path, *callbacks: Callback) -> tuple[float, list[Run]]:
    """Wall seconds of the rounds of these runs, and the runs."""
    runs, begun = [Run(config, folder / str(number), "") for number, config in enumerate(configs)], time.perf_counter()
    train(runs, callbacks)
    return time.perf_counter() - begun, runs


def two_against_one(config: Config, rounds: int, repeat: int) -> dict[str, list[float]]:
    """Wall seconds of the rounds with one task at a time, and with two, by turns; the first turn, which is not counted, warms up."""
    found: dict[str, list[float]] = {"one": [], "two": []}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(repeat + 1):
            for workers, (name, seconds) in enumerate(found.items(), 1):
                some = replace(config, rounds=rounds if number else 4, workers=workers)
                wall, _ = trained([some], Path(folder, f"{name}{number}"))
                if number:
                    seconds.append(wall)
    return found


def lose_one(configs: list[Config], cluster: Cluster, node: Any) -> dict[str, Any]:
    """Train a sweep undisturbed by worker processes, then on two nodes, of which one is lost after a third of the rounds."""
    rounds = sum(len(config.seeds) for config in configs)
    with tempfile.TemporaryDirectory() as folder:
        watch = Watch(cluster, node, rounds // 3)
        seconds, lost = trained(configs, Path(folder, "lost"), watch)
        _, whole = trained([replace(config, engine="processes") for config in configs], Path(folder, "whole"))
        equal = all(
            [replace(row, seconds=0) for row in one.rows] == [replace(row, seconds=0) for row in other.rows]
            for one, other in zip(lost, whole, strict=True)
        )
        again = sum(int(text.split()[0]) for text in watch.told if " begun again" in text)
    return {"rounds": rounds, "heard": watch.rounds, "again": again, "equal": equal, "seconds": seconds, "told": watch.told}


def main() -> None:
    """Run the benchmark."""
    parser = make_parser(__doc__)
    parser.add_argument("--rounds", type=whole, default=20, help="default: 20")
    parser.add_argument("--repeat", type=whole, default=3, help="default: 3")
    parser.add_argument("--epochs", type=whole, help="of a round, default: the published ones")
    parser.add_argument("--lost", type=whole, metavar="N", help="a sweep of 4 x N rounds instead, and a node that is lost")
    options = parser.parse_args()
    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    node = cluster.add_node(**NODE)
    try:
        more = [f"epochs={options.epochs}"] * (options.epochs is not None)
        given = [*more, "engine=ray", f"ray.address={cluster.address}", "test_every=1000"]
        configs = [configuration(name, "mnist", *given) for name in (TABLE1 if options.lost else ("net2",))]
        machine, console = describe_machine(), make_console()
        if options.lost:
            results: dict[str, Any] = lose_one([replace(config, rounds=options.lost) for config in configs], cluster, node)
            console.print(results, in_words(machine), highlight=False)
        else:
            results = {"seconds": (seconds := two_against_one(configs[0], options.rounds, options.repeat))}
            results["ratios"] = [one / two for one, two in zip(seconds["one"], seconds["two"], strict=True)]
            console.print(f"net2, {options.rounds} rounds of {configs[0].epochs} epochs, {in_words(machine)}", highlight=False)
            console.print({name: spread(values) for name, values in seconds.items()}, f"ratio {spread(results['ratios'])}", highlight=False)
            results["ratio"] = median(results["ratios"])
    finally:
        ray.shutdown()
        cluster.shutdown()  # type: ignore[no-untyped-call]
    write(options.json, "nodes", machine, results)


if __name__ == "__main__":
    run(main)
