"""docs/tutorial.ipynb runs from its first cell to its last, and what is committed is what it puts out."""

import os
from pathlib import Path

import nbformat
import pytest

from tests.conftest import ROOT
from tests.tutorial import NOISE, PAGE, cleaned, executed, outline


def test_tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a kernel, with worker processes; figures, tables and words are there again, whatever their numbers."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    page = nbformat.read(PAGE, 4)  # type: ignore[no-untyped-call]
    assert outline(cleaned(executed(tmp_path))) == outline(page)
    assert (tmp_path / "outputs" / "tutorial" / "two" / "summary" / "report.html").exists()


def test_committed_outputs() -> None:
    """Are all there, small, clean, and free of times and addresses."""
    text, page = PAGE.read_text(), nbformat.read(PAGE, 4)  # type: ignore[no-untyped-call]
    code = [cell for cell in page.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert sum(bool(cell.outputs) for cell in code) >= len(code) - 2
    assert len(text) < 300_000
    shown = [value for cell in code for output in cell.outputs for kind, value in output.get("data", output).items() if kind != "image/png"]
    assert not [found for value in shown if isinstance(value, str) if (found := NOISE.search(value))]
    assert page == cleaned(nbformat.read(PAGE, 4))  # type: ignore[no-untyped-call]
