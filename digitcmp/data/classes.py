"""Pictures of one's own in class folders: which are read, and what is left out. Imports no torch."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from digitcmp.counting import counted, some
from digitcmp.errors import DataError, DigitcmpError

CLASSES = 10
SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp"}  # of `digitcmp.data.pictures.FORMATS`
PARTS = ("train", "test")
TEST = 3  # every third image of a class, of a set that is not divided, is for the test
JUNK = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx"}  # what systems leave in folders, beside hidden files


def class_numbers(folder: Path) -> dict[str, int]:
    """The classes of a folder by their folders' names: their numbers where all are digits, else in the order of their names. Raises
    DataError for none, or too many."""
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not 0 < len(names) <= CLASSES:
        raise DataError(f"{folder}: it has {len(names)} class folders; there must be from 2 to {CLASSES}")
    digits = all(name.isascii() and name.isdecimal() and len(name) == 1 for name in names)
    return {name: int(name) if digits else number for number, name in enumerate(names)}


def pictures_of(folder: Path) -> list[Path]:
    """The pictures of a class folder that are read, in the order of their names; none where there is no such folder."""
    return sorted(path for path in folder.iterdir() if is_picture(path.name)) if folder.is_dir() else []


def is_picture(name: str) -> bool:
    """Whether a file of this name is read."""
    return Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")


def is_divided(base: Path) -> bool:
    """Whether a folder has the parts itself."""
    return any((base / part).is_dir() for part in PARTS)


def left_out(root: str) -> list[str]:
    """What of a folder of pictures takes no part, a line each: files and folders that are not read, and classes without a picture. Nothing
    of one that cannot be read, of which whoever reads it tells."""
    base = Path(os.path.expanduser(root))  # noqa: PTH111 (pathlib's raises where no user has the name)
    try:
        parts = [base / part for part in PARTS] if is_divided(base) else [base]
        numbered = class_numbers(parts[0])
        counts = [[len(pictures_of(part / name)) for name in numbered] for part in parts]
        unread = list(unread_of(base, parts, numbered))
    except (DigitcmpError, OSError, ValueError):
        return []
    return [*told_unread(unread), *told_empty(list(numbered), counts)]


def unread_of(base: Path, parts: Sequence[Path], numbered: dict[str, int]) -> Iterator[Path]:
    """What somebody may think is read: all that is no picture in class folders, pictures beside these, and folders beside the parts."""
    inside = {part / name for part in parts for name in numbered}
    for folder in dict.fromkeys([base, *parts, *sorted(inside)]):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            name = path.name
            if name.startswith(".") or name.lower() in JUNK or path in inside or path in parts:
                continue
            if not is_picture(name) if folder in inside else is_picture(name) or path.is_dir():
                yield path


def told_unread(unread: Sequence[Path]) -> list[str]:
    """Files by their kinds, the most frequent one first, and folders."""
    folders = [path for path in unread if path.is_dir()]
    kinds = Counter(path.suffix.lower() or "no ending" for path in unread if not path.is_dir())
    lines = []
    if kinds:
        most = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
        lines.append(f"{counted(kinds.total(), 'file')} not read ({some(f'{kind}: {number}' for kind, number in most)})")
    if folders:
        lines.append(f"{counted(len(folders), 'folder')} not read ({some(f'{path.parent.name}/{path.name}' for path in folders)})")
    return lines


def told_empty(names: Sequence[str], counts: Sequence[Sequence[int]]) -> list[str]:
    """Classes that no picture has, in all or in one part. counts: of each part, or of the whole set, how many pictures each class has."""
    train, test = counts if len(counts) > 1 else ([own - own // TEST for own in counts[0]], [own // TEST for own in counts[0]])
    found: dict[str, list[str]] = {"": [], "training ": [], "test ": []}
    for name, own, tested in zip(names, train, test, strict=True):
        if not (own and tested):
            found["" if own == tested else "test " if own else "training "].append(name)
    return [f"no {kind}picture of {'class' if len(own) == 1 else 'classes'} {some(own)}" for kind, own in found.items() if own]
