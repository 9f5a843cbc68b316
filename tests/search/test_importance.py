"""Which parameters matter: that the page has what the dashboard has, and fANOVA beside it."""

import warnings

import optuna
import pandas as pd
import pytest
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

from digitcmp.search.importance import importance_lines, importances


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
    page = importance_lines(found.reset_index())
    assert "| lr | 9" in page
    assert "| momentum | – |" in page


def test_too_little_to_tell() -> None:
    """Nothing is said of three trials."""
    study = optuna.create_study()
    study.optimize(objective, n_trials=3)
    assert importances(study).empty
