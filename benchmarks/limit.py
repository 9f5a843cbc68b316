"""How near a training step comes to the machine's own matrix product, on one core.

python -m benchmarks.limit --networks net2 net4 wsn --repeat 15

The rate of a step (operations of its convolutions and dense layers, counted from the network, over its time) is set against
the rate of a large float32 matrix product. Both are measured in turn, product, step, product, test, again and again, and
each is compared with the products right before and after it, so that a machine that drifts does so for both. The tables
show medians (lowest to highest): the rates, where the time of a step goes, and the ten operators of torch that take most.
One thread, on the CPU. The step is the real training loop's, the test that of 1,000 pairs after every epoch.
"""

import argparse
import os
import time
from dataclasses import asdict
from statistics import mean, median
from typing import Any
from unittest.mock import patch

import torch
from rich.console import Console

from benchmarks.arithmetic import Operations, count
from benchmarks.common import add_data, configuration, make_console, make_parser, make_table, print_table, run, spread, whole, write
from benchmarks.machine import describe_machine, in_words
from benchmarks.step import PARTS, Work, expensive
from benchmarks.workload import fresh
from digitcmp.files import shipped

SIZE = 1024  # of the matrices: large enough for the full rate, small enough to be done in some 13 ms
PRODUCTS = 5
EPOCHS = 3  # of training, and tests, a turn
QUIET = {"KINETO_LOG_LEVEL": "99"}  # torch's profiler says on stderr that it starts; it can only be told before it is loaded
RECIPES = sorted(path.stem for path in (shipped("conf") / "experiment").glob("*.yaml"))


def product_rate(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor) -> float:
    """GFLOP/s of the matrix product."""
    start = time.perf_counter()
    for _ in range(PRODUCTS):
        torch.mm(left, right, out=out)
    return 2 * SIZE**3 * PRODUCTS / (time.perf_counter() - start) / 1e9


def mean_of(parts: list[dict[str, float]]) -> dict[str, float]:
    """Mean of each part over several goes, in milliseconds."""
    return {name: 1000 * mean(part[name] for part in parts) for name in parts[0]}


def turn(work: Work, matrices: list[torch.Tensor]) -> dict[str, Any]:
    """Product, step, product, test, product: rates in GFLOP/s, parts in milliseconds."""
    with torch.no_grad():
        rates = [product_rate(*matrices)]
        step = train(work)
        rates.append(product_rate(*matrices))
        test = mean_of([work.test() for _ in range(EPOCHS)])
        rates.append(product_rate(*matrices))
    return {"products": rates, "step": step, "test": test}


def train(work: Work) -> dict[str, float]:
    """Milliseconds of each part of a step."""
    with torch.enable_grad():
        return mean_of([work.train() for _ in range(EPOCHS)])


def measure(network: str, data: str, repeat: int) -> dict[str, Any]:
    """All measurements of one network."""
    config = configuration(network, data)
    work, matrices = Work(config), [torch.rand(SIZE, SIZE) for _ in range(3)]
    turn(work, matrices)  # the first time is slower
    turns = [turn(work, matrices) for _ in range(repeat)]
    with patch.dict(os.environ, QUIET), fresh(threads=1) as process:
        most = process.submit(expensive, config, EPOCHS).result()
    step, test = (count(config.model, pairs, config.aux_weight) for pairs in (config.batch_size, config.data.test_pairs))
    return {
        "network": network,
        "batch": config.batch_size,
        "tested": config.data.test_pairs,
        "operations": {"step": asdict(step), "test": test.forward},
        "product": [rate for one in turns for rate in one["products"]],
        "step": summary(turns, "step", step.step, (0, 1)),
        "test": summary(turns, "test", test.forward, (1, 2)),
        "operators": {what: [asdict(operator) for operator in found] for what, found in most.items()},
    }


def summary(turns: list[dict[str, Any]], what: str, operations: int, beside: tuple[int, int]) -> dict[str, Any]:
    """Milliseconds, GFLOP/s and share of the products beside it, turn by turn; medians of the parts."""
    times = [sum(one[what].values()) for one in turns]
    rates = [operations / 1e6 / ms for ms in times]
    products = [mean(one["products"][place] for place in beside) for one in turns]
    return {
        "ms": times,
        "rate": rates,
        "share": [rate / product for rate, product in zip(rates, products, strict=True)],
        "parts": {part: median(one[what][part] for one in turns) for part in turns[0][what]},
    }


def show_rates(results: list[dict[str, Any]], machine: dict[str, Any], console: Console) -> None:
    """The rates, and what share of the machine's own they are."""
    table = make_table(["network", "what"], ["MFLOP", "ms", "GFLOP/s", "matrix product [GFLOP/s]", "share [%]"])
    for result in results:
        counted = {"step": sum(result["operations"]["step"].values()), "test": result["operations"]["test"]}
        names = {"step": f"step on {result['batch']} pairs", "test": f"test of {result['tested']} pairs"}
        for what, name in names.items():
            found = result[what]
            share = spread([100 * value for value in found["share"]], ".1f")
            table.add_row(
                result["network"], name, f"{counted[what] / 1e6:.1f}", spread(found["ms"]), f"{median(found['rate']):.1f}",
                spread(result["product"], ".0f"), share,
            )  # fmt: skip
    print_table(f"one thread, {in_words(machine)}", table, console)


def show_parts(results: list[dict[str, Any]], console: Console) -> None:
    """Where the time of a step goes."""
    table = make_table(["network"], PARTS)
    for result in results:
        counted = Operations(**result["operations"]["step"])
        rated = {"forward": counted.forward, "backward": counted.backward}
        parts = result["step"]["parts"]
        cells = [f"{parts[part]:.2f}" + (f" ({rated[part] / 1e6 / parts[part]:.0f})" if part in rated else "") for part in PARTS]
        table.add_row(result["network"], *cells)
    print_table("parts of a step: ms (GFLOP/s where operations are counted)", table, console)


def show_operators(result: dict[str, Any], what: str, console: Console) -> None:
    """The operators that take most."""
    table = make_table(["operator"], [f"calls a {what}", f"ms a {what}", "share [%]"])
    for operator in result["operators"][what]:
        table.add_row(operator["name"], f"{operator['calls']:.1f}", f"{operator['ms']:.3f}", f"{100 * operator['share']:.1f}")
    print_table(f"{result['network']}, {what}: operators by their own time, under torch.profiler", table, console)


def parse() -> argparse.Namespace:
    """The options."""
    parser = make_parser(__doc__)
    parser.add_argument("--networks", nargs="+", default=["net2", "net4", "wsn"], choices=RECIPES, help="default: net2 net4 wsn")
    parser.add_argument("--repeat", type=whole, default=15, help="turns, default: 15")
    add_data(parser)
    return parser.parse_args()


def main() -> None:
    """Run the benchmark."""
    options = parse()
    torch.set_num_threads(1)
    machine, console = describe_machine(), make_console()
    results = [measure(network, options.data, options.repeat) for network in options.networks]
    show_rates(results, machine, console)
    show_parts(results, console)
    for result in results:
        for what in ("step", "test"):
            show_operators(result, what, console)
    write(options.json, "limit", machine, results)


if __name__ == "__main__":
    run(main)
