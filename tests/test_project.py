"""What the project says of itself to other programs: its citation, and the Python versions that it is tested with."""

import tomllib
from typing import Any

import yaml

import digitcmp
from tests.conftest import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_citation() -> None:
    """CITATION.cff has what version 1.2.0 of its format asks for, and says what pyproject.toml says."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(cited)
    assert set(cited) <= {"abstract", "authors", "cff-version", "keywords", "license", "message", "title", "type", "version"}
    assert cited["type"] in ("software", "dataset")
    assert all(author.keys() == {"name"} for author in cited["authors"])
    assert cited["version"] == digitcmp.__version__
    assert (cited["license"], cited["keywords"]) == (PROJECT["license"], PROJECT["keywords"])
    assert cited["authors"] == PROJECT["authors"]


def test_tested_versions() -> None:
    """The matrix of continuous integration begins with the oldest Python that is supported, and leaves none out."""
    matrix = yaml.safe_load((ROOT / ".github" / "workflows" / "matrix.yml").read_text())["jobs"]["tests"]["strategy"]["matrix"]
    oldest = PROJECT["requires-python"].removeprefix(">=")
    assert matrix["python"] == [f"3.{minor}" for minor in range(int(oldest.partition(".")[2]), 15)]
    assert [text.rpartition(" ")[2] for text in PROJECT["classifiers"] if "Python :: 3." in text] == matrix["python"]
    assert {one["os"] for one in matrix["include"]} == {"macos-latest"}
