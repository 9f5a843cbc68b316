"""What there is to know about a run, by key: configuration, how it stands, what it came to, what made it; filters and orders by that."""

import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from statistics import fmean
from typing import Any

from digitcmp.config.identity import flat
from digitcmp.errors import RunError
from digitcmp.experiment.folders import natural
from digitcmp.report.metrics import DECIMALS
from digitcmp.runs.found import look
from digitcmp.runs.notes import read_notes
from digitcmp.runs.status import RunStatus, read_run

Facts = dict[str, Any]
MADE = ["parameters", "engine", "workers", "device", "hosts", "torch", "digitcmp", "python", "git_commit", "git_dirty", "plugins"]
MADE += ["command", "started", "finished", "tags"]
MEASURED = ["test_accuracy", "val_accuracy", "digit_accuracy", "train_accuracy", "train_loss", "seconds"]
TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le, ">=": operator.ge, "!=": operator.ne, "<": operator.lt, ">": operator.gt, "=": operator.eq,
}  # fmt: skip
FILTER = re.compile(r"([^<>=!]+)(<=|>=|!=|<|>|=)(.*)", re.DOTALL)


def read_facts(folder: Path) -> list[Facts]:
    """Of every run at or below a folder, damaged ones too, in natural order. Raises RunError where there is none."""
    if not (found := look(folder)[0]):
        raise RunError(f"{folder} holds no run (there is no run.json in it or below it)")
    return [facts_of(read_run(directory, None)) for directory in sorted(found, key=lambda path: natural(str(path)))]


def facts_of(run: RunStatus) -> Facts:
    """Of one run. folder, name, status, rounds, done, failed, note; the keys of its configuration; what run.json says of who made it
    (`MADE`); and the mean over its finished rounds of each figure (`MEASURED`)."""
    facts: Facts = {"folder": str(run.folder), "name": run.folder.name, "status": run.state}
    facts |= {"rounds": sum(run.counts.values()), "done": run.done, "failed": run.failed, "note": " / ".join(read_notes(run.folder))}
    if run.note:
        facts["damaged"] = run.note
    facts |= made_by(run.about)
    for name in MEASURED:
        values = [value for row in run.rows if row.status == "done" and (value := getattr(row, name)) is not None]
        if values:
            facts[name] = round(fmean(values), DECIMALS)
    return facts | flat(run.about.get("configuration", {}))


def made_by(about: dict[str, Any]) -> Facts:
    """What a run.json says of what made the run: `MADE`, as far as it does; packages and files of others with their versions."""
    told = {name: about[name] for name in MADE if about.get(name) is not None}
    if isinstance(plugins := told.get("plugins"), dict):
        told["plugins"] = [f"{name} {version}" for name, version in plugins.items()]
    return told


def chosen(runs: Sequence[Facts], filters: Iterable[str]) -> list[Facts]:
    """The runs that pass all filters: KEY=VALUE, KEY!=VALUE, KEY<VALUE and so on. Raises RunError for what is no filter, or a key that no
    run has."""
    found, known = list(runs), {key for facts in runs for key in facts}
    for text in filters:
        if (parts := FILTER.fullmatch(text)) is None:
            raise RunError(f"--where {text}: this is no filter; give KEY=VALUE, as in model.name=wsn, or KEY>VALUE, KEY!=VALUE and so on")
        key, sign, value = parts[1].strip(), parts[2], parts[3].strip()
        check_key("--where", key, known)
        found = [facts for facts in found if passes(facts.get(key), sign, value)]
    return found


def check_key(option: str, key: str, known: Iterable[str]) -> None:
    """Raise RunError for a key that no run has, with the nearest ones."""
    names = sorted(known)
    if key in names:
        return
    ends = [name for name in names if name.rpartition(".")[2] == key.rpartition(".")[2]]
    near = list(dict.fromkeys([*ends, *get_close_matches(key, names, n=3, cutoff=0.5)]))[:3]
    advice = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names[:10])} and others"
    raise RunError(f"{option} {key}: no run here has this key; {advice}")


def passes(value: Any, sign: str, wanted: str) -> bool:
    """Whether a value is as wanted: numbers by their size, text with * and ? as in names of files, a list by one of its values.

    What a run has not is null, and passes = null alone.
    """
    if value is None:
        return (wanted == "null") == (sign == "=") and sign in ("=", "!=")
    if isinstance(value, list):
        return any(passes(one, "=", wanted) for one in value) == (sign == "=") if sign in ("=", "!=") else False
    number = to_number(wanted)
    if isinstance(value, int | float) and not isinstance(value, bool):
        if number is None:
            return sign == "!="
        close = math.isclose(value, number, rel_tol=1e-9)
        return close if sign == "=" else not close if sign == "!=" else TESTS[sign](value, number)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if sign in ("=", "!="):
        same = text == wanted or fnmatchcase(text, wanted.lower() if isinstance(value, bool) else wanted)
        return same == (sign == "=")
    return TESTS[sign](text, wanted)


def to_number(text: str) -> float | None:
    """The number that a text is, None where it is none."""
    try:
        return float(text)
    except ValueError:
        return None


def ordered(runs: Sequence[Facts], key: str, reverse: bool) -> list[Facts]:
    """The runs by the values of a key, accuracies from the highest, everything else from the lowest; those that have none come last.

    Raises RunError for a key that no run has.
    """
    check_key("--sort", key, {name for facts in runs for name in facts})
    down = key.endswith("_accuracy") != reverse
    there = sorted((facts for facts in runs if facts.get(key) is not None), key=lambda facts: rank(facts[key]), reverse=down)
    return [*there, *(facts for facts in runs if facts.get(key) is None)]


def rank(value: Any) -> tuple[int, Any]:
    """By what values of any kind are sorted: numbers before texts."""
    return (0, float(value)) if isinstance(value, int | float) else (1, natural(str(value)))


def varying(runs: Sequence[Facts], keys: Iterable[str]) -> Iterator[str]:
    """Those of these keys in which the runs differ."""
    for key in keys:
        if len({repr(facts.get(key)) for facts in runs}) > 1:
            yield key
