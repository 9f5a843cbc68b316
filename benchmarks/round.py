"""Rounds per minute, with all cores: digitcmp's worker processes against the plain reference loop.

python -m benchmarks.round --networks net1 net2 net3 net4 wsn --repeat 3

Three ways to use the same cores, in turn, `--repeat` times: digitcmp with a worker process per core; the plain loop in one
process with as many threads as there are cores (what torch does by itself); the plain loop in one process of one thread
per core (the best that a user of the script can do). All train on the same pairs and test after every epoch. A round of
the published length (60 epochs; wsn: 25) is worked out from what it takes beside its epochs and the median of its epochs,
of which a few are trained (`--epochs`): threads that wait for a busy core can make an epoch thirty times as long. Starting
processes and reading the data is in neither; `python -m benchmarks.hundred` has it.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from statistics import mean, median
from typing import Any

import torch
from rich.console import Console

from benchmarks.common import add_data, configuration, make_console, make_parser, make_table, print_table, run, spread, whole, write
from benchmarks.machine import cores, describe_machine, in_words
from benchmarks.reference import NETWORKS
from benchmarks.workload import Pace, fresh, pace, plain_round
from digitcmp.config.schema import Config
from digitcmp.experiment.executors.base import Task
from digitcmp.experiment.executors.processes import ProcessExecutor
from digitcmp.train.round import round_pairs

OURS, THREADS, PROCESSES = "ours", "plain, threads", "plain, processes"
LIMIT = 3.0  # seconds after which the plain loop begins no other epoch
CPU = torch.device("cpu")


def ours(config: Config, workers: int) -> Pace:
    """A round in each of this many worker processes, at the same time."""
    with ProcessExecutor(CPU, workers) as executor:
        futures = [future for seed in range(workers) for future in executor.submit(Task(config, (seed,)), lambda *_: None)]
        while not all(future.done() for future in futures):
            executor.wait()
    return pace(config.model.name, [future.result() for future in futures])


def plain(config: Config, pool: ProcessPoolExecutor, workers: int) -> Pace:
    """A round of the plain loop in each of the pool's processes, at the same time."""
    rounds = list(pool.map(plain_round, [config] * workers, range(workers), [False] * workers, [LIMIT] * workers))
    epochs = [seconds for one in rounds for seconds in one.epochs]
    return Pace(config.model.name, mean(one.before for one in rounds), median(epochs), mean(one.accuracy for one in rounds))


def measure(network: str, options: argparse.Namespace, pools: dict[str, ProcessPoolExecutor]) -> dict[str, Any]:
    """Rounds per minute of all three, turn by turn."""
    recipe = configuration(network, options.data, "device=cpu")
    config, workers = replace(recipe, epochs=options.epochs), options.workers
    round_pairs(config.data, config.seed)  # a problem with the data is found here
    for name, side in ((THREADS, 1), (PROCESSES, workers)):
        list(pools[name].map(round_pairs, [config.data] * side, range(side)))  # they read the data
    turns: list[dict[str, tuple[Pace, int]]] = [
        {
            OURS: (ours(config, workers), workers),
            PROCESSES: (plain(config, pools[PROCESSES], workers), workers),
            THREADS: (plain(config, pools[THREADS], 1), 1),
        }
        for _ in range(options.repeat)
    ]
    speed = {name: [60 * turn[name][1] / turn[name][0].seconds(recipe.epochs) for turn in turns] for name in turns[0]}
    return {
        "network": network,
        "epochs": recipe.epochs,
        "epochs_trained": options.epochs,
        "rounds_per_minute": speed,
        "ratio": ratios(speed),
        "accuracy": {name: turns[0][name][0].accuracy for name in turns[0]},
    }


def ratios(speed: dict[str, list[float]]) -> dict[str, list[float]]:
    """Ours against each way of the plain loop, and against the better one, turn by turn."""
    against = {name: [mine / theirs for mine, theirs in zip(speed[OURS], speed[name], strict=True)] for name in (THREADS, PROCESSES)}
    return {**against, "plain, better": [min(both) for both in zip(*against.values(), strict=True)]}


def show(results: list[dict[str, Any]], options: argparse.Namespace, machine: dict[str, Any], console: Console) -> None:
    """Print the table."""
    title = f"rounds per minute on {options.data}, from rounds of {options.epochs} epochs; {in_words(machine)}"
    columns = [f"ours, {options.workers} processes", f"plain, {options.workers} processes", f"plain, {options.threads} threads"]
    table = make_table(["network"], ["epochs", *columns, "× better plain", "× threads"])
    for result in results:
        speeds = [spread(result["rounds_per_minute"][name], ".1f") for name in (OURS, PROCESSES, THREADS)]
        against = [spread(result["ratio"][name]) for name in ("plain, better", THREADS)]
        table.add_row(result["network"], str(result["epochs"]), *speeds, *against)
    print_table(title, table, console)


def parse() -> argparse.Namespace:
    """The options."""
    parser = make_parser(__doc__)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS), help="default: all of them")
    parser.add_argument("--epochs", type=whole, default=6, help="of each round that is trained, default: 6")
    parser.add_argument("--repeat", type=whole, default=3, help="turns of all three, default: 3")
    parser.add_argument("--workers", type=whole, default=cores(), help="processes, ours and plain, default: one per core")
    parser.add_argument("--threads", type=whole, default=cores(), help="of the plain loop in one process, default: one per core")
    add_data(parser)
    return parser.parse_args()


def main() -> None:
    """Run the benchmark."""
    options = parse()
    machine, console = describe_machine(), make_console()
    with ExitStack() as stack:
        sizes = {THREADS: (options.threads, 1), PROCESSES: (1, options.workers)}
        pools = {name: stack.enter_context(fresh(*size)) for name, size in sizes.items()}
        results = [measure(network, options, pools) for network in options.networks]
    show(results, options, machine, console)
    write(options.json, "round", machine, results)


if __name__ == "__main__":
    run(main)
