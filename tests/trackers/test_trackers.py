"""Trackers, the real ones where they are installed; callbacks of the user's own; and what breaks."""

import json
import multiprocessing
import resource
import shutil
import struct
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digitcmp.auto.training import train_auto
from digitcmp.config.allowed import ALLOWED
from digitcmp.config.schema import Config
from digitcmp.errors import ConfigError, Pruned
from digitcmp.experiment.callbacks import Callback
from digitcmp.experiment.run import Run
from digitcmp.runs import cli
from digitcmp.terminal import Terminal
from digitcmp.trackers import load
from digitcmp.trackers.tracker import Tracker, measured, show_folder
from digitcmp.train.results import EpochRow
from tests.conftest import Ended, compose_config
from tests.experiment.made import change_records, epochs_of, records_of, train_run
from tests.report.made import write_run

TINY = ["epochs=3", "data.train_pairs=100", "data.test_pairs=100"]
Main = Callable[..., Ended]
Points = dict[tuple[int, str], list[tuple[int, float]]]
together: Any  # of a process that `meet` has been called in


def config(rounds: int, callbacks: dict[str, Any], engine: str = "serial") -> Config:
    """A small configuration with these callbacks."""
    made = compose_config(*TINY, f"rounds={rounds}", f"engine={engine}", *(["workers=2"] if engine == "processes" else []))
    made.callbacks = callbacks
    return made


def on_record(directory: Path) -> Points:
    """The figures of a run's epochs: (epoch, value) by seed and name."""
    found: Points = {}
    for row in epochs_of(directory):
        for name, value in measured(row).items():
            found.setdefault((row.seed, name), []).append((row.epoch, value))
    return found


def in_tensorboard(directory: Path) -> Points:
    """What TensorBoard has of a run."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found: Points = {}
    for folder in (directory / "tensorboard").glob("seed=*"):
        (_,) = folder.iterdir()
        events = accumulator.EventAccumulator(str(folder))
        events.Reload()
        assert "_hparams_/session_start_info" in events.Tags()["tensors"]
        for name in events.Tags()["scalars"]:
            found[int(folder.name.partition("=")[2]), name] = [(one.step, one.value) for one in events.Scalars(name)]
    return found


def single(points: Points) -> Points:
    """In single precision, which is what TensorBoard has."""
    return {key: [(epoch, float(np.float32(value))) for epoch, value in values] for key, values in points.items()}


@pytest.mark.parametrize("engine", ["serial", "processes", "stacked"])
def test_tensorboard(tmp_path: Path, engine: str) -> None:
    """Has what epochs.csv has, with every executor, and once after a resume."""
    pytest.importorskip("tensorboard")
    train_run(config(1, {"tensorboard": {}}, engine), tmp_path / "a")
    train_run(config(3, {"tensorboard": {}}, engine), tmp_path / "a")
    assert in_tensorboard(tmp_path / "a") == single(on_record(tmp_path / "a"))
    assert len({seed for seed, _ in on_record(tmp_path / "a")}) == 3


def test_tensorboard_where_nothing_can_be_written(tmp_path: Path, run_main: Main) -> None:
    """A full disk is told in one line: no trace of a thread. Files have a limit here, which is as good as a small disk."""
    pytest.importorskip("tensorboard")
    train_run(config(2, {}), tmp_path / "a")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400, before[1]))
    try:
        ended = run_main(cli.main, "export", tmp_path / "a", "--to", "tensorboard")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "File too large" in ended.out + ended.err
    assert "Traceback" not in ended.out + ended.err
    assert run_main(cli.main, "export", tmp_path / "a", "--to", "tensorboard").code == 0
    assert in_tensorboard(tmp_path / "a") == single(on_record(tmp_path / "a"))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::sqlalchemy.exc.SADeprecationWarning")  # of MLflow's own
def test_mlflow(tmp_path: Path, run_main: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    """A parent run and a nested one a round, with the figures of epochs.csv; once, after a resume and an export too."""
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    train_run(config(1, {"mlflow": {"uri": uri}}), tmp_path / "a")
    train_run(config(2, {"mlflow": {"uri": uri}}), tmp_path / "a")
    write_run(tmp_path / "b", {0: 0.5, 1: None}, status="failed")
    ended = run_main(cli.main, "export", tmp_path, "--to", "mlflow", "--option", f"uri={uri}")
    assert ended.code == 0, ended.err
    client = mlflow.MlflowClient(uri)
    (experiment,) = client.search_experiments(filter_string="name = 'digitcmp'")
    runs = client.search_runs([experiment.experiment_id])
    parents = {run.info.run_name: run for run in runs if "mlflow.parentRunId" not in run.data.tags}
    nested = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parents["a"].info.run_id]
    assert Counter(run.info.run_name for run in nested) == {"seed=0": 1, "seed=1": 1}
    assert len(runs) == 6
    assert parents["a"].info.status == "FINISHED"
    assert parents["a"].data.params["model.name"] == "net2"
    assert parents["a"].data.metrics["rounds_done"] == 2
    assert {run.info.status for run in runs if run.info.run_name == "seed=1"} == {"FINISHED", "FAILED"}
    found = {
        (int(run.data.tags["digitcmp.seed"]), name): [(one.step, one.value) for one in client.get_metric_history(run.info.run_id, name)]
        for run in nested
        for name in run.data.metrics
    }
    assert found == on_record(tmp_path / "a")
    about = json.loads((tmp_path / "a" / "mlflow.json").read_text())
    secret = {place.replace("sqlite:///", "sqlite://me:s3cr3t@"): parent for place, parent in about.items()}
    (tmp_path / "a" / "mlflow.json").write_text(json.dumps(secret))  # as an earlier version wrote it
    assert run_main(cli.main, "export", tmp_path / "a", "--to", "mlflow", "--option", f"uri={uri}").code == 0
    assert "s3cr3t" not in (tmp_path / "a" / "mlflow.json").read_text()


def in_mlflow(uri: str) -> Counter[str]:
    """The names of the rounds and of the parent runs that MLflow has, each round below a parent that it has."""
    client = pytest.importorskip("mlflow").MlflowClient(uri)
    (experiment,) = client.search_experiments(filter_string="name = 'digitcmp'")
    runs = client.search_runs([experiment.experiment_id])
    parents = {run.info.run_id for run in runs} | {None}
    assert all(run.data.tags.get("mlflow.parentRunId") in parents for run in runs)
    return Counter(run.info.run_name for run in runs)


def lose_database(uri: str, folder: Path) -> str:
    """Another one is where it was, as the runs see it: MLflow itself keeps a file open that this process has used."""
    other = uri.replace("mlflow", "mlflow_")
    for path in folder.glob("*/mlflow.json"):
        path.write_text(path.read_text().replace(uri, other))
    return other


def delete_parents(uri: str, _: Path) -> str:
    """As somebody does in MLflow's page; it leaves the rounds."""
    client = pytest.importorskip("mlflow").MlflowClient(uri)
    (experiment,) = client.search_experiments(filter_string="name = 'digitcmp'")
    for run in client.search_runs([experiment.experiment_id]):
        if "mlflow.parentRunId" not in run.data.tags:
            client.delete_run(run.info.run_id)
    return uri


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::sqlalchemy.exc.SADeprecationWarning")  # of MLflow's own
@pytest.mark.parametrize("lose", [lose_database, delete_parents])
def test_what_mlflow_has_lost(tmp_path: Path, run_main: Main, lose: Callable[[str, Path], str]) -> None:
    """Is made anew by an export, each round once; a line says so, once."""
    pytest.importorskip("mlflow")
    uri, whole = f"sqlite:///{tmp_path}/mlflow.db", Counter({"a": 1, "b": 1, "seed=0": 2, "seed=1": 1})
    write_run(tmp_path / "a", {0: 0.5, 1: 0.75})
    write_run(tmp_path / "b", {0: 0.5})
    for told in (0, 1, 0):
        ended = run_main(cli.main, "export", tmp_path, "--to", "mlflow", "--option", f"uri={uri}")
        assert (ended.code, (ended.out + ended.err).count("any more")) == (0, told), ended
        assert in_mlflow(uri) == whole
        uri = uri if told else lose(uri, tmp_path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::sqlalchemy.exc.SADeprecationWarning")  # of MLflow's own
@pytest.mark.parametrize("lose", [lose_database, delete_parents])
def test_what_mlflow_has_lost_of_a_run_that_goes_on(tmp_path: Path, lose: Callable[[str, Path], str]) -> None:
    """Is made anew, with the rounds that were on record before; a line says so."""
    pytest.importorskip("mlflow")
    uri, messages = f"sqlite:///{tmp_path}/mlflow.db", Messages()
    train_run(config(2, {"mlflow": {"uri": uri}}), tmp_path / "a")
    uri = lose(uri, tmp_path)
    train_run(config(3, {"mlflow": {"uri": uri}}), tmp_path / "a", messages)
    (text,) = messages.texts
    assert "MLflow does not have its run" in text
    assert in_mlflow(uri) == {"a": 1, "seed=0": 1, "seed=1": 1, "seed=2": 1}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::sqlalchemy.exc.SADeprecationWarning")  # of MLflow's own
def test_deleted_experiment(tmp_path: Path, run_main: Main) -> None:
    """Is said to be deleted, and how to have it again; then the same command exports."""
    mlflow, uri = pytest.importorskip("mlflow"), f"sqlite:///{tmp_path}/mlflow.db"
    write_run(tmp_path / "a", {0: 0.5})
    export = [cli.main, "export", tmp_path / "a", "--to", "mlflow", "--option", f"uri={uri}"]
    assert run_main(*export).code == 0
    client = mlflow.MlflowClient(uri)
    number = client.get_experiment_by_name("digitcmp").experiment_id
    client.delete_experiment(number)
    ended = run_main(*export)
    assert ended.code == 1
    assert f"restore --experiment-id {number}" in ended.err
    assert "the same command exports what is missing" in ended.err
    client.restore_experiment(number)
    assert run_main(*export).code == 0
    assert in_mlflow(uri) == {"a": 1, "seed=0": 1}


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_what_a_folder_has_lost(tmp_path: Path, name: str) -> None:
    """Is there again when a run goes on."""
    pytest.importorskip(name)
    train_run(config(1, {name: {}}), tmp_path / "a")
    shutil.rmtree(tmp_path / "a" / name)
    train_run(config(2, {name: {}}), tmp_path / "a")
    found = in_tensorboard(tmp_path / "a") if name == "tensorboard" else in_wandb(tmp_path / "a")[0]
    assert found == (single(on_record(tmp_path / "a")) if name == "tensorboard" else on_record(tmp_path / "a"))


def options_of(name: str, folder: Path) -> dict[str, str]:
    """Those of a tracker, whose database is in this folder."""
    pytest.importorskip(name)
    return {"uri": f"sqlite:///{folder}/mlflow.db"} if name == "mlflow" else {}


def seeds_in(name: str, folder: Path) -> Counter[int]:
    """How often a tracker has each round of the run a in this folder, all of them with their figures."""
    if name == "mlflow":
        client = pytest.importorskip("mlflow").MlflowClient(options_of(name, folder)["uri"])
        (experiment,) = client.search_experiments(filter_string="name = 'digitcmp'")
        runs = client.search_runs([experiment.experiment_id])
        (parent,) = [run.info.run_id for run in runs if "mlflow.parentRunId" not in run.data.tags]
        nested = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent]
        assert len(nested) == len(runs) - 1
        assert all(run.info.status == "FINISHED" and run.data.metrics for run in nested), [run.info for run in nested]
        return Counter(int(run.data.tags["digitcmp.seed"]) for run in nested)
    if name == "wandb":
        found, names = in_wandb(folder / "a")
        assert found == on_record(folder / "a")
        return Counter({int(text.partition(" seed=")[2]): count for text, count in names.items() if " seed=" in text})
    assert in_tensorboard(folder / "a") == single(on_record(folder / "a"))
    return Counter(seed for seed in {seed for seed, _ in in_tensorboard(folder / "a")})


def cut_off(name: str, seed: int, folder: Path) -> None:
    """Leave what a process leaves that is killed while it shows this round."""
    if name == "mlflow":
        client = pytest.importorskip("mlflow").MlflowClient(options_of(name, folder)["uri"])
        (parent,) = json.loads((folder / "a" / "mlflow.json").read_text()).values()
        experiment = client.get_experiment_by_name("digitcmp").experiment_id
        client.create_run(experiment, run_name=f"seed={seed}", tags={"mlflow.parentRunId": parent, "digitcmp.seed": str(seed)})
        return
    if name == "tensorboard":
        (folder / "a" / name / f"seed={seed}").mkdir()
        (folder / "a" / name / f"seed={seed}" / "events.out.tfevents.1").write_bytes(b"\x18\0\0")
        return
    tracker = load.make_one(name, {})
    assert isinstance(tracker, Tracker)
    show_folder(tracker, folder / "a")
    shown = json.loads((folder / "a" / SHOWN).read_text())
    (folder / "a" / SHOWN).write_text(json.dumps({place: {"0": marks["0"]} for place, marks in shown.items()}))


SHOWN = "wandb/shown.json"
OF_MLFLOW = ("ignore::DeprecationWarning", "ignore::sqlalchemy.exc.SADeprecationWarning")
TRACKERS = ["tensorboard", "mlflow", "wandb"]


@pytest.mark.filterwarnings(*OF_MLFLOW)
@pytest.mark.parametrize("begun", [False, True], ids=["on record", "cut off"])
@pytest.mark.parametrize("name", TRACKERS)
def test_what_a_killed_process_has_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, begun: bool) -> None:
    """A round goes on record before it is shown: whoever goes on with the run shows it, also where a part of it is there, and where nothing
    is left to be trained; once, and not again by those who come later."""
    asked = {name: options_of(name, tmp_path)}
    train_run(config(1, asked), tmp_path / "a")
    train_run(config(2, {}), tmp_path / "a")
    if begun:
        cut_off(name, 1, tmp_path)
    train_run(config(2, asked), tmp_path / "a")
    assert seeds_in(name, tmp_path) == {0: 1, 1: 1}
    train_run(config(3, {}), tmp_path / "a")
    if begun and name == "mlflow":
        cut_off(name, 3, tmp_path)  # whose record is lost: it is trained again
    train_run(config(4, asked), tmp_path / "a")
    assert seeds_in(name, tmp_path) == dict.fromkeys(range(4), 1)
    kind: Any = type(load.make_one(name, options_of(name, tmp_path)))
    monkeypatch.setattr(kind, "show_round", kill)
    train_run(config(4, asked), tmp_path / "a")


@pytest.mark.parametrize("name", TRACKERS)
@pytest.mark.filterwarnings(*OF_MLFLOW)
def test_another_record_of_a_round(tmp_path: Path, name: str) -> None:
    """Is shown by whoever goes on, as of a round that has failed twice; once."""
    asked = {name: options_of(name, tmp_path)}
    train_run(config(2, asked), tmp_path / "a")
    change_records(tmp_path / "a", lambda one: one)
    shown: list[int] = []
    show_round = (kind := type(load.make_one(name, options_of(name, tmp_path)))).show_round
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "show_round", lambda tracker, run, row, *rest: (shown.append(row.seed), show_round(tracker, run, row, *rest)))
        for _ in range(2):
            train_run(config(2, asked), tmp_path / "a")
    assert shown == [0, 1]
    assert seeds_in(name, tmp_path) == {0: 1, 1: 1}


@pytest.mark.filterwarnings(*OF_MLFLOW)
@pytest.mark.parametrize("name", ["tensorboard", "mlflow"])
def test_an_interrupted_process_shows_what_is_on_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Before it ends, where that is quick; and the next one says that the run goes on."""
    asked = {name: options_of(name, tmp_path)}
    kind: Any = type(load.make_one(name, options_of(name, tmp_path)))
    show_round, stopped = kind.show_round, [True]

    def interrupted(tracker: Tracker, run: Any, row: Any, *rest: Any) -> None:
        if row.seed == 1 and stopped and stopped.pop():
            raise KeyboardInterrupt
        show_round(tracker, run, row, *rest)

    monkeypatch.setattr(kind, "show_round", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_run(config(3, asked), tmp_path / "a")
    assert len(records_of(tmp_path / "a")) == 2
    assert seeds_in(name, tmp_path) == {0: 1, 1: 1}


@pytest.mark.filterwarnings(*OF_MLFLOW)
def test_mlflow_of_a_run_that_was_cut_off_at_its_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parent run that a killed process has made is gone on with, whether its id is in the run's folder or not, and has all its
    parameters in the end; its status says when it goes on."""
    client = pytest.importorskip("mlflow").MlflowClient(uri := options_of("mlflow", tmp_path)["uri"])
    tracker: Any = load.make_one("mlflow", {"uri": uri})
    for place, name in ((sys.modules[type(tracker).__module__], "write_whole"), (type(tracker), "bring_up")):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, kill)
            with pytest.raises(KeyboardInterrupt):
                train_run(config(1, {"mlflow": {"uri": uri}}), tmp_path / "a")
    train_run(config(1, {"mlflow": {"uri": uri}}), tmp_path / "a")
    assert seeds_in("mlflow", tmp_path) == {0: 1}
    (parent,) = json.loads((tmp_path / "a" / "mlflow.json").read_text()).values()
    assert client.get_run(parent).data.params["model.name"] == "net2"
    statuses: list[str] = []
    monkeypatch.setattr(type(tracker), "show_end", lambda *_: statuses.append(client.get_run(parent).info.status))
    train_run(config(2, {"mlflow": {"uri": uri}}), tmp_path / "a")
    assert statuses == ["RUNNING"]


def kill(*_: Any) -> None:
    """What a signal does."""
    raise KeyboardInterrupt


class Prunes(Callback):
    """Ends a run in the second epoch of its second round, as a search does with a hopeless trial."""

    def on_epoch(self, run: Run, row: EpochRow) -> None:
        if (row.seed, row.epoch) == (1, 2):
            raise Pruned(f"{run.name} is hopeless")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::sqlalchemy.exc.SADeprecationWarning")  # of MLflow's own
def test_pruned(tmp_path: Path, run_main: Main) -> None:
    """A trial that was given up is there with the rounds that it has on record, and nothing of the one that was stopped; once, also when
    it is exported."""
    mlflow, uri = pytest.importorskip("mlflow"), f"sqlite:///{tmp_path}/mlflow.db"
    run = train_run(config(3, {"mlflow": {"uri": uri}, "tensorboard": {}}), tmp_path / "a", Prunes())
    assert run.status == "pruned"
    assert run_main(cli.main, "export", tmp_path, "--to", "mlflow", "--option", f"uri={uri}").code == 0
    client = mlflow.MlflowClient(uri)
    (experiment,) = client.search_experiments(filter_string="name = 'digitcmp'")
    parent, nested = sorted(client.search_runs([experiment.experiment_id]), key=lambda one: "mlflow.parentRunId" in one.data.tags)
    assert (parent.info.run_name, parent.info.status, parent.data.metrics["rounds_done"]) == ("a", "KILLED", 1)
    assert (nested.info.run_name, nested.info.status) == ("seed=0", "FINISHED")
    assert in_tensorboard(tmp_path / "a") == single(on_record(tmp_path / "a"))
    assert {seed for seed, _ in on_record(tmp_path / "a")} == {0}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::sqlalchemy.exc.SADeprecationWarning")  # of MLflow's own
@pytest.mark.parametrize(("name", "needs"), [("mlflow", "mlflow"), ("tensorboard", "tensorboard"), ("wandb", "wandb")])
def test_what_is_checked_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, needs: str) -> None:
    """A dry run makes trackers, too, to know whether they can be made."""
    pytest.importorskip(needs)
    monkeypatch.chdir(tmp_path)
    load.check({name: {}})
    assert not list(tmp_path.iterdir())


def parts_of(log: bytes) -> Iterator[bytes]:
    """The records of a log in LevelDB's format, of blocks of 32 KiB, behind seven bytes that say that it is W&B's."""
    block, head, place, part = 1 << 15, 7, 7, b""
    while place + head <= len(log):
        if (left := block - place % block) < head:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", log, place)
        part += log[place + head : place + head + length]
        place += head + length
        if kind in (1, 4):  # whole, or the last of its pieces
            yield part
            part = b""


def in_wandb(directory: Path) -> tuple[Points, Counter[str]]:
    """What W&B has of a run, offline: figures by seed and name, and how often there is a run of each name."""
    pytest.importorskip("wandb").teardown()  # its process writes until it ends
    protocol = pytest.importorskip("wandb.proto.wandb_internal_pb2")
    found: Points = {}
    names = Counter[str]()
    for path in (directory / "wandb").glob("offline-run-*/*.wandb"):
        name = ""
        for data in parts_of(path.read_bytes()):
            record = protocol.Record()
            record.ParseFromString(data)
            name = record.run.display_name or name
            values = {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
            for key in values.keys() - {"epoch"} if " seed=" in name else ():
                if not key.startswith("_"):
                    found.setdefault((int(name.partition(" seed=")[2]), key), []).append((values["epoch"], values[key]))
        names[name] += 1
    return found, names


def ids_in_wandb(directory: Path) -> list[str]:
    """The ids of the runs that W&B has of a run, offline."""
    return sorted(path.name.rpartition("-")[2] for path in (directory / "wandb").glob("offline-run-*"))


def test_wandb(tmp_path: Path) -> None:
    """Offline: a run a round, with the figures of epochs.csv, and one with the means, each once."""
    pytest.importorskip("wandb")
    ends = sys.exit, sys.excepthook
    train_run(config(1, {"wandb": {}}), tmp_path / "a")
    train_run(config(2, {"wandb": {}}), tmp_path / "a")
    assert (sys.exit, sys.excepthook) == ends
    found, names = in_wandb(tmp_path / "a")
    assert names == {"a seed=0": 1, "a seed=1": 1, "a means": 1}
    assert found == on_record(tmp_path / "a")


def test_wandb_of_a_folder_that_moved(tmp_path: Path, run_main: Main) -> None:
    """The ids of its runs stay what they were, at another place, through a link, and from another process's view."""
    pytest.importorskip("wandb")
    train_run(config(2, {"wandb": {}}), tmp_path / "a")
    before = ids_in_wandb(tmp_path / "a")
    assert len(before) == 3
    (tmp_path / "a").rename(tmp_path / "b")
    (tmp_path / "c").symlink_to(tmp_path / "b")
    for place in ("b", "c"):
        ended = run_main(cli.main, "export", tmp_path / place, "--to", "wandb")
        assert ended.code == 0, ended.err
        assert ids_in_wandb(tmp_path / "b") == before
    assert sum(in_wandb(tmp_path / "b")[1].values()) == 3


def test_wandb_of_a_pruned_trial(tmp_path: Path, run_main: Main) -> None:
    """The rounds that it has on record, and nothing of the one that was stopped; once, also when it is exported."""
    pytest.importorskip("wandb")
    run = train_run(config(3, {"wandb": {}}), tmp_path / "a", Prunes())
    assert run.status == "pruned"
    for _ in range(2):
        found, names = in_wandb(tmp_path / "a")
        assert names == {"a seed=0": 1, "a means": 1}
        assert found == on_record(tmp_path / "a")
        assert {seed for seed, _ in found} == {0}
        ended = run_main(cli.main, "export", tmp_path, "--to", "wandb")
        assert ended.code == 0, ended.err


def exported(name: str, options: dict[str, str], directory: Path, times: int) -> None:
    """What an export does, several times, when the other processes are about to do so, too."""
    tracker = load.make_one(name, dict(options))
    assert isinstance(tracker, Tracker)
    together.wait()
    for _ in range(times):
        show_folder(tracker, directory)


def meet(barrier: Any) -> None:
    """Called in a process of a pool: where it waits for the others."""
    global together
    together = barrier


def resumed(name: str, options: dict[str, str], directory: Path, times: int) -> None:
    """What a command does that finds a run complete, several times, when the other processes are about to do so, too."""
    together.wait()
    for _ in range(times):
        train_run(config(2, {name: options}), directory)


@pytest.mark.parametrize("how", [exported, resumed])
@pytest.mark.parametrize(("name", "times"), [("tensorboard", 20), ("mlflow", 2), ("wandb", 1)])
def test_many_at_a_time(tmp_path: Path, name: str, times: int, how: Callable[..., None]) -> None:
    """Exports, and processes that find what no tracker has: all end well, also into a database that is not there yet and through a link,
    and what they show is there once."""
    pytest.importorskip(name)
    train_run(config(2, {}), tmp_path / "a")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, context, meet, (context.Barrier(2),)) as pool:
        ends = [pool.submit(how, name, {"uri": uri} if name == "mlflow" else {}, tmp_path / place, times) for place in "ab"]
        for end in ends:
            end.result()
    if name == "tensorboard":
        assert in_tensorboard(tmp_path / "a") == single(on_record(tmp_path / "a"))
    elif name == "wandb":
        assert sorted(in_wandb(tmp_path / "a")[1].values()) == [1, 1, 1]
    else:
        client = pytest.importorskip("mlflow").MlflowClient(uri)
        (experiment,) = client.search_experiments(filter_string="name = 'digitcmp'")
        runs = client.search_runs([experiment.experiment_id])
        assert Counter(run.info.run_name for run in runs if "mlflow.parentRunId" in run.data.tags) == {"seed=0": 1, "seed=1": 1}
        assert len(runs) == 3


def test_parquet(tmp_path: Path, run_main: Main) -> None:
    """Rounds and epochs as frames give them; without its library, a line."""
    write_run(tmp_path / "a", {0: 0.5, 1: 0.75})
    ended = run_main(cli.main, "export", tmp_path / "a", "--to", "parquet", "--out", tmp_path / "out")
    if ended.code:
        assert "pip install 'digitcmp[parquet]'" in ended.err
        pytest.skip("needs pyarrow")
    assert "rounds.parquet: 2 rows" in ended.out
    assert "epochs.parquet: 6 rows" in ended.out
    assert ended.err == ""


@pytest.mark.parametrize("to", ["tensorboard", "parquet"])
def test_what_is_damaged_is_told(to: str, tmp_path: Path, run_main: Main) -> None:
    """A line each, once; the others are exported."""
    (log,) = (write_run(tmp_path / "a", {0: 0.5, 1: 0.75}) / "records").glob("*.jsonl")
    log.write_bytes(log.read_bytes()[:-50])
    (tmp_path / "a" / "records" / "z.jsonl").mkdir()
    ended = run_main(cli.main, "export", tmp_path / "a", "--to", to)
    if "pip install" in ended.err:
        pytest.skip(f"needs the extra {to}")
    assert (ended.code, ended.err) == (0, "")
    for text in (f"records/{log.name}, line 2, is not whole", "records/z.jsonl cannot be read: Is a directory; its rounds are left out"):
        assert [line.startswith(f"warning: {tmp_path}/a: {text}") for line in ended.out.splitlines()].count(True) == 1, ended.out
    assert "1 row" in ended.out or "1 run with 1 round are in tensorboard" in ended.out


class Heard(Callback):
    """Notes what it hears; breaks when a round ends, where it is told to."""

    def __init__(self, breaks: bool = False) -> None:
        self.breaks = breaks
        self.events: list[str] = []
        made.append(self)

    def on_round_begin(self, run: Run, seed: int, epoch: int) -> None:
        self.events.append(f"begin {run.name} {seed} {epoch}")

    def on_round_end(self, run: Run, result: Any) -> None:
        self.events.append(f"end {run.name} {result.row.seed}")
        if self.breaks:
            raise ConnectionError("the server is down\x1b[31m")

    def on_end(self) -> None:
        self.events.append("end of all")


class Messages(Callback):
    """What a screen shows."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def on_message(self, text: str) -> None:
        self.texts.append(text)


made: list[Heard] = []
HERE = {"target": f"{__name__}:Heard"}


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """This module is let in."""
    monkeypatch.setenv(ALLOWED, __name__)
    made.clear()


@pytest.mark.usefixtures("allowed")
def test_own_class(tmp_path: Path) -> None:
    """Hears of rounds in their order, and of the end."""
    train_run(config(2, {"mine": HERE}), tmp_path / "a")
    assert made[-1].events == ["begin a 0 0", "end a 0", "begin a 1 0", "end a 1", "end of all"]


@pytest.mark.usefixtures("allowed")
def test_broken(tmp_path: Path) -> None:
    """One that breaks is told of once, and nothing more; rounds are trained, and the others hear of them."""
    messages = Messages()
    train_run(config(3, {"broken": {**HERE, "breaks": True}, "sound": HERE}), tmp_path / "a", messages)
    assert len(records_of(tmp_path / "a")) == 3
    (text,) = messages.texts
    assert "callbacks.broken is told nothing more, as it failed (ConnectionError: the server is down\\x1b[31m); training goes on" in text
    assert sorted(len(heard.events) for heard in made[-2:]) == [2, 7]


def test_server_down(tmp_path: Path) -> None:
    """A tracker whose server is down costs a line, and no round; what it missed is exported later."""
    pytest.importorskip("mlflow")
    messages = Messages()
    train_run(config(2, {"mlflow": {"uri": "http://127.0.0.1:9"}}), tmp_path / "a", messages)
    assert len(records_of(tmp_path / "a")) == 2
    (text,) = messages.texts
    assert "training goes on; python -m digitcmp.runs export" in text


@pytest.mark.parametrize(
    ("callbacks", "told"),
    [
        ({"mine": {"target": "os:system"}}, "add --allow-code os"),
        ({"mine": {"target": f"{__name__}_more:Heard"}}, "add --allow-code"),
        ({"mine": {"target": "os.system"}}, "give package.module:Class"),
        ({"mine": {"target": f"{__name__}:Nobody"}}, "has no Nobody"),
        ({"mine": {"target": f"{__name__}:Path"}}, "a callback is a digitcmp.experiment.callbacks.Callback"),
        ({"mine": {**HERE, "breks": 1}}, "cannot be made: TypeError"),
        ({"tensorboard": "yes"}, "give true, false or options"),
        ({"mine": 3}, "give true, false or options"),
        ({"tensorbord": {}}, "did you mean callbacks.tensorboard?"),
    ],
    ids=str,
)
@pytest.mark.usefixtures("allowed")
def test_refused(callbacks: dict[str, Any], told: str) -> None:
    """In a line that says what would be right."""
    with pytest.raises(ConfigError, match=r"^callbacks\.") as refused:
        load.check(callbacks)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_switches() -> None:
    """False and null leave a tracker out, true takes it as it is."""
    assert load.wanted({"a": False, "b": None, "c": True, "d": {}, "e": {"f": 0}}) == {"c": {}, "d": {}, "e": {"f": 0}}
    assert load.make({"tensorboard": False, "nobody": None}) == {}


@pytest.mark.usefixtures("allowed")
def test_ends() -> None:
    """What was made to be checked is ended."""
    load.check({"mine": HERE})
    assert [heard.events for heard in made] == [["end of all"]]


@pytest.mark.usefixtures("allowed")
def test_looks(tmp_path: Path) -> None:
    """With rounds=auto, one callback hears of all looks, and once of the end."""
    small = ["epochs=1", "data.train_pairs=100", "data.test_pairs=100", "engine=serial", "rounds=auto", "auto.batch=5", "auto.max=10"]
    runs = [Run(compose_config(*small, f"optimizer.lr={lr}"), tmp_path / lr, "digitcmp rounds=auto") for lr in ("1e-3", "0.4")]
    for run in runs:
        run.config.callbacks = {"mine": HERE}
    train_auto(runs, tmp_path, [], Terminal())
    (heard,) = made
    assert heard.events.count("end of all") == 1
    assert heard.events[-1] == "end of all"
    assert len([event for event in heard.events if event.startswith("end 1e-3")]) > 5  # there was a second look


@pytest.mark.parametrize(
    ("form", "mode"),
    [
        ("callbacks.own.uri='{}'", ["hydra.run.dir=out"]),
        ("+callbacks.own.uri={}", ["--multirun", "hydra.sweep.dir=out", "report=false"]),
    ],
    ids=["run", "sweep"],
)
def test_passwords(run_cli: Main, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, form: str, mode: list[str]) -> None:
    """A tracker gets its URL whole; no file, no line on the screen has the password in it, though the server is down."""
    monkeypatch.delenv(ALLOWED, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("DIGITCMP_CALLBACKS_OWN_URI", "")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "down.py").write_text(
        "from digitcmp.experiment.callbacks import Callback\n"
        "class Down(Callback):\n    def __init__(self, uri):\n        self.uri = uri\n"
        "    def on_run_begin(self, run):\n        raise ConnectionError(f'{len(self.uri)} {self.uri}')\n"
    )
    secret = "s3cr3t"[::-1]  # which no file of changes in the code has in it
    uri = f"postgresql://me:{secret}@127.0.0.1:1/runs"
    own = ["callbacks.own.target=down:Down", form.format(uri), "--allow-code", "down"]
    ended = run_cli("epochs=1", "data.train_pairs=100", "data.test_pairs=100", "engine=serial", *own, *mode)
    assert ended.code == 0, ended.err
    said = " ".join((ended.out + ended.err).split())
    assert f"ConnectionError: {len(uri)} postgresql://me:***@127.0.0.1:1/runs" in said
    assert secret not in said
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert any(path.name == "run.json" for path in files)
    assert not [path for path in files if secret.encode() in path.read_bytes()]


@pytest.mark.parametrize("mode", [["hydra.run.dir=out"], ["--multirun", "hydra.sweep.dir=out"]], ids=["run", "sweep"])
def test_passwords_in_files(run_cli: Main, tmp_path: Path, mode: list[str]) -> None:
    """Are refused, as within braces, in a line that does not tell."""
    ended = run_cli("callbacks.mlflow={uri:'postgresql://me:s3cr3t@db/runs'}", *mode)
    assert ended.code == 1
    assert "callbacks.mlflow.uri: a password in a file" in ended.err
    assert "s3cr3t" not in ended.out + ended.err
    assert not (tmp_path / "out").exists()


def test_missing_extra(run_cli: Main, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Is named before anything is trained or a folder is made."""
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    for name in [name for name in sys.modules if name.startswith(("tensorboard.", "digitcmp.trackers.tensorboard"))]:
        monkeypatch.delitem(sys.modules, name)
    for mode in (["hydra.run.dir=a"], ["--multirun", "hydra.sweep.dir=b"]):
        ended = run_cli("+callbacks=tensorboard", "epochs=1", *mode)
        assert ended.code == 1
        assert "pip install 'digitcmp[tensorboard]'" in ended.err
        assert not list(tmp_path.glob("*/run.json"))
    assert not (tmp_path / "a").exists()


@pytest.mark.filterwarnings("ignore::hydra.errors.Hydra15MigrationWarning")  # that callback does nothing in this version of Hydra
def test_command_line(run_cli: Main, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A class of the user's own is let in by --allow-code, or by an entry point; a Hydra callback of Hydra's own is, too."""
    monkeypatch.delenv(ALLOWED, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    (tmp_path / "site" / "mine-1.dist-info").mkdir(parents=True)
    (tmp_path / "site" / "mine-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1\n")
    (tmp_path / "site" / "mine-1.dist-info" / "entry_points.txt").write_text("[digitcmp.callbacks]\nmine = my_callback:Mine\n")
    (tmp_path / "site" / "my_callback.py").write_text(
        "from digitcmp.experiment.callbacks import Callback\n"
        "class Mine(Callback):\n    def on_run_end(self, run):\n        (run.directory / 'mine.txt').write_text(run.status)\n"
    )
    small = ["epochs=1", "data.train_pairs=100", "data.test_pairs=100", "engine=serial"]
    ended = run_cli(*small, "callbacks.own.target=my_callback:Mine", "hydra.run.dir=a")
    assert ended.code == 1
    assert "add --allow-code my_callback" in ended.err
    ended = run_cli(*small, "callbacks.own.target=my_callback:Mine", "--allow-code", "my_callback", "hydra.run.dir=a")
    assert ended.code == 0, ended.err
    assert (tmp_path / "a" / "mine.txt").read_text() == "done"
    monkeypatch.delenv(ALLOWED)
    of_file = (*small, "callbacks.own.target=digitcmp.own.my_callback:Mine", "hydra.run.dir=c")
    ended = run_cli(*of_file)
    assert "add --allow-code my_callback.py, with its folder" in ended.err
    ended = run_cli(*of_file, "--allow-code", "site/my_callback.py")
    assert ended.code == 0, ended.err
    assert (tmp_path / "c" / "mine.txt").read_text() == "done"
    monkeypatch.delenv(ALLOWED)
    hydras = "+hydra.callbacks.log._target_=hydra.experimental.callbacks.LogJobReturnCallback"
    ended = run_cli(*small, "--multirun", "+callbacks.mine={}", hydras, "hydra.sweep.dir=b", "report=false")
    assert ended.code == 0, ended.err
    (path,) = (tmp_path / "b").glob("*/mine.txt")
    assert "callbacks" not in path.parent.name
    assert path.read_text() == "done"
    assert "callbacks" not in json.loads((path.parent / "run.json").read_text())["configuration"]
