"""Why there is no network to ask, from every command that asks one: what is said is so, and what is advised helps."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import digitcmp
from digitcmp.demo.cli import main as demo
from digitcmp.errors import RunError
from digitcmp.experiment.kept import kept_seed
from digitcmp.experiment.store import network_path
from digitcmp.mistakes.cli import main as mistakes
from digitcmp.predict.cli import main as predict
from digitcmp.train.results import RoundResult
from tests.conftest import Ended, compose_config
from tests.experiment.made import EPOCH, ROUND, train_run, write_run

NAN = "the loss is not a number"
UNKEPT = "was trained without save_model=true (a sweep keeps none unasked), or "


def made(folder: Path, done: list[int], failed: list[int], kept: list[int]) -> Path:
    """A run of seeds 0 to 3, of which these rounds are on record, and these networks are there."""
    rows = [
        replace(ROUND, seed=seed, status="failed", error=NAN) if seed in failed else replace(ROUND, seed=seed) for seed in done + failed
    ]
    write_run(folder, [RoundResult(row, [replace(EPOCH, seed=row.seed)]) for row in rows], {"seeds": [0, 1, 2, 3]})
    for seed in kept:
        network_path(folder, seed).parent.mkdir(exist_ok=True)
        network_path(folder, seed).touch()
    return folder


CASES = {
    "all failed": ([], [0, 1, 2, 3], [], None, f"run holds no finished round (4 rounds failed: {NAN}); there is nothing to ask"),
    "one failed, others to come": ([], [0], [], None, f"run holds no finished round (1 round failed: {NAN}); there is nothing to ask"),
    "nothing yet": ([], [], [], None, "run holds no finished round; there is nothing to ask"),
    "nothing of this one": ([], [], [], 2, "run holds no finished round; there is nothing to ask"),
    "none kept": (
        [0],
        [1],
        [],
        None,
        f"run holds no trained networks: it {UNKEPT}they have been removed; its command on",
    ),
    "this one failed": ([0], [1], [0], 1, f"seed=1: its round failed ({NAN}), which leaves no network; run holds the network of seed 0"),
    "not yet": ([0, 1], [], [0, 1], 3, "seed=3: its round is not finished; run holds the networks of seeds 0, 1"),
    "removed": (
        [0, 1],
        [],
        [0],
        1,
        f"seed=1: run holds the network of seed 0; of this one, it {UNKEPT}it has been removed; its",
    ),
    "not asked for": ([0], [], [0], 9, "seed=9: run holds the network of seed 0"),
}


@pytest.mark.parametrize("name", CASES)
def test_why_there_is_none(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds that failed, are still to come, or did not keep theirs are told apart."""
    monkeypatch.chdir(tmp_path)
    done, failed, kept, seed, told = CASES[name]
    made(Path("run"), done, failed, kept)
    for ask in (kept_seed, digitcmp.load_model):
        with pytest.raises(RunError) as caught:
            ask(Path("run"), seed)
        assert str(caught.value).startswith(told)


def test_what_failed_is_so_for_every_command(run_main: Callable[..., Ended], tmp_path: Path) -> None:
    """A run whose rounds diverged: one line, the same from each."""
    small = ["model=net1", "save_model=true", "engine=serial", "epochs=2", "data.train_pairs=100", "data.test_pairs=20", "rounds=2"]
    train_run(compose_config(*small, "optimizer=sgd", "optimizer.lr=1e9"), tmp_path / "run")
    said = {run_main(main, tmp_path / "run", *more).err for main, more in ((mistakes, ()), (demo, ()), (predict, ("a.png", "b.png")))}
    assert len(said) == 1
    assert "run holds no finished round (2 rounds failed: " in said.pop()
