"""Times of rounds of a stack: shares of one measurement, of which there are no intervals and no tests."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from digitcmp.report.build import make_report
from digitcmp.report.metrics import METRICS, TEST_ACCURACY
from digitcmp.report.shares import about_shares, sharing, without_tests
from digitcmp.report.study import study
from tests.experiment import made
from tests.report.made import ABOUT, configuration, made_round
from tests.report.test_statistics import frame

SECONDS = METRICS["seconds"]
TOLD = "rounds of a stack have equal shares of its time"


def test_stacks_are_found_by_their_times() -> None:
    """Half of a run's rounds have the time of another: two stacks and a round alone, and failed rounds do not count; ties now and then are
    chance, and so are equal times in two runs."""
    rounds = frame({"a": [0.8] * 9, "b": [0.8] * 9, "c": [0.8, 0.8, None]})
    rounds["seconds"] = [5.0] * 4 + [6.0] * 4 + [9.0] + [5.0, 5.0, *range(1, 8)] + [3.0, 4.0, 4.0]
    rounds["run_index"] = [0] * 9 + [1] * 9 + [2] * 3
    assert sharing(rounds, SECONDS) == {"a": (3, 9)}
    assert sharing(rounds, TEST_ACCURACY) == {}
    (line,) = about_shares(sharing(rounds, SECONDS))
    assert line.startswith(TOLD)
    assert line.endswith("intervals and tests are left out: a (3 of 9)")
    assert about_shares({}) == []
    rounds["run_index"] = rounds["run_index"].mask((rounds["label"] == "b") & (rounds["seed"] < 2), 3)  # a stack of two in a run of its own
    assert sharing(rounds, SECONDS) == {"a": (3, 9), "b": (8, 9)}


def test_nobody_is_told_to_take_more_of_them(tmp_path: Path) -> None:
    """More rounds of a stack never make a p."""
    for aux in (0.0, 1.0):
        write_stack(tmp_path / str(aux), [10.0 + aux] * 3, aux, shared=True)
    found = study([tmp_path], metric=SECONDS).warnings
    assert any(line.startswith(TOLD) for line in found)
    assert not any(line.startswith("fewer than") and "pairs that differ" in line for line in found)
    assert any("pairs that differ" in line for line in study([tmp_path]).warnings)


def test_the_other_comparisons_are_corrected_without_them() -> None:
    """Holm's p of what is left, as if there were no others."""
    compared = pd.DataFrame({"label": ["b", "c"], "baseline": "a", "p": [0.01, 0.02], "p_holm": [0.02, 0.02], "difference": 1.0})
    left = without_tests(compared, ["c"])
    assert left["p_holm"].tolist() == pytest.approx([0.01, np.nan], nan_ok=True)
    assert left["difference"].tolist() == [1.0, 1.0]
    assert without_tests(compared, ["a"])["p"].isna().all()
    assert without_tests(compared, []) is compared


def write_stack(directory: Path, seconds: list[float], aux: float, shared: bool) -> None:
    """A run of rounds with these times."""
    results = [made_round(seed, 0.8 + aux / 10 + (seed * 7 % 5) / 1000) for seed in range(len(seconds))]
    results = [replace(one, row=replace(one.row, seconds=time)) for one, time in zip(results, seconds, strict=True)]
    about = {**ABOUT, "engine": "stacked", "seeds": [*range(len(seconds))]}
    made.write_run(directory, results, about, configuration(aux_weight=aux, model__weight_sharing=shared))


def test_a_report_on_the_times_of_stacks(tmp_path: Path) -> None:
    """Means and differences, and nothing that takes every round for a measurement; other reports of the same runs are as ever."""
    for aux, shared in product([0.0, 1.0], [False, True]):
        write_stack(tmp_path / f"{aux},{shared}", [10.0 + aux] * 8, aux, shared)
    report = make_report([tmp_path], metric=SECONDS)
    found, folder = report.study, report.path.parent
    assert sum(line.startswith(TOLD) for line in found.warnings) == 1
    assert found.table[["std", "low", "high", "median_low", "median_high"]].isna().all(axis=None)
    assert found.table["mean"].tolist() == [10.0, 10.0, 11.0, 11.0]
    assert found.comparisons[["difference_low", "p", "p_holm", "better", "low", "high", "d_z"]].isna().all(axis=None)
    assert sorted(found.comparisons["difference"]) == [0.0, 1.0, 1.0]
    assert found.effects is not None
    assert found.effects.together[["mean_low", "interquartile_high"]].isna().all(axis=None)
    assert found.effects.apart["p"].isna().all()
    assert TOLD in (folder / "table.tex").read_text()
    assert " p " not in (folder / "comparisons.md").read_text().splitlines()[2]
    plain = study([tmp_path])
    assert not any(line.startswith(TOLD) for line in plain.warnings)
    assert plain.comparisons["p"].notna().all()


def test_the_times_of_a_swept_number(tmp_path: Path) -> None:
    """The lines and how far they are apart have no intervals either."""
    for number, (lr, aux) in enumerate(product([0.1, 0.2, 0.3], [0.0, 1.0])):
        results = [replace(one, row=replace(one.row, seconds=9.0 + number)) for one in (made_round(seed, 0.8) for seed in range(8))]
        config = configuration(aux_weight=aux, optimizer__lr=lr)
        made.write_run(tmp_path / f"{lr},{aux}", results, {**ABOUT, "seeds": [*range(8)]}, config)
    found = study([tmp_path], metric=SECONDS)
    assert found.swept is not None
    assert found.swept["low"].isna().all()
    assert found.line_differences["difference"].notna().all()
    assert found.line_differences[["difference_low", "p"]].isna().all(axis=None)
