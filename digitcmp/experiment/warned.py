"""What is said of a run before its networks are asked. Imports OmegaConf, and no torch."""

from collections.abc import Collection
from pathlib import Path

from digitcmp.config.recorded import MissingCodeError, of_run
from digitcmp.config.taken import OTHERWISE, other_code
from digitcmp.errors import ConfigError, RunError
from digitcmp.experiment.about import read_about
from digitcmp.screen import complain


def warn_of_code(directory: Path, needs: Collection[str] = ("blocks",)) -> None:
    """Say on stderr where a run needs other code now than it was trained with. needs: groups of what packages offer, without which nothing
    can be asked. Raises RunError where there is no run, or not this code."""
    about = read_about(directory, networks=True)
    try:
        of_run(about, needs=needs)
    except MissingCodeError as error:
        raise RunError(f"{directory}/run.json: {error}") from error
    except ConfigError:
        pass  # it is told when its networks are read
    if text := other_code(about):
        complain(f"warning: {directory}: {OTHERWISE}: {text}")
