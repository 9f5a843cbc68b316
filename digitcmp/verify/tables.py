"""Whether the table of a published folder says what its rounds do: nobody trains a table again. Imports no torch."""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from digitcmp import inert
from digitcmp.errors import RunError
from digitcmp.experiment.published import text_of
from digitcmp.inert import shortened
from digitcmp.report.metrics import TEST_ACCURACY
from digitcmp.report.statistics import summarise
from digitcmp.report.tables import Column, table_columns

TABLE, PAGE = "table.csv", "table.md"
ZERO = re.compile(r"(?<![\w.])[-+](0\.0+)(?!\d)")
NEEDS = {"configuration", "configuration_hash", "test_accuracy_percent", "rounds"}
DIGITS = 1e-7  # of a figure, as tables have eight
MEAN = "test accuracy [%]"


def table_contradictions(folder: Path, rounds: pd.DataFrame, known: pd.DataFrame) -> dict[str, str]:
    """By label, where the table of a published folder says something else than the rounds beside it, in words, in its CSV file or in its
    Markdown; nothing where there is no table of test accuracies. rounds, known: as in `digitcmp.report.statistics.summarise`.

    Raises RunError for a table that cannot be read, and for one with a configuration of which there are no rounds, or that is there twice.
    """
    if not (path := folder / TABLE).exists():
        return {}
    table = csv_of(path, dtype={"configuration_hash": "string"})
    if not set(table.columns) >= NEEDS:
        return {}
    names = table["configuration_hash"].fillna("none")
    if others := sorted(set(names) - set(known["configuration_hash"])):
        raise RunError(f"{path} has a configuration of which there are no rounds: {others[0]}")
    if names.duplicated().any():
        raise RunError(f"{path} has a configuration twice: {names[names.duplicated()].iloc[0]}")
    there = known.set_index("configuration_hash", drop=False)
    own = summarise(rounds, there.loc[names].reset_index(drop=True)).to_dict("records")
    wrong = [(str(row["label"]), f"{TABLE} leaves it out") for name, row in there.iterrows() if name not in set(names)]
    wrong += of_numbers(table.to_dict("records"), own)
    if (page := folder / PAGE).exists():
        wrong += of_texts(text_of(page), table["configuration"].astype(str).tolist(), own)
    return dict(reversed(wrong))  # the first of each


def csv_of(path: Path, **options: Any) -> pd.DataFrame:
    """A CSV file as pandas reads it with these options. Raises RunError where it is none."""
    try:
        table: pd.DataFrame = pd.read_csv(io.StringIO(text_of(path)), **options)
    except ValueError as error:
        raise RunError(f"{path} cannot be read: {shortened(' '.join(str(error).split()), 200)}") from error
    return table


def of_numbers(table: list[dict[Any, Any]], own: list[dict[Any, Any]]) -> Iterator[tuple[str, str]]:
    """A label and a text for each number of a table (rows as its CSV file has them) that is not that of the rounds."""
    for row, there in zip(table, own, strict=True):
        for column in columns_of(own, table[0]):
            value, said = float(there[column.key]) * column.scale, pd.to_numeric(row[column.csv], errors="coerce")
            if not np.isclose(said, value, rtol=DIGITS, atol=1e-9, equal_nan=True):
                yield str(there["label"]), f"{TABLE} says {column.csv} {row[column.csv]}, its rounds {value:.8g}"


def columns_of(own: list[dict[Any, Any]], head: dict[Any, Any]) -> list[Column]:
    """The columns of numbers that a CSV file has, and that rounds alone give (some need their epochs)."""
    named = [column for column in table_columns(TEST_ACCURACY) if column.key not in ("label", "configuration_hash")]
    return [column for column in named if column.csv in head and column.key in own[0]]


def unsigned(cell: str) -> str:
    """A cell whose zeros have no sign: earlier versions wrote -0.00 for what rounds to it from below."""
    return ZERO.sub(r"\1", cell)


def of_texts(text: str, labels: list[str], own: list[dict[Any, Any]]) -> Iterator[tuple[str, str]]:
    """A label and a text for each cell of a table in Markdown that is not what the rounds come to. labels: as the CSV file has them."""
    lines = [line.removeprefix("| ").removesuffix(" |").split(" | ") for line in text.splitlines() if line.startswith("|")]
    head, body = lines[0] if lines else [], lines[2:]  # a rule is between them
    if MEAN not in head or [row[0] for row in body] != list(map(inert.markdown, labels)):
        yield str(own[0]["label"]), f"{PAGE} has other rows or columns than {TABLE}"
        return
    known = {column.title: column for column in table_columns(TEST_ACCURACY)[1:] if column.title and column.key in own[0]}
    for row, there in zip(body, own, strict=True):
        for title, said in zip(head, row, strict=False):
            if (column := known.get(title)) is None:
                continue
            expected = inert.markdown(column.show(there) if column.show else str(there[column.key]))
            if unsigned(said) != unsigned(expected):
                yield str(there["label"]), f"{PAGE} says {title} {said}, its rounds {expected}"
        if len(row) != len(head):
            yield str(there["label"]), f"{PAGE} has a row of {len(row)} cells below {len(head)} titles"
