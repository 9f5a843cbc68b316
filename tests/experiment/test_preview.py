"""preview=true: two rounds of two epochs of anything, in a folder of their own, and what the whole of it would take."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from digitcmp.experiment import preview
from digitcmp.experiment.about import read_about
from digitcmp.experiment.preview import Part, Size, Whole
from tests.conftest import Ended, compose_config
from tests.experiment.made import records_of

Cli = Callable[..., Ended]
SMALL = ["data.train_pairs=100", "data.test_pairs=100"]


def whole_line(out: str) -> str:
    """What is said of the whole."""
    return next(line for line in out.splitlines() if line.startswith("the whole: "))


def trained(folder: Path) -> dict[str, tuple[list[int], int]]:
    """Of each run below a folder, its seeds and its epochs."""
    paths = sorted(folder.glob("**/run.json"))
    return {
        path.parent.name: (
            sorted(record.row.seed for record in records_of(path.parent)),
            read_about(path.parent)["configuration"]["epochs"],
        )
        for path in paths
    }


def test_a_run(run_cli: Cli, tmp_path: Path) -> None:
    """The folder is not that of the run, and the command that is printed starts the run."""
    ended = run_cli(*SMALL, "model=wsn", "rounds=30", "epochs=7", "hydra.run.dir=out", "preview=true")
    assert ended.code == 0, ended.err
    assert trained(tmp_path / "out-preview") == {"out-preview": ([0, 1], 2)}
    assert not (tmp_path / "out").exists()
    assert whole_line(ended.out).startswith("the whole: 1 run, 30 rounds, 7 epochs each: about ")
    assert re.search(r" on disk$", whole_line(ended.out))
    command = ended.out.splitlines()[-1].partition("python -m digitcmp ")[2].split()
    assert not (tmp_path / "out-preview" / "records" / "networks").exists()  # thirty rounds keep none either
    started = run_cli(*[part for part in command if part != "rounds=30"], "rounds=1")
    assert started.code == 0, started.err
    assert trained(tmp_path / "out") == {"out": ([0], 7)}


def test_a_sweep(run_cli: Cli, tmp_path: Path) -> None:
    """Of each configuration two rounds, also where every round is a job of its own; epochs that only the whole tells apart are trained
    once. The whole is counted by its jobs."""
    ended = run_cli("--multirun", *SMALL, "model=net1,wsn", "seed=range(5)", "epochs=3,6", "hydra.sweep.dir=out", "preview=true")
    assert ended.code == 0, ended.err
    runs = trained(tmp_path / "out-preview")
    assert sorted(seeds for seeds, _ in runs.values()) == [[0], [0], [1], [1]]
    assert {epochs for _, epochs in runs.values()} == {2}
    assert whole_line(ended.out).startswith("the whole: 20 runs, 20 rounds, 3 to 6 epochs each: about ")
    assert (tmp_path / "out-preview" / "summary" / "table.csv").exists()
    again = run_cli("--multirun", *SMALL, "model=net1,wsn", "rounds=auto", "hydra.sweep.dir=out", "preview=true")
    assert again.code == 0, again.err
    assert whole_line(again.out).startswith("the whole: 2 runs, at most 200 rounds, 25 epochs each: about ")


def test_a_named_sweep(run_cli: Cli, tmp_path: Path) -> None:
    """Beside the sweep's own folder; one that is changed has another one."""
    ended = run_cli("--multirun", "+sweeps=smoke", *SMALL, "preview=true")
    assert ended.code == 0, ended.err
    (folder,) = tmp_path.glob("outputs/*")
    assert re.fullmatch(r"smoke-.+-preview", folder.name)
    assert "start it with  python -m digitcmp --multirun +sweeps=smoke data.train_pairs=100 data.test_pairs=100" in ended.out


def test_a_search(run_cli: Cli, tmp_path: Path) -> None:
    """Four trials, two finalists, the confirmation, and all three in what the whole is said to take."""
    search = [
        "hydra/sweeper=digitcmp_optuna",
        "data.val_pairs=20",
        "batch_size=50",
        "hydra.sweep.dir=out",
        "hydra.sweeper.n_trials=40",
        "rounds=3",
        "epochs=5",
    ]
    space = "optimizer.lr=tag(log,interval(0.001,0.1))"
    search += ["hydra.sweeper.finalists=3", "hydra.sweeper.finalist_rounds=4"]
    ended = run_cli("--multirun", *SMALL, *search, space, "hydra.sweeper.confirm=10", "hydra.sweeper.study_name=mine", "preview=true")
    assert ended.code == 0, ended.err
    runs = trained(tmp_path / "out-preview")
    assert {f"trial_{number:04d}" for number in range(4)} <= set(runs)
    assert runs["start"] == ([2, 3], 2)
    assert {epochs for _, epochs in runs.values()} == {2}
    assert whole_line(ended.out).startswith("the whole: 45 runs, at most 152 rounds, 5 epochs each: about ")
    assert "of the study mine-preview" in (tmp_path / "out-preview" / "best.yaml").read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["hydra/launcher=basic"],
            "preview=true with hydra/launcher=basic: it trains everything that it is given; use hydra/launcher=digitcmp",
        ),
        (
            ["hydra/sweeper=optuna", "optimizer.lr=interval(0.1,1)"],
            "preview=true with hydra/sweeper=optuna: it trains everything that it is given",
        ),
        (["preview=true,true"], "preview=true,true: this is for a whole sweep; give it one value"),
        (["dry_run=choice(true,false)"], "dry_run=choice(true,false): this is for a whole sweep; give it one value"),
        (["hydra/sweeper=digitcmp_optuna", "data.val_pairs=20", "preview=choice(true,false)"], "preview=choice(true,false): this is for"),
        (["hydra.sweep.dir=/"], "preview=true: there is no folder beside /; give another hydra.sweep.dir"),
        (["seed=0,1", "preview=true,false"], "preview=true,false: this is for a whole sweep; give it one value"),
    ],
)
def test_what_has_no_preview(run_cli: Cli, tmp_path: Path, arguments: list[str], told: str) -> None:
    """One line, and nothing is trained."""
    asked = [] if any(one.startswith("preview") for one in arguments) else ["preview=true"]
    ended = run_cli("--multirun", *SMALL, *asked, *arguments)
    assert (ended.code, ended.err.count("\n")) == (1, 1), ended
    assert told in ended.err
    assert not list(tmp_path.rglob("run.json"))


def test_odd_folders_and_ways_to_say_it(run_cli: Cli, tmp_path: Path) -> None:
    """Quotes in a folder's name; a plus sign before the key; a file of sweeps that says so."""
    ended = run_cli("--multirun", *SMALL, "epochs=1", "model=net1,net2", 'hydra.sweep.dir="q it\'s"', "preview=true", "report=false")
    assert (ended.code, ended.err) == (0, "")
    assert len(trained(tmp_path / "q it's-preview")) == 2
    assert preview.typed_command(["++preview=true", "model=wsn"]) == "python -m digitcmp model=wsn"
    assert preview.typed_command(["+sweeps=mine"]) == "python -m digitcmp +sweeps=mine preview=false"


def test_a_dry_run_of_a_preview_writes_nothing(run_cli: Cli, tmp_path: Path) -> None:
    """Its plan are the few rounds."""
    ended = run_cli("--multirun", *SMALL, "model=net1,wsn", "rounds=50", "preview=true", "dry_run=true")
    assert "4 rounds to train" in ended.out, ended
    assert not list(tmp_path.rglob("*.json"))


def test_sizes_on_disk(run_cli: Cli, tmp_path: Path) -> None:
    """What the preview says of a run's size is within a quarter of what the run takes, networks and all."""
    command = [*SMALL, "rounds=6", "epochs=30", "hydra.run.dir=out"]
    assert run_cli(*command, "preview=true").code == 0
    assert run_cli(*command).code == 0
    folder = tmp_path / "out-preview"
    size = preview.size_of({folder: preview.done_records(folder)})
    assert size is not None
    there = sum(path.stat().st_size for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert size.bytes(Part(["."], 1, 6, 30)) == pytest.approx(there, rel=0.25)
    assert len(list(tmp_path.glob("out/records/networks/*"))) == 6
    assert Size(100.0, 10.0, 1.0).bytes(Part([], 2, 3, 4)) == 2 * 100 + 3 * (10 + 4)


def test_preview_without_a_finished_round(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where all rounds fail, no time can be told; the rest is."""
    from digitcmp.terminal import Terminal

    preview.write(Whole("python -m digitcmp", [Part(["gone"], 1, 10, 5)], 2, most=False), tmp_path)
    preview.tell(tmp_path, Terminal())
    assert "10 rounds, 5 epochs each: for how long cannot be told" in capsys.readouterr().out
    assert json.loads((tmp_path / preview.PREVIEW).read_text())["workers"] == 2
    assert preview.shortened(compose_config("rounds=1", "epochs=1", "preview=true")).epochs == 1
    assert preview.shortened(compose_config("epochs=9")).epochs == 9
