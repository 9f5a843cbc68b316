"""Full factorials: which sweeps are one, and their effects against values worked out independently."""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import mstats

from digitcmp.report import effects
from digitcmp.report.build import make_report
from digitcmp.report.factorial import (
    QUARTER,
    ROBUST,
    average_effects,
    common_values,
    contrast,
    effects_apart,
    effects_by_distance,
    find_design,
    find_effects,
)
from digitcmp.report.metrics import METRICS, TEST_ACCURACY
from digitcmp.report.statistics import without_done
from digitcmp.report.study import study
from tests.report.made import configuration, write_run
from tests.report.test_figures import drawable, said
from tests.report.test_statistics import frame, known

LEVELS: dict[str, list[Any]] = {"aux_weight": [0.0, 1.0], "model.weight_sharing": [True, False], "model.batchnorm": [False, True]}


def cells(levels: dict[str, list[Any]] = LEVELS) -> pd.DataFrame:
    """All combinations as the configurations of a report, with a key that is the same in all."""
    rows = list(product(*levels.values()))
    found = known(*(f"c{at}" for at in range(len(rows)))).assign(epochs=60)
    return found.assign(**{key: [row[at] for row in rows] for at, key in enumerate(levels)})


def test_a_full_factorial_is_found() -> None:
    """Off before on and less before more, whatever the order of the report; a key that changes with another is no factor of its own."""
    configurations = cells()
    configurations["digits"] = np.where(configurations["aux_weight"] > 0, "read", "not read")
    design = find_design(configurations)
    assert design is not None
    told = [(one.key, one.name, one.levels, one.told) for one in design.factors]
    assert told == [
        ("aux_weight", "aux_weight", ("0", "1"), "0 → 1"),
        ("model.weight_sharing", "weight_sharing", ("false", "true"), ""),
        ("model.batchnorm", "batchnorm", ("false", "true"), ""),
    ]
    assert design.upper.loc["c0"].tolist() == [False, True, False]
    assert design.partner("c0", "weight_sharing") == "c2"


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found.iloc[:-1],  # a cell is missing
        lambda found: found.assign(epochs=range(len(found))),  # more than two levels, of which one is 0
        lambda found: found.assign(epochs=range(-9, -9 + len(found))),  # below 0 there are no such numbers
        lambda found: found.assign(optimizer=["sgd", "adam", *["adamw"] * (len(found) - 2)]),  # more than two, and no numbers
        lambda found: pd.concat(found.assign(lr=lr, label=found["label"] + f" {lr}") for lr in (0.1, 0.2, 0.4)),  # a grid of three
        lambda found: found[found["aux_weight"] == 0].drop(columns="model.batchnorm").iloc[::2],  # one factor
        lambda found: found.assign(epochs=[1, 2] + [1] * (len(found) - 2)),  # what makes it a fourth factor has half of its cells
    ],
)
def test_what_is_no_full_factorial(change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """There are no effects, and the report is as it would be without."""
    assert find_design(change(cells())) is None


def test_numbers_that_are_tuned_in_every_cell() -> None:
    """One that is 0 in half of the cells is a factor, from off to what was found; one that never is belongs to the cell."""
    configurations = cells()
    tuned = np.geomspace(0.1, 0.8, len(configurations))
    configurations["aux_weight"] = np.where(configurations["aux_weight"] > 0, tuned, 0.0)
    design = find_design(configurations.assign(**{"optimizer.lr": tuned}))
    assert design is not None
    assert next((one.name, one.told) for one in design.factors) == ("aux_weight", "0 → 0.33 to 0.8")
    assert design.upper["aux_weight"].tolist() == [False] * 4 + [True] * 4
    assert design.tuned == ["lr"]
    found = find_effects(noiseless(), configurations.assign(**{"optimizer.lr": tuned}))
    assert found is not None
    assert "Each of them has a value of its own of lr." in effects.about_effects(found, TEST_ACCURACY)[0]


def noiseless(seeds: int = 6) -> pd.DataFrame:
    """Rounds of the cells: 0.8 and what a seed adds, +0.05 for the auxiliary loss, +0.02 for sharing, and +0.01 more for both."""
    return frame(
        {
            label: [0.8 + 0.05 * aux + 0.02 * shared + 0.01 * aux * shared + seed / 1000 for seed in range(seeds)]
            for label, (aux, shared, _) in zip(cells()["label"], product([0, 1], [1, 0], [0, 1]), strict=True)
        }
    )


def test_effects_by_hand() -> None:
    """A main effect is an average over the other factors, an interaction the difference of two effects, and what a seed adds cancels."""
    found = find_effects(noiseless(), cells())
    assert found is not None
    together = found.together.set_index("label")
    expected = {"aux_weight": 0.055, "weight_sharing": 0.025, "batchnorm": 0.0, "aux_weight × weight_sharing": 0.01}
    expected |= {"aux_weight × batchnorm": 0.0, "weight_sharing × batchnorm": 0.0}
    for column in ("mean", "mean_low", "mean_high", *ROBUST):
        assert together[column].to_dict() == pytest.approx(expected, abs=1e-12)
    assert together["order"].tolist() == [1, 1, 1, 2, 2, 2]
    aux = found.apart[found.apart["factor"] == "aux_weight"]
    assert aux[["baseline", "label"]].to_numpy().tolist() == [["c0", "c4"], ["c1", "c5"], ["c2", "c6"], ["c3", "c7"]]
    assert aux["difference"].tolist() == pytest.approx([0.06, 0.06, 0.05, 0.05])


def noisy(seeds: int, generator: np.random.Generator, collapses: float = 0.0) -> pd.DataFrame:
    """Values [seeds, cells] without any effect."""
    values = 0.8 + generator.normal(0, 0.01, (seeds, 1)) + generator.normal(0, 0.01, (seeds, 8))
    values = np.where(generator.random(values.shape) < collapses, 0.55, values)
    return pd.DataFrame(values, columns=cells()["label"])


def test_mean_effects_are_those_of_every_seed() -> None:
    """The interval is scipy's t interval of the contrasts of the seeds, at the level that the number of effects asks for."""
    design, values = find_design(cells()), noisy(12, np.random.default_rng(1))
    assert design is not None
    row = average_effects(values, design).iloc[1]
    each = values[["c0", "c1", "c4", "c5"]].mean(axis=1) - values[["c2", "c3", "c6", "c7"]].mean(axis=1)
    low, high = stats.t.interval(1 - 0.05 / 6, 11, each.mean(), stats.sem(each))
    assert row[["mean", "mean_low", "mean_high"]].tolist() == pytest.approx([each.mean(), low, high])


def test_trimmed_contrast_of_two_cells_is_yuens() -> None:
    """Against the formula for two dependent groups (Wilcox 2012): winsorised variances and covariance, h - 1 degrees of freedom."""
    values = np.random.default_rng(2).normal(size=(21, 2))
    value, low, high = contrast(values, np.array([1.0, -1.0]), QUARTER)
    first, second = (np.asarray(mstats.winsorize(column, (QUARTER, QUARTER))) for column in values.T)
    left, covariance = 21 - 2 * 5, np.cov(first, second)
    error = (20 * (covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]) / (left * (left - 1))) ** 0.5
    assert value == pytest.approx(stats.trim_mean(values[:, 0], QUARTER) - stats.trim_mean(values[:, 1], QUARTER))
    assert (high - value) / error == pytest.approx(stats.t.ppf(0.975, left - 1))
    assert value - low == pytest.approx(high - value)


@pytest.mark.parametrize("trim", [0.0, QUARTER])
def test_equal_values_have_no_interval(trim: float) -> None:
    """Two seeds whose accuracies are the same multiples of a pair do not show that others would be."""
    value, low, high = contrast(np.array([[0.75, 0.5]] * 2), np.array([1.0, -1.0]), trim)
    assert value == 0.25
    assert np.isnan([low, high]).all()


@settings(deadline=None, max_examples=30, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.permutations(range(9)))
def test_effects_don_t_depend_on_names_or_on_what_a_seed_adds(seed: int, order: list[int]) -> None:
    """Seeds in another order, with another constant each, have the same mean effects; swapped levels have the opposite ones."""
    values, design = noisy(9, np.random.default_rng(seed)), find_design(cells())
    assert design is not None
    plain = average_effects(values, design)["mean"].to_numpy()
    moved = average_effects((values.T + np.arange(9)).T.iloc[order], design)["mean"].to_numpy()
    assert moved == pytest.approx(plain, abs=1e-9)
    partners = [design.partner(label, "aux_weight") for label in values.columns]
    swapped = average_effects(pd.DataFrame(values[partners].to_numpy(), columns=values.columns), design)["mean"].to_numpy()
    assert swapped == pytest.approx(plain * [-1, 1, 1, -1, -1, 1], abs=1e-12)


@pytest.mark.parametrize("collapses", [0.0, 0.04])
def test_intervals_hold_together(collapses: float) -> None:
    """Where there is no effect, all six intervals hold zero in 95 of a hundred sweeps of 50 seeds (here in at least 93 of 400 drawn)."""
    generator, design = np.random.default_rng(3), find_design(cells())
    assert design is not None
    missed = 0
    for _ in range(400):
        found = average_effects(noisy(50, generator, collapses), design)
        missed += bool(((found[ROBUST[1]] > 0) | (found[ROBUST[2]] < 0)).any())
    assert missed <= 0.07 * 400


def test_rounds_that_collapse_do_not_carry_interquartile_effects_away() -> None:
    """One round in twelve of every cell with the auxiliary loss at chance: the mean says that it hurts, the interquartile mean what it
    buys otherwise."""
    rounds = noiseless(24)
    low = (rounds["label"] >= "c4") & (rounds["seed"] < 2)
    found = find_effects(rounds.assign(test_accuracy=rounds["test_accuracy"].mask(low, 0.1)), cells())
    assert found is not None
    first = found.together.iloc[0]
    assert first["mean"] < 0
    assert first["interquartile"] == pytest.approx(0.055, abs=0.003)
    assert first["interquartile_low"] > 0


def test_failed_rounds_count_or_leave_their_seed_out() -> None:
    """As always giving the more frequent answer, where it is pairs that are answered; a seed that a cell has not is left out."""
    rounds = noiseless()
    failed = (rounds["label"] == "c7") & (rounds["seed"] == 2)
    rounds.loc[failed, ["status", "test_accuracy", "majority_accuracy"]] = ["failed", np.nan, np.nan]
    values = common_values(rounds, TEST_ACCURACY)
    assert values.loc[2, "c7"] == 0.55
    assert len(values) == 6
    rounds["train_loss"] = 0.1
    rounds.loc[failed, "train_loss"] = np.nan
    assert 2 not in common_values(rounds, METRICS["train_loss"]).index
    assert 5 not in common_values(rounds[(rounds["label"] != "c0") | (rounds["seed"] != 5)], TEST_ACCURACY).index
    design = find_design(cells())
    assert design is not None
    apart = effects_apart(rounds, design).set_index(["baseline", "label"])
    assert (apart.loc[("c3", "c7"), "lost"], apart.loc[("c3", "c7"), "pairs"]) == (1, 6)


def test_cells_whose_rounds_all_failed_have_no_effects() -> None:
    """What would stand instead of them is not theirs; one that has a round left is told of by its failed ones."""
    rounds = noiseless()
    own = rounds["label"] == "c7"
    rounds.loc[own & (rounds["seed"] > 0), ["status", "test_accuracy"]] = ["failed", np.nan]
    assert without_done(rounds) == []
    assert find_effects(rounds, cells()) is not None
    rounds.loc[own, ["status", "test_accuracy"]] = ["failed", np.nan]
    assert without_done(rounds) == ["c7"]
    assert find_effects(rounds, cells()) is None


def by_hand(seeds: int = 6) -> pd.DataFrame:
    """Distances of `noiseless` rounds: the auxiliary loss buys 20 points for equal digits, and nothing where they are 5 apart."""
    keys = product(zip(cells()["label"], product([0, 1], [1, 0], [0, 1]), strict=True), range(seeds), ((0, 100), (5, 40), (9, 0)))
    return pd.DataFrame(
        {"label": label, "seed": seed, "distance": at, "pairs": pairs, "right": (0.7 + 0.2 * aux * (at == 0)) * pairs + seed * (at == 0)}
        for (label, (aux, _, _)), seed, (at, pairs) in keys
    )


def test_effects_by_distance() -> None:
    """Worked out among the pairs of a distance; one without pairs has none, and a seed without pairs in one cell leaves the distance."""
    design, distances = find_design(cells()), by_hand()
    assert design is not None
    distances.loc[(distances["label"] == "c3") & (distances["seed"] == 2) & (distances["distance"] == 5), "pairs"] = 0
    near = effects_by_distance(distances, design).set_index(["distance", "label"])
    assert {at: near.loc[(at, "aux_weight"), "interquartile"] for at in (0, 5)} == pytest.approx({0: 0.2, 5: 0.0}, abs=1e-12)
    assert near.loc[(0, "weight_sharing"), "mean"] == pytest.approx(0, abs=1e-12)
    assert near["seeds"].groupby("distance").first().to_dict() == {0: 6, 5: 5}
    figure = effects.draw_near(near.reset_index())
    assert figure.axes[0].lines[1].get_ydata() == pytest.approx([20, 0], abs=1e-9)
    drawable(figure)
    assert effects_by_distance(distances[distances["label"] != "c3"], design).empty


def test_failed_rounds_leave_their_seeds_out_by_distance() -> None:
    """They have no pairs, and nothing says at which distances the more frequent answer would have been right; the methods say so."""
    rounds, distances = noiseless(), by_hand()
    failed = (rounds["label"] == "c7") & rounds["seed"].isin([2, 3])
    rounds.loc[failed, ["status", "test_accuracy"]] = ["failed", np.nan]
    there = distances[(distances["label"] != "c7") | ~distances["seed"].isin([2, 3])]
    found = find_effects(rounds, cells(), distances=there)
    assert found is not None
    assert (set(found.together["seeds"]), set(found.near["seeds"])) == ({6}, {4})
    told = "By distance, seeds with a failed round are left out (2)."
    assert told in effects.about_effects(found, TEST_ACCURACY)[0]
    whole, apart = find_effects(noiseless(), cells(), distances=distances), find_effects(rounds, cells())
    assert whole is not None
    assert apart is not None
    assert not any("By distance" in line for one in (whole, apart) for line in effects.about_effects(one, TEST_ACCURACY))


def test_wide_intervals_leave_effects_to_be_seen() -> None:
    """Those of four seeds may reach a thousand points: they end at four times the largest effect, and the figure says so."""
    design, generator = find_design(cells()), np.random.default_rng(6)
    assert design is not None
    distances = by_hand(4)
    near = effects_by_distance(distances.assign(right=distances["right"] * generator.uniform(0.8, 1.0, len(distances))), design)
    figure = effects.draw_near(near)
    largest = 100 * near["interquartile"].abs().max()
    assert max(map(abs, figure.axes[0].get_ylim())) <= 1.1 * 4 * max(largest, 1)
    assert "some are cut off" in said(figure)
    drawable(figure)


def test_intervals_of_all_distances_hold_together() -> None:
    """Three factors at two distances: six intervals of Student's, each of 1 - 0.05 / 6."""
    design, generator = find_design(cells()), np.random.default_rng(4)
    assert design is not None
    frames = [noisy(12, generator).rename_axis(index="seed").melt(ignore_index=False, var_name="label").reset_index() for _ in range(2)]
    distances = pd.concat([one.assign(distance=at, pairs=1000, right=1000 * one["value"]) for at, one in enumerate(frames)])
    near = effects_by_distance(distances, design)
    values = frames[1].pivot(index="seed", columns="label", values="value")
    each = values[["c4", "c5", "c6", "c7"]].mean(axis=1) - values[["c0", "c1", "c2", "c3"]].mean(axis=1)
    low, high = stats.t.interval(1 - 0.05 / 6, 11, each.mean(), stats.sem(each))
    row = near[(near["distance"] == 1) & (near["label"] == "aux_weight")].iloc[0]
    assert row[["mean", "mean_low", "mean_high"]].tolist() == pytest.approx([each.mean(), low, high])


def test_figures_show_what_was_worked_out() -> None:
    """Cells in the order of their medians, dots as the design has them; effects at their values, filled where they are off zero."""
    results = find_effects(noiseless(), cells())
    assert results is not None
    from digitcmp.report.statistics import summarise

    figure = effects.draw_cells(noiseless(), summarise(noiseless(), cells()), results.design, TEST_ACCURACY, 0.55)
    filled, hollow = figure.axes[0].collections[:2]
    assert (len(filled.get_offsets()), len(hollow.get_offsets())) == (4, 4)
    assert sorted(np.asarray(filled.get_offsets())[:, 1]) == [0, 1, 2, 3]  # those with the auxiliary loss are best
    drawable(figure)
    figure = effects.draw_effects(results, TEST_ACCURACY)
    middles = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [float(line.get_xdata()[0]) for line in middles] == pytest.approx([5.5, 2.5, 0, 1, 0, 0], abs=1e-9)  # type: ignore[index,arg-type]
    drawable(figure)
    assert "filled: bar clear of zero; grey: the other factors fixed" in figure.artists[1].get_text()  # nothing of it is left out


def test_the_report_says_why_there_are_no_effects(tmp_path: Path) -> None:
    """Every round of one cell failed."""
    for aux, shared in product([0.0, 1.0], [False, True]):
        accuracies = dict.fromkeys(range(4), None if aux and shared else 0.8)
        write_run(tmp_path / f"{aux},{shared}", accuracies, configuration(aux_weight=aux, model__weight_sharing=shared))
    found = study([tmp_path])
    assert found.effects is None
    told = "no effects of what was switched, as every round failed: "
    assert [line for line in found.warnings if line.startswith(told)]
    some = study([tmp_path / "0.0,False", tmp_path / "1.0,True"])  # no factorial
    assert not [line for line in some.warnings if line.startswith(told)]


def test_the_report_of_a_full_factorial(tmp_path: Path) -> None:
    """Its effects are in the folder and on the page; other reports have none."""
    for aux, shared in product([0.0, 1.0], [False, True]):
        accuracies = {seed: round(0.8 + 0.05 * aux + 0.02 * shared + (seed * 7 % 5) / 1000, 3) for seed in range(8)}
        write_run(
            tmp_path / f"{aux},{shared}", accuracies, configuration(aux_weight=aux, model__weight_sharing=shared), right=range(80, 90)
        )
    out = make_report([tmp_path]).path.parent
    text = (out / "effects.md").read_text()
    assert "| aux\\_weight | 0 → 1 | +5.00 |" in text.replace("aux_weight", "aux\\_weight").replace("\\\\", "\\")
    assert "98.33 %" in text  # three effects: 1 - 0.05 / 3
    assert len((out / "effects_apart.csv").read_text().splitlines()) == 1 + 4
    assert {path.name for path in out.glob("*.png")} >= {"cells.png", "effects.png", "effects_distances.png"}
    near = pd.read_csv(out / "effects_distances.csv")
    assert set(near["distance"]) == set(range(10))
    page = (out / "report.html").read_text()
    assert "What each factor buys" in page
    assert 'id="effects-table"' in page
    assert study([tmp_path / "0.0,False", tmp_path / "1.0,False"]).effects is None
