"""The documentation site is built, and warnings are errors: a link to nowhere, a docstring that is no text, a page nobody finds."""

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT


def test_site(tmp_path: Path) -> None:
    """Its pages, the notebook with its figures, and the docstrings of what is public."""
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "-d",
        str(tmp_path / "trees"),
        str(ROOT / "docs"),
        str(tmp_path / "site"),
    ]
    built = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=280)
    assert built.returncode == 0, built.stderr
    assert "digitcmp.sweep" in (tmp_path / "site" / "reference.html").read_text()
    assert (tmp_path / "site" / "tutorial.html").read_text().count("<img") >= 2
