"""Every reason for doubt has its line, and a clean sweep has none."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from digitcmp.errors import RunError
from digitcmp.report.build import tables
from digitcmp.report.metrics import METRICS
from digitcmp.report.page.html import page
from digitcmp.report.study import study
from tests.report.made import configuration, write_run

SEEDS = {seed: 0.8 + seed / 100 for seed in range(6)}
OTHERS = {seed: 0.85 + seed / 90 for seed in range(6)}  # of another configuration


def warnings(folder: Path) -> list[str]:
    """The warnings of a report."""
    return study([folder]).warnings


def test_a_clean_sweep_has_none(tmp_path: Path) -> None:
    """Two configurations of six rounds, one of them in two runs, on one machine."""
    write_run(tmp_path / "a", SEEDS)
    write_run(tmp_path / "b", dict(list(OTHERS.items())[:3]), configuration(model__name="net2"))
    write_run(tmp_path / "c", dict(list(OTHERS.items())[3:]), configuration(model__name="net2"))
    assert warnings(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("digitcmp", "0.2.0"), ("torch", "2.7.0"), ("git_commit", "def"), ("git_commit", None), ("engine", "stacked"), ("device", "cuda")],
)
def test_mixtures_are_named(tmp_path: Path, name: str, value: str | None) -> None:
    """Other code, engine or device: within a configuration or between two, with the number of rounds of each."""
    write_run(tmp_path / "a", SEEDS)
    write_run(tmp_path / "b", OTHERS, configuration(model__name="net2"), **{name: value})
    (line,) = warnings(tmp_path)
    assert line.startswith(f"different {name} in one report: ")
    assert f"{value or 'unknown'} (6 rounds)" in line
    assert line.endswith("never within a configuration")
    write_run(tmp_path / "c", {7: 0.8}, **{name: value})
    (line,) = warnings(tmp_path)
    assert line.endswith("; pooled within net1")


def test_files_of_ones_own_that_changed(tmp_path: Path) -> None:
    """Of each alone: what has no part of it needs no version of it."""
    write_run(tmp_path / "a", SEEDS, plugins={"my_conf/plugins.py": "abc", "heads": "1.0"})
    write_run(tmp_path / "b", OTHERS, configuration(model__name="net2"))
    assert warnings(tmp_path) == []
    write_run(tmp_path / "c", OTHERS, configuration(model__name="net3"), plugins={"my_conf/plugins.py": "def"})
    line, *_ = warnings(tmp_path)
    assert line == "different my_conf/plugins.py in one report: abc (6 rounds), def (6 rounds); never within a configuration"


def test_uncommitted_changes(tmp_path: Path) -> None:
    """Runs of a dirty checkout are counted."""
    write_run(tmp_path / "a", SEEDS, git_dirty=True)
    assert warnings(tmp_path) == ["1 of 1 run made with uncommitted changes in the code (git_dirty)"]


def test_runs_that_were_resumed_with_other_code(tmp_path: Path) -> None:
    """Their rounds come from two versions and can't be told apart."""
    write_run(tmp_path / "a", SEEDS, resumed=[{"git_commit": "abc", "until": "2026-11-22T10:00:00+00:00"}])
    assert warnings(tmp_path) == ["1 resumed with other code, or with another engine or device, than they began with: a"]


def test_a_run_resumed_with_another_engine_counts_for_neither(tmp_path: Path) -> None:
    """Its rounds may be of both: they are counted apart, and its configuration is named, also where every run was resumed so."""
    resumed = {"engine": "stacked", "resumed": [{"engine": "processes", "device": "cpu"}]}
    write_run(tmp_path / "a", SEEDS, **resumed)
    both = "perhaps pooled within net1, of which runs were resumed with another"
    assert warnings(tmp_path)[0] == f"different engine in one report: processes then stacked (6 rounds); {both}"
    write_run(tmp_path / "b", OTHERS, configuration(model__name="net2"))
    assert warnings(tmp_path)[0] == f"different engine in one report: processes then stacked (6 rounds), processes (6 rounds); {both}"
    write_run(tmp_path / "c", {7: 0.9}, configuration(model__name="net2"), engine="serial")
    assert warnings(tmp_path)[0].endswith(f"serial (1 round); pooled within net2; {both}")
    assert "processes then stacked, processes, serial" in page(study([tmp_path]), {}, None)


def test_machines_files_and_changes_before_a_run_was_resumed(tmp_path: Path) -> None:
    """All that one report should not mix is looked for there, too."""
    then = {"platform": {"threads": 1}, "plugins": {"my.py": "abc"}, "git_dirty": True}
    write_run(tmp_path / "a", SEEDS, platform={"threads": 2}, plugins={"my.py": "def"}, resumed=[then])
    lines = warnings(tmp_path)
    for told in ("git_dirty in one report: True then False", "platform in one report: threads 1 then threads 2"):
        assert any(line.startswith(f"different {told} (6 rounds); perhaps") for line in lines)
    assert any(line.startswith("different my.py in one report: abc then def (6 rounds)") for line in lines)
    assert "1 of 1 run made with uncommitted changes in the code (git_dirty)" in lines


@pytest.mark.parametrize(("status", "word"), [("running", "still running (or killed)"), ("interrupted", "interrupted")])
def test_unfinished_runs(tmp_path: Path, status: str, word: str) -> None:
    """How far they are; a run that has just begun has no rounds."""
    write_run(tmp_path / "a", SEEDS, status=status, seeds=list(range(100)))
    write_run(tmp_path / "b", {}, status=status, seeds=[0, 1])
    (line,) = warnings(tmp_path)
    assert line == f"2 runs are {word}: a (6 of 100 rounds), b (0 of 2 rounds)"


def test_ended_runs_that_lack_rounds(tmp_path: Path) -> None:
    """A log that lost whole lines, or a run that lost its logs, can't be told by itself, but by the seeds of run.json."""
    write_run(tmp_path / "a", SEEDS, seeds=list(range(8)))
    assert warnings(tmp_path) == ["1 ended run without all rounds: a (6 of 8 rounds)"]
    shutil.rmtree(write_run(tmp_path / "b", SEEDS) / "records")
    assert warnings(tmp_path) == ["2 ended runs without all rounds: a (6 of 8 rounds), b (0 of 6 rounds)"]


def test_failed_and_few_rounds(tmp_path: Path) -> None:
    """Failed rounds, configurations with one round, comparisons with too few pairs."""
    write_run(tmp_path / "a", SEEDS | {9: None}, status="failed")
    write_run(tmp_path / "b", {0: 0.81}, configuration(model__name="net2"))
    assert warnings(tmp_path) == [
        "failed rounds lose every comparison, and means leave them out: net1 (1 round)",
        "fewer than 2 rounds, so no standard deviation, interval or test: net2 (1 round)",
        "fewer than 6 pairs that differ, too few for a corrected p below 0.05 in 1 comparison: net2 (1 pair)",
    ]


@pytest.mark.parametrize(("configurations", "tied", "needed"), [(2, 0, 6), (2, 1, 6), (3, 0, 7), (4, 0, 7), (5, 0, 8)])
def test_too_few_pairs_for_the_family(tmp_path: Path, configurations: int, tied: int, needed: int) -> None:
    """m comparisons of n pairs that differ can reach m 2 / 2^n at best: not below 5 % with six pairs for two, or where one of six ties."""
    write_run(tmp_path / "0", SEEDS)
    for number in range(1, configurations):
        others = {seed: OTHERS[seed] + number / 500 if seed >= tied else SEEDS[seed] for seed in SEEDS}
        write_run(tmp_path / str(number), others, configuration(model__name=f"net{number + 1}"))
    lines = [line for line in warnings(tmp_path) if line.startswith(f"fewer than {needed} pairs that differ")]
    assert len(lines) == (6 - tied < needed)
    assert all("(5 pairs)" in line if tied else "(6 pairs)" in line for line in lines)


def test_few_pairs_beside_many_are_enough(tmp_path: Path) -> None:
    """Where another comparison of the family has so many that this one is not multiplied by their number any more (Holm)."""
    many = {seed: 0.8 + (seed * 7 % 5) / 500 for seed in range(12)}
    write_run(tmp_path / "a", many)
    for name, seeds in (("b", range(12)), ("c", range(6))):
        write_run(tmp_path / name, {seed: many[seed] + 0.01 + seed / 1000 for seed in seeds}, configuration(model__name=name))
    assert study([tmp_path]).comparisons.set_index("label").loc["c", "p_holm"] == pytest.approx(2 / 2**6)
    assert not [line for line in warnings(tmp_path) if line.startswith("fewer than")]


def test_parameters_of_a_head_that_does_nothing(tmp_path: Path) -> None:
    """Only without a loss of its digits, where the comparator does not read them; one without such keys, or with a reading that a later
    version may have, is none."""
    for name, aux_weight, head, comparator in (
        ("plain", 0.0, "none", "features"),
        ("idle", 0.0, "joint", "features"),
        ("trained", 1.0, "joint", "features"),
        ("read", 0.0, "digit", "digit_logits"),
        ("later", 0.0, "digit", "another"),
    ):
        reads = {"model__digit_head__reads": head, "model__comparator__reads": comparator}
        write_run(tmp_path / name, SEEDS, configuration(model__name=name, aux_weight=aux_weight, **reads))
    told = "aux_weight=0: parameters count model.digit_head, which nothing trains and nothing reads: "
    assert [line.removeprefix(told) for line in warnings(tmp_path) if line.startswith(told)] == ["idle"]
    write_run(tmp_path / "without", SEEDS, {"model": {"name": "without"}, "aux_weight": 0.0})
    assert [line.removeprefix(told) for line in warnings(tmp_path) if line.startswith(told)] == ["idle"]
    for name in ("table.md", "table.tex", "table_paper.tex", "comparisons.tex"):
        assert told in tables(study([tmp_path]))[name]


def test_collapsed_rounds(tmp_path: Path) -> None:
    """A round far below the median makes the mean's interval useless, and may give the mean difference the other sign."""
    seeds = {seed: 0.8 + (seed * 7 % 5) / 500 for seed in range(20)}
    write_run(tmp_path / "a", seeds)
    better = {seed: accuracy + 0.005 + seed / 2000 for seed, accuracy in seeds.items()}
    write_run(tmp_path / "b", better | {3: 0.45}, configuration(model__name="net2"))
    assert warnings(tmp_path) == [
        "the mean's interval is not reliable, single rounds are far worse than the others: net2 (1 round)",
        "mean and rank difference have opposite signs, as a few rounds decide the mean: net2",
    ]


def test_failed_rounds_decide_by_rank(tmp_path: Path) -> None:
    """The mean leaves them out, and is better for that: no few rounds of it are to blame."""
    write_run(tmp_path / "a", {seed: 0.8 + (seed * 7 % 5) / 500 for seed in range(12)})
    better = {seed: None if seed < 8 else 0.9 + seed / 1000 for seed in range(12)}
    write_run(tmp_path / "b", better, configuration(model__name="net2"), status="failed")
    assert warnings(tmp_path) == [
        "failed rounds lose every comparison, and means leave them out: net2 (8 rounds)",
        "without the failed rounds, which lose by rank, the mean has the opposite sign of the rank difference: net2",
    ]


def test_configurations_without_the_metric_are_no_comparisons(tmp_path: Path) -> None:
    """Also where a round of theirs failed, which would be a pair; nothing is compared with one of them."""
    digits = METRICS["digit_accuracy"]
    write_run(tmp_path / "a", SEEDS, others=0.1)
    write_run(tmp_path / "b", OTHERS, configuration(model__name="net2"), others=0.1)
    write_run(tmp_path / "c", OTHERS | {6: None}, configuration(model__name="net3"), status="failed")
    write_run(tmp_path / "d", {seed + 50: 0.9 for seed in SEEDS}, configuration(model__name="net4"), others=0.1)
    found = study([tmp_path], metric=digits)
    assert found.comparisons["label"].tolist() == ["net2", "net4"]
    assert found.comparisons["p_holm"].iloc[0] == found.comparisons["p"].iloc[0]  # one that can be tested
    assert found.warnings == [
        "failed rounds lose every comparison, and means leave them out: net3 (1 round)",
        "fewer than 6 pairs that differ, too few for a corrected p below 0.05 in 1 comparison: net4 (0 pairs)",
        "no digit accuracy on record: net3",
    ]
    with pytest.raises(RunError, match=r"baseline 'net3': it has no digit accuracy on record, .*choose one of 'net1', 'net2', 'net4'"):
        study([tmp_path], "net3", digits)


def test_machines_are_told_apart_by_what_differs(tmp_path: Path) -> None:
    """Other builds of torch and other instructions; runs of earlier versions do not say."""
    machine = {"torch_build": "cpu 1", "cpu_capability": "AVX512", "threads": 1}
    write_run(tmp_path / "a", SEEDS, platform=machine)
    write_run(tmp_path / "b", OTHERS, configuration(model__name="net2"), platform=machine | {"torch_build": "cpu 2"})
    told = "different platform in one report: torch_build cpu 1 (6 rounds), torch_build cpu 2 (6 rounds); never within a configuration"
    assert warnings(tmp_path) == [told]
    write_run(tmp_path / "c", {7: 0.8})
    assert warnings(tmp_path)[0].endswith("torch_build cpu 2 (6 rounds), unknown (1 round); pooled within net1")


@pytest.mark.parametrize("stopping", [{"best": True, "patience": None}, {"best": False, "patience": 5}], ids=["best", "patience"])
def test_validation_accuracies_that_chose_their_epoch(tmp_path: Path, stopping: dict[str, Any]) -> None:
    """Where rounds end with their best weights, their validation accuracy is no fair one; the test accuracy is, and is defined as it is."""
    write_run(tmp_path / "a", SEEDS, others=0.01)
    write_run(tmp_path / "b", OTHERS, configuration(model__name="net2", stopping=stopping), others=0.01)
    validated, tested = study([tmp_path], metric=METRICS["val_accuracy"]), study([tmp_path])
    (line,) = validated.warnings
    assert line.startswith("validation accuracies of the best epoch, chosen on the same pairs")
    assert line.partition(" are too high: ")[2].startswith("net2")
    assert tested.warnings == []
    for found, pairs in ((validated, "validation"), (tested, "test")):
        text = tables(found)["table.tex"]
        told = "or, with stopping.best or stopping.patience, with the weights of the epoch that was best on the validation pairs"
        assert f"of the last epoch on the {pairs} pairs, {told}; ±" in text


def test_validation_accuracies_of_the_last_epoch(tmp_path: Path) -> None:
    """Nothing is told where nothing was chosen, whether a run says so or is older than the keys."""
    write_run(tmp_path / "a", SEEDS, others=0.01)
    write_run(tmp_path / "b", OTHERS, configuration(model__name="net2", stopping={"best": False, "patience": None}), others=0.01)
    found = study([tmp_path], metric=METRICS["val_accuracy"])
    assert found.warnings == []
    assert "of the last epoch on the validation pairs; ±" in tables(found)["table.tex"]


def test_other_test_pairs(tmp_path: Path) -> None:
    """Pairing by seed needs the same pairs at the same seed."""
    write_run(tmp_path / "a", SEEDS)
    write_run(tmp_path / "b", OTHERS, configuration(data__target="gt"))
    assert warnings(tmp_path) == [
        "configurations differ in data.target: equal seeds do not have equal test pairs there",
        "not compared with target=le, as they have other test pairs: target=gt",
    ]


@pytest.mark.parametrize("changes", [{"data__imbalance": 0.1}, {"data__val_pairs": 20}, {"data__train_pairs": 500}])
def test_other_validation_pairs(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Validation accuracies on other pairs are no more comparable than test accuracies on others; those of the same test pairs are."""
    plain = {"data__val_pairs": 10}
    write_run(tmp_path / "a", SEEDS, configuration(**plain), others=0.01)
    write_run(tmp_path / "b", OTHERS, configuration(**{**plain, "model__name": "net2", **changes}), others=0.01)
    found = study([tmp_path], metric=METRICS["val_accuracy"])
    assert found.comparisons.empty
    assert any(line.startswith("not compared with net1, as they have other validation pairs: net2") for line in found.warnings)
    assert study([tmp_path]).comparisons["pairs"].tolist() == [len(SEEDS)]


def test_other_training_pairs(tmp_path: Path) -> None:
    """More of them are no merit of the network."""
    write_run(tmp_path / "a", SEEDS)
    write_run(tmp_path / "b", OTHERS, configuration(data__train_pairs=2000))
    assert warnings(tmp_path) == ["configurations differ in data.train_pairs: they were trained on different pairs"]


def test_other_pairs_for_all_seeds(tmp_path: Path) -> None:
    """The pairs of one seed for all rounds are not those of each round's own, whether a run says so or is older than the key."""
    write_run(tmp_path / "a", SEEDS)
    write_run(tmp_path / "b", OTHERS, configuration(data__seed=0))
    assert warnings(tmp_path) == [
        "configurations differ in data.seed: equal seeds do not have equal test pairs there",
        "configurations differ in data.seed: they were trained on different pairs",
        "not compared with plain, as they have other test pairs: seed=0",
    ]


@pytest.mark.parametrize(("key", "default", "other"), [("fold", 0, 1), ("imbalance", 1.0, 0.5), ("label_noise", 0.0, 0.1)])
def test_training_pairs_of_runs_that_do_not_know_a_key(tmp_path: Path, key: str, default: float, other: float) -> None:
    """They are those of its default, also where sweeps are compared."""
    write_run(tmp_path / "a" / "x", SEEDS, jobs=[])
    write_run(tmp_path / "b" / "x", OTHERS, configuration(model__name="net2", data__seed=None, **{f"data__{key}": default}), jobs=[])
    assert warnings(tmp_path) == []
    write_run(tmp_path / "c" / "x", OTHERS, configuration(model__name="net3", **{f"data__{key}": other}), jobs=[])
    with pytest.raises(RunError, match=f"not compared, as data.{key} differs"):
        study([tmp_path])
    differing = f"configurations differ in data.{key}: they were trained on different pairs"
    assert differing in study([tmp_path], different_data=True).warnings
