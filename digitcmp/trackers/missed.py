"""How a tracker that broke comes to have what it misses: in a command that does it as it stands, in the folder that this one runs in."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.types import Quote, QuotedString

from digitcmp.config.meant import COMMAND
from digitcmp.passwords import holds_password
from digitcmp.trackers.load import OURS

if TYPE_CHECKING:
    from digitcmp.experiment.run import Run

SWEEP = "multirun.yaml"  # in the folder of one


def later(name: str, options: Mapping[str, Any], run: "Run") -> str:
    """What is to be done, in words. options: of the callback that a run asks for by this name; of a sweep, all its runs are exported.

    One of somebody's own, and one with a password, which is in no command, are told by who goes on with the run.
    """
    given = [f"{key}={value}" for key, value in options.items() if value not in (None, "")]
    if name in OURS and not any(map(holds_password, given)) and "target" not in options:
        command = ["python", "-m", "digitcmp.runs", "export", typed(whole_of(run)), "--to", name]
        return f"{shlex.join([*command, *(part for text in given for part in ('--option', text))])} adds what it misses"
    words = shlex.split(run.command) if run.command.startswith(" ".join(COMMAND)) else []  # of a program that has made the run itself
    if not words:
        return "whoever goes on with the run, in its folder, adds what it misses"
    place = [] if any(word.startswith("hydra.run.dir=") for word in words) else [f"hydra.run.dir={quoted(typed(run.directory))}"]
    return f"{shlex.join([*words, *place])} adds what it misses of {run.name}"


def whole_of(run: "Run") -> Path:
    """The folder of the sweep that a run is a job of; its own where it is none."""
    if run.store.job is None:
        return run.directory
    return next((above for above in (run.directory, *run.directory.parents) if (above / SWEEP).is_file()), run.directory)


def typed(folder: Path) -> str:
    """A folder as one would type it here; never like an option."""
    text = str(folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder)
    return f"./{text}" if text.startswith("-") else text


def quoted(text: str) -> str:
    """A text as a value of Hydra's command line."""
    return text if re.fullmatch(r"[\w./-]+", text, re.ASCII) else QuotedString(text, Quote.single).with_quotes()
