"""Which trained networks a run has kept, and why there are none. Imports no torch."""

from pathlib import Path

from digitcmp.counting import counted, plural, seeds_of
from digitcmp.errors import RunError
from digitcmp.experiment.about import read_about
from digitcmp.experiment.records import Records
from digitcmp.experiment.store import network_path, read_run_records

UNKEPT = "it was trained without save_model=true (a sweep keeps none unasked), or {} been removed; its command on record with "
UNKEPT += "save_model=true and another folder keeps {}"


def saved_seeds(directory: Path) -> list[int]:
    """The seeds whose trained networks are kept, in their order."""
    return sorted(int(path.stem) for path in network_path(directory, 0).parent.glob("*.safetensors") if path.stem.isdecimal())


def kept_seed(directory: Path, seed: int | None = None) -> int:
    """A seed whose trained network is kept: this one, or the first. Raises RunError where there is no run, no network, or none of this
    seed."""
    about, seeds = read_about(directory), saved_seeds(directory)
    if seeds and seed in (None, *seeds):
        return seeds[0] if seed is None else seed
    records = read_run_records(directory)
    done = [each for each, record in records.rounds.items() if record.row.status == "done"]
    if not seeds and not done:
        raise RunError(nothing_done(directory, records))
    if not seeds:
        raise RunError(f"{directory} holds no trained networks: {UNKEPT.format('they have', 'them')}")
    there = f"{directory} holds the {plural(len(seeds), 'network')} of {seeds_of(seeds)}"
    if seed in done:
        raise RunError(f"seed={seed}: {there}; of this one, {UNKEPT.format('it has', 'it')}")
    if seed in records.rounds:
        raise RunError(f"seed={seed}: its round failed ({records.rounds[seed].row.error}), which leaves no network; {there}")
    raise RunError(f"seed={seed}: {'its round is not finished; ' if seed in about['seeds'] else ''}{there}")


def nothing_done(directory: Path, records: Records) -> str:
    """What is said of a run without a finished round, of which there is nothing to ask."""
    failed = [record.row for record in records.rounds.values()]
    unread = f" ({records.damaged[0]})" if records.damaged else ""
    why = f" ({counted(len(failed), 'round')} failed: {failed[0].error})" if failed else unread
    return f"{directory} holds no finished round{why}; there is nothing to ask"
