"""What can go wrong for a user: one exception class, one line of text."""

from digitcmp.inert import line

LONGEST = 120  # characters of a path in a message
# what reading a damaged file raises, beside OSError, in code that takes it to be whole
DAMAGED = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)


def shortened(path: object) -> str:
    """A path as a message shows it: of a very long one, its beginning and its end."""
    text = str(path)
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}…{text[-LONGEST // 3 :]}"


class DigitcmpError(Exception):
    """A problem that the user can mend: its text is one line that quotes the value and says what would be right.

    The command line prints the text on stderr and ends with exit code 1; ``HYDRA_FULL_ERROR=1`` shows the trace too.
    """

    def __str__(self) -> str:
        """One line that no terminal interprets, whatever is quoted in it."""
        return line(" ".join(super().__str__().split()))


class ConfigError(DigitcmpError):
    """A configuration that makes no sense, by itself or together with another key."""


class DataError(DigitcmpError):
    """Data that is missing, damaged or too small for what was asked of it."""


class RunError(DigitcmpError):
    """A run that could not be started, or that ended with failed rounds."""


class SearchError(DigitcmpError):
    """A search that cannot be begun, continued or concluded."""


class Pruned(DigitcmpError):  # noqa: N818 (an outcome, as in Optuna, not a fault)
    """A round or a run that was ended early because whoever watches it expects nothing of it any more."""


class Broken(Pruned):
    """A run that was ended early because a round of it fails: that one comes to its own end, and so is on record as failed."""
