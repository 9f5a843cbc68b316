"""What tests share that look at runs: training one without a word, reading its records, writing and changing them without training."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from safetensors.torch import load
from torch import Tensor

from digitcmp.config.identity import configuration_hash
from digitcmp.config.schema import Config
from digitcmp.experiment.callbacks import Callback
from digitcmp.experiment.executors.server import servers
from digitcmp.experiment.records import Record, parse
from digitcmp.experiment.run import Run
from digitcmp.experiment.scheduler import train
from digitcmp.experiment.store import Store, read_run_records
from digitcmp.train.results import DistanceRow, EpochRow, RoundResult, RoundRow
from tests.conftest import choices, compose_config, needs_aux

EPOCH = EpochRow(0, 1, 0.5, 0.75, 0.5, None, None, 0.25)
ROUND = RoundRow(0, "done", 1, 0.5, 0.75, 0.5, None, None, 1, 0.5, 0.55, 0.3, "")
AUXILIARY = ("auxmodel", "auxmodel1", "wsn", "net4")  # are trained with an auxiliary loss though they need none
COURSE = ("data=digits", "batch_size=20", "epochs=1", "data.train_pairs=50", "data.val_pairs=10", "data.test_pairs=40")
ABOUT: dict[str, Any] = {"parameters": 1, "seeds": [0, 1, 2], "engine": "serial", "device": "cpu"}


def network(name: str, *overrides: str) -> Config:
    """The configuration of a network, with an auxiliary loss where it is trained with one."""
    return compose_config(f"model={name}", f"aux_weight={int(needs_aux(name) or name in AUXILIARY)}", *overrides)


def course(*overrides: str) -> dict[str, Config]:
    """The configurations of the course's recipes, made tiny, with the options that each has: validation, losses, schedules, heads."""
    return {name: compose_config(f"+experiment=course/{name}", *COURSE, *overrides) for name in choices("experiment/course")}


def train_run(config: Config, directory: Path, *callbacks: Callback) -> Run:
    """Train a run; only the callbacks hear of it."""
    run = Run(config, directory, "test")
    train([run], callbacks)
    return run


def workers() -> list[int]:
    """The worker processes of this process: the children of its server."""
    server = servers.server
    return children(server.process.pid) if server and server.alive else []


def children(process: int) -> list[int]:
    """The numbers of a process's children; none where it has ended."""
    try:
        return [int(number) for number in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []


def records_of(directory: Path) -> list[Record]:
    """What a run has on record, in the order of the seeds."""
    return list(read_run_records(directory).rounds.values())


def epochs_of(directory: Path) -> list[EpochRow]:
    """The epochs of all its rounds."""
    return [row for record in records_of(directory) for row in record.epochs]


def distances_of(directory: Path) -> list[DistanceRow]:
    """The distances of all its rounds."""
    return [row for record in records_of(directory) for row in record.distances]


def seeds_of(directory: Path) -> list[int]:
    """The seeds on record."""
    return [record.row.seed for record in records_of(directory)]


def status_of(directory: Path) -> str:
    """What run.json says."""
    return str(json.loads((directory / "run.json").read_text())["status"])


def write_run(
    directory: Path, results: Iterable[RoundResult], about: dict[str, Any] | None = None, configuration: dict[str, Any] | None = None
) -> Store:
    """A run's folder with these rounds on record, as a process leaves it. about: what run.json says, beside `ABOUT`."""
    store = Store(directory, configuration or {})
    store.begin({**ABOUT, **(about or {})})
    for result in results:
        store.add(result)
    store.end()
    return store


def change_records(directory: Path, change: Callable[[RoundResult], RoundResult | None]) -> None:
    """Put other rounds on record instead of those that are there; None takes one away. As if they had been trained so."""
    changed = [change(RoundResult(record.row, record.epochs, record.distances)) for record in records_of(directory)]
    about = json.loads((directory / "run.json").read_text())
    for path in logs_of(directory):
        path.unlink()
    store = Store(directory, about["configuration"])
    for result in changed:
        if result is not None:
            store.add(result)
    store.write_views()


def change_configuration(directory: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """As if another configuration had given these rounds: run.json and the records say so, each with the hash that it then has."""
    results = [RoundResult(record.row, record.epochs, record.distances) for record in records_of(directory)]
    about = json.loads((directory / "run.json").read_text())
    change(about["configuration"])
    about["configuration_hash"] = configuration_hash(about["configuration"])
    (directory / "run.json").write_text(json.dumps(about))
    for path in logs_of(directory):
        path.unlink()
    store = Store(directory, about["configuration"])
    for result in results:
        store.add(result)
    store.write_views()


def logs_of(directory: Path) -> list[Path]:
    """The logs of a run."""
    return sorted((directory / "records").glob("*.jsonl"))


def lines_of(directory: Path) -> list[bytes]:
    """The lines of its only log."""
    (path,) = logs_of(directory)
    return path.read_bytes().splitlines(keepends=True)


def parsed(data: bytes) -> tuple[list[Record], list[str]]:
    """The records in these bytes, and what is said of the rest."""
    records, damaged, _ = parse(data, "a.jsonl")
    return records, damaged


def without_seconds(path: Path) -> list[str]:
    """The lines of a CSV file without the `seconds` column."""
    lines = path.read_text().splitlines()
    column = lines[0].split(",").index("seconds") if "seconds" in lines[0] else -1
    return [",".join(cell for number, cell in enumerate(line.split(",")) if number != column) for line in lines]


def state_of(result: RoundResult | None) -> dict[str, Tensor]:
    """The trained state of a round that kept its network."""
    assert result is not None
    assert result.network is not None
    return load(result.network)
