"""What a search costs beyond training: milliseconds per trial, milliseconds per epoch that a pruner is told of, and memory.

python -m benchmarks.search --trials 1000 --samplers random tpe

Trials that do nothing but report two epochs, in a sqlite study with the median pruner; figures for the last tenth of them, when
the study is full. On a busy machine only processor time says anything. A random draw costs nothing, so that what another
sampler takes more than `random` is the sampler's own.
"""

import argparse
import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import optuna
from hydra import compose, initialize_config_dir
from hydra.core.utils import JobReturn, JobStatus
from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe_machine
from digitcmp import cli
from digitcmp.config.composed import from_composed
from digitcmp.plugins.launcher import DigitcmpLauncher, Returns
from digitcmp.search.config import Median, Samplers, SearchConfig
from digitcmp.search.grammar import make_space
from digitcmp.search.samplers import make_pruner, make_sampler
from digitcmp.search.search import Search
from digitcmp.search.spec import SearchSpec
from digitcmp.search.storage import open_storage
from digitcmp.search.study import SharedStudy, open_study
from digitcmp.train.results import EpochRow

EPOCHS = 2
Times = tuple[float, ...]
HEADER = "seed,status,epochs,train_loss,train_accuracy,test_accuracy,digit_accuracy,val_accuracy,best_epoch,best_accuracy,"
ROUND = f"{HEADER}majority_accuracy,seconds,error\n0,done,{EPOCHS},1,0.5,,,0.5,1,0.5,,0,\n"
PARAMS = {
    "optimizer": "choice(sgd,adam)",
    "optimizer.lr": "tag(log,interval(0.001,1))",
    "optimizer.momentum": {"when": "optimizer=sgd", "space": "interval(0,0.95)"},
    "aux_weight": "interval(0,2)",
    "model.dropout": "interval(0,0.5)",
}


class Idle(DigitcmpLauncher):
    """A launcher whose jobs train nothing. Notes when each trial began, and how long telling of epochs took."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.starts, self.telling, self.memory = folder, list[Times](), list[Times](), list[float]()

    def stream(
        self, jobs: Iterable[tuple[int, Sequence[str]]], watcher: Callable[[int, EpochRow], bool] | None = None, rounds: int | None = None
    ) -> Returns:
        del rounds
        assert watcher is not None
        chance = random.Random(0)
        for number, _ in jobs:
            self.starts.append(start := times())
            self.memory.append(resident())
            accuracy = chance.random()
            for epoch in range(1, EPOCHS + 1):
                watcher(number, EpochRow(0, epoch, 1.0, 0.5, None, None, accuracy, 0.0))
            self.telling.append(tuple(now - then for now, then in zip(times(), start, strict=True)))
            (self.folder / f"trial_{number:04d}").mkdir()
            (self.folder / f"trial_{number:04d}" / "rounds.csv").write_text(ROUND)
            yield number, JobReturn(status=JobStatus.COMPLETED, _return_value=accuracy)


def times() -> Times:
    """Seconds that have passed, and seconds of processor time that this process has had."""
    return time.perf_counter(), time.process_time()


def resident() -> float:
    """Megabytes of memory that this process has at the moment (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure(sampler: str, trials: int, folder: Path) -> dict[str, float]:
    """The figures of one search."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    cli.register()
    with initialize_config_dir(str(cli.find("conf"))):
        base = from_composed(compose("config", overrides=[f"epochs={EPOCHS}", "data.val_pairs=200", "test=false"]))
    settings = SearchConfig(n_trials=trials, sampler=sampler)
    # nothing is pruned, so that every trial takes the same way; the median is worked out all the same
    settings.pruners.median = Median(warmup=0, n_startup_trials=1)
    space = make_space(PARAMS, [])
    spec = SearchSpec(settings, space, space.complete({}), base, folder)
    with open_storage(f"sqlite:///{folder}/study.db") as storage:
        pruner = make_pruner(settings.chosen_pruner, EPOCHS)
        study = open_study(storage, "study", settings, spec.identity(), make_sampler(settings.chosen_sampler, 0), pruner)
        shared, launcher = SharedStudy(storage, study, settings), Idle(folder)
        with shared.join(), Path("/dev/null").open("w") as nowhere:
            Search(spec, shared, launcher, Console(file=nowhere)).run()
    return figures(launcher, trials)


def figures(launcher: Idle, trials: int) -> dict[str, float]:
    """Means over the last tenth of the trials."""
    last = trials // 10
    found = {}
    for place, kind in enumerate(("wall", "CPU")):
        whole = 1000 * (launcher.starts[-1][place] - launcher.starts[-1 - last][place]) / last
        telling = 1000 * fmean(spent[place] for spent in launcher.telling[-1 - last : -1])
        found[f"per trial, {kind} ms"] = whole - telling
        found[f"per epoch told, {kind} ms"] = telling / EPOCHS
    return {
        **found,
        "memory after a tenth, MB": launcher.memory[last],
        "memory at the end, MB": launcher.memory[-1],
    }


def show(found: dict[str, dict[str, float]], machine: dict[str, Any], console: Console) -> None:
    """Print the table."""
    table = Table(title=f"search, {machine['processor']}, {machine['cores']} cores", title_justify="left")
    table.add_column("sampler")
    for name in next(iter(found.values())):
        table.add_column(name, justify="right")
    for sampler, values in found.items():
        table.add_row(sampler, *(f"{value:.1f}" for value in values.values()))
    console.print(table)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000, help="default: 1000")
    parser.add_argument("--samplers", nargs="+", choices=list(vars(Samplers())), default=["random", "tpe"], help="default: random tpe")
    parser.add_argument("--json", type=Path, help="write the measurements to this file")
    given = parser.parse_args()
    found = {}
    for sampler in given.samplers:
        with tempfile.TemporaryDirectory() as folder:
            found[sampler] = measure(sampler, given.trials, Path(folder))
    machine = describe_machine()
    show(found, machine, Console())
    if given.json:
        given.json.write_text(json.dumps({"machine": machine, "results": found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
