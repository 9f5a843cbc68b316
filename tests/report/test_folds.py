"""Folds of a cross-validation: one configuration, whose folds are its rounds, compared fold by fold."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from digitcmp.report.build import make_report, tables
from digitcmp.report.folds import folds_of
from digitcmp.report.metrics import METRICS
from digitcmp.report.study import study
from digitcmp.report.terminal import print_report
from tests.experiment.made import change_records
from tests.report.made import configuration, write_run

FOLDS = 5
CAUTION = "each of the 5 folds (data.fold) of a seed counts as a round, numbered seed × 5 + fold"


def write_folds(folder: Path, network: str, better: float, seeds: int = 2, folds: int = FOLDS, given: int | None = FOLDS) -> None:
    """The runs of a network: in each fold, another accuracy, so much better. given: data.folds."""
    for fold in range(folds):
        keys = {"model__name": network, "data__folds": given, "data__val_pairs": 200, "data__fold": fold}
        accuracies: dict[int, float | None] = {seed: 0.7 + fold / 50 + seed / 100 + better for seed in range(seeds)}
        write_run(folder / f"{network}-{fold}", accuracies, configuration(**keys), others=0.1)


def test_folds_are_rounds(tmp_path: Path) -> None:
    """A row for each network, over seeds and folds; no number is swept; pairs have the same seed and fold."""
    write_folds(tmp_path, "net1", 0.0)
    write_folds(tmp_path, "net2", 0.03)
    results = study([tmp_path], metric=METRICS["val_accuracy"])
    assert results.table["label"].tolist() == ["net1", "net2"]
    assert results.table["rounds"].tolist() == [2 * FOLDS] * 2
    assert results.table["mean"].tolist() == pytest.approx([0.645, 0.675])
    assert sorted(results.rounds["seed"]) == sorted([*range(2 * FOLDS)] * 2)
    (compared,) = results.comparisons.to_dict("records")
    assert (compared["pairs"], compared["only_here"], compared["mean"]) == (2 * FOLDS, 0, pytest.approx(0.03))
    assert results.swept is None
    assert sum(CAUTION in line for line in results.warnings) == 1
    assert "net1" in tables(results, ["mean"])["table.md"]


def test_a_fold_that_is_missing_is_left_out_of_the_pairs(tmp_path: Path) -> None:
    """And of nothing else."""
    write_folds(tmp_path, "net1", 0.0)
    write_folds(tmp_path, "net2", 0.03, folds=FOLDS - 1)
    results = study([tmp_path])
    assert results.table["rounds"].tolist() == [2 * FOLDS, 2 * (FOLDS - 1)]
    (compared,) = results.comparisons.to_dict("records")
    assert (compared["pairs"], compared["only_baseline"]) == (2 * (FOLDS - 1), 2)


@pytest.mark.parametrize("given", [FOLDS, None], ids=["data.folds", "data.val_pairs"])
def test_folds_that_are_missing(tmp_path: Path, given: int | None) -> None:
    """Are told by their numbers, with the configurations that lack them, on the page and in the terminal; also the last ones of all, by
    which rounds are numbered all the same, and those of single seeds. Of a whole cross-validation, nothing is said."""
    for network, folds in (("net1", FOLDS - 2), ("net2", FOLDS - 2), ("net3", 1)):
        write_folds(tmp_path, network, 0.0, folds=folds, given=given)
    (told,) = [line for line in study([tmp_path]).warnings if "data.fold=3,4" in line]
    assert told == f"no whole cross-validation, as no round has data.fold=3,4 (of {FOLDS} folds): net1, net2"
    report = make_report([tmp_path])
    assert f"as no round has data.fold=1,2,3,4 (of {FOLDS} folds): net3" in report.path.read_text()
    console = Console(width=400, record=True, file=StringIO())
    print_report(report, console)
    assert told in console.export_text()
    assert any(CAUTION in line for line in report.study.warnings)
    assert sorted(report.study.rounds.loc[report.study.rounds["label"] == "net1", "seed"]) == [0, 1, 2, FOLDS, FOLDS + 1, FOLDS + 2]


@pytest.mark.parametrize("data", [None, {}, {"folds": "3", "train_pairs": 2.5}, {"folds": 2**62}, {"train_pairs": 2**62, "val_pairs": 1}])
def test_folds_in_a_damaged_configuration(data: Any) -> None:
    """Are no more than anybody can have meant."""
    assert 1 <= folds_of({"data": data}) <= 1_000_000
    assert folds_of({}) == 1


def test_seeds_without_all_folds(tmp_path: Path) -> None:
    """Are counted; a whole cross-validation is told of nothing."""
    write_folds(tmp_path, "net1", 0.0)
    write_folds(tmp_path, "net2", 0.0)
    assert not [line for line in study([tmp_path]).warnings if "no whole" in line or "without all folds" in line]
    change_records(tmp_path / "net2-3", lambda one: None if one.row.seed == 1 else one)
    (told,) = [line for line in study([tmp_path]).warnings if "no whole" in line or "without all folds" in line]
    assert told == "seeds without all folds that others have: net2 (1 seed)"


def test_one_fold_each_is_told_as_it_is(tmp_path: Path) -> None:
    """Nothing is pooled where no configuration has several."""
    for network, fold in (("net1", 0), ("net2", 1)):
        keys = {"model__name": network, "data__folds": FOLDS, "data__val_pairs": 200, "data__fold": fold}
        write_run(tmp_path / network, {0: 0.7, 1: 0.8}, configuration(**keys))
    results = study([tmp_path])
    assert results.table["rounds"].tolist() == [2, 2]
    assert any(line.startswith("configurations differ in data.fold") for line in results.warnings)
    assert not any(CAUTION in line for line in results.warnings)
