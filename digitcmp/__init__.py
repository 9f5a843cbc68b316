"""digitcmp: which network compares two handwritten digits best, and how sure are we?

The command line is ``python -m digitcmp``; from Python, `load_model` gives a trained network back, `load_rounds` and
`load_epochs` give the records of any number of runs as pandas frames.
"""

TYPE_CHECKING = False  # as in `typing`: nothing is imported before `digitcmp.entry` has seen to what can be imported
if TYPE_CHECKING:
    from typing import Any

    from digitcmp.experiment.networks import load_model as load_model
    from digitcmp.report.frames import load_epochs as load_epochs
    from digitcmp.report.frames import load_rounds as load_rounds

__version__ = "0.1.0"
__all__ = ["__version__", "load_epochs", "load_model", "load_rounds"]


def __getattr__(name: str) -> "Any":
    # load_model needs torch, which takes seconds to import and which --help must not wait for
    if name == "load_model":
        from digitcmp.experiment.networks import load_model

        return load_model
    if name in ("load_rounds", "load_epochs"):
        from digitcmp.report import frames

        return getattr(frames, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
