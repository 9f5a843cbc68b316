"""Tables as files."""

import io

import numpy as np
import pandas as pd
import pytest

from digitcmp import inert
from digitcmp.report.comparisons import compare
from digitcmp.report.metrics import TEST_ACCURACY
from digitcmp.report.statistics import summarise
from digitcmp.report.tables import (
    comparison_columns,
    duration,
    number,
    p_value,
    percent,
    show,
    table_columns,
    to_csv,
    to_latex,
    to_markdown,
    typeset,
)
from tests.report.test_statistics import frame, known

ROUNDS = frame({"a_b": [0.6, 0.8], "<b>|": [0.8375, None]})
TABLE_FRAME = summarise(ROUNDS, known("a_b", "<b>|"))


def test_shown_in_per_cent() -> None:
    """mean ± std, a dash where there is none, no column without values."""
    shown = show(TABLE_FRAME, table_columns())
    assert shown["test accuracy [%]"].tolist() == ["70.00 ± 14.14", "83.75"]
    assert shown["95 % interval"].tolist() == ["0.00 to 100.00", "–"]  # not beyond what is possible
    assert shown["failed"].tolist() == ["–", "1"]
    assert shown["with failed"].tolist() == ["–", "69.38"]
    assert shown["median"].tolist() == ["70.00", "-∞"]
    assert shown["failed or untrained [%]"].tolist() == ["0.0 (0.0 to 65.8)", "50.0 (9.5 to 90.5)"]
    assert shown.columns[[0, 1, -1]].tolist() == ["configuration", "test accuracy [%]", "parameters"]
    assert "digits [%]" not in shown
    assert [duration(seconds) for seconds in (3.14159, 119, 120, 7200)] == ["3.14 s", "119 s", "2.0 min", "2.0 h"]
    assert [p_value(p) for p in (0.00009, 0.0001, 0.04126, float("nan"))] == ["< 0.0001", "0.0001", "0.0413", "–"]


def test_csv_has_the_numbers() -> None:
    """In per cent and points, as the names say; missing ones are empty."""
    table = pd.read_csv(io.StringIO(to_csv(TABLE_FRAME, table_columns())))
    assert table["configuration"].tolist() == ["a_b", "<b>|"]
    assert table["test_accuracy_percent"].tolist() == pytest.approx([70, 83.75])
    assert table["std_percent"].isna().tolist() == [False, True]
    comparisons = pd.read_csv(io.StringIO(to_csv(compare(ROUNDS, "a_b"), comparison_columns())))
    assert comparisons["mean_points"].tolist() == pytest.approx([23.75])
    assert comparisons["difference_points"].tolist() == [-np.inf]  # of one that is better and one that failed
    assert {column.key for column in table_columns()} == {*TABLE_FRAME.columns, "saturated", "first_loss", "last_loss"} - {"all"}


def test_markdown_keeps_its_columns() -> None:
    """A bar or a tag in a name is text."""
    lines = to_markdown(show(TABLE_FRAME, table_columns())).splitlines()
    assert len(lines) == 4
    assert lines[3].startswith(r"| &lt;b>\| | 83.75 |")
    assert len({line.replace(r"\|", "").count("|") for line in lines}) == 1


def test_latex_escapes() -> None:
    """Underscores, per cent signs and the like are text; rows have as many cells as columns."""
    assert inert.latex("a_b 5% {x} #1 & $ ~ ^ \\ ± –") == (
        r"a\_b 5\% \{x\} \#1 \& \$ \textasciitilde{} \textasciicircum{} \textbackslash{} $\pm$ --"
    )
    text = to_latex(show(compare(ROUNDS, "a_b"), comparison_columns()), ["a note"])
    assert text.startswith("% needs \\usepackage{booktabs}\n% a note\n\\begin{tabular}{lr")
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {row.replace(r"\&", "").count("&") for row in rows} == {len(show(compare(ROUNDS, "a_b"), comparison_columns()).columns) - 1}
    assert r"a\_b" in to_latex(show(TABLE_FRAME, table_columns()), [])


def test_minus_signs_are_typeset() -> None:
    """In front of a number or of infinity, not in names, ranges or seeds; in LaTeX's tables each is one, but in the names of rows."""
    assert list(map(typeset, ["-1.50 to +2", "(-∞ to -0.3)", "5-0-3", "a-1", "--2"])) == [
        "−1.50 to +2",
        "(−∞ to −0.3)",
        "5-0-3",
        "a-1",
        "--2",
    ]
    rows = pd.DataFrame({"label": ["lr=-1", "b"], "value": ["-∞ to -1.50", "1"]}, dtype="object")
    assert r"lr=-1 & $-$$\infty$ to $-$1.50 \\" in to_latex(rows, [])


def test_what_rounds_to_zero_has_no_minus() -> None:
    """Whatever its sign is beyond the decimals that are shown."""
    assert (number(-0.004), percent(-0.00004, "+.2f"), percent(0, "+.2f")) == ("0.00", "0.00", "+0.00")
    assert TEST_ACCURACY.show(-0.00004) == "0.00"
    assert TEST_ACCURACY.show(-0.00004, "+") == "0.00"
    assert TEST_ACCURACY.show(-0.0001) == "-0.01"
