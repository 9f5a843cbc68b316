"""The boundary of rounds=auto, by simulation: how far from zero a difference strays, looked at again and again, when there is none.

python -m benchmarks.boundary --walks 40000000 --table digitcmp/auto/pocock.csv     what made the table in the package

A comparison without a difference is a random walk: its standardised sum over the first k of equal batches of rounds is normal, and that
of two looks i < j correlates by the square root of i / j. Pocock's boundary for J looks (Pocock 1977; Jennison and Turnbull 1999, section
2.4) is the value that the largest of the first J exceeds in a share alpha of all walks. Walks of 100 looks give it for every J at once.
The table has a row for each J and a column for each alpha, which is auto.level shared out among the comparisons. A share is known to
within 2 / sqrt(alpha * walks) of itself (95 %): 3 % at the smallest of 40 million.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import make_console, make_parser, make_table, print_table, run, whole, write
from benchmarks.machine import describe_machine, in_words
from digitcmp.auto.boundary import ALPHAS
from digitcmp.config.schema import MOST_LOOKS

STEP, HIGHEST = 0.001, 8.0  # of the histograms of largest values
BINS = int(HIGHEST / STEP)
CHUNK = 20_000  # walks at a time
SHOWN = (1, 2, 3, 5, 10, 20, 100)  # looks
Counts = np.ndarray[tuple[int, int], np.dtype[np.int64]]


def count(walks: int, seed: int) -> Counts:
    """How often the largest of the first J looks lies in each bin: [looks, bins]."""
    generator, found = np.random.default_rng(seed), np.zeros((MOST_LOOKS, BINS), dtype="int64")
    scale = np.sqrt(np.arange(1, MOST_LOOKS + 1, dtype="float32"))[:, None]
    for begin in range(0, walks, CHUNK):
        steps = generator.standard_normal((MOST_LOOKS, min(CHUNK, walks - begin)), dtype="float32")
        largest = np.maximum.accumulate(np.abs(np.cumsum(steps, axis=0, out=steps)) / scale, axis=0)
        places = np.minimum((largest / STEP).astype("int64"), BINS - 1)
        for look in range(MOST_LOOKS):
            found[look] += np.bincount(places[look], minlength=BINS)
    return found


def boundaries(counts: Counts) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    """The values that shares ALPHAS of the walks exceed, linear within a bin: [looks, alphas]."""
    edges = np.arange(BINS + 1) * STEP
    below = np.pad(np.cumsum(counts, axis=1), ((0, 0), (1, 0))) / counts.sum(axis=1, keepdims=True)
    return np.array([np.interp(1 - np.array(ALPHAS), shares, edges) for shares in below])


def to_csv(found: "np.ndarray[Any, np.dtype[np.float64]]") -> str:
    """The table as the package has it."""
    head = ",".join(["looks", *(f"{alpha:g}" for alpha in ALPHAS)])
    rows = [",".join([str(look), *(f"{value:.4f}" for value in values)]) for look, values in enumerate(found.tolist(), 1)]
    return "\n".join([head, *rows, ""])


def parse() -> argparse.Namespace:
    """The options."""
    parser = make_parser(__doc__)
    parser.add_argument("--walks", type=whole, default=1_000_000, help="default: 1000000")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the table to this file")
    return parser.parse_args()


def main() -> None:
    """Run the benchmark."""
    options, start = parse(), time.perf_counter()
    machine, console = describe_machine(), make_console()
    found = boundaries(count(options.walks, options.seed))
    table = make_table(["looks"], [f"{alpha:g}" for alpha in ALPHAS])
    for look in SHOWN:
        table.add_row(str(look), *(f"{value:.3f}" for value in found[look - 1].tolist()))
    seconds = time.perf_counter() - start
    print_table(f"boundary by looks and alpha; {options.walks} walks in {seconds:.0f} s; {in_words(machine)}", table, console)
    if options.table:
        options.table.write_text(to_csv(found))
    write(options.json, "boundary", machine, {f"{alpha:g}": column for alpha, column in zip(ALPHAS, found.T.tolist(), strict=True)})


if __name__ == "__main__":
    run(main)
