"""The store: what is on record, whatever happens to the files and whoever else writes into the folder."""

import errno
import fcntl
import json
import os
import subprocess
import sys
import time
from codecs import BOM_UTF8
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from digitcmp.config.identity import configuration_hash
from digitcmp.errors import RunError
from digitcmp.experiment import about as module
from digitcmp.experiment import provenance
from digitcmp.experiment.about import data_root, read_about
from digitcmp.experiment.folders import near
from digitcmp.experiment.log_reader import LogReader, read_logs
from digitcmp.experiment.provenance import versions
from digitcmp.experiment.records import Records, to_record
from digitcmp.experiment.store import Store, network_path
from digitcmp.experiment.views import FILES
from digitcmp.files import write_whole
from digitcmp.report.frames import load_rounds
from digitcmp.runs.notes import read_notes, write_note
from digitcmp.train.results import DistanceRow, RoundResult, RoundRow
from tests.conftest import ROOT
from tests.experiment.made import (
    ABOUT,
    EPOCH,
    ROUND,
    epochs_of,
    lines_of,
    logs_of,
    parsed,
    records_of,
    seeds_of,
    status_of,
    write_run,
)


def result(seed: int, **changes: Any) -> RoundResult:
    """A round with two epochs and a distance."""
    epochs = [replace(EPOCH, seed=seed, epoch=epoch, train_loss=0.1 * seed + epoch / 7) for epoch in (1, 2)]
    return RoundResult(replace(ROUND, seed=seed, epochs=2, **changes), epochs, [DistanceRow(seed, 3, 10, 9)])


def begun(directory: Path) -> Store:
    """A store whose run has begun."""
    store = Store(directory, {})
    store.begin(ABOUT)
    return store


def test_rounds_come_back_as_they_were(tmp_path: Path) -> None:
    """Every kind of row, with 8 significant digits; missing values, infinities, and texts with anything in them."""
    text = 'it said "no",\nthen stopped: \ud800 \x00 ,"epochs":{ {"check":"0000000000000000",'
    failed = result(7, status="failed", test_accuracy=None, best_epoch=None, train_loss=float("inf"), error=text)
    write_run(tmp_path, [result(3), failed], {"seeds": [3, 7]})
    done, broken = records_of(tmp_path)
    assert (done.row, broken.row) == (result(3).row, failed.row)
    assert [replace(row, train_loss=0) for row in done.epochs] == [replace(row, train_loss=0) for row in result(3).epochs]
    assert done.epochs[0].train_loss == float(f"{result(3).epochs[0].train_loss:.8g}")
    assert done.distances == result(3).distances
    assert status_of(tmp_path) == "failed"


def test_a_log_is_json_lines(tmp_path: Path) -> None:
    """Any program can read it: a line a round, each with the hash of its configuration."""
    store = write_run(tmp_path, [result(0), result(1)])
    lines = [json.loads(line) for line in lines_of(tmp_path)]
    assert [line["round"]["seed"] for line in lines] == [0, 1]
    assert {line["configuration"] for line in lines} == {store.configuration_hash}
    assert lines[0]["epochs"]["epoch"] == [1, 2]


def test_views_are_in_order_of_seed_whenever_rounds_finish(tmp_path: Path) -> None:
    """Workers finish in any order; the CSV files don't show it. Their columns are the promised ones."""
    write_run(tmp_path, [result(seed) for seed in (2, 0, 1)])
    rounds, epochs, distances = ((tmp_path / f"{name}.csv").read_text().splitlines() for name in ("rounds", "epochs", "distances"))
    assert [line.split(",")[0] for line in rounds[1:]] == ["0", "1", "2"]
    assert [line.split(",")[0] for line in epochs[1:]] == ["0", "0", "1", "1", "2", "2"]
    assert epochs[0] == "seed,epoch,train_loss,train_accuracy,test_accuracy,digit_accuracy,val_accuracy,seconds"
    assert rounds[0].startswith("seed,status,")
    assert rounds[0].endswith(",seconds,error")
    assert distances == ["seed,distance,pairs,right", "0,3,10,9", "1,3,10,9", "2,3,10,9"]


def test_adding_writes_the_log_alone_until_the_views_are_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Views come now and then, at the end, and where somebody has deleted one; they are not rewritten for nothing."""
    store = begun(tmp_path)
    store.add(result(0))
    assert not list(tmp_path.glob("*.csv"))
    monkeypatch.setattr(store, "next_view", time.monotonic())
    store.add(result(1))
    assert len((tmp_path / "rounds.csv").read_text().splitlines()) == 3
    store.add(result(2))
    assert len((tmp_path / "rounds.csv").read_text().splitlines()) == 3
    store.end()
    assert len((tmp_path / "rounds.csv").read_text().splitlines()) == 4
    before = (tmp_path / "rounds.csv").stat().st_ino
    Store(tmp_path, {}).end()
    assert (tmp_path / "rounds.csv").stat().st_ino == before
    (tmp_path / "epochs.csv").unlink()
    Store(tmp_path, {}).end()
    assert (tmp_path / "epochs.csv").exists()


def test_views_are_written_in_proportion_to_what_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However slowly rounds come in, the views are not rewritten for every few of them."""
    store, written = begun(tmp_path), 0
    for seed in range(50):
        monkeypatch.setattr(store, "next_view", time.monotonic())
        store.add(result(seed))
        if len((tmp_path / "rounds.csv").read_text().splitlines()) == seed + 2:
            written += seed + 1
    assert 50 < written <= 3 * 50


# ---- damage ----


def test_a_log_cut_off_at_every_byte_of_its_last_line(tmp_path: Path) -> None:
    """The round that was being written is missing and named; the others stay, and further rounds can be added."""
    write_run(tmp_path, [result(seed) for seed in (0, 1, 2)])
    (path,), (*kept, last) = logs_of(tmp_path), lines_of(tmp_path)
    for length in range(len(last) - 1):
        path.write_bytes(b"".join(kept) + last[:length])
        store = Store(tmp_path, {})
        assert store.missing([0, 1, 2], False) == [2], length
        assert len(store.records.damaged) == (length > 0), length
    assert "line 3, is not whole (it was being written); its round is left out" in store.records.damaged[0]
    store.begin(ABOUT)
    store.add(result(2))
    store.end()
    assert seeds_of(tmp_path) == [0, 1, 2]


@pytest.mark.parametrize("damage", ["byte", "line break", "beginning", "other text"])
def test_damage_in_the_middle_concerns_one_round(tmp_path: Path, damage: str) -> None:
    """The line is named with its number; the rounds before and behind it are read."""
    write_run(tmp_path, [result(seed) for seed in (0, 1, 2)])
    (path,), lines = logs_of(tmp_path), lines_of(tmp_path)
    lines[1] = {
        "byte": lines[1].replace(b"0.75", b"0.85", 1),
        "line break": lines[1].replace(b"\n", b"#"),
        "beginning": b"#" + lines[1][1:],
        "other text": b"not a record\n",
    }[damage]
    path.write_bytes(b"".join(lines))
    records = read_logs(tmp_path, Store(tmp_path, {}).configuration_hash)
    if damage == "line break":  # what was recorded is there
        assert list(records.rounds) == [0, 1, 2]
    else:
        assert list(records.rounds) == [0, 2]
    assert [line for line in records.damaged if f"{path.name}, line 2, is damaged" in line] == records.damaged
    assert len(records.damaged) == 1


BYTES = b"".join(to_record(result(seed), "0", f"2026-01-0{seed + 1}", "a")[1] for seed in range(4))
EDIT = st.one_of(
    st.tuples(st.integers(0, len(BYTES)), st.integers(0, 40), st.binary(max_size=40)),
    st.tuples(st.integers(0, len(BYTES)), st.just(0), st.sampled_from([BYTES, b"\n", b'{"check":"', BYTES[:60], b"\x00" * 99])),
    st.tuples(st.integers(0, len(BYTES)), st.just(len(BYTES)), st.just(b"")),
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(EDIT, max_size=4))
def test_random_damage_never_gives_a_wrong_number_nor_loses_a_sound_round(edits: list[tuple[int, int, bytes]]) -> None:
    """Bytes are replaced, deleted, inserted: every record that is read is one that was written, every one that is whole is read."""
    data = BYTES
    for offset, removed, inserted in edits:
        data = data[:offset] + inserted + data[offset + removed :]
    records, damaged = parsed(data)
    whole = {seed: to_record(result(seed), "0", f"2026-01-0{seed + 1}", "a")[1].rstrip(b"\n") for seed in range(4)}
    for record in records:
        assert record.text == whole[record.row.seed]
        assert record.row == to_record(result(record.row.seed), "0", "", "a")[0].row
    assert {seed for seed, text in whole.items() if text in data} <= {record.row.seed for record in records}
    rest = data
    for record in records:
        rest = rest.replace(record.text, b"", 1)
    assert bool(damaged) == bool(rest.strip())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(EDIT, max_size=3))
def test_a_damaged_run_is_read_by_everybody_alike(tmp_path: Path, edits: list[tuple[int, int, bytes]]) -> None:
    """Resume and the report see the same rounds, and nobody ends with a trace."""
    folder = tmp_path / str(time.monotonic_ns())
    write_run(folder, [result(seed) for seed in range(4)], {"seeds": [0, 1, 2, 3]})
    (path,) = logs_of(folder)
    data = path.read_bytes()
    for offset, removed, inserted in edits:
        data = data[:offset] + inserted + data[offset + removed :]
    path.write_bytes(data)
    store = Store(folder, {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *_, **__: None)
        try:
            read = load_rounds(folder)["seed"].tolist()
        except RunError:
            read = []
    assert sorted(read) == sorted(store.rows)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b"\xff\xfe", b'{"configuration": 1}', b"[" * 100_000, b'{"seeds": [0]'])
def test_a_damaged_run_json_is_one_line(tmp_path: Path, content: bytes) -> None:
    """Whatever it holds."""
    write_run(tmp_path, [result(0)])
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(RunError, match=r"holds no run \(run\.json"):
        Store(tmp_path, {})
    with pytest.raises(RunError, match=r"holds no run \(run\.json"):
        read_about(tmp_path)


def test_where_the_data_of_a_run_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they were, or where somebody says they are; of those that have a usual place, there. Data of one's own have none."""
    monkeypatch.setenv("DIGITCMP_DATA", "usual")
    (tmp_path / "here.npz").touch()
    for source, root, wanted, expected in (
        ("mnist", "gone", None, "usual"),
        ("mnist", None, None, "usual"),
        ("npz", str(tmp_path / "here.npz"), None, str(tmp_path / "here.npz")),
        ("npz", "gone.npz", "there.npz", "there.npz"),
    ):
        assert data_root({"data_root": root, "configuration": {"data": {"source": source}}}, wanted) == expected
    for source in ("npz", "folder"):
        with pytest.raises(RunError, match=r"^gone, the data that this run was trained on, is not there any more; .* --root$"):
            data_root({"data_root": "gone", "configuration": {"data": {"source": source}}}, None)


def test_a_folder_of_runs_is_no_run(tmp_path: Path) -> None:
    """The runs in it are named, in natural order."""
    for name in ("run=10", "run=9"):
        write_run(tmp_path / "sweep" / name, [result(0)])
    told = r"run\.json in it\); it is a folder of 2 runs: name one of them, {}/sweep/{} for example$"
    none = r"2 runs, and none has kept its networks: save_model=true keeps those of finished rounds, in a new folder$"
    with pytest.raises(RunError, match=none):
        read_about(tmp_path / "sweep", networks=True)
    with pytest.raises(RunError, match=told.format(tmp_path, "run=9")):
        read_about(tmp_path / "sweep")
    kept = network_path(tmp_path / "sweep" / "run=10", 0)
    kept.parent.mkdir()
    kept.touch()
    with pytest.raises(RunError, match=told.format(tmp_path, "run=10")):
        read_about(tmp_path / "sweep", networks=True)


def test_a_folder_that_begins_with_what_was_typed_is_meant(tmp_path: Path) -> None:
    """Rather than one that is merely similar."""
    for name in ("16-29-38", "16-29-37_model=wsn"):
        (tmp_path / name).mkdir()
    assert near(tmp_path / "16-29-37") == f"; did you mean {tmp_path / '16-29-37_model=wsn'}?"
    assert near(tmp_path / "16-29-39") == f"; did you mean {tmp_path / '16-29-38'}?"


@pytest.mark.parametrize("change", [{"started": None}, {"resumed": 5}, {"seeds": ["a", None]}, {"configuration": {}}, {"parameters": "1"}])
def test_a_run_json_that_somebody_has_changed_is_one_line(tmp_path: Path, change: dict[str, Any]) -> None:
    """Also where it is JSON of the right shape: a configuration that is not that of its hash would pool what does not belong together."""
    write_run(tmp_path, [result(0)], configuration={"epochs": 1})
    about = {**json.loads((tmp_path / "run.json").read_text()), **change}
    (tmp_path / "run.json").write_text(json.dumps(about))
    with pytest.raises(RunError, match=r"holds no run \(run\.json has"):
        Store(tmp_path, {"epochs": 1})


@pytest.mark.parametrize("name", ["run.json", "records/a.jsonl"])
def test_a_pipe_instead_of_a_file_keeps_nobody_waiting(tmp_path: Path, name: str) -> None:
    """It is refused in one line."""
    write_run(tmp_path, [result(0)])
    (tmp_path / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / name)
    with pytest.raises(RunError, match="it is no file"):
        Store(tmp_path, {})


NAMES = ["digitcmp.log", ".hydra/config.yaml", ".hydra/overrides.yaml"]
OF_SWEEPS = ["jobs.json", "sweep.json", "multirun.yaml", "auto.json", "preview.json", "begun.json"]


@pytest.mark.parametrize("name", [*NAMES, *OF_SWEEPS, "net2/digitcmp.log", "net2/.hydra/hydra.yaml"])
def test_a_pipe_where_a_command_writes_or_reads(tmp_path: Path, name: str) -> None:
    """Of a run or a sweep, Hydra's files among them: it is refused before anything is trained, and reports do without it."""
    folder = tmp_path / "out"
    (folder / name).parent.mkdir(parents=True)
    os.mkfifo(folder / name)
    tiny = ["model=net2", "epochs=1", "data=digits", "data.train_pairs=40", "data.test_pairs=40", "batch_size=20", "engine=serial"]
    alone = name in NAMES
    sweep = [f"hydra.run.dir={folder}"] if alone else ["--multirun", f"hydra.sweep.dir={folder}", "hydra.sweep.subdir='${model.name}'"]
    command = [sys.executable, "-m", "digitcmp"]
    ended = subprocess.run([*command, *tiny, *sweep], capture_output=True, text=True, check=False, timeout=100, cwd=ROOT)
    told = f"digitcmp: {folder / name}: this is a pipe or a device, and no file; remove it, or choose another folder"
    assert (ended.returncode, ended.stderr.strip().splitlines()[-1]) == (1, told)
    assert not [*folder.rglob("rounds.csv")]
    for reading in (["digitcmp.report"], ["digitcmp.runs", "status"], ["digitcmp.runs", "ls"]):
        subprocess.run([sys.executable, "-m", *reading, folder], capture_output=True, check=False, timeout=60, cwd=ROOT)


def test_a_note_into_a_pipe(tmp_path: Path) -> None:
    """Nobody reads it; nor is anything read from it."""
    write_run(tmp_path, [result(0)])
    os.mkfifo(tmp_path / "notes.txt")
    assert read_notes(tmp_path) == []
    with pytest.raises(RunError, match="this is a pipe or a device"):
        write_note(tmp_path, "x")


def test_a_mark_in_front_of_a_log_is_no_damage(tmp_path: Path) -> None:
    """Nor are other line ends, or both in front of run.json: all rounds are there, and nothing is said to be left out."""
    write_run(tmp_path, [result(0), result(1)], configuration={"epochs": 1})
    (log,) = (tmp_path / "records").glob("*.jsonl")
    for path in (log, tmp_path / "run.json"):
        path.write_bytes(BOM_UTF8 + path.read_bytes().replace(b"\n", b"\r\n"))
    records = Store(tmp_path, {"epochs": 1}).records
    assert [*records.rounds] == [0, 1]
    assert not records.damaged


def test_a_binary_log_is_one_line(tmp_path: Path) -> None:
    """Not as many as there are line breaks in it."""
    write_run(tmp_path, [result(0)])
    (tmp_path / "records" / "a.jsonl").write_bytes(bytes(range(256)) * 1000)
    (line,) = Store(tmp_path, {}).records.damaged
    assert line == "records/a.jsonl, lines 1 to 1001, are damaged; what they recorded is left out"


# ---- several processes, and other folders ----


def test_the_first_finished_line_of_a_seed_counts(tmp_path: Path) -> None:
    """Two processes finish the same seed; a failed round gives way to one that is done, whichever came first."""
    one, two = begun(tmp_path), begun(tmp_path)
    one.add(result(0, seconds=1.0))
    two.add(result(0, seconds=2.0))
    two.add(result(1, status="failed"))
    one.add(result(1, seconds=3.0))
    one.add(result(2, status="failed", error="first"))
    two.add(result(2, status="failed", error="second"))
    for store in (one, two, Store(tmp_path, {})):
        store.end()
        assert [(row.status, row.seconds) for row in records_rows(tmp_path)[:2]] == [("done", 1.0), ("done", 3.0)]
        assert records_rows(tmp_path)[2].error == "second"
        assert {seed: row.status for seed, row in store.rows.items()} == {0: "done", 1: "done", 2: "failed"}
    assert len(logs_of(tmp_path)) == 2
    assert len((tmp_path / "rounds.csv").read_text().splitlines()) == 4


def records_rows(directory: Path) -> list[RoundRow]:
    """The rounds on record."""
    return [record.row for record in records_of(directory)]


def test_rounds_that_nobody_has_any_more(tmp_path: Path) -> None:
    """Asked for by an earlier command that was stopped, and not by the one that ends: nothing is running."""
    one = begun(tmp_path)
    one.add(result(0))
    assert one.end() == "interrupted"


def test_a_claimed_round_is_left_to_who_claimed_it(tmp_path: Path) -> None:
    """A round goes to the first that claims it, and is not given out when it is finished."""
    one, two = begun(tmp_path), begun(tmp_path)
    assert one.claim(0, False)
    assert not two.claim(0, False)
    assert two.claim(1, False)
    one.add(result(0))
    assert not two.claim(0, False)
    two.add(result(1))
    assert one.claim(2, False)
    one.claims.release(2)
    assert two.claim(2, False)
    assert one.end() == "running"  # by the other process
    two.add(result(2))
    assert two.end() == "done"
    assert not (tmp_path / ".claims").exists()


def test_claims_of_finished_rounds_leave_no_files(tmp_path: Path) -> None:
    """Ten thousand rounds are not ten thousand locks."""
    store = begun(tmp_path)
    for seed in range(3):
        assert store.claim(seed, False)
        store.add(result(seed))
    assert not list((tmp_path / ".claims").iterdir())


def test_a_run_that_is_complete_leaves_the_claims_of_those_who_try_again(tmp_path: Path) -> None:
    """A failed round is on record, and is being trained again by one process when another one ends the run."""
    write_run(tmp_path, [result(0, status="failed")], {"seeds": [0]})
    one, two = Store(tmp_path, {}), Store(tmp_path, {})
    assert one.claim(0, True)
    two.end()
    assert not two.claim(0, True)
    one.claims.release(0)
    one.end()
    assert not (tmp_path / ".claims").exists()


def test_a_process_that_is_killed_gives_its_claims_back(tmp_path: Path) -> None:
    """With SIGKILL, in the middle of a round."""
    code = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from tests.experiment.test_store import begun
store = begun(Path({str(tmp_path)!r}))
store.claim(0, False)
print("claimed", flush=True)
input()
"""
    other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "claimed\n"
    store = begun(tmp_path)
    assert not store.claim(0, False)
    other.kill()
    other.communicate()
    assert store.claim(0, False)


def test_sizes_that_a_file_system_reports_late_hide_no_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Network file systems may answer `stat` from memory: another process's rounds are seen all the same."""
    one, two = begun(tmp_path), begun(tmp_path)
    one.add(result(0))
    two.refresh()
    known = {path: path.stat() for path in tmp_path.rglob("*")}
    real = Path.stat
    monkeypatch.setattr(Path, "stat", lambda self, **more: known.get(self) or real(self, **more))
    one.add(result(1))
    assert not two.claim(1, False)


def test_a_run_that_was_moved_or_copied_goes_on(tmp_path: Path) -> None:
    """Nothing in a folder says where it lies."""
    write_run(tmp_path / "a", [result(0)])
    (tmp_path / "a").rename(tmp_path / "b")
    store = Store(tmp_path / "b", {})
    assert store.missing([0, 1], False) == [1]
    store.begin(ABOUT)
    store.add(result(1))
    store.end()
    assert seeds_of(tmp_path / "b") == [0, 1]


def test_rounds_of_another_configuration_are_never_taken_over(tmp_path: Path) -> None:
    """Not with another run.json, not without one."""
    write_run(tmp_path, [result(0)], configuration={"epochs": 1})
    with pytest.raises(RunError, match=r"holds a run of another configuration \(epochs 1 -> 2\)"):
        Store(tmp_path, {"epochs": 2})
    (tmp_path / "run.json").unlink()
    with pytest.raises(RunError, match=r"holds rounds of another configuration, and no run\.json"):
        Store(tmp_path, {"epochs": 2})
    late = Store(tmp_path / "new", {"epochs": 2})
    write_run(tmp_path / "new", [], configuration={"epochs": 1})
    with pytest.raises(RunError, match="holds a run of another configuration"):  # another process was first
        late.begin(ABOUT)
    assert list(Store(tmp_path, {"epochs": 1}).rows) == [0]
    records = Records()
    LogReader(tmp_path, "other").read(records)
    assert (records.rounds, len(records.damaged)) == ({}, 1)


def test_other_code_on_resume_is_on_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that goes on with another version says so; with the same one it does not."""
    for _ in range(2):
        store = Store(tmp_path, {})
        store.begin({**ABOUT, **versions()})
    assert store.about is not None
    assert store.about["resumed"] == []
    before = versions()
    monkeypatch.setattr(module, "versions", lambda: {**before, "torch": "9.9"})
    store.begin({**ABOUT, **before, "torch": "9.9"})
    (change,) = store.about["resumed"]
    assert change["torch"] == before["torch"]
    assert set(change) == {*before, "device", "engine", "platform", "until"}


def test_another_machine_on_resume_is_on_record(tmp_path: Path) -> None:
    """Rounds of another device, executor or processor may differ in their last digits."""
    for engine, name in (("serial", "a"), ("serial", "a"), ("stacked", "a"), ("stacked", "b")):
        store = Store(tmp_path, {})
        store.begin({**ABOUT, **versions(), "engine": engine, "platform": {"device_name": name}})
    assert store.about is not None
    assert [(one["engine"], one["platform"]["device_name"]) for one in store.about["resumed"]] == [("serial", "a"), ("stacked", "a")]


def test_run_json_tells_running_from_done(tmp_path: Path) -> None:
    """A killed run says running for ever; a finished one says when."""
    store = begun(tmp_path)
    assert (read_about(tmp_path)["status"], read_about(tmp_path)["finished"]) == ("running", None)
    for seed in range(3):
        store.add(result(seed))
    store.end()
    about = read_about(tmp_path)
    assert about["status"] == "done"
    assert about["finished"] >= about["started"]


# ---- clocks and times of files ----


def test_nothing_is_finished_before_it_was_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that is set back by a day meanwhile: the run ends after it was begun, and what was trained again counts."""

    class Yesterday(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) - timedelta(days=1)

    store = Store(tmp_path, {})
    store.begin({**ABOUT, "seeds": [0]})
    store.add(result(0, status="failed", error="the first"))
    monkeypatch.setattr(provenance, "datetime", Yesterday)
    store = Store(tmp_path, {})
    store.add(result(0, status="failed", error="the last"))
    assert records_of(tmp_path)[0].row.error == "the last"
    store.add(result(0))
    store.end()
    about = read_about(tmp_path)
    assert (about["status"], about["finished"] >= about["started"]) == ("done", True)
    for nonsense in ("", "yesterday", "0001-01-01T00:00:00+23:00", "2026-01-01"):
        assert provenance.now(after=nonsense).endswith("+00:00")


def test_views_go_by_what_is_on_record(tmp_path: Path) -> None:
    """Whatever the times of the files are: copied, checked out, or of a clock that was set back."""
    write_run(tmp_path, [result(0)])
    late = Store(tmp_path, {})
    late.add(result(1))  # and is killed
    for name in FILES:
        os.utime(tmp_path / name, (4e9, 4e9))
    Store(tmp_path, {}).end()
    assert [line.split(",")[0] for line in (tmp_path / "rounds.csv").read_text().splitlines()] == ["seed", "0", "1"]
    for name in FILES:
        os.utime(tmp_path / name, (0, 0))
    Store(tmp_path, {}).end()
    assert [(tmp_path / name).stat().st_mtime for name in FILES] == [0] * 3  # they are as they should be
    (tmp_path / "epochs.csv").unlink()
    os.mkfifo(tmp_path / "epochs.csv")
    Store(tmp_path, {}).end()
    assert (tmp_path / "epochs.csv").is_file()


# ---- disks ----


def test_a_file_system_without_locks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said in one line; nothing is written, and a folder that was not there is not there afterwards."""
    for number in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):

        def refuse(*_: Any, number: int = number) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(fcntl, "flock", refuse)
        with pytest.raises(RunError, match="this file system has no locks"):
            begun(tmp_path / "new")
        assert not (tmp_path / "new").exists()
        (tmp_path / "old").mkdir(exist_ok=True)
        with pytest.raises(RunError, match="this file system has no locks"):
            begun(tmp_path / "old")
        assert not list((tmp_path / "old").iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_disk_that_fills_up_in_the_middle_of_a_line(tmp_path: Path) -> None:
    """A real one of 64 kB: that round is missing, the others stay, one line says so; with room again, the run goes on."""
    code = f"""
import ctypes, sys; sys.path.insert(0, {str(ROOT)!r})
from dataclasses import replace
from pathlib import Path
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(0x00020000) or libc.mount(b"none", b"/", None, 0x4000 | 0x40000, None):  # a mount namespace of its own
    sys.exit(77)
if libc.mount(b"tmpfs", {str(tmp_path)!r}.encode(), b"tmpfs", 0, b"size=64k"):
    sys.exit(77)
from digitcmp.config.identity import configuration_hash
from digitcmp.errors import RunError
from tests.experiment.made import EPOCH, logs_of, seeds_of
from tests.experiment.test_store import begun, result
folder = Path({str(tmp_path)!r})
store, filler = begun(folder), folder / "filler"
filler.write_bytes(bytes(20_000))
added = 0
try:
    for seed in range(1000):
        store.add(replace(result(seed), epochs=[replace(EPOCH, seed=seed, epoch=epoch) for epoch in range(1, 41)]))
        added += 1
except RunError as error:
    print(error)
assert 2 < added < 100, added
(path,) = logs_of(folder)
assert path.read_bytes().endswith(b"\\n")
assert seeds_of(folder) == list(range(added)), (seeds_of(folder), added)
filler.unlink()
store.add(result(added))
assert seeds_of(folder) == list(range(added + 1))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if ended.returncode == 77:
        pytest.skip("no mount namespaces here")
    assert ended.returncode == 0, ended.stderr
    assert len(ended.stdout.splitlines()) == 1
    assert "No space left on device; its round is not on record, those before it are kept" in ended.stdout


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


def test_epochs_of_a_run_come_from_its_logs(tmp_path: Path) -> None:
    """CSV files are views: whatever somebody does to them, nobody reads them."""
    write_run(tmp_path, [result(0)])
    for name in ("rounds.csv", "epochs.csv", "distances.csv"):
        (tmp_path / name).write_text("something else\n")
    assert len(epochs_of(tmp_path)) == 2
    assert load_rounds(tmp_path)["seed"].tolist() == [0]


def test_damage_that_is_met_later_has_its_own_line_number(tmp_path: Path) -> None:
    """Between records that are appended while somebody reads: counted from the beginning of the log; the line being written is none."""
    write_run(tmp_path, [RoundResult(replace(ROUND, seed=seed)) for seed in range(4)])
    (path,) = logs_of(tmp_path)
    lines = lines_of(tmp_path)
    reader, records = LogReader(tmp_path, configuration_hash({})), Records()
    path.write_bytes(b"".join(lines[:2]))
    reader.read(records)
    path.write_bytes(b"".join([*lines[:2], b"no record\n", lines[2], lines[3][:50]]))
    reader.read(records)
    assert records.damaged == [f"records/{path.name}, line 3, is damaged; its round is left out"]
    path.write_bytes(b"".join([*lines[:2], b"no record\n", *lines[2:]]))
    reader.read(records)
    assert len(records.damaged) == 1
    assert sorted(records.rounds) == [0, 1, 2, 3]
