"""What it costs to keep rounds on record, without training any: made-up results are added to a run, which is then resumed.

python -m benchmarks.store                                    10,000 rounds of 60 epochs
python -m benchmarks.store --rounds 100 --networks 861688     each with a network of so many bytes: `best` with save_model=true

An add is all that a finished round costs: its network, its line in the log, and its claim given back. Views are rewritten by the
clock, which is taken to go on by --pace seconds from round to round; nothing waits. Bytes written are those that Linux counts for
the process: logs, networks, run.json, and views as often as they were written. A resume is timed with everything imported, until
the run has claimed its first missing round. An add waits until the disk has its line; how long that takes by itself is measured right
before and right after. TMPDIR says which disk; one in memory (/dev/shm) shows the program alone.
"""

import argparse
import os
import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from rich.console import Console

from benchmarks.common import composed, make_console, make_parser, make_table, print_table, run, whole, write
from benchmarks.machine import describe_machine, in_words
from digitcmp.config.schema import Config
from digitcmp.experiment.run import Run
from digitcmp.train.results import DistanceRow, EpochRow, RoundResult, RoundRow

ENDS = 100  # adds at the beginning and at the end of which a median is shown
PAIRS = 1000
LINE = b"." * 3500  # as long as that of a round of 60 epochs
TARGETS = {"last_ms": 3, "ratio": 1.5, "bytes_ratio": 3, "resume_s": 2}
NETWORK_MS = 20  # of an add with a network


def made_up(seed: int, epochs: int, network: bytes | None) -> RoundResult:
    """A result with numbers like those of a real round: losses and seconds have all digits, accuracies those of `PAIRS` pairs."""
    chance = random.Random(seed)

    def accuracy() -> float:
        return chance.randrange(PAIRS) / PAIRS

    rows = [
        EpochRow(seed, epoch, chance.random(), accuracy(), accuracy(), accuracy(), None, chance.random()) for epoch in range(1, epochs + 1)
    ]
    distances = [DistanceRow(seed, distance, 100, chance.randrange(100)) for distance in range(10)]
    last = rows[-1]
    row = RoundRow(
        seed, "done", epochs, last.train_loss, last.train_accuracy, last.test_accuracy, last.digit_accuracy, None, epochs,
        last.test_accuracy, accuracy(), 60 * last.seconds, "",
    )  # fmt: skip
    return RoundResult(row, rows, distances, network)


def measure(config: Config, directory: Path, network: bytes | None, pace: float) -> dict[str, float]:
    """Add all rounds of a configuration to a run in this folder, end the run, and resume it with one round more."""
    first_disk = disk(directory.parent)
    before, claims, adds = bytes_written(), list[float](), list[float]()
    run = Run(config, directory, "python -m benchmarks.store")
    run.begin("serial", 1, "cpu")
    while run.missing:
        result = made_up(run.missing.popleft(), config.epochs, network)
        claims.append(seconds(run.claim, result.row.seed))
        adds.append(seconds(run.record, result))
        run.store.next_view -= pace
    end = seconds(run.end)
    written, kept = bytes_written() - before, sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    first, last = 1000 * median(adds[:ENDS]), 1000 * median(adds[-ENDS:])
    return {
        "first_disk_ms": first_disk,
        "last_disk_ms": disk(directory.parent),
        "first_ms": first,
        "last_ms": last,
        "ratio": last / first,
        "longest_ms": 1000 * max(adds),
        "claim_ms": 1000 * median(claims[-ENDS:]),
        "written_mb": written / 1e6,
        "kept_mb": kept / 1e6,
        "bytes_ratio": written / kept,
        "end_s": end,
        "resume_s": seconds(resume, replace(config, rounds=len(config.seeds) + 1), directory),
    }


def disk(folder: Path) -> float:
    """Median milliseconds in which a line by itself is on disk, as of now: the reference of an add."""
    with (folder / "reference").open("ab", buffering=0) as file:

        def append() -> None:
            file.write(LINE)
            os.fsync(file)

        return 1000 * median(seconds(append) for _ in range(ENDS))


def resume(config: Config, directory: Path) -> None:
    """Go on with a run that lacks one round."""
    run = Run(config, directory, "python -m benchmarks.store")
    run.begin("serial", 1, "cpu")
    (missing,) = run.missing
    assert run.claim(missing)
    run.stop(missing)


def seconds(work: Callable[..., object], *given: object) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    work(*given)
    return time.perf_counter() - start


def bytes_written() -> int:
    """All that this process has written so far (Linux)."""
    return int(next(line.split()[1] for line in Path("/proc/self/io").read_text().splitlines() if line.startswith("wchar")))


def show(found: dict[str, float], targets: dict[str, float], title: str, console: Console) -> None:
    """Print the table."""
    names = {
        "first_disk_ms": "a line on this disk by itself, before, ms",
        "last_disk_ms": "a line on this disk by itself, after, ms",
        "first_ms": f"an add, median of the first {ENDS}, ms",
        "last_ms": f"an add, median of the last {ENDS}, ms",
        "ratio": "last / first",
        "longest_ms": "the longest add, ms",
        "claim_ms": f"a claim, median of the last {ENDS}, ms",
        "written_mb": "written, MB",
        "kept_mb": "that stay, MB",
        "bytes_ratio": "written / that stay",
        "end_s": "the end, with the views, s",
        "resume_s": "a resume, until a missing round is claimed, s",
    }
    table = make_table(["what"], ["measured", "at most"])
    for key, name in names.items():
        table.add_row(name, f"{found[key]:.2f}", f"{targets[key]:g}" if key in targets else "")
    print_table(title, table, console)


def parse() -> argparse.Namespace:
    """The options."""
    parser = make_parser(__doc__)
    parser.add_argument("--rounds", type=whole, default=10_000, help="default: 10000")
    parser.add_argument("--epochs", type=whole, default=60, help="of each round, default: 60")
    parser.add_argument("--networks", type=whole, metavar="BYTES", help="add a network of so many bytes to each round; default: none")
    parser.add_argument("--pace", type=float, default=2.0, metavar="SECONDS", help="of a round, default: 2, as of net2 on two cores")
    return parser.parse_args()


def main() -> None:
    """Run the benchmark."""
    options = parse()
    machine, console = describe_machine(), make_console()
    network = None if options.networks is None else random.Random(0).randbytes(options.networks)
    config = composed(f"rounds={options.rounds}", f"epochs={options.epochs}", f"save_model={network is not None}")
    with TemporaryDirectory() as folder:
        found = measure(config, Path(folder) / "run", network, options.pace)
    networks = "" if network is None else f", each with a network of {len(network)} bytes"
    targets = TARGETS if network is None else {**TARGETS, "last_ms": NETWORK_MS}
    show(found, targets, f"{options.rounds} rounds of {options.epochs} epochs{networks}; {in_words(machine)}", console)
    write(options.json, "store", machine, found)


if __name__ == "__main__":
    run(main)
