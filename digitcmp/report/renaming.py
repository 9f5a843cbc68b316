"""Other names of configurations: of a paper, for those that say what differs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher

from digitcmp.errors import RunError
from digitcmp.inert import storable
from digitcmp.report.metrics import unknown

Names = Mapping[str, str] | Sequence[str]  # by label, or LABEL=NAME each, as typed


def splits(pair: str) -> list[tuple[str, str]]:
    """Every label and name that this can mean, the longest label first: both may have equals signs, as in 'net2 lr=1=wsn lr=1'. Raises
    RunError for what is no LABEL=NAME."""
    found = [(pair[:place], pair[place + 1 :]) for place in range(len(pair) - 2, 0, -1) if pair[place] == "="]
    if not found:
        raise RunError(f"--rename {pair}: this is not LABEL=NAME, as in net1='Model 1'")
    return found


def names_among(given: Names, labels: Sequence[str]) -> dict[str, str]:
    """The names by their labels, of which there are these. Raises RunError for LABEL=NAME with a label that there is not, and for a second
    name of one."""
    if isinstance(given, Mapping):
        return dict(given)
    names: dict[str, str] = {}
    for pair in given:
        label, name = next((split for split in splits(pair) if split[0] in labels), ("", ""))
        if not label:
            raise unknown("rename", nearest([label for label, _ in splits(pair)], labels), "configuration", labels)
        if names.setdefault(label, storable(name)) != storable(name):
            raise RunError(f"--rename {label}={name}: it is called {names[label]} already; give each configuration one name")
    return names


def nearest(wanted: Sequence[str], labels: Sequence[str]) -> str:
    """Which of these is most like one of the labels."""
    return max(wanted, key=lambda text: max(SequenceMatcher(None, text, label).ratio() for label in labels))


def renamed(labels: list[str], names: Mapping[str, str]) -> list[str]:
    """The labels with these other names. Raises RunError for one that is not there, and where two would be the same."""
    for label in names:
        if label not in labels:
            raise unknown("rename", label, "configuration", labels)
    others = [names.get(label, label) for label in labels]
    if twice := [name for name, count in Counter(others).items() if count > 1]:
        raise RunError(f"rename: two configurations would be called {twice[0]!r}; give each a name of its own")
    return others
