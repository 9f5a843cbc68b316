"""Which parameters of a search matter: two measures of it, and what search.md says of them."""

import warnings

import pandas as pd
from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator, get_param_importances
from optuna.study import Study
from optuna.trial import TrialState

from digitcmp.report.metrics import NONE
from digitcmp.report.tables import percent, to_markdown

LEAST = 4  # complete trials below which importances are noise


def importances(study: Study) -> pd.DataFrame:
    """One row a parameter, the largest importance first.

    parameter; importance: share of the variance (fANOVA, Hutter et al. 2014); best_tenth: share in what tells the best tenth of the trials
    from the others (PED-ANOVA, Watanabe et al. 2023), as optuna-dashboard has it. NaN for a parameter that not all complete trials have,
    where a method leaves it out. Empty for fewer than LEAST complete trials, or when all have the same value.
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    evaluators = {"importance": FanovaImportanceEvaluator(seed=0), "best_tenth": PedAnovaImportanceEvaluator()}
    found: dict[str, dict[str, float]] = {name: {} for name in evaluators}
    if len(complete) >= LEAST and len({trial.value for trial in complete}) > 1:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # trees that meet a parameter with one value divide by zero, and say so
            found = {name: get_param_importances(study, evaluator=evaluator) for name, evaluator in evaluators.items()}
    frame = pd.DataFrame({name: pd.Series(shares, dtype="float64") for name, shares in found.items()})
    return frame.sort_values("importance", ascending=False, kind="stable").rename_axis("parameter").reset_index()


def importance_lines(importance: pd.DataFrame) -> str:
    """The importances, and why there are two of them."""
    names = {"importance": "of the variance [%]", "best_tenth": "for the best tenth [%]"}
    shares = {title: importance[name].map(lambda share: NONE if pd.isna(share) else percent(share, ".1f")) for name, title in names.items()}
    return (
        "## Importance\n\nOver the complete trials: the share of the variance of the objective that a parameter explains (fANOVA), which "
        "hopeless values of it make large; and its share in what tells the best tenth of them from the others (PED-ANOVA), which is what "
        f"optuna-dashboard shows.\n\n{to_markdown(pd.DataFrame({'parameter': importance['parameter'], **shares}))}"
    )
