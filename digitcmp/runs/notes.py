"""What people write down about a run: a line a note, in its folder."""

from contextlib import suppress
from pathlib import Path

from digitcmp.errors import RunError
from digitcmp.experiment.about import read_about
from digitcmp.experiment.provenance import now
from digitcmp.files import append, is_special
from digitcmp.inert import visible

FILE = "notes.txt"
LONGEST = 10_000  # characters of a note
LARGEST = 1_000_000  # bytes that are read


def write_note(directory: Path, text: str) -> Path:
    """Add a note. Raises RunError where there is no run, or nothing to be noted."""
    read_about(directory)
    if not text.strip() or len(text) > LONGEST:
        raise RunError(f"a note has at least one character and at most {LONGEST:,}; this one has {len(text.strip()):,}")
    append(directory / FILE, f"{now()} {visible(text.strip())}\n".encode(), sync=False)
    return directory / FILE


def read_notes(directory: Path) -> list[str]:
    """The notes of a run, the oldest first, without their times."""
    if is_special(directory / FILE):
        return []
    with suppress(OSError), (directory / FILE).open(encoding="utf-8", errors="replace") as file:
        return [line.partition(" ")[2].strip() for line in file.read(LARGEST).splitlines() if line.strip()]
    return []
