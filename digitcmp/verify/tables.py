"""Whether the table of a published folder says what its rounds do: nobody trains a table again. Imports no torch."""

from pathlib import Path

import numpy as np
import pandas as pd

from digitcmp.errors import RunError
from digitcmp.inert import shortened
from digitcmp.report.metrics import TEST_ACCURACY
from digitcmp.report.statistics import summarise
from digitcmp.report.tables import table_columns

TABLE = "table.csv"
COUNTED = ("rounds", "failed", "untrained_rounds")
MEASURED = ("test_accuracy_percent", "std_percent", "median_percent", "min_percent", "max_percent")
DIGITS = 1e-7  # of a figure, as tables have eight


def table_contradictions(folder: Path, rounds: pd.DataFrame, known: pd.DataFrame) -> dict[str, str]:
    """By label, where the table of a published folder says something else than the rounds beside it, in words; nothing where there is no
    table of test accuracies. rounds, known: as in `digitcmp.report.statistics.summarise`. Raises RunError for a table that cannot be read,
    and for one with a configuration of which there are no rounds."""
    path = folder / TABLE
    if not path.exists():
        return {}
    try:
        table = pd.read_csv(path, encoding="utf-8", dtype={"configuration_hash": "string"})
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {shortened(' '.join(str(error).split()), 200)}") from error
    if not {"configuration_hash", *MEASURED, *COUNTED} <= set(table.columns):
        return {}
    named = {column.csv: column for column in table_columns(TEST_ACCURACY)}
    own = summarise(rounds, known).set_index("configuration_hash")
    hashes = set(table["configuration_hash"].fillna("none"))
    if others := sorted(hashes - set(own.index)):
        raise RunError(f"{path} has a configuration of which there are no rounds: {others[0]}")
    found = {str(row["label"]): f"{TABLE} leaves it out" for name, row in own.iterrows() if name not in hashes}
    for row in table.to_dict("records"):
        there = own.loc[row["configuration_hash"]]
        for name in (*COUNTED, *MEASURED):
            column = named[name]
            value = float(there[column.key]) * (column.scale or 1)
            said = pd.to_numeric(row[name], errors="coerce")
            if not np.isclose(said, value, rtol=DIGITS, atol=1e-9, equal_nan=True):
                found.setdefault(str(there["label"]), f"{TABLE} says {name} {row[name]}, its rounds {value:.8g}")
    return found
