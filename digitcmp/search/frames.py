"""The trials of a study as frames, and what can be counted and worked out from them. Nothing here draws or writes."""

import warnings
from dataclasses import dataclass
from typing import Any

import pandas as pd
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.study import Study
from optuna.trial import TrialState

from digitcmp.search.space import as_text

COLUMNS = ["trial", "state", "value", "best", "epochs", "seconds", "reason"]
LEAST = 4  # complete trials below which importances are noise


@dataclass(frozen=True)
class Epochs:
    """Epochs of the trials that count: trained, and what they would have been without pruning; `failed`: those of failed trials."""

    trained: int
    full: int
    failed: int

    @property
    def saved(self) -> float:
        """The fraction that pruning saved, 0 without trials."""
        return 1 - self.trained / self.full if self.full else 0.0


def trials(study: Study, steps: int) -> pd.DataFrame:
    """One row a trial: COLUMNS, then the parameters under their names. steps: the epochs of a complete trial, over all rounds.

    state: complete, pruned, failed, running, waiting. value: the objective; of a pruned trial, its last intermediate value.
    best: the best objective of the complete trials so far. seconds: from its last beginning to its end.
    """
    rows = []
    for trial in study.get_trials(deepcopy=False):
        spent = None
        if trial.datetime_start and trial.datetime_complete:
            spent = (trial.datetime_complete - trial.datetime_start).total_seconds()
        known = {"trial": trial.number, "state": "failed" if trial.state == TrialState.FAIL else trial.state.name.lower()}
        result = {
            "value": trial.value,
            "epochs": steps if trial.state == TrialState.COMPLETE else trial.user_attrs.get("epochs"),
            "seconds": spent,
            "reason": trial.user_attrs.get("reason", ""),
        }
        rows.append({**known, **result, **trial.params})
    names = list(dict.fromkeys(name for row in rows for name in row))
    frame = pd.DataFrame(rows, columns=names)
    finished = frame["value"].where(frame["state"] == "complete").astype("float64")
    frame["best"] = (finished.cummax() if study.direction.name == "MAXIMIZE" else finished.cummin()).ffill()
    return frame[[*COLUMNS, *(name for name in names if name not in COLUMNS)]]


def count_epochs(table: pd.DataFrame, steps: int) -> Epochs:
    """The epochs of the trials of `trials`; steps: those of a trial that is not pruned."""
    counted = table[table["state"].isin(["complete", "pruned"])]
    failed = table.loc[table["state"] == "failed", "epochs"].fillna(0).sum()
    return Epochs(int(counted["epochs"].fillna(0).sum()), steps * len(counted), int(failed))


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
    rows: list[dict[str, Any]] = []
    ended = table[table["state"].isin(["complete", "pruned"]) & table["value"].notna()]
    distributions = {name: made for trial in study.get_trials(deepcopy=False) for name, made in trial.distributions.items()}
    for name, made in distributions.items():
        for row in ended[ended[name].notna()].to_dict("records"):
            choice = isinstance(made, CategoricalDistribution)
            log = isinstance(made, FloatDistribution | IntDistribution) and made.log
            position = made.choices.index(row[name]) if isinstance(made, CategoricalDistribution) else row[name]
            about = {"parameter": name, "at": float(position), "text": as_text(row[name]) if choice else "", "log": log}
            rows.append({**about, "value": row["value"], "state": row["state"], "trial": row["trial"]})
    return pd.DataFrame(rows, columns=["parameter", "at", "text", "log", "value", "state", "trial"])
