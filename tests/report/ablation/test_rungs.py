"""A ladder of made-up runs: order, gains, verdicts, warnings, and every way in which names can be wrong."""

import html
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from digitcmp.auto import plan_file
from digitcmp.auto.sequential import make_plan
from digitcmp.config.identity import configuration_hash
from digitcmp.config.schema import Auto
from digitcmp.errors import RunError
from digitcmp.report.ablation import build
from digitcmp.report.ablation.rungs import GAIN, Ladder, read_ladder
from digitcmp.report.build import make_report
from digitcmp.report.methods import FOLDS_OF_ONE_DRAW, ONE_DRAW, POOL, about_pool
from digitcmp.report.metrics import BEST
from digitcmp.report.ranks import hodges_lehmann, signed_rank_p
from digitcmp.report.verdicts import CAUTION
from tests.report.made import configuration, write_run

BASE = [0.80, 0.82, 0.81, 0.84, 0.83, 0.80, 0.82, 0.81]
GAINS = {
    "01_net1": [0.0] * 8,
    "02_weight_sharing": [0.05, 0.06, 0.05, 0.04, 0.05, 0.06, 0.05, 0.05],
    # nothing over rung 2, much over rung 1
    "03_long_training": [0.06, 0.05, 0.05, 0.04, 0.05, 0.05, 0.06, 0.05],
    "05_ensemble": [0.15, 0.16, 0.15, 0.14, 0.15, 0.19, 0.15, 0.17],
    "02a_dropout": [0.01, 0.02, 0.03, 0.02, 0.01, 0.03, 0.02, 0.02],
    "02b_label_smoothing": [0.06, 0.05, 0.06, 0.04, 0.04, 0.06, 0.05, 0.05],
}
ORDER = ["01", "02", "03", "05", "02a", "02b"]


def rung(folder: Path, name: str, accuracies: list[float | None] | None = None, **about: object) -> Path:
    """One run of a ladder, eight rounds unless others are given."""
    made = accuracies or [round(base + gain, 3) for base, gain in zip(BASE, GAINS[name], strict=True)]
    return write_run(folder / f"ladder={name}", dict(enumerate(made)), configuration(model__name=name), **about)


def write_ladder(folder: Path) -> Path:
    """Four rungs (there is no 04) and two side branches, started in another order than they are numbered."""
    for index, name in enumerate(sorted(GAINS, reverse=True)):
        rung(folder, name, started=f"2026-01-0{index + 1}T00:00:00+00:00")
    return folder


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Ladder:
    """The ladder, worked out."""
    return read_ladder(write_ladder(tmp_path_factory.mktemp("ladder")))


def row(results: Ladder, rung: str) -> "pd.Series[float]":
    """One row of the table."""
    return results.table.set_index("rung").loc[rung]


def test_order_and_predecessors(results: Ladder) -> None:
    """Plain rungs by number, then side branches; each against the plain rung before it, or that of its number."""
    assert results.table["rung"].tolist() == ORDER
    assert results.table["predecessor"].tolist() == ["", "01", "02", "03", "02", "02"]
    assert results.table["title"].tolist() == ["net1", "weight sharing", "long training", "ensemble", "dropout", "label smoothing"]
    assert results.table["branch"].tolist() == [False] * 4 + [True] * 2
    few, gap = results.warnings
    assert few.endswith("too few for a corrected p below 0.05 in 5 comparisons: 03 long training (4 pairs), 02b label smoothing (4 pairs)")
    assert gap == "no rung between 03 and 05: '05 ensemble' is compared with '03 long training'"


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ("02_weight_sharing", "01_net1"),
        ("03_long_training", "02_weight_sharing"),
        ("05_ensemble", "03_long_training"),
        ("02a_dropout", "02_weight_sharing"),
    ],
)
def test_gains_agree_with_scipy(results: Ladder, here: str, there: str) -> None:
    """Centre of the paired differences with the interval that five of them have at once; their mean with Student's t interval."""
    found, differences = row(results, here.split("_")[0]), (np.array(GAINS[here]) - GAINS[there]).round(7)
    interval = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    assert found[["gain", "gain_low", "gain_high"]].tolist() == pytest.approx(hodges_lehmann(differences, 0.99))
    assert found["mean_gain"] == pytest.approx(differences.mean())
    assert (found["mean_gain_low"], found["mean_gain_high"]) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert found["p"] == pytest.approx(signed_rank_p(differences))
    assert found["pairs"] == 8


def test_an_interval_that_holds_alone_may_not_hold_with_others(tmp_path: Path) -> None:
    """Seven rounds that are better bound a gain at a level of 1 - 2 / 2^7: enough for one of three comparisons, not for one of four."""
    better = [0.86, 0.89, 0.87, 0.91, 0.89, 0.85, 0.88]
    rung(tmp_path, "01_a", BASE[:7])
    for letter, expected in (("a", GAIN), ("b", GAIN), ("c", GAIN), ("d", "")):
        rung(tmp_path, f"01{letter}_tried", [accuracy + ord(letter) / 10000 for accuracy in better])
        assert read_ladder(tmp_path).table["verdict"].iloc[-1] == expected


def test_accuracy_of_a_rung(results: Ladder) -> None:
    """Mean, deviation, median and interval over rounds; no digit accuracy without a digit head; the mean of the seconds."""
    found, interval = row(results, "01"), stats.ttest_1samp(BASE, 0).confidence_interval(0.95)
    assert (found["mean"], found["std"], found["median"]) == pytest.approx((np.mean(BASE), np.std(BASE, ddof=1), np.median(BASE)))
    assert (found["low"], found["high"]) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert np.isnan(found["digit_accuracy"])
    assert (found["seconds"], found["rounds"], found["parameters"]) == (5.5, 8, 71393)


def test_verdicts_and_holm(results: Ladder) -> None:
    """gain, loss or not shown by the interval; the first has none. Holm: the smallest p five times, and never falling."""
    assert results.table["verdict"].tolist() == ["", "gain", "not shown", "gain", "loss", "not shown"]
    known = results.table.dropna(subset="p").sort_values("p")
    assert len(known) == 5
    expected = np.minimum(1, np.maximum.accumulate(known["p"].to_numpy() * [5, 4, 3, 2, 1]))
    assert known["p_holm"].to_numpy() == pytest.approx(expected)


@pytest.mark.parametrize(
    "name",
    [
        "ladder=net1",
        "ladder=1_net1",
        "ladder=01",
        "ladder=01_",
        "ladder=01ab_net1",
        "seed=0,data=digits",
        "01A_net1",
        "02_net2_",
        "02_net2 (copy)",
    ],
)
def test_other_names_are_refused(tmp_path: Path, name: str) -> None:
    """A run that is named otherwise: which one, and what is expected, in one line."""
    rung(tmp_path, "01_net1")
    write_run(tmp_path / name, dict(enumerate(BASE)), configuration(model__name="other"))
    with pytest.raises(RunError, match=rf"^{re.escape(repr(name))} is no rung of a ladder: .*ladder=02_weight_sharing.*$"):
        read_ladder(tmp_path)


def test_names_with_other_overrides_and_without_any(tmp_path: Path) -> None:
    """The last part of the path counts, and of that the override that is a rung's name, or the name itself."""
    write_run(tmp_path / "seed=3" / "02_b", dict(enumerate(BASE)), configuration(model__name="b"))
    write_run(tmp_path / "aux_weight=1,ladder=01_a", dict(enumerate(BASE)), configuration(model__name="a"))
    write_run(tmp_path / "ladder=04_d,data=digits,epochs=1", dict(enumerate(BASE)), configuration(model__name="d"))
    found = read_ladder(tmp_path)
    assert found.table["label"].tolist() == ["01 a", "02 b", "04 d"]
    assert "no rung between 02 and 04: '04 d' is compared with '02 b'" in found.warnings


def test_missing_predecessor(tmp_path: Path) -> None:
    """A side branch of a rung that is not there, with and without any plain rung."""
    rung(tmp_path, "12a_label_smoothing", [0.8])
    with pytest.raises(RunError, match="'12a label smoothing' was tried from rung 12, but no run is that rung: there is none;"):
        read_ladder(tmp_path)
    rung(tmp_path, "01_net1")
    rung(tmp_path, "11_net2", [0.8])
    with pytest.raises(RunError, match="but no run is that rung: there are 01, 11;"):
        read_ladder(tmp_path)


def test_equal_rungs_are_refused(tmp_path: Path) -> None:
    """Two runs of one number; two rungs of one configuration, whose rounds reading would count once."""
    rung(tmp_path, "01_net1")
    write_run(tmp_path / "ladder=02_again", dict(enumerate(BASE)), configuration(model__name="01_net1"))
    with pytest.raises(RunError, match=r"'01 net1' and '02 again' have the same configuration \(\w+\)"):
        read_ladder(tmp_path)
    rung(tmp_path, "02_weight_sharing")
    with pytest.raises(RunError, match="'02 again' and '02 weight sharing' are both rung 02"):
        read_ladder(tmp_path)


def test_warnings(tmp_path: Path) -> None:
    """Fewer rounds, failed ones, seeds on one side, another commit, a run that is not finished: a line each."""
    rung(tmp_path, "01_net1")
    rung(tmp_path, "02_weight_sharing", [*BASE[:6], None, 0.9])
    rung(tmp_path, "03_long_training", BASE[:7], git_commit="def", status="running", seeds=list(range(8)))
    lines = read_ladder(tmp_path).warnings
    assert any(line.startswith("different git_commit in one report: abc (16 rounds), def (7 rounds)") for line in lines)
    assert "fewer rounds than the 8 of others: 02 weight sharing (7 rounds), 03 long training (7 rounds)" in lines
    assert "failed rounds lose every comparison, and means leave them out: 02 weight sharing (1 round)" in lines
    assert any(line.startswith("fewer than 7 pairs that differ") for line in lines)
    assert "1 run is still running (or killed): ladder=03_long_training (7 of 8 rounds)" in lines
    assert "rounds without a partner of the same seed are left out of the gain: 03 long training (1 round)" in lines
    assert len(lines) == 6


def test_rounds_that_were_decided_from_the_results_are_told_of(tmp_path: Path) -> None:
    """As a report on a sweep does."""
    write_ladder(tmp_path)
    assert CAUTION not in read_ladder(tmp_path).warnings
    names = {configuration_hash(configuration(model__name=name)): f"ladder={name}" for name in GAINS}
    plan_file.write(make_plan(names, 0, Auto(0.5, 8, 16, 0.05)), tmp_path)
    assert CAUTION in read_ladder(tmp_path).warnings


def test_rounds_of_one_draw_of_pairs_are_told_of(tmp_path: Path) -> None:
    """Their intervals speak of other weights alone."""
    for seed in (None, 3):
        write_run(tmp_path / str(seed) / "ladder=01_net1", {0: 0.8, 1: 0.9}, configuration(data__seed=seed))
    for seed, told in (("None", POOL), ("3", ONE_DRAW)):
        _, where = build.write_ladder(tmp_path / seed, tmp_path / "ladder")
        assert f"- {told}\n" in (where / "ladder.md").read_text()
        report = make_report([tmp_path / seed])
        assert told in (report.path.parent / "table.md").read_text()
        assert told in html.unescape(report.path.read_text())


def test_what_further_rounds_are() -> None:
    """Both where some configurations draw their pairs once; folds of one draw differ in more than their weights."""
    some = pd.DataFrame({"data.seed": [None, 3], "data.fold": [0, 0], "data.folds": [None, None]})
    assert about_pool(some) == f"{POOL} {ONE_DRAW}"
    assert about_pool(some.tail(1)) == ONE_DRAW
    assert about_pool(some.head(1)) == about_pool(pd.DataFrame({"label": ["a"]})) == POOL
    assert about_pool(some.tail(1).drop(columns="data.fold").assign(**{"data.folds": 5})) == FOLDS_OF_ONE_DRAW


def test_weights_of_the_best_epoch_are_told_of(tmp_path: Path) -> None:
    """The accuracy of a rung with stopping.best is not that of its last epoch."""
    for best in (False, True):
        write_run(tmp_path / str(best) / "ladder=01_net1", {0: 0.8, 1: 0.9}, configuration(stopping={"best": best}))
        _, where = build.write_ladder(tmp_path / str(best), tmp_path / "ladder")
        assert (BEST in (where / "ladder.md").read_text()) == best
