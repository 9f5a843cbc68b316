"""What is written into digitcmp.log of a run while its rounds are trained."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from digitcmp.experiment.callbacks import Callback
from digitcmp.experiment.run import Run
from digitcmp.inert import visible
from digitcmp.train.results import RoundResult, accuracy_of

log = logging.getLogger(__name__)


class RunLog(Callback):
    """Logs how each round ended, in the log of its run."""

    def on_round_end(self, run: Run, result: RoundResult) -> None:
        row = result.row
        with logging_to(run.directory):
            if row.status == "done":
                log.info("seed %d: %s accuracy %.4f after %d epochs, %.1f s", row.seed, *accuracy_of(row), row.epochs, row.seconds)
            else:
                log.error("seed %d failed: %s%s", row.seed, visible(row.error), f"\n{result.trace}" if result.trace else "")


@contextmanager
def logging_to(directory: Path) -> Iterator[None]:
    """Send what is logged to the run's digitcmp.log, unless Hydra does so already (it does for one job at a time)."""
    path, root = directory / "digitcmp.log", logging.getLogger()
    if any(isinstance(handler, logging.FileHandler) and Path(handler.baseFilename) == path for handler in root.handlers):
        yield
        return
    try:
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError:  # Hydra, which opens it too, says so; the round is on record
        yield
        return
    handler.setFormatter(logging.Formatter("[%(asctime)s][%(name)s][%(levelname)s] - %(message)s"))
    level, log.propagate = log.level, False
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()
        log.setLevel(level)
        log.propagate = True
