"""The trials of a study as frames: a row a trial, and their values against their parameters."""

import pandas as pd
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from digitcmp.search.finalists import Final
from digitcmp.search.space import as_text
from digitcmp.search.trial import TrialSpec

COLUMNS = ["trial", "state", "value", "best", "epochs", "seconds", "reason"]
OF_FINAL = ["final", "final_value"]  # the columns that a final adds
ENDED = ["complete", "pruned"]  # the states of trials that count


def trials(study: Study, spec: TrialSpec) -> pd.DataFrame:
    """One row a trial: COLUMNS, then the parameters under their names (`column_of`). epochs: how many were trained, over
    all rounds; of a complete trial for which that is not on record, all of them.

    state: complete, pruned, failed, running, waiting. value: the objective; of a pruned trial, the mean of its rounds so far.
    best: the best objective of the complete trials so far. seconds: from its last beginning to its end (`seconds`).
    """

    def whole(trial: FrozenTrial) -> int | None:
        return len(spec.seeds) * spec.length_of(trial) if trial.state == TrialState.COMPLETE else None

    rows = [
        {
            "trial": trial.number,
            "state": "failed" if trial.state == TrialState.FAIL else trial.state.name.lower(),
            "value": trial.value,
            "epochs": trial.user_attrs.get("epochs", whole(trial)),
            "seconds": seconds(trial),
            "reason": trial.user_attrs.get("reason", ""),
            **{column_of(name): value for name, value in trial.params.items()},
        }
        for trial in study.get_trials(deepcopy=False)
    ]
    frame = pd.DataFrame(rows)
    finished = frame["value"].where(frame["state"] == "complete").astype("float64")
    frame["best"] = (finished.cummax() if study.direction.name == "MAXIMIZE" else finished.cummin()).ffill()
    return frame[[*COLUMNS, *(name for name in frame if name not in COLUMNS)]]


def column_of(parameter: str) -> str:
    """The column of a parameter: its name, or after Optuna's way params_NAME where that is a column of the trials themselves (epochs)."""
    return f"params_{parameter}" if parameter in (*COLUMNS, *OF_FINAL) else parameter


def seconds(trial: FrozenTrial) -> float | None:
    """How long a trial took, where it has ended and that can be told: not where a clock was set back meanwhile, or that of the command
    which ended it is behind that of the one which began it."""
    passed = None if trial.duration is None else trial.duration.total_seconds()
    return None if passed is None or passed < 0 else passed


def with_final(table: pd.DataFrame, final: Final | None) -> pd.DataFrame:
    """The trials with what became of them in the final: final (picked, complete, dropped, failed), final_value (their mean there); as they
    are without one."""
    if final is None:
        return table
    met = {one.trial.number: "picked" if one is final.winner else one.state for one in final.finalists}
    means = {one.trial.number: one.mean for one in final.finalists}
    found = table.assign(final=table["trial"].map(met).astype("string"), final_value=table["trial"].map(means).astype("float64"))
    return found[[*COLUMNS, *OF_FINAL, *(name for name in table if name not in COLUMNS)]]


def slices(table: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Values against parameters, one row a (trial, parameter): parameter, at, text, log, value, state, trial.

    at: the number, or for a choice its index among the choices; text: the choice, empty for a number; log: a logarithmic axis.
    """
    ended = table[table["state"].isin(ENDED) & table["value"].notna()]
    distributions = {name: made for trial in study.get_trials(deepcopy=False) for name, made in trial.distributions.items()}
    rows = []
    for name, made in distributions.items():
        choices = list(made.choices) if isinstance(made, CategoricalDistribution) else []
        log = isinstance(made, FloatDistribution | IntDistribution) and made.log
        column = column_of(name)
        for row in ended[ended[column].notna()].to_dict("records"):
            at, text = (choices.index(row[column]), as_text(row[column])) if choices else (row[column], "")
            rows.append([name, float(at), text, log, row["value"], row["state"], row["trial"]])
    return pd.DataFrame(rows, columns=["parameter", "at", "text", "log", "value", "state", "trial"])


def full_epochs(study: Study, spec: TrialSpec) -> int:
    """The epochs of all rounds of the trials that count, when nothing ends them early."""
    return len(spec.seeds) * sum(map(spec.length_of, counted_trials(study)))


def lengths(study: Study, spec: TrialSpec) -> list[int]:
    """How many epochs the rounds of the trials that count have, the fewest and the most; those of the start before there are any."""
    found = [*map(spec.length_of, counted_trials(study))] or [spec.epochs]
    return sorted({min(found), max(found)})


def counted_trials(study: Study) -> list[FrozenTrial]:
    """Those that count towards n_trials."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
