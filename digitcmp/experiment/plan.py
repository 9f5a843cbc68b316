"""What would be trained, and about how long it would take: dry_run=true."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from digitcmp.config.identity import completed, configuration, configuration_hash, differences
from digitcmp.config.schema import Config
from digitcmp.errors import RunError
from digitcmp.train.results import RoundRow, read_rows


@dataclass(frozen=True)
class Standing:
    """How a run stands: seeds by state, and the seconds that its finished rounds took."""

    name: str
    finished: int
    failed: int
    missing: int
    seconds: list[float]
    unsaved: int = 0  # finished without keeping the network that is asked for now


def standing(config: Config, directory: Path) -> Standing:
    """How the run of this configuration in this directory stands. Raises RunError when the directory holds another one."""
    from digitcmp.experiment.store import read_about

    if (directory / "run.json").exists():
        before, now = completed(read_about(directory)["configuration"]), configuration(config)
        if configuration_hash(before) != configuration_hash(now):
            difference = differences(before, now)
            raise RunError(f"{directory} holds a run of another configuration ({difference}); choose another folder, or delete it")
    rows = [row for row in read_rows(RoundRow, directory / "rounds.csv") if row.seed in set(config.seeds)]
    done, failed = ([row for row in rows if row.status == status] for status in ("done", "failed"))
    again = len(failed) if config.retry_failed else 0
    seconds, missing = [row.seconds for row in done], len(config.seeds) - len(rows) + again
    unsaved = len({row.seed for row in done} - saved_seeds(directory)) if config.save_model else 0
    return Standing(directory.name, len(done), len(failed), missing, seconds, unsaved)


def saved_seeds(directory: Path) -> set[int]:
    """The seeds whose trained networks are kept."""
    from safetensors import safe_open

    path = directory / "model.safetensors"
    if not path.exists():
        return set()
    with safe_open(path, framework="np") as file:
        return {int(name.split("/", 1)[0]) for name in file.keys()}  # noqa: SIM118 (not a mapping)


def estimate(standings: Sequence[Standing], workers: int) -> float | None:
    """Seconds until everything that is missing is trained, None when no round has been finished to judge by.

    A run's rounds are taken to last as long as its finished ones (median), or as those of all runs where it has none.
    """
    known = [second for item in standings for second in item.seconds]
    if not known:
        return None
    return sum(item.missing * median(item.seconds or known) for item in standings) / workers


def print_plan(standings: Sequence[Standing], workers: int, console: Console) -> None:
    """The table of a dry run."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("run", overflow="fold")
    for column in ("finished", "failed", "to train"):
        table.add_column(column, justify="right")
    for item in standings:
        table.add_row(item.name, str(item.finished), str(item.failed), str(item.missing))
    console.print(table)
    seconds = estimate(standings, workers)
    time = "no finished round to estimate the time from" if seconds is None else f"about {words(seconds)} with {workers} at a time"
    console.print(f"{sum(item.missing for item in standings)} rounds to train, {time}; nothing was trained (dry_run=true)", highlight=False)


def print_resumed(standings: Sequence[Standing], console: Console) -> None:
    """Say what is on disk already, if anything is."""
    finished, failed = sum(item.finished for item in standings), sum(item.failed for item in standings)
    if finished or failed:
        broken = f" and {failed} failed (retry_failed=true trains them again)" if failed else ""
        missing = sum(item.missing for item in standings)
        console.print(f"{finished} rounds are finished already{broken}, {missing} to train", highlight=False)
    if unsaved := sum(item.unsaved for item in standings):
        lost = f"save_model=true: {unsaved} of them were trained without it, so their networks are not kept"
        console.print(f"{lost}; a new folder trains them again", highlight=False, soft_wrap=True)


def words(seconds: float) -> str:
    """A duration as people say it."""
    for unit, size in (("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} seconds"


def failures(sweep: Path) -> list[tuple[str, int, str]]:
    """The failed rounds of a sweep's runs: folder, seed, error."""
    found = []
    for path in sorted(sweep.glob("*/rounds.csv")):
        rows = read_rows(RoundRow, path)
        found += [(path.parent.name, row.seed, row.error) for row in rows if row.status == "failed"]
    return found
