"""What checkpoints cost: rounds that leave one every N epochs against the same without, by turns.

example:
  python -m benchmarks.checkpoints --networks net4 --every 10

Processor time and wall time of runs of one round, and of one stack, whose folders are on this machine's disk; ratios within a turn.
"""

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.common import add_data, configuration, make_console, make_parser, make_table, print_table, run, spread, whole, write
from benchmarks.machine import describe_machine, in_words
from digitcmp.config.schema import Config
from digitcmp.experiment.run import Run
from digitcmp.experiment.scheduler import train


def turn(config: Config, every: int | None) -> tuple[float, float]:
    """Seconds of a run on the wall, and of this process."""
    with tempfile.TemporaryDirectory() as folder:
        one = Run(replace(config, checkpoint_every=every), Path(folder, "run"), "")
        wall, own = time.perf_counter(), time.process_time()
        train([one])
        return time.perf_counter() - wall, time.process_time() - own


def measure(config: Config, every: int, repeat: int) -> dict[str, list[float]]:
    """How many times as long runs with checkpoints take; a first turn warms up."""
    found: dict[str, list[float]] = {"wall": [], "own": [], "seconds": []}
    turn(replace(config, epochs=2), 1)
    for _ in range(repeat):
        without, with_ = turn(config, None), turn(config, every)
        found["wall"].append(with_[0] / without[0])
        found["own"].append(with_[1] / without[1])
        found["seconds"].append(without[1])
    return found


def main() -> None:
    """Run the benchmark."""
    parser = make_parser(__doc__)
    add_data(parser)
    parser.add_argument("--networks", nargs="+", default=["net4"], metavar="NETWORK", help="default: net4")
    parser.add_argument("--every", type=whole, default=10, help="epochs, default: 10")
    parser.add_argument("--epochs", type=whole, default=60, help="of a round, default: 60")
    parser.add_argument("--stack", type=whole, default=8, help="rounds of the stack, default: 8")
    parser.add_argument("--repeat", type=whole, default=5, help="default: 5")
    options = parser.parse_args()
    machine, console, results = describe_machine(), make_console(), list[dict[str, Any]]()
    table = make_table(["network", "rounds"], ["s without", "with / without, processor", "on the wall"])
    for name in options.networks:
        for rounds in (1, options.stack):
            given = [f"epochs={options.epochs}", "engine=stacked", f"rounds={rounds}", f"stack_size={rounds}", "device=cpu"]
            found = measure(configuration(name, options.data, *given), options.every, options.repeat)
            results.append({"network": name, "rounds": rounds, **found})
            table.add_row(name, str(rounds), spread(found["seconds"]), spread(found["own"], ".3f"), spread(found["wall"], ".3f"))
    print_table(f"a checkpoint every {options.every} of {options.epochs} epochs, {in_words(machine)}", table, console)
    write(options.json, "checkpoints", machine, results)


if __name__ == "__main__":
    run(main)
