"""What a sweep costs beyond training: per job, against Hydra's basic launcher with an empty job.

python -m benchmarks.overhead --jobs 5 45 --repeat 3

Each launcher runs a sweep of few and a sweep of many jobs; the slope is the time per job, start-up excluded. From the
slope of the training sweeps the time that their rounds took (column `seconds` of rounds.csv) is taken away. The report is
left out (report=false). Also: the time until --help and until a configuration error are on the screen, and what it takes
to import the command line and torch, each in a fresh process.
"""

import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean, median
from typing import Any

from rich.console import Console

from benchmarks.common import make_console, make_parser, make_table, print_table, run, whole, write
from benchmarks.machine import describe_machine, in_words

OURS = [sys.executable, "-m", "digitcmp"]
EMPTY = [sys.executable, "-m", "benchmarks.empty_job"]
TINY = ["epochs=1", "data.train_pairs=100", "data.test_pairs=100", "engine=serial", "report=false"]
ROOT = Path(__file__).resolve().parents[1]


def timed(command: list[str]) -> float:
    """Wall seconds of a command, which may fail."""
    start = time.perf_counter()
    subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    return time.perf_counter() - start


def sweep(command: list[str], jobs: int, folder: Path) -> tuple[float, float]:
    """Wall seconds of a sweep over this many seeds, and the seconds that its rounds took."""
    directory = folder / f"{len(list(folder.iterdir()))}"
    wall = timed([*command, "--multirun", f"seed=range({jobs})", f"hydra.sweep.dir={directory}"])
    rows = [row for path in directory.glob("*/rounds.csv") for row in csv.DictReader(path.open())]
    return wall, sum(float(row["seconds"]) for row in rows)


def per_job(command: list[str], few: int, many: int, folder: Path) -> float:
    """Milliseconds per job beyond training."""
    (wall_few, rounds_few), (wall_many, rounds_many) = (sweep(command, jobs, folder) for jobs in (few, many))
    return 1000 * ((wall_many - rounds_many) - (wall_few - rounds_few)) / (many - few)


def measure(few: int, many: int, repeat: int, folder: Path) -> dict[str, list[float]]:
    """All measurements, in turn."""
    commands = {
        "basic launcher, empty job, ms per job": [*EMPTY, "hydra/launcher=basic"],
        "basic launcher, training, ms per job": [*OURS, *TINY, "hydra/launcher=basic"],
        "digitcmp launcher, training, ms per job": [*OURS, *TINY],
    }
    found: dict[str, list[float]] = {name: [] for name in commands}
    python = [sys.executable, "-c"]
    answers = {
        "--help, ms": [*OURS, "--help"],
        "configuration error, ms": [*OURS, "aux_weight=-1"],
        "python alone, ms": [*python, ""],
        "import digitcmp.cli, ms": [*python, "import digitcmp.cli"],
        "import digitcmp.train.round (with torch), ms": [*python, "import digitcmp.train.round"],
        "import digitcmp.report.build, ms": [*python, "import digitcmp.report.build"],
    }
    for _ in range(repeat):
        for name, command in commands.items():
            found[name].append(per_job(command, few, many, folder))
        for name, command in answers.items():
            found.setdefault(name, []).append(1000 * timed(command))
    return found


def show(found: dict[str, list[float]], machine: dict[str, Any], console: Console) -> None:
    """Print the table."""
    table = make_table(["what"], ["median", "mean", "min", "max"])
    for name, values in found.items():
        table.add_row(name, *(f"{value:.0f}" for value in (median(values), mean(values), min(values), max(values))))
    print_table(f"overhead, {in_words(machine)}", table, console)


def main() -> None:
    """Run the benchmark."""
    parser = make_parser(__doc__)
    parser.add_argument("--jobs", type=whole, nargs=2, default=[5, 45], metavar=("FEW", "MANY"), help="default: 5 45")
    parser.add_argument("--repeat", type=whole, default=3, help="default: 3")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        few, many = options.jobs
        found = measure(few, many, options.repeat, Path(folder))
    machine = describe_machine()
    show(found, machine, make_console())
    write(options.json, "overhead", machine, found)


if __name__ == "__main__":
    run(main)
