"""Checkpoints: rounds in flight go on where they were, with the numbers of an undisturbed run; what is wrong with one costs that round alone."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, replace
from pathlib import Path

import pytest

from digitcmp.config.schema import Config
from digitcmp.errors import Pruned
from digitcmp.experiment import checkpoints
from digitcmp.experiment.callbacks import Callback
from digitcmp.experiment.checkpoints import Checkpoints, Found, starts
from digitcmp.experiment.run import Run
from digitcmp.experiment.scheduler import train
from digitcmp.experiment.store import network_path
from digitcmp.train.results import Checkpoint, EpochRow
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

    def on_epoch(self, run: Run, row: EpochRow) -> None:
        del run
        self.heard.append((row.seed, row.epoch))
        if (row.seed, row.epoch) == self.at:
            self.does()

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
    return sorted((seed, epoch) for _, seed, epoch, _ in Checkpoints(folder, "").files())


def result(folder: Path) -> list[object]:
    """All that a run has come to, but for the seconds."""
    records = records_of(folder)
    rows = [[astuple(replace(record.row, seconds=0)), *record.distances] for record in records]
    epochs = [astuple(replace(row, seconds=0)) for row in epochs_of(folder)]
    networks = [network_path(folder, record.row.seed) for record in records]
    return [rows, epochs, [path.read_bytes() for path in networks if path.exists()]]


def only(folder: Path, seed: int) -> Path:
    """The checkpoint of a seed."""
    (path,) = [path for path, of, _, _ in Checkpoints(folder, "").files() if of == seed]
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
    assert watch.messages == [f"{len(begun)} round{'s' * (len(begun) > 1)} going on after epoch 4 (seed {begun[0]}{' …' * (len(begun) > 1)})"]
    assert sorted(watch.heard) == [(seed, epoch) for seed in (begun if len(begun) > 1 else [1, 2]) for epoch in range(1, 7)]
    assert before["configuration_hash"] == json.loads((folder / "run.json").read_text())["configuration_hash"]
