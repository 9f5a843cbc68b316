"""What a search costs beyond training: milliseconds per trial, milliseconds per epoch that a pruner is told of, and memory.

python -m benchmarks.search --trials 1000 --samplers random tpe

Trials that do nothing but report two epochs, in a sqlite study with the median pruner; figures for the last tenth of them, when
the study is full. What a trial's run costs on disk is left out: `python -m benchmarks.store` has it. On a busy machine only
processor time says anything. A random draw costs nothing, so that what another sampler takes more than `random` is the sampler's
own.
"""

import os
import random
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import fmean
from typing import Any

import optuna
from hydra.core.utils import JobReturn, JobStatus
from rich.console import Console

from benchmarks.common import composed, make_console, make_parser, make_table, print_table, run, whole, write
from benchmarks.machine import describe_machine, in_words
from digitcmp.errors import Pruned
from digitcmp.experiment.callbacks import Callback, Callbacks
from digitcmp.experiment.run import Run
from digitcmp.plugins.launcher import DigitcmpLauncher
from digitcmp.plugins.runner import OnJobEnd
from digitcmp.search.algorithms import make_pruner, make_sampler
from digitcmp.search.config import Median, Samplers, SearchConfig
from digitcmp.search.grammar import make_space
from digitcmp.search.loop import Search
from digitcmp.search.spec import SearchSpec
from digitcmp.search.storage import open_storage
from digitcmp.search.study import SharedStudy, open_study
from digitcmp.train.results import EpochRow, RoundResult, RoundRow

EPOCHS = 2
Times = tuple[float, ...]
PARAMS = {
    "optimizer": "choice(sgd,adam)",
    "optimizer.lr": "tag(log,interval(0.001,1))",
    "optimizer.momentum": {"when": "optimizer=sgd", "space": "interval(0,0.95)"},
    "aux_weight": "interval(0,2)",
    "model.dropout": "interval(0,0.5)",
}


class Idle(DigitcmpLauncher):
    """A launcher whose jobs train nothing. Notes when each trial began, how long its records took, and how long telling of its epochs."""

    def __init__(self, spec: SearchSpec) -> None:
        self.spec, self.memory = spec, list[float]()
        self.starts, self.recording, self.telling = list[Times](), list[Times](), list[Times]()

    def stream(self, jobs: Iterable[tuple[int, Sequence[str]]], callbacks: Sequence[Callback], on_job_end: OnJobEnd, rounds: int) -> None:
        del rounds
        chance, callback = random.Random(0), Callbacks(callbacks)
        for number, _ in jobs:
            self.starts.append(start := times())
            self.memory.append(resident())
            accuracy = chance.random()
            run = self.record(number, accuracy)
            self.recording.append(since(start))
            start = times()
            for epoch in range(1, EPOCHS + 1):
                with suppress(Pruned):  # every trial takes the same way to its end
                    callback.on_epoch(run, EpochRow(0, epoch, 1.0, 0.5, None, None, accuracy, 0.0))
            self.telling.append(since(start))
            on_job_end(number, JobReturn(status=JobStatus.COMPLETED, _return_value=accuracy))

    def record(self, number: int, accuracy: float) -> Run:
        """A trial's run with its round on record, where the search looks for it at the end of the trial."""
        run = Run(self.spec.base, self.spec.folder / self.spec.trial_folder(number), "")
        run.begin("serial", 1, "cpu")
        row = RoundRow(0, "done", EPOCHS, 1.0, 0.5, None, None, accuracy, 1, accuracy, None, 0.0, "")
        run.store.add(RoundResult(row))
        return run


def times() -> Times:
    """Seconds that have passed, and seconds of processor time that this process has had."""
    return time.perf_counter(), time.process_time()


def since(start: Times) -> Times:
    """What has passed of both since then."""
    return tuple(now - then for now, then in zip(times(), start, strict=True))


def resident() -> float:
    """Megabytes of memory that this process has at the moment (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure(sampler: str, trials: int, folder: Path) -> dict[str, float]:
    """The figures of one search."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    base = composed(f"epochs={EPOCHS}", "data.val_pairs=200", "test=false")
    settings = SearchConfig(n_trials=trials, sampler=sampler)
    settings.pruners.median = Median(warmup=0, n_startup_trials=1)
    space = make_space(PARAMS, [])
    spec = SearchSpec(settings, space, space.complete({}), base, folder)
    with open_storage(f"sqlite:///{folder}/study.db") as storage:
        pruner = make_pruner(settings, EPOCHS)
        study = open_study(storage, "study", settings, spec.identity(), make_sampler(settings, 0), pruner)
        shared, launcher = SharedStudy(storage, study, settings), Idle(spec)
        with shared.join(), Path("/dev/null").open("w") as nowhere:
            Search(spec, shared, launcher, Console(file=nowhere)).run()
    return figures(launcher, trials)


def figures(launcher: Idle, trials: int) -> dict[str, float]:
    """Means over the last tenth of the trials."""
    last = trials // 10
    found = {}
    for place, kind in enumerate(("wall", "CPU")):
        whole = 1000 * (launcher.starts[-1][place] - launcher.starts[-1 - last][place]) / last
        recording, telling = (
            1000 * fmean(spent[place] for spent in noted[-1 - last : -1]) for noted in (launcher.recording, launcher.telling)
        )
        found[f"per trial, {kind} ms"] = whole - recording - telling
        found[f"per epoch told, {kind} ms"] = telling / EPOCHS
    return {
        **found,
        "memory after a tenth, MB": launcher.memory[last],
        "memory at the end, MB": launcher.memory[-1],
    }


def show(found: dict[str, dict[str, float]], machine: dict[str, Any], console: Console) -> None:
    """Print the table."""
    table = make_table(["sampler"], list(next(iter(found.values()))))
    for sampler, values in found.items():
        table.add_row(sampler, *(f"{value:.1f}" for value in values.values()))
    print_table(f"search, {in_words(machine)}", table, console)


def main() -> None:
    """Run the benchmark."""
    parser = make_parser(__doc__)
    parser.add_argument("--trials", type=whole, default=1000, help="default: 1000")
    parser.add_argument("--samplers", nargs="+", choices=list(vars(Samplers())), default=["random", "tpe"], help="default: random tpe")
    given = parser.parse_args()
    found = {}
    for sampler in given.samplers:
        with tempfile.TemporaryDirectory() as folder:
            found[sampler] = measure(sampler, given.trials, Path(folder))
    machine = describe_machine()
    show(found, machine, make_console())
    write(given.json, "search", machine, found)


if __name__ == "__main__":
    run(main)
