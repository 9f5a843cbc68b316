"""What was typed, what was begun together, and what is compared only when that is asked for."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from digitcmp.errors import RunError
from digitcmp.experiment import planned
from digitcmp.report import cli as command
from digitcmp.report.frames import read_abouts, read_sweep
from digitcmp.report.origins import Typed, are_unrelated, commands
from digitcmp.report.searching import FINAL, FINALISTS, read_searches, suggested
from digitcmp.report.study import study
from tests.conftest import Ended
from tests.report.made import configuration, write_run

SEEDS = {seed: 0.8 + seed / 100 for seed in range(6)}
OTHERS = {seed: 0.85 + seed / 90 for seed in range(6)}


@pytest.fixture
def main(run_main: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """Run the report's command line in this process."""
    monkeypatch.setenv("COLUMNS", "120")
    return partial(run_main, command.main)


def write_typed(folder: Path, *task: str, hydra: tuple[str, ...] = (), **sweeper: Any) -> None:
    """What Hydra leaves of a sweep's command."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {"hydra": ["hydra.mode=MULTIRUN", *hydra], "task": list(task)}
    (folder / "multirun.yaml").write_text(yaml.safe_dump({"hydra": {"overrides": told, "sweeper": sweeper}}))


def test_a_sweep_is_one_command(tmp_path: Path) -> None:
    """That which was typed, without passwords; a run that only an earlier command has asked for, and one begun alone, have their own."""
    for number, name in enumerate(("net1", "net2")):
        write_run(tmp_path / "s" / name, SEEDS, configuration(model__name=name), jobs=[[1, number], [2, number]])
    write_run(tmp_path / "s" / "net3", SEEDS, configuration(model__name="net3"), jobs=[[1, 2]], command="python -m digitcmp model=net3")
    write_run(tmp_path / "alone", SEEDS, configuration(model__name="net4"), jobs=[], command="python -m digitcmp model=net4")
    write_typed(tmp_path / "s", "model=net1,net2", "seed=range(6)", hydra=("hydra.sweeper.storage=postgresql://me:secret@db/x",))
    storage = "'hydra.sweeper.storage=postgresql://me:***@db/x'"
    assert sorted(commands(read_sweep([tmp_path]).runs)) == [
        (str(tmp_path / "alone"), "python -m digitcmp model=net4"),
        (str(tmp_path / "s"), f"python -m digitcmp --multirun {storage} model=net1,net2 'seed=range(6)'"),
        (str(tmp_path / "s" / "net3"), "python -m digitcmp model=net3"),
    ]
    (tmp_path / "s" / "multirun.yaml").write_text("hydra: [")
    assert len(commands(read_sweep([tmp_path]).runs)) == 4


def test_runs_that_are_planned_and_not_there(tmp_path: Path) -> None:
    """Are told of, as in a sweep that was removed in part; not where some of its runs alone are reported on, nor of a search."""
    for number, name in enumerate(("net1", "net2")):
        write_run(tmp_path / "s" / name, SEEDS, configuration(model__name=name), jobs=[[1, number]])
    write_typed(tmp_path / "s", "model=net1,net2,net3")
    runs = {tmp_path / "s" / name: ([0, 1], 3) for name in ("net1", "net2", "net3")}
    planned.write(tmp_path / "s", planned.Planned(runs))
    told = [f"1 of 3 planned runs of {tmp_path / 's'} is not there (not begun, or removed): net3"]
    for folders, lines in (([tmp_path / "s"], told), ([tmp_path], told), ([tmp_path / "s" / "net1", tmp_path / "s" / "net2"], [])):
        assert [line for line in study(folders).warnings if "planned" in line] == lines
    planned.write(tmp_path / "s", planned.Planned(rounds=4, epochs=3))
    assert not [line for line in study([tmp_path / "s"]).warnings if "planned" in line]


def test_a_sweep_has_its_runs_at_any_depth(tmp_path: Path) -> None:
    """As hydra.sweep.subdir puts them; they are one sweep all the same."""
    for number, name in enumerate(("net1", "net2")):
        write_run(tmp_path / "s" / "a" / name / "b" / "c", SEEDS, configuration(model__name=name), jobs=[[1, number]])
    write_typed(tmp_path / "s", "model=net1,net2")
    assert commands(read_sweep([tmp_path]).runs) == [(str(tmp_path / "s"), "python -m digitcmp --multirun model=net1,net2")]


def test_the_report_says_what_was_typed(main: Callable[..., Ended], tmp_path: Path) -> None:
    """On the screen and in the page, where it is text and nothing else."""
    for number, name in enumerate(("net1", "net2")):
        write_run(tmp_path / "s" / name, SEEDS, configuration(model__name=name), jobs=[[1, number]])
    write_typed(tmp_path / "s", "model=net1,net2", "ladder=<script>\x1b[2J")
    ended = main(tmp_path / "s")
    assert ended.code == 0
    assert r"command python -m digitcmp --multirun model=net1,net2 'ladder=<script>\x1b[2J'" in ended.out
    text = (tmp_path / "s" / "summary" / "report.html").read_text()
    assert f"# {tmp_path / 's'}</span>\npython -m digitcmp --multirun model=net1,net2" in text
    assert "ladder=<script>" not in text


def write_alone(folder: Path) -> None:
    """Two runs of two configurations that were begun one by one."""
    for name, seeds in (("net1", SEEDS), ("net2", OTHERS)):
        made = configuration(model__name=name)
        write_run(folder / f"10_{name}", seeds, made, jobs=[], command=f"python -m digitcmp model={name} rounds=6")


def test_unrelated_runs_are_a_list(main: Callable[..., Ended], tmp_path: Path) -> None:
    """With their accuracies, commands and folders, and how to compare them; --compare compares, and so does naming them."""
    write_alone(tmp_path / "day")
    ended = main(tmp_path / "day")
    assert (ended.code, ended.err) == (0, "")
    assert "2 runs: a list, not a comparison" in ended.out
    assert "82.50 ± 1.87 %  6 of 6 rounds  net1" in ended.out
    assert "python -m digitcmp model=net2 rounds=6" in ended.out
    assert str(tmp_path / "day" / "10_net2") in ended.out
    assert "--compare" in ended.out
    assert "Holm" not in ended.out
    (written,) = (tmp_path / "day" / "summary").iterdir()
    assert written.read_text().startswith("name,rounds,seeds,test_accuracy_percent,std_percent,command,folder\nnet1,6,6,82.5,1.87")
    assert "compared with net1" in main(tmp_path / "day", "--compare").out
    assert "compared with net1" in main(tmp_path / "day" / "10_net1", tmp_path / "day" / "10_net2").out
    for option in (["--publish", str(tmp_path / "p")], ["--rename", "net1=Model 1"], ["--baseline", "net2"], ["--columns", "mean"]):
        refused = main(tmp_path / "day", *option)
        assert (refused.code, refused.err.count("\n")) == (1, 1)
        assert f"{' '.join(option)}: these runs were not begun together; add --compare" in refused.err


def test_an_unnamed_sweep_is_called_by_what_was_swept(tmp_path: Path) -> None:
    """Not by the time; a folder that has a name is called by it."""
    for name, expected in (("10-30-00", "model=net1,net2 seed=range(6)"), ("mine", "mine"), ("10-30-00_model=wsn", "10-30-00_model=wsn")):
        write_run(tmp_path / name / "0", SEEDS, jobs=[[1, 0]])
        write_typed(tmp_path / name, "model=net1,net2", "seed=range(6)", hydra=("hydra.launcher.x=1",))
        assert study([tmp_path / name]).name == expected
    (tmp_path / "10-30-00" / "multirun.yaml").unlink()
    assert study([tmp_path / "10-30-00"]).name == "10-30-00"


def test_a_preview_in_a_list_is_marked(main: Callable[..., Ended], tmp_path: Path) -> None:
    """It stands beside results, and is none."""
    write_run(tmp_path / "a", {0: 0.8}, jobs=[])
    write_run(tmp_path / "b-preview" / "b", {0: 0.9}, configuration(epochs=2), jobs=[])
    (tmp_path / "b-preview" / "preview.json").write_text("{}")
    out = main(tmp_path).out
    assert re.search(r"^80.00 %  1 of 1 round  \S", out, re.MULTILINE)
    assert re.search(r"^90.00 %  1 of 1 round, a preview, which is no result  \S", out, re.MULTILINE)


def test_every_run_of_a_list_has_its_own_rounds(main: Callable[..., Ended], tmp_path: Path) -> None:
    """Also those that another run has, too; one without any says so."""
    write_alone(tmp_path)
    for name, accuracies in (("11_again", {0: 0.85, 1: 0.75}), ("12_begun", {})):
        write_run(tmp_path / name, accuracies, configuration(model__name="net2"), jobs=[], seeds=[0, 1])
    ended = main(tmp_path)
    assert "4 runs: a list" in ended.out
    assert "80.00 ± 7.07 %  2 of 2 rounds  net2\n" in ended.out
    assert "nothing yet  0 of 2 rounds  net2\n" in ended.out
    assert "more than once" not in ended.out


def test_what_was_begun_together(tmp_path: Path) -> None:
    """A sweep, replicates of one configuration, and folders that are named side by side; not a folder of sweeps."""

    def unrelated(*tops: Path) -> bool:
        return are_unrelated(read_abouts(list(tops), False, []), tops)

    write_alone(tmp_path / "day")
    for sweep in ("a", "b"):
        for number, name in enumerate(("net1", "net2")):
            write_run(tmp_path / "sweeps" / sweep / name, SEEDS, configuration(model__name=name), jobs=[[1, number]])
    write_run(tmp_path / "same" / "a", SEEDS, jobs=[])
    write_run(tmp_path / "same" / "b", {7: 0.8}, jobs=[])
    assert unrelated(tmp_path / "day")
    assert unrelated(tmp_path / "sweeps")
    assert not unrelated(tmp_path / "sweeps" / "a")
    assert not unrelated(tmp_path / "sweeps" / "a", tmp_path / "sweeps" / "b")
    assert not unrelated(tmp_path / "same")


@pytest.mark.parametrize("key", ["data__source", "data__train_pairs", "data__test_pairs", "data__target", "data__fingerprint"])
def test_other_data_is_refused(key: str, main: Callable[..., Ended], tmp_path: Path) -> None:
    """In one line that names both values; unless that is asked for."""
    value = 500 if key.endswith("pairs") else "other"
    write_run(tmp_path / "a" / "1", SEEDS)
    write_run(tmp_path / "b" / "1", OTHERS, configuration(model__name="net2", **{key: value}))
    ended = main(tmp_path / "a", tmp_path / "b")
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert f"{key.replace('__', '.')} differs" in ended.err
    assert f"{value} in {tmp_path / 'b'}" in ended.err
    ended = main(tmp_path / "a", tmp_path / "b", "--different-data", "--out", tmp_path / "out")
    assert "compared with" in ended.out
    assert "warning: configurations differ in" in ended.out


def test_a_sweep_may_vary_its_data(main: Callable[..., Ended], tmp_path: Path) -> None:
    """The training pairs are what it is about; those with other test pairs than the baseline's have their row, and no comparison."""
    for number, pairs in enumerate((100, 500)):
        write_run(tmp_path / "t" / str(pairs), SEEDS, configuration(data__train_pairs=pairs), jobs=[[1, number]])
    assert study([tmp_path / "t"]).comparisons["label"].tolist() == ["train_pairs=500"]
    sources = [("digits", "net1"), ("digits", "net2"), ("mnist", "net1"), ("mnist", "net2")]
    for number, (source, name) in enumerate(sources):
        made = configuration(model__name=name, data__source=source)
        write_run(tmp_path / "s" / str(number), SEEDS if name == "net1" else OTHERS, made, jobs=[[1, number]])
    results = study([tmp_path / "s"])
    assert len(results.table) == 4
    assert results.comparisons["label"].tolist() == ["net2 digits"]
    assert "not compared with net1 digits, as they have other test pairs: net1 mnist, net2 mnist" in results.warnings
    assert results.comparisons["p_holm"].tolist() == results.comparisons["p"].tolist()
    assert main(tmp_path / "s").code == 0
    assert len(study([tmp_path / "s"], different_data=True).comparisons) == 3


def write_search(folder: Path) -> None:
    """A search of four trials: complete, pruned, running, and complete again, better."""
    write_typed(
        folder, "aux_weight=interval(0,2)", "rounds=3", hydra=("hydra/sweeper=digitcmp_optuna",), n_trials=60, params={"model": "wsn"}
    )
    accuracies = (0.8, 0.6, 0.7, 0.9)
    for number, (accuracy, status) in enumerate(zip(accuracies, ("done", "pruned", "running", "done"), strict=True)):
        seeds = {seed: accuracy + seed / 100 for seed in range(3 if status == "done" else 1)}
        told = {"status": status, "seeds": [0, 1, 2], "jobs": [[1, number]]}
        made = configuration(test=False, aux_weight=number / 2)
        overrides = f"model=wsn rounds=3 aux_weight={number / 2} test=false"
        write_run(folder / f"trial_{number:04d}", seeds, made, others=0.1, command=f"python -m digitcmp {overrides}", **told)


def test_a_search_reports_its_best_so_far(main: Callable[..., Ended], tmp_path: Path) -> None:
    """Its number, values, and mean over the seeds; how many trials are complete and pruned. Exit code 0, and nothing is written."""
    write_search(tmp_path / "search")
    before = sorted(tmp_path.rglob("*"))
    ended = main(tmp_path / "search")
    assert (ended.code, ended.err) == (0, "")
    lines = [line.rstrip() for line in ended.out.splitlines()]
    assert lines[0] == f"search  {tmp_path / 'search'}: 3 of 60 trials (2 complete, 1 pruned), 1 running"
    assert lines[1] == "best so far  trial 3, validation accuracy 81.00 %, mean over 3 seeds"
    assert lines[2].strip() == "aux_weight=1.5"
    assert "python -m digitcmp --multirun hydra/sweeper=digitcmp_optuna 'aux_weight=interval(0,2)' rounds=3" in lines[3]
    assert sorted(tmp_path.rglob("*")) == before


def test_a_search_reports_its_final(main: Callable[..., Ended], tmp_path: Path) -> None:
    """How many finalists are through, and the best of them with the values of its trial; they are no trials."""
    write_search(tmp_path / "search")
    told = {"params": {"model": "wsn"}, "n_trials": 3, "finalists": 3}
    write_typed(tmp_path / "search", "aux_weight=interval(0,2)", "rounds=3", hydra=("hydra/sweeper=digitcmp_optuna",), **told)
    for number, accuracy, status in ((0, 0.85, "done"), (1, 0.6, "pruned"), (3, 0.8, "done")):
        made = configuration(test=False, aux_weight=number / 2)
        seeds = dict.fromkeys(range(100, 105), accuracy)
        about = {"status": status, "seeds": list(seeds), "jobs": [[1, number]]}
        command = f"python -m digitcmp model=wsn aux_weight={number / 2} rounds=5 seed=100 test=false"
        write_run(tmp_path / "search" / "finalists" / f"trial_{number:04d}", seeds, made, others=0.1, command=command, **about)
    ended = main(tmp_path / "search")
    lines = [line.rstrip() for line in ended.out.splitlines()]
    assert lines[0].endswith("3 of 3 trials (2 complete, 1 pruned), 1 running")
    assert lines[1] == "final   3 of 3 finalists are through (1 of them dropped)"
    assert lines[2].startswith("best    trial 0, validation accuracy ")
    assert lines[2].endswith("mean over 5 seeds")
    assert lines[3].strip() == "aux_weight=0.0"


def test_finalists_of_an_earlier_final_do_not_count(tmp_path: Path) -> None:
    """Nor do their other seeds: the search says who is in the present final, and on which seeds."""
    write_search(tmp_path / "search")
    for number, values in {0: (0.9, 0.7), 1: (0.99, 0.99), 3: (0.8, 0.82)}.items():
        seeds = dict(zip((100, 101), values, strict=True))
        about = {"status": "done", "seeds": list(seeds), "jobs": [[1, number]]}
        write_run(
            tmp_path / "search" / FINALISTS / f"trial_{number:04d}",
            seeds,
            configuration(test=False, aux_weight=number / 2),
            others=0.1,
            **about,
        )

    def best() -> tuple[str, float, int]:
        (search,) = read_searches(read_abouts([tmp_path], False, []))
        assert search.best is not None
        return search.best.name, round(search.best.accuracy or 0, 4), len(search.finalists)

    assert best() == ("trial_0001", 0.89, 3)  # of an earlier version, which does not say
    final = tmp_path / "search" / FINALISTS / FINAL
    final.write_text(json.dumps({"trials": [0, 3], "seeds": [100, 101]}))
    assert best() == ("trial_0003", 0.71, 2)
    final.write_text(json.dumps({"trials": [0, 3], "seeds": [100]}))
    assert best() == ("trial_0000", 0.8, 2)


def test_finalists_by_the_rounds_of_the_present_final(main: Callable[..., Ended], tmp_path: Path) -> None:
    """One of which a round failed is through, and said to have failed; one that an earlier, longer final has left is as far as the present
    one asks for."""
    write_search(tmp_path / "search")
    told = {"params": {"model": "wsn"}, "n_trials": 3, "finalists": 4}
    write_typed(tmp_path / "search", "aux_weight=interval(0,2)", "rounds=3", hydra=("hydra/sweeper=digitcmp_optuna",), **told)
    kept = {
        0: ({100: 0.8, 101: 0.7, 102: 0.9}, "interrupted"),  # as far as asked for
        1: ({100: 0.8, 101: None}, "interrupted"),
        2: ({100: 0.8, 101: 0.9, 102: None}, "failed"),  # beyond what is asked for
        3: ({100: 0.8}, "pruned"),
    }
    for number, (seeds, status) in kept.items():
        about = {"status": status, "seeds": [*range(100, 105)], "jobs": [[1, number]]}
        write_run(tmp_path / "search" / FINALISTS / f"trial_{number:04d}", seeds, configuration(test=False), others=0.1, **about)
    (tmp_path / "search" / FINALISTS / FINAL).write_text(json.dumps({"trials": [0, 1, 2, 3], "seeds": [100, 101]}))
    (search,) = read_searches(read_abouts([tmp_path], False, []))
    assert [one.state for one in search.finalists] == ["complete", "failed", "complete", "pruned"]
    assert search.best is not None
    assert search.best.name == "trial_0002"
    lines = main(tmp_path / "search").out.splitlines()
    assert lines[1].rstrip() == "final   4 of 4 finalists are through (1 of them dropped, 1 failed)"
    assert lines[2].startswith("best    trial 2, ")


def test_the_first_of_equal_ones_is_the_best(tmp_path: Path) -> None:
    """As the search itself picks: of finalists whoever met first, of trials the lowest number; the last digit of a sum decides nothing."""
    write_search(tmp_path / "search")
    for number, values in {0: (0.9, 0.8), 1: (0.85, 0.85), 3: (0.8, 0.9)}.items():
        seeds = dict(zip((100, 101), values, strict=True))
        about = {"status": "done", "seeds": list(seeds), "jobs": [[1, number]]}
        made = configuration(test=False, aux_weight=number / 2)
        write_run(tmp_path / "search" / FINALISTS / f"trial_{number:04d}", seeds, made, others=0.0, **about)
    for order in ([1, 0, 3], [0, 1, 3], [3, 1, 0]):
        (tmp_path / "search" / FINALISTS / FINAL).write_text(json.dumps({"trials": order, "seeds": [100, 101]}))
        (search,) = read_searches(read_abouts([tmp_path], False, []))
        assert search.best is not None
        assert search.best.name == f"trial_{order[0]:04d}"
    trials = [replace(one, accuracy=accuracy) for one, accuracy in zip(search.trials, (0.85, 0.8500000000000001), strict=False)]
    best = replace(search, trials=trials, finalists=[]).best
    assert best == trials[0]


def test_values_as_they_were_typed_are_not_found_ones() -> None:
    """`report=false` is what the command of a trial calls `report=False`."""
    typed = Typed([], ["report=false", "aux_weight=interval(0,2)"], {})
    assert suggested({"command": "python -m digitcmp report=False aux_weight=0.5"}, typed) == {"aux_weight": "0.5"}


def test_a_search_that_minimises(tmp_path: Path) -> None:
    """Its best is the lowest; of one without a complete trial there is none."""
    write_search(tmp_path)
    write_typed(tmp_path, "aux_weight=interval(0,2)", direction="minimize")
    (found,) = read_searches(read_abouts([tmp_path], False, []))
    assert found.best is not None
    assert found.best.name == "trial_0000"
    assert found.best.values == {"aux_weight": "0.0"}


def test_a_study_refuses_what_the_command_refuses(tmp_path: Path) -> None:
    """Also where it is called from Python."""
    write_run(tmp_path / "a" / "1", SEEDS)
    write_run(tmp_path / "b" / "1", OTHERS, configuration(data__target="gt"))
    with pytest.raises(RunError, match=r"not compared, as data.target differs \(le in .*a; gt in .*b\)"):
        study([tmp_path])


def test_a_baseline_by_either_name(tmp_path: Path) -> None:
    """As it is called, or as it was called before it got another name; what is called so goes first."""
    for name in ("net1", "wsn"):
        write_run(tmp_path / name, dict.fromkeys(range(3), 0.8), configuration(model__name=name))
    assert study([tmp_path], "wsn", names={"wsn": "Ours"}).baseline == "Ours"
    assert study([tmp_path], "Ours", names={"wsn": "Ours"}).baseline == "Ours"
    assert study([tmp_path], "wsn", names={"net1": "wsn", "wsn": "net1"}).configurations["model.name"].tolist() == ["net1", "wsn"]
    assert study([tmp_path], "wsn", names={"net1": "wsn", "wsn": "net1"}).baseline == "wsn"
