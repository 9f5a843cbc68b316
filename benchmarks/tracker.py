"""What a tracker costs: rounds that are shown in it against the same without, by turns.

example:
  python -m benchmarks.tracker --trackers tensorboard mlflow --repeat 5

Processor time of runs of one round, whose folders are on this machine's disk: that of a run with the tracker over that of the one beside
it without, and how much of it the tracker's own calls take.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.checkpoints import turn
from benchmarks.common import add_data, configuration, make_console, make_parser, make_table, print_table, run, spread, whole, write
from benchmarks.machine import describe_machine, in_words
from digitcmp.config.schema import Config
from digitcmp.experiment.callbacks import Callback
from digitcmp.experiment.run import Run
from digitcmp.experiment.scheduler import train
from digitcmp.trackers.load import OURS, make_one

if TYPE_CHECKING:
    from digitcmp.train.results import RoundResult


class Timed(Callback):
    """A tracker, and the processor time of its calls (seconds)."""

    def __init__(self, tracker: Callback) -> None:
        self.tracker, self.seconds = tracker, 0.0

    def time(self, call: Callable[..., None], *about: Any) -> None:
        """Make a call."""
        begun = time.process_time()
        call(*about)
        self.seconds += time.process_time() - begun

    def on_run_begin(self, run: Run) -> None:
        self.time(self.tracker.on_run_begin, run)

    def on_round_end(self, run: Run, result: "RoundResult") -> None:
        self.time(self.tracker.on_round_end, run, result)

    def on_run_end(self, run: Run) -> None:
        self.time(self.tracker.on_run_end, run)

    def on_end(self) -> None:
        self.time(self.tracker.on_end)


def tracked(config: Config, name: str) -> tuple[float, float]:
    """Seconds of processor time of a run with a tracker, and of the tracker's calls."""
    with tempfile.TemporaryDirectory() as folder:
        options = {"uri": f"sqlite:///{folder}/mlflow.db"} if name == "mlflow" else {}
        timed, one = Timed(make_one(name, options)), Run(config, Path(folder, "run"), "")
        begun = time.process_time()
        train([one], [timed])
        return time.process_time() - begun, timed.seconds


def measure(config: Config, name: str, repeat: int) -> dict[str, list[float]]:
    """How many times as long runs with a tracker take, and its part of them (ms a round, per cent of the rest); a first turn warms up."""
    found: dict[str, list[float]] = {"without": [], "with / without": [], "ms": [], "per cent": []}
    tracked(replace(config, epochs=2), name)
    for number in range(repeat):
        before = turn(config, None)[1] if number % 2 else 0.0  # the first of two rounds may find another machine than the second
        with_, own = tracked(config, name)
        without = before or turn(config, None)[1]
        for key, value in zip(found, (without, with_ / without, 1000 * own, 100 * own / (with_ - own)), strict=True):
            found[key].append(value)
    return found


def main() -> None:
    """Run the benchmark."""
    parser = make_parser(__doc__)
    add_data(parser)
    parser.add_argument(
        "--trackers", nargs="+", default=["tensorboard"], choices=list(OURS), metavar="TRACKER", help="default: tensorboard"
    )
    parser.add_argument("--network", default="net2", help="default: net2")
    parser.add_argument("--epochs", type=whole, default=60, help="of a round, default: 60")
    parser.add_argument("--repeat", type=whole, default=5, help="default: 5")
    options = parser.parse_args()
    machine, console, results = describe_machine(), make_console(), list[dict[str, Any]]()
    table = make_table(["tracker"], ["s without", "with / without", "its calls, ms", "% of the rest"])
    config = configuration(options.network, options.data, f"epochs={options.epochs}", "engine=serial", "rounds=1", "device=cpu")
    for name in options.trackers:
        found = measure(config, name, options.repeat)
        results.append({"tracker": name, **found})
        cells = (spread(found["without"]), spread(found["with / without"], ".3f"), spread(found["ms"]), spread(found["per cent"]))
        table.add_row(name, *cells)
    print_table(f"a round of {options.network} of {options.epochs} epochs, processor time, {in_words(machine)}", table, console)
    write(options.json, "tracker", machine, results)


if __name__ == "__main__":
    run(main)
