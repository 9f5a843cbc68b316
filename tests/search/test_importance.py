"""Which parameters matter: that the page has what the dashboard has, and fANOVA beside it."""

import warnings
from collections.abc import Callable
from pathlib import Path

import optuna
import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

from digitcmp.search.importance import importance_lines, importances
from tests.conftest import Ended

RATES = [0.01, 0.02, 0.03, 0.06, 0.07]
UP = 0.47500000000000003  # the mean of other rounds, which are 0.475 as well


def study_of(values: list[float], rates: list[float]) -> optuna.Study:
    """Complete trials of one parameter."""
    study, space = optuna.create_study(direction="maximize"), {"lr": CategoricalDistribution(RATES)}
    for value, rate in zip(values, rates, strict=True):
        study.add_trial(optuna.trial.create_trial(params={"lr": rate}, distributions=space, value=value))
    return study


def objective(trial: optuna.Trial) -> float:
    """One parameter matters, one hardly, one is there now and then."""
    if trial.suggest_categorical("optimizer", ["sgd", "adam"]) == "sgd":
        trial.suggest_float("momentum", 0, 1)
    return trial.suggest_float("lr", 0, 1) + 0.01 * trial.suggest_float("dropout", 0, 1)


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_both_importances(direction: str) -> None:
    """The dashboard asks PED-ANOVA for low values, the negative ones of a study that maximises."""
    study = optuna.create_study(direction=direction, sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=30)
    found = importances(study).set_index("parameter")
    sign = -1 if direction == "maximize" else 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shown = get_param_importances(study, target=lambda trial: sign * (trial.value or 0.0), evaluator=PedAnovaImportanceEvaluator())
    assert found["best_tenth"].dropna().to_dict() == pytest.approx(shown)
    assert found["importance"].idxmax() == found["best_tenth"].idxmax() == "lr"
    assert pd.isna(found["importance"]["momentum"])
    page = importance_lines(found.reset_index(), 30)
    assert "| lr | 9" in page
    assert "| momentum | – |" in page


def test_too_little_to_tell() -> None:
    """Nothing is said of three trials."""
    study = optuna.create_study()
    study.optimize(objective, n_trials=3)
    assert (found := importances(study)).empty
    assert importance_lines(found, 3) == ""


@pytest.mark.parametrize(
    ("values", "rates"),
    [
        pytest.param([0.475, UP, UP, 0.475, 0.475], RATES, id="ties up to rounding"),
        pytest.param([0.475, UP] * 15, RATES * 6, id="many ties up to rounding"),
        pytest.param([0.1, 0.2, 0.3, 0.4, 0.5], [0.01] * 5, id="always the same choice"),
        pytest.param([float("inf"), 0.5, 0.5, 0.5, 0.5], RATES, id="infinity beside ties"),
        pytest.param([1e300, -1e300, 0.5, 0.6, 0.7], RATES, id="too large"),
    ],
)
def test_what_fanova_cannot_tell(values: list[float], rates: list[float]) -> None:
    """Costs no summary: it is left out, with a line."""
    found = importances(study_of(values, rates))
    assert found.empty
    assert "It cannot be told" in importance_lines(found, len(values))


@pytest.mark.parametrize("value", [0.6, float("-inf"), -1e12])
@pytest.mark.parametrize("others", [4, 8, 30])
def test_one_trial_that_differs(value: float, others: int) -> None:
    """Is enough where the trees meet it; where they do not, nothing is told."""
    values = [value, *([0.5] * others)]
    found = importances(study_of(values, (RATES * 7)[: len(values)]))
    assert found.empty or found["importance"].tolist() == [1.0]
    assert importance_lines(found, len(values)).startswith("## Importance")


def test_nothing_in_common() -> None:
    """Parameters of which every trial lacks one: the best tenth is told all the same."""
    study = optuna.create_study()
    for number in range(6):
        name = "ab"[number % 2]
        space = {name: FloatDistribution(0, 1)}
        study.add_trial(optuna.trial.create_trial(params={name: number / 10}, distributions=space, value=number / 10))
    found = importances(study)
    assert found["importance"].isna().all()
    assert len(found["best_tenth"].dropna()) == 2


def test_a_search_whose_trials_tie(run_cli: Callable[..., Ended]) -> None:
    """Ends with its summary: 0.475 and what the same rounds in another order have as their mean."""
    sizes = ["data.train_pairs=100", "data.val_pairs=20", "data.test_pairs=100", "model=net1", "epochs=1", "batch_size=20", "rounds=2"]
    recipe = ["optimizer=sgd", "optimizer.momentum=0.9", "scheduler=constant", "engine=serial", "report=false"]
    search = ["hydra/sweeper=digitcmp_optuna", "hydra.sweep.dir=out", "hydra.sweeper.n_trials=5", "hydra.sweeper.sampler=random"]
    points = [
        "optimizer.lr=choice(0.01,0.02,0.03,0.06,0.07)",
        "hydra.sweeper.enqueue=[{optimizer.lr:0.06},{optimizer.lr:0.01},{optimizer.lr:0.02},{optimizer.lr:0.07}]",
    ]
    ended = run_cli("--multirun", *recipe, *search, *sizes, *points)
    assert ended.code == 0, ended.err
    assert "## Importance" in Path("out/summary/search.md").read_text()
