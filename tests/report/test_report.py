"""Statistics and figures of a single run, from what is on disk."""

import io
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from rich.console import Console

from digitcmp.errors import RunError
from digitcmp.experiment.about import read_about
from digitcmp.experiment.run import Run
from digitcmp.report import curves
from digitcmp.report.curves import CurveAxes, CurveSheet, curve_statistics, draw_axes, draw_lines, draw_outdated, round_up
from digitcmp.report.runs import read_frames
from digitcmp.report.summary import mean_and_deviation, print_summary, summary_rows
from digitcmp.train.results import EpochRow, RoundResult, RoundRow
from tests.experiment.made import logs_of, write_run


def epochs(accuracies: Mapping[int, Sequence[float | None]]) -> list[EpochRow]:
    """Epoch rows of made-up rounds: test accuracies by seed."""
    return [
        EpochRow(seed, epoch, 1 / epoch, 0.5, value, None, None, 0.1)
        for seed, values in accuracies.items()
        for epoch, value in enumerate(values, 1)
    ]


NAN = float("nan")


def draw_curves(statistics: pd.DataFrame, title: str) -> Figure:
    """A figure of its own, as without a sheet."""
    figure, texts = draw_axes(CurveAxes.around(statistics, NAN))
    for text, shown in zip(texts, (title, "a note"), strict=True):
        text.set_text(shown)
    draw_lines(figure, statistics)
    return figure


def test_statistics_are_mean_and_sample_deviation() -> None:
    """Known answers: 0.6 and 0.8 have mean 0.7 and sample deviation 0.1 * sqrt(2); absent figures are left out."""
    frame = pd.DataFrame([vars(row) for row in epochs({0: [0.5, 0.6], 1: [0.5, 0.8]})])
    statistics = curve_statistics(frame.astype({"digit_accuracy": float, "val_accuracy": float}))
    assert set(statistics["figure"]) == {"train_loss", "train_accuracy", "test_accuracy"}
    last = statistics[(statistics["figure"] == "test_accuracy") & (statistics["epoch"] == 2)].iloc[0]
    assert (last["mean"], last["std"], last["rounds"]) == (pytest.approx(0.7), pytest.approx(0.1 * 2**0.5), 2)


def test_figure_draws_what_the_statistics_say() -> None:
    """A line per figure through its means, a band where there are several rounds."""
    frame = pd.DataFrame([vars(row) for row in epochs({0: [0.5, 0.6], 1: [0.5, 0.8]})]).astype(
        {"digit_accuracy": float, "val_accuracy": float}
    )
    accuracy, loss = draw_curves(curve_statistics(frame), "title").axes
    assert [text.get_text() for text in accuracy.figure.legends[0].get_texts()] == ["training pairs", "test pairs"]
    assert list(accuracy.lines[-1].get_ydata()) == pytest.approx([0.5, 0.7])
    assert (len(accuracy.collections), len(loss.collections)) == (2, 1)


def test_a_sheet_is_clean_again_for_every_run() -> None:
    """The second picture of a frame is what a figure of its own would be: nothing of the first is left on it."""
    frames = [
        pd.DataFrame([vars(row) for row in epochs(accuracies)]).astype({"digit_accuracy": float, "val_accuracy": float})
        for accuracies in ({0: [0.5, 0.6, 0.8], 1: [0.5, 0.7, 0.9]}, {0: [0.52, 0.55, 0.85], 1: [0.5, 0.65, 0.8]})
    ]
    one, other = (curve_statistics(frame) for frame in frames)
    assert CurveAxes.around(one, NAN) == CurveAxes.around(other, NAN)
    sheet = CurveSheet(CurveAxes.around(one, NAN))
    first, second = sheet.picture(one, "a title", "a note", NAN), sheet.picture(other, "b title", "a note", NAN)
    assert first != second
    assert second == CurveSheet(CurveAxes.around(other, NAN)).picture(other, "b title", "a note", NAN)
    canvas: Any = FigureCanvasAgg(draw_curves(other, "b title"))
    canvas.draw()
    whole, drawn = np.asarray(canvas.buffer_rgba()).astype(int), np.asarray(Image.open(io.BytesIO(second))).astype(int)
    assert (abs(whole - drawn).max(axis=2) > 32).mean() < 0.01  # where lines cross the grid, and a pixel of arrangement


def test_frames_hold_everything_in_round_numbers() -> None:
    """Bands within the axes; the same ends for runs that are alike; a loss that is no number does not matter."""
    frame = pd.DataFrame([vars(row) for row in epochs({0: [0.51, 0.93]})]).astype({"digit_accuracy": float, "val_accuracy": float})
    assert CurveAxes.around(curve_statistics(frame), NAN) == CurveAxes(("train_accuracy", "test_accuracy", "train_loss"), 2, 0.4, 1.5)
    assert [round_up(value) for value in (0.69, 1.0, 2.9, 0.011, 98.5)] == [1.0, 1.5, 3.0, 0.015, 150.0]
    frame.loc[1, "train_loss"] = float("inf")
    assert CurveAxes.around(curve_statistics(frame), NAN).loss == 1.5


def test_figure_of_one_epoch_shows_a_point() -> None:
    """One epoch has no line; a marker shows it."""
    frame = pd.DataFrame([vars(row) for row in epochs({0: [0.5]})]).astype({"digit_accuracy": float, "val_accuracy": float})
    assert all(
        line.get_marker() == "o"
        for axes in draw_curves(curve_statistics(frame), "title").axes
        for line in axes.lines
        if len(line.get_xdata())
    )


CONFIGURATION = {
    "epochs": 2,
    "aux_weight": 0.5,
    "model": {"name": "wsn", "digit_head": {"reads": "digit"}},
    "optimizer": {"algorithm": "SGD", "lr": 0.55},
    "data": {"source": "digits", "train_pairs": 1000, "test_pairs": 500, "val_pairs": 200},
}


def write_records(directory: Path) -> None:
    """A run of two rounds and a failed one, on disk."""
    row = RoundRow(0, "done", 2, 0.5, 0.5, 0.6, 0.9, None, 2, 0.6, 0.55, 2.0, "")
    failed = replace(row, seed=2, status="failed", test_accuracy=None, digit_accuracy=None, error="broke")
    results = [RoundResult(row, epochs({0: [0.5, 0.6]})), RoundResult(replace(row, seed=1, test_accuracy=0.8), epochs({1: [0.5, 0.8]}))]
    write_run(directory, [*results, RoundResult(failed)], {"parameters": 27884}, CONFIGURATION)


def test_a_round_that_ended_early_is_drawn_to_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its last values, and a note that says so; one that has failed is not."""
    told, drawn = list[str](), list[pd.DataFrame]()
    monkeypatch.setattr(curves.inert, "figure", lambda text: told.append(text) or text)
    monkeypatch.setattr(curves, "curve_statistics", lambda rows: drawn.append(curve_statistics(rows)) or drawn[-1])
    row = RoundRow(0, "done", 3, 0.5, 0.5, 0.9, None, None, 3, 0.9, 0.55, 2.0, "")
    early, failed = replace(row, seed=1, epochs=1, test_accuracy=0.5), replace(row, seed=2, status="failed", epochs=2, error="broke")
    accuracies = {0: [0.5, 0.7, 0.9], 1: [0.5], 2: [0.5, 0.1]}
    results = [RoundResult(one, epochs({one.seed: accuracies[one.seed]})) for one in (row, early, failed)]
    write_run(tmp_path, results, {"parameters": 27884}, CONFIGURATION)
    curves.curves_png(tmp_path)
    means = drawn[0][drawn[0]["figure"] == "test_accuracy"]
    assert list(means["mean"]) == pytest.approx([0.5, 1.3 / 3, 0.7])
    assert list(means["rounds"]) == [3, 3, 2]
    assert told[-1].startswith("mean ± standard deviation over 3 rounds; rounds that ended early keep their last values")


def test_curves_have_the_epochs_at_which_all_rounds_were_tested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that ended early were tested at others, too; what all have at every epoch, as the loss, is drawn at every one."""
    drawn = list[pd.DataFrame]()
    monkeypatch.setattr(curves, "curve_statistics", lambda rows: drawn.append(curve_statistics(rows)) or drawn[-1])
    accuracies = {0: [None, 0.5, None, 0.7, 0.9], 1: [None, 0.6, 0.8], 2: [None, 0.1, None]}
    row = RoundRow(0, "done", 5, 0.5, 0.5, 0.9, None, None, 5, 0.9, 0.55, 2.0, "")
    rows = row, replace(row, seed=1, epochs=3, test_accuracy=0.8), replace(row, seed=2, status="failed", epochs=3, error="broke")
    results = [RoundResult(one, epochs({one.seed: accuracies[one.seed]})) for one in rows]
    write_run(tmp_path, results, {"parameters": 27884}, CONFIGURATION)
    curves.curves_png(tmp_path)
    means = drawn[0][drawn[0]["figure"] == "test_accuracy"]
    assert means[["epoch", "rounds"]].to_numpy().tolist() == [[2, 3], [4, 2], [5, 2]]
    assert list(means["mean"]) == pytest.approx([0.4, 0.75, 0.85])
    assert list(drawn[0].loc[drawn[0]["figure"] == "train_loss", "rounds"]) == [3, 3, 3, 2, 2]


def test_summary_counts_and_averages_the_done_rounds(tmp_path: Path) -> None:
    """Mean ± sample deviation in per cent over the rounds that are done, and how many those are."""
    write_records(tmp_path)
    about = read_about(tmp_path)
    rounds = read_frames(tmp_path, about).rounds
    rows = dict(summary_rows(about, rounds))
    assert rows["network"] == "wsn, 27,884 parameters"
    assert rows["training"] == "2 epochs, SGD at 0.55, aux_weight 0.5"
    assert rows["data"] == "digits, 800 training and 500 test pairs"
    assert rows["rounds"] == "2 of 3 done, seeds 0 to 2"
    assert rows["test accuracy"] == "70.00 ± 14.14 %"
    assert mean_and_deviation(pd.Series([0.51875 - 1e-12])) == "51.88 %"
    for seeds, told in (([5, 6, 0, 1], "0 to 1, 5 to 6"), ([0, 2, 4, 6], "0, 2, 4, …"), ([7, 8, 9], "7 to 9")):
        assert dict(summary_rows({**about, "seeds": seeds}, rounds))["rounds"] == f"2 of {len(seeds)} done, seeds {told}"
    about["configuration"]["ensemble"] = 2
    assert dict(summary_rows(about, rounds))["network"] == "wsn, 27,884 parameters in 2 networks"
    assert mean_and_deviation(pd.Series([0.8875])) == "88.75 %"


def test_summary_says_what_is_untrained(tmp_path: Path) -> None:
    """One round, and some of several; nothing where all have learnt something."""
    write_records(tmp_path)
    about = read_about(tmp_path)
    rounds = read_frames(tmp_path, about).rounds.assign(majority_accuracy=0.575)  # accuracies of 60 and 80 %
    told = "hardly better than always the more frequent answer (57.5 %)"
    assert dict(summary_rows(about, rounds))["untrained"] == f"1 of 2 rounds: {told}"
    assert dict(summary_rows(about, rounds[rounds["test_accuracy"] == 0.6]))["untrained"] == told
    assert "untrained" not in dict(summary_rows(about, rounds.assign(majority_accuracy=0.5)))


def test_summary_of_a_trained_run(trained: Run) -> None:
    """From its records in memory, the same as from those on disk; then where its files are."""
    rounds = read_frames(trained.directory, read_about(trained.directory)).rounds
    rows = summary_rows(read_about(trained.directory), rounds)
    screen = Console(width=140, file=io.StringIO())
    print_summary(trained, screen)
    *table, where, names = screen.file.getvalue().splitlines()
    assert [tuple(line.split(maxsplit=1)[0] for line in table)] == [tuple(name.split()[0] for name, _ in rows)]
    assert all(line.startswith(name) and line.rstrip().endswith(value) for line, (name, value) in zip(table, rows, strict=True))
    assert dict(rows)["test accuracy"] == mean_and_deviation(rounds["test_accuracy"])
    assert dict(rows)["rounds"] == "2 of 2 done, seeds 0 to 1"
    assert {"validation accuracy", "digit accuracy", "time"} <= set(dict(rows))
    assert where == f"files  {trained.directory}/"
    assert names.split() == ["run.json", "rounds.csv", "epochs.csv", "records"]


def test_summary_in_a_narrow_terminal(trained: Run) -> None:
    """Each value below its name, whole words, nothing cut off."""
    screen = Console(width=20, file=io.StringIO())
    print_summary(trained, screen)
    lines = [line.strip() for line in screen.file.getvalue().splitlines()]
    for name, value in summary_rows(read_about(trained.directory), read_frames(trained.directory, read_about(trained.directory)).rounds):
        begin = lines.index(name) + 1
        assert " ".join(lines[begin:]).startswith(value)


def test_curves_are_a_readable_picture(tmp_path: Path) -> None:
    """curves.png is a picture of some size that is not empty."""
    write_records(tmp_path)
    draw_outdated([tmp_path])
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size[0] >= 1000
        assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 50
    assert not list(tmp_path.glob(".*tmp*"))


def test_damaged_records_are_named(tmp_path: Path) -> None:
    """No run, half a run.json, a log that is none, one that cannot be read."""
    with pytest.raises(RunError, match="holds no run"):
        read_about(tmp_path)
    (tmp_path / "run.json").write_text('{"status":')
    with pytest.raises(RunError, match="holds no run"):
        read_about(tmp_path)
    (tmp_path / "run.json").unlink()
    write_records(tmp_path)
    (log,) = logs_of(tmp_path)
    log.write_text("seed,status\nzero,done\n")
    frames = read_frames(tmp_path, read_about(tmp_path))
    assert [len(frame) for frame in (frames.rounds, frames.epochs, frames.distances)] == [0, 0, 0]
    assert frames.damaged == [f"{tmp_path}: records/{log.name}, line {line}, is damaged; its round is left out" for line in (1, 2)]
    log.unlink()
    log.mkdir()
    unread = f"{tmp_path}: records/{log.name} cannot be read: Is a directory; its rounds are left out"
    assert read_frames(tmp_path, read_about(tmp_path)).damaged == [unread]


def test_reports_do_not_import_torch() -> None:
    """Whoever only reads results does not wait for torch: not for any module of the report, nor for the frames."""
    code = (
        "import importlib, pkgutil, sys, digitcmp, digitcmp.report as report; digitcmp.load_rounds, digitcmp.load_epochs;"
        "names = [module.name for module in pkgutil.iter_modules(report.__path__)]; assert len(names) > 12, names;"
        "[importlib.import_module('digitcmp.report.' + name) for name in names];"
        "print('torch' in sys.modules, 'matplotlib.pyplot' in sys.modules, 'hydra' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False False False\n"
