"""A published table that was changed beside its rounds is told, whatever is drawn."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from digitcmp.errors import RunError
from digitcmp.report.build import document
from digitcmp.report.statistics import summarise
from digitcmp.report.tables import show, table_columns, to_csv, to_markdown
from digitcmp.verify.draw import draw
from digitcmp.verify.tables import PAGE, TABLE, table_contradictions
from tests.report.test_statistics import frame, known

RESULTS = Path(__file__).parent.parent.parent / "docs" / "results"
ROUNDS = frame({"net1": [0.8, 0.82, 0.85], "net2": [0.85, 0.841, 0.55]})
KNOWN = known("net1", "net2")
Change = Callable[[pd.DataFrame], pd.DataFrame]


def changed(folder: Path, change: Change) -> dict[str, str]:
    """What is told of the rounds' own table after a change."""
    columns = table_columns()
    (folder / TABLE).write_text(to_csv(summarise(ROUNDS, KNOWN), columns))
    change(pd.read_csv(folder / TABLE)).to_csv(folder / TABLE, index=False)
    return table_contradictions(folder, ROUNDS, KNOWN)


def written(folder: Path, text: str, other: str) -> dict[str, str]:
    """What is told of the rounds' own table in Markdown after a change of its text."""
    columns, own = table_columns(), summarise(ROUNDS, KNOWN)
    (folder / TABLE).write_text(to_csv(own, columns))
    page = document(to_markdown(show(own, columns)), ["some are untrained"], ["a note"])
    assert text in page
    (folder / PAGE).write_text(page.replace(text, other))
    return table_contradictions(folder, ROUNDS, KNOWN)


@pytest.mark.parametrize(
    ("text", "other", "told"),
    [
        ("net", "net", {}),
        ("a note", "another note", {}),
        ("| 82.33 ±", "| 92.33 ±", {"net1": "table.md says test accuracy [%] 92.33 ± 2.52, its rounds 82.33 ± 2.52"}),
        ("55.00 to 85.00", "84.10 to 85.00", {"net2": "table.md says min to max 84.10 to 85.00, its rounds 55.00 to 85.00"}),
        ("| net2 |", "| net3 |", {"net1": "table.md has other rows or columns than table.csv"}),
        ("test accuracy", "accuracy", {"net1": "table.md has other rows or columns than table.csv"}),
        ("|", "", {"net1": "table.md has other rows or columns than table.csv"}),
        ("| net1 |", "| net1 | 99 |", {"net1": "table.md says test accuracy [%] 99, its rounds 82.33 ± 2.52"}),
    ],
)
def test_a_page_that_was_changed(text: str, other: str, told: dict[str, str], tmp_path: Path) -> None:
    """Its table, not its prose."""
    assert written(tmp_path, text, other) == told


def cell(row: int, column: str, value: object) -> Change:
    """One cell of the table is another."""

    def change(table: pd.DataFrame) -> pd.DataFrame:
        table = table.astype({column: "object"})
        table.loc[row, column] = value
        return table

    return change


def test_the_rounds_own_table_is_true(tmp_path: Path) -> None:
    """In any order of its rows; so is a folder without one, and one of another metric."""
    assert changed(tmp_path, lambda table: table.iloc[::-1]) == {}
    assert changed(tmp_path, lambda table: table.drop(columns="test_accuracy_percent")) == {}
    assert table_contradictions(tmp_path / "none", ROUNDS, KNOWN) == {}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (cell(1, "test_accuracy_percent", 84.7), {"net2": "table.csv says test_accuracy_percent 84.7, its rounds 74.7"}),
        (cell(0, "std_percent", 1.0), {"net1": "table.csv says std_percent 1.0, its rounds 2.5166115"}),
        (cell(1, "min_percent", 84.1), {"net2": "table.csv says min_percent 84.1, its rounds 55"}),
        (cell(1, "untrained_rounds", 0), {"net2": "table.csv says untrained_rounds 0, its rounds 1"}),
        (cell(0, "interval_low_percent", 80.0), {"net1": "table.csv says interval_low_percent 80.0, its rounds 76.081724"}),
        (cell(0, "lost_rounds", 3), {"net1": "table.csv says lost_rounds 3, its rounds 0"}),
        (cell(1, "parameters", 3), {"net2": "table.csv says parameters 3, its rounds 100"}),
        (cell(0, "median_percent", "high"), {"net1": "table.csv says median_percent high, its rounds 82"}),
        (lambda table: table.iloc[:1], {"net2": "table.csv leaves it out"}),
    ],
)
def test_a_table_that_was_changed(change: Change, told: dict[str, str], tmp_path: Path) -> None:
    """One line of the configuration that it is about."""
    assert changed(tmp_path, change) == told


def test_a_table_of_no_rounds(tmp_path: Path) -> None:
    """A configuration that was put in, and what is no table."""
    with pytest.raises(RunError, match="has a configuration of which there are no rounds: made up"):
        changed(tmp_path, cell(0, "configuration_hash", "made up"))
    with pytest.raises(RunError, match=r"table.csv has a configuration twice: "):
        changed(tmp_path, lambda table: table.iloc[[0, 0, 1]])
    (tmp_path / TABLE).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RunError, match=r"table.csv cannot be read: "):
        table_contradictions(tmp_path, ROUNDS, KNOWN)


@pytest.mark.parametrize("folder", sorted(path.parent for path in RESULTS.glob("*/runs")), ids=lambda path: path.name)
def test_published_tables_are_true(folder: Path) -> None:
    """Every round agrees with its epochs, and every table with its rounds."""
    assert draw(folder, 1, 0).contradictions == {}
