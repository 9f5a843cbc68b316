"""How errors leave callbacks of Hydra, which would make a warning of them."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from digitcmp.config.allowed import ended_by_others
from digitcmp.errors import RunError


class Refused(SystemExit):
    """An error on its way out of a callback."""

    def __init__(self, error: Exception) -> None:
        super().__init__(1)
        self.error = error


def error_of(end: SystemExit) -> Exception | None:
    """The error that ends the program; None where it has done what it was asked for."""
    if isinstance(end, Refused):
        return end.error
    return RunError(what) if (what := ended_by_others(end)) else None


def carried_out(callback: Callable[..., None]) -> Callable[..., None]:
    """A callback of Hydra whose errors end the program, whatever they are: Hydra would warn, and go on."""

    @wraps(callback)
    def carried(self: Callback, config: DictConfig, **kwargs: Any) -> None:
        before = sys.exception()  # what a sweep ends with is told, rather than what follows from it
        try:
            callback(self, config, **kwargs)
        except Exception as error:
            raise Refused(before if isinstance(before, Exception) else error) from error

    return carried
