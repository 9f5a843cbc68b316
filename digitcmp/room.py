"""How much memory this process may take (`ulimit -v`): libraries that get too little of it abort, fail by any error, or try for ever."""

import sys

LEAST = 900 * 2**20  # bytes of address space for NumPy, SciPy, pandas and matplotlib; torch itself says what it lacks


class Room:
    """Ends the program in a line before NumPy is imported: where it has too little memory, its libraries abort, fail by any error, or try
    for ever. Told to importlib as a finder, which finds nothing."""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def find_spec(self, name: str, *_: object) -> None:
        """Called by importlib for each module that is not loaded yet."""
        if name == "numpy":
            allowed, needed = (f"{number / 1e6:,.0f} MB" for number in (self.limit, LEAST))
            sys.exit(f"digitcmp: {allowed} of memory are too few for NumPy and what needs it, which take {needed} (ulimit -v); allow more")


def guard_memory() -> None:
    """Where the address space is limited to less than is needed, say so before it is needed."""
    if (limit := address_space()) is not None and limit < LEAST:
        sys.meta_path.insert(0, Room(limit))


def address_space() -> int | None:
    """To how many bytes of it this process is limited; None where it is not."""
    try:
        import resource
    except ImportError:  # not on this system
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit
