"""Every engine gives the same rounds; stacks that break, and networks that cannot be stacked."""

from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from statistics import fmean

import pytest
import torch
from rich.console import Console
from scipy.stats import ttest_rel
from torch import Tensor

from digitcmp.config.schema import Config
from digitcmp.errors import ConfigError
from digitcmp.experiment import engines, stacking
from digitcmp.experiment.run import Run, train_runs
from digitcmp.experiment.store import Records
from digitcmp.model import blocks
from digitcmp.train.results import RoundRow
from digitcmp.train.round import Round, RoundResult
from tests.conftest import MNIST_ROOT, MODELS, Ended, compose_config, needs_aux, needs_mnist

CPU, GPU = torch.device("cpu"), torch.device("cuda")
AUXILIARY = ("auxmodel", "auxmodel1", "wsn", "net4")  # are trained with an auxiliary loss though they need none
TINY = ("epochs=2", "batch_size=25", "data.train_pairs=50", "data.test_pairs=40", "rounds=3")


def runs(engine: str, folder: Path, *overrides: str, models: list[str] | None = None) -> dict[str, Records]:
    """The records of a run of every network under one engine."""
    made = [
        Run(
            compose_config(
                f"model={name}", f"aux_weight={int(needs_aux(name) or name in AUXILIARY)}", f"engine={engine}", *TINY, *overrides
            ),
            folder / name,
            "",
        )
        for name in models or MODELS
    ]
    return {run.directory.name: records for run, records in train_runs(made, Console(quiet=True))}


def test_every_network_trains_under_every_engine(tmp_path: Path) -> None:
    """Serial and processes give the same numbers, stacked the same but for rounding; all rounds are done."""
    serial, processes, stacked = (runs(engine, tmp_path / engine) for engine in ("serial", "processes", "stacked"))
    assert serial.keys() == processes.keys() == stacked.keys() == set(MODELS)
    for name, records in serial.items():
        assert [row.status for row in stacked[name].rounds] == ["done"] * 3
        assert [row.seed for row in sorted(stacked[name].rounds, key=lambda row: row.seed)] == [0, 1, 2]
        for row, other, third in zip(*(ordered(each[name]) for each in (serial, processes, stacked)), strict=True):
            assert figures(row) == figures(other)
            assert row.train_loss == pytest.approx(third.train_loss, rel=1e-3)
            assert row.test_accuracy == pytest.approx(third.test_accuracy, abs=0.051)
            assert row.majority_accuracy == third.majority_accuracy
        assert stacked[name].about["engine"] == "stacked"
        assert len(stacked[name].epochs) == len(records.epochs)
        assert sorted(map(astuple, stacked[name].distances))[0][:3] == sorted(map(astuple, records.distances))[0][:3]


def ordered(records: Records) -> list[RoundRow]:
    """Rounds by seed."""
    return sorted(records.rounds, key=lambda row: row.seed)


def figures(row: RoundRow) -> tuple[object, ...]:
    """A round without its time."""
    return (row.seed, row.status, row.train_loss, row.train_accuracy, row.test_accuracy, row.digit_accuracy, row.best_epoch)


@needs_mnist
@pytest.mark.parametrize(("model", "furthest"), [("wsn", 0.01), ("net4", 1.0)])
def test_thirty_stacked_rounds_have_the_distribution_of_serial_ones(tmp_path: Path, model: str, furthest: float) -> None:
    """Single precision, MNIST, 5 epochs: the mean difference is none, and no round of wsn differs by more than a point.

    With net4's batch norm, rounding alone moves single rounds by more than a point: so does a change of the initial
    weights by 1e-7.
    """
    data = (f"data.root={MNIST_ROOT}", "data.train_pairs=100", "data.test_pairs=200", "batch_size=50")
    options = ("data=mnist", *data, "rounds=30", "epochs=5")
    serial, stacked = (runs(engine, tmp_path / engine, *options, models=[model])[model] for engine in ("processes", "stacked"))
    pairs = [(row.test_accuracy or 0, other.test_accuracy or 0) for row, other in zip(ordered(serial), ordered(stacked), strict=True)]
    assert max(abs(one - other) for one, other in pairs) <= furthest
    if any(one != other for one, other in pairs):
        assert ttest_rel(*zip(*pairs, strict=True)).pvalue > 0.01
    assert abs(fmean(one for one, _ in pairs) - fmean(other for _, other in pairs)) < 0.005


def test_stack_size_bounds_the_stacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven rounds in stacks of three: 3, 3 and 1, with the numbers of one big stack."""
    sizes, before = [], engines.train_stack

    def spy(config: Config, rounds: list[Round], device: torch.device) -> list[RoundResult | None]:
        sizes.append(len(rounds))
        return before(config, rounds, device)

    monkeypatch.setattr(engines, "train_stack", spy)
    small, big = (runs("stacked", tmp_path / size, "rounds=7", f"stack_size={size}", models=["net2"])["net2"] for size in ("3", "100"))
    assert sizes == [3, 3, 7]  # a single round needs no stack
    assert [row.test_accuracy for row in ordered(small)] == [row.test_accuracy for row in ordered(big)]


def test_a_stack_that_runs_out_of_memory_goes_on_in_halves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stacks of more than two rounds break; every round is done in the end, and it is said what happened."""
    before = engines.train_stack

    def too_big(config: Config, rounds: list[Round], device: torch.device) -> list[RoundResult | None]:
        if len(rounds) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return before(config, rounds, device)

    monkeypatch.setattr(engines, "train_stack", too_big)
    run = Run(compose_config("engine=stacked", *TINY, "rounds=7"), tmp_path / "run", "")
    ((_, records),) = train_runs([run], Console())
    assert [row.status for row in ordered(records)] == ["done"] * 7
    out = capsys.readouterr().out
    assert "a stack of 7 rounds broke (OutOfMemoryError: CUDA out of memory); going on with 4 at a time" in out
    assert "a stack of 4 rounds broke" in out


def test_a_round_that_breaks_alone_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One seed's data cannot be drawn: the stack is divided until that round is alone."""
    from digitcmp.train import round as module

    before: Callable[[Config, int], object] = module.round_pairs

    def broken(config: Config, seed: int) -> object:
        if seed == 2:
            raise RuntimeError("seed 2 is cursed")
        return before(config, seed)

    monkeypatch.setattr(module, "round_pairs", broken)
    run = Run(compose_config("engine=stacked", *TINY, "rounds=5"), tmp_path / "run", "")
    ((_, records),) = train_runs([run], Console(quiet=True))
    assert [row.status for row in ordered(records)] == ["done", "done", "failed", "done", "done"]
    assert "seed 2 is cursed" in ordered(records)[2].error


def test_a_diverging_stack_says_so_round_by_round(tmp_path: Path) -> None:
    """All rounds of a hopeless learning rate fail in their first epochs, and the stack ends early."""
    config = compose_config("engine=stacked", *TINY, "epochs=50", "optimizer=sgd", "optimizer.lr=1e12")
    ((_, records),) = train_runs([Run(config, tmp_path / "run", "")], Console(quiet=True))
    assert [row.status for row in records.rounds] == ["failed"] * 3
    assert all("optimizer.lr" in row.error for row in records.rounds)
    assert all(row.epochs < 10 for row in records.rounds)


def test_a_watcher_ends_a_stacked_run(tmp_path: Path) -> None:
    """Stopped after its first epoch: nothing of it is recorded, and the run is marked pruned."""
    pruned = Run(compose_config("engine=stacked", *TINY), tmp_path / "pruned", "")
    kept = Run(compose_config("engine=stacked", *TINY, "optimizer.lr=0.01"), tmp_path / "kept", "")
    ended = {
        run.directory.name: records
        for run, records in train_runs([pruned, kept], Console(quiet=True), lambda run, _: run.directory.name != "pruned")
    }
    assert (ended["pruned"].about["status"], len(ended["pruned"].rounds)) == ("pruned", 0)
    assert (ended["kept"].about["status"], len(ended["kept"].rounds)) == ("done", 3)


def test_memory_of_a_round_grows_with_what_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """More pairs, a larger batch and a larger network take more; on a GPU the limit is the share of what is free."""
    plain = stacking.round_memory(compose_config("model=net2"))
    assert 20e6 < plain < 200e6
    for more in ("data.train_pairs=2000", "batch_size=200", "model=wsmodel1"):
        assert stacking.round_memory(compose_config("model=net2", more)) > plain
    config = compose_config("model=net2")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (int(80e9), int(80e9)))
    assert stacking.stack_limit(config, GPU) == pytest.approx(0.8 * 80e9 / plain, rel=0.01)
    assert stacking.stack_limit(config, CPU) == 8
    for device in (CPU, GPU):
        assert stacking.stack_limit(compose_config("model=net2", "stack_size=5"), device) == 5


def test_no_memory_at_all_still_trains_one_round_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than none."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (0, int(80e9)))
    assert stacking.stack_limit(compose_config(), GPU) == 1


def test_a_network_that_cannot_be_stacked_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block that decides by its data has no stacked form; the message says what to use instead."""

    def deciding(_: blocks.Conv, x: Tensor) -> Tensor:
        return x.clamp(min=0) if bool((x.sum() > 0).item()) else x

    monkeypatch.setattr(blocks.Conv, "forward", deciding)
    with pytest.raises(ConfigError, match=r"^engine=stacked: net4 cannot be stacked \(.*\); use engine=serial or engine=processes$"):
        stacking.round_memory(compose_config("model=net4"))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("stack_size=0",), "stack_size=0: must be a whole number, at least 1"),
        (("engine=serial", "stack_size=4"), "stack_size=4: engine=serial has no stacks; use engine=stacked"),
        (("engine=stacked", "workers=4"), "workers=4: engine=stacked has no workers; use engine=processes"),
    ],
)
def test_bad_engine_options(run_cli: Callable[..., Ended], overrides: tuple[str, ...], message: str) -> None:
    """One line each."""
    ended = run_cli(*overrides)
    assert (ended.code, ended.err.strip()) == (1, f"digitcmp: {message}")
