"""Folds of a cross-validation: one configuration, whose folds are its rounds, compared fold by fold."""

from pathlib import Path

import pytest

from digitcmp.report.build import tables
from digitcmp.report.metrics import METRICS
from digitcmp.report.study import study
from tests.report.made import configuration, write_run

FOLDS = 5
CAUTION = "each of the 5 folds (data.fold) of a seed counts as a round, numbered seed × 5 + fold"


def write_folds(folder: Path, network: str, better: float, seeds: int = 2, folds: int = FOLDS) -> None:
    """The runs of a network: in each fold, another accuracy, so much better."""
    for fold in range(folds):
        keys = {"model__name": network, "data__folds": FOLDS, "data__val_pairs": 200, "data__fold": fold}
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


def test_one_fold_each_is_told_as_it_is(tmp_path: Path) -> None:
    """Nothing is pooled where no configuration has several."""
    for network, fold in (("net1", 0), ("net2", 1)):
        keys = {"model__name": network, "data__folds": FOLDS, "data__val_pairs": 200, "data__fold": fold}
        write_run(tmp_path / network, {0: 0.7, 1: 0.8}, configuration(**keys))
    results = study([tmp_path])
    assert results.table["rounds"].tolist() == [2, 2]
    assert any(line.startswith("configurations differ in data.fold") for line in results.warnings)
    assert not any(CAUTION in line for line in results.warnings)
