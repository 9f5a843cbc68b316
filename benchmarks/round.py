"""One round of digitcmp against the plain reference loop, side by side.

python -m benchmarks.round --networks net2 --epochs 60 --repeat 3

Both train on the same pairs and test after every epoch. The two are run in turn, `--repeat` times, and the table shows
medians and the ratio of each turn's times, so that a machine that drifts does so for both. With --json FILE the
measurements are written, too.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe_machine
from benchmarks.reference import NETWORKS, train_reference
from digitcmp import cli
from digitcmp.config import Config, from_composed
from digitcmp.rounds.round import round_pairs, train_round


def configuration(network: str, epochs: int, data: str) -> Config:
    """The published recipe of a network with this number of epochs."""
    cli.register()
    overrides = [f"+experiment={network}", f"epochs={epochs}", f"data={data}"]
    if network == "wsn":
        overrides.append("aux_weight=0")
    with initialize_config_dir(str(cli.find("conf"))):
        return from_composed(compose("config", overrides=overrides))


def time_ours(config: Config) -> tuple[float, float]:
    """Seconds and test accuracy of one round, drawing its pairs included."""
    start = time.perf_counter()
    row = train_round(config, config.seed, torch.device("cpu"), lambda _: None).row
    return time.perf_counter() - start, row.test_accuracy or 0.0


def time_reference(config: Config) -> tuple[float, float]:
    """The same of the reference loop."""
    start = time.perf_counter()
    pairs = round_pairs(config, config.seed)
    train, test = pairs.train, pairs.test
    examples = (train.images, train.target, train.digits)
    accuracy = train_reference(config.model.name, examples, (test.images, test.target), config.epochs, config.optimizer.lr)
    return time.perf_counter() - start, accuracy


def with_threads(threads: int, timed: Callable[[Config], tuple[float, float]], config: Config) -> tuple[float, float]:
    """Time with this number of intra-op threads."""
    torch.set_num_threads(threads)
    return timed(config)


def measure(network: str, epochs: int, data: str, repeat: int, threads: int) -> dict[str, Any]:
    """Times of both, in turn; `threads` are the reference's."""
    config = configuration(network, epochs, data)
    round_pairs(config, config.seed)  # reads the data set, once for both
    turns = [(with_threads(1, time_ours, config), with_threads(threads, time_reference, config)) for _ in range(repeat)]
    return {
        "network": network,
        "epochs": epochs,
        "reference_threads": threads,
        "ours": [ours for (ours, _), _ in turns],
        "reference": [reference for _, (reference, _) in turns],
        "accuracy_ours": turns[0][0][1],
        "accuracy_reference": turns[0][1][1],
    }


def show(results: list[dict[str, Any]], machine: dict[str, Any], console: Console) -> None:
    """Print the table."""
    threads = results[0]["reference_threads"]
    title = f"one round, {machine['processor']}, {machine['cores']} cores, torch {machine['torch']}; threads: ours 1, plain {threads}"
    table = Table(title=title, title_justify="left")
    for column in ("network", "epochs", "ours [s]", "plain [s]", "ratio (min, max)", "accuracy", "plain"):
        table.add_column(column, justify="right")
    for result in results:
        ratios = sorted(reference / ours for ours, reference in zip(result["ours"], result["reference"], strict=True))
        times = [f"{median(result[name]):.2f}" for name in ("ours", "reference")]
        spread = f"{median(ratios):.2f} ({ratios[0]:.2f}, {ratios[-1]:.2f})"
        accuracies = [f"{result[name]:.1%}" for name in ("accuracy_ours", "accuracy_reference")]
        table.add_row(result["network"], str(result["epochs"]), *times, spread, *accuracies)
    console.print(table)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=["net2"], choices=list(NETWORKS), help="default: net2")
    parser.add_argument("--epochs", type=int, default=60, help="default: 60")
    parser.add_argument("--repeat", type=int, default=3, help="turns of both, default: 3")
    parser.add_argument("--data", default="mnist", choices=["mnist", "digits"], help="default: mnist")
    parser.add_argument("--threads", type=int, default=1, help="intra-op threads of the reference (ours has 1), default: 1")
    parser.add_argument("--json", type=Path, help="write the measurements to this file")
    options = parser.parse_args()
    machine = describe_machine()
    results = [measure(network, options.epochs, options.data, options.repeat, options.threads) for network in options.networks]
    show(results, machine, Console())
    if options.json:
        options.json.write_text(json.dumps({"machine": machine, "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
