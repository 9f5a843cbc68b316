"""The report on a ladder: its figure, its files and its command."""

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import same_color
from PIL import Image
from rich.console import Console

from digitcmp.report import drawing, rendering
from digitcmp.report.ablation import build
from digitcmp.report.ablation import cli as command
from digitcmp.report.ablation.figure import INK, LOOKS, ladder_figure
from digitcmp.report.ablation.rungs import read_ladder
from tests.report.ablation.test_rungs import BASE, GAINS, ORDER, rung, write_ladder
from tests.report.made import write_run


def marks(axes: Axes) -> list[tuple[float, float, object, object]]:
    """The marks of a panel: row, value, colour, filling."""
    lines = [line for line in axes.lines if line.get_marker() == "o"]
    return [(line.get_ydata()[0], line.get_xdata()[0], line.get_color(), line.get_markerfacecolor()) for line in lines]


def test_figure_shows_every_rung(tmp_path: Path) -> None:
    """A row per rung, errors left, gains in points right but for the first, coloured by verdict; intervals as bars."""
    results = read_ladder(write_ladder(tmp_path))
    figure = ladder_figure(results.table, results.rounds)
    left, right = figure.axes[:2]
    assert [text.get_text() for text in left.get_yticklabels()] == results.table["label"].tolist()
    rows = left.get_yticks().tolist()
    assert rows[:4] == [0, 1, 2, 3]
    assert rows[4] > 4.5
    errors, gains = marks(left), marks(right)
    assert [row for row, *_ in errors] == rows
    assert [value for _, value, *_ in errors] == pytest.approx((100 * (1 - results.table["mean"])).tolist())
    assert [row for row, *_ in gains] == rows[1:]
    assert [value for _, value, *_ in gains] == pytest.approx((100 * results.table["gain"][1:]).tolist())
    expected = [LOOKS.get(verdict, drawing.GREY) for verdict in results.table["verdict"][1:]]
    assert [colour for *_, colour, _ in gains] == expected
    assert [same_color(inside, "white") for *_, inside in gains] == [colour == drawing.GREY for colour in expected]
    bars = [line.get_xdata() for line in right.lines if line.get_marker() == "None" and line.get_color() in (*LOOKS.values(), drawing.GREY)]
    wanted = 100 * results.table[["gain_low", "gain_high"]].to_numpy()[1:]
    drawn = [tuple(bar) for bar in bars if tuple(bar) != (0, 1)]  # that is the separator
    np.testing.assert_allclose(drawn, wanted)
    assert left.get_xscale() == "log"
    assert left.xaxis_inverted()
    assert all(len(collection.get_offsets()) == 8 for collection in left.collections)


def test_figure_of_awkward_numbers(tmp_path: Path) -> None:
    """Rounds without an error stay on the logarithmic axis, and rungs without rounds have their empty row."""
    rung(tmp_path, "01_net1", [0.9, 0.998, 1.0])
    rung(tmp_path, "02_weight_sharing", [1.0, 1.0, 1.0])
    rung(tmp_path, "03_long_training", [None, None, None])
    found = read_ladder(tmp_path)
    figure = ladder_figure(found.table, found.rounds)
    left = figure.axes[0]
    assert len(left.get_yticks()) == 3
    values = np.concatenate([collection.get_offsets()[:, 0] for collection in left.collections])
    assert values.min() == pytest.approx(0.1)  # half of the smallest error
    assert min(left.get_xlim()) < 0.1
    assert "no error: at 0.1" in left.get_xlabel()
    assert marks(left)[0][2] == INK
    with Image.open(io.BytesIO(rendering.render(figure, "png"))) as picture:
        assert picture.size[0] == 1200


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in this process: exit code, stdout, stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["digitcmp.report.ablation", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "140")
        monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
        try:
            command.main()
        except SystemExit as end:
            return int(end.code or 0), *capsys.readouterr()
        return 0, *capsys.readouterr()

    return run


def test_command_line(tmp_path: Path, main: Callable[..., tuple[int, str, str]]) -> None:
    """Four files in summary/, both tables in the terminal and in the Markdown file, numbers in the CSV file."""
    code, out, err = main(write_ladder(tmp_path))
    assert (code, err) == (0, "")
    assert re.search(r"02 weight sharing +86\.75 ± 1\.\d+ .* 0/8 +\+5\.00 \(\+4\.00 to \+6\.00\) +gain +0\.0391", out)
    assert re.search(r"tried from a rung\n.*\n.*\n02a dropout +02 +8", out)
    assert str(tmp_path / "summary" / "ladder.md") in out
    assert {path.name for path in (tmp_path / "summary").iterdir()} == {f"ladder.{kind}" for kind in ("csv", "md", "pdf", "png", "svg")}
    steps, branches = (tmp_path / "summary" / "ladder.md").read_text().split("## What was tried from a rung")
    assert re.findall(r"^\| (\d\d\w?) ", steps, re.MULTILINE) == ORDER[:4]
    assert re.findall(r"^\| (\d\d\w?) .*?\| (\d\d) \|", branches, re.MULTILINE) == [("02a", "02"), ("02b", "02")]
    table = pd.read_csv(tmp_path / "summary" / "ladder.csv", dtype={"rung": str, "predecessor": str})
    assert table["rung"].tolist() == ORDER
    assert table["mean_gain_points"][1] == pytest.approx(100 * np.mean(GAINS["02_weight_sharing"]))
    assert table["verdict"][4] == "loss"


@pytest.mark.parametrize(("width", "gone"), [(160, []), (80, ["failed or untrained", "p (Holm)", "median"])])
def test_a_narrow_terminal_has_fewer_columns(width: int, gone: list[str], tmp_path: Path) -> None:
    """Every rung keeps its name and its gain on one line; what does not fit beside them is left out, and a line says so."""
    screen = Console(width=width, file=io.StringIO())
    results = read_ladder(write_ladder(tmp_path))
    build.print_ladder(results, tmp_path, screen)
    text = screen.file.getvalue()
    for label, verdict in zip(results.table["label"], results.table["verdict"], strict=True):
        assert re.search(rf"^{label} .*{verdict or '–'} *([\d.–]+ *)?$", text, re.MULTILINE), text
    assert len(re.findall(r"[+-]\d+\.\d\d \([+-]\d+\.\d\d to [+-]\d+\.\d\d\)", text)) == len(results.table) - 1
    assert (f"{len(gone)} columns with no room here: ladder.md\n" in text) == bool(gone)
    heading = next(line for line in text.splitlines() if line.startswith("rung ")) + text.split("rung ")[0]
    assert not any(title in heading for title in gone)
    assert bool(re.search(r"^rung .*median ", text, re.MULTILINE)) == (not gone)


def test_out_and_warnings(tmp_path: Path, main: Callable[..., tuple[int, str, str]]) -> None:
    """The folder that is asked for; warnings in the terminal and above the table; one table where nothing was tried."""
    rung(tmp_path / "runs", "01_net1")
    rung(tmp_path / "runs", "02_weight_sharing", [None, *BASE[:7]])
    code, out, err = main(tmp_path / "runs", "--out", tmp_path / "runs")
    assert (code, "the runs themselves are there" in err) == (1, True)
    code, out, _ = main(tmp_path / "runs", "--out", tmp_path / "out")
    assert code == 0
    assert "warning: failed rounds lose every comparison, and means leave them out: 02 weight sharing (1 round)" in out
    assert not (tmp_path / "runs" / "summary").exists()
    text = (tmp_path / "out" / "ladder.md").read_text()
    assert text.startswith("- **Warning:** ")
    assert "tried from a rung\n" not in text + out


@pytest.mark.parametrize(
    ("folder", "message"),
    [("nowhere", "nowhere: there is no such folder"), ("bad", "'ladder=net1' is no rung of a ladder: a run is named by two digits")],
)
def test_errors_are_one_line(
    folder: str, message: str, tmp_path: Path, main: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 1, one line on stderr, nothing written."""
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "bad" / "ladder=net1", {0: 0.8})
    code, out, err = main(folder)
    assert (code, out) == (1, "")
    assert err.startswith(f"digitcmp: {message}")
    assert err.count("\n") == 1
    assert not (tmp_path / "bad" / "summary").exists()


def test_help_and_interrupt(main: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """--help gives an example; Ctrl-C says that no run was touched (how it ends: tests/test_entry.py)."""
    code, out, _ = main("--help")
    assert code == 0
    assert "python -m digitcmp.report.ablation outputs/ladder" in out

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "write_ladder", interrupt)
    with pytest.raises(KeyboardInterrupt, match="no run was touched"):
        main(tmp_path)
