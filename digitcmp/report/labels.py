"""Short names for configurations, which say only what differs between them, and the order in which they are reported."""

from collections import Counter
from typing import Any

import pandas as pd

from digitcmp.config.identity import flat
from digitcmp.inert import storable
from digitcmp.report.frames import Sweep
from digitcmp.report.runs import as_text, typed

Values = dict[str, Any]  # dotted key to a plain value, None where the configuration has no such key
# keys whose value stands for all that comes with it: net4 is enough, its layers need not be told
HEADS = ("model.name", "optimizer.algorithm", "scheduler.shape", "data.source")
LONGEST = 32  # longer texts (lists of layers) are not shown
SAYING = ("units", "channels", "part", "loss", "kind")  # the first of them that a part of a list has says most of it
PLAIN = "plain"  # nothing of what differs is switched on


def configurations(sweep: Sweep) -> pd.DataFrame:
    """One row a configuration, in the order of the report: label, configuration_hash, parameters and the configuration's columns.

    The order is that in which the networks were first started, and within a network that of its configurations; where these differ in
    one number, they are in its order.
    """
    first = sweep.runs.drop_duplicates("configuration_hash")
    if "model.name" in first:
        first = first.iloc[pd.factorize(first["model.name"], use_na_sentinel=False)[0].argsort(kind="stable")]
    hashes = in_numeric_order({name: flat(sweep.configurations[name]) for name in first["configuration_hash"]})
    frame = first.set_index("configuration_hash", drop=False).loc[hashes, ["configuration_hash", "parameters"]].reset_index(drop=True)
    values = into_lists([flat(sweep.configurations[name]) for name in frame["configuration_hash"]])
    columns = {key: typed([one.get(key) for one in values]) for key in dict.fromkeys(key for one in values for key in one)}
    told = in_few_words(values, [flat(sweep.configurations[name]) for name in frame["configuration_hash"]])
    labels = label_all(dict(zip(frame["configuration_hash"], told, strict=True)))
    frame.insert(0, "label", [storable(label) for label in labels.values()])
    return pd.concat([frame, pd.DataFrame(columns)], axis=1)


def in_numeric_order(values: dict[str, Values]) -> list[str]:
    """The hashes of configurations, those of a network that differ in a single number in the order of that number."""
    networks: dict[str, list[str]] = {}
    for name, one in values.items():
        networks.setdefault(shown(one.get("model.name")), []).append(name)
    order = []
    for members in networks.values():
        keys = dict.fromkeys(key for name in members for key in values[name])
        varying = [key for key in keys if len({str(values[name].get(key)) for name in members}) > 1]
        found = [values[name].get(varying[0]) for name in members] if len(varying) == 1 else [None]
        if all(is_number(value) for value in found):
            members = [name for _, name in sorted(zip(found, members, strict=True))]
        order += members
    return order


def into_lists(values: list[Values]) -> list[Values]:
    """Configurations with paths into their lists of layers, as `model.digit_dense.0.units`, where all have as many layers there; other
    lists as compact text."""
    found = []
    for one in values:
        paths: Values = {}
        for key, value in one.items():
            if is_layers(value) and all(is_layers(other.get(key)) and len(other[key]) == len(value) for other in values):
                paths |= {f"{key}.{index}.{name}": part for index, layer in enumerate(value) for name, part in layer.items()}
            else:
                paths[key] = as_text(value)
        found.append(paths)
    return found


def in_few_words(values: list[Values], whole: list[Values]) -> list[Values]:
    """The values (`into_lists`) for labels: lists of parts as their units, channels or names, of long texts the end, where that tells all
    of them apart that differ. whole: the configurations themselves."""
    found = [dict(one) for one in values]
    for key in dict.fromkeys(key for one in values for key in one):
        texts = [one.get(key) for one in values]
        lists = [one.get(key) for one in whole]
        brief = texts
        if any(map(is_layers, lists)):
            brief = [briefly_told(value) if isinstance(value, list) else text for value, text in zip(lists, texts, strict=True)]
        elif any(isinstance(text, str) and len(text) > LONGEST and text[0] not in "[{" for text in texts):
            brief = [f"…{text[1 - LONGEST :]}" if isinstance(text, str) and len(text) > LONGEST else text for text in texts]
        if len({*map(str, brief)}) == len({*map(str, texts)}):
            for one, text in zip(found, brief, strict=True):
                if key in one:
                    one[key] = text
    return found


def briefly_told(parts: list[Any]) -> str | None:
    """A list of layers or other parts as what says most of each: 100-50, tower-comparator; None for an empty one."""
    said = [next((shown(part[name]) for name in SAYING if part.get(name) is not None), "") for part in parts if isinstance(part, dict)]
    return "-".join(said) or None


def is_layers(value: Any) -> bool:
    """Whether a value is a list of parts with keys of their own."""
    return isinstance(value, list) and bool(value) and all(isinstance(part, dict) for part in value)


def label_all(values: dict[str, Values]) -> dict[str, str]:
    """A label for every configuration, by hash: what differs, in few words, never the same for two.

    True booleans are flags, false ones are silent; so is a number that is either 0 or one other value, where it is 0, unless it is
    the only such number.
    """
    parts: dict[str, list[str]] = {name: [] for name in values}
    groups = [list(values)]  # of those that the heads so far don't tell apart
    for head in HEADS:
        groups = [members for group in groups for members in split(group, head, values, parts)]
    short = short_keys(list(dict.fromkeys(key for one in values.values() for key in one)))
    for group in groups:
        name_keys(group, values, parts, short)
    some = next(iter(values.values()))
    alone = shown(some.get("model.name")) if len(values) == 1 and some.get("model.name") else PLAIN
    labels = {name: " ".join(words) or alone for name, words in parts.items()}
    again = Counter(labels.values())
    return {name: f"{label} ({name})" if again[label] > 1 else label for name, label in labels.items()}


def split(group: list[str], head: str, values: dict[str, Values], parts: dict[str, list[str]]) -> list[list[str]]:
    """A group by the values of a key; these go into the parts of its members where they differ."""
    members: dict[str, list[str]] = {}
    for one in group:
        members.setdefault(shown(values[one].get(head)), []).append(one)
    for text, inside in members.items():
        for one in inside if len(members) > 1 and text else []:
            parts[one].append(text)
    return list(members.values())


def name_keys(group: list[str], values: dict[str, Values], parts: dict[str, list[str]], short: dict[str, str]) -> None:
    """Tell the members of a group apart by every key that varies in it, those of the network first. short: the names of the keys."""
    found = {key: [values[one].get(key) for one in group] for key in short if key not in HEADS}
    varying = [key for key, each in found.items() if len(set(map(shown, each))) > 1]
    switches = [key for key in varying if is_switch(found[key])]
    for key in sorted(varying, key=lambda key: not key.startswith("model.")):
        switch = key in switches and len(switches) > 1
        for one, value, text in zip(group, found[key], briefly(found[key]), strict=True):
            if text and value is not False and len(text) <= LONGEST and not (switch and value == 0):
                parts[one].append(short[key] if value is True else f"{short[key]}={text}")


def is_switch(values: list[Any]) -> bool:
    """Whether these are numbers that are either 0 or one other value, as a dropout of 0 or 0.2; not the ten weights of a curve."""
    numbers = {value for value in values if value is not None}
    return len(numbers) <= 2 and 0 in numbers and all(map(is_number, numbers))


def is_number(value: Any) -> bool:
    """Whether a value is a number; a flag is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def briefly(values: list[Any]) -> list[str]:
    """Values as texts, floats with as few of 4, 6, 12 or all digits as tell them apart."""
    whole = [shown(value) for value in values]
    for form in (".4g", ".6g", ".12g"):
        brief = [format(value, form) if isinstance(value, float) else text for value, text in zip(values, whole, strict=True)]
        if len(set(brief)) == len(set(whole)):
            return brief
    return whole


def shown(value: Any) -> str:
    """A value as short text: 0.4, 60, true, net1; empty for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return short if float(short := format(value, ".12g")) == value else repr(float(value))
    return str(value)


def short_keys(keys: list[str]) -> dict[str, str]:
    """Each dotted key with as few of its last parts as tell it from the other keys, from a name on: lr, comparator.relu, tower.0.kernel."""
    parts = {key: key.split(".") for key in keys}
    endings = {
        key: [".".join(found[start:]) for start in range(len(found) - 1, -1, -1) if not found[start].isdecimal()]
        for key, found in parts.items()
    }
    count = Counter(end for ends in endings.values() for end in ends)
    return {key: next(end for end in ends if count[end] == 1 or end == key) for key, ends in endings.items()}
