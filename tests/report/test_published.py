"""What is published in docs/results is what reports of its rounds say now, in every word."""

from pathlib import Path

import pandas as pd
import pytest

from digitcmp.report.ablation.build import write_ladder
from digitcmp.report.build import tables
from digitcmp.report.study import study

RESULTS = Path(__file__).parent.parent.parent / "docs" / "results"
FOLDERS = [path for path in sorted(RESULTS.iterdir()) if (path / "runs").is_dir() and (path / "table.csv").exists()]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_tables_are_what_reports_write_now(folder: Path) -> None:
    """With the baseline and the names that they were published with."""
    published = pd.read_csv(folder / "table.csv").set_index("configuration_hash")["configuration"]
    first = study([folder / "runs"])
    own = zip(first.configurations["label"].astype(str), first.configurations["configuration_hash"], strict=True)
    names = [f"{label}={published[hash_]}" for label, hash_ in own if label != published[hash_]]
    found = study([folder / "runs"], pd.read_csv(folder / "comparisons.csv")["baseline"][0], names=names) if names else first
    texts = tables(found)
    there = {path.name for path in folder.glob("*.*") if path.suffix in (".csv", ".md", ".tex")} - {"trials.csv", "mistakes.csv"}
    assert there == set(texts)
    for name, text in texts.items():
        assert (folder / name).read_text(encoding="utf-8") == text, name


def test_a_ladder_is_what_its_report_writes_now(tmp_path: Path) -> None:
    """Of published rounds, elsewhere."""
    write_ladder(RESULTS / "ladder" / "runs", tmp_path)
    for name in ("ladder.csv", "ladder.md"):
        assert (tmp_path / name).read_text(encoding="utf-8") == (RESULTS / "ladder" / name).read_text(encoding="utf-8")
