"""The residual network of a package of one's own against the same in a plain loop: is it as much ahead as net4 is?

pip install -e examples/plugin
python -m benchmarks.package --repeat 6

Processor time of rounds, each in a process of one thread: digitcmp's as its worker processes have it, and the plain loop, which tests
after every epoch pair by pair, as a script does, or all pairs at once. All three of both networks by turns; ratios within a turn.
"""

import os
import time
from concurrent.futures import ProcessPoolExecutor
from statistics import median
from typing import Any

import torch

from benchmarks.common import (
    add_data,
    composed,
    configuration,
    make_console,
    make_parser,
    make_table,
    print_table,
    run,
    spread,
    whole,
    write,
)
from benchmarks.machine import describe_machine, in_words
from benchmarks.workload import fresh, plain_round
from digitcmp.config.schema import Config
from digitcmp.experiment.executors.server import KEEP_MEMORY
from digitcmp.model.network import count_parameters
from digitcmp.train.round import train_rounds

OURS, PLAIN, AT_ONCE = "ours", "plain", "plain, tested at once"
RESIDUAL = ("model=gelunet", "optimizer=sgd", "optimizer.lr=0.1", "aux_weight=1")
Turn = dict[str, float]


def seconds(config: Config, way: str) -> float:
    """Processor time of a round in this process."""
    start = time.process_time()
    if way == OURS:
        train_rounds(config, [config.seed], torch.device("cpu"), lambda *_: True)
    else:
        plain_round(config, config.seed, one_batch=way == AT_ONCE)
    return time.process_time() - start


def take_turns(configs: list[Config], repeat: int) -> list[list[Turn]]:
    """Seconds of each way, for every configuration in every turn. A first turn, which reads the data, is left out."""
    with fresh(1) as theirs:
        theirs.submit(abs, 0).result()  # it starts with the memory of a plain script
        os.environ |= KEEP_MEMORY
        with fresh(1) as ours:
            pools: dict[str, ProcessPoolExecutor] = {OURS: ours, PLAIN: theirs, AT_ONCE: theirs}
            turns = [
                [{way: pool.submit(seconds, config, way).result() for way, pool in pools.items()} for config in configs]
                for _ in range(repeat + 1)
            ]
    return turns[1:]


def main() -> None:
    """Run the benchmark."""
    parser = make_parser(__doc__)
    add_data(parser)
    parser.add_argument("--epochs", type=whole, default=6, help="of a round, default: 6")
    parser.add_argument("--repeat", type=whole, default=6, help="turns, default: 6")
    options = parser.parse_args()
    given = (f"epochs={options.epochs}", "device=cpu")
    configs = [configuration("net4", options.data, *given), composed(*RESIDUAL, f"data={options.data}", *given)]
    machine, console, results = describe_machine(), make_console(), list[dict[str, Any]]()
    table = make_table(["network"], ["parameters", *(f"s, {way}" for way in (OURS, PLAIN, AT_ONCE)), "plain / ours", "at once / ours"])
    turns = take_turns(configs, options.repeat)
    for index, config in enumerate(configs):
        mine = [turn[index] for turn in turns]
        ratios = {way: [one[way] / one[OURS] for one in mine] for way in (PLAIN, AT_ONCE)}
        results.append({"network": config.model.name, "turns": mine, "ratios": ratios})
        medians = [f"{median(one[way] for one in mine):.2f}" for way in (OURS, PLAIN, AT_ONCE)]
        table.add_row(config.model.name, f"{count_parameters(config.model):,}", *medians, *map(spread, ratios.values()))
    print_table(f"processor time of a round of {options.epochs} epochs on {options.data}, one thread; {in_words(machine)}", table, console)
    write(options.json, "package", machine, results)


if __name__ == "__main__":
    run(main)
