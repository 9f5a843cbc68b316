"""How the report's commands end: errors in one line, exit codes."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from digitcmp.errors import DigitcmpError


@contextmanager
def exit_codes(interrupted: str = "no run was touched", failed: int = 1) -> Iterator[None]:
    """What is done here ends with exit code 0; `failed` for an error, told in one line on stderr; 130 for Ctrl-C.

    interrupted: the end of the line that Ctrl-C leaves.
    """
    try:
        yield
    except DigitcmpError as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        from digitcmp.config.messages import one_line

        print(f"digitcmp: {one_line(error)}", file=sys.stderr)
        sys.exit(failed)
    except KeyboardInterrupt:
        print(f"\ndigitcmp: interrupted; {interrupted}", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
