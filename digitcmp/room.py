"""How much memory this process may take (`ulimit -v`), and how many threads (`ulimit -u`): libraries that get too little of either abort,
fail by any error, try for ever, or interrupt the program."""

import errno
import sys

LEAST = 900 * 2**20  # bytes of address space for NumPy, SciPy, pandas and matplotlib; torch itself says what it lacks
TOO_MANY = "no more threads or processes are allowed here (ulimit -u); allow more"
BEGIN = 128 * 2**20  # bytes below which Python's own modules fail while they are imported, by any error, and tell of it in pages


class Room:
    """Ends the program in a line before NumPy is imported: where it has too little memory, its libraries abort, fail by any error, or try
    for ever. Told to importlib as a finder, which finds nothing."""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def find_spec(self, name: str, *_: object) -> None:
        """Called by importlib for each module that is not loaded yet."""
        if name == "numpy":
            sys.exit(f"digitcmp: {too_few(self.limit)}")


class Threads:
    """Ends the program in a line before torch is imported: where too few threads can be started, its library for them (libgomp) ends the
    program itself at the first large tensor. Told to importlib as a finder, which finds nothing."""

    def find_spec(self, name: str, *_: object) -> None:
        """Called by importlib for each module that is not loaded yet."""
        if name == "torch":
            sys.meta_path.remove(self)
            if not more_threads(1 if "numpy" in sys.modules else 2):  # which begins with as many
                sys.exit(f"digitcmp: {TOO_MANY}")


def too_few(limit: int) -> str:
    """That so little address space does not do, in a line. limit: bytes."""
    allowed, needed = (f"{number / 1e6:,.0f} MB" for number in (limit, LEAST))
    return f"{allowed} of memory are too few for NumPy and what needs it, which take {needed} (ulimit -v); allow more"


def more_threads(libraries: int = 1) -> bool:
    """Whether as many threads as so many libraries begin with can be started here: one for each processor. None of them is left."""
    import os
    import threading

    over, begun = threading.Event(), list[threading.Thread]()
    try:
        for _ in range(libraries * (os.cpu_count() or 1)):
            one = threading.Thread(target=over.wait, daemon=True)
            one.start()
            begun.append(one)
    except RuntimeError:
        return False
    finally:
        over.set()
        for one in begun:
            one.join()
    return True


def is_of_threads(error: BaseException) -> bool:
    """Whether an error says that no thread or no process can be started."""
    return isinstance(error, BlockingIOError) or (isinstance(error, RuntimeError) and "start new thread" in str(error))


def is_cause(error: BaseException) -> bool:
    """Whether too little memory is what an error comes from: under a limit, Python's and the loader's other words for it, too."""
    if address_space() is None:
        return isinstance(error, MemoryError)
    return isinstance(error, MemoryError | ImportError | SystemError) or getattr(error, "errno", None) == errno.ENOMEM


def told(error: BaseException) -> str:
    """A line for an error that too little memory has made, wherever it was: also before NumPy, where very little is allowed."""
    if (limit := address_space()) is not None and limit < LEAST:
        return too_few(limit)
    return f"{str(error).partition(chr(10))[0] or 'memory'}: there is too little memory for it (ulimit -v); allow more"


def guard_memory() -> None:
    """Where the address space is limited to less than is needed, say so before it is needed.

    Raises SystemExit where it is too little for anything.
    """
    limit = address_space()
    if limit is not None and limit < BEGIN:
        sys.exit(f"digitcmp: {too_few(limit)}")
    if limit is not None and limit < LEAST:
        sys.meta_path.insert(0, Room(limit))


def guard_threads() -> None:
    """Where threads are limited, see whether there are enough of them before torch is imported, which takes hundreds of times as long."""
    try:
        import resource
    except ImportError:  # not on this system
        return
    if hasattr(resource, "RLIMIT_NPROC") and resource.getrlimit(resource.RLIMIT_NPROC)[0] != resource.RLIM_INFINITY:
        sys.meta_path.insert(0, Threads())


def address_space() -> int | None:
    """To how many bytes of it this process is limited; None where it is not."""
    try:
        import resource
    except ImportError:  # not on this system
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit
