"""`digitcmp.run` and `digitcmp.sweep`: the command line, called from Python."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from multiprocessing import parent_process
from pathlib import Path
from typing import TextIO, cast

from digitcmp import session
from digitcmp.api.overrides import Overrides, arguments_of, quoted
from digitcmp.api.result import Result
from digitcmp.api.silence import WithoutThis
from digitcmp.errors import ConfigError, DigitcmpError
from digitcmp.given import folder_of, truth_of
from digitcmp.plugins.borrowed import borrowed
from digitcmp.plugins.refused import error_of

BEGUN = os.getpid()  # the process that has imported this


def run(overrides: Overrides = (), folder: str | Path | None = None, *, progress: bool = True) -> Result:
    """Train one run: `python -m digitcmp …`. What is on record in its folder already is not trained again.

    overrides: what the command line takes, as a mapping or as a list of texts::

        digitcmp.run({"model": "wsn", "aux_weight": 0.5, "optimizer": {"lr": 0.1}, "rounds": 4}, folder="outputs/wsn")
        digitcmp.run(["model=wsn", "aux_weight=0.5", "optimizer.lr=0.1", "rounds=4"], folder="outputs/wsn")

    Keys are dotted or nested, with a plus sign where the command line has one (`"+experiment": "net4"`); a text is what stands behind the
    equals sign there. folder: where it goes, `hydra.run.dir`; None: outputs/, by date and time. progress: show how far it is, as a bar in
    a notebook and in a terminal; false: print nothing.

    Raises DigitcmpError with the line that the command line would print. KeyboardInterrupt (Ctrl-C, the stop button) ends it, and
    finished rounds are kept: the same call goes on. Nothing of the process is left changed.
    """
    return command(overrides, [], "hydra.run.dir", folder, progress)


def sweep(overrides: Overrides = (), folder: str | Path | None = None, *, progress: bool = True) -> Result:
    """Train many runs, and report on them: `python -m digitcmp --multirun …`.

    In a mapping, a list is several values, of which every combination is a run; a list of one run is a list in it, as in
    `"columns": [["plain"], ["plain", "moments"]]`::

        digitcmp.sweep({"model": ["net1", "wsn"], "seed": range(10)}, folder="outputs/two")
        digitcmp.sweep({"+sweeps": "table1"})

    folder: `hydra.sweep.dir`; None: that of the sweep's file, or outputs/, by date and time. Everything else: as `run`. A search is a
    sweep, too. Raises RunError where rounds have failed; `digitcmp.Result(folder)` has the others.
    """
    return command(overrides, ["--multirun"], "hydra.sweep.dir", folder, progress)


def command(overrides: Overrides, options: list[str], key: str, folder: str | Path | None, progress: bool) -> Result:
    """Carry out a command line in this process. options: those of many runs, if it is for many. key: of Hydra, that names the folder.
    Raises DigitcmpError."""
    arguments = arguments_of(overrides, several=bool(options))
    place = [] if folder is None else [f"{key}={quoted(folder_of(folder))}"]
    if place and (twice := next((one for one in arguments if one.lstrip("+").partition("=")[0] == key), "")):
        raise ConfigError(f"{twice}: folder={str(folder)!r} says where it goes; give one of them")
    asked = session.Session(truth_of("progress", progress))
    with ExitStack() as around:
        around.enter_context(borrowed())
        around.enter_context(one_thread_if_forked())
        if not progress:
            around.enter_context(redirect_stdout(cast(TextIO, WithoutThis(sys.stdout))))
        token = session.given.set(asked)
        try:
            carry_out([*options, *arguments, *place])
        finally:
            session.given.reset(token)
    if asked.folder is None:
        raise ConfigError(f"{' '.join(arguments)}: nothing was run by this")
    return Result(asked.folder)


@contextmanager
def one_thread_if_forked() -> Iterator[None]:
    """Within the block torch does its work in one thread, in a process that was forked from another one: the threads that it had there
    are not there any more, and it would wait for them for ever."""
    torch = sys.modules.get("torch")
    if torch is None or (parent_process() is None and os.getpid() == BEGUN):
        yield
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def carry_out(arguments: list[str]) -> None:
    """What the command line does with these arguments. Raises DigitcmpError with the line that it would print (the error behind it only
    with HYDRA_FULL_ERROR=1), and what is a fault of the program."""
    from digitcmp import cli
    from digitcmp.plugins.recipes import tell

    trace = os.environ.get("HYDRA_FULL_ERROR") == "1"
    tell.cache_clear()  # what is said once is said once a command
    try:
        cli.carry_out(arguments)
    except SystemExit as end:
        refused = error_of(end)
        if refused is None and end.code:
            raise
        if refused is None:  # a dry run, when it has said what it would do
            return
        error: Exception = refused
    except Exception as raised:
        error = raised
    else:
        return
    told = cli.mendable(error, sys.argv[1:])
    if told is None:
        raise error
    kind = type(error) if isinstance(error, DigitcmpError) else ConfigError
    raise kind(told) from (error if trace else None)
