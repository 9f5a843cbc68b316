"""The trials of a study as frames, and what can be counted and worked out from them. Nothing here draws or writes."""

import warnings

import pandas as pd
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.study import Study
from optuna.trial import TrialState

from digitcmp.search.space import as_text

COLUMNS = ["trial", "state", "value", "best", "epochs", "seconds", "reason"]
LEAST = 4  # complete trials below which importances are noise


def trials(study: Study, steps: int) -> pd.DataFrame:
    """One row a trial: COLUMNS, then the parameters under their names. steps: the epochs of a complete trial, over all rounds.

    state: complete, pruned, failed, running, waiting. value: the objective; of a pruned trial, its last intermediate value.
    best: the best objective of the complete trials so far. seconds: from its last beginning to its end.
    """
    rows = [
        {
            "trial": trial.number,
            "state": "failed" if trial.state == TrialState.FAIL else trial.state.name.lower(),
            "value": trial.value,
            "epochs": steps if trial.state == TrialState.COMPLETE else trial.user_attrs.get("epochs"),
            "seconds": None if trial.duration is None else trial.duration.total_seconds(),
            "reason": trial.user_attrs.get("reason", ""),
            **trial.params,
        }
        for trial in study.get_trials(deepcopy=False)
    ]
    frame = pd.DataFrame(rows)
    finished = frame["value"].where(frame["state"] == "complete").astype("float64")
    frame["best"] = (finished.cummax() if study.direction.name == "MAXIMIZE" else finished.cummin()).ffill()
    return frame[[*COLUMNS, *(name for name in frame if name not in COLUMNS)]]


def count_epochs(table: pd.DataFrame) -> tuple[int, int]:
    """The epochs that were trained in the trials of `trials`: in those that count, and in failed ones."""
    epochs = table["epochs"].astype("float64").fillna(0)
    return int(epochs[table["state"].isin(["complete", "pruned"])].sum()), int(epochs[table["state"] == "failed"].sum())


def importances(study: Study) -> pd.DataFrame:
    """One row a parameter: parameter, importance (fractions of the variance, fANOVA, Hutter 2014), the largest first.

    Only parameters that all complete trials have. Empty for fewer than LEAST complete trials, or when all have the same value.
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    found: dict[str, float] = {}
    if len(complete) >= LEAST and len({trial.value for trial in complete}) > 1:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # trees that meet a parameter with one value divide by zero, and say so
            found = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
    return pd.DataFrame({"parameter": list(found), "importance": list(found.values())})


def slices(table: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Values against parameters, one row a (trial, parameter): parameter, at, text, log, value, state, trial.

    at: the number, or for a choice its index among the choices; text: the choice, empty for a number; log: a logarithmic axis.
    """
    ended = table[table["state"].isin(["complete", "pruned"]) & table["value"].notna()]
    distributions = {name: made for trial in study.get_trials(deepcopy=False) for name, made in trial.distributions.items()}
    rows = []
    for name, made in distributions.items():
        choices = list(made.choices) if isinstance(made, CategoricalDistribution) else []
        log = isinstance(made, FloatDistribution | IntDistribution) and made.log
        for row in ended[ended[name].notna()].to_dict("records"):
            at, text = (choices.index(row[name]), as_text(row[name])) if choices else (row[name], "")
            rows.append([name, float(at), text, log, row["value"], row["state"], row["trial"]])
    return pd.DataFrame(rows, columns=["parameter", "at", "text", "log", "value", "state", "trial"])
