"""What an array of Slurm may be asked for: what sbatch would take, and mean by it something that nobody does."""

import re

from digitcmp.config.schema import Slurm
from digitcmp.errors import ConfigError

SHORTEST = 300  # seconds of a time limit: below, a task could be told to end before it has trained anything, turn after turn
LONGEST = 3650  # days; Slurm counts minutes in 32 bits, and begins anew without a word
UNLIMITED = ("UNLIMITED", "INFINITE")
# options of sbatch that say the same as a key, or make it answer something else than the number of a job
INSTEAD = {
    "--array": "slurm.tasks",
    "-a": "slurm.tasks",
    "--wait": "slurm.wait=true",
    "-W": "slurm.wait=true",
    "--test-only": "dry_run=true",
}


def check_slurm(options: Slurm) -> None:
    """Raise ConfigError for a time limit that is none, too short or too long, and for options that are asked for in other words."""
    for option in options.options:
        if instead := INSTEAD.get(re.match(r"-\w|[^=\s]*", option)[0]):  # type: ignore[index]
            raise ConfigError(f"slurm.options=[{option}]: use {instead} instead")
    if options.time is None or options.time.upper() in UNLIMITED:
        return
    limit, forms = seconds_of(options.time), f"give {SHORTEST // 60} minutes or more (M, H:M:S or D-H)"
    if limit is None or limit > LONGEST * 86400:
        raise ConfigError(f"slurm.time={options.time}: this is no time limit of at most {LONGEST:,} days; {forms}")
    if limit < SHORTEST:
        raise ConfigError(
            f"slurm.time={options.time}: a task is told to end up to two minutes before that, and needs some to begin; {forms}"
        )


def seconds_of(limit: str) -> int | None:
    """A time limit as sbatch has it: minutes, M:S, H:M:S, D-H, D-H:M or D-H:M:S; None for what is none of these."""
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", limit, re.ASCII)
    if found is None:
        return None
    days, *given = found.groups()
    parts = [int(part) for part in given if part is not None]
    if days is None and len(parts) < 3:
        parts.insert(0, 0)  # without hours
    hours, minutes, seconds = (*parts, 0, 0)[:3]
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds
