"""Records as frames: tidy, typed, nothing counted twice, nothing damaged taken for data."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import digitcmp
from digitcmp.errors import RunError
from digitcmp.experiment.about import read_about
from digitcmp.experiment.folders import find_runs, natural
from digitcmp.experiment.run import Run
from digitcmp.report import frames
from digitcmp.report.frames import load_epochs, load_rounds, read_sweep
from digitcmp.report.runs import RunFrames, flatten, typed
from tests.experiment.made import lines_of, logs_of
from tests.report.made import configuration, write_run


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


FIGURES = ["train_loss", "train_accuracy", "test_accuracy", "digit_accuracy", "val_accuracy"]
ROUND_KINDS = {"seed": "int64", "status": "string", "epochs_trained": "int64", **dict.fromkeys(FIGURES, "float64")}
ROUND_KINDS |= {"best_epoch": "Int64", "best_accuracy": "float64", "majority_accuracy": "float64", "seconds": "float64", "error": "string"}
EPOCH_KINDS = {"seed": "int64", "epoch": "int64", **dict.fromkeys(FIGURES, "float64"), "seconds": "float64", "status": "string"}


@pytest.mark.parametrize(("load", "view", "kinds"), [(load_rounds, "rounds", ROUND_KINDS), (load_epochs, "epochs", EPOCH_KINDS)])
def test_frames_of_a_trained_run(trained: Run, load: Callable[[Path], pd.DataFrame], view: str, kinds: dict[str, str]) -> None:
    """The run, then what its CSV file shows in columns of the promised types, then its configuration and what made it."""
    frame, about = load(trained.directory), read_about(trained.directory)
    last = ["configuration_hash", "parameters", "engine", "device", "platform", "plugins"]
    last += ["digitcmp", "torch", "python", "git_commit", "git_dirty"]
    assert frame.columns.tolist() == ["run", *kinds, *flatten(about["configuration"]), *last]
    assert frame[list(kinds)].dtypes.astype(str).to_dict() == kinds
    shown = pd.read_csv(trained.directory / f"{view}.csv").rename(columns={"epochs": "epochs_trained"})
    shown = shown.assign(**{"status": "done"} if view == "epochs" else {})[list(kinds)].astype(kinds)
    pd.testing.assert_frame_equal(frame[list(kinds)], shown)
    assert (frame["seed"].unique().tolist(), len(frame)) == ([0, 1], 2 if view == "rounds" else 4)
    assert frame["test_accuracy"].isna().tolist() == ([False] * 2 if view == "rounds" else [True, False] * 2)
    assert (frame["model.name"].unique(), frame["parameters"].unique()) == (["wsn"], [27884])
    assert (frame["run"].unique(), frame["test_every"].unique()) == ([trained.name], [2])


def test_what_differs_comes_first(tmp_path: Path) -> None:
    """The keys that tell the runs apart, one that some runs lack among them; then the figures."""
    write_run(tmp_path / "a", {0: 0.8})
    write_run(tmp_path / "b", {0: 0.9}, configuration(model__name="wsn", optimizer__comparator_lr=0.3))
    for load in (load_rounds, load_epochs):
        assert load(tmp_path).columns.tolist()[:5] == ["run", "model.name", "optimizer.comparator_lr", *load(tmp_path / "a").columns[1:3]]
    kinds = {str(name): str(kind) for name, kind in load_rounds(tmp_path).dtypes.items()}
    told = re.findall(
        r"`([\w.]+)`",
        str(load_rounds.__doc__).split("in which the runs differ")[0] + str(load_rounds.__doc__).split("lists as compact text;")[1],
    )
    assert set(told) - {"run"} == set(kinds) & set(told) - {"run"}, "the docstring names columns that there are not"
    assert set(kinds) - set(flatten(configuration())) <= set(told), "the docstring leaves columns out"


def test_frames_of_failed_rounds_have_the_same_columns(tmp_path: Path) -> None:
    """Also where no round has an epoch, or a figure."""
    write_run(tmp_path, {0: None, 1: None}, status="failed")
    rounds, epochs = load_rounds(tmp_path), load_epochs(tmp_path)
    assert rounds[list(ROUND_KINDS)].dtypes.astype(str).to_dict() == ROUND_KINDS
    assert rounds["error"].tolist() == ["broke"] * 2
    assert len(epochs) == 0
    assert epochs[list(EPOCH_KINDS)].dtypes.astype(str).to_dict() == EPOCH_KINDS


def test_epochs_are_those_of_recorded_rounds(tmp_path: Path) -> None:
    """One row a (round, epoch). A round whose line is not whole yet, though its epochs stand in it, is not one."""
    run = write_run(tmp_path / "a", {0: 0.8, 1: 0.7})
    logs_of(run)[0].write_bytes(b"".join(lines_of(run))[:-3])
    with pytest.warns(UserWarning, match=r"line 2, is not whole \(it was being written\); its round is left out"):
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
    with pytest.warns(UserWarning, match="on record more than once: 1 round "):
        rounds = load_rounds(tmp_path)
    assert sorted(zip(rounds["run"], rounds["seed"], rounds["test_accuracy"], strict=True)) == [("new", 1, 0.7), ("old", 0, 0.8)]
    with pytest.warns(UserWarning, match="more than once"):
        assert len(load_epochs(tmp_path)) == 6


def test_a_repeated_failed_round_gives_way(tmp_path: Path) -> None:
    """A round that failed and was done elsewhere is done, whichever was first; the warning tells."""
    write_run(tmp_path / "old", {0: None, 1: 0.7, 2: 0.6}, status="failed")
    write_run(tmp_path / "new", {0: 0.8, 2: None}, started="2026-02-01T00:00:00+00:00")
    told = r"failed in one run and done in another: 2 rounds \(same .*, as seed 0\); counted as done, .* left out \(new, old\)$"
    with pytest.warns(UserWarning, match=told):
        rounds = load_rounds(tmp_path)
    assert sorted(zip(rounds["seed"], rounds["status"], strict=True)) == [(0, "done"), (1, "done"), (2, "done")]


def test_a_round_that_failed_twice_counts_once(tmp_path: Path) -> None:
    """And is told of as one that is done twice."""
    write_run(tmp_path / "old", {0: None, 1: 0.7}, status="failed")
    write_run(tmp_path / "new", {0: None}, started="2026-02-01T00:00:00+00:00", status="failed")
    sweep = read_sweep([tmp_path])
    (note,) = sweep.warnings
    assert note.startswith("on record more than once: 1 round (same configuration and seed, as seed 0)")
    assert sorted(zip(sweep.rounds["seed"], sweep.rounds["status"], strict=True)) == [(0, "failed"), (1, "done")]


def test_every_cut_is_noticed(tmp_path: Path) -> None:
    """A log cut off at any byte is named, or its missing rounds are; no cut passes for data."""
    run = write_run(tmp_path / "cut", {0: 0.8, 1: 0.7}, right=[90] * 10)
    write_run(tmp_path / "whole", {2: 0.9}, started="2026-02-01T00:00:00+00:00")
    (log,), whole, first = logs_of(run), b"".join(lines_of(run)), len(lines_of(run)[0])
    for length in range(len(whole) - 1):
        log.write_bytes(whole[:length])
        sweep = read_sweep([tmp_path], ["epoch", "test_accuracy"])
        seeds = [0, 2] if length >= first - 1 else [2]
        told = any(log.name in note for note in sweep.warnings)
        assert told == (length not in (0, first - 1, first)), (length, sweep.warnings)
        assert sweep.runs["recorded"].tolist() == [len(seeds) - 1, 1]
        assert sweep.rounds["seed"].tolist() == seeds
        assert sweep.epochs["seed"].tolist() == [seed for seed in seeds for _ in range(3)]
        assert sweep.distances["seed"].tolist() == [seed for seed in seeds for _ in range(10) if seed == 0]


def test_damage_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    """Half a run.json, one without a hash, a log of something else, one that cannot be read, an accuracy of 83 %: each is left out with a
    line, and concerns neither other runs nor other rounds."""
    write_run(tmp_path / "good", {0: 0.8})
    (write_run(tmp_path / "half", {1: 0.8}) / "run.json").write_text('{"status":')
    bad = write_run(tmp_path / "nohash", {2: 0.8}) / "run.json"
    bad.write_text(json.dumps({name: value for name, value in json.loads(bad.read_text()).items() if name != "configuration_hash"}))
    logs_of(write_run(tmp_path / "other", {3: 0.8}))[0].write_bytes(b"\x00\xff\xfe")
    (write_run(tmp_path / "unreadable", {4: 0.8}) / "records" / "a.jsonl").mkdir()
    lines = lines_of(write_run(tmp_path / "percent", {5: 0.8, 6: 0.83, 7: 0.9}))
    logs_of(tmp_path / "percent")[0].write_bytes(b"".join(lines).replace(b"0.83,", b"83.0,", 1))
    (foreign,) = logs_of(write_run(tmp_path / "elsewhere", {8: 0.8}, configuration(epochs=9)))
    foreign.replace(tmp_path / "good" / "records" / "z.jsonl")
    sweep = read_sweep([tmp_path])
    assert sweep.rounds["seed"].tolist() == [0, 5, 7, 4]
    assert sweep.epochs["seed"].tolist() == [0, 0, 0, 5, 5, 5, 7, 7, 7, 4, 4, 4]
    assert len(sweep.warnings) == 6
    unread = "unreadable: records/a.jsonl cannot be read"
    for name in ("half holds no run", "nohash holds no run", "other: records/", unread, "good: records/z.jsonl: 1 round of another"):
        assert len([note for note in sweep.warnings if f"/{name}" in note and "left out" in note]) == 1, name
    damage = dict(zip(sweep.runs["run"].map(lambda run: Path(run).name), sweep.runs["damaged"], strict=True))
    assert {name for name, text in damage.items() if text} == {"good", "other", "unreadable", "percent"}
    assert any(note.startswith(f"{tmp_path}/percent: records/") and ", line 2, is damaged" in note for note in sweep.warnings)


def test_folders_without_runs(tmp_path: Path) -> None:
    """No folder, no run, only damaged runs, no round yet: one line each that names the folder."""
    with pytest.raises(RunError, match="no such folder"):
        read_sweep([tmp_path / "nowhere"])
    with pytest.raises(RunError, match=r"holds no run \(there is no run\.json"):
        read_sweep([tmp_path])
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(RunError, match="no readable run, 1 damaged"):
        read_sweep([tmp_path])
    (tmp_path / "run.json").unlink()
    write_run(tmp_path, {}, status="running")
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


def test_runs_behind_links_are_found_once(tmp_path: Path) -> None:
    """A link to a run, to a folder of runs, and two that lead back to where one comes from."""
    write_run(tmp_path / "elsewhere" / "a", {0: 0.8})
    write_run(tmp_path / "far" / "deep" / "b", {1: 0.8})
    top = tmp_path / "sweep"
    write_run(top / "c", {2: 0.8})
    for name, target in {"run": "elsewhere/a", "more": "far", "loop": "sweep", "up": "."}.items():
        (top / name).symlink_to(tmp_path / target)
    (tmp_path / "far" / "back").symlink_to(top)
    assert sorted(digitcmp.load_rounds(top)["seed"]) == [0, 1, 2]


def test_a_run_that_is_removed_meanwhile_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not one that has no rounds yet."""
    for name in "ab":
        write_run(tmp_path / name, {0: 0.8, 1: 0.9}, configuration(model__name=name))
    read = frames.read_frames

    def read_late(directory: Path, *given: Any, **named: Any) -> RunFrames:
        shutil.rmtree(tmp_path / "b", ignore_errors=True)
        return read(directory, *given, **named)

    monkeypatch.setattr(frames, "read_frames", read_late)
    sweep = read_sweep([tmp_path])
    assert f"{tmp_path / 'b'}: this folder was removed while it was read; its rounds are left out" in sweep.warnings
    assert len(sweep.rounds) == 2
