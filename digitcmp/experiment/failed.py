"""What is said of rounds that have failed."""

from pathlib import Path

from digitcmp.counting import counted, plural
from digitcmp.errors import RunError


def failed_rounds(seeds: list[int], total: int, reason: str, directory: Path) -> RunError:
    """The error at the end of a run in which rounds failed."""
    named = f"{plural(len(seeds), 'seed')} {', '.join(map(str, seeds[:10]))}" + (", …" if len(seeds) > 10 else "")
    return RunError(f"{len(seeds)} of {counted(total, 'round')} failed ({named}): {reason}; see {directory / 'digitcmp.log'}")
