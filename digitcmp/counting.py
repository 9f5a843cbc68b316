"""How many there are of something, and how large it is, in words."""

from collections.abc import Iterable

NAMED = 5  # so many things are named in a line, the rest is counted


def counted(number: int, noun: str) -> str:
    """1 epoch, 2 epochs. noun: one that gets an s."""
    return f"{number} {plural(number, noun)}"


def plural(number: int, noun: str) -> str:
    """epoch of one, epochs of more and of none."""
    return noun if number == 1 else f"{noun}s"


def are(number: int) -> str:
    """is of one, are of more and of none."""
    return "is" if number == 1 else "are"


def part_of(number: int, whole: int, noun: str) -> str:
    """1 of 4 files, all 4 files."""
    return f"all {counted(whole, noun)}" if number == whole > 1 else f"{number} of {counted(whole, noun)}"


def some(items: Iterable[str], between: str = ", ") -> str:
    """a, b, c and 2 more."""
    names = list(items)
    return between.join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def in_bytes(size: float) -> str:
    """A size as people say it."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.{0 if unit == 'kB' else 1}f} {unit}"
    return f"{size:.0f} B"


def seeds_of(seeds: Iterable[int]) -> str:
    """seed 3, seeds 0, 1, 2 and 7 more."""
    names = list(map(str, seeds))
    return f"{plural(len(names), 'seed')} {some(names)}"
