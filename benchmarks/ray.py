"""What a round costs on a Ray cluster beyond its training, against worker processes; what starting costs; the memory of the command.

examples:
  python -m benchmarks.ray                              a Ray of its own on this machine
  python -m benchmarks.ray --address auto --start 3     a cluster that is running; also what whole commands take
  python -m benchmarks.ray --turns 10 --rounds 1000     10,000 rounds by each engine: is the memory flat?

Tiny rounds (an epoch of 50 pairs), by turns: so many by engine=ray, so many by engine=processes with as many at a time. Everything is
imported and connected before (a turn that is not counted). Overhead: wall seconds of a turn, times those at a time, without the seconds
that the rounds say of themselves, per round. How many rounds a second a command can look after follows from what it takes of a core
itself. Starting: a whole command of one tiny round, serial and on the cluster.
"""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.common import composed, make_console, make_parser, make_table, print_table, run, spread, whole, write
from benchmarks.machine import describe_machine, in_words
from digitcmp.config.schema import Config
from digitcmp.experiment.executors.choose import choose, preflight
from digitcmp.experiment.run import Run
from digitcmp.experiment.scheduler import train

TINY = ["epochs=1", "batch_size=25", "data.train_pairs=50", "data.test_pairs=40"]


def resident() -> float:
    """Megabytes that this process has in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def turn(config: Config, folder: Path) -> dict[str, float]:
    """Train a run. Seconds of each round on the wall, beyond its own, and of this process; and the memory afterwards."""
    one, start, busy = Run(config, folder, ""), time.perf_counter(), time.process_time()
    train([one])
    wall, own, rows = time.perf_counter() - start, time.process_time() - busy, one.rows
    beyond = wall * (config.workers or 1) - sum(row.seconds for row in rows)
    parts = {"wall": wall / len(rows), "beyond": beyond / len(rows), "own": own / len(rows)}
    return {**parts, "megabytes": resident(), "failed": float(len(one.failed))}


def measure(config: Config, turns: int, rounds: int) -> dict[str, list[dict[str, float]]]:
    """The turns of both engines, one after the other; the first of each, which is short, warms everything up."""
    found: dict[str, list[dict[str, float]]] = {"ray": [], "processes": []}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(turns + 1):
            for engine, results in found.items():
                seeds = rounds if number else 4 * (config.workers or 1)
                results.append(turn(replace(config, engine=engine, rounds=seeds), Path(folder, f"{engine}{number}")))
    return {engine: results[1:] for engine, results in found.items()}


def starts(address: str, repeat: int) -> dict[str, list[float]]:
    """Wall seconds of whole commands of one round."""
    commands = {"serial": ["engine=serial"], "ray": ["engine=ray", f"ray.address={address}"]}
    found: dict[str, list[float]] = {name: [] for name in commands}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(repeat):
            for name, options in commands.items():
                start = time.perf_counter()
                command = [sys.executable, "-m", "digitcmp", *TINY, *options, f"hydra.run.dir={folder}/{name}{number}"]
                subprocess.run(command, check=True, capture_output=True)
                found[name].append(time.perf_counter() - start)
    return found


def show(title: str, results: dict[str, Any]) -> None:
    """Print the tables."""
    console = make_console()
    table = make_table(["engine"], ["ms a round", "beyond training", "of the command's core", "MB after a turn", "at the end", "failed"])
    for engine, turns in results["rounds"].items():
        times = [spread([1000 * one[name] for one in turns], ".1f") for name in ("wall", "beyond", "own")]
        memory = (f"{turns[index]['megabytes']:.0f}" for index in (0, -1))
        table.add_row(engine, *times, *memory, f"{sum(one['failed'] for one in turns):.0f}")
    print_table(title, table, console)
    difference = [1000 * (one["wall"] - other["wall"]) for one, other in zip(*results["rounds"].values(), strict=True)]
    console.print(f"ray beyond processes: {spread(difference, '.1f')} ms a round on the wall", highlight=False)
    for name, seconds in results.get("start", {}).items():
        console.print(f"a command of one round, {name}: {spread(seconds, '.1f')} s", highlight=False)


def main() -> None:
    """Run the benchmark."""
    parser = make_parser(__doc__)
    parser.add_argument("--address", default="null", help="of the cluster, default: null, a Ray of its own")
    parser.add_argument("--rounds", type=whole, default=200, help="of a turn, default: 200")
    parser.add_argument("--turns", type=whole, default=5, help="default: 5")
    parser.add_argument("--start", type=int, default=0, metavar="N", help="also time N whole commands, default: 0")
    options = parser.parse_args()
    config = composed(*TINY, "engine=ray", f"ray.address={options.address}")
    preflight(config)
    config.workers = choose(config, None)[1]
    results: dict[str, Any] = {"workers": config.workers, "rounds": measure(config, options.turns, options.rounds)}
    if options.start:
        results["start"] = starts(options.address, options.start)
    machine = describe_machine()
    show(f"{options.turns} turns of {options.rounds} tiny rounds, {config.workers} at a time, {in_words(machine)}", results)
    beyond = [median(one["beyond"] for one in turns) for turns in results["rounds"].values()]
    results["beyond_ms"] = 1000 * (beyond[0] - beyond[1])
    write(options.json, "ray", machine, results)


if __name__ == "__main__":
    run(main)
