"""Rows, files and identity of a run."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from digitcmp.config.identity import configuration, configuration_hash
from digitcmp.errors import RunError
from digitcmp.experiment.provenance import versions
from digitcmp.experiment.store import Records
from digitcmp.files import write_whole
from digitcmp.report.frames import read_rows
from digitcmp.train.results import DistanceRow, EpochRow, RoundRow, from_csv, to_csv
from digitcmp.train.round import RoundResult
from tests.conftest import compose_config

EPOCH = EpochRow(0, 1, 0.5, 0.75, 0.5, None, None, 0.25)
ROUND = RoundRow(0, "done", 1, 0.5, 0.75, 0.5, None, None, 1, 0.5, 0.55, 0.3, "")


def test_csv_is_what_pandas_reads_back(tmp_path: Path) -> None:
    """Commas, quotes and line breaks in an error text survive; empty cells are missing values; columns have types."""
    broken = replace(ROUND, seed=7, status="failed", test_accuracy=None, best_epoch=None, error='it said "no",\nthen stopped')
    (tmp_path / "rounds.csv").write_text(to_csv(RoundRow, [ROUND, broken]))
    frame = read_rows(tmp_path / "rounds.csv")
    assert list(frame["seed"]) == [0, 7]
    assert frame["error"][1] == broken.error
    assert pd.isna(frame["test_accuracy"][1])
    assert (str(frame["seed"].dtype), str(frame["best_epoch"].dtype), str(frame["test_accuracy"].dtype)) == ("int64", "Int64", "float64")
    assert frame["digit_accuracy"].isna().all()


def test_headers_are_the_promised_columns() -> None:
    """The column names that users rely on, in this order."""
    assert to_csv(EpochRow, []) == "seed,epoch,train_loss,train_accuracy,test_accuracy,digit_accuracy,val_accuracy,seconds\n"
    assert to_csv(RoundRow, []).startswith("seed,status,")
    assert to_csv(RoundRow, []).endswith(",seconds,error\n")


def test_rounds_are_in_order_of_seed_whenever_they_finish(tmp_path: Path) -> None:
    """Workers finish in any order; the files don't show it."""
    records = Records.open(tmp_path, {"seeds": [0, 1, 2]})
    for seed in (2, 0, 1):
        records.add(RoundResult(replace(ROUND, seed=seed), [replace(EPOCH, seed=seed, epoch=epoch) for epoch in (1, 2)]))
    assert list(read_rows(tmp_path / "rounds.csv")["seed"]) == [0, 1, 2]
    assert list(read_rows(tmp_path / "epochs.csv")["seed"]) == [0, 0, 1, 1, 2, 2]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk while writing: an error that names the file, the old content whole, no litter."""
    write_whole(tmp_path / "a.csv", "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match=r"cannot write .*a\.csv: No space left on device"):
        write_whole(tmp_path / "a.csv", "new" * 1000)
    assert (tmp_path / "a.csv").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_run_json_tells_running_from_done(tmp_path: Path) -> None:
    """A killed run says running for ever; a finished one says when."""
    records = Records.open(tmp_path, {"seeds": [0]})
    started = json.loads((tmp_path / "run.json").read_text())
    assert (started["status"], started["finished"]) == ("running", None)
    records.add(RoundResult(ROUND))
    records.finish()
    ended = json.loads((tmp_path / "run.json").read_text())
    assert ended["status"] == "done"
    assert ended["finished"] >= ended["started"]


@pytest.mark.parametrize(
    "override", ["seed=3", "rounds=5", "engine=serial", "workers=1", "device=cpu", "save_model=true", "data.root=elsewhere"]
)
def test_hash_ignores_where_and_how(override: str) -> None:
    """Replicates have equal hashes: seeds, engines, devices and folders change nothing that is computed."""
    assert configuration_hash(configuration(compose_config(override))) == configuration_hash(configuration(compose_config()))


@pytest.mark.parametrize(
    "override",
    [
        "epochs=26",
        "batch_size=50",
        "model=net1",
        "model.dropout=0.1",
        "optimizer.lr=0.002",
        "scheduler=cosine",
        "data.shuffle=true",
        "data.val_pairs=10",
    ],
)
def test_hash_sees_what_changes_numbers(override: str) -> None:
    """Everything else is part of the identity."""
    assert configuration_hash(configuration(compose_config(override))) != configuration_hash(configuration(compose_config()))


def test_equal_values_have_equal_hashes() -> None:
    """1 and 1.0 are the same auxiliary weight."""
    hashes = {configuration_hash(configuration(compose_config("model=wsn", f"aux_weight={text}"))) for text in ("1", "1.0", "1e0")}
    assert len(hashes) == 1


def test_a_loss_that_is_no_number_survives(tmp_path: Path) -> None:
    """A diverged round's NaN and infinity are read back by both readers."""
    for loss in (float("nan"), float("inf")):
        (tmp_path / "epochs.csv").write_text(to_csv(EpochRow, [EPOCH, replace(EPOCH, seed=1, train_loss=loss)]))
        assert repr(from_csv(EpochRow, (tmp_path / "epochs.csv").read_text())[1].train_loss) == repr(loss)
        assert repr(float(read_rows(tmp_path / "epochs.csv")["train_loss"][1])) == repr(loss)


def test_rows_survive_the_disk() -> None:
    """Every kind of row comes back as it was."""
    failed = replace(ROUND, status="failed", test_accuracy=None, best_epoch=None, error='a "quoted", comma\nand line')
    for kind, rows in ((EpochRow, [EPOCH]), (RoundRow, [ROUND, failed]), (DistanceRow, [DistanceRow(0, 9, 12, 11)])):
        assert from_csv(kind, to_csv(kind, rows)) == rows


def test_other_code_on_resume_is_on_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that goes on with another version says so; with the same one it does not."""
    about = {"configuration": {}, "configuration_hash": "0", "seeds": [0], **versions()}
    Records.open(tmp_path, about)
    assert Records.open(tmp_path, about).about["resumed"] == []
    monkeypatch.setattr("digitcmp.experiment.store.versions", lambda: {**versions(), "torch": "9.9"})
    (before,) = Records.open(tmp_path, {**about, "torch": "9.9"}).about["resumed"]
    assert before["torch"] == versions()["torch"]
    assert set(before) == {*versions(), "until"}
