"""Reports on other metrics than the test accuracy: known answers, which direction is better, and whole reports."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from digitcmp.errors import RunError
from digitcmp.report import drawing, rows, statistics
from digitcmp.report.build import make_report
from digitcmp.report.comparisons import compare
from digitcmp.report.frames import read_sweep
from digitcmp.report.metrics import METRICS, TEST_ACCURACY, Metric, find_metric
from digitcmp.report.tables import comparison_columns, show, table_columns
from tests.experiment.made import records_of
from tests.report.made import configuration, write_run
from tests.report.test_statistics import frame, known

SECONDS, LOSS = METRICS["seconds"], METRICS["train_loss"]
ROUNDS = frame(
    {"a": [0.8] * 4, "b": [0.8] * 4}, seconds=[4.0, 5.0, 6.0, 9.0, 3.0, 3.0, 5.0, 11.0], train_loss=[0.4, 0.3, 0.2, 0.1] + [0.1] * 4
)


def test_seconds_by_hand() -> None:
    """Mean, deviation, interval and range of seconds, in seconds; no round is untrained."""
    row = statistics.summarise(ROUNDS, known("a", "b"), SECONDS).iloc[0]
    interval = stats.ttest_1samp([4, 5, 6, 9], 0).confidence_interval(0.95)
    expected = {"mean": 6, "std": (14 / 3) ** 0.5, "low": interval.low, "high": interval.high, "median": 5.5, "min": 4, "max": 9}
    assert {name: row[name] for name in expected} == pytest.approx(expected)
    assert "untrained" not in row
    assert show(statistics.summarise(ROUNDS, known("a", "b"), SECONDS), table_columns(SECONDS))["training time [s]"][0] == "6.00 ± 2.16"


def test_less_time_is_better() -> None:
    """Differences 1, 2, 1 s less and 2 s more: three rounds are won. The ranks are 1.5, 3.5, 1.5 against 3.5."""
    row = compare(ROUNDS, "a", SECONDS).iloc[0]
    assert (row["mean"], row["won"], row["tied"], row["lost"]) == (-0.5, 3, 0, 1)
    assert row["rank_biserial"] == pytest.approx((1.5 + 3.5 + 1.5 - 3.5) / 10)
    assert row["d_z"] == pytest.approx(-0.5 / np.std([-1, -2, -1, 2], ddof=1))
    shown = show(compare(ROUNDS, "a", SECONDS), comparison_columns(SECONDS)).iloc[0]
    assert (shown["difference [s]"], shown["r"], shown["won-tied-lost"]) == ("-1.00", "+0.30", "3-0-1")
    assert shown["mean difference"].startswith("-0.50 (")


def test_less_loss_is_better() -> None:
    """Lower in three rounds, equal in one: won, tied, and a rank correlation of 1, while the difference is below zero."""
    row = compare(ROUNDS, "a", LOSS).iloc[0]
    assert (row["mean"], row["won"], row["tied"], row["lost"], row["rank_biserial"]) == (pytest.approx(-0.15), 3, 1, 0, 1)
    back = compare(ROUNDS, "b", LOSS).iloc[0]
    assert (back["mean"], back["won"], back["tied"], back["lost"], back["rank_biserial"]) == (pytest.approx(0.15), 0, 1, 3, -1)
    assert show(compare(ROUNDS, "a", LOSS), comparison_columns(LOSS))["difference"][0] == "-0.1500"


def test_an_interval_of_equal_values_is_a_point() -> None:
    """Where scipy's own interval has no number."""
    row = statistics.summarise(ROUNDS, known("a", "b"), LOSS).iloc[1]
    assert (row["low"], row["high"]) == (pytest.approx(0.1), pytest.approx(0.1))


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two configurations that differ in one number, with digit and validation accuracies."""
    folder = tmp_path_factory.mktemp("sweep")
    for weight in (0.0, 0.5):
        seeds: dict[int, float | None] = {seed: 0.8 + weight / 10 + (seed * 7 % 5) / 100 for seed in range(8)}
        write_run(folder / f"w={weight}", seeds, configuration(aux_weight=weight), others=0.1, right=range(90, 100))
    return folder


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_every_metric_makes_a_whole_report(metric: Metric, sweep: Path, tmp_path: Path) -> None:
    """Tables, figures and page, which name the metric; the mean of the rounds in table.csv; distances for the test accuracy alone."""
    report = make_report([sweep], out=tmp_path, metric=metric)
    pictures = {"curves", "distribution", "differences", "swept"} | ({"distances"} if metric == TEST_ACCURACY else set())
    assert {path.stem for path in tmp_path.glob("*.png")} == {path.stem for path in tmp_path.glob("*.svg")} == pictures
    assert metric.title.capitalize() in report.path.read_text()
    assert metric.title in (tmp_path / "table.md").read_text()
    assert ("untrained" in (tmp_path / "table.csv").read_text()) == (metric == TEST_ACCURACY)
    rounds = report.study.rounds
    expected = metric.scale * rounds[metric.column].groupby(rounds["label"], observed=True).mean()
    column = metric.column + ("_percent" if metric.unit == "%" else "")
    assert pd.read_csv(tmp_path / "table.csv")[column].tolist() == pytest.approx(expected.tolist())
    assert report.study.curves["mean"].notna().all()
    assert len(report.study.curves) == 6


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_every_metric_is_that_of_the_records(metric: Metric, sweep: Path) -> None:
    """Rounds and epochs as they are on record; no other column of the epochs is read."""
    read = read_sweep([sweep], ["epoch", metric.column], for_report=True)
    records = [record for directory in read.runs["directory"] for record in records_of(Path(directory))]
    assert read.rounds[metric.column].tolist() == [getattr(record.row, metric.column) for record in records]
    assert read.epochs.columns.tolist() == ["seed", "epoch", metric.column, "run_index"]
    epochs = [row for record in records for row in record.epochs]
    assert read.epochs[["seed", "epoch", metric.column]].to_numpy().tolist() == [
        [row.seed, row.epoch, getattr(row, metric.column)] for row in epochs
    ]
    assert len(epochs) == 48


def test_names_in_the_files_of_the_test_accuracy(sweep: Path, tmp_path: Path) -> None:
    """What other programs read."""
    make_report([sweep], out=tmp_path)
    assert (tmp_path / "table.csv").read_text().splitlines()[0] == (
        "configuration,configuration_hash,test_accuracy_percent,std_percent,interval_low_percent,interval_high_percent,"
        "mean_with_failed_percent,median_percent,median_low_percent,median_high_percent,interquartile_mean_percent,min_percent,max_percent,"
        "lost_rounds,lost_percent,lost_low_percent,lost_high_percent,rounds,failed,untrained_rounds,collapsed_rounds,"
        "digit_accuracy_percent,saturated_after,total_seconds,mean_seconds,normalised_time_percent,parameters"
    )
    assert (tmp_path / "comparisons.csv").read_text().splitlines()[0] == (
        "configuration,baseline,difference_points,difference_low_points,difference_high_points,p_signed_rank,p_holm,better_percent,"
        "better_low_percent,better_high_percent,rounds_won,rounds_tied,rounds_lost,pairs,seeds_only_here,seeds_only_baseline,mean_points,"
        "mean_low_points,mean_high_points,pairs_done,d_z,rank_biserial"
    )


def test_a_configuration_without_the_metric(tmp_path: Path) -> None:
    """It stays in the table without numbers, a line says so, and the first one that has some is the baseline."""
    seeds: dict[int, float | None] = {seed: 0.8 + seed / 100 for seed in range(6)}
    write_run(tmp_path / "a", seeds)
    write_run(tmp_path / "b", seeds, configuration(model__name="net3"), others=0.1)
    write_run(tmp_path / "c", seeds, configuration(model__name="net4"), others=0.2)
    report = make_report([tmp_path], metric=METRICS["digit_accuracy"])
    assert report.path.parent == tmp_path / "summary" / "digit_accuracy"
    assert report.study.baseline == "net3"
    assert report.study.table["mean"].tolist() == pytest.approx([np.nan, 0.725, 0.625], nan_ok=True)
    assert "no digit accuracy on record: net1" in report.study.warnings
    assert report.study.spread["label"].tolist() == ["net3", "net4"]
    with pytest.raises(RunError, match="metric 'val_accuracy': no round has a validation accuracy; choose one of 'test_accuracy', "):
        make_report([write_run(tmp_path / "a", seeds)], metric=METRICS["val_accuracy"])


def test_unknown_metric() -> None:
    """The nearest, and all."""
    with pytest.raises(
        RunError, match=r"metric 'second': there is no such column \(did you mean 'seconds'\?\); choose one of 'test_accuracy'"
    ):
        find_metric("second")


def test_figures_of_other_metrics_say_what_they_show() -> None:
    """Seconds as they are, accuracies in per cent; which direction is better."""
    assert [drawing.in_percent(0.925), SECONDS.tick(12.5), LOSS.tick(0.25)] == ["92.5 %", "12.5 s", "0.25"]
    figure = rows.differences(compare(ROUNDS, "a", SECONDS), SECONDS)
    axes = figure.axes[0]
    assert axes.get_xlabel() == "difference in training time [s]"
    title, notes = (text.get_text() for text in figure.artists)
    assert title == "Training time compared with a"
    assert "lower is better" in notes.replace("\n", " ")
    assert axes.lines[2].get_xdata() == pytest.approx([-1.0])
