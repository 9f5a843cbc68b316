"""What is said of a run before its networks are asked. Imports OmegaConf, and no torch."""

from pathlib import Path

from digitcmp.config.taken import OTHERWISE, other_code
from digitcmp.experiment.about import read_about
from digitcmp.screen import complain


def warn_of_code(directory: Path) -> None:
    """Say on stderr where a run needs other code now than it was trained with. Raises RunError where there is no run."""
    if text := other_code(read_about(directory, networks=True)):
        complain(f"warning: {directory}: {OTHERWISE}: {text}")
