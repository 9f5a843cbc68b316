"""Whether the comparisons and effects of a published folder are those of its rounds: they are worked out again. Imports no torch."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from digitcmp import inert
from digitcmp.errors import RunError
from digitcmp.experiment.published import text_of
from digitcmp.report.build import tables
from digitcmp.report.study import study
from digitcmp.verify.tables import DIGITS, NEEDS, TABLE, csv_of, unsigned

COMPARISONS = "comparisons.csv"
REPORTED = (
    COMPARISONS,
    "comparisons.md",
    "effects.csv",
    "effects.md",
    "effects_apart.csv",
    "effects_distances.csv",
    "swept_differences.csv",
)
TEXTS: dict[str, Any] = {"dtype": "string", "keep_default_na": False}  # of `csv_of`


def reported_contradictions(folder: Path, known: pd.DataFrame) -> dict[str, str]:
    """By label, the first of the figures in the files of REPORTED that is not that of the rounds, in words. What is about no single
    configuration is the first one's. known: as in `digitcmp.report.statistics.summarise`.

    Raises RunError for a file that cannot be read.
    """
    there = [name for name in REPORTED if (folder / name).exists()]
    named = csv_of(folder / TABLE, **TEXTS) if there and (folder / TABLE).exists() else None
    if named is None or not set(named.columns) >= NEEDS:
        return {}
    own = {str(row["configuration_hash"]): str(row["label"]) for row in known.to_dict("records")}
    said = {own[row["configuration_hash"]]: row["configuration"] for row in named.to_dict("records")}
    names = {label: name for label, name in said.items() if name != inert.csv(label)}
    compared = csv_of(folder / COMPARISONS, **TEXTS) if COMPARISONS in there else pd.DataFrame()
    baseline = compared["baseline"].iloc[0] if len(compared) and "baseline" in compared else None
    try:
        expected = tables(study([folder], baseline, names=names))
    except RunError as error:
        raise RunError(f"{folder}: its comparisons cannot be worked out again: {error}") from error
    first, labels = next(iter(own.values())), {name: label for label, name in said.items()}
    wrong = []
    for name in there:
        if name not in expected:
            wrong.append((first, f"{name} is there, though its rounds give none"))
        elif name.endswith(".md"):
            wrong += [(first, f"{name} {what}") for what in of_lines(text_of(folder / name), expected[name])]
        else:
            cells = csv_of(folder / name, **TEXTS), pd.read_csv(io.StringIO(expected[name]), **TEXTS)
            wrong += [(labels.get(row, first), f"{name} {what}") for row, what in of_cells(*cells)]
    return dict(reversed(wrong))  # the first of each


def of_cells(said: pd.DataFrame, expected: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Of each cell that is not as expected, the configuration of its row, where it has one, and what it says, in words."""
    if list(said.columns) != list(expected.columns) or len(said) != len(expected):
        yield "", "has other rows or columns than its rounds give"
        return
    for there, here in zip(said.to_dict("records"), expected.to_dict("records"), strict=True):
        for column in here:
            if not same(there[column], here[column]):
                yield str(here.get("configuration", "")), f"says {column} {there[column]}, its rounds {here[column]}"


def same(said: str, expected: str) -> bool:
    """Whether two cells are the same text, or the same number but for the digits that tables leave out."""
    if said == expected:
        return True
    number, other = pd.to_numeric(pd.Series([said, expected]), errors="coerce").astype("float64")
    return bool(np.isclose(number, other, rtol=DIGITS, atol=1e-9))


def of_lines(said: str, expected: str) -> Iterator[str]:
    """What a table in Markdown says otherwise than expected, in words."""
    rows, others = ([line for line in text.splitlines() if line.startswith("|")] for text in (said, expected))
    if len(rows) != len(others):
        yield "has another number of rows than its rounds give"
    for row, other in zip(rows, others, strict=False):
        for cell, right in zip(row.split(" | "), other.split(" | "), strict=False):
            if unsigned(cell) != unsigned(right):
                yield f"says {cell.strip('| ')}, its rounds {right.strip('| ')}"
        if row.count(" | ") != other.count(" | "):
            yield f"has a row of {row.count(' | ') + 1} cells, where its rounds give {other.count(' | ') + 1}"
