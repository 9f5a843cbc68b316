"""Labels say what differs, in few words, and are never the same for two configurations."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digitcmp.report.frames import read_sweep
from digitcmp.report.labels import configurations, label_all, short_keys
from digitcmp.report.runs import flatten
from digitcmp.report.study import study
from tests.report.made import configuration, write_run


def labels(*changes: dict[str, Any]) -> list[str]:
    """Labels of configurations that differ from the made-up one by these changes."""
    return list(label_all({f"hash{index}": flatten(configuration(**change)) for index, change in enumerate(changes)}).values())


CASES: dict[str, tuple[list[dict[str, Any]], list[str]]] = {
    "alone": ([{}], ["net1"]),
    "the network's name stands for all that comes with it": (
        [{}, {"model__name": "net4", "model__batchnorm": True, "aux_weight": 1.0, "model__tower": []}],
        ["net1", "net4"],
    ),
    "only what differs within a network": (
        [{}, {"model__name": "wsn"}, {"model__name": "wsn", "model__batchnorm": True, "model__dropout": 0.2}],
        ["net1", "wsn dropout=0", "wsn batchnorm dropout=0.2"],
    ),
    "a curve shows all its values, 0 included": (
        [{"aux_weight": weight} for weight in (0.0, 0.1, 1.0)],
        ["aux_weight=0", "aux_weight=0.1", "aux_weight=1"],
    ),
    "a single number is told even where it is 0": ([{}, {"aux_weight": 0.5}], ["aux_weight=0", "aux_weight=0.5"]),
    "few digits": ([{"optimizer__lr": 0.123456}, {"optimizer__lr": 0.2}], ["lr=0.1235", "lr=0.2"]),
    "all digits where they are needed": (
        [{"optimizer__lr": 0.123456}, {"optimizer__lr": 0.123457}],
        ["lr=0.123456", "lr=0.123457"],
    ),
    "a single flag": ([{}, {"model__batchnorm": True}], ["plain", "batchnorm"]),
    "the only number is told with its 0": (
        [{}, {"model__batchnorm": True}, {"aux_weight": 1.0}],
        ["aux_weight=0", "batchnorm aux_weight=0", "aux_weight=1"],
    ),
    "switches": (
        [{}, {"model__batchnorm": True}, {"aux_weight": 1.0}, {"aux_weight": 1.0, "model__dropout": 0.5}],
        ["plain", "batchnorm", "aux_weight=1", "dropout=0.5 aux_weight=1"],
    ),
    "as many parts of the key as needed": ([{}, {"model__comparator__relu": True}], ["plain", "comparator.relu"]),
    "an optimiser stands for its keys": (
        [{}, {"optimizer": {"algorithm": "Adam", "lr": 0.001, "betas": [0.9, 0.999]}}, {"optimizer__lr": 0.1}],
        ["SGD lr=0.4", "Adam", "SGD lr=0.1"],
    ),
    "lists too long to show": (
        [{}, {"model__tower": [{"channels": 7, "kernel": 5, "padding": 2}] * 3}],
        ["plain (hash0)", "plain (hash1)"],
    ),
    "nothing and false look alike": (
        [{"model__weight_sharing": None}, {"model__weight_sharing": False}, {"model__weight_sharing": True}],
        ["plain (hash0)", "plain (hash1)", "weight_sharing"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_labels(case: str) -> None:
    """The cases above."""
    changes, expected = CASES[case]
    assert labels(*changes) == expected


def test_random_sets_of_configurations_are_told_apart() -> None:
    """Whatever varies, no two labels are the same, and none is empty."""
    choices: dict[str, list[Any]] = {
        "model__name": ["net1", "wsn", "plain"],
        "model__weight_sharing": [None, False, True],
        "model__dropout": [0.0, 0.2, 0.5],
        "aux_weight": [0.0, 1.0, 1e-7, 1.00000001],
        "model__comparator__relu": [False, True],
        "optimizer": [
            {"algorithm": "SGD", "lr": 0.4},
            {"algorithm": "Adam", "lr": 0.4, "betas": [0.9, 0.99]},
            {"algorithm": "Adam", "lr": 1},
        ],
        "epochs": [25, 60],
    }
    everything = list(itertools.product(*choices.values()))
    random = np.random.default_rng(3)
    for size in [*range(2, 40), 400]:
        picked = random.choice(len(everything), size, replace=False)
        made = labels(*(dict(zip(choices, everything[index], strict=True)) for index in picked))
        assert len(set(made)) == size
        assert all(made)


def test_order_is_that_of_the_first_start(tmp_path: Path) -> None:
    """Networks in the order in which they were first started, a network's configurations beside each other."""
    for hour, (name, weight) in enumerate([("wsn", 0.0), ("net1", 0.0), ("wsn", 1.0), ("net1", 0.5)]):
        made = configuration(model__name=name, aux_weight=weight)
        write_run(tmp_path / f"z{9 - hour}", {0: 0.8}, made, started=f"2026-01-01T0{hour}:00:00+00:00")
    frame = configurations(read_sweep([tmp_path]))
    assert frame["label"].tolist() == ["wsn aux_weight=0", "wsn aux_weight=1", "net1 aux_weight=0", "net1 aux_weight=0.5"]


def test_a_number_that_is_swept_is_in_its_own_order(tmp_path: Path) -> None:
    """0, 0.2, 0.5, 10, however they were typed; what they are compared with is the first that was typed. Flags stay as typed."""
    for number, weight in enumerate((10.0, 0.0, 0.5, 0.2)):
        write_run(tmp_path / "a" / str(number), {0: 0.8, 1: 0.9}, configuration(aux_weight=weight), jobs=[[1, number]])
    results = study([tmp_path / "a"])
    assert results.table["label"].tolist() == [f"aux_weight={weight}" for weight in ("0", "0.2", "0.5", "10")]
    assert results.baseline == "aux_weight=10"
    assert results.comparisons["label"].tolist() == ["aux_weight=0", "aux_weight=0.2", "aux_weight=0.5"]
    for number, flag in enumerate((True, False)):
        write_run(tmp_path / "b" / str(number), {0: 0.8, 1: 0.9}, configuration(model__batchnorm=flag), jobs=[[1, number]])
    assert study([tmp_path / "b"]).table["label"].tolist() == ["batchnorm", "plain"]


def test_short_names() -> None:
    """The last part alone where no other key ends so."""
    assert short_keys(["lr", "optimizer.lr", "a.relu", "b.relu", "c.d"]) == {
        "lr": "lr",
        "optimizer.lr": "optimizer.lr",
        "a.relu": "a.relu",
        "b.relu": "b.relu",
        "c.d": "d",
    }


def test_layers_are_named_by_their_path(tmp_path: Path) -> None:
    """`model.digit_dense.0.units`: a label, and a figure against it; towers that are not alike are told apart by their hashes."""
    layers = [[{"units": units, "relu": True}, {"units": 10, "relu": True}] for units in (50, 100, 200)]
    for units, dense in zip((50, 100, 200), layers, strict=True):
        write_run(tmp_path / f"{units}", {0: 0.8, 1: 0.9}, configuration(model__digit_dense=dense))
    results = study([tmp_path])
    assert results.configurations["label"].tolist() == [f"digit_dense.0.units={units}" for units in (50, 100, 200)]
    assert results.swept is not None
    assert results.swept["key"].unique().tolist() == ["model.digit_dense.0.units"]
    assert results.swept["value"].tolist() == [50, 100, 200]
    write_run(tmp_path / "other", {0: 0.8, 1: 0.9}, configuration(model__digit_dense=layers[0][:1]))
    assert study([tmp_path]).swept is None


DENSE = [{"units": 10, "relu": True}]
GROUPS = [{"part": "comparator", "lr": 0.02, "weight_decay": None}, {"part": "tower", "lr": 0.01, "weight_decay": None}]


@pytest.mark.parametrize(
    ("key", "values", "labels"),
    [
        ("model__digit_dense", [DENSE, [*DENSE, {"units": 5, "relu": True}], []], ["digit_dense=10", "digit_dense=10-5", "plain"]),
        ("optimizer__groups", [GROUPS, []], ["groups=comparator-tower", "plain"]),
        ("data__root", [f"/{'long/' * 20}{name}.npz" for name in "ab"], [f"root=…/{'long/' * 5}{name}.npz" for name in "ab"]),
        ("model__digit_dense", [[{"units": 10, "relu": False}, *DENSE], [*DENSE, *DENSE], []], None),
    ],
)
def test_lists_and_long_texts_are_told_briefly(tmp_path: Path, key: str, values: list[Any], labels: list[str] | None) -> None:
    """By units, channels or parts, and by the end of a long text, where that tells them apart; else by their hashes."""
    for number, value in enumerate(values):
        write_run(tmp_path / f"{number}", {0: 0.8, 1: 0.9}, configuration(**{key: value}))
    found = study([tmp_path]).configurations["label"].tolist()
    assert found == labels or (labels is None and all(label.startswith(("plain (", "digit_dense=[]")) for label in found))


def test_the_17th_digit_is_told(tmp_path: Path) -> None:
    """Numbers that differ at all have different labels, without hashes."""
    for name, rate in (("a", 0.3), ("b", 0.30000000000000004), ("c", 0.1)):
        write_run(tmp_path / name, {0: 0.8, 1: 0.9}, configuration(optimizer__lr=rate))
    assert study([tmp_path]).configurations["label"].tolist() == ["lr=0.1", "lr=0.3", "lr=0.30000000000000004"]
