"""Records as frames: tidy, typed, nothing counted twice, nothing damaged taken for data."""

import json
from pathlib import Path

import pandas as pd
import pytest

import digitcmp
from digitcmp.errors import RunError
from digitcmp.report.frames import load_epochs, load_rounds, read_sweep
from digitcmp.report.runs import find_runs, flatten, natural, typed
from tests.report.made import configuration, write_distances, write_run


def test_rounds_are_tidy_and_typed(tmp_path: Path) -> None:
    """One row a round; the run relative to the folder, the configuration in typed dotted columns, lists as text."""
    write_run(tmp_path / "a" / "deep", {0: 0.8, 1: None})
    write_run(tmp_path / "b", {0: 0.9}, configuration(aux_weight=0.5, model__weight_sharing=None, optimizer__comparator_lr=0.3))
    rounds = digitcmp.load_rounds(tmp_path)
    assert rounds["run"].tolist() == ["a/deep", "a/deep", "b"]
    assert rounds["seed"].tolist() == [0, 1, 0]
    assert rounds["status"].tolist() == ["done", "failed", "done"]
    assert rounds["aux_weight"].tolist() == [0, 0, 0.5]
    assert rounds["test_accuracy"].tolist() == pytest.approx([0.8, float("nan"), 0.9], nan_ok=True)
    assert rounds["model.tower"][0].startswith("[{channels:16,kernel:3,")
    kinds = {
        "epochs": "int64",
        "model.batchnorm": "bool",
        "model.weight_sharing": "boolean",
        "optimizer.lr": "float64",
        "epochs_trained": "int64",
    }
    assert {name: str(rounds[name].dtype) for name in kinds} == kinds
    assert rounds["optimizer.comparator_lr"].isna().tolist() == [True, True, False]


def test_epochs_are_those_of_recorded_rounds(tmp_path: Path) -> None:
    """One row a (round, epoch). A round that a writer has not recorded yet, though its epochs lie there, is not one."""
    run = write_run(tmp_path / "a", {0: 0.8, 1: 0.7})
    kept = (run / "rounds.csv").read_text().splitlines()[:2]
    (run / "rounds.csv").write_text("\n".join(kept) + "\n")
    epochs = digitcmp.load_epochs(tmp_path)
    assert epochs[["seed", "epoch"]].to_numpy().tolist() == [[0, 1], [0, 2], [0, 3]]
    assert epochs["test_accuracy"].tolist() == pytest.approx([0.6, 0.7, 0.8])
    assert epochs["model.name"].eq("net1").all()


def test_several_folders_and_a_run_itself(tmp_path: Path) -> None:
    """Runs are named by what tells them apart; a folder given twice counts once; a run's own folder will do."""
    write_run(tmp_path / "one" / "x", {0: 0.8})
    write_run(tmp_path / "two" / "x", {1: 0.9})
    assert load_rounds(tmp_path / "one", tmp_path / "two", tmp_path / "one")["run"].tolist() == ["one/x", "two/x"]
    assert load_rounds(tmp_path / "one" / "x")["run"].tolist() == ["x"]


def test_the_same_round_counts_once(tmp_path: Path) -> None:
    """Same configuration and seed in two folders: the older run's round counts, with its epochs, and a warning tells."""
    write_run(tmp_path / "new", {0: 0.5, 1: 0.7}, started="2026-02-01T00:00:00+00:00")
    write_run(tmp_path / "old", {0: 0.8}, started="2026-01-01T00:00:00+00:00")
    with pytest.warns(UserWarning, match="1 rounds are on record more than once"):
        rounds = load_rounds(tmp_path)
    assert sorted(zip(rounds["run"], rounds["seed"], rounds["test_accuracy"], strict=True)) == [("new", 1, 0.7), ("old", 0, 0.8)]
    with pytest.warns(UserWarning, match="more than once"):
        assert len(load_epochs(tmp_path)) == 6


def test_a_repeated_failed_round_gives_way(tmp_path: Path) -> None:
    """A round that failed and was done elsewhere is done; that is no reason for a warning."""
    write_run(tmp_path / "old", {0: None, 1: 0.7}, status="failed")
    write_run(tmp_path / "new", {0: 0.8}, started="2026-02-01T00:00:00+00:00")
    rounds = load_rounds(tmp_path)
    assert sorted(zip(rounds["seed"], rounds["status"], strict=True)) == [(0, "done"), (1, "done")]


@pytest.mark.parametrize("name", ["rounds.csv", "epochs.csv", "distances.csv"])
def test_every_cut_is_noticed(tmp_path: Path, name: str) -> None:
    """A file cut off at any byte is named, or its missing rounds or epochs are; no cut passes for data."""
    run = write_run(tmp_path / "cut", {0: 0.8, 1: 0.7})
    write_distances(run, [0, 1], [90] * 10)
    write_run(tmp_path / "whole", {2: 0.9})
    whole = (run / name).read_bytes()
    for length in [*range(0, len(whole) - 1, 3), len(whole) - 1]:
        (run / name).write_bytes(whole[:length])
        sweep = read_sweep([tmp_path], "report")
        told = any(name in note for note in sweep.warnings)
        assert told or (name == "rounds.csv" and whole[length - 1 : length] == b"\n"), (length, sweep.warnings)
        if told and name == "rounds.csv":
            assert sweep.rounds["seed"].tolist() == [2]


def test_damaged_files_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    """Half a run.json, one without a hash, a CSV of something else, an accuracy of 83 %: each is left out with a line."""
    write_run(tmp_path / "good", {0: 0.8})
    (write_run(tmp_path / "half", {1: 0.8}) / "run.json").write_text('{"status":')
    bad = write_run(tmp_path / "nohash", {2: 0.8}) / "run.json"
    bad.write_text(json.dumps({name: value for name, value in json.loads(bad.read_text()).items() if name != "configuration_hash"}))
    (write_run(tmp_path / "other", {3: 0.8}) / "rounds.csv").write_bytes(b"\x00\xff\xfe")
    write_run(tmp_path / "percent", {4: 83.0})
    sweep = read_sweep([tmp_path])
    assert sweep.rounds["seed"].tolist() == [0]
    assert len(sweep.warnings) == 4
    for name in ("half", "nohash", "other", "percent"):
        assert any(f"/{name}" in note and "left out" in note for note in sweep.warnings)


def test_folders_without_runs(tmp_path: Path) -> None:
    """No folder, no run, only damaged runs, no round yet: one line each that names the folder."""
    with pytest.raises(RunError, match="no such folder"):
        read_sweep([tmp_path / "nowhere"])
    with pytest.raises(RunError, match=r"holds no run \(there is no run\.json"):
        read_sweep([tmp_path])
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(RunError, match="no readable run, 1 damaged"):
        read_sweep([tmp_path])
    run = write_run(tmp_path, {0: 0.8}, status="running")
    (run / "rounds.csv").unlink()
    with pytest.raises(RunError, match="no round is on record yet"):
        read_sweep([tmp_path])


def test_summaries_are_no_runs(tmp_path: Path) -> None:
    """What lies in summary/ is not read."""
    write_run(tmp_path / "a", {0: 0.8})
    write_run(tmp_path / "summary" / "copy", {1: 0.8})
    assert [path.name for path in find_runs(tmp_path)] == ["a"]


def test_small_parts() -> None:
    """Natural order, flattening and column types."""
    assert sorted(["run10", "run9", "w=0.1", "w=0.03"], key=natural) == ["run9", "run10", "w=0.03", "w=0.1"]
    assert flatten({"a": {"b": 1, "c": {"d": [1, 2]}}, "e": None}) == {"a.b": 1, "a.c.d": "[1,2]", "e": None}
    assert [str(typed(values).dtype) for values in ([1, None], [1, 0.5], [True, 1], [None, None])] == [
        "Int64",
        "float64",
        "string",
        "float64",
    ]
    assert pd.isna(typed(["a", None])[1])
