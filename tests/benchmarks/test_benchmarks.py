"""The benchmarks run, say how they are used, and count what they say they count. No time is asserted."""

import ast
import importlib
import json
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import __main__ as listing
from benchmarks import finalists, hundred, limit, sequential
from benchmarks.arithmetic import Operations, count
from benchmarks.common import configuration
from benchmarks.reference import NETWORKS, train_reference
from benchmarks.step import PARTS, Work
from benchmarks.workload import Measured, Pace, pace
from digitcmp.data.pairs import stack
from digitcmp.errors import RunError
from digitcmp.model.network import build
from digitcmp.seeding import Stream, generator, step_keys
from digitcmp.train.losses import total_loss
from digitcmp.train.program import SingleProgram
from digitcmp.train.results import EpochRow, RoundResult, RoundRow
from digitcmp.train.round import round_pairs
from tests.conftest import ROOT, choices, compose_config

NAMES = list(listing.benchmarks())


def run(monkeypatch: pytest.MonkeyPatch, name: str, *arguments: str) -> None:
    """Run a benchmark in this process, as `python -m benchmarks.NAME` would."""
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    importlib.import_module(f"benchmarks.{name}").main()


def test_all_benchmarks_are_listed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m benchmarks --help` has a line for each, without importing any."""
    assert {"round", "hundred", "overhead", "limit", "search", "store"} <= set(NAMES)
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--help"])
    with pytest.raises(SystemExit, match="0"):
        listing.main()
    lines = capsys.readouterr().out.splitlines()
    for name in NAMES:
        assert any(line.split()[:1] == [name] and len(line.split()) > 5 for line in lines), name
    imported = [node.module or "" for node in ast.walk(ast.parse(Path(listing.__file__).read_text())) if isinstance(node, ast.ImportFrom)]
    assert not any(module.startswith(("torch", "digitcmp", "benchmarks")) for module in imported)


@pytest.mark.parametrize("name", NAMES)
def test_help(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Every benchmark says what it measures, and can write JSON."""
    with pytest.raises(SystemExit, match="0"):
        run(monkeypatch, name, "--help")
    out = capsys.readouterr().out
    assert "--json" in out
    assert f"python -m benchmarks.{name}" in out


def test_count_by_hand() -> None:
    """net2 on 100 pairs, layer by layer: 200 images of 14 x 14, then 100 rows of 1,600 features."""
    operations = count(compose_config("model=net2").model, 100, 0.0)
    first, second = 200 * 12 * 12 * 16 * 9, 200 * 10 * 10 * 32 * 16 * 9
    dense = 100 * (1600 * 32 + 32 * 64 + 64 * 128 + 128 * 1)
    assert operations.forward == 2 * (first + second + dense)
    assert operations.weights == operations.forward
    assert operations.inputs == 2 * (second + dense)
    assert operations.step == operations.forward + operations.weights + operations.inputs


def step_operations(recipe: str, pairs: int) -> tuple[Operations, tuple[int, int]]:
    """One real step of a published recipe: our count, and torch's forward and backward."""
    overrides = [f"{name}={pairs}" for name in ("data.train_pairs", "data.test_pairs", "batch_size")]
    config = compose_config(f"+experiment={recipe}", "data=digits", *overrides)
    program = SingleProgram(build(config.model, generator(0, Stream.WEIGHTS), torch.device("cpu")))
    drawn = stack([round_pairs(config.data, 0)], torch.device("cpu")).train
    noise = step_keys(0, Stream.DROPOUT, 1, program.dropouts)
    with FlopCounterMode(display=False) as forward:
        losses = total_loss(program(drawn.images, noise), drawn.target, drawn.digits, config.aux_weight)
    with FlopCounterMode(display=False) as backward:
        losses.sum().backward()  # type: ignore[no-untyped-call]
    return count(config.model, pairs, config.aux_weight), (forward.get_total_flops(), backward.get_total_flops())


def test_count_is_what_torch_counts() -> None:
    """Every published recipe, under torch's own counter (one test, since its import takes seconds)."""
    for recipe in sorted(name for name in choices("experiment") if not name.endswith("_published")):  # tested otherwise
        counted, torchs = step_operations(recipe, pairs=20)
        assert (counted.forward, counted.backward) == torchs, recipe


def test_parts_are_the_whole_step() -> None:
    """A timed epoch is the real loop: it trains the network, and every part has some of its time."""
    work = Work(configuration("net2", "digits", "data.train_pairs=200", "data.test_pairs=100"))
    before = work.program.state(0)
    parts = work.train()
    assert set(parts) == set(PARTS)
    assert all(seconds > 0 for seconds in parts.values())
    assert work.steps == 2
    assert any(not torch.equal(tensor, before[name]) for name, tensor in work.program.state(0).items())
    assert work.test()["forward"] > 0


def test_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Rates, parts and operators of a step and a test."""
    monkeypatch.setattr(limit, "PRODUCTS", 1)
    monkeypatch.setattr(limit, "EPOCHS", 1)
    run(monkeypatch, "limit", "--networks", "wsn", "--repeat", "1", "--data", "digits", "--json", str(tmp_path / "limit.json"))
    (result,) = json.loads((tmp_path / "limit.json").read_text())["results"]
    for what in ("step", "test"):
        operations = result["operations"][what]
        total = sum(operations.values()) if what == "step" else operations
        assert result[what]["rate"][0] == pytest.approx(total / 1e6 / result[what]["ms"][0])
        assert result[what]["share"][0] > 0
        times = [operator["ms"] for operator in result["operators"][what]]
        assert len(times) == 10
        assert times == sorted(times, reverse=True)
    assert any(operator["name"].startswith("aten::") for operator in result["operators"]["step"])
    assert "wsn, test: operators" in capsys.readouterr().out


def test_hundred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One round of one epoch, with an executor and with the plain loop: extrapolated, and told so."""
    options = ["--networks", "net4", "--rounds", "1", "--epochs", "1", "--data", "digits", "--device", "cpu"]
    kept, folder = tmp_path / "hundred.json", tmp_path / "records"
    run(monkeypatch, "hundred", *options, "--executors", "serial", "reference-batch", "--folder", str(folder), "--json", str(kept))
    written = json.loads(kept.read_text())
    assert written["command"].startswith("python -m benchmarks.hundred --networks net4")
    serial, plain = written["results"]
    assert (serial["in_full"], serial["rounds"], serial["epochs"], plain["executor"]) == (False, 1, 1, "reference-batch")
    one = serial["measured"]["paces"][0]
    assert serial["seconds"] == pytest.approx(serial["measured"]["start"] + 100 * (one["round"] + 60 * one["epoch"]))
    assert (folder / "serial" / "net4" / "rounds.csv").read_text().count("\n") == 2
    assert "extrapolated from 1 × 1 epochs a network" in capsys.readouterr().out
    with pytest.raises(RunError, match="is there already"):
        run(monkeypatch, "hundred", *options, "--executors", "serial", "--folder", str(folder))


def test_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Few rounds with networks: everything that is kept has been written, and the figures belong together."""
    options = ["--rounds", "12", "--epochs", "3", "--networks", "5000", "--json", str(tmp_path / "store.json")]
    run(monkeypatch, "store", *options)
    found = json.loads((tmp_path / "store.json").read_text())["results"]
    assert all(figure > 0 for figure in found.values())
    assert found["ratio"] == pytest.approx(found["last_ms"] / found["first_ms"])
    assert found["longest_ms"] >= found["last_ms"]
    assert found["written_mb"] >= found["kept_mb"] > 12 * 5000 / 1e6
    assert found["bytes_ratio"] == pytest.approx(found["written_mb"] / found["kept_mb"])
    out = capsys.readouterr().out
    assert "12 rounds of 3 epochs, each with a network of 5000 bytes" in out
    assert "last / first" in out


def test_tracker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The tracker is at work in the rounds that are measured, and its part of them is that of its calls."""
    pytest.importorskip("tensorboard")
    run(
        monkeypatch,
        "tracker",
        "--data",
        "digits",
        "--network",
        "net1",
        "--epochs",
        "1",
        "--repeat",
        "1",
        "--json",
        str(tmp_path / "t.json"),
    )
    (found,) = json.loads((tmp_path / "t.json").read_text())["results"]
    ((share,), (own,), (ratio,), (without,)) = (found[key] for key in ("per cent", "ms", "with / without", "without"))
    assert own > 0
    assert share == pytest.approx(0.1 * own / (ratio * without - own / 1000))
    assert "tensorboard" in capsys.readouterr().out


def test_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search without training goes through all its trials."""
    run(monkeypatch, "search", "--trials", "20", "--samplers", "random", "--json", str(tmp_path / "search.json"))
    found = json.loads((tmp_path / "search.json").read_text())["results"]["random"]
    assert found["memory at the end, MB"] > 0
    assert found["per epoch told, CPU ms"] > 0


def test_a_final_finds_what_is_better() -> None:
    """With the rounds of a final spent on one, the pick is better than with any of the other budgets, and seldom below the start."""
    case = finalists.CASES[0]
    *plain, final = [finalists.simulate(case, budget, 300) for budget in finalists.BUDGETS]
    assert final.gain > max(one.gain for one in plain) + 0.1
    assert final.worse < min(one.worse for one in plain)
    assert final.spent < max(one.spent for one in plain)
    assert finalists.simulate(finalists.CASES[-1], finalists.BUDGETS[-1], 50).gain > -0.1


def test_finalists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every case with every budget."""
    run(monkeypatch, "finalists", "--repetitions", "2", "--json", str(tmp_path / "finalists.json"))
    found = json.loads((tmp_path / "finalists.json").read_text())["results"]
    assert len(found) == len(finalists.CASES) * len(finalists.BUDGETS)


def test_sequential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every case is decided both ways; shares are shares."""
    run(monkeypatch, "sequential", "--repetitions", "2", "--json", str(tmp_path / "sequential.json"))
    found = json.loads((tmp_path / "sequential.json").read_text())["results"]
    assert len(found) == len(sequential.CASES)
    for one in found:
        for way in ("auto", "t"):
            assert 10 <= one[way]["rounds"] <= 100
            assert sum(one[way]["verdicts"].values()) == pytest.approx(1)


def test_boundary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table is written in the form that the package reads."""
    run(monkeypatch, "boundary", "--walks", "2000", "--table", str(tmp_path / "pocock.csv"))
    rows = [line.split(",") for line in (tmp_path / "pocock.csv").read_text().splitlines()]
    assert rows[0] == (ROOT / "digitcmp" / "auto" / "pocock.csv").read_text().splitlines()[0].split(",")
    assert [row[0] for row in rows[1:]] == [str(look) for look in range(1, 101)]


def test_coverage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Few repetitions: a row for each number of rounds. What the intervals cover is tested with them."""
    run(monkeypatch, "coverage", "--rounds", "6", "12", "--repetitions", "20", "--json", str(tmp_path / "coverage.json"))
    found = json.loads((tmp_path / "coverage.json").read_text())["results"]
    assert [row["rounds"] for row in found] == [6, 12]
    assert all(0 <= row[name] <= 1 for row in found for name in ("mean", "median", "difference", "found", "share"))
    assert "intervals of 95 % that hold the true value, of 20" in capsys.readouterr().out


def test_full_is_what_the_sweep_trains() -> None:
    """With --full: the networks, rounds and epochs of sweeps/table1.yaml, at its published recipes."""
    sweep = (ROOT / "sweeps" / "table1.yaml").read_text()
    assert f"rounds: {hundred.ROUNDS}\n" in sweep
    assert f"+experiment: {','.join(hundred.NETWORKS)}\n" in sweep
    assert all(configuration(network, "mnist").epochs == hundred.EPOCHS for network in hundred.NETWORKS)


def test_extrapolation() -> None:
    """The start counts once, rounds go on side by side, and a round has a fixed part and its epochs."""
    results = [
        RoundResult(
            RoundRow(seed, "done", 3, 0.0, 0.0, 0.5, None, None, 1, 0.5, 0.5, 9.0, ""),
            [EpochRow(seed, epoch, 0.0, 0.0, 0.5, None, None, seconds) for epoch, seconds in ((1, 2.0), (2, 3.0), (3, 3.0))],
        )
        for seed in (0, 1)
    ]
    found = pace("net2", results)
    assert found == Pace("net2", 1.0, 3.0, 0.5)
    assert Measured("cpu", 12.0, 3.0, 2, 0, [found, found]).extrapolated(100, 60) == 3.0 + 100 * 2 * 181.0 / 2


@pytest.mark.parametrize("network", list(NETWORKS))
def test_reference_learns(network: str) -> None:
    """The plain loop trains what digitcmp trains, and its two ways of testing agree."""
    config = configuration(network, "digits", "data.train_pairs=300", "data.test_pairs=100")
    pairs = round_pairs(config.data, 0)
    train, test = (pairs.train.images, pairs.train.target, pairs.train.digits), (pairs.test.images, pairs.test.target)
    for one_batch in (False, True):
        torch.manual_seed(0)
        epochs = train_reference(network, train, test, config.optimizer.lr, "cpu", one_batch)
        accuracies = [next(epochs) for _ in range(2)]
        if not one_batch:
            asked = accuracies
    assert accuracies == pytest.approx(asked, abs=0.011)
    assert all(0 < accuracy <= 1 for accuracy in accuracies)


def test_convolutions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """All ways that there are on a CPU give the same convolution; those of a GPU are left out."""
    options = ("--networks", "2", "--images", "3", "--channels", "4", "--outputs", "5", "--side", "6", "--kernel", "2")
    run(monkeypatch, "convolution", *options, "--json", str(tmp_path / "file.json"))
    results = json.loads((tmp_path / "file.json").read_text())["results"]
    assert [one["way"] for one in results] == ["groups of one convolution, float32", "patches and products, float32"]
    assert all(one["error"] < 1e-6 for one in results)
