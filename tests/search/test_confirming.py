"""The confirmation of a search that goes on: what is confirmed has a folder by what it is."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from digitcmp.errors import SearchError
from digitcmp.experiment import planned
from digitcmp.experiment.about import read_about
from digitcmp.experiment.folders import find_runs
from digitcmp.report.frames import load_rounds
from digitcmp.runs import status
from digitcmp.runs.facts import read_facts
from digitcmp.search import best
from tests.conftest import Ended
from tests.report.made import write_run

TINY = ["model=net2", "epochs=2", "batch_size=20", "data.train_pairs=60", "data.val_pairs=20", "data.test_pairs=20", "engine=serial"]
OURS = ["--multirun", "hydra/sweeper=digitcmp_optuna", "hydra.sweep.dir=out", *TINY, "report=false", "hydra.sweeper.pruner=none"]
SPACE = ["optimizer=sgd", "optimizer.lr=0.0001,0.1", "scheduler=constant,plateau", "hydra.sweeper.confirm=2"]
HELD_OUT = "hydra.sweeper.enqueue=[{optimizer.lr: 0.0001, scheduler: constant},{optimizer.lr: 0.1, scheduler: plateau}]"
Cli = Callable[..., Ended]


def confirming() -> dict[str, Any]:
    """The configurations of the present confirmation, by their folders."""
    names = json.loads(Path("out/confirm/confirm.json").read_text())["runs"]
    assert sorted(names) == sorted(path.name for path in find_runs(Path("out/confirm")))
    return {name: read_about(Path("out/confirm", name))["configuration"] for name in names}


def records() -> dict[Path, int]:
    """When the records of all rounds that confirm were last written."""
    return {path: path.stat().st_mtime_ns for path in sorted(Path("out/confirm").glob("*/records/*.jsonl"))}


def test_a_search_that_goes_on_is_confirmed_again(run_cli: Cli) -> None:
    """Also where another best changes how the start is trained (with pairs held out), and where another start is given; rounds that there
    are stay, none is trained twice, and only the present ones are shown."""
    assert run_cli(*OURS, *SPACE, HELD_OUT, "hydra.sweeper.n_trials=1").code == 0
    assert list(confirming()) == ["start"]
    first = records()
    ended = run_cli(*OURS, *SPACE, HELD_OUT, "hydra.sweeper.n_trials=2")
    assert ended.code == 0, ended.err
    assert "best: trial 1" in Path("out/summary/search.md").read_text()
    found = confirming()
    named, start = sorted(found, key=lambda name: name.startswith("start"))
    assert named == "trial_0001"
    assert start.startswith("start-")
    assert {one["data"]["val_pairs"] for one in found.values()} == {20}
    assert len(load_rounds("out/confirm")) == 4
    listed = {facts["folder"] for facts in read_facts(Path("out"))}
    assert listed == {"out/trial_0000", "out/trial_0001", "out/confirm/trial_0001", f"out/confirm/{start}"}
    second = records()
    assert first.items() < second.items()

    another = HELD_OUT.replace("0.0001", "0.1", 1)
    ended = run_cli(*OURS, *SPACE, another, "hydra.sweeper.n_trials=2")
    assert ended.code == 0, ended.err
    third = confirming()
    assert third.pop("trial_0001") == found["trial_0001"]
    ((name, configuration),) = third.items()
    assert name not in ("start", start)
    assert (configuration["optimizer"]["lr"], configuration["data"]["val_pairs"]) == (0.1, 20)
    assert second.items() < records().items()

    before = records()  # the start of before, and what was the best is the start
    assert run_cli(*OURS, *SPACE, HELD_OUT, "hydra.sweeper.n_trials=2").code == 0
    assert confirming() == found
    swapped = "hydra.sweeper.enqueue=[{optimizer.lr: 0.1, scheduler: plateau}]"
    assert run_cli(*OURS, *SPACE, swapped, "hydra.sweeper.n_trials=2").code == 0
    assert list(confirming()) == ["trial_0001"]
    assert "The best configuration is the one that the search began with" in Path("out/summary/search.md").read_text()
    assert records() == before


def test_an_earlier_confirmation_lacks_nothing(tmp_path: Path) -> None:
    """It is neither listed nor missing, begun or planned, unless it is asked for itself; where nobody says which one is the present one,
    all are."""
    place = tmp_path / "confirm"
    for name in ("start", "start-0123abcd"):
        write_run(place / name, {20: 0.9}, seeds=[20, 21])
    plans = {place / name: ([20, 21], 5) for name in ("start", "start-0123abcd", "trial_0003", "trial_0004")}
    planned.write(tmp_path, planned.Planned(plans, rounds=0))
    assert status.read_status(tmp_path).counts["missing"] == 6
    (place / "confirm.json").write_text(json.dumps({"runs": ["start-0123abcd", "trial_0004"]}))
    now = status.read_status(tmp_path)
    assert [run.folder.name for run in now.runs] == ["start-0123abcd", "trial_0004"]
    assert now.counts["missing"] == 3
    assert find_runs(tmp_path) == find_runs(place) == [place / "start-0123abcd"]
    assert find_runs(place / "start") == [run.folder for run in status.read_status(place / "start").runs] == [place / "start"]
    (place / "confirm.json").write_text("[]")
    assert len(find_runs(tmp_path)) == 2


def test_the_summary_is_of_the_best_where_the_confirmation_fails(run_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """As best.yaml is."""

    def fail(*arguments: object) -> None:
        raise SearchError(f"no round of {len(arguments)} was finished")

    assert run_cli(*OURS, *SPACE, HELD_OUT, "hydra.sweeper.n_trials=1").code == 0
    monkeypatch.setattr(best, "confirm", fail)
    ended = run_cli(*OURS, *SPACE, HELD_OUT, "hydra.sweeper.n_trials=2")
    assert ended.err.splitlines()[-1] == "digitcmp: no round of 5 was finished"
    page = Path("out/summary/search.md").read_text()
    assert "Trials: 2 of 2" in page
    assert "best: trial 1" in page
    assert "## Confirmed" not in page
