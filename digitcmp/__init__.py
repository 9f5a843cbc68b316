"""digitcmp: which network compares two handwritten digits best, and how sure are we?

The command line is ``python -m digitcmp``. From Python, `run` and `sweep` are the same with a `Result` that has frames and figures;
`load_rounds` and `load_epochs` give the records of any number of runs as pandas frames, `load_model` gives a trained network back.
"""

TYPE_CHECKING = False  # as in `typing`: nothing is imported before `digitcmp.entry` has seen to what can be imported
if TYPE_CHECKING:
    from typing import Any

    from digitcmp.api.command import run as run
    from digitcmp.api.command import sweep as sweep
    from digitcmp.api.result import Result as Result
    from digitcmp.errors import DigitcmpError as DigitcmpError
    from digitcmp.experiment.networks import load_model as load_model
    from digitcmp.report.frames import load_epochs as load_epochs
    from digitcmp.report.frames import load_rounds as load_rounds

__version__ = "0.1.0"
__all__ = ["DigitcmpError", "Result", "__version__", "load_epochs", "load_model", "load_rounds", "run", "sweep"]
PLACES = {  # what takes its time to be imported, which --help must not wait for
    "DigitcmpError": "errors",
    "Result": "api.result",
    "load_epochs": "report.frames",
    "load_model": "experiment.networks",
    "load_rounds": "report.frames",
    "run": "api.command",
    "sweep": "api.command",
}


def __getattr__(name: str) -> "Any":
    if name not in PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"digitcmp.{PLACES[name]}"), name)
