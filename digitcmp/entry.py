"""How every command begins and ends: where modules come from, its streams, Ctrl-C. Imports nothing that a file of the working folder
could be taken for."""

import os
import sys

from digitcmp.notice import notice, takes_back
from digitcmp.room import TOO_MANY, guard_memory, guard_threads, is_cause, is_of_threads, more_threads, told

TYPE_CHECKING = False  # as in `typing`, which a file of the working folder could be
if TYPE_CHECKING:
    from socket import socket
    from sys import UnraisableHookArgs
    from typing import NoReturn

NEEDED = "hydra"  # of the libraries: where it is missing, all are
GRACE = 4.0  # seconds that a command has to end after Ctrl-C; then it is ended, whatever it does
QUICK = ("--help", "--hydra-help", "--version", "--cfg", "--info", "--shell-completion")  # options that are answered at once
SHORT = ("-h", "-c", "-i", "-sc")
PLAIN = {"±": "+-", "×": "x", "…": "...", "·": "-", "−": "-", "–": "-", "—": "-", "→": "->", "≤": "<=", "≥": ">=", "“": '"', "”": '"'}


def command(module: str, loads: str) -> "NoReturn":
    """Run `main` of a module, and end the program: exit code 0, that of what it raises (SystemExit), 130 for Ctrl-C, or 128 and the
    number of another signal that ends programs.

    loads: the library that takes longest to import.
    """
    forget_working_folder()
    open_streams()
    guard_memory()
    guard_threads()
    os.environ["MPLBACKEND"] = "agg"  # figures go into files; another one, of a notebook or a mistyped one, may not be there to be loaded
    if works(sys.argv[1:]):
        notice.show(f"loading {loads} …")
    code: int | str | None = 1
    try:
        interrupts.begin()
        from importlib import import_module
        from importlib.util import find_spec

        hush()
        if find_spec(NEEDED) is None:
            activate = "activate the environment that digitcmp is installed in, as in . .venv/bin/activate"
            sys.exit(f"digitcmp: {NEEDED} is not installed for {sys.executable}; {activate}")
        import_module(module).main()
        code = 0
    except SystemExit as end:
        code = end.code
        # where nothing was let in, it is not loaded
        if (allowed := sys.modules.get("digitcmp.config.allowed")) and (what := allowed.ended_by_others(end)):
            print(f"digitcmp: {what}", file=sys.stderr)
            code = 1
    except BrokenPipeError:
        code = 141  # as shells have it for a program that a closed pipe ends: whoever read has gone (`| head`)
    except BaseException as error:
        # a library that is being imported makes something else of an interrupt; and OpenBLAS interrupts a program that may have no threads
        if (interrupts.early and not more_threads()) or is_of_threads(error):
            print(f"digitcmp: {TOO_MANY}", file=sys.stderr)
        elif interrupts.seen or isinstance(error, KeyboardInterrupt):
            code = interrupts.told(error)
        elif is_cause(error):
            print(f"digitcmp: {told(error)}", file=sys.stderr)
        else:
            raise
    finally:
        interrupts.end()
        notice.clear()
    # Python ends by SIGINT itself, whatever the exit code, where an interrupt went through code that a library has Python run from a
    # string; the next such code takes that back
    exec("")
    code = flushed(code)
    interrupts.code = code if isinstance(code, int) else int(code is not None)
    sys.exit(code)


def forget_working_folder() -> None:
    """No file of the folder that `python -m` is called in is taken for a module, whatever its name."""
    try:
        folder = os.getcwd()  # noqa: PTH109 (pathlib is one of those modules)
    except OSError:  # it has been removed
        return
    if sys.path and sys.path[0] == folder and not sys.flags.safe_path:
        del sys.path[0]


def open_streams() -> None:
    """The three streams are there, whoever has closed them (else the next file would be taken for one), and what a terminal
    cannot show is shown in other characters."""
    import codecs

    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding="utf-8", closefd=False))
    codecs.register_error("digitcmp.plain", plain)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="digitcmp.plain")  # type: ignore[union-attr]


def plain(error: UnicodeError) -> tuple[str, int]:
    """Other characters for those that an encoding does not have: an error handler of `codecs`."""
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end]
    return "".join(PLAIN.get(one) or one.encode("ascii", "backslashreplace").decode() for one in text), error.end


def hush() -> None:
    """Libraries tell of no troubles that are none here."""
    import logging
    import warnings

    warnings.filterwarnings("error", "provider=.* is not available")  # Hydra's, of a folder of YAML files that there is not
    warnings.filterwarnings("ignore", ".*joblib will operate in serial mode")  # /dev/shm is full: nothing here needs it
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # where there is no home, it tells of its cache


def flushed(code: int | str | None) -> int | str | None:
    """The exit code, when what is left to be printed has been printed: 1 and a line where that cannot be."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left goes nowhere, at the end of the program too
        if not isinstance(error, BrokenPipeError):
            print(f"digitcmp: cannot write to standard output: {error.strerror}", file=sys.stderr)
        return code or 1
    return code


def works(arguments: list[str]) -> bool:
    """Whether a command line asks for more than help, a version, a configuration or completion, which come at once."""
    options = [argument for argument in arguments if argument.startswith("-")]
    return not any(option in SHORT or option.startswith(QUICK) or any(name.startswith(option) for name in QUICK) for option in options)


class Interrupts:
    """Ctrl-C, and the signals by which a system or a scheduler ends programs: the first one is a KeyboardInterrupt, and those that follow
    change nothing. What has not ended `GRACE` seconds later is ended, also in the middle of a system call; nothing on disk needs more
    than what is there at any moment."""

    def __init__(self) -> None:
        self.seen = self.lost = self.early = False  # early: while something was being imported
        self.number = 2  # of the first signal; Ctrl-C
        self.code = 1  # with which the program ends, once that is known: what is cleaned up then may have to end it at once

    def begin(self) -> None:
        """Listen to the signals from now on, but for those that whoever started the program wants to be ignored: as `nohup` and shells
        do for what runs in the background."""
        import signal
        import socket
        import threading

        self.listened = [number for number in ending_signals() if signal.getsignal(number) is not signal.SIG_IGN]
        if not self.listened:
            return
        numbers, self.written = socket.socketpair()
        self.written.setblocking(False)
        signal.set_wakeup_fd(self.written.fileno(), warn_on_full_buffer=False)
        sys.unraisablehook = self.ignored
        for number in self.listened:
            signal.signal(number, self.hear)
        try:
            threading.Thread(target=self.watch, args=(numbers,), name="digitcmp-interrupts", daemon=True).start()
        except RuntimeError:
            sys.exit(f"digitcmp: {TOO_MANY}")

    def hear(self, number: int, *_: object) -> None:
        """What Python calls for a signal. Raises KeyboardInterrupt; while torch is being imported, the program ends at once: an exception
        in the code that torch runs there would abort it, and nothing has been begun yet."""
        if not self.seen:
            self.seen, self.number, self.early = True, number, any(map(is_being_imported, [*sys.modules]))
            if is_being_imported("torch"):
                self.leave(f"{self.cause()}; finished rounds are kept" if more_threads() else TOO_MANY)
            raise KeyboardInterrupt

    def ignored(self, error: "UnraisableHookArgs") -> None:
        """An error where none can be raised, as in `__del__`: that of a signal is raised again where it can."""
        if not isinstance(error.exc_value, KeyboardInterrupt):
            sys.__unraisablehook__(error)
        else:
            self.lost = True

    def watch(self, numbers: "socket") -> None:
        """Raise an interrupt again that was lost, and end the program when it has not ended in time.

        numbers: where Python's own handler writes those of the signals.
        """
        import _thread
        import signal
        import time

        while not (heard := [number for number in numbers.recv(100) if number in self.listened]):
            pass
        end = time.monotonic() + GRACE
        while time.monotonic() < end:
            time.sleep(0.1)
            if self.lost:
                self.seen = self.lost = False
                _thread.interrupt_main(signal.Signals(self.number))
        self.number = self.number if self.seen else heard[0]
        self.leave(f"{self.cause()}; it did not end by itself within {GRACE:.0f} seconds; finished rounds are kept")

    def leave(self, text: str) -> "NoReturn":
        """End the program at once, with a line."""
        notice.clear()
        lead = "\r\x1b[K\x1b[?25h" if takes_back() else "\n"  # a bar goes, and the cursor that it hides comes again
        os.write(2, f"{lead}digitcmp: {text}\n".encode())
        os._exit(1 if text == TOO_MANY else 128 + self.number)

    def cause(self) -> str:
        """What has ended the program, in words."""
        import signal

        return "interrupted" if self.number == signal.SIGINT else f"interrupted ({signal.Signals(self.number).name})"

    def told(self, error: BaseException) -> int:
        """Say that the command was interrupted; the exit code for that. error: the KeyboardInterrupt, whose text says what is kept."""
        from digitcmp.inert import line
        from digitcmp.screen import complain

        kept = line(str(error)) if isinstance(error, KeyboardInterrupt) else ""
        print(file=sys.stderr)
        complain(f"{self.cause()}; {kept or 'finished rounds are kept'}")
        return 128 + self.number

    def end(self) -> None:
        """All is done: what is cleaned up at the end of a program is not to be interrupted any more."""
        import signal

        for number in ending_signals():
            signal.signal(number, signal.SIG_IGN)


def is_being_imported(name: str) -> bool:
    """Whether a library is not there yet, and no longer to come."""
    return getattr(getattr(sys.modules.get(name), "__spec__", None), "_initializing", False)


def ending_signals() -> list[int]:
    """The signals that end a command as Ctrl-C does: of a terminal that is closed, of a system that goes down, of a scheduler's time
    limit, preemption or cancelled job; as far as this system has them."""
    import signal

    return [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2") if hasattr(signal, name)]


interrupts = Interrupts()
