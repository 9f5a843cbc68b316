"""What is said of rounds that have failed."""

import shlex
from pathlib import Path

from digitcmp.config.meant import COMMAND
from digitcmp.counting import counted, plural
from digitcmp.errors import RunError
from digitcmp.inert import line, visible


def failed_sweep(failed: list[tuple[str, int, str]], arguments: list[str], directory: Path) -> str:
    """The failed rounds of a sweep, a line each, and the command that trains just those again."""
    lines = [line(f"  {run} seed {seed}: {error}") for run, seed, error in failed[:20]]
    if len(failed) > 20:
        lines.append(f"  … and {len(failed) - 20} more")
    again = [*(argument for argument in arguments if argument != "retry_failed=true"), "retry_failed=true"]
    if not any(argument.startswith("hydra.sweep.dir=") for argument in arguments):
        again.append(f"hydra.sweep.dir={directory}")
    command = shlex.join([*COMMAND, *again])
    return "\n".join([f"{len(failed)} failed:", *lines, f"train just those again: {visible(command)}"])


def failed_rounds(seeds: list[int], total: int, reason: str, directory: Path) -> RunError:
    """The error at the end of a run in which rounds failed."""
    named = f"{plural(len(seeds), 'seed')} {', '.join(map(str, seeds[:10]))}" + (", …" if len(seeds) > 10 else "")
    return RunError(f"{len(seeds)} of {counted(total, 'round')} failed ({named}): {reason}; see {directory / 'digitcmp.log'}")
