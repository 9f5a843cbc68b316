"""Names of runs in a column that is too narrow for them: short, and told apart all the same."""

import re
from collections import Counter
from collections.abc import Sequence

PART = re.compile(r"[^,/]+[,/]?|[,/]")  # KEY=VALUE of a run's folder, or a folder of its path


def short_names(names: Sequence[str], most: int) -> list[str]:
    """These names in at most so many characters each. Those that are longer lose the parts that all of them have, then their middle; two
    that would be the same are numbered, so that what was different stays so."""
    parts = {name: PART.findall(name) for name in names if len(name) > most}
    shared = set.intersection(*map(set, parts.values())) if len(parts) > 1 else set()
    short = {
        name: cut(re.sub("…+", "…", "".join("…" if part in shared else part for part in found)), most) for name, found in parts.items()
    }
    taken = Counter(short.get(name, name) for name in set(names))
    numbers = Counter[str]()
    for name, text in short.items():
        if taken[text] > 1:
            numbers[text] += 1
            mark = f"~{numbers[text]}"
            short[name] = cut(text, most - len(mark)) + mark
    return [short.get(name, name) for name in names]


def cut(text: str, most: int) -> str:
    """A text of at most so many characters, which has lost its middle where it was longer."""
    head = (most - 1) // 2
    return text if len(text) <= most else f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"
