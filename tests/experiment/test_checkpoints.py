"""Checkpoints: rounds in flight go on where they were, with the numbers of an undisturbed run; a damaged one costs its round alone."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import astuple, replace
from pathlib import Path

import optuna
import pytest

from digitcmp.config.schema import Config
from digitcmp.errors import Pruned
from digitcmp.experiment import checkpoints
from digitcmp.experiment.callbacks import Callback
from digitcmp.experiment.checkpoints import Checkpoints, Found, starts
from digitcmp.experiment.run import Run
from digitcmp.experiment.scheduler import train
from digitcmp.experiment.store import network_path
from digitcmp.search.trial import RunningTrial, TrialSpec
from digitcmp.train.results import Checkpoint, EpochRow, RoundResult
from tests.conftest import ROOT, Ended, compose_config
from tests.experiment.made import epochs_of, records_of, seeds_of, status_of

Cli = Callable[..., Ended]
TINY = ["epochs=6", "batch_size=20", "data.train_pairs=60", "data.test_pairs=40"]
EVERY = [*TINY, "checkpoint_every=2", "rounds=3", "engine=stacked", "save_model=true"]


class Watch(Callback):
    """Notes epochs and messages; does something after one of the epochs."""

    def __init__(self, at: tuple[int, int] | None = None, does: Callable[[], None] = lambda: None) -> None:
        self.at, self.does = at, does
        self.heard: list[tuple[int, int]] = []
        self.messages: list[str] = []
        self.hears: Callable[[EpochRow], object] = lambda _: None

    def on_epoch(self, run: Run, row: EpochRow) -> None:
        del run
        self.heard.append((row.seed, row.epoch))
        self.hears(row)
        if (row.seed, row.epoch) == self.at:
            self.does()

    def on_round_end(self, run: Run, result: RoundResult) -> None:
        assert result.row.seed not in {seed for seed, _ in kept(run.directory)}

    def on_message(self, text: str) -> None:
        self.messages.append(text)


def interrupt() -> None:
    """Ctrl-C."""
    raise KeyboardInterrupt


def prune() -> None:
    """The end of a run."""
    raise Pruned("not wanted")


def run_until(config: Config, folder: Path, at: tuple[int, int], does: Callable[[], None] = interrupt) -> Watch:
    """Train a run until something happens after an epoch."""
    watch = Watch(at, does)
    try:
        train([Run(config, folder, "test")], [watch])
    except KeyboardInterrupt:
        assert status_of(folder) == "interrupted"
    return watch


def go_on(config: Config, folder: Path) -> Watch:
    """Train what is missing of a run."""
    watch = Watch()
    train([Run(config, folder, "test")], [watch])
    assert status_of(folder) == "done"
    assert not kept(folder)
    assert not (folder / "records" / "checkpoints").exists()
    return watch


def kept(folder: Path) -> list[tuple[int, int]]:
    """Seed and epoch of every checkpoint."""
    return sorted((seed, epoch) for _, seed, epoch, _ in Checkpoints(folder, {}, "").files())


def result(folder: Path) -> list[object]:
    """All that a run has come to, but for the seconds."""
    records = records_of(folder)
    rows = [[astuple(replace(record.row, seconds=0)), *record.distances] for record in records]
    epochs = [astuple(replace(row, seconds=0)) for row in epochs_of(folder)]
    networks = [network_path(folder, record.row.seed) for record in records]
    return [rows, epochs, [path.read_bytes() for path in networks if path.exists()]]


def only(folder: Path, seed: int) -> Path:
    """The checkpoint of a seed."""
    (path,) = [path for path, of, _, _ in Checkpoints(folder, {}, "").files() if of == seed]
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """What the three rounds come to when nobody disturbs them, in a stack and without checkpoints."""
    folder = tmp_path_factory.mktemp("whole")
    train([Run(compose_config(*EVERY, "checkpoint_every=null"), folder, "test")])
    return result(folder)


@pytest.mark.parametrize("engine", [["engine=serial"], ["engine=processes", "workers=1"], ["engine=stacked"]], ids=" ".join)
def test_rounds_go_on_with_the_numbers_of_an_undisturbed_run(tmp_path: Path, engine: list[str]) -> None:
    """By every executor: rows and networks are equal to the last bit, everybody hears of all epochs, and those before the checkpoint are
    not trained again; nothing is left of it."""
    config = compose_config(*EVERY, *engine)
    train([Run(replace(config, checkpoint_every=None), tmp_path / "whole", "test")])
    folder = tmp_path / "killed"
    run_until(config, folder, (1, 5))
    begun = [0, 1, 2] if config.engine == "stacked" else [1]
    assert kept(folder) == [(seed, 4) for seed in begun]
    before = json.loads((folder / "run.json").read_text())
    watch = go_on(config, folder)
    assert result(folder) == result(tmp_path / "whole")
    assert watch.messages == [
        f"{len(begun)} round{'s' * (len(begun) > 1)} going on after epoch 4 (seed {begun[0]}{' …' * (len(begun) > 1)})"
    ]
    assert sorted(watch.heard) == [(seed, epoch) for seed in (begun if len(begun) > 1 else [1, 2]) for epoch in range(1, 7)]
    assert before["configuration_hash"] == json.loads((folder / "run.json").read_text())["configuration_hash"]


def test_checkpoints_are_kept_as_often_as_was_asked_for(tmp_path: Path) -> None:
    """The last one only; none without the key, nor after the last epoch."""
    run_until(compose_config(*EVERY), tmp_path / "2", (0, 3))
    assert kept(tmp_path / "2") == [(0, 2), (1, 2), (2, 2)]
    run_until(compose_config(*EVERY, "checkpoint_every=1"), tmp_path / "1", (0, 6))
    assert kept(tmp_path / "1") == [(0, 5), (1, 5), (2, 5)]
    run_until(compose_config(*EVERY, "checkpoint_every=null"), tmp_path / "never", (0, 5))
    assert not (tmp_path / "never" / "records" / "checkpoints").exists()


def test_a_stack_that_was_killed_while_it_wrote_goes_on_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: list[object]
) -> None:
    """Some of its rounds have a newer checkpoint than others, or are the only ones that have one: all go on from the last common one."""
    config, write = compose_config(*EVERY), Checkpoints.write
    for stopped, left in (((0, 2), [(0, 2)]), ((1, 4), [(0, 2), (0, 4), (1, 2), (1, 4), (2, 2)])):

        def killed(own: Checkpoints, one: Checkpoint, stopped: tuple[int, int] = stopped) -> None:
            write(own, one)
            if (one.seed, one.epoch) == stopped:
                raise KeyboardInterrupt

        folder = tmp_path / str(stopped)
        with monkeypatch.context() as patch:
            patch.setattr(Checkpoints, "write", killed)
            run_until(config, folder, (9, 9))
        assert kept(folder) == left
        watch = go_on(config, folder)
        assert watch.messages == (["3 rounds going on after epoch 2 (seed 0 …)"] if len(left) > 1 else [])
        assert result(folder) == whole


def test_a_stack_goes_on_with_other_rounds(tmp_path: Path) -> None:
    """One of its rounds is trained by another command and executor meanwhile; the others go on as a smaller stack, new ones begin."""
    config = compose_config(*EVERY)
    run_until(config, tmp_path, (1, 5))
    alone = Watch()
    train([Run(replace(config, seed=1, rounds=1, engine="serial"), tmp_path, "test")], [alone])
    assert alone.messages == ["1 round going on after epoch 4 (seed 1)"]
    assert (seeds_of(tmp_path), kept(tmp_path)) == ([1], [(0, 4), (2, 4)])
    watch = go_on(replace(config, rounds=5), tmp_path)
    assert watch.messages == ["2 rounds going on after epoch 4 (seed 0 …)"]
    assert seeds_of(tmp_path) == [0, 1, 2, 3, 4]
    assert {record.row.epochs for record in records_of(tmp_path)} == {6}


def test_rounds_of_several_runs_go_on_as_one_stack(tmp_path: Path, whole: list[object]) -> None:
    """Each has its checkpoints in the folder of its own run."""
    config = compose_config(*EVERY)

    def runs() -> Sequence[Run]:
        return [Run(replace(config, seed=seed, rounds=1), tmp_path / str(seed), "test") for seed in range(3)]

    with pytest.raises(KeyboardInterrupt):
        train(runs(), [Watch((2, 5), interrupt)])
    assert [kept(run.directory) for run in runs()] == [[(0, 4)], [(1, 4)], [(2, 4)]]
    train(runs(), [watch := Watch()])
    assert watch.messages == ["3 rounds going on after epoch 4 (seed 0 …)"]
    found = [result(run.directory) for run in runs()]
    assert [[row for one in found for row in one[part]] for part in range(3)] == whole  # type: ignore[attr-defined]


def test_rounds_that_were_stopped_leave_no_checkpoint(tmp_path: Path) -> None:
    """Nothing of a run that is ended early counts."""
    run_until(compose_config(*EVERY), tmp_path, (1, 5), prune)
    assert status_of(tmp_path) == "pruned"
    assert not kept(tmp_path)


MUTANTS: dict[str, Callable[[bytes], bytes]] = {
    "a bit": lambda file: file[:-1000] + bytes([file[-1000] ^ 1]) + file[-999:],
    "a digit of a row": lambda file: re.sub(rb"(rows.*?0\.)(\d)", lambda found: found[1] + b"12"[found[2] == b"1" :][:1], file, count=1),
    "the end": lambda file: file[:-1],
    "everything": lambda file: file[:0],
    "another kind": lambda file: b"0123456789" + file,
}


def test_a_damaged_checkpoint_costs_its_round_alone(tmp_path: Path) -> None:
    """Whatever is wrong with it is said in a line; the round begins again, and the others of its stack go on."""
    config = compose_config(*EVERY)
    run_until(config, tmp_path, (1, 5))
    own, path = Run(config, tmp_path, "test").store.checkpoints, only(tmp_path, 1)
    file = path.read_bytes()
    assert not own.find(1).others
    for mutant in MUTANTS.values():
        path.write_bytes(mutant(file))
        found = own.find(1)
        assert not found.checkpoints
        assert found.others[path.name].startswith("it is damaged (")
    path.write_bytes(only(tmp_path, 2).read_bytes())
    assert own.find(1).others == {path.name: "it is damaged (it has another name)"}
    path.unlink()
    os.mkfifo(path)
    assert own.find(1).others == {path.name: "it is damaged (it is no file)"}
    path.unlink()
    path.write_bytes(file[:-1])
    watch = go_on(config, tmp_path)
    assert [re.sub(r"\(.*\)|-\w{12}", "", line) for line in watch.messages] == [
        "records/checkpoints/1-4.safetensors left out: it is damaged ",
        "2 rounds going on after epoch 4 ",
    ]
    assert seeds_of(tmp_path) == [0, 1, 2]


def test_a_checkpoint_of_other_versions_or_another_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: list[object]
) -> None:
    """It is left alone, with a line for all of them: the rounds begin again."""
    config = compose_config(*EVERY)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "versions", lambda: {"torch": "0.1"})
        run_until(config, tmp_path, (1, 5))
    other = Checkpoints(tmp_path, {}, "another")
    assert {origin for _, _, _, origin in other.files()} != {other.origin} != {Run(config, tmp_path, "test").store.checkpoints.origin}
    watch = go_on(config, tmp_path)
    (line,) = watch.messages
    assert re.fullmatch(
        r"records/checkpoints/\d-4-\w{12}\.safetensors and 2 more left out: "
        "it is of another version of digitcmp, torch or a plugin, or of another configuration",
        line,
    )
    assert result(tmp_path) == whole


def test_training_goes_on_where_no_checkpoint_can_be_written(tmp_path: Path, whole: list[object]) -> None:
    """It is said once, and nothing else is lost."""
    config, watch = compose_config(*EVERY), Watch()
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "checkpoints").write_text("in the way")
    train([Run(config, tmp_path, "test")], [watch])
    (line,) = watch.messages
    assert line.startswith("training goes on without this checkpoint, and perhaps others: cannot write ")
    assert result(tmp_path) == whole


def test_what_finished_rounds_have_left_is_removed_by_the_next_command(tmp_path: Path) -> None:
    """A process that was killed after it had recorded a round, and before it had removed its checkpoints."""
    config = compose_config(*EVERY, "rounds=1")
    go_on(config, tmp_path)
    own = Run(config, tmp_path, "test").store.checkpoints
    own.write(Checkpoint(0, 4, (0,), b"left"))
    (own.folder / ".0-2-0123456789ab.safetensors.01234567.tmp").write_text("half")
    own.write(Checkpoint(5, 4, (5,), b"of a round in flight"))
    train([Run(config, tmp_path, "test")])
    assert [path.name for path in own.folder.iterdir()] == [f"5-4-{own.origin}.safetensors"]


def test_what_rounds_of_a_stack_go_on_from() -> None:
    """The last checkpoint that all have which were trained together, are here and not damaged."""

    def found(seed: int, *epochs: int, stack: tuple[int, ...] = (0, 1), damaged: bool = False) -> Found:
        return Found(seed, [Checkpoint(seed, epoch, stack, b"") for epoch in epochs], {"a": "damaged"} if damaged else {})

    def begin(*rounds: Found) -> list[int]:
        return [0 if one is None else one.epoch for one in starts(rounds)]

    assert begin(found(0, 10, 20), found(1, 10)) == [10, 10]
    assert begin(found(0, 20), found(1, 20, 10)) == [20, 20]
    assert begin(found(0, 10), found(1)) == [0, 0]
    assert begin(found(0, 10), found(1, damaged=True)) == [10, 0]
    assert begin(found(0, 10)) == [10]
    assert begin(found(0, 10), found(2, 20, stack=(2,)), found(3)) == [10, 20, 0]


KILLED = [*EVERY, "epochs=20", "rounds=8", "checkpoint_every=1"]


def test_kill_9_at_60_per_cent_of_a_stack(tmp_path: Path, run_cli: Cli) -> None:
    """The same command trains at most 45 per cent of the epochs again, and the rows are those of an undisturbed run."""
    command = [sys.executable, "-m", "digitcmp", *KILLED, "hydra.run.dir=killed"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        end = time.monotonic() + 200
        while not any(epoch >= 12 for _, epoch in kept(tmp_path / "killed")) and process.poll() is None and time.monotonic() < end:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert {seed for seed, _ in kept(tmp_path / "killed")} == set(range(8))
    ended = run_cli(*KILLED, "hydra.run.dir=killed")
    assert ended.code == 0, ended.err
    after = re.search(r"8 rounds going on after epoch (\d+) \(seed 0 …\)", ended.out)
    assert after is not None, ended.out
    assert 0.55 * 20 <= int(after[1]) < 20
    assert not kept(tmp_path / "killed")
    train([Run(compose_config(*KILLED), tmp_path / "whole", "test")])
    assert result(tmp_path / "killed") == result(tmp_path / "whole")


def test_a_trial_goes_on(tmp_path: Path) -> None:
    """Put back into the queue and taken by another process, with its rounds in flight: the study gets every step once, with the values of
    a trial that nobody disturbed."""
    config = compose_config(*EVERY, "engine=serial", "rounds=2", "data.val_pairs=20", "save_model=false")
    spec = TrialSpec([0, 1], 6, by_round=False, warmup=0)
    values = []
    for name, at in (("whole", None), ("killed", (1, 5))):
        study, stored = optuna.create_study(direction="maximize", pruner=optuna.pruners.MedianPruner()), set[int]()
        trial = study.ask()
        for until in (at, None) if at else (None,):
            run = Run(config, tmp_path / name, "test")
            running = RunningTrial(study, trial, spec, stored)
            running.restore(row for record in records_of(run.directory) for row in record.epochs)
            watch = Watch(until, interrupt)
            watch.hears = running.on_epoch
            with suppress(KeyboardInterrupt):
                train([run], [watch])
            stored = set(study.trials[0].intermediate_values)
        values.append(study.trials[0].intermediate_values)
    assert list(values[0]) == list(range(1, 13))
    assert values[0] == values[1]


def test_no_epoch_between_checkpoints(run_cli: Cli) -> None:
    """One clear line."""
    ended = run_cli(*TINY, "checkpoint_every=0")
    assert (ended.code, len(ended.err.splitlines())) == (1, 1)
    assert "checkpoint_every=0: must be a whole number, at least 1" in ended.err
