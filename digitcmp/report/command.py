"""How the report's commands end: errors in one line, exit codes."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from digitcmp.errors import DigitcmpError, shortened
from digitcmp.inert import line
from digitcmp.screen import complain


@contextmanager
def exit_codes(interrupted: str = "no run was touched", failed: int = 1) -> Iterator[None]:
    """What is done here ends with exit code `failed` for an error, told in one line on stderr.

    interrupted: the end of the line that Ctrl-C leaves (see `digitcmp.entry`), where the command itself has nothing to say.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except (DigitcmpError, OSError) as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        from digitcmp.config.messages import one_line

        complain(one_line(error) if isinstance(error, DigitcmpError) else line(told(error)))
        sys.exit(failed)
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(*error.args or (interrupted,)) from None


def told(error: OSError) -> str:
    """What went wrong, in words."""
    if error.filename is None:  # of a file that is open already, or of a library
        from digitcmp.terminal import writable

        what = "a file" if writable(sys.stdout) else "standard output"
        return f"cannot read or write {what}: {error.strerror or error}"
    return f"cannot read or write {shortened(error.filename)}: {error.strerror}"
