"""How long runs take to be seen from outside: made-up folders of runs, listed and asked how far they are, each in a process of its own.

python -m benchmarks.outside                                   5,000 runs of one round, and a sweep of 400 runs of ten

What a command takes is what its process has used of a processor, and the time on the clock, with the start of Python (`python -c pass`)
for comparison, each the median of some repetitions; and the most memory that it had.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.common import composed, make_console, make_parser, make_table, print_table, run, whole, write
from benchmarks.machine import describe_machine, in_words
from benchmarks.store import made_up
from digitcmp.config.identity import configuration, configuration_hash
from digitcmp.experiment.records import to_record

NETWORKS = ("net1", "net2", "wosn", "wsn")
ENVIRONMENT = {**os.environ, "COLUMNS": "80"}
TARGETS = {"list_s": 3.0, "list_mib": 300.0, "status_s": 0.5}


def make_runs(folder: Path, runs: int, rounds: int, epochs: int) -> None:
    """Folders of finished runs, each of another configuration."""
    known = {name: configuration(composed(f"model={name}", f"epochs={epochs}")) for name in NETWORKS}
    for number in range(runs):
        values = {**known[NETWORKS[number % len(NETWORKS)]], "aux_weight": number / runs}
        name, directory = configuration_hash(values), folder / str(number)
        (directory / "records").mkdir(parents=True)
        about = {"configuration": values, "configuration_hash": name, "parameters": 1, "seeds": list(range(rounds)), "jobs": [[1, number]]}
        about |= {"status": "done", "started": "2026-01-01T00:00:00+00:00", "engine": "processes", "device": "cpu", "tags": []}
        (directory / "run.json").write_text(json.dumps(about, indent=2))
        lines = [to_record(made_up(seed, epochs, None), name, "2026-01-01", "a.jsonl")[1] for seed in range(rounds)]
        (directory / "records" / "a.jsonl").write_bytes(b"".join(lines))


def seconds(command: list[str], repeat: int) -> tuple[float, float]:
    """Of a command: on the clock, of a processor (medians)."""
    clock, used = [], []
    for _ in range(repeat):
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL, env=ENVIRONMENT)
        clock.append(time.perf_counter() - begun)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return median(clock), median(used)


def memory(command: list[str]) -> float:
    """The most memory that a command has, MiB. A small process asks for it: to Linux, a child has had the memory of who started it."""
    ask = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
    ask += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    done = subprocess.run([sys.executable, "-c", ask, sys.executable, *command], check=True, capture_output=True, env=ENVIRONMENT)
    return int(done.stdout) / 1024


def measure(runs: int, sweep: int, rounds: int, epochs: int, repeat: int) -> dict[str, float]:
    """All of it."""
    with TemporaryDirectory() as name:
        make_runs(Path(name, "runs"), runs, 1, epochs)
        make_runs(Path(name, "sweep"), sweep, rounds, epochs)
        start, start_used = seconds(["-c", "pass"], repeat)
        status, status_used = seconds(["-m", "digitcmp.runs", "status", f"{name}/sweep"], repeat)
        listed, listed_used = seconds(listing := ["-m", "digitcmp.runs", "ls", f"{name}/runs"], repeat)
        most = memory(listing)
    return {
        "start_s": start, "start_used_s": start_used, "status_s": status - start, "status_used_s": status_used - start_used,
        "list_s": listed, "list_used_s": listed_used, "list_mib": most,
    }  # fmt: skip


def parse() -> argparse.Namespace:
    """The options."""
    parser = make_parser(__doc__)
    parser.add_argument("--runs", type=whole, default=5000, help="that are listed, default: 5000")
    parser.add_argument("--sweep", type=whole, default=400, help="runs of the sweep, default: 400")
    parser.add_argument("--rounds", type=whole, default=10, help="of each of them, default: 10")
    parser.add_argument("--epochs", type=whole, default=60, help="of each round, default: 60")
    parser.add_argument("--repeat", type=whole, default=3, help="how often each is measured, default: 3")
    return parser.parse_args()


def main() -> None:
    """Run the benchmark."""
    options = parse()
    machine, console = describe_machine(), make_console()
    found = measure(options.runs, options.sweep, options.rounds, options.epochs, options.repeat)
    table = make_table([""], ["on the clock", "of a processor", "target"])
    table.add_row("start of Python", f"{found['start_s']:.2f} s", f"{found['start_used_s']:.2f} s", "")
    status = f"status, {options.sweep} runs of {options.rounds} rounds, beyond the start"
    table.add_row(status, f"{found['status_s']:.2f} s", f"{found['status_used_s']:.2f} s", f"{TARGETS['status_s']} s")
    table.add_row(f"ls, {options.runs} runs", f"{found['list_s']:.2f} s", f"{found['list_used_s']:.2f} s", f"{TARGETS['list_s']} s")
    table.add_row("ls, memory", f"{found['list_mib']:.0f} MiB", "", f"{TARGETS['list_mib']:.0f} MiB")
    print_table(in_words(machine), table, console)
    write(options.json, "outside", machine, found)


if __name__ == "__main__":
    run(main)
