"""Comparisons and effects that were changed beside their rounds are told, whatever is drawn."""

import shutil
from pathlib import Path

import pytest

from digitcmp.errors import RunError
from digitcmp.report.frames import read_sweep
from digitcmp.report.labels import configurations
from digitcmp.verify.reported import reported_contradictions
from digitcmp.verify.tables import unsigned

PUBLISHED = Path(__file__).parent.parent.parent / "docs" / "results" / "splitnet"  # four configurations, a full factorial


def told(folder: Path) -> dict[str, str]:
    """What is told of a published folder."""
    return reported_contradictions(folder, configurations(read_sweep([folder])))


def changed(tmp_path: Path, name: str, text: str, other: str) -> dict[str, str]:
    """What is told when one of its files was changed."""
    folder = Path(shutil.copytree(PUBLISHED, tmp_path / "splitnet"))
    before = (folder / name).read_text()
    assert before.count(text) > 0
    (folder / name).write_text(before.replace(text, other, 1))
    return told(folder)


@pytest.mark.parametrize(
    ("name", "text", "other", "label", "what"),
    [
        ("comparisons.csv", "-3.55", "3.55", "dropout=0.5", "says difference_points 3.55, its rounds -3.55"),
        ("comparisons.csv", "6.8,5.25", "6.8,6.25", "batchnorm dropout=0.5", "says difference_low_points 6.25, its rounds 5.25"),
        ("comparisons.csv", "28,0,2", "30,0,0", "batchnorm dropout=0", "says rounds_won 30, its rounds 28"),
        ("comparisons.csv", "28,0,2", "many,0,2", "batchnorm dropout=0", "says rounds_won many, its rounds 28"),
        ("comparisons.csv", "d_z", "d", "dropout=0", "has other rows or columns than its rounds give"),
        ("comparisons.md", "| -3.55 |", "| +3.55 |", "dropout=0", "says +3.55, its rounds -3.55"),
        ("comparisons.md", "| dropout=0.5 |", "| dropout=0.6 |", "dropout=0", "says dropout=0.6, its rounds dropout=0.5"),
        ("comparisons.md", "| 28-0-2 |", "| 28-0-2 | 30-0-0 |", "dropout=0", "says 30-0-0, its rounds 30"),
        ("effects.csv", "7.19375", "7.29375", "dropout=0", "says interquartile_points 7.29375, its rounds 7.19375"),
        ("effects.md", "| -0.42 |", "| +0.42 |", "dropout=0", "says +0.42, its rounds -0.42"),
        ("effects_apart.csv", "10.35", "12.35", "batchnorm dropout=0.5", "says difference_points 12.35, its rounds 10.35"),
    ],
)
def test_a_figure_that_was_changed(name: str, text: str, other: str, label: str, what: str, tmp_path: Path) -> None:
    """One line, of the configuration that it is about, or of the first one."""
    assert changed(tmp_path, name, text, other) == {label: f"{name} {what}"}


def test_notes_are_free(tmp_path: Path) -> None:
    """What stands below a table is prose; so is what another version writes there."""
    assert changed(tmp_path, "effects.md", "- Effects of the full factorial", "- Effects") == {}


@pytest.mark.parametrize(
    ("cell", "bare"),
    [("-0.00", "0.00"), ("+0.0 (-0.00 to +0.10)", "0.0 (0.00 to +0.10)"), ("-0.01", "-0.01"), ("lr-0.0", "lr-0.0"), ("-0.001", "-0.001")],
)
def test_zeros_have_no_sign(cell: str, bare: str) -> None:
    """Earlier versions wrote -0.00 for what rounds to it from below; a number that is none keeps its sign."""
    assert unsigned(cell) == bare


def test_the_digits_that_tables_leave_out(tmp_path: Path) -> None:
    """The same number, written with fewer of them."""
    assert changed(tmp_path, "effects.csv", "7.7133333", "7.71333332") == {}


def test_rows_and_files_that_are_not_the_rounds_own(tmp_path: Path) -> None:
    """A row too few; a file of what the rounds do not give; tables without comparisons say nothing of them."""
    folder = Path(shutil.copytree(PUBLISHED, tmp_path / "splitnet"))
    lines = (folder / "effects.md").read_text().splitlines()
    (folder / "effects.md").write_text("\n".join(line for line in lines if "\N{MULTIPLICATION SIGN}" not in line))
    assert told(folder) == {"dropout=0": "effects.md has another number of rows than its rounds give"}
    shutil.copy(folder / "effects.csv", folder / "swept_differences.csv")
    shutil.copy(PUBLISHED / "effects.md", folder)
    assert told(folder) == {"dropout=0": "swept_differences.csv is there, though its rounds give none"}
    for path in (*folder.glob("effects*"), *folder.glob("swept*"), *folder.glob("comparisons.*")):
        path.unlink()
    assert told(folder) == {}


def test_other_names_and_another_baseline(tmp_path: Path) -> None:
    """As `--rename` and `--baseline` make them; a baseline of no rounds is told."""
    folder = Path(shutil.copytree(PUBLISHED, tmp_path / "splitnet"))
    for path in folder.glob("*.*"):
        if path.suffix in (".csv", ".md"):
            path.write_text(path.read_text().replace("dropout=0.5", "half").replace("batchnorm half", "both"))
    assert told(folder) == {}
    (folder / "comparisons.csv").write_text((folder / "comparisons.csv").read_text().replace("dropout=0,", "none,"))
    with pytest.raises(RunError, match="cannot be worked out again: baseline 'none'"):
        told(folder)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    """One line with the file's name."""
    folder = Path(shutil.copytree(PUBLISHED, tmp_path / "splitnet"))
    (folder / "effects_apart.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RunError, match=r"effects_apart.csv cannot be read: "):
        told(folder)
