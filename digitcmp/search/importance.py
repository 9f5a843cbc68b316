"""Which parameters of a search matter: two measures of it, and what search.md says of them."""

import math
import warnings
from contextlib import suppress

import pandas as pd
from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator, get_param_importances
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from digitcmp.report.metrics import DECIMALS, NONE
from digitcmp.report.tables import percent, to_markdown

LEAST = 4  # complete trials below which importances are noise


def importances(study: Study) -> pd.DataFrame:
    """One row a parameter, the largest importance first.

    parameter; importance: share of the variance (fANOVA, Hutter et al. 2014); best_tenth: share in what tells the best tenth of the trials
    from the others (PED-ANOVA, Watanabe et al. 2023), as optuna-dashboard has it. NaN for a parameter that not all complete trials have,
    where a method leaves it out. Empty for fewer than LEAST complete trials, when all have the same value up to rounding, and when fANOVA
    cannot tell.
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    found: dict[str, dict[str, float]] = {"importance": {}, "best_tenth": {}}
    if len(complete) >= LEAST and len({rounded(trial) for trial in complete}) > 1:
        # its trees see trials that are drawn with replacement: by chance all of them the same value, which it raises for
        with warnings.catch_warnings(), suppress(ValueError, RuntimeError):
            warnings.simplefilter("ignore")  # trees that meet a parameter with one value divide by zero, and say so
            shares = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0), target=rounded)
            if all(map(math.isfinite, shares.values())):  # values that are too large have no variance
                best_tenth = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
                found = {"importance": shares, "best_tenth": best_tenth}
    frame = pd.DataFrame({name: pd.Series(shares, dtype="float64") for name, shares in found.items()})
    return frame.sort_values("importance", ascending=False, kind="stable").rename_axis("parameter").reset_index()


def rounded(trial: FrozenTrial) -> float:
    """A complete trial's value: means of the same rounds in another order can differ in their last digit."""
    return round(trial.value or 0.0, DECIMALS)


def importance_lines(importance: pd.DataFrame, complete: int) -> str:
    """The importances, and why there are two of them, or why there are none; nothing for too few complete trials."""
    if complete < LEAST:
        return ""
    if importance.empty:
        return (
            "## Importance\n\nIt cannot be told: the complete trials have no parameter in common that differs, or values that differ too "
            "little, or too much.\n"
        )
    names = {"importance": "of the variance [%]", "best_tenth": "for the best tenth [%]"}
    shares = {title: importance[name].map(lambda share: NONE if pd.isna(share) else percent(share, ".1f")) for name, title in names.items()}
    return (
        "## Importance\n\nOver the complete trials: the share of the variance of the objective that a parameter explains (fANOVA), which "
        "hopeless values of it make large; and its share in what tells the best tenth of them from the others (PED-ANOVA), which is what "
        f"optuna-dashboard shows.\n\n{to_markdown(pd.DataFrame({'parameter': importance['parameter'], **shares}))}"
    )
