"""The published Table 1, net1 to net4 over 100 rounds of 60 epochs, tested after every epoch: how long does it take?

python -m benchmarks.hundred                                       extrapolated from a few rounds of a few epochs
python -m benchmarks.hundred --full --executors stacked reference    in full; on a machine with a GPU, the figures of the GPU

Each executor trains in a process of its own. Its time begins with everything imported and nothing read, and so includes
reading MNIST, waking the GPU up and starting worker processes, and it ends with the last round on record, as
`python -m digitcmp --multirun +sweeps=table1` leaves it.

Extrapolated: the seconds that no round takes, once, and for every network 100 times those of a round: mean of what a round
takes beside its epochs, and 60 times the median of its epochs, over the rounds that go on at once. Rounds that are stacked
on a GPU cost less the more there are, so that a few say too little: use --full.

`reference` is the plain loop (benchmarks/reference.py), one round after the other on the same device, tested pair by pair;
`reference-batch` tests all pairs at once. Its rounds know nothing of each other: with --full, too, it is extrapolated from
--rounds rounds, of 60 epochs each, unless there is --full-reference.
"""

import argparse
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.common import add_data, configuration, make_console, make_parser, make_table, print_table, run, whole, write
from benchmarks.machine import describe_machine, in_words
from benchmarks.workload import Measured, measure_executor, measure_reference
from digitcmp.config.schema import Config
from digitcmp.counting import counted
from digitcmp.experiment.executors.choose import choose_device

ROUNDS, EPOCHS = 100, 60
NETWORKS = ["net1", "net2", "net3", "net4"]
EXECUTORS = ["serial", "processes", "stacked"]
REFERENCES = ["reference", "reference-batch"]
SENSIBLE = {"cpu": [*EXECUTORS, "reference"], "cuda": ["serial", "stacked", *REFERENCES]}


def measure(executor: str, configs: list[Config], options: argparse.Namespace) -> dict[str, Any]:
    """One executor: what was trained and measured, and the seconds of the whole table."""
    plain = executor in REFERENCES
    full = options.full_reference if plain else options.full
    rounds, epochs = ROUNDS if full else options.rounds, EPOCHS if options.full or full else options.epochs
    trained = [replace(config, rounds=rounds, epochs=epochs) for config in configs]
    if plain:
        measured = measure_reference(trained, options.threads, executor == "reference-batch")
    else:
        folder = options.folder and options.folder / executor
        measured = measure_executor([replace(config, engine=executor) for config in trained], folder, loud=options.full)
    seconds = measured.wall if full else measured.extrapolated(ROUNDS, EPOCHS)
    return {"executor": executor, "rounds": rounds, "epochs": epochs, "in_full": full, "seconds": seconds, **figures(measured)}


def figures(measured: Measured) -> dict[str, Any]:
    """What was measured, and the rounds of 60 epochs that go by in a minute, per network."""
    per_minute = {pace.network: 60 * measured.side / pace.seconds(EPOCHS) for pace in measured.paces}
    return {"measured": asdict(measured), "rounds_per_minute": per_minute}


def basis(result: dict[str, Any]) -> str:
    """What the time of the whole table rests upon."""
    if result["in_full"]:
        return f"measured in full ({result['measured']['whole']:.0f} s with Python's start)"
    return f"extrapolated from {result['rounds']} × {result['epochs']} epochs a network"


def show(results: list[dict[str, Any]], title: str, console: Console) -> None:
    """Print the table."""
    plain = next((result["seconds"] for result in results if result["executor"] in REFERENCES), None)
    networks = list(results[0]["rounds_per_minute"])
    table = make_table(["executor", "at once"], [*networks, "all [s]", "all [min]", "× plain"])
    table.add_column("all: how known")
    for result in results:
        seconds = result["seconds"]
        speeds = [f"{result['rounds_per_minute'][network]:.1f}" for network in networks]
        ratio = "" if plain is None else f"{plain / seconds:.2f}"
        table.add_row(
            result["executor"], str(result["measured"]["side"]), *speeds, f"{seconds:.0f}", f"{seconds / 60:.1f}", ratio, basis(result)
        )  # fmt: skip
    print_table(title, table, console)
    for result in results:
        if failed := result["measured"]["failed"]:
            console.print(f"{result['executor']}: {failed} rounds failed; its time is not that of the whole table", style="red")


def parse() -> argparse.Namespace:
    """The options."""
    parser = make_parser(__doc__)
    parser.add_argument("--executors", nargs="+", choices=[*EXECUTORS, *REFERENCES], help=f"default: {' '.join(SENSIBLE['cpu'])}, on a GPU "
                        f"{' '.join(SENSIBLE['cuda'])}")  # fmt: skip
    parser.add_argument("--networks", nargs="+", default=NETWORKS, choices=NETWORKS, help="default: all of them")
    parser.add_argument("--rounds", type=whole, default=4, help="to extrapolate from, per network, default: 4")
    parser.add_argument("--epochs", type=whole, default=3, help="to extrapolate from, default: 3")
    parser.add_argument("--full", action="store_true", help=f"train all {ROUNDS} rounds of {EPOCHS} epochs")
    parser.add_argument("--full-reference", action="store_true", help="the plain loop, too (hours)")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"], help="default: auto")
    parser.add_argument("--threads", type=whole, default=1, help="intra-op threads of the plain loop on a CPU, default: 1")
    parser.add_argument("--folder", type=Path, help="keep the records in this folder, which is to be new; default: a temporary one")
    add_data(parser)
    return parser.parse_args()


def main() -> None:
    """Run the benchmark."""
    options = parse()
    machine, console = describe_machine(), make_console()
    device = choose_device(options.device).type
    configs = [configuration(network, options.data, f"device={device}") for network in options.networks]
    results = [measure(executor, configs, options) for executor in options.executors or SENSIBLE[device]]
    threads = f"; plain loop on {counted(options.threads, 'thread')}" if device == "cpu" else ""
    title = f"{ROUNDS} rounds of {EPOCHS} epochs on {options.data}, rounds per minute; device {device}{threads}; {in_words(machine)}"
    show(results, title, console)
    write(options.json, "hundred", machine, results)


if __name__ == "__main__":
    run(main)
