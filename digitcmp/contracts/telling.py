"""What is said of a promise that is not kept: in one line, which one, by whom, what was found and what to do."""

import os
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from digitcmp.config.blocks import BLOCKS
from digitcmp.config.network import layers
from digitcmp.config.schema import Config
from digitcmp.errors import DigitcmpError
from digitcmp.inert import line

Promise = Callable[[Config], None]
Keeps = Callable[[Promise], None]
AT = Path(__file__).parents[1]


def check(promise: Promise, config: Config, asked: str) -> None:
    """Fail the test, with a line, where a promise is not kept. asked: what is tested, as in model=NAME. With HYDRA_FULL_ERROR=1, what was
    raised is shown whole."""
    if not __debug__:
        pytest.fail("Python leaves assertions out (-O, PYTHONOPTIMIZE), so that nothing would be found; run it without", pytrace=False)
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        promise(config)
        return
    fault = ""
    try:
        promise(config)
    except Exception as error:  # whatever the code of others raises
        fault = said(error)
    if fault:
        part = f"{asked}{blocks(config) if asked.startswith('model=') else ''}"
        pytest.fail(line(f"{part}: not kept: {promise.__name__.replace('_', ' ')}: {fault}"), pytrace=False)


def blocks(config: Config) -> str:
    """The blocks of other packages in a network."""
    kinds = dict.fromkeys(layer.kind for layer in layers(config.model))
    theirs = [f"{kind} of {package}" for kind in kinds if (package := BLOCKS.package_of(kind))]
    return f" (with {', '.join(theirs)})" if theirs else ""


def said(error: Exception) -> str:
    """What was found and what to do, as the promise says it; of any other error what it is and where it was raised."""
    first = (str(error).splitlines() or [""])[0]
    if isinstance(error, AssertionError) and first:
        return first
    if isinstance(error, DigitcmpError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if "torch" not in Path(frame.filename).parts and AT not in Path(frame.filename).parents]
    place = f" at {theirs[-1].filename}:{theirs[-1].lineno}" if theirs else ""
    return f"{type(error).__name__}{place}: {first}; HYDRA_FULL_ERROR=1 shows all of it"
