"""How the report's commands end: errors in one line, exit codes."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from digitcmp.errors import DigitcmpError, shortened


@contextmanager
def exit_codes(interrupted: str = "no run was touched") -> Iterator[None]:
    """What is done here ends with exit code 1 for an error, told in one line on stderr.

    interrupted: the end of the line that Ctrl-C leaves (see `digitcmp.entry`).
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except (DigitcmpError, OSError) as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        print(f"digitcmp: {' '.join(told(error).split())}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(interrupted) from None


def told(error: DigitcmpError | OSError) -> str:
    """What went wrong, in words."""
    if isinstance(error, DigitcmpError):
        return str(error)
    return f"cannot read or write {'standard output' if error.filename is None else shortened(error.filename)}: {error.strerror}"
